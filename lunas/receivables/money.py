"""Money: integer minor units of one ISO 4217 currency. Never a float, never a half unit."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

#: No invoice, payment or balance may exceed this many minor units: it fits a 64-bit column with room for sums.
LARGEST_MINOR = 10**15

#: Decimals that may be written, whatever the currency: three might be the thousands of `1.500`.
_MOST_PLACES = 2
_WRITTEN = re.compile(rf"(?P<sign>[+-]?)(?P<whole>[0-9]{{1,18}})(?:\.(?P<places>[0-9]{{1,{_MOST_PLACES}}}))?")


class Currency(StrEnum):
    """The currencies that we collect in."""

    IDR = "IDR"
    USD = "USD"
    EUR = "EUR"
    GBP = "GBP"
    SGD = "SGD"
    MYR = "MYR"
    AUD = "AUD"
    JPY = "JPY"

    @property
    def exponent(self) -> int:
        """Decimal places of the major unit.

        The rupiah keeps the two places of ISO 4217: providers quote `10000.00`, and rounding is a matter of display.
        """
        return 0 if self is Currency.JPY else 2


class MoneyError(ValueError):
    """An amount that cannot be: says which, what was expected and what to write instead."""


@dataclass(frozen=True, slots=True, order=False)
class Money:
    """An amount in minor units (`minor`) of `currency`; may be negative where a balance can be."""

    minor: int
    currency: Currency

    def __post_init__(self) -> None:
        if type(self.minor) is not int:
            raise MoneyError(f"{self.minor!r} is not a whole number of minor units: write 150000 for 1,500.00")
        if abs(self.minor) > LARGEST_MINOR:
            raise MoneyError(f"{self.minor} minor units is out of range: at most {LARGEST_MINOR} either way")

    def __add__(self, other: Money) -> Money:
        return Money(self.minor + self._same(other).minor, self.currency)

    def __sub__(self, other: Money) -> Money:
        return Money(self.minor - self._same(other).minor, self.currency)

    def __neg__(self) -> Money:
        return Money(-self.minor, self.currency)

    def __lt__(self, other: Money) -> bool:
        return self.minor < self._same(other).minor

    def __le__(self, other: Money) -> bool:
        return self.minor <= self._same(other).minor

    def _same(self, other: Money) -> Money:
        if other.currency is not self.currency:
            raise MoneyError(f"{other.currency} cannot be added to or compared with {self.currency}: convert it first")
        return other

    def share(self, rate: int) -> Money:
        """`rate` hundred-thousandths of the amount (2 % is 2000), rounded half to even, to the minor unit."""
        whole, rest = divmod(self.minor * rate, 100_000)
        up = rest * 2 > 100_000 or (rest * 2 == 100_000 and whole % 2 == 1)
        return Money(whole + up, self.currency)

    def split(self, parts: int) -> tuple[Money, ...]:
        """The amount in `parts` whole shares that differ by at most one minor unit and add up to it exactly."""
        if parts < 1:
            raise MoneyError(f"an amount cannot be split into {parts} parts: at least 1")
        base, rest = divmod(self.minor, parts)
        return tuple(Money(base + (1 if i < rest else 0), self.currency) for i in range(parts))

    @classmethod
    def parse(cls, text: str, currency: Currency) -> Money:
        """Read a plain decimal of major units, such as `1500000` or `1500000.50`.

        Raises MoneyError for anything else: exponents, grouped thousands, three decimals or more, and decimals that
        the currency does not have.
        """
        match = _WRITTEN.fullmatch(text.strip())
        if match is None:
            raise MoneyError(f"{text!r} is not an amount: write a plain decimal such as 1500000.00")
        places = (match["places"] or "").ljust(_MOST_PLACES, "0")
        if places[currency.exponent :].strip("0"):
            raise MoneyError(f"{text!r} has more decimal places than {currency} has: at most {currency.exponent}")
        minor = int(match["whole"] + places[: currency.exponent])
        return cls(-minor if match["sign"] == "-" else minor, currency)

    @property
    def major(self) -> Decimal:
        """The amount in major units, exactly."""
        return Decimal(self.minor).scaleb(-self.currency.exponent)

    def __str__(self) -> str:
        """For logs and the Temporal UI: `IDR 12,500,000`; minor units are shown only where they are not zero."""
        whole = self.minor % 10**self.currency.exponent == 0
        places = 0 if whole else self.currency.exponent
        return f"{self.currency} {self.major:,.{places}f}"
