"""Late interest: by days, on what was open on each, exact until the end."""

from __future__ import annotations

from datetime import date, timedelta
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lunas.receivables.interest import Accrued, FeeStep, Moved, Pack, Rate, accrue, open_on
from lunas.receivables.money import Currency

DUE = date(2026, 1, 31)
FIRST = DUE + timedelta(days=1)
EIGHT = (Rate(date(2020, 1, 1), 8_000),)
WHOLE = (Moved(date.min, 365_000_000),)


def day(number: int) -> date:
    return FIRST + timedelta(days=number)


def owed(moves: tuple[Moved, ...], last: date, rates: tuple[Rate, ...] = EIGHT, *, fixed: bool = False) -> Accrued:
    return accrue(moves, rates, FIRST, last, year_days=365, fixed=fixed)


def test_each_late_day_costs_its_share_of_the_year() -> None:
    assert owed(WHOLE, FIRST) == Accrued(80_000, 1)
    assert owed(WHOLE, day(9)) == Accrued(800_000, 10)


def test_before_the_first_late_day_there_is_none() -> None:
    assert owed(WHOLE, DUE) == Accrued(0, 0)


def test_a_part_payment_counts_from_its_value_date_and_what_went_back_from_its_own() -> None:
    moves = (*WHOLE, Moved(day(4), -182_500_000), Moved(day(8), 182_500_000))
    assert owed(moves, day(9)) == Accrued(4 * 80_000 + 4 * 40_000 + 2 * 80_000, 10)


def test_the_day_on_which_it_is_paid_is_free() -> None:
    assert owed((*WHOLE, Moved(FIRST, -365_000_000)), day(9)) == Accrued(0, 0)


def test_more_than_was_owed_earns_nothing() -> None:
    assert owed((*WHOLE, Moved(day(1), -999_000_000)), day(9)) == Accrued(80_000, 1)


def test_a_new_rate_counts_from_its_day() -> None:
    rates = (*EIGHT, Rate(day(5), 16_000))
    assert owed(WHOLE, day(9), rates) == Accrued(5 * 80_000 + 5 * 160_000, 10)


def test_the_rate_of_the_first_late_day_may_hold_for_the_whole_debt() -> None:
    rates = (*EIGHT, Rate(day(5), 16_000))
    assert owed(WHOLE, day(9), rates, fixed=True) == Accrued(800_000, 10)
    assert owed(WHOLE, day(9), (*EIGHT, Rate(day(5), None)), fixed=True).unknown_from is None


def test_nothing_is_guessed_for_days_without_a_rate() -> None:
    assert owed(WHOLE, day(9), (*EIGHT, Rate(day(5), None))) == Accrued(400_000, 5, day(5))
    assert owed(WHOLE, day(9), (Rate(day(3), 8_000),)) == Accrued(0, 0, FIRST)
    paid = (*WHOLE, Moved(day(5), -365_000_000))
    assert owed(paid, day(9), (*EIGHT, Rate(day(5), None))) == Accrued(400_000, 5), "no open day lacks a rate"


@pytest.mark.parametrize(("base", "minor"), [(1, 0), (2281, 0), (2282, 1), (6844, 2), (4562, 1), (4563, 1)])
def test_only_the_whole_is_rounded_and_half_to_even(base: int, minor: int) -> None:
    exact = Fraction(base * 8_000, 100_000 * 365)
    assert owed((Moved(date.min, base),), FIRST).minor == minor == round(exact)


MOVES = st.lists(
    st.builds(lambda after, minor: Moved(day(after), minor), st.integers(-40, 420), st.integers(-(10**9), 10**9)),
    max_size=8,
)
RATES = st.lists(st.tuples(st.integers(-100, 400), st.integers(0, 20_000)), min_size=1, max_size=5)


@settings(max_examples=60, deadline=None)
@given(MOVES, RATES, st.integers(-5, 400))
def test_it_is_the_sum_of_the_days(moves: list[Moved], steps: list[tuple[int, int]], length: int) -> None:
    """Against the plainest way to say it: one day after the other, in fractions."""
    moved = (Moved(date.min, 10**9), *moves)
    rates = [Rate(date(2000, 1, 1), 5_000), *(Rate(day(after), rate) for after, rate in sorted(dict(steps).items()))]
    exact, days = Fraction(0), 0
    for number in range(length + 1):
        base = open_on(moved, day(number))
        rate = [one.rate for one in rates if one.since <= day(number)][-1]
        assert rate is not None
        exact += Fraction(base * rate, 100_000 * 365)
        days += base > 0
    assert accrue(moved, rates, FIRST, day(length), year_days=365) == Accrued(round(exact), days)


def test_the_fee_goes_by_the_size_of_the_debt() -> None:
    pack = Pack("x", "X", Currency.GBP, 365, EIGHT, (FeeStep(0, 4_000), FeeStep(100_000, 7_000)))
    assert [pack.fee_on(debt) for debt in (0, 1, 99_999, 100_000)] == [0, 4_000, 4_000, 7_000]
    assert Pack("x", "X", Currency.IDR, 365, EIGHT).fee_on(1) == 0


def test_a_policys_own_rates_hold_from_their_first_day_on() -> None:
    pack = Pack("x", "X", Currency.EUR, 365, (*EIGHT, Rate(day(5), None)))
    own = (Rate(day(3), 9_000),)
    assert pack.with_own(()) == pack.rates
    assert pack.with_own(own) == (*EIGHT, *own)
