"""What time alone brings next, and when: absolute moments, from the due date, in the customer's calendar."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from itertools import takewhile

from lunas.receivables.events import (
    FELL_DUE,
    AgencyFellSilent,
    ApprovalLapsed,
    CreditClockRanOut,
    DisputeClockRanOut,
    PauseEnded,
    PlacementFellDue,
    PromiseBroken,
    ResearchRanOut,
    RungFellDue,
    TimeEvent,
)
from lunas.receivables.invoice import HoldKind, InvoiceState, Placement, Stage
from lunas.receivables.ladder import FIRST_DAY, Do, Rung, When

_HOLD_ENDS: dict[HoldKind, type[TimeEvent]] = {
    HoldKind.PROMISE: PromiseBroken,
    HoldKind.PAUSE: PauseEnded,
    HoldKind.DISPUTE: DisputeClockRanOut,
    HoldKind.APPROVAL: ApprovalLapsed,
    HoldKind.CREDIT: CreditClockRanOut,
}


@dataclass(frozen=True, slots=True)
class Deadline:
    """The moment (UTC) at which time alone makes `event` happen."""

    moment: datetime
    event: TimeEvent


def next_deadline(state: InvoiceState, at: datetime) -> Deadline | None:
    """What waiting will bring, as seen at `at`; None only once the invoice is closed.

    A rung is the highest that is earned on the day on which it is climbed: after an outage, a late start, a hold or
    a holiday those between are skipped. So it is the same seen from any moment until then.
    """
    if state.stage.is_closed:
        return None
    if state.hold is not None:
        return Deadline(state.hold.until, _HOLD_ENDS[state.hold.kind]())
    if state.stage is Stage.AGENCY:
        assert state.agency_until is not None
        return Deadline(state.agency_until, AgencyFellSilent())
    return min(_candidates(state, at), key=lambda deadline: deadline.moment)


def _candidates(state: InvoiceState, at: datetime) -> Iterator[Deadline]:
    if state.is_searching and state.research_until is not None:
        yield Deadline(state.research_until, ResearchRanOut())
    if not (state.unreachable and state.is_searching):
        yield _ladder_deadline(state, at)
    if state.placement is Placement.APPROVED:
        yield Deadline(at, PlacementFellDue())
    elif state.placement is Placement.NONE and (moment := _moment_of_placement(state)) is not None:
        yield Deadline(_permitted(state, max(moment, at)), PlacementFellDue())


def _ladder_deadline(state: InvoiceState, at: datetime) -> Deadline:
    climb, earliest = state.climb, max(at, state.not_before or at)
    if climb is not None and (climb.sent or climb.is_brought_forward):
        return Deadline(_permitted(state, earliest), FELL_DUE[climb.rung.do](climb.rung, climb.reach))
    rungs = ahead(state)
    first = next(rungs)
    moment = moment_of(state, first)
    if moment < earliest:
        moment = _permitted(state, earliest)
    today = state.policy.calendar.local_date(moment)
    earned = [first, *takewhile(lambda rung: day_of(state, rung) <= today, rungs)]
    rung, reach = _to_climb(state, earned, today)
    return Deadline(moment, FELL_DUE[rung.do](rung, reach))


def _to_climb(state: InvoiceState, earned: list[Rung], today: date) -> tuple[Rung, int]:
    """The rung to climb of those that are earned, the highest, and the highest day that is then behind us.

    A final demand is never skipped: without it there is no agency step. Nor is the invoice itself before it is due:
    it says what a reminder would. A rung that has nothing to do overtakes none that has, and a search, which says
    nothing, no notice: it comes next.
    """
    reach = earned[-1].day
    if earned[0].do is Do.SEND_INVOICE and reach < 0:
        return earned[0], reach
    if len(earned) == 1:
        return earned[0], reach
    if demand := next((rung for rung in earned if rung.do is Do.FINAL_DEMAND), None):
        return demand, reach
    with_work = [rung for rung in earned if has_work(state, rung, today)] or earned
    notice = next((rung for rung in reversed(with_work) if rung.do.is_notice), with_work[-1])
    waiting = next((rung.day for rung in with_work if rung.day > notice.day), None)
    return notice, reach if waiting is None else waiting - 1


def has_work(state: InvoiceState, rung: Rung, today: date) -> bool:
    """Whether there is something to do on that rung: a search, an offer or a reminder may have become needless."""
    match rung.do:
        case Do.REMIND:
            return _leaves_room(state, rung, today)
        case Do.RESEARCH_CONTACT:
            return rung.when is not When.UNANSWERED or state.facts.answers == 0 or not state.facts.reachable
        case Do.OFFER_ALTERNATE_PAYMENT:
            return not state.offered
        case _:
            return True


def _leaves_room(state: InvoiceState, reminder: Rung, today: date) -> bool:
    """Whether the reminder, which closed days may have moved, leaves the budget to what follows in its 7 days."""
    calendar, week = state.policy.calendar, today + timedelta(days=7)
    rung, days = reminder, {today}
    while day_of(state, rung := state.policy.ladder.after(rung.day)) < week:
        if rung.do.is_notice:
            days.add(calendar.local_date(calendar.opening(day_of(state, rung))))
    return sum(today <= day < week for day in days) <= state.policy.budget.in_7_days


def ahead(state: InvoiceState) -> Iterator[Rung]:
    """The rungs that are not behind us, in order, without end; placement has a deadline of its own."""
    day = FIRST_DAY - 1 if state.climbed is None else state.climbed
    while True:
        rung = state.policy.ladder.after(day)
        day = rung.day
        if rung.do is Do.PLACE_WITH_AGENCY:
            continue
        if rung.do is Do.REMIND and day_of(state, rung) <= state.issued_on:
            continue  # terms too short for this reminder: the invoice itself says it
        yield rung


def up_to(state: InvoiceState, reach: int) -> Iterator[Rung]:
    """The rungs that are not behind us, as far as the day `reach`."""
    for rung in ahead(state):
        if rung.day <= reach:
            yield rung
        if rung.day >= reach:
            return


def day_of(state: InvoiceState, rung: Rung) -> date:
    """The date that the ladder gives the rung: from the due date; days on hold past due do not count."""
    held = state.days_held if rung.day > 0 else 0
    return state.due_on + timedelta(days=rung.day + held)


def moment_of(state: InvoiceState, rung: Rung) -> datetime:
    """When the rung falls due: in the window of its day or of the next open one, the minimum gap kept."""
    calendar = state.policy.calendar
    if rung.do is Do.SEND_INVOICE:
        return _permitted(state, state.opened_at)
    day = day_of(state, rung)
    if state.last_step_on is not None:
        day = max(day, state.last_step_on + timedelta(days=state.policy.minimum_gap))
    return calendar.opening(day, jitter(state))


def _moment_of_placement(state: InvoiceState) -> datetime | None:
    """When the final demand's date is over; days on which the ladder's clock stood still since do not count."""
    days = days_to_placement(state)
    if state.final_demand_on is None or days is None:
        return None
    silent = state.days_held - state.days_held_at_demand
    return state.policy.calendar.opening(state.final_demand_on + timedelta(days=days + silent), jitter(state))


def days_to_placement(state: InvoiceState) -> int | None:
    """How many days the policy leaves between final demand and agency; None where it knows no agency."""
    found = {rung.do: rung.day for rung in state.policy.ladder.rungs}
    if Do.PLACE_WITH_AGENCY not in found:
        return None
    return found[Do.PLACE_WITH_AGENCY] - found[Do.FINAL_DEMAND]


def jitter(state: InvoiceState) -> timedelta:
    """How far into the window this invoice's sends are spread: the same for its whole life."""
    return _share_of(state.policy.spread_minutes * 60, state.number)


@lru_cache(maxsize=4096)
def _share_of(seconds: int, number: str) -> timedelta:
    return timedelta(seconds=zlib.crc32(number.encode()) % seconds if seconds else 0)


def _permitted(state: InvoiceState, moment: datetime) -> datetime:
    """When something may be said from `moment` on: inside the window, and not before this invoice's part of its spread.

    An invoice that came in through the window waits for no spread that day: it is spread by its coming.
    """
    calendar = state.policy.calendar
    first = calendar.next_permitted(moment)
    day = calendar.local_date(first)
    if day == calendar.local_date(state.opened_at) and calendar.permits(state.opened_at):
        return first
    return max(first, calendar.opening(day, jitter(state)))


def fell_due(deadline: Deadline) -> Rung | None:
    """The rung that the deadline will climb, if it is one."""
    return deadline.event.rung if isinstance(deadline.event, RungFellDue) else None
