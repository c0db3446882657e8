"""Standing still: holds, the end, and what both do to the ladder's clock and to a placement that was being prepared."""

from __future__ import annotations

from datetime import date, datetime

from lunas.receivables.climbing import finish_or_drop, finish_what_was_said
from lunas.receivables.events import Request
from lunas.receivables.invoice import Hold, HoldKind, Instalment, InvoiceState, Placement
from lunas.receivables.step import Step


def hold(
    step: Step,
    kind: HoldKind,
    until: datetime,
    *,
    reason: str | None = None,
    amount_minor: int | None = None,
    promised_for: date | None = None,
    instalments: tuple[Instalment, ...] = (),
) -> Step:
    """Stop dunning, in place of any earlier hold."""
    by, said = (step.event.by, step.event.reason) if isinstance(step.event, Request) else ("lunas", "")
    held = Hold(kind, step.at, until, by, said if reason is None else reason, amount_minor, promised_for, instalments)
    return _withdraw_the_approval(finish_what_was_said(step)).change(hold=held)


def tidy(step: Step, before: InvoiceState) -> Step:
    """What holds for every line of the table: a closed invoice waits for nothing, and the ladder's clock is kept.

    Days that the clock stands still count once, however many reasons there are, and from the due date on.
    """
    state = step.state
    if state.stage is before.stage and state.hold is before.hold and state.lost_on is before.lost_on:
        return step
    if state.stage.is_closed and not before.stage.is_closed:
        step = _withdraw_the_approval(finish_or_drop(step)).change(hold=None)
        state = step.state
    if state.stands_still and not before.stands_still:
        return step.change(stopped_on=step.today)
    if before.stands_still and not state.stands_still:
        since = max(before.stopped_on or step.today, state.due_on)
        silent = max((step.today - since).days, 0)
        return step.change(stopped_on=None, days_held=state.days_held + silent)
    return step


def _withdraw_the_approval(step: Step) -> Step:
    """What an approval was asked for or given for has changed: it is to be asked for again."""
    pending = step.state.placement in (Placement.ASKED, Placement.APPROVED)
    return step.change(placement=Placement.NONE) if pending else step
