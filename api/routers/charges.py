"""Late interest and fees: looked at, claimed, waived. A policy that claims does so by itself, with its follow-ups."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, Path, Query

from api.errors import EVERYWHERE, NAMED, SENT, documented
from api.keys import Decider, Reader, signed
from api.present import charge_view, interest_view
from api.routers.payments import acknowledge
from api.routes import KeyedRoute
from api.schemas.charges import AccruedList, AccruedView, ChargeBody, ChargeView, InterestFilter, InterestView
from api.schemas.fields import Number
from api.services import House
from lunas.ledger.late_payment import ChargeDecision, accrued_totals, claim_by_hand, late_payment_of, waive_by_hand
from lunas.receivables.calendar import zone
from lunas.receivables.money import Money

router = APIRouter(tags=["late payment"], route_class=KeyedRoute)

NumberInPath = Annotated[Number, Path()]


@router.get("/v1/invoices/{number:name}/interest", responses=documented(*NAMED))
async def get_interest(
    number: NumberInPath, asked: Annotated[InterestFilter, Query()], house: House, key: Reader
) -> InterestView:
    """Late interest and the late fee of an invoice as of a day: worked out from the facts, by days."""
    async with house.ledger.read() as session:
        return interest_view(await late_payment_of(session, number, asked.as_of))


@router.get("/v1/interest", responses=documented(*EVERYWHERE))
async def get_accrued_interest(asked: Annotated[InterestFilter, Query()], house: House, key: Reader) -> AccruedList:
    """Interest on all open invoices whose policy counts it, by currency; what was claimed or waived is not in it."""
    async with house.ledger.read() as session:
        today = (await session.now()).astimezone(zone(house.settings.company_time_zone)).date()
        as_of = asked.as_of or today
        totals = await accrued_totals(session, as_of)
    return AccruedList(as_of=as_of, totals=[AccruedView.model_validate(one) for one in totals])


@router.post("/v1/invoices/{number:name}/charges", status_code=202, responses=documented(*NAMED, *SENT))
async def claim_charge(
    number: NumberInPath, body: ChargeBody, house: House, key: Decider, later: BackgroundTasks
) -> ChargeView:
    """Claim late interest or the late fee: from now on it is owed. One reference is claimed once.

    A paid invoice on which something is claimed is open again.
    """
    async with house.ledger.write() as session:
        decided = await claim_by_hand(session, _decision(number, body, signed(body.by, key)))
    await acknowledge(house, later, number)
    return charge_view(number, body.kind, decided)


@router.post("/v1/invoices/{number:name}/waivers", status_code=202, responses=documented(*NAMED, *SENT))
async def waive_charge(
    number: NumberInPath, body: ChargeBody, house: House, key: Decider, later: BackgroundTasks
) -> ChargeView:
    """Give late interest or the late fee up, before it is claimed. The reason and the name are kept."""
    async with house.ledger.write() as session:
        decided = await waive_by_hand(session, _decision(number, body, signed(body.by, key)))
    later.add_task(house.nudges.deliver, number)
    return charge_view(number, body.kind, decided)


def _decision(number: str, body: ChargeBody, by: str) -> ChargeDecision:
    amount = Money(body.amount_minor, body.currency) if body.amount_minor and body.currency else None
    return ChargeDecision(number, body.kind, by, body.reason, body.on, amount, body.reference)
