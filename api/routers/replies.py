"""What others say about an invoice, as facts: the customer's answers, and the agency's reports."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, Path

from api.errors import NAMED, SENT, documented
from api.keys import Issuer, signed
from api.routers.payments import acknowledge
from api.routes import KeyedRoute
from api.schemas.fields import Number
from api.schemas.upkeep import AgencyBody, AgencyWord, AnswerBody, FactView
from api.services import House
from lunas.ledger.placements import agency_acknowledged, agency_returned
from lunas.ledger.replies import ask_for_other_way, record_answer
from lunas.receivables.invoice import Facts

router = APIRouter(prefix="/v1/invoices/{number:name}", tags=["replies"], route_class=KeyedRoute)

NumberInPath = Annotated[Number, Path()]


@router.post("/answers", status_code=202, responses=documented(*NAMED, *SENT))
async def customer_answered(
    number: NumberInPath, body: AnswerBody, house: House, key: Issuer, later: BackgroundTasks
) -> FactView:
    """The customer answered. A hold of some days follows; `other_way` brings the offer of other ways to pay forward."""
    by, about = signed(body.by, key), body.about or ""
    async with house.ledger.write() as session:
        if body.other_way:
            await ask_for_other_way(session, number, by=by, about=about)
        facts = await record_answer(session, number, by=by, about=about)
    await acknowledge(house, later, number)
    return _fact(number, facts)


@router.post("/agency-reports", status_code=202, responses=documented(*NAMED, *SENT))
async def agency_reported(
    number: NumberInPath, body: AgencyBody, house: House, key: Issuer, later: BackgroundTasks
) -> FactView:
    """What the agency that has the invoice reports: that it has taken it on, or gives it back."""
    by = signed(body.by, key)
    async with house.ledger.write() as session:
        match body.word:
            case AgencyWord.ACKNOWLEDGED:
                facts = await agency_acknowledged(session, number, by=by, reference=body.reference)
            case AgencyWord.RETURNED:
                facts = await agency_returned(session, number, by=by, reason=body.reason or "")
    later.add_task(house.nudges.deliver, number)
    return _fact(number, facts)


def _fact(number: str, facts: Facts) -> FactView:
    return FactView(number=number, facts_version=facts.version, outstanding_minor=facts.balance.outstanding)
