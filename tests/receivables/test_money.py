"""Money: whole minor units, nothing lost and nothing made up."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lunas.receivables.money import LARGEST_MINOR, Currency, Money, MoneyError

currencies = st.sampled_from(Currency)
minors = st.integers(-(10**14), 10**14)
amounts = st.builds(Money, minors, currencies)


@given(amounts, st.integers(1, 400))
def test_shares_add_up_and_differ_by_one_unit_at_most(amount: Money, parts: int) -> None:
    shares = amount.split(parts)
    assert len(shares) == parts
    assert sum(share.minor for share in shares) == amount.minor
    assert max(shares, key=lambda share: share.minor).minor - min(share.minor for share in shares) <= 1


@given(minors, minors, currencies)
def test_arithmetic_is_that_of_integers(a: int, b: int, currency: Currency) -> None:
    assert (Money(a, currency) + Money(b, currency)).minor == a + b
    assert (Money(a, currency) - Money(b, currency)).minor == a - b
    assert (-Money(a, currency)).minor == -a
    assert (Money(a, currency) < Money(b, currency)) is (a < b)
    assert (Money(a, currency) <= Money(b, currency)) is (a <= b)


@given(amounts)
def test_what_is_written_is_read_back(amount: Money) -> None:
    assert Money.parse(f"{amount.major:f}", amount.currency) == amount
    assert Money.parse(str(amount)[4:].replace(",", ""), amount.currency) == amount


@given(amounts, st.integers(0, 100_000))
def test_a_share_is_the_exact_one_rounded_half_to_even(amount: Money, rate: int) -> None:
    assert amount.share(rate).minor == round(Fraction(amount.minor * rate, 100_000))


@pytest.mark.parametrize(("minor", "share"), [(25, 0), (75, 2), (125, 2), (-25, 0), (-75, -2), (26, 1), (24, 0)])
def test_half_a_unit_goes_to_the_even_one(minor: int, share: int) -> None:
    assert Money(minor, Currency.IDR).share(2000).minor == share


@given(amounts, amounts)
def test_currencies_never_mix(one: Money, other: Money) -> None:
    if one.currency is other.currency:
        assert (one + other).currency is one.currency
        return
    for mix in (lambda: one + other, lambda: one - other, lambda: one < other, lambda: one <= other):
        with pytest.raises(MoneyError, match="convert it first"):
            mix()


@given(st.one_of(st.floats(), st.decimals(), st.booleans(), st.none(), st.text()))
def test_only_whole_numbers_are_money(minor: object) -> None:
    with pytest.raises(MoneyError, match="not a whole number of minor units"):
        Money(minor, Currency.IDR)  # type: ignore[arg-type]


@pytest.mark.parametrize("minor", [LARGEST_MINOR + 1, -LARGEST_MINOR - 1])
def test_amounts_end_somewhere(minor: int) -> None:
    assert Money(LARGEST_MINOR, Currency.IDR).minor == LARGEST_MINOR
    with pytest.raises(MoneyError, match="out of range"):
        Money(minor, Currency.IDR)


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("1500000", Currency.IDR, 150_000_000),
        (" 1500000.5 ", Currency.IDR, 150_000_050),
        ("-0.01", Currency.USD, -1),
        ("+12.30", Currency.EUR, 1230),
        ("1500", Currency.JPY, 1500),
        ("1500.00", Currency.JPY, 1500),
    ],
)
def test_plain_decimals_are_read(text: str, currency: Currency, minor: int) -> None:
    assert Money.parse(text, currency) == Money(minor, currency)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-",
        "Rp 1",
        "1,5",
        "1_000",
        "1e3",
        "NaN",
        "Infinity",
        "0x10",
        "1.",
        ".5",
        "1.000.000",
        "٣",
        "1 000",
        "9" * 19,
    ],
)
def test_everything_else_is_not(text: str) -> None:
    with pytest.raises(MoneyError, match=r"is not an amount: write a plain decimal such as 1500000\.00"):
        Money.parse(text, Currency.IDR)


def test_three_decimals_might_be_thousands() -> None:
    """`1.500` is fifteen hundred to an Indonesian and one and a half to a programmer: neither is guessed."""
    with pytest.raises(MoneyError):
        Money.parse("1.500", Currency.IDR)


def test_decimals_that_the_currency_does_not_have_are_refused() -> None:
    with pytest.raises(MoneyError, match="more decimal places than JPY has: at most 0"):
        Money.parse("1500.50", Currency.JPY)


def test_no_share_into_no_parts() -> None:
    with pytest.raises(MoneyError, match="at least 1"):
        Money(1, Currency.IDR).split(0)


def test_minor_units_show_only_where_they_are_not_zero() -> None:
    assert str(Money(1_250_000_000, Currency.IDR)) == "IDR 12,500,000"
    assert str(Money(-1_250_000_050, Currency.IDR)) == "IDR -12,500,000.50"
    assert str(Money(1500, Currency.JPY)) == "JPY 1,500"
    assert Money(1_250, Currency.USD).major == Decimal("12.50")
