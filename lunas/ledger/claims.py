"""The gate, first half: may this be said, now, to whom, and by this attempt?

A claim is the T1 of the send protocol: one transaction under the customer's lock, which reads everything again, writes
the workflow's progress, and leaves one decision record, whatever the answer. It moves nothing that cannot be taken
back: `sending.commit` is the point of no return.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any

from sqlalchemy import bindparam, func, or_, select

from lunas.ledger.answers import (
    AlreadySent,
    Answer,
    Claimed,
    Covered,
    Held,
    NoContact,
    Settled,
    Unsettled,
    Wait,
)
from lunas.ledger.briefing import brief_for, message_id
from lunas.ledger.budget import Spent
from lunas.ledger.customers import Reachable, best_of, contacts_of
from lunas.ledger.database import WriteSession
from lunas.ledger.facts import Seen, lock_customer_of, look_at
from lunas.ledger.grouping import Member, gather
from lunas.ledger.kinds import ANSWERS, HEARD, NoticeState, Verdict
from lunas.ledger.late_payment import CLAIMING, book_late_payment
from lunas.ledger.policies import policy_under
from lunas.ledger.progress import write_progress
from lunas.ledger.release import cancel, release_covered
from lunas.ledger.sending import mark_unknown
from lunas.ledger.tables import CustomerRow, DecisionRow, InvoiceRow, NoticeRow
from lunas.receivables.actions import NoticeKind
from lunas.receivables.invoice import Stage
from lunas.receivables.ladder import Channel
from lunas.receivables.orders import NoticeOrder
from lunas.receivables.policy import Policy

#: How long the workflow waits before it asks again while another invoice's message is on its way with this notice.
ASK_AGAIN = timedelta(minutes=1)
#: After so long a lead that is still only claimed has been abandoned: what it was to cover goes its own way.
ABANDONED_AFTER = timedelta(minutes=15)
#: How long everybody waits before asking again while all sending is stopped.
STOPPED_FOR = timedelta(minutes=15)

_WAS_SENT = (NoticeState.COMMITTING, NoticeState.SENT, NoticeState.UNKNOWN)
_DUNNING = tuple(kind for kind in NoticeKind if kind.is_dunning)

_NOTICES = (
    select(NoticeRow)
    .where(NoticeRow.invoice_id == bindparam("invoice"))
    .order_by(NoticeRow.id)
    .execution_options(populate_existing=True)
)
_OWN = bindparam("own", type_=NoticeRow.id.type)
_CONTACTS_HAD = (
    select(func.coalesce(NoticeRow.outreach_id, NoticeRow.id), NoticeRow.local_date)
    .where(
        NoticeRow.customer_id == bindparam("customer"),
        NoticeRow.local_date >= bindparam("since"),
        NoticeRow.kind.in_(_DUNNING),
        NoticeRow.state.in_(HEARD),
        NoticeRow.id.is_distinct_from(_OWN),
        or_(NoticeRow.lead_id.is_(None), NoticeRow.lead_id.is_distinct_from(_OWN)),
    )
    .distinct()
)


@dataclass(frozen=True, slots=True)
class _Case:
    """What the gate looks at: the order, and the rows as they are under the lock."""

    session: WriteSession
    order: NoticeOrder
    customer: CustomerRow
    seen: Seen
    policy: Policy
    notices: Sequence[NoticeRow]  # all of this invoice
    gates: list[list[Any]] = field(default_factory=list)

    @property
    def own(self) -> NoticeRow | None:
        """This notice, if an earlier attempt has claimed it."""
        asked = self.order.notice
        return next((row for row in self.notices if (row.rung, row.channel) == (asked.rung, asked.channel)), None)

    def gate(self, name: str, passed: bool, detail: str) -> bool:
        """Note how a gate was passed, or not, for the decision record."""
        self.gates.append([name, passed, detail])
        return passed


async def claim(session: WriteSession, order: NoticeOrder, *, sender_domain: str) -> Answer:
    """Ask whether the notice may be sent, and claim it if so; raises NotFound for an unknown invoice.

    `order.at` is the business moment of this attempt: window and budget are judged by it, attempts and deadlines by
    the database's clock. `sender_domain` is the right-hand side of the Message-ID.
    """
    customer = await lock_customer_of(session, order.invoice)
    seen = await look_at(session, order.invoice)
    held = await write_progress(session, seen, order.progress)
    notices = await session.scalars(_NOTICES, {"invoice": seen.invoice.id})
    policy = await policy_under(session, seen.invoice.policy_digest)
    case = _Case(session, order, customer, replace(seen, hold=held), policy, notices.all())
    answer = await _earlier_attempt(case) or _collectible(case) or _window(case)
    if answer is None:
        answer = await _reach(case, sender_domain)
    await _give_up_unless_claimed(case, answer)
    await _record(case, answer)
    return answer


async def _earlier_attempt(case: _Case) -> Answer | None:
    """What became of the notice before; None if this attempt may go on."""
    own, facts, now = case.own, case.seen.facts, case.seen.now
    if own is None:
        case.gate("earlier attempts", True, "none")
        return None
    detail = f"{own.state}, token {own.token}"
    match own.state:
        case NoticeState.CANCELLED | NoticeState.FAILED:
            case.gate("earlier attempts", True, detail)
            return None
        case NoticeState.CLAIMED if own.lead_id is None:
            case.gate("earlier attempts", True, detail)
            return None
        case NoticeState.CLAIMED:
            return await _with_another(case, own)
        case NoticeState.SENT if own.unsettled_at is not None and own.lead_id is None:
            # The workflow may have been told that nobody knows, and decided by that: an attempt that was overtaken and
            # wakes up hears the same, or it would write down another decision.
            case.gate("earlier attempts", False, f"{detail}, after its workflow was told that nobody knew")
            return Unsettled(own.unsettled_at, facts)
        case NoticeState.SENT:
            case.gate("earlier attempts", False, detail)
            if own.lead_id is not None:
                return Covered(await _lead_number(case, own), facts)
            return AlreadySent(own.sent_at or now, facts)
        case NoticeState.COMMITTING if own.deadline and own.deadline > now:
            case.gate("earlier attempts", False, f"{detail}, may leave until {own.deadline.isoformat()}")
            until = case.order.at + (own.deadline - now)
            return Wait(until, "an earlier attempt may be leaving at this moment", facts)
        case NoticeState.COMMITTING:
            await mark_unknown(case.session, own.lead_id or own.id)
        case NoticeState.UNKNOWN:
            pass
    case.gate("earlier attempts", False, f"{detail}: the relay's answer was lost")
    return Unsettled(own.deadline or own.claimed_at, facts)


async def _with_another(case: _Case, own: NoticeRow) -> Answer | None:
    """The message of another invoice is to cover this notice: wait for it, unless it was abandoned."""
    lead_claimed_at = await case.session.scalar(select(NoticeRow.claimed_at).where(NoticeRow.id == own.lead_id))
    number = await _lead_number(case, own)
    if lead_claimed_at and case.seen.now - lead_claimed_at < ABANDONED_AFTER:
        case.gate("earlier attempts", False, f"travels with {number}")
        return Wait(case.order.at + ASK_AGAIN, f"the message about {number} is to cover it", case.seen.facts)
    case.gate("earlier attempts", True, f"was to travel with {number}, which was abandoned")
    own.lead_id = None  # the lead's commit misses it and is refused: it cannot be said twice
    return None


def _collectible(case: _Case) -> Answer | None:
    """Whether there is anything to be said about this invoice."""
    seen, facts = case.seen, case.seen.facts
    if not case.gate("sending", not seen.stopped, "all sending is stopped" if seen.stopped else "on"):
        return Wait(case.order.at + STOPPED_FOR, "all sending is stopped by a person", facts)
    if case.order.notice.kind in ANSWERS:
        case.gate("collectible", True, "it answers what the customer did")
        return None
    outstanding = seen.balance.outstanding
    if not case.gate("balance", outstanding > 0, f"{outstanding} minor units open"):
        return Settled("nothing is open on it", facts)
    stage = seen.invoice.stage
    if not case.gate("stage", not stage.is_closed, stage.value):
        return Settled(f"it is closed: {stage}", facts)
    if not case.gate("hold", seen.hold is None, seen.hold or "none"):
        return Held(seen.hold, f"it is on hold: {seen.hold}", facts)
    placed = seen.placed or stage is Stage.AGENCY
    if not case.gate("agency", not placed, "an agency has it" if placed else "with us"):
        return Held(None, "an agency has it", facts)
    return None


def _window(case: _Case) -> Answer | None:
    """Whether the customer may be contacted at this moment."""
    if case.order.notice.kind in ANSWERS:
        return None
    calendar, at = case.policy.calendar, case.order.at
    if case.gate("window", calendar.permits(at), f"{at.isoformat()} in {calendar.zone_name}"):
        return None
    return Wait(calendar.next_permitted(at), "outside the sending window", case.seen.facts)


async def _reach(case: _Case, sender_domain: str) -> Answer:
    """Whom to write to, whether the budget lets us, and then the claim itself."""
    channel, own = case.order.notice.channel, case.own
    contacts = await contacts_of(case.session, case.customer.id)
    to = best_of(contacts, channel, case.customer.language)
    if to is None:
        case.gate("contact", False, f"nobody can be reached by {channel}")
        return NoContact(f"no approved contact of the customer can be reached by {channel}", case.seen.facts)
    if own is not None and own.state is NoticeState.FAILED:
        same = (own.contact_id, own.contact_version) == (to.contact_id, to.version)
        if not case.gate("contact", not same, f"contact {to.contact_id}; refused before for good: {own.code}"):
            return NoContact(f"it was refused for good ({own.code}), and there is nobody else to try", case.seen.facts)
    else:
        case.gate("contact", True, f"contact {to.contact_id}")
    outreach = None
    if case.order.notice.kind.is_dunning:
        budget = await _budget(case)
        if isinstance(budget, Wait):
            return budget
        outreach = budget
    return await _take(case, to, outreach, sender_domain)


async def _budget(case: _Case) -> Wait | int | None:
    """Wait where the budget is spent; else the notice whose contact this one is part of, None for a new contact."""
    own, asked = case.own, case.order.notice
    today = case.policy.calendar.local_date(case.order.at)
    for sibling in case.notices:
        same_day = sibling.state in HEARD and sibling.local_date == today
        if sibling is not own and sibling.rung == asked.rung and same_day:
            root = sibling.outreach_id or sibling.id
            case.gate("budget", True, "another channel of the same rung on the same day is one contact")
            return None if own and root == own.id else root
    values = {
        "customer": case.customer.id,
        "since": today - timedelta(days=6),
        "own": own.id if own else None,
    }
    rows = await case.session.execute(_CONTACTS_HAD, values)
    spent, budget = Spent.of(day for _, day in rows), case.policy.budget
    if case.gate("budget", spent.allows(today, budget), spent.describe(today)):
        return None
    day = spent.first_day(today, budget, case.policy.calendar)
    return Wait(case.policy.calendar.opening(day), "the contact budget is spent", case.seen.facts)


async def _take(case: _Case, to: Reachable, outreach: int | None, sender_domain: str) -> Claimed:
    """Claim the notice, and with it what else falls due for the customer today."""
    session, order, asked, seen = case.session, case.order, case.order.notice, case.seen
    today = case.policy.calendar.local_date(order.at)
    if asked.kind in CLAIMING:
        seen = await book_late_payment(session, seen, case.policy, today)
    own = case.own
    first_mail = not any(row.channel is Channel.EMAIL and row.state in _WAS_SENT for row in case.notices)
    message = message_id(order.invoice, asked.rung, asked.channel, sender_domain)
    notice = own or NoticeRow(
        customer_id=case.customer.id,
        invoice_id=seen.invoice.id,
        rung=asked.rung,
        channel=asked.channel,
        kind=asked.kind,
        tone=asked.tone,
        state=NoticeState.CLAIMED,
        token=0,
        local_date=today,
        business_at=order.at,
        claimed_at=seen.now,
        facts_version=0,
    )
    notice.state = NoticeState.CLAIMED
    notice.unsettled_at = None
    notice.token += 1
    notice.lead_id = None
    notice.outreach_id = outreach
    notice.local_date = today
    notice.business_at = order.at
    notice.claimed_at = seen.now
    notice.deadline = None
    notice.facts_version = seen.invoice.facts_version
    notice.contact_id = to.contact_id
    notice.contact_version = to.version
    notice.language = to.language
    notice.message_id = message
    session.add(notice)
    await session.flush()
    members = await _with_charges(session, await gather(session, notice, seen, case.policy.calendar), today)
    brief = await brief_for(
        session,
        asked,
        customer=case.customer,
        to=to,
        seen=[seen, *(member.seen for member in members)],
        today=today,
        message=message,
        first_mail=first_mail,
    )
    covered = tuple(member.seen.invoice.number for member in members)
    return Claimed(notice.id, notice.token, to.contact_id, brief, covered, seen.facts)


async def _with_charges(session: WriteSession, members: Sequence[Member], today: date) -> list[Member]:
    """The same for the other invoices that the message speaks of."""
    found = []
    for member in members:
        seen = member.seen
        if member.notice.kind in CLAIMING:
            policy = await policy_under(session, seen.invoice.policy_digest)
            seen = await book_late_payment(session, seen, policy, today)
            member.notice.facts_version = seen.invoice.facts_version
        found.append(replace(member, seen=seen))
    await session.flush()
    return found


async def _give_up_unless_claimed(case: _Case, answer: Answer) -> None:
    """Take back what an earlier attempt had claimed, where this one may not go on; what it was to cover is released.

    A notice that travels with another invoice's message stays: that message's sender has it.
    """
    own = case.own
    if own is None or isinstance(answer, Claimed) or own.state is not NoticeState.CLAIMED or own.lead_id is not None:
        return
    cancel(own)
    await release_covered(case.session, [own.id])


async def _lead_number(case: _Case, own: NoticeRow) -> str:
    lead = select(NoticeRow.invoice_id).where(NoticeRow.id == own.lead_id).scalar_subquery()
    return (await case.session.scalars(select(InvoiceRow.number).where(InvoiceRow.id == lead))).one()


async def _record(case: _Case, answer: Answer) -> None:
    """Write the decision down, whatever it was."""
    own, asked, seen = case.own, case.order.notice, case.seen
    verdict, why = _in_words(answer)
    contact_id = own.contact_id if own else None
    notice_id = own.id if own else None
    if isinstance(answer, Claimed):
        notice_id, contact_id = answer.notice_id, answer.contact_id
    case.session.add(
        DecisionRow(
            invoice_id=seen.invoice.id,
            at=case.order.at,
            recorded_at=seen.now,
            verdict=verdict,
            rung=asked.rung,
            channel=asked.channel,
            policy=f"{case.policy.name}@{case.policy.version}",
            facts_version=seen.invoice.facts_version,
            balance_minor=answer.facts.balance.outstanding,
            gates=case.gates,
            why=why,
            until=answer.until if isinstance(answer, Wait) else None,
            contact_id=contact_id,
            notice_id=notice_id,
        )
    )
    await case.session.flush()


def _in_words(answer: Answer) -> tuple[Verdict, str]:
    match answer:
        case Claimed(covered=covered):
            return Verdict.CLAIMED, f"it may go, with {', '.join(covered)}" if covered else "it may go"
        case Settled(why=why):
            return Verdict.SETTLED, why
        case Held(why=why):
            return Verdict.HELD, why
        case Covered(by=by):
            return Verdict.COVERED, f"the message about {by} carried it"
        case Wait(why=why):
            return Verdict.WAIT, why
        case NoContact(why=why):
            return Verdict.NO_CONTACT, why
        case AlreadySent(sent_at=sent_at):
            return Verdict.ALREADY_SENT, f"it was sent at {sent_at.isoformat()}"
        case Unsettled(since=since):
            return (
                Verdict.UNSETTLED,
                f"it may have been sent by {since.isoformat()}: the relay's answer was lost",
            )
