"""The switch that stops all sending, and notices whose outcome nobody knows."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, Path

from api.errors import EVERYWHERE, NAMED, SENT, documented
from api.keys import Admin, Decider, Reader, signed
from api.routes import KeyedRoute
from api.schemas.upkeep import Id, SettlementBody, SwitchView, TurnBody, UnsettledList, UnsettledView
from api.services import House
from lunas.ledger.database import LedgerSession
from lunas.ledger.notices import settle_unknown, unsettled
from lunas.ledger.switches import resume_sending, sending_stopped, stop_sending

router = APIRouter(tags=["sending"], route_class=KeyedRoute)


@router.get("/v1/sending", responses=documented(*EVERYWHERE))
async def show_switch(house: House, key: Reader) -> SwitchView:
    """Whether messages leave at all."""
    async with house.ledger.read() as session:
        return await _switch(session)


@router.post("/v1/sending/stop", responses=documented(*EVERYWHERE, *SENT))
async def stop_all_sending(body: TurnBody, house: House, key: Admin) -> SwitchView:
    """Stop all sending, to everybody, at once."""
    async with house.ledger.write() as session:
        await stop_sending(session, by=signed(body.by, key), reason=body.reason)
        return await _switch(session)


@router.post("/v1/sending/resume", responses=documented(*EVERYWHERE, *SENT))
async def resume_all_sending(body: TurnBody, house: House, key: Admin) -> SwitchView:
    """Let messages leave again; what waited asks again within a quarter of an hour."""
    async with house.ledger.write() as session:
        await resume_sending(session, by=signed(body.by, key), reason=body.reason)
        return await _switch(session)


async def _switch(session: LedgerSession) -> SwitchView:
    stopped = await sending_stopped(session)
    if stopped is None:
        return SwitchView(stopped=False)
    return SwitchView(stopped=True, by=stopped.by, reason=stopped.reason, since=stopped.at)


@router.get("/v1/notices/unsettled", responses=documented(*EVERYWHERE))
async def list_unsettled(house: House, key: Reader) -> UnsettledList:
    """Notices that may or may not have been sent: the relay's answer was lost."""
    async with house.ledger.read() as session:
        return UnsettledList(notices=[UnsettledView.model_validate(one) for one in await unsettled(session)])


@router.post("/v1/notices/{notice_id}/settlement", responses=documented(*NAMED, *SENT))
async def settle_notice(
    notice_id: Annotated[Id, Path()], body: SettlementBody, house: House, key: Decider, later: BackgroundTasks
) -> UnsettledView:
    """Settle whether such a notice was sent, by the relay's log or the customer's word."""
    async with house.ledger.write() as session:
        notice = await settle_unknown(session, notice_id, was_sent=body.was_sent, by=signed(body.by, key))
    later.add_task(house.nudges.deliver, notice.invoice)
    return UnsettledView.model_validate(notice)
