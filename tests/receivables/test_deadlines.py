"""What time alone brings: the highest rung earned, inside the window, and the same seen from anywhere before it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lunas.receivables import events as on
from lunas.receivables.deadlines import Deadline, fell_due, moment_of, next_deadline
from lunas.receivables.invoice import Climb, HoldKind, InvoiceState, Placement, Research, Stage
from lunas.receivables.ladder import Do
from lunas.receivables.lifecycle import decide
from lunas.receivables.rehearsal import issue
from tests.receivables.samples import (
    DUE_ON,
    ISSUED_ON,
    NUMBER,
    OPENED_AT,
    TOTAL,
    at_stage,
    days_late,
    facts,
    held,
    invoice,
    jakarta,
    policy,
)

RUNGS = {rung.key: rung for rung in policy().ladder.rungs}
WEEK = timedelta(days=7)


def due(state: InvoiceState, at: datetime) -> Deadline:
    deadline = next_deadline(state, at)
    assert deadline is not None
    return deadline


def rung(state: InvoiceState, at: datetime) -> str:
    found = fell_due(due(state, at))
    assert found is not None
    return found.key


@st.composite
def states(draw: st.DrawFn) -> InvoiceState:
    """An open invoice somewhere on its ladder, as it may have been left by an outage."""
    name, zone = draw(st.sampled_from(["standard", "gentle"])), draw(st.sampled_from(["Asia/Jakarta", "Europe/Berlin"]))
    plan = policy(name, zone)
    climbed = draw(st.none() | st.sampled_from([*(rung.day for rung in plan.ladder.rungs), 118, 148]))
    state = issue(draw(st.sampled_from(["A/1", "B/2", "C/3"])), "C-7", TOTAL, ISSUED_ON, plan, opened_at=OPENED_AT)
    stepped = st.none() | st.integers(-20, 160).map(lambda days: state.due_on + timedelta(days=days))
    return state.but(
        climbed=climbed,
        last_step_on=None if climbed is None else draw(stepped),
        days_held=draw(st.integers(0, 30)),
        not_before=draw(st.none() | moments()),
        offered=draw(st.booleans()),
    )


def moments() -> st.SearchStrategy[datetime]:
    return st.datetimes(datetime(2026, 11, 2), datetime(2027, 6, 30), timezones=st.just(UTC))  # noqa: DTZ001


@given(states(), moments(), st.floats(0, 1))
def test_it_is_the_same_seen_from_any_moment_until_then(state: InvoiceState, at: datetime, way: float) -> None:
    deadline = due(state, at)
    assert deadline.moment >= at
    for later in (at + (deadline.moment - at) * way, deadline.moment):
        assert due(state, later) == deadline


@given(states(), moments())
def test_a_rung_falls_due_inside_the_window_and_not_before_its_day(state: InvoiceState, at: datetime) -> None:
    deadline, calendar = due(state, at), state.policy.calendar
    assert isinstance(deadline.event, on.RungFellDue)
    assert calendar.permits(deadline.moment)
    assert deadline.moment >= moment_of(state, deadline.event.rung)
    assert state.not_before is None or deadline.moment >= state.not_before
    if state.last_step_on is not None:
        assert (calendar.local_date(deadline.moment) - state.last_step_on).days >= state.policy.minimum_gap


@given(states(), moments())
def test_what_is_skipped_is_behind_and_what_is_done_is_ahead(state: InvoiceState, at: datetime) -> None:
    event = due(state, at).event
    assert isinstance(event, on.RungFellDue)
    behind = -(10**6) if state.climbed is None else state.climbed
    assert behind < event.rung.day <= event.reach


def test_after_an_outage_the_highest_rung_is_done_once() -> None:
    state = invoice(climbed=-5)
    assert rung(state, days_late(29)) == "follow_up+28"
    event = due(state, days_late(29)).event
    decision = decide(state, event, days_late(29))
    assert decision.entry is not None
    assert decision.entry.detail == (
        "skipped as overtaken: due_notice+0, follow_up+1, follow_up+3, follow_up+7, follow_up+14, research_contact+21"
    )


def test_a_rung_with_nothing_to_do_overtakes_none_that_has() -> None:
    state = invoice(climbed=14, offered=True)
    answered = state.but(facts=facts(state.facts, answers=1))
    assert rung(answered, days_late(36)) == "follow_up+28"
    event = due(answered, days_late(36)).event
    assert isinstance(event, on.RungFellDue)
    assert event.reach == 35, "the search and the second offer are behind, too"


def test_a_search_says_nothing_so_it_overtakes_no_notice_and_comes_next() -> None:
    state = invoice(climbed=7)
    event = due(state, days_late(22)).event
    assert isinstance(event, on.FollowUpFellDue)
    assert (event.rung.day, event.reach) == (14, 20)
    said = state.but(climbed=20, last_step_on=DUE_ON + timedelta(days=22))
    assert rung(said, days_late(22)) == "research_contact+21"


def test_a_final_demand_is_never_skipped() -> None:
    event = due(invoice(), days_late(120)).event
    assert isinstance(event, on.FinalDemandFellDue)
    assert event.reach == 118


def test_the_invoice_itself_is_not_skipped_for_a_reminder_of_the_same_day() -> None:
    late = invoice(opened_at=jakarta(DUE_ON - timedelta(days=5), hour=6))
    assert rung(late, late.opened_at) == "send_invoice"
    overdue = invoice(opened_at=days_late(4))
    assert rung(overdue, overdue.opened_at) == "follow_up+3"


def test_terms_too_short_for_a_reminder_leave_it_out() -> None:
    state = invoice(due_on=ISSUED_ON + timedelta(days=7), climbed=-10_000)
    assert rung(state, OPENED_AT) == "remind-5"
    state = invoice(due_on=ISSUED_ON + timedelta(days=5), climbed=-10_000)
    assert rung(state, OPENED_AT) == "due_notice+0"


def test_what_falls_due_on_closed_days_falls_due_when_they_end() -> None:
    """9 to 12 March 2027 are closed, and 14 to 16: what falls on the first four days falls due on the 13th, once."""
    state = invoice(due_on=date(2027, 3, 9), climbed=-5)
    deadline = due(state, jakarta(date(2027, 3, 8)))
    assert state.policy.calendar.local_date(deadline.moment) == date(2027, 3, 13)
    event = deadline.event
    assert isinstance(event, on.FollowUpFellDue)
    assert (event.rung.key, event.reach) == ("follow_up+3", 3)


def test_days_on_hold_past_due_do_not_count() -> None:
    state = invoice(climbed=3, last_step_on=DUE_ON + timedelta(days=3))
    held_up = state.but(days_held=10)
    assert due(held_up, days_late(4)).moment - due(state, days_late(4)).moment == timedelta(days=10)


def test_the_gates_wait_ends_inside_the_window() -> None:
    state = invoice(climbed=3, not_before=days_late(7, hour=21))
    deadline = due(state, days_late(7, hour=19))
    assert state.policy.calendar.permits(deadline.moment)
    assert state.policy.calendar.local_date(deadline.moment) == DUE_ON + timedelta(days=8)


def test_a_rung_that_was_begun_goes_on_with_its_other_channel() -> None:
    begun = Climb(RUNGS["follow_up+14"], 14, RUNGS["follow_up+14"].by[1:], sent=True, delivered=True)
    deadline = due(invoice(climbed=7, climb=begun), days_late(29))
    assert deadline == Deadline(days_late(29), on.FollowUpFellDue(begun.rung, begun.reach))


@pytest.mark.parametrize("kind", HoldKind)
def test_on_hold_only_its_end_is_waited_for(kind: HoldKind) -> None:
    state = invoice(hold=held(kind, days_late(2)))
    assert due(state, days_late(3)).moment == days_late(12)
    assert not isinstance(due(state, days_late(3)).event, on.RungFellDue)


def test_nobody_to_reach_means_no_rung_until_the_search_is_over() -> None:
    state = invoice(climbed=7, lost_on=DUE_ON, research=Research.RUNNING, research_until=days_late(9))
    assert due(state, days_late(8)) == Deadline(days_late(9), on.ResearchRanOut())
    assert rung(state.but(lost_on=None, research_until=days_late(40)), days_late(8)) == "follow_up+14"


def test_the_agency_step_waits_for_the_final_demands_date_without_the_days_on_hold() -> None:
    demanded = invoice(climbed=95, final_demand_on=DUE_ON + timedelta(days=96), last_step_on=DUE_ON)
    assert due(demanded, days_late(97)).event == on.PlacementFellDue()
    on_day = due(demanded, days_late(97)).moment
    assert demanded.policy.calendar.local_date(on_day) == DUE_ON + timedelta(days=106)
    assert due(demanded.but(days_held=8), days_late(97)).moment - on_day >= WEEK
    assert due(demanded.but(days_held=8, days_held_at_demand=8), days_late(97)).moment == on_day
    refused = demanded.but(placement=Placement.REFUSED)
    assert rung(refused, days_late(97)) == "follow_up+118"


@pytest.mark.parametrize("stage", Stage)
def test_every_open_stage_has_a_deadline_and_no_closed_one(stage: Stage) -> None:
    deadline = next_deadline(at_stage(stage), days_late(40))
    assert (deadline is None) is stage.is_closed


def test_sends_are_spread_over_the_first_minutes_of_the_window() -> None:
    starts = [due(invoice(number=f"INV/{i}", climbed=-5), OPENED_AT).moment for i in range(200)]
    window = policy().calendar.opening(DUE_ON)
    assert all(window <= start < window + timedelta(minutes=45) for start in starts)
    assert len(set(starts)) > 150
    assert due(invoice(number=NUMBER), OPENED_AT).moment == OPENED_AT, "the invoice itself goes out at once"


def test_no_policy_without_an_agency_places_anything() -> None:
    state = invoice(policy("gentle"), final_demand_on=DUE_ON, climbed=60)
    assert fell_due(due(state, days_late(100))) is not None
    assert Do.PLACE_WITH_AGENCY not in {rung.do for rung in state.policy.ladder.rungs}
