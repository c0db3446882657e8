"""One message for all that falls due for a customer on one day, through one channel."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import String, bindparam, select

from lunas.ledger.database import WriteSession
from lunas.ledger.facts import LOOK, Seen, look
from lunas.ledger.kinds import NoticeState
from lunas.ledger.policies import policy_under
from lunas.ledger.release import cancel
from lunas.ledger.tables import InvoiceRow, NoticeRow
from lunas.receivables.actions import NoticeKind
from lunas.receivables.calendar import Calendar
from lunas.receivables.invoice import OWN_CHASING

#: A message speaks of at most so many invoices besides its own; the rest waits for the next permitted day.
MOST_COVERED = 49
_KIND = re.compile(r"[a-z_]+")
_CANDIDATES = LOOK.where(
    InvoiceRow.customer_id == bindparam("customer"),
    InvoiceRow.id != bindparam("lead"),
    InvoiceRow.currency == bindparam("currency"),
    InvoiceRow.stage.in_(OWN_CHASING),
    InvoiceRow.next_at >= bindparam("from"),
    InvoiceRow.next_at < bindparam("to"),
    InvoiceRow.next_channels.contains(bindparam("channel", type_=String())),
).limit(MOST_COVERED)
_COVERED = (
    select(NoticeRow)
    .where(NoticeRow.lead_id == bindparam("lead"), NoticeRow.state == NoticeState.CLAIMED)
    .execution_options(populate_existing=True)
)


@dataclass(frozen=True, slots=True)
class Member:
    """Another invoice whose notice travels with the lead's message."""

    seen: Seen
    notice: NoticeRow


async def gather(session: WriteSession, lead: NoticeRow, seen: Seen, calendar: Calendar) -> list[Member]:
    """Claim, for the lead's message, what else falls due for the customer today; needs the customer's lock.

    What the workflows projected only proposes: each invoice's own balance, hold and calendar decide. What an earlier
    attempt had taken along and is no longer to be said is released.
    """
    before = (await session.scalars(_COVERED, {"lead": lead.id})).all() if lead.token > 1 else ()
    members = []
    if lead.kind.may_share_a_message:
        candidates = await _candidates(session, lead, seen, calendar)
        rows = await _notices(session, lead, candidates)
        for candidate in candidates:
            notice = rows.get((candidate.invoice.id, candidate.invoice.next_rung))
            if (claimed := _claim_for(lead, candidate, notice)) is not None:
                members.append(Member(candidate, claimed))
                session.add(claimed)
    kept = {member.notice.id for member in members if member.notice.id is not None}
    for notice in before:
        if notice.id not in kept:
            cancel(notice)
    lead.covers = len(members)
    await session.flush()
    return members


async def _candidates(session: WriteSession, lead: NoticeRow, seen: Seen, calendar: Calendar) -> list[Seen]:
    values = {
        "customer": lead.customer_id,
        "lead": lead.invoice_id,
        "currency": seen.invoice.currency,
        "from": calendar.end_of(lead.local_date - timedelta(days=1)),
        "to": calendar.end_of(lead.local_date),
        "channel": lead.channel.value,
    }
    found = await look(session, _CANDIDATES, values)
    return [
        candidate
        for candidate in found
        if may_be_dunned(candidate)
        and kind_of(candidate.invoice.next_rung or "").may_share_a_message
        and (await policy_under(session, candidate.invoice.policy_digest)).calendar.permits(lead.business_at)
    ]


def may_be_dunned(seen: Seen) -> bool:
    """Whether the customer may hear about this invoice: open, owed, not held and not with an agency."""
    return seen.invoice.stage in OWN_CHASING and not seen.balance.settled and seen.hold is None and not seen.placed


def kind_of(rung: str) -> NoticeKind:
    """The kind of notice that a rung's key stands for: `follow_up` for `follow_up+3`."""
    match = _KIND.match(rung)
    return NoticeKind(match[0] if match else rung)


async def _notices(
    session: WriteSession, lead: NoticeRow, candidates: Sequence[Seen]
) -> dict[tuple[int, str | None], NoticeRow]:
    if not candidates:
        return {}
    rows = await session.scalars(
        select(NoticeRow)
        .where(
            NoticeRow.invoice_id.in_([candidate.invoice.id for candidate in candidates]),
            NoticeRow.channel == lead.channel,
        )
        .execution_options(populate_existing=True)
    )
    return {(row.invoice_id, row.rung): row for row in rows}


def _claim_for(lead: NoticeRow, candidate: Seen, notice: NoticeRow | None) -> NoticeRow | None:
    """The candidate's notice, claimed for the lead's message; None where another attempt or the past has it."""
    rung = candidate.invoice.next_rung
    assert rung is not None
    if notice is None:
        notice = NoticeRow(
            customer_id=lead.customer_id,
            invoice_id=candidate.invoice.id,
            rung=rung,
            channel=lead.channel,
            kind=kind_of(rung),
            tone=lead.tone,
            state=NoticeState.CLAIMED,
            token=0,
            local_date=lead.local_date,
            business_at=lead.business_at,
            claimed_at=lead.claimed_at,
            facts_version=0,
        )
    elif not (notice.state is NoticeState.CANCELLED or notice.lead_id == lead.id):
        return None
    notice.state = NoticeState.CLAIMED
    notice.unsettled_at = None
    notice.token += 1
    notice.lead_id = lead.id
    notice.outreach_id = lead.outreach_id or lead.id
    notice.local_date = lead.local_date
    notice.business_at = lead.business_at
    notice.claimed_at = lead.claimed_at
    notice.facts_version = candidate.invoice.facts_version
    notice.contact_id = lead.contact_id
    notice.contact_version = lead.contact_version
    notice.language = lead.language
    return notice
