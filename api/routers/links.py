"""Ending customers' links: to the page of one invoice, or of all of a customer's."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, Path

from api.errors import NAMED, SENT, documented
from api.keys import Decider, signed
from api.routes import KeyedRoute
from api.schemas.fields import Code, Number
from api.schemas.upkeep import RevocationBody
from api.services import House
from lunas.ledger.links import revoke_customer_links, revoke_invoice_links

router = APIRouter(prefix="/v1", route_class=KeyedRoute)


@router.post(
    "/invoices/{number:name}/links/revocation", status_code=204, tags=["invoices"], responses=documented(*NAMED, *SENT)
)
async def revoke_links_of_invoice(
    number: Annotated[Number, Path()], body: RevocationBody, house: House, key: Decider, later: BackgroundTasks
) -> None:
    """End every link to the invoice's page that was made before now; the next message brings a good one.

    Links to stop messages go on working: they show no debt, and only ever stop something.
    """
    async with house.ledger.write() as session:
        await revoke_invoice_links(session, number, by=signed(body.by, key), reason=body.reason)
    later.add_task(house.nudges.deliver, number)


@router.post(
    "/customers/{code:name}/links/revocation", status_code=204, tags=["customers"], responses=documented(*NAMED, *SENT)
)
async def revoke_links_of_customer(
    code: Annotated[Code, Path()], body: RevocationBody, house: House, key: Decider, later: BackgroundTasks
) -> None:
    """End every link to the page of any of the customer's invoices that was made before now."""
    async with house.ledger.write() as session:
        await revoke_customer_links(session, code, by=signed(body.by, key), reason=body.reason)
    later.add_task(house.nudges.deliver_waiting)
