"""The right contact of an invoice's customer: put right in the ledger first, then the workflow goes on with it."""

from __future__ import annotations

from fastapi import APIRouter

from api.errors import ASKED, NAMED, documented
from api.routers.customers import check_contact
from api.routers.requests import AtDesk
from api.routes import KeyedRoute
from api.schemas.requests import InvoiceContactBody, RequestView
from lunas.ledger import customers as register
from lunas.ledger.customers import NewContact, contacts_of, customer_by_code
from lunas.ledger.database import WriteSession
from lunas.ledger.kinds import ContactSource
from lunas.ledger.tables import ContactRow
from workflows import messages as m

router = APIRouter(prefix="/v1/invoices/{number:name}", tags=["requests"], route_class=KeyedRoute)


@router.post("/contact", responses=documented(*NAMED, *ASKED))
async def correct_contact(body: InvoiceContactBody, desk: AtDesk) -> RequestView:
    """Put the contact right, or write a new one down, and go on at the same rung.

    Sending it again is harmless: an address that is there already is not written down twice.
    """
    invoice, by = await desk.invoice(), desk.by(body.by)
    async with desk.house.ledger.write() as session:
        if body.contact_id is not None:
            await check_contact(session, invoice.customer, body.contact_id)
        known = body.contact_id or await _with_address(session, invoice.customer, body)
        if known is not None:
            await register.correct_contact(session, known, by=by, email=body.email, phone=body.phone, name=body.name)
        else:
            new = NewContact(name=body.name, email=body.email, phone=body.phone, source=ContactSource.STAFF)
            await register.add_contact(session, invoice.customer, new, by=by)
    await desk.house.nudges.deliver_waiting()
    return await desk.ask("correct_contact", m.CorrectContact(by, body.reason or ""))


async def _with_address(session: WriteSession, code: str, body: InvoiceContactBody) -> int | None:
    """The id of the customer's contact that has this address already."""
    customer = await customer_by_code(session, code)
    contacts = await contacts_of(session, customer.id)
    return next((one.id for one in contacts if _is_same(one, body)), None)


def _is_same(known: ContactRow, body: InvoiceContactBody) -> bool:
    return (body.email is not None and known.email == body.email) or (
        body.phone is not None and known.phone == body.phone
    )
