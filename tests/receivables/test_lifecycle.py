"""Turns of the lifecycle that are easy to get wrong: each test tells one."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from lunas.receivables import events as on
from lunas.receivables.actions import (
    NoticeKind,
    PlaceWithAgency,
    PrepareOffer,
    RecallFromAgency,
    ResearchContact,
    SendNotice,
)
from lunas.receivables.deadlines import next_deadline
from lunas.receivables.invoice import Climb, HoldKind, InvoiceState, Placement, Research, Stage
from lunas.receivables.ladder import Channel, Rung
from lunas.receivables.lifecycle import Decision, allows, decide, wanted
from lunas.receivables.view import flags, standing
from tests.receivables.samples import DUE_ON, TOTAL, at_stage, days_late, facts, held, invoice, paid, policy

EMAIL, SMS = Channel.EMAIL, Channel.SMS
RUNGS: dict[str, Rung] = {rung.key: rung for rung in policy().ladder.rungs}
TENTH = TOTAL.minor // 10


def under_way(key: str, *, sent: bool = False, delivered: bool = False, left: tuple[Channel, ...] = ()) -> InvoiceState:
    """An invoice with that rung under way."""
    rung = RUNGS[key]
    climb = Climb(rung, rung.day, left or rung.by, sent=sent, delivered=delivered)
    return invoice(stage=Stage.FOLLOW_UP, climbed=rung.day - 1, climb=climb)


def after(state: InvoiceState, *happened: on.Event, at: datetime | None = None) -> InvoiceState:
    """The state after these events."""
    for event in happened:
        state = decide(state, event, at or days_late(14)).state
    return state


def detail(decision: Decision) -> str:
    assert decision.entry is not None
    return decision.entry.detail


# --- promises --------------------------------------------------------------------------------------------------------


def test_a_part_promise_is_kept_by_what_was_promised_not_by_what_is_left() -> None:
    promise = on.PromiseMade("ana", pay_by=DUE_ON + timedelta(days=20), amount_minor=2 * TENTH)
    state = after(invoice(), promise)
    half = state.but(facts=facts(state.facts, received=TENTH))
    assert after(half, on.PartPaymentReceived()).hold is not None
    whole = state.but(facts=facts(half.facts, received=2 * TENTH))
    kept = decide(whole, on.PartPaymentReceived(), days_late(15))
    assert (kept.state.hold, detail(kept)) == (None, "promise kept")


def test_a_promise_counts_only_what_came_after_it_and_stayed() -> None:
    paid_before = invoice().but(facts=facts(invoice().facts, received=5 * TENTH))
    promise = on.PromiseMade("ana", pay_by=DUE_ON + timedelta(days=20), amount_minor=2 * TENTH)
    state = after(paid_before, promise)
    bounced = state.but(facts=facts(state.facts, received=7 * TENTH, reversed=TENTH))
    assert after(bounced, on.PartPaymentReceived()).hold is not None
    broken = decide(bounced, on.PromiseBroken(), days_late(24))
    assert (broken.state.broken_promises, detail(broken)) == (1, "partly kept: IDR 1,250,000 came in")


# --- standing still --------------------------------------------------------------------------------------------------


def test_days_on_which_there_are_two_reasons_to_stand_still_count_once() -> None:
    state = after(invoice(stage=Stage.FOLLOW_UP, climbed=7), on.ContactLost(), at=days_late(10))
    state = after(state, on.DisputeRaised("customer"), at=days_late(12))
    state = after(state, on.ContactFound(), at=days_late(15))
    assert state.days_held == 0, "the dispute still stands"
    state = after(state, on.DisputeResolved("ana"), at=days_late(20))
    assert state.days_held == 10


def test_days_before_due_and_days_that_wait_for_our_own_approval_count_on_the_ladder() -> None:
    early = after(invoice(), on.Paused("ana"), at=days_late(-10))
    assert after(early, on.Resumed("ana"), at=days_late(-2)).days_held == 0
    assert after(early, on.Resumed("ana"), at=days_late(3)).days_held == 3
    waiting = invoice(hold=held(HoldKind.APPROVAL, days_late(105)), placement=Placement.ASKED)
    assert after(waiting, on.ApprovalLapsed(), at=days_late(115)).days_held == 0


def test_a_reversal_goes_on_at_the_level_it_had() -> None:
    state = invoice(stage=Stage.FOLLOW_UP, climbed=7, hold=held(HoldKind.DISPUTE, days_late(8)))
    state = state.but(stopped_on=DUE_ON + timedelta(days=8))
    closed = after(state, on.PaidInFull(), at=days_late(20))
    back = after(closed, on.PaymentReversed(), at=days_late(50))
    assert (back.stage, back.hold, back.climbed) == (Stage.FOLLOW_UP, None, 7)
    assert back.days_held == 42, "neither the dispute's days nor those while it was thought paid"


def test_a_reversal_after_the_agency_was_paid_finds_it_with_us() -> None:
    closed = after(at_stage(Stage.AGENCY), on.PaidInFull(), at=days_late(60))
    back = after(closed, on.PaymentReversed(), at=days_late(90))
    assert back.stage is Stage.FOLLOW_UP
    assert next_deadline(back, days_late(90)) is not None


@pytest.mark.parametrize("way_back", [Stage.PAID, Stage.AGENCY])
def test_coming_back_to_the_search_forgets_not_what_was_before_it(way_back: Stage) -> None:
    bounced = invoice(stage=Stage.DUE).but(facts=facts(invoice().facts, reachable=False))
    lost = after(bounced, on.ContactLost(), at=days_late(0))
    if way_back is Stage.PAID:
        back = after(lost, on.PaidInFull(), on.PaymentReversed(), at=days_late(5))
    else:
        back = after(lost, on.PlacementConfirmed(), on.Recalled("ana"), at=days_late(5))
    assert back.stage is Stage.RESEARCH_CONTACT
    assert after(back, on.ContactFound(), at=days_late(6)).stage is Stage.DUE


# --- a rung under way ------------------------------------------------------------------------------------------------


def test_a_hold_ends_a_rung_that_one_channel_has_carried() -> None:
    state = after(under_way("follow_up+14", sent=True, left=(SMS,)), on.Paused("ana"))
    assert (state.climb, state.climbed) == (None, 14)
    assert after(under_way("follow_up+14"), on.Paused("ana")).climb is not None


def test_a_message_that_was_on_its_way_when_the_hold_came_is_the_rungs_last() -> None:
    state = under_way("follow_up+14").but(hold=held(HoldKind.PROMISE, days_late(14)))
    decision = decide(state, on.NoticeSent("follow_up+14", EMAIL), days_late(14))
    assert (decision.actions, decision.state.climb, decision.state.climbed) == ((), None, 14)


def test_the_next_channel_waits_for_the_window() -> None:
    decision = decide(under_way("follow_up+14"), on.NoticeSent("follow_up+14", EMAIL), days_late(14, hour=20))
    assert decision.actions == ()
    deadline = next_deadline(decision.state, days_late(14, hour=20))
    assert deadline is not None
    reached = decide(decision.state, deadline.event, deadline.moment)
    assert [(a.rung, a.channel) for a in reached.actions if isinstance(a, SendNotice)] == [("follow_up+14", SMS)]
    assert standing(decision.state, days_late(14, hour=20)).next_channels == (SMS,)


@pytest.mark.parametrize("event", [on.PolicyChanged("ana", policy=policy("gentle")), on.PlacementConfirmed()])
def test_what_one_channel_has_carried_is_behind_whatever_ends_the_rung(event: on.Event) -> None:
    state = after(under_way("follow_up+14", sent=True, left=(SMS,)), event)
    assert (state.climb, state.climbed, state.follow_ups) == (None, 14, 1)


@pytest.mark.parametrize(("first", "then", "delivered"), [
    (on.NoticeSent, on.NoticeSent, True),
    (on.NoticeSent, on.NoticeUnsettled, True),
    (on.NoticeSent, on.NoticeUndeliverable, True),
    (on.NoticeUnsettled, on.NoticeSent, True),
    (on.NoticeUnsettled, on.NoticeUndeliverable, False),
    (on.NoticeUnsettled, on.NoticeUnsettled, False),
])  # fmt: skip
def test_a_final_demand_counts_once_it_was_delivered_for_certain(
    first: type[on.NoticeOutcome], then: type[on.NoticeOutcome], delivered: bool
) -> None:
    rung = Rung(95, RUNGS["final_demand+95"].do, (EMAIL, SMS))
    state = invoice(stage=Stage.FOLLOW_UP, climbed=88, climb=Climb(rung, 95, rung.by))
    ended = after(state, first(rung.key, EMAIL), then(rung.key, SMS), at=days_late(96))
    assert ended.climbed == 95
    assert (ended.final_demand_on is not None) is delivered


def test_a_gate_that_asks_to_wait_until_a_moment_ago_is_asked_again_a_minute_later() -> None:
    asked = on.NoticePostponed("follow_up+14", EMAIL, until=days_late(13))
    assert after(under_way("follow_up+14"), asked).not_before == days_late(14) + timedelta(minutes=1)


# --- the offer -------------------------------------------------------------------------------------------------------


def test_an_offer_that_is_asked_for_takes_the_place_of_the_rung_under_way() -> None:
    decision = decide(under_way("follow_up+14", sent=True, left=(SMS,)), on.OtherWayAskedFor(), days_late(14))
    assert decision.actions == (PrepareOffer("offer_alternate_payment+35"),)
    assert (decision.state.climbed, decision.state.follow_ups) == (14, 1)
    ended = after(
        decision.state,
        on.OfferPrepared("offer_alternate_payment+35"),
        on.NoticeSent("offer_alternate_payment+35", EMAIL),
    )
    assert (ended.climbed, ended.offered, ended.climb) == (14, True, None)


def test_an_offer_that_is_asked_for_at_night_waits_for_the_window() -> None:
    night = days_late(2, hour=23)
    asked = decide(invoice(stage=Stage.FOLLOW_UP, climbed=1), on.OtherWayAskedFor(), night).state
    assert decide(asked, on.OfferPrepared("offer_alternate_payment+35"), night).actions == ()
    deadline = next_deadline(asked, night)
    assert deadline is not None
    assert asked.policy.calendar.permits(deadline.moment)
    assert isinstance(deadline.event, on.OfferFellDue)


def test_nothing_takes_the_place_of_a_final_demand() -> None:
    climb = after(under_way("final_demand+95"), on.OtherWayAskedFor(), at=days_late(95)).climb
    assert climb is not None
    assert climb.rung.key == "final_demand+95"


def test_the_offer_is_the_answer_to_who_asked_for_it() -> None:
    state = after(invoice(stage=Stage.FOLLOW_UP, climbed=1), on.OtherWayAskedFor(), on.CustomerAnswered())
    assert state.hold is None
    assert after(invoice(stage=Stage.FOLLOW_UP, climbed=1), on.CustomerAnswered()).hold is not None


# --- the search ------------------------------------------------------------------------------------------------------


def test_one_search_at_a_time() -> None:
    decision = decide(under_way("follow_up+1"), on.NoticeUndeliverable("follow_up+1", EMAIL), days_late(1))
    assert ResearchContact() in decision.actions
    assert decision.state.stage is Stage.RESEARCH_CONTACT
    assert ResearchContact() not in decide(decision.state, on.ContactLost(), days_late(1)).actions


def test_a_search_that_ends_after_the_contact_was_found_asks_nobody() -> None:
    lost = after(invoice(stage=Stage.DUE), on.ContactLost(), at=days_late(0))
    found = after(lost, on.ContactFound(), on.ContactResearched(2), at=days_late(2))
    assert found.research is Research.FOUND
    assert flags(found) == ()


def test_a_corrected_contact_answers_the_candidates() -> None:
    state = invoice(stage=Stage.RESEARCH_CONTACT, research=Research.PROPOSED, research_until=days_late(30))
    assert flags(state) == ("contact_to_approve",)
    assert flags(after(state, on.ContactCorrected("ana"))) == ()


def test_a_contact_that_is_found_while_the_agency_has_it_is_not_forgotten() -> None:
    state = at_stage(Stage.AGENCY).but(lost_on=DUE_ON, research=Research.RUNNING, stopped_on=DUE_ON)
    assert not after(state, on.ContactFound(), at=days_late(41)).unreachable


# --- the agency ------------------------------------------------------------------------------------------------------


def test_a_placement_that_a_hold_overtook_is_recalled() -> None:
    state = invoice(stage=Stage.FOLLOW_UP, hold=held(HoldKind.DISPUTE), placement=Placement.NONE)
    decision = decide(state, on.PlacementConfirmed(), days_late(106))
    assert decision.state.stage is Stage.FOLLOW_UP
    assert RecallFromAgency("on hold (dispute)") in decision.actions


@pytest.mark.parametrize("placement", [Placement.ASKED, Placement.APPROVED])
def test_a_dispute_takes_an_approval_back_so_that_it_is_asked_for_again(placement: Placement) -> None:
    hold = held(HoldKind.APPROVAL) if placement is Placement.ASKED else None
    state = invoice(stage=Stage.FOLLOW_UP, climbed=95, hold=hold, placement=placement)
    state = state.but(final_demand_on=DUE_ON + timedelta(days=95), last_step_on=DUE_ON + timedelta(days=95))
    disputed = after(state, on.DisputeRaised("customer"), at=days_late(106))
    assert not wanted(disputed, PlaceWithAgency("budi"))
    resolved = after(disputed, on.DisputeResolved("ana"), at=days_late(108))
    deadline = next_deadline(resolved, days_late(108))
    assert deadline is not None
    assert deadline.event == on.PlacementFellDue()
    assert after(resolved, deadline.event, at=deadline.moment).placement is Placement.ASKED


def test_a_placement_that_failed_because_of_a_hold_does_not_lapse() -> None:
    failed = on.PlacementFailed("disputed")
    assert after(invoice(placement=Placement.NONE), failed).placement is Placement.NONE
    assert after(invoice(placement=Placement.APPROVED), failed).placement is Placement.LAPSED


# --- the rest --------------------------------------------------------------------------------------------------------


def test_a_final_demand_is_no_way_to_stay_issued() -> None:
    late = invoice(opened_at=days_late(120))
    deadline = next_deadline(late, days_late(120))
    assert deadline is not None
    assert after(late, deadline.event, at=deadline.moment).stage is Stage.FOLLOW_UP


def test_credit_is_decided_before_a_dispute_can_take_its_place() -> None:
    state = after(invoice(), on.CreditHeld("ana"), at=days_late(-30))
    refusal = allows(state, on.DisputeRaised("customer"), days_late(-29))
    assert refusal is not None
    assert "no credit hold stands" in refusal


def test_nothing_counts_as_sent_that_might_be_on_its_way() -> None:
    credit = on.CreditHeld("ana")
    assert allows(invoice(), credit, days_late(-30)) is None
    assert allows(invoice(climb=Climb(RUNGS["send_invoice"], -10_000, (EMAIL,), sent=True)), credit, days_late(-30))


def test_what_is_no_longer_wanted_is_not_done() -> None:
    state = under_way("follow_up+14")
    email = SendNotice("follow_up+14", NoticeKind.FOLLOW_UP, EMAIL)
    assert wanted(state, email)
    for stopped in (state.but(hold=held(HoldKind.PAUSE)), after(state, on.PaidInFull()), state.but(climb=None)):
        assert not wanted(stopped, email)
    closed = decide(state.but(facts=paid(state.facts)), on.PaidInFull(), days_late(14))
    assert all(wanted(closed.state, thanks) for thanks in closed.actions)
