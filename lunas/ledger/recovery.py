"""A workflow's state put together again from the record, where its run was lost and Temporal has forgotten it.

The record is enough to go on decently: what holds, holds; what was said stays said, because the ladder goes on above
it and the gate knows every notice; who has it, has it. What only the run knew (a rung half climbed, a search under way,
promises that were broken) is begun anew.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, timedelta

from sqlalchemy import func, select

from lunas.ledger.database import LedgerSession
from lunas.ledger.facts import Seen
from lunas.ledger.holds import open_hold
from lunas.ledger.kinds import JournalSource, NoticeState
from lunas.ledger.tables import JournalRow, NoticeRow
from lunas.receivables.actions import NoticeKind
from lunas.receivables.invoice import InvoiceState, Placement, Stage
from lunas.receivables.ladder import FIRST_DAY

_DAY = re.compile(r"[+-]\d+$")
#: Kinds whose day lies behind the invoice once they were said. An offer may have been brought forward.
_CLIMBED = (
    NoticeKind.SEND_INVOICE,
    NoticeKind.REMIND,
    NoticeKind.DUE_NOTICE,
    NoticeKind.FOLLOW_UP,
    NoticeKind.FINAL_DEMAND,
)


async def recovered(session: LedgerSession, seen: Seen, fresh: InvoiceState) -> InvoiceState:
    """The state that the record shows, from the `fresh` one of the same invoice."""
    row = seen.invoice
    said = (
        await session.scalars(
            select(NoticeRow).where(
                NoticeRow.invoice_id == row.id, NoticeRow.state.in_((NoticeState.SENT, NoticeState.UNKNOWN))
            )
        )
    ).all()
    promises = await session.scalar(
        select(func.count()).where(
            JournalRow.invoice_id == row.id,
            JournalRow.source == JournalSource.WORKFLOW,
            JournalRow.event.in_(("promise_made", "instalments_agreed")),
        )
    )
    hold = await open_hold(session, row.id)
    at_agency = row.stage is Stage.AGENCY
    stands_still = hold is not None and not hold.kind.counts_on_the_ladder
    return fresh.but(
        stage=row.stage,
        sequence=row.sequence,
        hold=hold,
        stopped_on=fresh.policy.calendar.local_date(hold.since) if hold and stands_still else None,
        climbed=max((_day(notice) for notice in said if notice.kind in _CLIMBED), default=None),
        last_step_on=max((notice.local_date for notice in said if notice.kind in _CLIMBED), default=None),
        follow_ups=len({notice.rung for notice in said if notice.kind is NoticeKind.FOLLOW_UP}),
        offered=any(notice.kind is NoticeKind.OFFER_ALTERNATE_PAYMENT for notice in said),
        final_demand_on=_demanded_on(said),
        promises=promises or 0,
        placement=Placement.PLACED if at_agency else Placement.NONE,
        agency_until=seen.now + timedelta(days=fresh.policy.patience.agency_report) if at_agency else None,
        last_step="taken up again from the ledger",
    )


def _day(notice: NoticeRow) -> int:
    found = _DAY.search(notice.rung)
    return int(found[0]) if found else FIRST_DAY


def _demanded_on(said: Sequence[NoticeRow]) -> date | None:
    demands = (
        notice.local_date
        for notice in said
        if notice.kind is NoticeKind.FINAL_DEMAND and notice.state is NoticeState.SENT
    )
    return max(demands, default=None)
