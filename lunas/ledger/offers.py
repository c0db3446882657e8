"""Ways to pay that were made for one invoice. They follow the balance: a new balance needs a new one.

An offer is begun here before its provider is asked, under a reference of ours that the provider keeps and every payment
names. So whatever a crash leaves behind, a payment is matched by that reference, and asking again makes no second one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, exists, func, or_, select

from lunas.ledger.database import LedgerSession, WriteSession
from lunas.ledger.errors import Conflict, Refused
from lunas.ledger.facts import OUTSTANDING, Seen, lock_customer_of, look_at
from lunas.ledger.tables import InvoiceRow, OfferRow
from lunas.receivables.invoice import Stage
from lunas.receivables.money import Money

#: The method of an offer that is a transfer to our own accounts.
BANK_TRANSFER = "bank_transfer"
#: A provider that said no to an amount is not asked for the same one again before this.
REFUSED_FOR = timedelta(days=1)
#: Where people gave the claim up; `paid` may be the workflow's last word on an invoice that a reversal has reopened.
_GIVEN_UP = (Stage.WRITTEN_OFF, Stage.CANCELLED)


@dataclass(frozen=True, slots=True)
class NewOffer:
    """A way to pay: `instructions` are what the customer needs to know, `reference` is the provider's."""

    invoice: str
    method: str
    reference: str
    amount: Money
    instructions: dict[str, Any]
    url: str | None = None
    expires_at: datetime | None = None


async def record_offer(session: WriteSession, new: NewOffer) -> OfferRow:
    """Write down an offer that is ready, once per (method, reference); the same one is answered again.

    Raises NotFound, Conflict for a reference of another invoice, Refused for another currency or no amount.
    """
    await lock_customer_of(session, new.invoice)
    seen = await look_at(session, new.invoice)
    before = await session.scalar(
        select(OfferRow).where(OfferRow.method == new.method, OfferRow.reference == new.reference)
    )
    if before is not None:
        if (before.invoice_id, before.amount_minor) != (seen.invoice.id, new.amount.minor):
            raise Conflict(f"{new.method} {new.reference!r} stands for another offer already")
        return before
    _check(seen, new.amount)
    offer = OfferRow(
        invoice_id=seen.invoice.id,
        method=new.method,
        reference=new.reference,
        amount_minor=new.amount.minor,
        instructions=new.instructions,
        url=new.url,
        created_at=seen.now,
        expires_at=new.expires_at,
        maker=new.method,
        covers_minor=new.amount.minor,
        ready_at=seen.now,
    )
    session.add(offer)
    await session.flush()
    return offer


async def begin_offer(
    session: WriteSession, number: str, *, maker: str, method: str, amount: Money, expires_at: datetime | None = None
) -> OfferRow:
    """The offer of this maker for what is open now: the one that is there, or a new one for the provider to be asked.

    `amount` is what is to be paid to settle the invoice: what is open, or less while a discount can be earned. The one
    that is there may be ready, asked for, or refused (`failure`). Raises NotFound, Refused as `record_offer` does.
    """
    await lock_customer_of(session, number)
    seen = await look_at(session, number)
    _check(seen, amount)
    outstanding = seen.balance.outstanding
    found = await session.scalar(
        select(OfferRow)
        .where(
            OfferRow.invoice_id == seen.invoice.id,
            OfferRow.maker == maker,
            OfferRow.covers_minor == outstanding,
            _is_live(seen.now),
        )
        .order_by(OfferRow.id.desc())
        .limit(1)
    )
    if found is not None:
        return found
    earlier = await session.scalar(
        select(func.count()).where(OfferRow.invoice_id == seen.invoice.id, OfferRow.maker == maker)
    )
    offer = OfferRow(
        invoice_id=seen.invoice.id,
        method=method,
        reference=reference_of(number, maker, earlier or 0),
        amount_minor=amount.minor,
        instructions={},
        created_at=seen.now,
        expires_at=expires_at,
        maker=maker,
        covers_minor=outstanding,
    )
    session.add(offer)
    await session.flush()
    return offer


async def offer_is_ready(
    session: WriteSession,
    offer_id: int,
    *,
    instructions: dict[str, str],
    provider_id: str | None = None,
    url: str | None = None,
    qr: str | None = None,
    expires_at: datetime | None = None,
) -> bool:
    """The provider has it, until `expires_at` (None: until it is voided).

    False where it was voided meanwhile: then it must be voided at the provider too.
    """
    offer = await session.get_one(OfferRow, offer_id, with_for_update={"key_share": True})
    if offer.ready_at is None:
        offer.ready_at = await session.now()
        offer.failure = None
    offer.instructions = dict(instructions)
    offer.provider_id, offer.url, offer.qr = provider_id, url, qr
    offer.expires_at = expires_at
    await session.flush()
    return offer.voided_at is None


async def offer_was_refused(session: WriteSession, offer_id: int, code: str) -> None:
    """The provider said no, for the reason `code`: it is not asked for the same again for a day."""
    offer = await session.get_one(OfferRow, offer_id)
    offer.failure = code[:80]
    offer.expires_at = await session.now() + REFUSED_FOR
    await session.flush()


async def usable_offers(session: LedgerSession, number: str) -> Sequence[OfferRow]:
    """Offers that settle exactly what is open now and can still be used, oldest first; raises NotFound."""
    seen = await look_at(session, number)
    rows = await session.scalars(
        select(OfferRow)
        .where(
            OfferRow.invoice_id == seen.invoice.id,
            OfferRow.covers_minor == seen.balance.outstanding,
            OfferRow.ready_at.is_not(None),
            _is_live(seen.now),
        )
        .order_by(OfferRow.id)
    )
    return rows.all()


async def outdated_offers(session: LedgerSession, number: str) -> Sequence[OfferRow]:
    """Offers that are still payable but for another balance than is open: void them at the provider, then here.

    Those whose provider has not answered, or whose time is over, are among them: nobody knows what became of the first,
    and the second may hold an amount. All of them where the invoice was cancelled.
    """
    seen = await look_at(session, number)
    wrong = OfferRow.covers_minor != seen.balance.outstanding
    over = OfferRow.expires_at <= seen.now
    if seen.invoice.stage is Stage.CANCELLED:
        wrong = OfferRow.covers_minor > 0
    rows = await session.scalars(
        select(OfferRow)
        .where(OfferRow.invoice_id == seen.invoice.id, OfferRow.voided_at.is_(None), or_(wrong, over))
        .order_by(OfferRow.id)
    )
    return rows.all()


async def void_offer(session: WriteSession, offer_id: int) -> None:
    """The provider takes no more money on it, and its amount is free; saying so twice is harmless."""
    offer = await session.get_one(OfferRow, offer_id)
    if offer.voided_at is None:
        offer.voided_at = await session.now()
        offer.claim = None
        await session.flush()


async def makers_of(session: LedgerSession, number: str) -> frozenset[str]:
    """Who has made an offer for this invoice, ever; empty where none was offered. Raises NotFound."""
    seen = await look_at(session, number)
    rows = await session.scalars(select(OfferRow.maker).where(OfferRow.invoice_id == seen.invoice.id).distinct())
    return frozenset(rows)


async def are_wanted(session: LedgerSession, number: str) -> bool:
    """Whether ways to pay were offered before, or the customer has asked for them. Raises NotFound."""
    seen = await look_at(session, number)
    return seen.invoice.other_way or bool(await makers_of(session, number))


async def is_to_be_offered(session: LedgerSession, number: str) -> bool:
    """Whether ways to pay may be offered now: something is open, and nobody gave the claim up. Raises NotFound."""
    seen = await look_at(session, number)
    return seen.balance.outstanding > 0 and seen.invoice.stage not in _GIVEN_UP


async def needs_other_offers(session: LedgerSession, number: str) -> bool:
    """Whether the invoice's offers do not fit what is open now."""
    return await session.scalar(_to_follow(session.clock()).where(InvoiceRow.number == number).limit(1)) is not None


async def invoices_to_follow(session: LedgerSession, limit: int = 200) -> Sequence[str]:
    """Numbers of invoices whose offers do not fit what is open now, or were left half made."""
    rows = await session.execute(_to_follow(session.clock()).order_by(InvoiceRow.id).limit(limit))
    return [number for (number,) in rows]


async def invoice_of_offer(session: LedgerSession, method: str, reference: str) -> str | None:
    """The invoice that a payment on this offer is for, old and void ones included; None where it is not ours."""
    number: str | None = await session.scalar(
        select(InvoiceRow.number)
        .join(OfferRow, OfferRow.invoice_id == InvoiceRow.id)
        .where(OfferRow.method == method, OfferRow.reference == reference)
    )
    return number


def reference_of(number: str, maker: str, ordinal: int) -> str:
    """Our name for the `ordinal`-th offer of this maker for the invoice: letters, digits and a hyphen, 23 of them.

    It fits the narrowest place that it travels in (a QRIS code's 25 characters), and says nothing of the customer.
    """
    named = "\0".join((number, maker, str(ordinal)))
    return f"LN-{hashlib.sha256(named.encode()).hexdigest()[:20]}"


def _check(seen: Seen, amount: Money) -> None:
    if amount.currency is not seen.invoice.currency or amount.minor <= 0:
        raise Refused(f"an offer of {amount} on an invoice in {seen.invoice.currency} cannot be")


def _to_follow(now: ColumnElement[datetime]) -> Select[str]:
    """Invoices with an offer that is not void although it should be, or with none where one was made or asked for."""
    its = OfferRow.invoice_id == InvoiceRow.id
    wrong = (OfferRow.covers_minor != OUTSTANDING) | (InvoiceRow.stage == Stage.CANCELLED)
    # Its provider may be being asked at this moment: asking twice under one reference is harmless.
    half_made = OfferRow.ready_at.is_(None) & OfferRow.failure.is_(None)
    outdated = exists().where(its, OfferRow.voided_at.is_(None), wrong | (OfferRow.expires_at <= now) | half_made)
    offered = exists().where(its)
    fits = exists().where(its, _is_live(now), OfferRow.covers_minor == OUTSTANDING)
    lacking = (offered | InvoiceRow.other_way) & ~fits & (OUTSTANDING > 0) & InvoiceRow.stage.not_in(_GIVEN_UP)
    return select(InvoiceRow.number).where(outdated | lacking)


def _is_live(now: datetime | ColumnElement[datetime]) -> ColumnElement[bool]:
    return OfferRow.voided_at.is_(None) & or_(OfferRow.expires_at.is_(None), OfferRow.expires_at > now)
