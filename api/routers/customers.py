"""Customers and their contacts."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, Path, Query

from api.errors import EVERYWHERE, NAMED, SENT, Kind, Problem, documented
from api.keys import Decider, Issuer, Reader, signed
from api.present import customer_view
from api.quiet import customer_until_quiet
from api.routes import KeyedRoute
from api.schemas.customers import (
    ContactBody,
    ContactChange,
    ContactView,
    CustomerBody,
    CustomerChange,
    CustomerLine,
    CustomerPage,
    CustomerView,
)
from api.schemas.fields import Code, Filter, line
from api.schemas.upkeep import Id, SignBody
from api.services import House
from lunas.ledger import customers as register
from lunas.ledger.customers import contacts_of, customer_by_code
from lunas.ledger.database import LedgerSession
from lunas.receivables.ladder import Channel

router = APIRouter(prefix="/v1/customers", tags=["customers"], route_class=KeyedRoute)

CodeInPath = Annotated[Code, Path()]
ContactId = Annotated[Id, Path()]


class CustomerFilter(Filter):
    """Which customers a list shows."""

    text: Annotated[str, line(100, "Looked for in code and name")] | None = None
    cursor: Annotated[str, line(64, "The `next_cursor` of the page before")] | None = None
    limit: Annotated[int, Query(ge=1, le=200)] = 50


@router.post("", status_code=201, responses=documented(*EVERYWHERE, *SENT))
async def create_customer(body: CustomerBody, house: House, key: Issuer) -> CustomerView:
    """Write a customer down, with its contacts. 409 where the code is taken."""
    if body.policy is not None:
        house.policies.file(body.policy)
    async with house.ledger.write() as session:
        return await customer_view(session, await register.create_customer(session, body.new()))


@router.get("", responses=documented(*EVERYWHERE))
async def list_customers(asked: Annotated[CustomerFilter, Query()], house: House, key: Reader) -> CustomerPage:
    """Customers by code, a page at a time."""
    async with house.ledger.read() as session:
        found, cursor = await register.find_customers(session, asked.text or "", after=asked.cursor, limit=asked.limit)
    return CustomerPage(customers=[CustomerLine.model_validate(one) for one in found], next_cursor=cursor)


@router.get("/{code:name}", responses=documented(*NAMED))
async def get_customer(code: CodeInPath, house: House, key: Reader) -> CustomerView:
    """One customer with its contacts, the first to be tried first."""
    async with house.ledger.read() as session:
        return await customer_view(session, await customer_by_code(session, code))


@router.patch("/{code:name}", responses=documented(*NAMED, *SENT))
async def change_customer(
    code: CodeInPath, body: CustomerChange, house: House, key: Issuer, later: BackgroundTasks
) -> CustomerView:
    """Change what is given; invoices that were issued before keep their calendar and policy."""
    if body.policy is not None:
        house.policies.file(body.policy)
    async with house.ledger.write() as session:
        customer = await register.change_customer(session, code, body.changes(), by=signed(body.by, key))
        view = await customer_view(session, customer)
    later.add_task(house.nudges.deliver_waiting)
    return view


@router.post("/{code:name}/contacts", status_code=201, responses=documented(*NAMED, *SENT))
async def add_contact(
    code: CodeInPath, body: ContactBody, house: House, key: Issuer, later: BackgroundTasks
) -> ContactView:
    """Write a contact down; invoices of a customer whom nobody could reach go on."""
    async with house.ledger.write() as session:
        contact = ContactView.model_validate(
            await register.add_contact(session, code, body.new(), by=signed(None, key))
        )
    later.add_task(house.nudges.deliver_waiting)
    return contact


@router.patch("/{code:name}/contacts/{contact_id}", responses=documented(*NAMED, *SENT))
async def change_contact(
    code: CodeInPath, contact_id: ContactId, body: ContactChange, house: House, key: Issuer, later: BackgroundTasks
) -> ContactView:
    """Put a contact right. A new address starts afresh: it has not bounced, and nobody opted out of it."""
    async with house.ledger.write() as session:
        await check_contact(session, code, contact_id)
        changed = await register.correct_contact(
            session, contact_id, by=signed(body.by, key), email=body.email, phone=body.phone, name=body.name
        )
        contact = ContactView.model_validate(changed)
    later.add_task(house.nudges.deliver_waiting)
    return contact


@router.post("/{code:name}/contacts/{contact_id}/opt-out/{channel}", responses=documented(*NAMED, *SENT))
async def opt_out(
    code: CodeInPath, contact_id: ContactId, channel: Channel, house: House, key: Issuer, later: BackgroundTasks
) -> ContactView:
    """The contact wants no messages through the channel: once this is answered, none leaves any more."""
    async with house.ledger.write() as session:
        await check_contact(session, code, contact_id)
        await register.opt_out(session, contact_id, channel, by=signed(None, key))
        view = await _contact(session, code, contact_id)
    await customer_until_quiet(house.ledger, code)
    later.add_task(house.nudges.deliver_waiting)
    return view


@router.post("/{code:name}/contacts/{contact_id}/erasure", responses=documented(*NAMED, *SENT))
async def erase_contact(
    code: CodeInPath, contact_id: ContactId, body: SignBody, house: House, key: Decider, later: BackgroundTasks
) -> ContactView:
    """Forget a person, for good: name, role, addresses, and what relays and research said about them.

    The contact's number stays, because notices and decisions refer to it, and the journals say who erased it. Once this
    is answered no message leaves to it any more. Again is harmless.
    """
    async with house.ledger.write() as session:
        await check_contact(session, code, contact_id)
        await register.erase_contact(session, contact_id, by=signed(body.by, key))
        view = await _contact(session, code, contact_id)
    await customer_until_quiet(house.ledger, code)
    later.add_task(house.nudges.deliver_waiting)
    return view


async def _contact(session: LedgerSession, code: str, contact_id: int) -> ContactView:
    contacts = await contacts_of(session, (await customer_by_code(session, code)).id)
    return next(ContactView.model_validate(contact) for contact in contacts if contact.id == contact_id)


async def check_contact(session: LedgerSession, code: str, contact_id: int) -> None:
    """Raises a 404 problem where the contact is not this customer's."""
    customer = await customer_by_code(session, code)
    if all(contact.id != contact_id for contact in await contacts_of(session, customer.id)):
        detail = f"customer {code} has no contact {contact_id}: see the customer's contacts"
        raise Problem(Kind.NOT_FOUND, detail)
