"""What operations do by hand for one invoice: what the reconcile schedule does for all."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path

from api.errors import NAMED, SENT, documented
from api.keys import Decider
from api.routers.invoices import WORDS
from api.routes import KeyedRoute
from api.schemas.fields import Number
from api.schemas.upkeep import NudgeView
from api.services import House
from lunas.ledger.views import invoice_view

router = APIRouter(prefix="/v1/invoices/{number:name}", tags=["invoices"], route_class=KeyedRoute)


@router.post("/nudge", responses=documented(*NAMED, *SENT))
async def nudge_invoice(number: Annotated[Number, Path()], house: House, key: Decider) -> NudgeView:
    """Tell the workflow the ledger's news, or start it where it should run and does not. Harmless at any time.

    It also wakes a workflow that rests on an old build, which then moves on to the current one.
    """
    async with house.ledger.read() as session:
        await invoice_view(session, number)
    return NudgeView(number=number, workflow=WORDS[await house.nudges.tell(number)])
