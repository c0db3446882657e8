"""The lifecycle's conditions: each asks one thing of a state and an event.

The docstring completes "only when …": operations staff read it in the printed table and in a refusal.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import pairwise

from lunas.receivables.deadlines import has_work
from lunas.receivables.events import (
    ContactResearched,
    DisputeRaised,
    Event,
    InstalmentsAgreed,
    MoneyEvent,
    NoticeUndeliverable,
    Paused,
    PolicyChanged,
    PromiseMade,
    RungFellDue,
)
from lunas.receivables.invoice import HoldKind, InvoiceState, Placement, Research
from lunas.receivables.ladder import Do

Condition = Callable[[InvoiceState, Event, datetime], bool]


def it_leaves_room(state: InvoiceState, event: Event, at: datetime) -> bool:
    """it leaves the contact budget to what follows it within 7 days"""
    return _has_work(state, event, at)


def it_is_worth_a_search(state: InvoiceState, event: Event, at: datetime) -> bool:
    """nobody has answered or can be reached"""
    return _has_work(state, event, at)


def it_was_not_offered(state: InvoiceState, event: Event, at: datetime) -> bool:
    """no other way to pay was offered yet"""
    return _has_work(state, event, at)


def _has_work(state: InvoiceState, event: Event, at: datetime) -> bool:
    assert isinstance(event, RungFellDue)
    return has_work(state, event.rung, state.policy.calendar.local_date(at))


def there_is_an_offer_to_make(state: InvoiceState, event: Event, at: datetime) -> bool:
    """the policy has another way to pay that was not offered yet, and neither a hold nor a greater step stands
    in its way"""
    offers = any(rung.do is Do.OFFER_ALTERNATE_PAYMENT for rung in state.policy.ladder.rungs)
    under_way = state.climb.rung.do if state.climb else None
    in_its_way = under_way in (Do.OFFER_ALTERNATE_PAYMENT, Do.FINAL_DEMAND)
    return offers and not state.offered and state.hold is None and not in_its_way


def the_offer_is_under_way(state: InvoiceState, event: Event, at: datetime) -> bool:
    """the offer is the rung under way"""
    return state.hold is None and state.climb is not None and state.climb.rung.do is Do.OFFER_ALTERNATE_PAYMENT


def an_approval_is_required(state: InvoiceState, event: Event, at: datetime) -> bool:
    """the policy asks for an approval that is not there"""
    rungs = state.policy.ladder.rungs
    required = any(rung.approval for rung in rungs if rung.do is Do.PLACE_WITH_AGENCY)
    return required and state.placement is not Placement.APPROVED


def it_was_approved(state: InvoiceState, event: Event, at: datetime) -> bool:
    """the placement is approved already"""
    return state.placement is Placement.APPROVED


def it_may_be_placed(state: InvoiceState, event: Event, at: datetime) -> bool:
    """the final demand was delivered and no dispute, promise or pause stands against it"""
    free = state.hold is None or state.hold.kind is HoldKind.APPROVAL
    return free and state.final_demand_on is not None


def it_was_asked(state: InvoiceState, event: Event, at: datetime) -> bool:
    """a placement was asked for"""
    return state.placement in (Placement.ASKED, Placement.LAPSED)


def an_approval_is_awaited(state: InvoiceState, event: Event, at: datetime) -> bool:
    """it waits for an approval"""
    return state.hold is not None and state.hold.kind is HoldKind.APPROVAL


def the_last_way_is_lost(state: InvoiceState, event: Event, at: datetime) -> bool:
    """no channel of the rung has reached anybody and the search was not given up"""
    assert isinstance(event, NoticeUndeliverable)
    climb = state.climb
    if climb is None or climb.rung.key != event.rung or climb.sent or state.research is Research.GIVEN_UP:
        return False
    return climb.remaining == (event.channel,)


def there_are_candidates(state: InvoiceState, event: Event, at: datetime) -> bool:
    """something was found"""
    return isinstance(event, ContactResearched) and event.candidates > 0


def it_was_unreachable(state: InvoiceState, event: Event, at: datetime) -> bool:
    """nobody could be reached"""
    return state.unreachable


def a_person_is_to_answer(state: InvoiceState, event: Event, at: datetime) -> bool:
    """nothing holds it and no offer that was asked for is on its way"""
    offered = state.climb is not None and state.climb.is_brought_forward
    return state.hold is None and not offered


def a_hold_came_between(state: InvoiceState, event: Event, at: datetime) -> bool:
    """a hold came between"""
    return state.hold is not None


def it_was_paid_before_it_came(state: InvoiceState, event: Event, at: datetime) -> bool:
    """it was paid before the invoice came to us"""
    return isinstance(event, MoneyEvent) and event.earlier


def the_promise_is_within_limits(state: InvoiceState, event: Event, at: datetime) -> bool:
    """no dispute, credit hold or approval stands, the date is from today on and not too far off, the amount is
    more than 0 and no more than is open, and the policy's number of promises is not used up"""
    assert isinstance(event, PromiseMade)
    if state.hold is not None and state.hold.kind not in (HoldKind.PROMISE, HoldKind.PAUSE):
        return False
    today = state.policy.calendar.local_date(at)
    last = today + timedelta(days=state.policy.patience.promise_at_most)
    right_date = event.pay_by is not None and today <= event.pay_by <= last
    right_amount = event.amount_minor is None or 0 < event.amount_minor <= state.facts.balance.outstanding
    return right_date and right_amount and state.promises < state.policy.patience.promises


def the_plan_is_within_limits(state: InvoiceState, event: Event, at: datetime) -> bool:
    """no dispute, credit hold or approval stands, the instalments are more than one and no more than the policy has,
    each of more than 0, on days that ascend from today and do not end too far off, together they are all that is
    open, and the policy's number of promises is not used up"""
    assert isinstance(event, InstalmentsAgreed)
    patience, plan = state.policy.patience, event.instalments
    if state.hold is not None and state.hold.kind not in (HoldKind.PROMISE, HoldKind.PAUSE):
        return False
    if not 2 <= len(plan) <= patience.instalments or state.promises >= patience.promises:
        return False
    today = state.policy.calendar.local_date(at)
    ascend = all(one.pay_by < other.pay_by for one, other in pairwise(plan))
    last = today + timedelta(days=patience.plan_at_most)
    right_dates = ascend and today <= plan[0].pay_by and plan[-1].pay_by <= last
    amounts = [one.amount_minor for one in plan]
    return right_dates and min(amounts) > 0 and sum(amounts) == state.facts.balance.outstanding


def the_disputed_amount_is_open(state: InvoiceState, event: Event, at: datetime) -> bool:
    """no credit hold stands, and the disputed amount is more than 0 and no more than is open"""
    assert isinstance(event, DisputeRaised)
    if state.hold is not None and state.hold.kind is HoldKind.CREDIT:
        return False  # nothing was sent yet, and a dispute in its place would let it be sent
    return event.amount_minor is None or 0 < event.amount_minor <= state.facts.balance.outstanding


def it_may_be_paused(state: InvoiceState, event: Event, at: datetime) -> bool:
    """nothing but an earlier pause holds it, and the date given is later than today and within a year"""
    assert isinstance(event, Paused)
    if state.hold is not None and state.hold.kind is not HoldKind.PAUSE:
        return False
    today = state.policy.calendar.local_date(at)
    return event.until is None or today < event.until <= today + timedelta(days=366)


def nothing_was_sent(state: InvoiceState, event: Event, at: datetime) -> bool:
    """nothing was sent yet and nothing holds it"""
    being_sent = state.climb is not None and state.climb.sent
    return state.climbed is None and not being_sent and state.hold is None


def a_policy_is_given(state: InvoiceState, event: Event, at: datetime) -> bool:
    """a policy is given"""
    return isinstance(event, PolicyChanged) and event.policy is not None


def held_by(kind: HoldKind, words: str) -> Condition:
    """The condition that this kind of hold is in force, in words."""

    def condition(state: InvoiceState, event: Event, at: datetime) -> bool:
        return state.hold is not None and state.hold.kind is kind

    condition.__name__ = f"held_by_{kind}"
    condition.__doc__ = words
    return condition


a_dispute_holds_it = held_by(HoldKind.DISPUTE, "a dispute holds it")
a_promise_holds_it = held_by(HoldKind.PROMISE, "a promise holds it")
a_pause_holds_it = held_by(HoldKind.PAUSE, "a pause holds it")
a_credit_hold_holds_it = held_by(HoldKind.CREDIT, "credit is still to be decided")
