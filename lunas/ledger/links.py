"""Which links to customers' pages were revoked, and what a good one leads to. No link is stored: see `lunas.links`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select

from lunas.ledger.customers import contacts_of, customer_by_code
from lunas.ledger.database import LedgerSession, WriteSession
from lunas.ledger.errors import NotFound
from lunas.ledger.facts import Seen, lock_customer_of, look_at, note_fact
from lunas.ledger.tables import ContactRow, CustomerRow, InvoiceRow, LinkRevocationRow
from lunas.links import PayLink, mark_of
from lunas.receivables.invoice import CLOSED


@dataclass(frozen=True, slots=True)
class Follower:
    """What a good link leads to: its invoice and customer, and the contact that it was made for (None: nobody)."""

    seen: Seen
    customer: CustomerRow
    contacts: Sequence[ContactRow]
    contact: ContactRow | None


async def follow(session: LedgerSession, link: PayLink) -> Follower:
    """What the link leads to; raises NotFound for a revoked one as for one to an invoice that there is not."""
    seen = await look_at(session, link.number)
    if link.epoch != seen.link_epoch:
        raise _not_good(link)
    customer = await session.get_one(CustomerRow, seen.invoice.customer_id)
    contacts = await contacts_of(session, customer.id)
    contact = None
    if link.mark:
        contact = next((one for one in contacts if link.mark in map(mark_of, _addresses(one))), None)
        if contact is None:
            raise _not_good(link)
    return Follower(seen, customer, contacts, contact)


async def revoke_invoice_links(session: WriteSession, number: str, *, by: str, reason: str) -> None:
    """End every pay link to the invoice that was made before now. Raises NotFound.

    A message that is being prepared is prepared anew, with a good link; what has left has one that is not.
    """
    await lock_customer_of(session, number)
    seen = await look_at(session, number)
    await _revoke(session, seen.invoice.customer_id, [seen.invoice], seen.invoice.id, by=by, reason=reason)


async def revoke_customer_links(session: WriteSession, code: str, *, by: str, reason: str) -> None:
    """End every pay link to any of the customer's invoices that was made before now. Raises NotFound."""
    customer = await customer_by_code(session, code)
    await session.execute(
        select(CustomerRow.id).where(CustomerRow.id == customer.id).with_for_update(of=CustomerRow, key_share=True)
    )
    still_open = await session.scalars(
        select(InvoiceRow)
        .where(InvoiceRow.customer_id == customer.id, InvoiceRow.stage.not_in(CLOSED))
        .order_by(InvoiceRow.id)
        .execution_options(populate_existing=True)
    )
    await _revoke(session, customer.id, still_open.all(), None, by=by, reason=reason)


async def _revoke(
    session: WriteSession,
    customer_id: int,
    concerned: Sequence[InvoiceRow],
    invoice_id: int | None,
    *,
    by: str,
    reason: str,
) -> None:
    now = await session.now()
    session.add(LinkRevocationRow(customer_id=customer_id, invoice_id=invoice_id, by=by, reason=reason, at=now))
    for invoice in concerned:
        note_fact(session, invoice, now, "links_revoked", by=by, reason=reason)
    await session.flush()


def _addresses(contact: ContactRow) -> list[str]:
    return [address for address in (contact.email, contact.phone) if address]


def _not_good(link: PayLink) -> NotFound:
    return NotFound(f"the link to invoice {link.number!r} was revoked, or its address is no longer the customer's")
