"""Ways to pay that were made for one invoice. They follow the balance: a new balance needs a new one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import or_, select

from lunas.ledger.database import LedgerSession, WriteSession
from lunas.ledger.errors import Conflict, Refused
from lunas.ledger.facts import lock_customer_of, look_at
from lunas.ledger.tables import InvoiceRow, OfferRow
from lunas.receivables.money import Money


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
    """Write an offer down once per (method, reference); the same one is answered again.

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
    if new.amount.currency is not seen.invoice.currency or new.amount.minor <= 0:
        raise Refused(f"an offer of {new.amount} on an invoice in {seen.invoice.currency} cannot be")
    offer = OfferRow(
        invoice_id=seen.invoice.id,
        method=new.method,
        reference=new.reference,
        amount_minor=new.amount.minor,
        instructions=new.instructions,
        url=new.url,
        created_at=seen.now,
        expires_at=new.expires_at,
    )
    session.add(offer)
    await session.flush()
    return offer


async def usable_offers(session: LedgerSession, number: str) -> Sequence[OfferRow]:
    """Offers for exactly what is open now that can still be used, oldest first; raises NotFound."""
    seen = await look_at(session, number)
    rows = await session.scalars(
        select(OfferRow)
        .where(
            OfferRow.invoice_id == seen.invoice.id,
            OfferRow.amount_minor == seen.balance.outstanding,
            OfferRow.voided_at.is_(None),
            or_(OfferRow.expires_at.is_(None), OfferRow.expires_at > seen.now),
        )
        .order_by(OfferRow.id)
    )
    return rows.all()


async def outdated_offers(session: LedgerSession, number: str) -> Sequence[OfferRow]:
    """Offers that are still payable but for another amount than is open: void them at the provider, then here."""
    seen = await look_at(session, number)
    rows = await session.scalars(
        select(OfferRow)
        .where(
            OfferRow.invoice_id == seen.invoice.id,
            OfferRow.amount_minor != seen.balance.outstanding,
            OfferRow.voided_at.is_(None),
            or_(OfferRow.expires_at.is_(None), OfferRow.expires_at > seen.now),
        )
        .order_by(OfferRow.id)
    )
    return rows.all()


async def void_offer(session: WriteSession, offer_id: int) -> None:
    """The provider takes no more money on it; saying so twice is harmless."""
    offer = await session.get_one(OfferRow, offer_id)
    if offer.voided_at is None:
        offer.voided_at = await session.now()
        await session.flush()


async def invoice_of_offer(session: LedgerSession, method: str, reference: str) -> str | None:
    """The invoice that a payment on this offer is for, old and void ones included; None where it is not ours."""
    number: str | None = await session.scalar(
        select(InvoiceRow.number)
        .join(OfferRow, OfferRow.invoice_id == InvoiceRow.id)
        .where(OfferRow.method == method, OfferRow.reference == reference)
    )
    return number
