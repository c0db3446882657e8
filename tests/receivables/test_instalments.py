"""Instalment plans: how they are split, kept one by one, and broken."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lunas.receivables import events as on
from lunas.receivables.actions import NoticeKind, SendNotice
from lunas.receivables.deadlines import next_deadline
from lunas.receivables.instalments import Every, equal_instalments
from lunas.receivables.invoice import HoldKind, Instalment, InvoiceState
from lunas.receivables.lifecycle import allows, decide
from lunas.receivables.money import Currency, Money
from tests.receivables.samples import DUE_ON, TOTAL, days_late, facts, held, invoice

FIRST = DUE_ON + timedelta(days=20)
PLAN = equal_instalments(TOTAL, 3, FIRST, Every.MONTH)
AGREED_AT = days_late(14)


def agreed(*plan: Instalment) -> on.InstalmentsAgreed:
    return on.InstalmentsAgreed("ana", "asked by phone", plan or PLAN)


def with_plan() -> InvoiceState:
    return decide(invoice(), agreed(), AGREED_AT).state


def pay(state: InvoiceState, minor: int) -> InvoiceState:
    """The invoice after so much has come in."""
    received = state.facts.balance.received + minor
    heard = state.but(facts=facts(state.facts, received=received))
    return decide(heard, on.PaidInFull() if heard.facts.balance.settled else on.PartPaymentReceived(), AGREED_AT).state


@given(st.integers(1, 10**15), st.integers(1, 60), st.dates(date(2020, 1, 1), date(2090, 1, 1)), st.sampled_from(Every))
def test_nothing_is_lost_in_the_split_and_days_ascend(minor: int, count: int, first: date, every: Every) -> None:
    plan = equal_instalments(Money(minor, Currency.IDR), count, first, every)
    assert sum(one.amount_minor for one in plan) == minor
    assert max(one.amount_minor for one in plan) - min(one.amount_minor for one in plan) <= 1
    days = [one.pay_by for one in plan]
    assert days[0] == first and days == sorted(set(days))


def test_months_keep_to_the_day_of_the_first() -> None:
    days = [one.pay_by for one in equal_instalments(TOTAL, 4, date(2026, 12, 31), Every.MONTH)]
    assert days == [date(2026, 12, 31), date(2027, 1, 31), date(2027, 2, 28), date(2027, 3, 31)]


def test_a_plan_is_a_promise_of_its_first_instalment_and_confirmed_in_writing() -> None:
    decision = decide(invoice(), agreed(), AGREED_AT)
    hold = decision.state.hold
    assert hold is not None and (hold.kind, hold.by, hold.promised_for) == (HoldKind.PROMISE, "ana", FIRST)
    assert (hold.amount_minor, hold.instalments) == (PLAN[0].amount_minor, PLAN[1:])
    (said,) = decision.actions
    assert isinstance(said, SendNotice) and (said.kind, said.pay_by) == (NoticeKind.PROMISE_CONFIRMED, FIRST)


def test_each_instalment_that_is_kept_makes_room_for_the_next() -> None:
    state = pay(with_plan(), PLAN[0].amount_minor)
    assert state.hold is not None and state.hold.promised_for == PLAN[1].pay_by
    assert state.hold.instalments == PLAN[2:]
    state = pay(state, PLAN[1].amount_minor)
    assert state.hold is not None and (state.hold.promised_for, state.hold.instalments) == (PLAN[2].pay_by, ())
    assert not pay(state, PLAN[2].amount_minor).is_open


def test_what_is_paid_beyond_an_instalment_counts_for_those_that_follow() -> None:
    state = pay(with_plan(), PLAN[0].amount_minor + PLAN[1].amount_minor - 1)
    assert state.hold is not None and state.hold.promised_for == PLAN[1].pay_by
    state = pay(state, 1)
    assert state.hold is not None and state.hold.promised_for == PLAN[2].pay_by


def test_a_missed_instalment_breaks_the_plan_and_the_ladder_resumes() -> None:
    state = pay(with_plan(), PLAN[0].amount_minor)
    deadline = next_deadline(state, AGREED_AT)
    assert deadline is not None and isinstance(deadline.event, on.PromiseBroken)
    assert state.policy.calendar.local_date(deadline.moment) == PLAN[1].pay_by + timedelta(days=3), "two days of grace"
    broken = decide(state, deadline.event, deadline.moment)
    assert broken.state.hold is None and broken.state.broken_promises == 1
    assert broken.entry is not None and f"the plan ends with the instalment of {PLAN[1].pay_by}" in broken.entry.detail
    following = next_deadline(broken.state, deadline.moment)
    assert following is not None and isinstance(following.event, on.RungFellDue)


HALF = TOTAL.minor // 2


@pytest.mark.parametrize(
    "plan",
    [
        (Instalment(FIRST, TOTAL.minor),),
        equal_instalments(TOTAL, 7, FIRST, Every.WEEK),
        (Instalment(FIRST, HALF), Instalment(FIRST, HALF)),
        (Instalment(FIRST, HALF), Instalment(FIRST + timedelta(days=7), HALF - 1)),
        (Instalment(FIRST, TOTAL.minor + 1), Instalment(FIRST + timedelta(days=7), -1)),
        (Instalment(DUE_ON, HALF), Instalment(FIRST, HALF)),
        (Instalment(FIRST, HALF), Instalment(FIRST + timedelta(days=200), HALF)),
    ],
    ids=["only one", "too many", "the same day", "not all of it", "less than nothing", "in the past", "too far off"],
)
def test_a_plan_beyond_the_policys_limits_is_refused(plan: tuple[Instalment, ...]) -> None:
    assert "together they are all that is open" in (allows(invoice(), agreed(*plan), AGREED_AT) or "")


def test_a_plan_is_refused_while_it_is_disputed_or_the_promises_are_used_up() -> None:
    assert allows(invoice(hold=held(HoldKind.DISPUTE)), agreed(), AGREED_AT) is not None
    assert allows(invoice(promises=2), agreed(), AGREED_AT) is not None
    assert allows(invoice(hold=held(HoldKind.PROMISE)), agreed(), AGREED_AT) is None
