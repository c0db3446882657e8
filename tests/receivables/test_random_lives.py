"""Random lives: whatever happens to an invoice, in whatever order, what must hold holds at every step (see World)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from pydantic import TypeAdapter

from lunas.receivables import events as on
from lunas.receivables.actions import Action, PlaceWithAgency, ResearchContact, SendNotice
from lunas.receivables.instalments import Every, equal_instalments
from lunas.receivables.invoice import AgencyWord, InvoiceState, Stage
from lunas.receivables.orders import Report, Verdict
from lunas.receivables.rehearsal import issue
from tests.receivables.samples import ISSUED_ON, OPENED_AT, TOTAL, facts, paid, policy
from tests.receivables.world import Answer, World

STATE = TypeAdapter(InvoiceState)
POLICIES = st.sampled_from(["brisk", "standard", "gentle"])
ZONES = st.sampled_from(["Asia/Jakarta", "America/New_York"])
HOURS = st.timedeltas(timedelta(0), timedelta(hours=30))
SOME = st.integers(1, TOTAL.minor // 3)
USUALLY = [Verdict.SENT] * 8
NOTICE_VERDICTS = st.sampled_from([
    *USUALLY, Verdict.COVERED, Verdict.UNSETTLED, Verdict.POSTPONED, Verdict.WITHHELD, Verdict.UNDELIVERABLE,
])  # fmt: skip


class Life(RuleBasedStateMachine):
    """One invoice from its issue on."""

    @initialize(name=POLICIES, zone=ZONES, late=st.sampled_from([0, 0, 27, 65, 150]), hours=HOURS)
    def begin(self, name: str, zone: str, late: int, hours: timedelta) -> None:
        opened_at = OPENED_AT + timedelta(days=late) + hours
        state = issue("INV/1", "C-7", TOTAL, ISSUED_ON, policy(name, zone), opened_at=opened_at)
        self.world = World(state, opened_at)

    @rule(data=st.data(), times=st.integers(1, 6))
    def wait(self, data: st.DataObject, times: int) -> None:
        for _ in range(times):
            self.world.wait(self.gate(data))

    @rule(data=st.data(), asleep=st.timedeltas(timedelta(0), timedelta(days=70)))
    def be_down(self, data: st.DataObject, asleep: timedelta) -> None:
        self.world.wait(self.gate(data), asleep=asleep)

    @rule(how_long=HOURS)
    def let_time_pass(self, how_long: timedelta) -> None:
        self.world.pass_time(how_long)

    @rule(data=st.data(), amount=st.none() | SOME)
    def pay(self, data: st.DataObject, amount: int | None) -> None:
        seen, received = self.world.ledger, self.world.ledger.balance.received
        self.world.show(paid(seen) if amount is None else facts(seen, received=received + amount), self.gate(data))

    @rule(data=st.data())
    def reverse(self, data: st.DataObject) -> None:
        balance = self.world.ledger.balance
        if balance.received > balance.reversed:
            self.world.show(facts(self.world.ledger, reversed=balance.received), self.gate(data))

    @rule(data=st.data(), amount=SOME, wholly=st.sampled_from([False, False, True]))
    def credit(self, data: st.DataObject, amount: int, wholly: bool) -> None:
        balance = self.world.ledger.balance
        more = max(balance.outstanding, 0) if wholly else amount
        self.world.show(facts(self.world.ledger, credited=balance.credited + more), self.gate(data))

    @rule(data=st.data(), reachable=st.booleans())
    def find_or_lose_the_contact(self, data: st.DataObject, reachable: bool) -> None:
        self.world.show(facts(self.world.ledger, reachable=reachable), self.gate(data))

    @rule(data=st.data(), other_way=st.booleans())
    def answer(self, data: st.DataObject, other_way: bool) -> None:
        seen = self.world.ledger
        news = facts(seen, answers=seen.answers + 1, other_way=other_way or seen.other_way)
        self.world.show(news, self.gate(data))

    @rule(data=st.data(), word=st.sampled_from(AgencyWord))
    def hear_from_the_agency(self, data: st.DataObject, word: AgencyWord) -> None:
        self.world.show(facts(self.world.ledger, agency=word), self.gate(data))

    @rule(data=st.data())
    def ask(self, data: st.DataObject) -> None:
        today = self.world.state.policy.calendar.local_date(self.world.now)
        days = st.integers(-2, 40).map(lambda ahead: today + timedelta(days=ahead))
        amounts = st.none() | SOME
        request = data.draw(
            st.builds(on.PromiseMade, st.just("ana"), pay_by=days, amount_minor=amounts)
            | st.builds(on.DisputeRaised, st.just("ana"), amount_minor=amounts)
            | st.builds(on.DisputeResolved, st.just("ana"), outcome=st.sampled_from(on.DisputeOutcome))
            | st.builds(on.Paused, st.just("ana"), until=st.none() | days)
            | st.builds(on.PolicyChanged, st.just("ana"), policy=POLICIES.map(policy))
            | st.sampled_from([on.Resumed, on.PlacementApproved, on.PlacementRefused]).map(lambda kind: kind("ana"))
            | st.sampled_from([on.Recalled, on.ContactCorrected]).map(lambda kind: kind("ana"))
            | st.sampled_from([on.CreditHeld, on.CreditReleased]).map(lambda kind: kind("ana"))
        )
        self.world.ask(request, self.gate(data))

    @rule(data=st.data(), count=st.integers(1, 7), ahead=st.integers(-1, 30), every=st.sampled_from(Every))
    def ask_for_instalments(self, data: st.DataObject, count: int, ahead: int, every: Every) -> None:
        state = self.world.state
        first = state.policy.calendar.local_date(self.world.now) + timedelta(days=ahead)
        if state.facts.balance.outstanding > 0:
            plan = equal_instalments(state.outstanding, count, first, every)
            self.world.ask(on.InstalmentsAgreed("ana", instalments=plan), self.gate(data))

    @rule(data=st.data(), end=st.sampled_from([on.WrittenOff, on.Cancelled]), seriously=st.integers(0, 9))
    def give_up(self, data: st.DataObject, end: type[on.Request], seriously: int) -> None:
        if seriously == 0:
            self.world.ask(end("ana"), self.gate(data))

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        sequences = [entry.sequence for entry in self.world.journal]
        assert sequences == list(range(1, len(sequences) + 1))
        assert STATE.validate_json(STATE.dump_json(self.world.state)) == self.world.state
        stages = [Stage.ISSUED, *(entry.becomes for entry in self.world.journal)]
        assert [entry.was for entry in self.world.journal] == stages[:-1], "replaying the journal gives the stages"
        assert stages[-1] is self.world.state.stage

    def gate(self, data: st.DataObject) -> Answer:
        """Answers as the outside world may give them."""

        def answer(action: Action) -> Report:
            match action:
                case SendNotice(kind=kind) if kind.is_dunning or kind.value == "send_invoice":
                    verdict = data.draw(NOTICE_VERDICTS)
                    wait = data.draw(HOURS) if verdict is Verdict.POSTPONED else None
                    return Report(verdict, until=self.world.now + wait if wait else None)
                case SendNotice():
                    return Report(Verdict.SENT)
                case ResearchContact():
                    return Report(Verdict.DONE, candidates=data.draw(st.integers(0, 2)))
                case PlaceWithAgency():
                    return Report(data.draw(st.sampled_from([Verdict.DONE, Verdict.DONE, Verdict.FAILED])))
                case _:
                    return Report(Verdict.DONE)

        return answer


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=60, stateful_step_count=40)


def test_a_state_says_which_field_it_does_not_have() -> None:
    state = World(issue("INV/1", "C-7", TOTAL, ISSUED_ON, policy(), opened_at=OPENED_AT), OPENED_AT).state
    assert state.but(sequence=3) == replace(state, sequence=3)
    with pytest.raises(TypeError, match="an invoice's state has no sequense"):
        state.but(sequense=3)
