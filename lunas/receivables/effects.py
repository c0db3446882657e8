"""What we do about an event: the verbs of the lifecycle's last column. Each takes a step and returns the next.

The first line of each docstring is what operations staff read in the printed table.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta

from lunas.receivables.actions import (
    NoticeKind,
    PlaceWithAgency,
    PrepareOffer,
    RecallFromAgency,
    ResearchContact,
    SendNotice,
)
from lunas.receivables.climbing import (
    begin,
    concerns_the_climb,
    finish,
    finish_or_drop,
    finish_what_was_said,
    next_channel,
    note_the_skipped,
)
from lunas.receivables.events import (
    ContactResearched,
    DisputeRaised,
    DisputeResolved,
    InstalmentsAgreed,
    NoticeOutcome,
    NoticePostponed,
    NoticeSent,
    Paused,
    PlacementFailed,
    PolicyChanged,
    PromiseMade,
    Request,
    RungFellDue,
)
from lunas.receivables.invoice import Climb, Hold, HoldKind, Placement, Research
from lunas.receivables.ladder import FIRST_DAY, Channel, Do
from lunas.receivables.money import Money
from lunas.receivables.standstill import hold
from lunas.receivables.step import Step
from lunas.receivables.words import event_name, name_words

#: How long to wait when the ledger withheld a notice for a reason that has not reached us yet.
WITHHELD_FOR = timedelta(hours=1)
#: How long to wait at the least before the gate is asked again, whatever it said.
SHORTEST_WAIT = timedelta(minutes=1)


# --- the ladder ----------------------------------------------------------------------------------------------------


def send_the_notice(step: Step) -> Step:
    """send the notice"""
    return next_channel(begin(step))


def prepare_the_offer(step: Step) -> Step:
    """prepare the other ways to pay, then send the offer"""
    step = begin(step)
    assert step.state.climb is not None
    return step.order(PrepareOffer(step.state.climb.rung.key))


def bring_the_offer_forward(step: Step) -> Step:
    """offer the other ways to pay now"""
    rung = next(rung for rung in step.state.policy.ladder.rungs if rung.do is Do.OFFER_ALTERNATE_PAYMENT)
    overtaken = step.state.climb
    if overtaken is not None:
        step = finish_or_drop(step).change(climbed=overtaken.reach).note(f"in place of {overtaken.rung.key}")
    behind = FIRST_DAY if step.state.climbed is None else step.state.climbed
    step = step.change(climb=Climb(rung, min(behind, rung.day - 1), rung.by), not_before=None)
    return step.order(PrepareOffer(rung.key))


def send_the_offer(step: Step) -> Step:
    """send the offer"""
    return next_channel(step)


def pass_over_the_rung(step: Step) -> Step:
    """pass over it"""
    event = step.event
    assert isinstance(event, RungFellDue)
    return finish_or_drop(note_the_skipped(step.note(f"nothing to do on {event.rung.key}"))).change(climbed=event.reach)


def search_for_a_contact(step: Step) -> Step:
    """search for another contact"""
    if isinstance(step.event, RungFellDue):
        step = finish_or_drop(note_the_skipped(step)).change(climbed=step.event.reach)
    if step.state.is_searching:
        return step
    until = step.at + timedelta(days=step.state.policy.patience.research)
    step = step.change(research=Research.RUNNING, research_until=until, last_step="searched for a contact")
    return step.order(ResearchContact())


def lose_the_contact(step: Step) -> Step:
    """stop dunning until a contact is found"""
    return finish_what_was_said(step).change(lost_on=step.state.lost_on or step.today, not_before=None)


def climb_on(step: Step) -> Step:
    """go on to the next channel, then wait for the next rung"""
    event, climb = step.event, step.state.climb
    assert isinstance(event, NoticeOutcome)
    if climb is None or not concerns_the_climb(step):
        return step
    if isinstance(event, NoticeSent) and event.covered_by:
        step = step.note(f"covered by the message about {event.covered_by}")
    left = tuple(channel for channel in climb.remaining if channel is not event.channel)
    delivered = climb.delivered or isinstance(event, NoticeSent)
    step = step.change(climb=Climb(climb.rung, climb.reach, left, sent=True, delivered=delivered), not_before=None)
    return next_channel(step) if left and step.state.is_free else finish(step)


def wait_as_asked(step: Step) -> Step:
    """wait until the gate lets it pass"""
    event = step.event
    if not concerns_the_climb(step):
        return step
    asked = event.until if isinstance(event, NoticePostponed) else None
    return step.change(not_before=max(asked or step.at + WITHHELD_FOR, step.at + SHORTEST_WAIT))


def try_the_next_channel(step: Step) -> Step:
    """try the next channel; with none left, search for another contact"""
    event, state, climb = step.event, step.state, step.state.climb
    assert isinstance(event, NoticeOutcome)
    if climb is None or not concerns_the_climb(step):
        return step
    left = tuple(channel for channel in climb.remaining if channel is not event.channel)
    step = step.note(f"{event.channel} could not be delivered")
    if left and state.facts.reachable:
        return next_channel(step.change(climb=replace(climb, remaining=left)))
    if climb.sent:
        return finish(step)
    if state.research is Research.GIVEN_UP:
        return finish(step.note("nobody can be reached").tell_the_owner())
    step = step.change(climb=replace(climb, remaining=climb.rung.by))
    return search_for_a_contact(lose_the_contact(step))


def resume_the_rung(step: Step) -> Step:
    """go on at the same rung"""
    found = Research.NONE if step.state.research is Research.NONE else Research.FOUND
    return step.change(research=found, research_until=None, lost_on=None, not_before=None)


def give_up_the_search(step: Step) -> Step:
    """give up the search and go on"""
    return step.change(research=Research.GIVEN_UP, research_until=None)


def note_the_candidates(step: Step) -> Step:
    """keep what was found for a person to approve"""
    event = step.event
    assert isinstance(event, ContactResearched)
    step = step.note(f"{event.candidates} candidates")
    if not step.state.is_searching:
        return step.note("after the search was over")
    return step.change(research=Research.PROPOSED) if event.candidates else step


# --- holds -----------------------------------------------------------------------------------------------------------


def hold_for_the_promise(step: Step) -> Step:
    """stop until the promised date and its grace"""
    event = step.event
    assert isinstance(event, PromiseMade) and event.pay_by is not None
    until = _end_of_patience(step, event.pay_by)
    step = hold(step, HoldKind.PROMISE, until, amount_minor=event.amount_minor, promised_for=event.pay_by)
    return _confirm(step, event.pay_by)


def hold_for_the_first_instalment(step: Step) -> Step:
    """stop until the first instalment's date and its grace"""
    assert isinstance(step.event, InstalmentsAgreed)
    first, *others = step.event.instalments
    until = _end_of_patience(step, first.pay_by)
    step = hold(
        step,
        HoldKind.PROMISE,
        until,
        amount_minor=first.amount_minor,
        promised_for=first.pay_by,
        instalments=tuple(others),
    )
    return _confirm(step, first.pay_by)


def _confirm(step: Step, pay_by: date) -> Step:
    count = step.state.promises + 1
    step = step.change(promises=count, received_at_promise=step.state.facts.balance.net_received)
    confirmed = f"promise_confirmed+{count}"
    return step.order(SendNotice(confirmed, NoticeKind.PROMISE_CONFIRMED, Channel.EMAIL, pay_by=pay_by))


def _end_of_patience(step: Step, pay_by: date) -> datetime:
    """When a promise for that day counts as broken."""
    policy = step.state.policy
    return policy.calendar.end_of(pay_by + timedelta(days=policy.patience.promise_grace))


def hold_for_the_dispute(step: Step) -> Step:
    """stop until the dispute is decided"""
    assert isinstance(step.event, DisputeRaised)
    until = step.at + timedelta(days=step.state.policy.patience.dispute)
    return hold(step, HoldKind.DISPUTE, until, amount_minor=step.event.amount_minor)


def hold_for_the_pause(step: Step) -> Step:
    """stop until the date given"""
    assert isinstance(step.event, Paused)
    state = step.state
    until = step.at + timedelta(days=state.policy.patience.pause)
    if step.event.until is not None:
        until = state.policy.calendar.end_of(step.event.until - timedelta(days=1))
    return hold(step, HoldKind.PAUSE, until)


def hold_for_the_answer(step: Step) -> Step:
    """stay silent for some days, so that a person can answer"""
    until = step.at + timedelta(days=step.state.policy.patience.answer)
    return hold(step, HoldKind.PAUSE, until, reason="the customer answered")


def hold_for_approval(step: Step) -> Step:
    """ask for approval"""
    until = step.at + timedelta(days=step.state.policy.patience.approval)
    step = hold(step, HoldKind.APPROVAL, until, reason="placement with the agency")
    return step.change(placement=Placement.ASKED, last_step="asked to approve the placement")


def hold_for_credit(step: Step) -> Step:
    """send nothing until credit is approved"""
    until = step.at + timedelta(days=step.state.policy.patience.dispute)
    return hold(step, HoldKind.CREDIT, until)


def renew_the_hold(step: Step) -> Step:
    """keep the hold and ask again later"""
    held = step.state.hold
    assert held is not None
    return step.change(hold=replace(held, until=step.at + timedelta(days=step.state.policy.patience.dispute)))


def lift_the_hold(step: Step) -> Step:
    """lift the hold"""
    if isinstance(step.event, DisputeResolved):
        step = step.note(f"dispute {step.event.outcome}")
    return step.change(hold=None)


def lift_the_approval(step: Step) -> Step:
    """lift the hold for the approval"""
    held = step.state.hold
    return lift_the_hold(step) if held is not None and held.kind is HoldKind.APPROVAL else step


def lift_a_kept_promise(step: Step) -> Step:
    """lift the hold if what was promised is here, or wait for the next instalment"""
    while (held := step.state.hold) is not None and held.kind is HoldKind.PROMISE and held.amount_minor is not None:
        if step.state.paid_since_promise < held.amount_minor:
            break
        if not held.instalments:
            return lift_the_hold(step.note("promise kept"))
        step = _wait_for_the_next_instalment(step.note(f"instalment of {held.promised_for} kept"), held)
    return step


def _wait_for_the_next_instalment(step: Step, held: Hold) -> Step:
    """What was paid beyond the instalment that was kept counts for the next."""
    assert held.amount_minor is not None
    following, *others = held.instalments
    waiting = replace(
        held,
        until=_end_of_patience(step, following.pay_by),
        amount_minor=following.amount_minor,
        promised_for=following.pay_by,
        instalments=tuple(others),
    )
    return step.change(hold=waiting, received_at_promise=step.state.received_at_promise + held.amount_minor)


def count_the_broken_promise(step: Step) -> Step:
    """count the broken promise"""
    state = step.state
    if state.hold is not None and state.hold.instalments:
        step = step.note(f"the plan ends with the instalment of {state.hold.promised_for}")
    if state.paid_since_promise > 0:
        step = step.note(f"partly kept: {Money(state.paid_since_promise, state.currency)} came in")
    return step.change(broken_promises=state.broken_promises + 1)


def let_the_approval_lapse(step: Step) -> Step:
    """let the approval lapse"""
    return step.change(placement=Placement.LAPSED)


# --- the agency ---------------------------------------------------------------------------------------------------


def approve_the_placement(step: Step) -> Step:
    """hand it to the agency"""
    by = step.event.by if isinstance(step.event, Request) else "policy"
    return order_the_placement(step.change(placement=Placement.APPROVED, approved_by=by))


def order_the_placement(step: Step) -> Step:
    """hand it to the agency"""
    return step.order(PlaceWithAgency(step.state.approved_by))


def refuse_the_placement(step: Step) -> Step:
    """keep it with us"""
    return step.change(placement=Placement.REFUSED)


def start_the_agency_clock(step: Step) -> Step:
    """wait for the agency's report; our own chasing stops"""
    until = step.at + timedelta(days=step.state.policy.patience.agency_report)
    step = finish_or_drop(step)
    return step.change(agency_until=until, placement=Placement.PLACED, last_step="placed with the agency")


def keep_the_placement_back(step: Step) -> Step:
    """keep it with us until a person decides"""
    assert isinstance(step.event, PlacementFailed)
    step = step.note(step.event.reason)
    return step.change(placement=Placement.LAPSED) if step.state.placement is Placement.APPROVED else step


def recall_it(step: Step) -> Step:
    """recall it from the agency"""
    held = step.state.hold
    reason = f"on hold ({held.kind})" if held else "paid or settled directly"
    if isinstance(step.event, Request):
        reason = step.event.reason or name_words(event_name(step.event))
    return end_the_placement(step).order(RecallFromAgency(reason))


def end_the_placement(step: Step) -> Step:
    """go on with our own chasing"""
    return step.change(placement=Placement.ENDED, agency_until=None, last_step="back from the agency")


# --- the rest -------------------------------------------------------------------------------------------------------


def thank_the_customer(step: Step) -> Step:
    """thank the customer"""
    version = step.state.facts.version
    return step.order(SendNotice(f"receipt+{version}", NoticeKind.RECEIPT, Channel.EMAIL))


def tell_the_owner(step: Step) -> Step:
    """tell the owner"""
    return step.tell_the_owner()


def follow_the_new_policy(step: Step) -> Step:
    """follow the new policy from here on"""
    assert isinstance(step.event, PolicyChanged) and step.event.policy is not None
    return finish_or_drop(step).change(policy=step.event.policy)


def reopen(step: Step) -> Step:
    """go on at the level it had"""
    reachable = step.state.facts.reachable
    if step.state.unreachable and reachable:
        step = resume_the_rung(step)
    elif not (step.state.unreachable or reachable):
        step = search_for_a_contact(lose_the_contact(step))  # the contact was lost while nobody was to be reached
    return step.change(before_close=None, last_step="reopened")
