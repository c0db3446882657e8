"""A customer's account of one invoice, for those who take the collecting over or make ways to pay. Personal data."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from sqlalchemy import select

from lunas.briefs import InvoiceBrief, Recipient
from lunas.ledger.briefing import invoice_brief
from lunas.ledger.customers import contacts_of
from lunas.ledger.database import LedgerSession
from lunas.ledger.facts import look_at
from lunas.ledger.journal import journal_of
from lunas.ledger.tables import CustomerRow
from lunas.ledger.views import lines_of
from lunas.links import PayLink
from lunas.receivables.calendar import zone

_MOST_HISTORY = 500


@dataclass(frozen=True, slots=True)
class Account:
    """One invoice, whom it concerns with every way to reach them, and what happened so far, oldest first.

    Days are those of the customer's `time_zone`.
    """

    invoice: InvoiceBrief
    to: Recipient
    emails: tuple[str, ...]
    phones: tuple[str, ...]
    history: tuple[tuple[date, str], ...]
    time_zone: str
    link: PayLink


async def account_of(session: LedgerSession, number: str, today: date) -> Account:
    """The account of the invoice as it is on `today`; raises NotFound."""
    seen = await look_at(session, number)
    customer = (await session.scalars(select(CustomerRow).where(CustomerRow.id == seen.invoice.customer_id))).one()
    contacts = [contact for contact in await contacts_of(session, customer.id) if contact.approved]
    emails = tuple(contact.email for contact in contacts if contact.email)
    phones = tuple(contact.phone for contact in contacts if contact.phone)
    rows, _ = await journal_of(session, number, limit=_MOST_HISTORY)
    local = zone(customer.time_zone)
    return Account(
        invoice=invoice_brief(seen, await lines_of(session, number), today),
        to=Recipient(
            customer_code=customer.code,
            customer_name=customer.name,
            contact_name=next((contact.name for contact in contacts if contact.name), None),
            address=next(iter((*emails, *phones)), ""),
            language=customer.language.value,
            postal_address=customer.postal_address,
        ),
        emails=emails,
        phones=phones,
        history=tuple(
            (row.at.astimezone(local).date(), f"{row.event.replace('_', ' ')}{f': {row.detail}' if row.detail else ''}")
            for row in rows
        ),
        time_zone=customer.time_zone,
        link=PayLink(number, seen.link_epoch),
    )
