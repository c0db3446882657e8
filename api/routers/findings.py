"""What research found about a customer, and a person's decision about it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, Path

from api.errors import NAMED, SENT, documented
from api.keys import Decider, Reader, signed
from api.routes import KeyedRoute
from api.schemas.fields import Code
from api.schemas.upkeep import FindingList, FindingView, Id, SignBody
from api.services import House
from lunas.ledger.customers import customer_by_code
from lunas.ledger.findings import approve_finding, findings_of, reject_finding

router = APIRouter(tags=["customers"], route_class=KeyedRoute)

FindingId = Annotated[Id, Path()]


@router.get("/v1/customers/{code:name}/findings", responses=documented(*NAMED))
async def list_findings(code: Annotated[Code, Path()], house: House, key: Reader) -> FindingList:
    """What research found about a customer, and what was decided about it."""
    async with house.ledger.read() as session:
        await customer_by_code(session, code)
        found = await findings_of(session, code)
        return FindingList(findings=[FindingView.model_validate(one) for one in found])


@router.post("/v1/findings/{finding_id}/approval", status_code=204, responses=documented(*NAMED, *SENT))
async def approve(finding_id: FindingId, body: SignBody, house: House, key: Decider, later: BackgroundTasks) -> None:
    """Make a contact of what research found: from now on it may be written to.

    A landline or a profile is only noted as the customer's, for people to call or to look at.
    """
    async with house.ledger.write() as session:
        await approve_finding(session, finding_id, by=signed(body.by, key))
    later.add_task(house.nudges.deliver_waiting)


@router.post("/v1/findings/{finding_id}/rejection", status_code=204, responses=documented(*NAMED, *SENT))
async def reject(finding_id: FindingId, body: SignBody, house: House, key: Decider) -> None:
    """It is not the customer's, or is not to be used."""
    async with house.ledger.write() as session:
        await reject_finding(session, finding_id, by=signed(body.by, key))
