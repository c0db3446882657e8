"""The register of notices: what was said about an invoice, and what nobody knows for certain.

`claims` and `sending` are the gate through which every notice goes; here is what people and schedules do with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import aliased

from lunas.ledger.database import LedgerSession, WriteSession
from lunas.ledger.errors import Refused
from lunas.ledger.facts import look_among, note_fact
from lunas.ledger.kinds import NoticeState
from lunas.ledger.sending import locked_group, mark_unknown
from lunas.ledger.tables import InvoiceRow, NoticeRow
from lunas.receivables.actions import NoticeKind
from lunas.receivables.ladder import Channel


@dataclass(frozen=True, slots=True)
class NoticeView:
    """One notice. `covered_by` is the invoice whose message carried it; times are the database's, UTC."""

    id: int
    invoice: str
    rung: str
    kind: NoticeKind
    channel: Channel
    state: NoticeState
    token: int
    covered_by: str | None
    business_at: datetime
    claimed_at: datetime
    deadline: datetime | None
    sent_at: datetime | None
    contact_id: int | None
    message_id: str | None
    template_digest: str | None
    code: int | None
    answer: str | None
    settled_by: str | None


async def notices_of(session: LedgerSession, number: str) -> tuple[NoticeView, ...]:
    """Every notice of the invoice, in the order of their first claims."""
    return await _views(session, InvoiceRow.number == number)


async def notice(session: LedgerSession, notice_id: int) -> NoticeView | None:
    """One notice; None where there is none of that id."""
    found = await _views(session, NoticeRow.id == notice_id)
    return found[0] if found else None


async def notice_by_message(session: LedgerSession, message_id: str) -> NoticeView | None:
    """The notice of a Message-ID, for bounces and replies; None where the message is not ours."""
    found = await _views(session, NoticeRow.message_id == message_id)
    return found[0] if found else None


async def unsettled(session: LedgerSession) -> tuple[NoticeView, ...]:
    """Notices that may or may not have been sent, oldest first, for a person or the relay's log to settle."""
    return await _views(session, NoticeRow.state == NoticeState.UNKNOWN)


async def count_by_state(session: LedgerSession) -> dict[NoticeState, int]:
    """How many notices there are in each state that any has. It looks at every notice."""
    rows = await session.execute(select(NoticeRow.state, func.count()).group_by(NoticeRow.state))
    return {NoticeState(state): count for state, count in rows}


async def settle_unknown(session: WriteSession, notice_id: int, *, was_sent: bool, by: str) -> NoticeView:
    """Settle whether an `unknown` notice, and what its message covered, was sent: by a person, or on evidence.

    One that was not sent has failed; saying it again is a new notice. Raises NotFound, or Refused for a notice that is
    not unknown.
    """
    group = await locked_group(session, notice_id)
    if group[0].state is not NoticeState.UNKNOWN:
        raise Refused(f"notice {notice_id} is {group[0].state}: only an unknown one can be settled")
    seen = await look_among(session, [row.invoice_id for row in group])
    for row in group:
        invoice = seen[row.invoice_id]
        row.state = NoticeState.SENT if was_sent else NoticeState.FAILED
        row.sent_at = row.deadline or row.claimed_at if was_sent else None
        row.settled_by = by
        if not was_sent:
            row.lead_id = None
        detail = f"{row.rung} by {row.channel}: {'it was sent' if was_sent else 'it was not sent'}"
        note_fact(session, invoice.invoice, invoice.now, "notice_settled", by=by, detail=detail)
    await session.flush()
    settled = await notice(session, notice_id)
    assert settled is not None
    return settled


async def expire(session: WriteSession, *, after: timedelta = timedelta(0)) -> int:
    """Mark what was being sent when its sender died as `unknown`; returns how many messages.

    Only what is so long past its deadline: `after` leaves a sender the time to say what became of it.

    For the reconcile schedule: an attempt that is made again finds it out by itself, but a workflow may have ended.
    """
    overdue = (
        await session.scalars(
            select(NoticeRow.id)
            .where(
                NoticeRow.state == NoticeState.COMMITTING,
                NoticeRow.lead_id.is_(None),
                NoticeRow.deadline <= await session.now() - after,
            )
            .order_by(NoticeRow.customer_id, NoticeRow.id)  # locks are taken in this order
        )
    ).all()
    for notice_id in overdue:
        await locked_group(session, notice_id)
        await mark_unknown(session, notice_id)
    return len(overdue)


_LEAD = aliased(NoticeRow)
_LEAD_INVOICE = aliased(InvoiceRow)


async def _views(session: LedgerSession, *where: ColumnElement[bool]) -> tuple[NoticeView, ...]:
    rows = await session.execute(
        select(NoticeRow, InvoiceRow.number, _LEAD_INVOICE.number)
        .join(InvoiceRow, InvoiceRow.id == NoticeRow.invoice_id)
        .outerjoin(_LEAD, _LEAD.id == NoticeRow.lead_id)
        .outerjoin(_LEAD_INVOICE, _LEAD_INVOICE.id == _LEAD.invoice_id)
        .where(*where)
        .order_by(NoticeRow.id)
        .execution_options(populate_existing=True)
    )
    return tuple(_view(row, number, covered_by) for row, number, covered_by in rows)


def _view(row: NoticeRow, number: str, covered_by: str | None) -> NoticeView:
    return NoticeView(
        id=row.id,
        invoice=number,
        rung=row.rung,
        kind=row.kind,
        channel=row.channel,
        state=row.state,
        token=row.token,
        covered_by=covered_by,
        business_at=row.business_at,
        claimed_at=row.claimed_at,
        deadline=row.deadline,
        sent_at=row.sent_at,
        contact_id=row.contact_id,
        message_id=row.message_id,
        template_digest=row.template_digest,
        code=row.code,
        answer=row.answer,
        settled_by=row.settled_by,
    )
