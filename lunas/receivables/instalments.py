"""Instalment plans: what is open, split without losing a unit, on days that follow one another."""

from __future__ import annotations

import calendar
from collections.abc import Iterator
from datetime import date, timedelta
from enum import StrEnum

from lunas.receivables.invoice import Instalment
from lunas.receivables.money import Money


class Every(StrEnum):
    """How far apart instalments are."""

    WEEK = "week"
    FORTNIGHT = "fortnight"
    MONTH = "month"


_DAYS = {Every.WEEK: 7, Every.FORTNIGHT: 14}


def equal_instalments(outstanding: Money, count: int, first: date, every: Every) -> tuple[Instalment, ...]:
    """`outstanding` in `count` instalments from the day `first` on; they differ by at most one minor unit.

    Monthly ones keep to the day of the first, or to the month's last day where it has no such day.
    """
    shares = outstanding.split(count)
    return tuple(Instalment(day, share.minor) for day, share in zip(_days(first, every), shares, strict=False))


def _days(first: date, every: Every) -> Iterator[date]:
    count = 0
    while True:
        yield _months_later(first, count) if every is Every.MONTH else first + timedelta(days=_DAYS[every] * count)
        count += 1


def _months_later(anchor: date, months: int) -> date:
    """Counted from the anchor, so that the 31st comes back after a shorter month."""
    year, month = divmod(anchor.year * 12 + anchor.month - 1 + months, 12)
    return date(year, month + 1, min(anchor.day, calendar.monthrange(year, month + 1)[1]))
