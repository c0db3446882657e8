"""A small world around one invoice: a ledger that shows facts, a gate that answers orders, and time that passes.

It turns the core as the workflow does: news first, then actions, and only then time.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

import pytest

from lunas.receivables import events as on
from lunas.receivables.actions import Action, PlaceWithAgency, SendNotice
from lunas.receivables.adoption import adopt
from lunas.receivables.deadlines import next_deadline
from lunas.receivables.invoice import Entry, Facts, HoldKind, InvoiceState, Stage
from lunas.receivables.ladder import Channel
from lunas.receivables.lifecycle import Decision, NotAllowed, allows, decide, wanted
from lunas.receivables.orders import Report, Verdict, outcome

#: More decisions than any invoice needs at one moment: a loop in which no time passes.
MOST_AT_ONCE = 40
Answer = Callable[[Action], Report]


def all_goes_well(action: Action) -> Report:
    """Everything arrives, and searches find nobody."""
    return Report(Verdict.SENT if isinstance(action, SendNotice) else Verdict.DONE)


@dataclass
class World:
    """One invoice, and everything that is to hold about it at every step."""

    state: InvoiceState
    now: datetime
    ledger: Facts = field(init=False)
    journal: list[Entry] = field(default_factory=list)
    sent: list[tuple[datetime, SendNotice]] = field(default_factory=list)
    demand_delivered: bool = False
    at_once: int = 0
    _actions: deque[Action] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self.ledger = self.state.facts

    # --- what happens ------------------------------------------------------------------------------------------------

    def show(self, facts: Facts, answer: Answer = all_goes_well) -> None:
        """The ledger shows newer facts."""
        self.ledger = facts
        self._turn(answer)

    def ask(self, request: on.Request, answer: Answer = all_goes_well) -> bool:
        """Somebody asks for something; whether it was allowed."""
        refusal = allows(self.state, request, self.now)
        if refusal is not None:
            with pytest.raises(NotAllowed, match=re.escape(refusal)):
                decide(self.state, request, self.now)
            return False
        self._apply(request)
        self._turn(answer)
        return True

    def wait(self, answer: Answer = all_goes_well, *, asleep: timedelta = timedelta(0)) -> bool:
        """Wait for the next deadline, and `asleep` longer; whether there was one."""
        deadline = next_deadline(self.state, self.now)
        assert (deadline is not None) is self.state.is_open, "every open invoice waits for something"
        if deadline is None:
            return False
        self._pass_to(max(self.now, deadline.moment) + asleep)
        reached = next_deadline(self.state, self.now)
        assert reached is not None
        if reached.moment <= self.now:
            before = self.state
            self._apply(reached.event)
            assert self.state is not before or self._actions, f"{reached.event} at {self.now} changes nothing"
            self._turn(answer)
        return True

    def pass_time(self, how_long: timedelta) -> None:
        """Let time pass in which nobody looks."""
        self._pass_to(self.now + how_long)

    # --- how it turns ------------------------------------------------------------------------------------------------

    def _pass_to(self, moment: datetime) -> None:
        self.at_once = self.at_once + 1 if moment == self.now else 0
        assert self.at_once < MOST_AT_ONCE, f"time stands still at {self.now}: {self.state.last_step}"
        self.now = moment

    def _turn(self, answer: Answer) -> None:
        for _ in range(MOST_AT_ONCE):
            self.state, facts = adopt(self.state, self.ledger)
            for event in facts:
                self._apply(event)
            if not self._actions:
                self._check_between_turns()
                return
            action = self._actions.popleft()
            if wanted(self.state, action):
                self._perform(action, answer(action))
        raise AssertionError(f"orders without end at {self.now}: {self._actions}")

    def _perform(self, action: Action, report: Report) -> None:
        if isinstance(action, SendNotice) and report.verdict in (Verdict.SENT, Verdict.COVERED, Verdict.UNSETTLED):
            self._note_sent(action)
            certain = report.verdict is not Verdict.UNSETTLED
            self.demand_delivered |= certain and action.rung.startswith("final_demand")
        if isinstance(action, PlaceWithAgency):
            assert self.demand_delivered, "no agency step without a final demand that was delivered"
        event = outcome(action, report)
        if event is not None:
            self._apply(event)

    def _apply(self, event: on.Event) -> None:
        decision = decide(self.state, event, self.now)
        self._check(self.state, event, decision)
        self.state = decision.state
        self._actions = deque([*(a for a in self._actions if wanted(self.state, a)), *decision.actions])
        if decision.entry is not None:
            self.journal.append(decision.entry)

    # --- what holds --------------------------------------------------------------------------------------------------

    def _check(self, was: InvoiceState, event: on.Event, decision: Decision) -> None:
        now, entry = decision.state, decision.entry
        if entry is None:
            assert now is was
            assert decision.actions == ()
        else:
            assert entry.sequence == now.sequence == was.sequence + 1
            assert (entry.was, entry.becomes) == (was.stage, now.stage)
        if was.stage.is_closed and now.is_open:
            assert isinstance(event, on.PaymentReversed)
            assert was.stage in (Stage.PAID, Stage.CREDITED)
            assert now.stage is not Stage.AGENCY, "the end had recalled it"
        assert _days(now.climbed) >= _days(was.climbed), "nobody climbs down"
        assert now.days_held >= was.days_held
        for action in decision.actions:
            self._check_order(was, event, now, action)

    def _check_order(self, was: InvoiceState, event: on.Event, now: InvoiceState, action: Action) -> None:
        match action:
            case SendNotice(kind=kind) if kind.is_dunning or kind.value == "send_invoice":
                assert now.is_free, "held, closed or placed: nothing is said"
                assert not now.facts.balance.settled
                assert now.policy.calendar.permits(self.now), f"{action.rung} outside the window"
                if isinstance(event, on.RungFellDue):
                    self._check_gap(was, event)
            case PlaceWithAgency():
                assert now.is_free
                assert not now.facts.balance.settled
                assert now.final_demand_on is not None
            case _:
                pass

    def _check_gap(self, was: InvoiceState, event: on.RungFellDue) -> None:
        is_new = was.climb is None or not (was.climb.sent or was.climb.is_brought_forward)
        if is_new and was.last_step_on is not None:
            assert (self._today - was.last_step_on).days >= was.policy.minimum_gap
        assert is_new or was.climb is None or event.rung == was.climb.rung

    def _check_between_turns(self) -> None:
        state, balance = self.state, self.ledger.balance
        assert state.facts == self.ledger
        owed = balance.lines + balance.charges
        assert balance.outstanding == owed - balance.net_received - balance.credited - balance.discount
        if state.stage not in (Stage.WRITTEN_OFF, Stage.CANCELLED):
            assert state.stage.is_closed is balance.settled
        assert state.hold is None or (state.is_open and state.stage is not Stage.AGENCY)
        assert (state.agency_until is not None) is (state.stage is Stage.AGENCY)
        assert (state.stopped_on is not None) is state.stands_still
        assert state.climb is None or state.climb.remaining
        past_due = max((self._today - state.due_on).days, 0)
        assert state.days_held <= past_due, "each day counts once at most"

    def _note_sent(self, notice: SendNotice) -> None:
        said = {(earlier.rung, earlier.channel) for _, earlier in self.sent}
        assert (notice.rung, notice.channel) not in said, f"{notice.rung} by {notice.channel} goes out twice"
        self.sent.append((self.now, notice))

    @property
    def _today(self) -> date:
        return self.state.policy.calendar.local_date(self.now)

    def rungs(self, channel: Channel = Channel.EMAIL) -> list[str]:
        """What was sent through that channel, in order."""
        return [notice.rung for _, notice in self.sent if notice.channel is channel]

    @property
    def held(self) -> HoldKind | None:
        """What holds the invoice."""
        return self.state.hold.kind if self.state.hold else None


def _days(climbed: int | None) -> int:
    return -(10**6) if climbed is None else climbed
