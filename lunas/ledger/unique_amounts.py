"""Amounts of which there is one each: a transfer that names no invoice is known by what was transferred.

An invoice's transfer is asked for a few whole units less than is open, so that the amount stands for this invoice alone
among all open ones in its currency. Never more than is owed: a payer who is asked for more has a claim to have it back,
and what was paid too much would stay unapplied on every invoice.

So up to the limit is given away with every invoice that is paid that way, and written off as a credit note of its own
the moment the asked amount is all that is missing: what was billed, paid and credited adds up to the last unit. That
costs money and puts small credit notes into the books, so it is off unless a limit is set; without one, a transfer
without a number waits in the list of unapplied receipts for a person. (Where the invoice's policy has a tolerance that
lets the difference off already, nothing is left to credit.) While an early-payment discount can be earned, the amount
stays as it is: the discount is earned by that amount, to the last unit.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import date

from sqlalchemy import func, select

from lunas.ledger.credits import NewCreditNote, record_credit_note
from lunas.ledger.database import LedgerSession, WriteSession
from lunas.ledger.facts import OUTSTANDING, lock_customer_of, look_at
from lunas.ledger.receipts import Booked, NewReceipt, allocate, booked, record_receipt
from lunas.ledger.tables import InvoiceRow, OfferRow
from lunas.receivables.money import Currency, Money

#: Keeps the lock under which amounts are chosen apart from other advisory locks.
_AMOUNTS = 0xA3B1
_REASON = "the transfer was asked for in an amount that stands for this invoice alone"


async def reserve_amount(session: WriteSession, offer_id: int, most: int) -> Money:
    """The amount that this offer asks for from now on: its own less 1 to `most` whole units of the currency.

    The same again for an offer that has one. Where every such amount is taken, the offer's own: then a transfer of it
    needs the invoice's number, as without all this.
    """
    offer = await session.get_one(OfferRow, offer_id)
    invoice = await session.get_one(InvoiceRow, offer.invoice_id)
    currency = invoice.currency
    if offer.claim is None and most > 0:
        if session.locks_rows:
            await session.execute(select(func.pg_advisory_xact_lock(_AMOUNTS)))
        unit = int(10**currency.exponent)
        lowest = offer.amount_minor - most * unit
        claims = await session.scalars(select(OfferRow.claim).where(OfferRow.claim.startswith(f"{currency}/")))
        others = await session.scalars(
            select(OUTSTANDING).where(
                InvoiceRow.currency == currency,
                InvoiceRow.id != invoice.id,
                OUTSTANDING.between(max(lowest, 1), offer.amount_minor),
            )
        )
        taken = {*claims, *(_claim(currency, minor) for minor in others)}
        for steps in _steps(offer.reference, most):
            minor = offer.amount_minor - steps * unit
            if minor > 0 and _claim(currency, minor) not in taken:
                offer.amount_minor, offer.claim = minor, _claim(currency, minor)
                await session.flush()
                break
    return Money(offer.amount_minor, currency)


async def invoice_of_amount(session: LedgerSession, amount: Money) -> str | None:
    """The invoice that a transfer of exactly this amount is for; None where the amount stands for none."""
    number: str | None = await session.scalar(
        select(InvoiceRow.number)
        .join(OfferRow, OfferRow.invoice_id == InvoiceRow.id)
        .where(OfferRow.claim == _claim(amount.currency, amount.minor), OfferRow.voided_at.is_(None))
    )
    return number


async def record_by_amount(session: WriteSession, receipt: NewReceipt) -> Booked:
    """Book a receipt, one that names nothing matched by its amount where that stands for an invoice, and settle that.

    Booked once as `record_receipt` does it, whose errors it raises.
    """
    done = await record_receipt(session, receipt)
    if not done.new or receipt.lines or receipt.customer is not None:
        return done
    number = receipt.invoice
    if number is None:
        number = await invoice_of_amount(session, receipt.amount)
        if number is None:
            return done
        await lock_customer_of(session, number)
        if (await look_at(session, number)).balance.settled:
            return done  # it was paid at this moment: the money waits for a person
        await allocate(session, done.receipt_id, number, by=receipt.by)
    elif done.facts is None or done.facts.balance.settled:
        return done  # nothing is left that could be forgiven
    await forgive_difference(session, number, on=receipt.paid_on, by=receipt.by)
    return await booked(session, done.receipt_id, new=True)


async def forgive_difference(session: WriteSession, number: str, *, on: date, by: str) -> bool:
    """Credit what an offer took off its invoice, where nothing but that is open; True where it did.

    However the asked amount came in, with the invoice's number or without: the customer has paid what we asked for.
    """
    await lock_customer_of(session, number)
    seen = await look_at(session, number)
    offer = await session.scalar(
        select(OfferRow)
        .where(
            OfferRow.invoice_id == seen.invoice.id,
            OfferRow.claim.is_not(None),
            OfferRow.covers_minor - OfferRow.amount_minor == seen.balance.outstanding,
        )
        .limit(1)
    )
    if offer is None or seen.balance.outstanding <= 0:
        return False
    amount = Money(seen.balance.outstanding, seen.invoice.currency)
    await record_credit_note(session, NewCreditNote(offer.reference, number, amount, on, _REASON, by))
    return True


def _claim(currency: Currency, minor: int) -> str:
    return f"{currency}/{minor}"


def _steps(reference: str, most: int) -> Iterator[int]:
    """Every step from 1 to `most` once, beginning where the reference says: neighbours rarely want the same."""
    first = int.from_bytes(hashlib.sha256(reference.encode()).digest()[:8], "big") % most
    return ((first + each) % most + 1 for each in range(most))
