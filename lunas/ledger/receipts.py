"""Money in: receipts and how they are matched to invoices. Nothing that came in is ever lost or booked twice.

What an invoice does not take stays unapplied on its receipt: an overpayment, another currency, an invoice that is not
known yet. All of it happens in one transaction under the customer's lock; `progress.settle` then waits for messages
that were already on their way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import BigInteger, ColumnElement, ScalarSelect, cast, func, select
from sqlalchemy.orm import InstrumentedAttribute

from lunas.ledger.database import LedgerSession, WriteSession, insert_or_ignore
from lunas.ledger.documents import body_digest
from lunas.ledger.errors import NotFound, ReceiptConflict, Refused
from lunas.ledger.facts import Seen, lock_customer_of, lock_number, look_at, note_fact
from lunas.ledger.release import cancel_claimed
from lunas.ledger.tables import (
    AllocationRow,
    DiscountRow,
    InvoiceRow,
    ReceiptRow,
    ReversalPartRow,
    ReversalRow,
)
from lunas.receivables.invoice import Facts
from lunas.receivables.money import Money
from lunas.receivables.terms import Terms


@dataclass(frozen=True, slots=True)
class NewReceipt:
    """Money that came in. `paid_on` is its value date; `invoice` the number that the payer named, if any."""

    provider: str
    reference: str
    amount: Money
    paid_on: date
    by: str
    invoice: str | None = None
    event_id: int | None = None

    @property
    def digest(self) -> str:
        """What makes a repetition the same receipt; who delivered it, and in which event, does not count."""
        return body_digest(
            invoice=self.invoice,
            minor=self.amount.minor,
            currency=self.amount.currency,
            paid_on=self.paid_on,
        )


@dataclass(frozen=True, slots=True)
class Booked:
    """What became of a receipt: `new` says whether it was booked now, or had been before.

    `facts` are those of the invoice it was matched to; None where nothing was matched. `unapplied` waits for a match.
    """

    receipt_id: int
    new: bool
    allocated: Money
    unapplied: Money
    invoice: str | None
    facts: Facts | None


async def record_receipt(session: WriteSession, receipt: NewReceipt) -> Booked:
    """Book a receipt once, and match it to the invoice that it names.

    Raises ReceiptConflict where the reference stands for a receipt that says something else.
    """
    if receipt.amount.minor <= 0:
        raise Refused(f"a receipt of {receipt.amount} cannot be: money that goes back is a reversal")
    customer_known = receipt.invoice is not None and await _lock_if_known(session, receipt.invoice)
    new_id = await session.scalar(
        insert_or_ignore(session, ReceiptRow, "provider", "reference")
        .values(
            provider=receipt.provider,
            reference=receipt.reference,
            digest=receipt.digest,
            named=receipt.invoice,
            currency=receipt.amount.currency,
            amount_minor=receipt.amount.minor,
            paid_on=receipt.paid_on,
            by=receipt.by,
            event_id=receipt.event_id,
            received_at=session.clock(),
        )
        .returning(ReceiptRow.id)
    )
    if new_id is None:
        return await _booked_before(session, receipt)
    if customer_known and receipt.invoice is not None:
        await apply_waiting(session, await look_at(session, receipt.invoice))
    return await booked(session, new_id, new=True)


async def apply_waiting(session: WriteSession, seen: Seen) -> None:
    """Match to the invoice what was paid for it and is unapplied, oldest first; needs the customer's lock.

    This is how a receipt finds its invoice: when it is booked, when the invoice comes after its money, and when a
    reversal opens an invoice that was paid twice.
    """
    waiting = await session.execute(
        select(ReceiptRow, UNAPPLIED)
        .where(
            ReceiptRow.named == seen.invoice.number,
            ReceiptRow.currency == seen.invoice.currency,
            UNAPPLIED > 0,
        )
        .order_by(ReceiptRow.id)
    )
    outstanding = seen.balance.outstanding
    for receipt, unapplied in waiting.all():
        outstanding -= await _match(session, seen, receipt, unapplied, outstanding)
    if outstanding <= 0:
        await cancel_claimed(session, seen.invoice.id)
    await session.flush()


async def allocate(session: WriteSession, receipt_id: int, number: str, *, by: str) -> Booked:
    """Match what is unapplied of a receipt to an invoice, by a person's decision.

    Raises NotFound, or Refused where nothing is unapplied, nothing is owed or the currencies differ.
    """
    await lock_customer_of(session, number)
    receipt = await session.scalar(
        select(ReceiptRow).where(ReceiptRow.id == receipt_id).with_for_update(key_share=True)
    )
    if receipt is None:
        raise NotFound(f"there is no receipt {receipt_id}: check the id in the list of unapplied receipts")
    seen = await look_at(session, number)
    unapplied = await session.scalar(select(UNAPPLIED).where(ReceiptRow.id == receipt_id)) or 0
    if receipt.currency is not seen.invoice.currency:
        raise Refused(f"a receipt in {receipt.currency} cannot pay an invoice in {seen.invoice.currency}")
    if unapplied <= 0:
        raise Refused(f"nothing of receipt {receipt_id} is unapplied: it has been matched or reversed")
    matched = await _match(session, seen, receipt, unapplied, seen.balance.outstanding, by=by)
    if not matched:
        raise Refused(f"nothing is open on invoice {number}: match the receipt to another one, or pay it back")
    if matched >= seen.balance.outstanding:
        await cancel_claimed(session, seen.invoice.id)
    await session.flush()
    return await booked(session, receipt_id, new=False)


async def _match(
    session: WriteSession,
    seen: Seen,
    receipt: ReceiptRow,
    unapplied: int,
    outstanding: int,
    *,
    by: str | None = None,
) -> int:
    """Allocate as much of `unapplied` as is open, with the discount that it earns; returns by how much less is owed."""
    if outstanding <= 0 or unapplied <= 0:
        return 0
    discount = await _discount_earned(session, seen, receipt.paid_on, unapplied, outstanding)
    amount = min(unapplied, outstanding - discount)
    currency = seen.invoice.currency
    detail = f"{Money(amount, currency)} of {receipt.provider} {receipt.reference}, paid on {receipt.paid_on}"
    if discount:
        detail += f"; early-payment discount {Money(discount, currency)}"
    if unapplied > amount:
        detail += f"; unapplied {Money(unapplied - amount, currency)}"
    version = note_fact(
        session, seen.invoice, seen.now, "receipt_allocated", by=by or receipt.by, detail=detail
    )  # fmt: skip
    session.add(
        AllocationRow(
            receipt_id=receipt.id,
            invoice_id=seen.invoice.id,
            amount_minor=amount,
            facts_version=version,
            at=seen.now,
        )
    )
    if discount:
        session.add(
            DiscountRow(
                invoice_id=seen.invoice.id,
                receipt_id=receipt.id,
                amount_minor=discount,
                facts_version=version,
                at=seen.now,
            )
        )
    await session.flush()
    return amount + discount


async def _discount_earned(session: WriteSession, seen: Seen, paid_on: date, amount: int, outstanding: int) -> int:
    """The early-payment discount that this payment earns, in minor units.

    It is earned when the payment and the discount settle the invoice, and everything that settles it carries a value
    date inside the window; the day of booking does not count. Its base is what was billed less credit notes.
    """
    invoice = seen.invoice
    terms = Terms.parse(invoice.terms)
    if terms.discount is None or seen.balance.discount:
        return 0
    latest = await session.scalar(
        select(func.max(ReceiptRow.paid_on))
        .join(AllocationRow, AllocationRow.receipt_id == ReceiptRow.id)
        .where(AllocationRow.invoice_id == invoice.id)
    )
    base = Money(seen.balance.lines - seen.balance.credited, invoice.currency)
    last_value_date = max(paid_on, latest) if latest else paid_on
    discount = terms.discount_on(base, invoice.issued_on, last_value_date).minor
    return discount if amount + discount >= outstanding > discount else 0


def _of_receipt(amount: InstrumentedAttribute[int], receipt_id: InstrumentedAttribute[int]) -> ScalarSelect[int]:
    total = cast(func.coalesce(func.sum(amount), 0), BigInteger)
    return select(total).where(receipt_id == ReceiptRow.id).correlate(ReceiptRow).scalar_subquery()


ALLOCATED = _of_receipt(AllocationRow.amount_minor, AllocationRow.receipt_id) - _of_receipt(
    ReversalPartRow.amount_minor, ReversalPartRow.receipt_id
)
#: What is left of a receipt after what invoices took and what went back.
UNAPPLIED: ColumnElement[int] = (
    ReceiptRow.amount_minor - ALLOCATED - _of_receipt(ReversalRow.amount_minor, ReversalRow.receipt_id)
)


async def booked(session: LedgerSession, receipt_id: int, *, new: bool) -> Booked:
    """How a receipt stands now."""
    row = (
        await session.execute(select(ReceiptRow.currency, ALLOCATED, UNAPPLIED).where(ReceiptRow.id == receipt_id))
    ).one()
    currency, allocated, unapplied = row
    number = await session.scalar(
        select(InvoiceRow.number)
        .join(AllocationRow, AllocationRow.invoice_id == InvoiceRow.id)
        .where(AllocationRow.receipt_id == receipt_id)
        .order_by(AllocationRow.id)
        .limit(1)
    )
    known = (await look_at(session, number)).facts if number else None
    return Booked(receipt_id, new, Money(allocated, currency), Money(unapplied, currency), number, known)


async def _booked_before(session: WriteSession, receipt: NewReceipt) -> Booked:
    row = (
        await session.scalars(
            select(ReceiptRow).where(ReceiptRow.provider == receipt.provider, ReceiptRow.reference == receipt.reference)
        )
    ).one()
    if row.digest != receipt.digest:
        raise ReceiptConflict(
            f"receipt {receipt.reference!r} of {receipt.provider} is booked already as "
            f"{Money(row.amount_minor, row.currency)} paid on {row.paid_on} for {row.named or 'no invoice'}: "
            "a reference stands for one receipt for ever"
        )
    return await booked(session, row.id, new=False)


async def _lock_if_known(session: WriteSession, number: str) -> bool:
    if await _is_locked(session, number):
        return True
    await lock_number(session, number)  # it may be being created at this moment
    return await _is_locked(session, number)


async def _is_locked(session: WriteSession, number: str) -> bool:
    try:
        await lock_customer_of(session, number)
    except NotFound:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Unapplied:
    """A receipt of which something waits for a match, and the invoice number that its payer named."""

    receipt_id: int
    provider: str
    reference: str
    named: str | None
    paid_on: date
    received_at: datetime
    amount: Money
    unapplied: Money


async def unapplied_receipts(session: LedgerSession, limit: int = 200) -> Sequence[Unapplied]:
    """Receipts of which something is unapplied, oldest first."""
    rows = await session.execute(
        select(ReceiptRow, UNAPPLIED).where(UNAPPLIED > 0).order_by(ReceiptRow.id).limit(limit)
    )
    return [
        Unapplied(
            row.id,
            row.provider,
            row.reference,
            row.named,
            row.paid_on,
            row.received_at,
            Money(row.amount_minor, row.currency),
            Money(left, row.currency),
        )
        for row, left in rows
    ]
