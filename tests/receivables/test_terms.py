"""Terms: the due date, and a discount if and only if the payment's value date is inside the window."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lunas.receivables.money import Currency, Money
from lunas.receivables.terms import Discount, Terms, TermsError

dates = st.dates(date(2024, 1, 1), date(2030, 12, 31))
totals = st.builds(Money, st.integers(1, 10**13), st.just(Currency.IDR))


@st.composite
def terms(draw: st.DrawFn) -> Terms:
    net = draw(st.integers(0, 999))
    discount = st.builds(Discount, st.integers(1, 99_999), st.integers(0, min(net, 365)))
    return Terms(net, draw(st.none() | discount))


@given(terms())
def test_what_is_written_is_read_back(written: Terms) -> None:
    assert Terms.parse(str(written)) == written


@given(terms(), dates, st.integers(-30, 400), totals)
def test_the_discount_is_given_inside_its_window_only(agreed: Terms, issued_on: date, days: int, total: Money) -> None:
    given_off = agreed.discount_on(total, issued_on, issued_on + timedelta(days=days))
    if agreed.discount is not None and days <= agreed.discount.within_days:
        assert given_off == total.share(agreed.discount.rate)
    else:
        assert given_off == Money(0, Currency.IDR)
    assert 0 <= given_off.minor <= total.minor


@given(terms(), dates)
def test_a_window_ends_by_the_due_date(agreed: Terms, issued_on: date) -> None:
    until, due = agreed.discount_until(issued_on), agreed.due_on(issued_on)
    assert due - issued_on == timedelta(days=agreed.net_days)
    assert (until is None) is (agreed.discount is None)
    assert until is None or issued_on <= until <= due


def test_two_ten_net_thirty() -> None:
    agreed = Terms.parse("2/10 net 30")
    issued_on, total = date(2026, 11, 2), Money(1_250_000_000, Currency.IDR)
    assert agreed.due_on(issued_on) == date(2026, 12, 2)
    assert agreed.discount_on(total, issued_on, date(2026, 11, 12)) == Money(25_000_000, Currency.IDR)
    assert agreed.discount_on(total, issued_on, date(2026, 11, 13)) == Money(0, Currency.IDR)


@pytest.mark.parametrize("text", ["", "30", "net", "net -1", "net 1000", "2 net 30", "2/10", "2,5/10 net 30", "net ٣"])
def test_other_writing_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(TermsError, match=r"write `net 30`, or `2/10 net 30`"):
        Terms.parse(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("2/45 net 30", "rewards paying late"),
        ("0/10 net 30", r"0 % cannot be: more than 0 and less than 100"),
        ("2/366 net 400", "within 366 days cannot be: 0 to 365"),
    ],
)
def test_terms_that_nobody_could_keep_are_refused(text: str, says: str) -> None:
    with pytest.raises(TermsError, match=says):
        Terms.parse(text)
