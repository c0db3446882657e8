"""The rung under way: how it begins, speaks through one channel after another, and is behind us."""

from __future__ import annotations

from datetime import timedelta

from lunas.receivables.actions import NoticeKind, SendNotice
from lunas.receivables.deadlines import days_to_placement, up_to
from lunas.receivables.events import NoticeOutcome, RungFellDue
from lunas.receivables.invoice import Climb
from lunas.receivables.ladder import Do
from lunas.receivables.step import Step


def begin(step: Step) -> Step:
    """Put the rung that fell due under way, or go on with it; those that it overtakes are noted as skipped."""
    event, climb = step.event, step.state.climb
    assert isinstance(event, RungFellDue)
    if climb is None or climb.rung != event.rung or climb.reach != event.reach:
        return note_the_skipped(step).change(climb=Climb(event.rung, event.reach, event.rung.by), not_before=None)
    return step.change(not_before=None)


def note_the_skipped(step: Step) -> Step:
    """Note which rungs are overtaken by the one that fell due."""
    event = step.event
    assert isinstance(event, RungFellDue)
    skipped = [rung.key for rung in up_to(step.state, event.reach) if rung != event.rung]
    return step.note("skipped as overtaken: " + ", ".join(skipped)) if skipped else step


def next_channel(step: Step) -> Step:
    """Speak through the next channel; outside the window and on hold nothing is said, and the rung waits."""
    climb = step.state.climb
    assert climb is not None and climb.remaining
    if not (step.state.is_free and step.state.policy.calendar.permits(step.at)):
        return step
    rung = climb.rung
    ordinal = step.state.follow_ups + 1 if rung.do is Do.FOLLOW_UP else 0
    days = days_to_placement(step.state) if rung.do is Do.FINAL_DEMAND else None
    pay_by = step.today + timedelta(days=days) if days else None
    return step.order(SendNotice(rung.key, NoticeKind.of(rung.do), climb.remaining[0], rung.tone, ordinal, pay_by))


def finish(step: Step) -> Step:
    """The rung is behind us."""
    climb, state = step.state.climb, step.state
    assert climb is not None
    rung = climb.rung
    climbed = climb.reach if state.climbed is None else max(climb.reach, state.climbed)
    follow_ups = state.follow_ups + (rung.do is Do.FOLLOW_UP and climb.sent)
    step = step.change(
        climb=None,
        climbed=climbed,
        not_before=None,
        follow_ups=follow_ups,
        last_step=rung.key,
        last_step_on=step.today,
    )
    match rung.do:
        case Do.OFFER_ALTERNATE_PAYMENT:
            return step.change(offered=True)
        case Do.FINAL_DEMAND if climb.delivered:
            return step.change(final_demand_on=step.today, days_held_at_demand=state.days_held)
        case Do.FINAL_DEMAND:
            return step.note("the final demand was not delivered for certain: no agency step").tell_the_owner()
        case _:
            return step


def finish_what_was_said(step: Step) -> Step:
    """A rung that one channel has carried is behind us: what the others would say comes too late."""
    climb = step.state.climb
    return finish(step) if climb is not None and climb.sent else step


def finish_or_drop(step: Step) -> Step:
    """The same, and a rung that nobody has heard is under way no longer."""
    return finish_what_was_said(step).change(climb=None, not_before=None)


def concerns_the_climb(step: Step) -> bool:
    """Whether an outcome is about the rung under way, not about a receipt or a rung that was dropped meanwhile."""
    climb, event = step.state.climb, step.event
    assert isinstance(event, NoticeOutcome)
    return climb is not None and climb.rung.key == event.rung and event.channel in climb.remaining
