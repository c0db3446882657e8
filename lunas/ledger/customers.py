"""The register of customers and their contacts: whom we may write to, where, and in which language."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypedDict

from sqlalchemy import String, bindparam, cast, or_, select, update

from lunas.ledger.database import LedgerSession, WriteSession, insert_or_ignore
from lunas.ledger.errors import Conflict, NotFound
from lunas.ledger.facts import note_fact
from lunas.ledger.kinds import AddressState, ContactSource, Language
from lunas.ledger.tables import ContactRow, CustomerRow, FindingRow, InvoiceRow, NoticeRow
from lunas.receivables.calendar import zone
from lunas.receivables.invoice import CLOSED
from lunas.receivables.ladder import Channel

_BY_CODE = select(CustomerRow).where(CustomerRow.code == bindparam("code"))
_CONTACTS = (
    select(ContactRow)
    .where(ContactRow.customer_id == bindparam("customer"))
    .order_by(ContactRow.priority, ContactRow.id)
    .execution_options(populate_existing=True)
)


@dataclass(frozen=True, slots=True)
class NewContact:
    """A contact to be written down. `phone` is in E.164; a lower `priority` is tried first."""

    name: str | None = None
    role: str | None = None
    email: str | None = None
    phone: str | None = None
    language: Language | None = None
    source: ContactSource = ContactSource.REGISTER
    approved: bool = True
    priority: int = 100


@dataclass(frozen=True, slots=True)
class NewCustomer:
    """A customer to be written down."""

    code: str
    name: str
    language: Language = Language.INDONESIAN
    time_zone: str = "Asia/Jakarta"
    postal_address: str | None = None
    website: str | None = None
    policy_name: str | None = None
    contacts: tuple[NewContact, ...] = ()


class CustomerChanges(TypedDict, total=False):
    """What is to change about a customer; what is left out stays as it is, and None empties what may be empty."""

    name: str
    language: Language
    time_zone: str
    postal_address: str | None
    website: str | None
    policy_name: str | None


@dataclass(frozen=True, slots=True)
class Reachable:
    """A contact that may be written to through a channel; `version` changes whenever the contact does."""

    contact_id: int
    version: int
    name: str | None
    address: str
    language: Language


def address_of(contact: ContactRow, channel: Channel) -> str | None:
    """The contact's address for the channel, if it may be used."""
    match channel:
        case Channel.EMAIL:
            usable = contact.email if contact.email_state is AddressState.OK else None
        case Channel.SMS:
            usable = contact.phone if contact.phone_state is AddressState.OK else None
    return usable if contact.approved else None


async def create_customer(session: WriteSession, new: NewCustomer) -> CustomerRow:
    """Write a customer down; raises Conflict if the code is taken, CalendarError for an unknown time zone."""
    zone(new.time_zone)
    now = await session.now()
    customer_id = await session.scalar(
        insert_or_ignore(session, CustomerRow, "code")
        .values(
            code=new.code,
            name=new.name,
            language=new.language,
            time_zone=new.time_zone,
            postal_address=new.postal_address,
            website=new.website,
            policy_name=new.policy_name,
            created_at=now,
        )
        .returning(CustomerRow.id)
    )
    if customer_id is None:
        raise Conflict(f"customer {new.code!r} exists already: change that one, or choose another code")
    session.add_all(_row(customer_id, contact, now) for contact in new.contacts)
    await session.flush()
    return await session.get_one(CustomerRow, customer_id)


async def change_customer(session: WriteSession, code: str, changes: CustomerChanges, *, by: str) -> CustomerRow:
    """Change what is given; raises NotFound, and CalendarError for an unknown time zone.

    Every open invoice of the customer gets a line in its journal that names what was changed (never the values: they
    are personal data), and a new version of its facts: a message that is being prepared is then prepared anew. Invoices
    keep the calendar and the policy that they were issued with.
    """
    if "time_zone" in changes:
        zone(changes["time_zone"])
    customer = await _lock_customer(session, code)
    changed = [column for column, value in changes.items() if getattr(customer, column) != value]
    for column in changed:
        setattr(customer, column, changes[column])  # type: ignore[literal-required]
    if changed:
        await session.flush()
        detail = ", ".join(column.replace("_", " ") for column in changed)
        await _note_on_open_invoices(session, customer.id, "customer_changed", by=by, detail=detail)
    return customer


async def customer_by_code(session: LedgerSession, code: str) -> CustomerRow:
    """The customer of that code; raises NotFound."""
    customer: CustomerRow | None = await session.scalar(_BY_CODE, {"code": code})
    if customer is None:
        raise NotFound(f"there is no customer {code!r}: check the code, or create the customer first")
    return customer


async def contacts_of(session: LedgerSession, customer_id: int) -> Sequence[ContactRow]:
    """The customer's contacts, the first to be tried first."""
    return (await session.scalars(_CONTACTS, {"customer": customer_id})).all()


def best_of(contacts: Sequence[ContactRow], channel: Channel, language: Language) -> Reachable | None:
    """The first approved contact that the channel reaches; `language` is the customer's."""
    for contact in contacts:
        if address := address_of(contact, channel):
            return Reachable(contact.id, contact.version, contact.name, address, contact.language or language)
    return None


async def best_contact(session: LedgerSession, code: str, channel: Channel) -> Reachable | None:
    """Whom to write to through the channel; None if there is nobody. Raises NotFound for an unknown customer."""
    customer = await customer_by_code(session, code)
    return best_of(await contacts_of(session, customer.id), channel, customer.language)


def is_reachable(contacts: Sequence[ContactRow]) -> bool:
    """Whether any approved contact is left that any channel reaches."""
    return any(address_of(contact, channel) for contact in contacts for channel in Channel)


async def add_contact(session: WriteSession, code: str, new: NewContact, *, by: str) -> ContactRow:
    """Write a contact down; the customer becomes reachable again if it was not. Raises NotFound."""
    customer = await _lock_customer(session, code)
    now = await session.now()
    contact = _row(customer.id, new, now)
    session.add(contact)
    await session.flush()
    await reachability_changed(session, customer.id, now, by=by, detail=f"contact {contact.id} added")
    return contact


async def correct_contact(
    session: WriteSession,
    contact_id: int,
    *,
    by: str,
    email: str | None = None,
    phone: str | None = None,
    name: str | None = None,
) -> ContactRow:
    """Put a contact right. A new address starts afresh: it has not bounced, and nobody opted out of it."""
    contact, now = await _lock_contact(session, contact_id)
    if email is not None:
        contact.email, contact.email_state = email, AddressState.OK
    if phone is not None:
        contact.phone, contact.phone_state = phone, AddressState.OK
    if name is not None:
        contact.name = name
    contact.approved = True
    contact.version += 1
    await session.flush()
    await reachability_changed(session, contact.customer_id, now, by=by, detail=f"contact {contact_id} corrected")
    return contact


async def mark_undeliverable(session: WriteSession, contact_id: int, channel: Channel, code: str) -> None:
    """The contact cannot be reached through the channel any more; `code` is what the relay or the gateway said."""
    contact, now = await _lock_contact(session, contact_id)
    set_state(contact, channel, AddressState.BOUNCED)
    await session.flush()
    detail = f"contact {contact_id} unreachable by {channel}: {code}"
    await reachability_changed(session, contact.customer_id, now, by="lunas", detail=detail)


async def opt_out(session: WriteSession, contact_id: int, channel: Channel, *, by: str) -> None:
    """The contact does not want to hear from us through the channel. Final, until the contact is corrected.

    Nothing more leaves to it through that channel once `settle` has returned for the customer's open invoices.
    """
    contact, now = await _lock_contact(session, contact_id)
    set_state(contact, channel, AddressState.OPTED_OUT)
    await session.flush()
    detail = f"contact {contact_id} opted out of {channel}"
    await reachability_changed(session, contact.customer_id, now, by=by, detail=detail)


async def erase_contact(session: WriteSession, contact_id: int, *, by: str) -> None:
    """Forget a person: name, addresses, and what relays and research said about them. Raises NotFound.

    The row stays, empty, because notices and decisions refer to it by its id; nothing leaves to it any more.
    """
    contact, now = await _lock_contact(session, contact_id)
    for value in (contact.email, contact.phone):
        if value is not None:
            await session.execute(
                update(FindingRow)
                .where(FindingRow.customer_id == contact.customer_id, FindingRow.value == value)
                .values(value="erased " + cast(FindingRow.id, String), evidence={})
            )
    await session.execute(update(NoticeRow).where(NoticeRow.contact_id == contact_id).values(answer=None))
    contact.name = contact.role = contact.email = contact.phone = None
    contact.approved = False
    contact.version += 1
    await session.flush()
    erased = f"contact {contact_id} erased"
    await _note_on_open_invoices(session, contact.customer_id, "contact_erased", by=by, detail=erased)
    await reachability_changed(session, contact.customer_id, now, by=by, detail=erased)


async def contact_lost(session: WriteSession, contact: ContactRow, channel: Channel, now: datetime) -> None:
    """For the gate, which holds the lock: the relay refused the address for good."""
    set_state(contact, channel, AddressState.BOUNCED)
    await session.flush()
    detail = f"contact {contact.id} unreachable by {channel}: refused for good"
    await reachability_changed(session, contact.customer_id, now, by="lunas", detail=detail)


def set_state(contact: ContactRow, channel: Channel, state: AddressState) -> None:
    """Change what is known of the contact's address for a channel; an opt-out is never weakened to a bounce."""
    match channel:
        case Channel.EMAIL:
            if contact.email_state is not AddressState.OPTED_OUT:
                contact.email_state = state
        case Channel.SMS:
            if contact.phone_state is not AddressState.OPTED_OUT:
                contact.phone_state = state
    contact.version += 1


async def reachability_changed(session: WriteSession, customer_id: int, now: datetime, *, by: str, detail: str) -> None:
    """Let every open invoice know if the customer became unreachable, or reachable again; needs the lock."""
    reachable = is_reachable(await contacts_of(session, customer_id))
    changed = await session.scalars(
        select(InvoiceRow)
        .where(
            InvoiceRow.customer_id == customer_id,
            InvoiceRow.stage.not_in(CLOSED),
            InvoiceRow.reachable.is_not(reachable),
        )
        .execution_options(populate_existing=True)
    )
    for invoice in changed:
        invoice.reachable = reachable
        note_fact(session, invoice, now, "contact_found" if reachable else "contact_lost", by=by, detail=detail)
    await session.flush()


async def _note_on_open_invoices(session: WriteSession, customer_id: int, event: str, *, by: str, detail: str) -> None:
    """A line in the journal of each open invoice of the customer, and its next version; needs the lock."""
    now = await session.now()
    still_open = await session.scalars(
        select(InvoiceRow)
        .where(InvoiceRow.customer_id == customer_id, InvoiceRow.stage.not_in(CLOSED))
        .order_by(InvoiceRow.id)
        .execution_options(populate_existing=True)
    )
    for invoice in still_open:
        note_fact(session, invoice, now, event, by=by, detail=detail)
    await session.flush()


async def _lock_customer(session: WriteSession, code: str) -> CustomerRow:
    statement = select(CustomerRow).where(CustomerRow.code == code).with_for_update(key_share=True)
    customer = await session.scalar(statement.execution_options(populate_existing=True))
    if customer is None:
        raise NotFound(f"there is no customer {code!r}: check the code, or create the customer first")
    return customer


async def _lock_contact(session: WriteSession, contact_id: int) -> tuple[ContactRow, datetime]:
    await session.execute(
        select(CustomerRow.id)
        .join(ContactRow, ContactRow.customer_id == CustomerRow.id)
        .where(ContactRow.id == contact_id)
        .with_for_update(of=CustomerRow, key_share=True)
    )
    row = (
        await session.execute(
            select(ContactRow, session.clock())
            .where(ContactRow.id == contact_id)
            .execution_options(populate_existing=True)
        )
    ).one_or_none()
    if row is None:
        raise NotFound(f"there is no contact {contact_id}: check the id in the customer's contacts")
    return row[0], row[1]


async def find_customers(
    session: LedgerSession, text: str = "", *, after: str | None = None, limit: int = 50
) -> tuple[Sequence[CustomerRow], str | None]:
    """A page of customers whose code or name contains the text, by code, and the cursor of the next page.

    The cursor is the last code of the page; None on the last one.
    """
    statement = select(CustomerRow).order_by(CustomerRow.code).limit(limit + 1)
    if text:
        columns = (CustomerRow.code, CustomerRow.name)
        statement = statement.where(or_(*(column.icontains(text, autoescape=True) for column in columns)))
    if after is not None:
        statement = statement.where(CustomerRow.code > after)
    found = (await session.scalars(statement)).all()
    page = found[:limit]
    return page, page[-1].code if len(found) > limit else None


def _row(customer_id: int, new: NewContact, now: datetime) -> ContactRow:
    return ContactRow(
        customer_id=customer_id,
        name=new.name,
        role=new.role,
        email=new.email,
        phone=new.phone,
        language=new.language,
        source=new.source,
        approved=new.approved,
        priority=new.priority,
        created_at=now,
    )
