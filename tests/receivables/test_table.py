"""The table: every stage and every event decided on purpose, once, and in words that people can read."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

import pytest

from lunas.receivables import events as on
from lunas.receivables.actions import SendNotice
from lunas.receivables.invoice import CLOSED, OPEN, HoldKind, InvoiceState, Placement, Stage
from lunas.receivables.lifecycle import (
    GROUPS,
    IGNORED,
    REFUSED,
    REQUESTS,
    TABLE,
    Decision,
    NotAllowed,
    Rule,
    allows,
    decide,
)
from lunas.receivables.words import event_name, request_words, stage_words, state_words
from tests.receivables.samples import DUE_ON, at_stage, days_late, facts, held, invoice, paid

LATER = days_late(40)


def concrete(kind: type[on.Event]) -> Iterator[type[on.Event]]:
    """The events that can happen: the leaves of the family tree."""
    children = kind.__subclasses__()
    if not children:
        yield kind
    for child in children:
        yield from concrete(child)


#: A dataclass with slots is made twice; the first making lingers among the subclasses until it is collected.
EVENTS = sorted({kind for kind in concrete(on.Event) if getattr(on, kind.__name__) is kind}, key=event_name)


def lines(stage: Stage, event: type[on.Event]) -> list[Rule]:
    return [rule for rule in TABLE if stage in rule.when and rule.event is event]


def is_ignored(stage: Stage, event: type[on.Event]) -> bool:
    return any(stage in stages and event in events for stages, events, _ in IGNORED)


def is_refused(stage: Stage, event: type[on.Event]) -> bool:
    return any(stage in stages and event in events for stages, events, _ in REFUSED)


def test_there_is_something_to_decide() -> None:
    assert len(EVENTS) == 50
    assert set(REQUESTS) == {event for event in EVENTS if issubclass(event, on.Request)}


@pytest.mark.parametrize("stage", Stage)
def test_every_pair_is_decided_on_purpose(stage: Stage) -> None:
    for event in EVENTS:
        settled_by = [bool(lines(stage, event)), is_ignored(stage, event), is_refused(stage, event)]
        if is_refused(stage, event):
            # A condition may let a request through where the rest is refused for a reason of its own.
            settled_by[0] = any(rule.given is None for rule in lines(stage, event))
        assert settled_by.count(True) == 1, f"{stage} × {event_name(event)}: table, ignored, refused are {settled_by}"
        assert issubclass(event, on.Request) or not is_refused(stage, event), "only a request can be refused"


@pytest.mark.parametrize("rule", TABLE, ids=lambda rule: rule.name)
def test_no_line_hides_behind_another(rule: Rule) -> None:
    earlier = TABLE[: TABLE.index(rule)]

    def is_hidden(stage: Stage) -> bool:
        rivals = (other for other in earlier if other.event is rule.event and stage in other.when)
        return any(other.given in (None, rule.given) for other in rivals)

    assert not all(map(is_hidden, rule.when))


@pytest.mark.parametrize("stage", Stage)
def test_what_happens_is_never_left_to_a_condition(stage: Stage) -> None:
    """A fact or an outcome that has lines in the table always finds one; only clocks and requests may find none."""
    for event in EVENTS:
        if issubclass(event, on.FactEvent | on.OutcomeEvent | on.RungFellDue) and (decided := lines(stage, event)):
            assert decided[-1].given is None, event_name(event)


def test_every_line_has_a_name_of_its_own() -> None:
    names = [rule.name for rule in TABLE]
    assert len(set(names)) == len(names)
    assert max(map(len, names)) <= 128, "the journal's column"
    assert "promise_made/with_us/the_promise_is_within_limits" in names


def test_every_line_can_be_read() -> None:
    for rule in TABLE:
        assert GROUPS[rule.when]
        assert rule.event.__doc__
        assert rule.given is None or rule.given.__doc__
        assert all(effect.__doc__ for effect in rule.we)


@pytest.mark.parametrize("stage", sorted(OPEN))
def test_every_open_stage_can_be_paid(stage: Stage) -> None:
    state = at_stage(stage)
    decision = decide(state.but(facts=paid(state.facts)), on.PaidInFull(), LATER)
    assert decision.state.stage is Stage.PAID
    assert decision.state.hold is None
    assert decision.state.climb is None


@pytest.mark.parametrize("stage", sorted(OPEN))
@pytest.mark.parametrize("event", [on.PaidInFull, on.PartPaymentReceived])
def test_only_money_that_came_to_us_is_answered(stage: Stage, event: type[on.MoneyEvent]) -> None:
    state = at_stage(stage)
    known = facts(state.facts, received=1) if event is on.PartPaymentReceived else paid(state.facts)
    for earlier in (False, True):
        decision = decide(state.but(facts=known), event(earlier), LATER)
        thanked = [action for action in decision.actions if isinstance(action, SendNotice)]
        assert bool(thanked) is not earlier
        assert decision.state.stage.is_closed is (event is on.PaidInFull)


@pytest.mark.parametrize("kind", HoldKind)
def test_a_payment_lifts_every_hold(kind: HoldKind) -> None:
    state = invoice(hold=held(kind))
    decision = decide(state.but(facts=paid(state.facts)), on.PaidInFull(), LATER)
    assert (decision.state.stage, decision.state.hold) == (Stage.PAID, None)


@pytest.mark.parametrize("kind", HoldKind)
def test_a_rung_that_falls_due_on_hold_is_a_straggler(kind: HoldKind) -> None:
    state = invoice(hold=held(kind), final_demand_on=DUE_ON)
    for event in (on.FollowUpFellDue(state.policy.ladder.after(0), 1), on.PlacementFellDue()):
        assert decide(state, event, LATER) == Decision(state, (), None)


@pytest.mark.parametrize("stage", sorted(CLOSED))
def test_closed_stays_closed_except_after_a_reversal(stage: Stage) -> None:
    moving = {event for event in EVENTS if any(rule.becomes is not None for rule in lines(stage, event))}
    assert moving == ({on.PaymentReversed} if stage in (Stage.PAID, Stage.CREDITED) else set())


REFUSALS: list[tuple[InvoiceState, on.Request, str]] = [
    (
        invoice(stage=Stage.RESEARCH_CONTACT, hold=held(HoldKind.PROMISE)),
        on.Recalled("ana"),
        "is in research contact and on hold for a promise: it cannot be recalled, because no agency has it",
    ),
    (
        at_stage(Stage.PAID),
        on.Paused("ana"),
        "is paid: it cannot be paused, because it is closed",
    ),
    (
        at_stage(Stage.WRITTEN_OFF),
        on.PromiseMade("ana", pay_by=date(2027, 1, 5)),
        "is written off: it cannot take a promise, because it is closed",
    ),
    (
        at_stage(Stage.AGENCY),
        on.PolicyChanged("ana"),
        "is with the agency: it cannot follow another policy, because the agency has it: recall it first",
    ),
    (
        invoice(stage=Stage.FOLLOW_UP, hold=held(HoldKind.DISPUTE)),
        on.Paused("ana", until=date(2027, 2, 1)),
        """is in follow-up and disputed: it can be paused only when nothing but an earlier pause holds it, and the
        date given is later than today and within a year""",
    ),
    (
        invoice(stage=Stage.ALTERNATE_PAYMENT, placement=Placement.LAPSED),
        on.PlacementApproved("ana"),
        """is in alternate payment: it can be approved for the agency only when the final demand was delivered and no
        dispute, promise or pause stands against it""",
    ),
    (
        at_stage(Stage.DUE),
        on.CreditHeld("ana"),
        "is due: it cannot be held for credit, because credit is decided before anything is sent",
    ),
    (
        invoice(),
        on.DisputeResolved("ana"),
        "is issued: it can have a dispute resolved only when a dispute holds it",
    ),
]


@pytest.mark.parametrize(("state", "request_", "says"), REFUSALS, ids=[event_name(row[1]) for row in REFUSALS])
def test_a_refusal_reads_well_and_says_what_is_needed(state: InvoiceState, request_: on.Request, says: str) -> None:
    sentence = f"Invoice INV/2026/11/0042 {' '.join(says.split())}"
    assert allows(state, request_, LATER) == sentence
    with pytest.raises(NotAllowed) as refused:
        decide(state, request_, LATER)
    assert str(refused.value) == sentence


@pytest.mark.parametrize("stage", Stage)
def test_every_refusal_is_a_whole_sentence(stage: Stage) -> None:
    refusals = [(request, allows(at_stage(stage), request("ana"), LATER)) for request in REQUESTS]
    said = [(request, says) for request, says in refusals if says is not None]
    assert said
    for request, says in said:
        assert says.startswith(f"Invoice INV/2026/11/0042 is {stage_words(stage)}: it can")
        assert request_words(request) in says
        assert not says.endswith(("when ", "because "))


@pytest.mark.parametrize("kind", HoldKind)
def test_a_hold_has_words(kind: HoldKind) -> None:
    assert state_words(invoice(hold=held(kind))).startswith("issued and ")


def test_a_request_that_is_allowed_is_not_refused() -> None:
    promise = on.PromiseMade("ana", pay_by=days_late(45).date() + timedelta(days=1))
    assert allows(at_stage(Stage.FOLLOW_UP), promise, LATER) is None
