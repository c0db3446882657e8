"""Rehearsal: what a policy will do to an invoice, dated, without Temporal, by the same core that production runs."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from lunas.receivables.actions import (
    Action,
    PlaceWithAgency,
    PrepareOffer,
    RecallFromAgency,
    ResearchContact,
    SendNotice,
    TellOwner,
)
from lunas.receivables.adoption import adopt
from lunas.receivables.deadlines import next_deadline
from lunas.receivables.events import (
    ContactResearched,
    Event,
    NoticeSent,
    OfferPrepared,
    PlacementConfirmed,
)
from lunas.receivables.invoice import Balance, Facts, HoldKind, InvoiceState, Stage
from lunas.receivables.lifecycle import decide, wanted
from lunas.receivables.money import Money
from lunas.receivables.policy import Policy
from lunas.receivables.words import action_words, event_name, late_words, name_words

#: More steps than any sane policy takes in a horizon: a rehearsal that takes more has a fault in its policy.
MOST_STEPS = 10_000


@dataclass(frozen=True, slots=True)
class Planned:
    """One line of a rehearsal: at that moment (UTC) this would be done, or would happen, in that stage.

    `note` is what the journal would say besides, such as which rungs are skipped.
    """

    at: datetime
    on: date
    days_late: int
    what: str
    stage: Stage
    held: HoldKind | None
    action: Action | None = None
    note: str = ""

    def __str__(self) -> str:
        held = f"[{self.held}] " if self.held else ""
        note = f" ({self.note})" if self.note else ""
        return f"{self.on:%a %Y-%m-%d}  {late_words(self.days_late):<18}  {self.stage:<17}  {held}{self.what}{note}"


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that a rehearsal supposes: at that moment this event happens, or the ledger shows these facts."""

    at: datetime
    what: Event | Facts


def issue(
    number: str,
    customer: str,
    total: Money,
    issued_on: date,
    policy: Policy,
    *,
    opened_at: datetime,
    due_on: date | None = None,
) -> InvoiceState:
    """A new invoice under `policy`, nothing paid; due by the policy's terms unless `due_on` says otherwise."""
    return InvoiceState(
        number=number,
        customer=customer,
        currency=total.currency,
        issued_on=issued_on,
        due_on=due_on or policy.terms.due_on(issued_on),
        opened_at=opened_at,
        policy=policy,
        facts=Facts(version=1, balance=Balance(lines=total.minor)),
    )


def rehearse(
    state: InvoiceState, *, days: int = 365, suppose: Iterable[Happening] = (), since: datetime | None = None
) -> tuple[Planned, ...]:
    """What would be done until `days` after the due date, if nothing but `suppose` happened.

    It begins at `since` (None: when the invoice came in), as if a worker woke up then and found the state so. Every
    notice is taken to arrive, every search to find nothing, and nobody to decide anything.
    """
    until = state.policy.calendar.end_of(state.due_on + timedelta(days=days))
    coming = sorted(suppose, key=lambda happening: happening.at)
    planned: list[Planned] = []
    now = since or state.opened_at
    for _ in range(MOST_STEPS):
        deadline = next_deadline(state, now)
        if deadline is not None and not (coming and coming[0].at <= deadline.moment):
            now = max(now, deadline.moment)
            events: list[Event] = [deadline.event]
        elif coming:
            happening = coming.pop(0)
            now = max(now, happening.at)
            state, events = _supposed(state, happening.what)
        else:
            return tuple(planned)
        if now > until:
            return tuple(planned)
        state = _turn(state, events, now, planned)
    raise RuntimeError(f"the rehearsal of {state.number} took more than {MOST_STEPS} steps: the policy never moves on")


def _supposed(state: InvoiceState, what: Event | Facts) -> tuple[InvoiceState, list[Event]]:
    if isinstance(what, Event):
        return state, [what]
    state, events = adopt(state, what)
    return state, list(events)


def _turn(state: InvoiceState, events: Iterable[Event], now: datetime, planned: list[Planned]) -> InvoiceState:
    """Decide about all that happened, then do what is ordered, as the workflow does."""
    coming, orders = deque(events), deque[tuple[Action, str]]()
    while coming or orders:
        if coming:
            event = coming.popleft()
            decision = decide(state, event, now)
            before, state = state, decision.state
            note = decision.entry.detail if decision.entry else ""
            moved = before.stage is not state.stage or (before.hold is None) is not (state.hold is None)
            speaks = any(isinstance(action, SendNotice) for action in decision.actions)
            if (moved and not speaks) or (note and not decision.actions):
                planned.append(_line(state, now, name_words(event_name(event)), None, note))
                note = ""
            orders.extend((action, "" if isinstance(action, TellOwner) else note) for action in decision.actions)
            continue
        action, note = orders.popleft()
        if wanted(state, action):
            planned.append(_line(state, now, action_words(action), action, note))
            coming.extend(_taken_to_succeed(action))
    return state


def _line(state: InvoiceState, now: datetime, what: str, action: Action | None, note: str) -> Planned:
    day = state.policy.calendar.local_date(now)
    held = state.hold.kind if state.hold else None
    return Planned(now, day, (day - state.due_on).days, what, state.stage, held, action, note)


def _taken_to_succeed(action: Action) -> tuple[Event, ...]:
    match action:
        case SendNotice(rung=rung, channel=channel):
            return (NoticeSent(rung, channel),)
        case ResearchContact():
            return (ContactResearched(0),)
        case PrepareOffer(rung=rung):
            return (OfferPrepared(rung),)
        case PlaceWithAgency():
            return (PlacementConfirmed(),)
        case RecallFromAgency() | TellOwner():
            return ()
