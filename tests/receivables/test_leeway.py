"""How much a payment may fall short."""

from __future__ import annotations

import pytest

from lunas.receivables.leeway import Tolerance
from lunas.receivables.money import Currency, Money

RUPIAH = ((Currency.IDR, 100_000),)


@pytest.mark.parametrize(
    ("tolerance", "billed", "allowed"),
    [
        (Tolerance(), Money(10**9, Currency.IDR), 0),
        (Tolerance(RUPIAH), Money(10**9, Currency.IDR), 100_000),
        (Tolerance(RUPIAH), Money(10**9, Currency.EUR), 0),
        (Tolerance(rate=500), Money(10_000, Currency.EUR), 50),
        (Tolerance(RUPIAH, 500), Money(10_000_000, Currency.IDR), 50_000),
        (Tolerance(RUPIAH, 500), Money(10**9, Currency.IDR), 100_000),
        (Tolerance(RUPIAH, 500), Money(10**9, Currency.EUR), 0),
        (Tolerance(RUPIAH, 0), Money(10**9, Currency.IDR), 0),
    ],
)
def test_both_limits_hold(tolerance: Tolerance, billed: Money, allowed: int) -> None:
    assert tolerance.allowed(billed) == allowed
