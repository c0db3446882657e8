"""The contact budget: days with a message, over all invoices and channels of a customer, in the customer's zone."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lunas.ledger.answers import Claimed, Wait
from lunas.ledger.budget import Spent
from lunas.ledger.database import Ledger
from lunas.receivables.actions import NoticeKind
from lunas.receivables.calendar import Calendar, CalendarError
from lunas.receivables.ladder import Channel
from lunas.receivables.policy import ContactBudget
from tests.ledger.samples import (
    WEDNESDAY,
    add_customer,
    add_invoice,
    ask,
    claimed,
    days_on,
    new_invoice,
    order,
    pay,
    policy,
    sent,
)

EVERY_DAY = Calendar("Asia/Jakarta", time(8), time(20), (0, 1, 2, 3, 4, 5, 6))
DAYS = st.dates(date(2026, 3, 1), date(2026, 3, 21))


@given(st.lists(DAYS, max_size=12), DAYS, st.integers(1, 3), st.integers(1, 4))
def test_the_first_day_is_the_first_that_keeps_every_seven_days_within_the_budget(
    contacts: list[date], after: date, per_day: int, in_7_days: int
) -> None:
    spent, budget = Spent.of(contacts), ContactBudget(per_day, in_7_days)

    day = spent.first_day(after, budget, EVERY_DAY)

    def keeps(day: date) -> bool:
        heard = [*contacts, day]
        windows = (day - timedelta(days=back) for back in range(7))
        most = max(sum(first <= one < first + timedelta(days=7) for one in heard) for first in windows)
        return heard.count(day) <= per_day and most <= in_7_days

    assert day > after and keeps(day)
    assert not any(keeps(after + timedelta(days=ahead)) for ahead in range(1, (day - after).days))


def test_a_calendar_that_never_opens_is_an_error() -> None:
    never = Calendar("Asia/Jakarta", time(8), time(20), ())

    with pytest.raises(CalendarError, match="check the policy"):
        Spent.of([]).first_day(date(2026, 3, 1), ContactBudget(), never)


async def test_one_message_a_day_over_all_invoices(ledger: Ledger) -> None:
    await add_customer(ledger)
    for number in ("INV-1", "INV-2"):
        await add_invoice(ledger, new_invoice(number))
    await sent(ledger, order("INV-1"))

    answer = await ask(ledger, order("INV-2", at=WEDNESDAY + timedelta(hours=2)))

    assert isinstance(answer, Wait) and "budget" in answer.why
    assert answer.until == datetime(2026, 3, 5, 1, 0, tzinfo=UTC)  # Thursday, 8:00 in Jakarta
    assert isinstance(await ask(ledger, order("INV-2", at=answer.until)), Claimed)


async def test_three_in_seven_days_with_a_holiday_and_a_sunday(ledger: Ledger) -> None:
    """Sent on the 4th, 5th and 6th: the 7th would be the fourth; the 11th is free, but it is a holiday."""
    await add_customer(ledger)
    await add_invoice(ledger, plan=policy(holidays=(date(2026, 3, 11),)))
    for day in range(3):
        await sent(ledger, days_on(order(), day, f"follow_up+{day}"))

    answer = await ask(ledger, days_on(order(), 3, "follow_up+3"))

    assert isinstance(answer, Wait)
    assert answer.until == datetime(2026, 3, 12, 1, 0, tzinfo=UTC)
    sunday = await ask(ledger, days_on(order(), 4, "follow_up+3"))
    assert isinstance(sunday, Wait) and "window" in sunday.why


async def test_the_day_is_the_customers_not_ours(ledger: Ledger) -> None:
    """Half past five in the evening of the 3rd in UTC is the 4th in Jayapura already."""
    await add_customer(ledger)
    anytime = Calendar("Asia/Jayapura", time(0), time(23, 59), (0, 1, 2, 3, 4, 5, 6))
    plan = policy()
    plan = type(plan)(
        plan.name, plan.version, plan.terms, anytime, plan.budget, plan.patience, plan.ladder, plan.spread_minutes
    )
    await add_invoice(ledger, plan=plan)
    await sent(ledger, order(at=datetime(2026, 3, 3, 17, 30, tzinfo=UTC)))

    same_day = await ask(ledger, order(rung="follow_up+3", at=datetime(2026, 3, 4, 14, 0, tzinfo=UTC)))
    next_day = await ask(ledger, order(rung="follow_up+3", at=datetime(2026, 3, 4, 15, 30, tzinfo=UTC)))

    assert isinstance(same_day, Wait) and isinstance(next_day, Claimed)


async def test_a_second_channel_of_the_rung_on_the_same_day_is_the_same_contact(ledger: Ledger) -> None:
    await add_customer(ledger)
    await add_invoice(ledger)
    await sent(ledger)

    await sent(ledger, order(channel=Channel.SMS))
    for day in (1, 2):
        await sent(ledger, days_on(order(), day, f"follow_up+{day + 1}"))

    assert isinstance(await ask(ledger, days_on(order(), 5, "follow_up+6")), Wait)
    assert isinstance(await ask(ledger, days_on(order(), 7, "follow_up+6")), Claimed)


async def test_a_second_channel_on_another_day_is_another_contact(ledger: Ledger) -> None:
    await add_customer(ledger)
    await add_invoice(ledger)
    for day in range(3):
        await sent(ledger, days_on(order(), day, f"follow_up+{day}"))

    late = order(rung="follow_up+2", channel=Channel.SMS, at=WEDNESDAY + timedelta(days=5))

    assert isinstance(await ask(ledger, late), Wait)


async def test_what_does_not_ask_for_money_counts_on_no_budget(ledger: Ledger) -> None:
    await add_customer(ledger)
    await add_invoice(ledger)
    await sent(ledger, order(rung="send_invoice", kind=NoticeKind.SEND_INVOICE))
    await sent(ledger, order(rung="receipt+2", kind=NoticeKind.RECEIPT))

    await sent(ledger)
    await sent(ledger, order(rung="promise_confirmed+1", kind=NoticeKind.PROMISE_CONFIRMED))

    assert isinstance(await ask(ledger, order(rung="follow_up+3")), Wait)


async def test_a_claim_that_was_taken_back_is_no_contact(ledger: Ledger) -> None:
    await add_customer(ledger)
    for number in ("INV-1", "INV-2"):
        await add_invoice(ledger, new_invoice(number))
    await claimed(ledger, order("INV-1"))
    assert isinstance(await ask(ledger, order("INV-2")), Wait)
    await pay(ledger, "INV-1")

    assert isinstance(await ask(ledger, order("INV-2")), Claimed)


async def test_a_larger_budget_is_honoured(ledger: Ledger) -> None:
    await add_customer(ledger)
    await add_invoice(ledger, plan=policy(budget=ContactBudget(per_day=2, in_7_days=4)))

    for rung in ("follow_up+1", "follow_up+2"):
        await sent(ledger, order(rung=rung))

    assert isinstance(await ask(ledger, order(rung="follow_up+3")), Wait)
