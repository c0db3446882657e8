"""Late interest: simple, by days, on what was open of the bill on each; exact until the one rounding at the end.

A day counts when it is past due and something is open at its end, so the day on which money has its value is free. What
is open is that of the lines: interest and fees bear no interest. Days on hold count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from itertools import pairwise

from lunas.receivables.money import Currency

#: Rates are hundred-thousandths a year: 8 % is 8000.
_WHOLE = 100_000
_DAY = timedelta(days=1)


class Mode(StrEnum):
    """What is done about interest or a fee. Whatever it is, it is never dropped silently.

    *Show*: a figure that nobody owes. *Accrue*: the same, and counted in reports. *Claim*: booked on the invoice when a
    follow-up goes out. *Waive*: given up at the same moment, and written down as that.
    """

    SHOW = "show"
    ACCRUE = "accrue"
    CLAIM = "claim"
    WAIVE = "waive"


@dataclass(frozen=True, slots=True)
class Rate:
    """So many hundred-thousandths a year from that day on; None: nobody has written the rate down."""

    since: date
    rate: int | None


@dataclass(frozen=True, slots=True)
class LatePayment:
    """What a policy says of late payment. `rates` are its own, for an agreement or for days that the pack lacks."""

    pack: str
    interest: Mode = Mode.SHOW
    fee: Mode = Mode.SHOW
    rates: tuple[Rate, ...] = ()


@dataclass(frozen=True, slots=True)
class FeeStep:
    """The fee for a debt of `from_minor` or more, both in minor units of the pack's currency."""

    from_minor: int
    minor: int


@dataclass(frozen=True, slots=True)
class Pack:
    """What the law says of late payment somewhere, as dated data.

    `fixed_at_start`: the rate of the first late day holds for the whole debt; else each day has its own. `by_contract`:
    its rates are only shown, unless a policy names those that were agreed on.
    """

    name: str
    title: str
    currency: Currency
    year_days: int
    rates: tuple[Rate, ...]
    fees: tuple[FeeStep, ...] = ()
    fixed_at_start: bool = False
    by_contract: bool = False

    def with_own(self, own: Sequence[Rate]) -> tuple[Rate, ...]:
        """The pack's rates until the first day that `own` names, and those from then on."""
        return (*(rate for rate in self.rates if not own or rate.since < own[0].since), *own)

    def fee_on(self, debt: int) -> int:
        """The fee for a debt of so many minor units, once per late invoice; 0 where there is none."""
        earned = [step for step in self.fees if step.from_minor <= debt] if debt > 0 else []
        return max(earned, key=lambda step: step.from_minor).minor if earned else 0


@dataclass(frozen=True, slots=True)
class Accrued:
    """Interest in minor units for so many days; what begins with `unknown_from` is left out, for want of a rate."""

    minor: int
    days: int
    unknown_from: date | None = None


@dataclass(frozen=True, slots=True)
class Moved:
    """On that day, so many minor units more (or less: negative) were open."""

    on: date
    minor: int


def open_on(moves: Sequence[Moved], day: date) -> int:
    """What was open at the end of that day."""
    return max(sum(move.minor for move in moves if move.on <= day), 0)


def accrue(
    moves: Sequence[Moved], rates: Sequence[Rate], first: date, last: date, *, year_days: int, fixed: bool = False
) -> Accrued:
    """The interest from the day `first` to the day `last`, both included; `fixed` keeps the rate of `first`.

    Rates ascend by their day. It ends with the first day that has no rate: nothing is guessed.
    """
    if last < first:
        return Accrued(0, 0)
    if fixed:
        rates = (Rate(first, _rate_on(rates, first)),)
    edges = {first, last + _DAY}
    edges |= {day for day in (*(move.on for move in moves), *(rate.since for rate in rates)) if first < day <= last}
    weighed, days = 0, 0
    for day, following in pairwise(sorted(edges)):
        base = open_on(moves, day)
        if base == 0:
            continue
        rate = _rate_on(rates, day)
        if rate is None:
            return Accrued(_rounded(weighed, year_days), days, day)
        length = (following - day).days
        weighed += base * rate * length
        days += length
    return Accrued(_rounded(weighed, year_days), days)


def _rate_on(rates: Sequence[Rate], day: date) -> int | None:
    found = [rate for rate in rates if rate.since <= day]
    return found[-1].rate if found else None


def _rounded(weighed: int, year_days: int) -> int:
    """Half to even, as everywhere."""
    divisor = _WHOLE * year_days
    whole, rest = divmod(weighed, divisor)
    return whole + (rest * 2 > divisor or (rest * 2 == divisor and whole % 2 == 1))
