"""Terms of payment: when an invoice is due, and what paying early takes off."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from lunas.receivables.money import Money

_WRITTEN = re.compile(r"(?:(?P<percent>\d{1,2}(?:\.\d{1,3})?)/(?P<within>\d{1,3})\s+)?net\s+(?P<net>\d{1,3})", re.ASCII)


def percent(written: str) -> int:
    """Hundred-thousandths of a plain percentage with at most three decimals: 2 % is 2000."""
    return int(Decimal(written) * 1000)


class TermsError(ValueError):
    """Terms that nobody could keep."""


@dataclass(frozen=True, slots=True)
class Discount:
    """Paying within `within_days` of the invoice date takes off `rate` hundred-thousandths (2 % is 2000)."""

    rate: int
    within_days: int

    def __post_init__(self) -> None:
        if not 0 < self.rate < 100_000:
            raise TermsError(f"a discount of {self.rate / 1000:g} % cannot be: more than 0 and less than 100")
        if not 0 <= self.within_days <= 365:
            raise TermsError(f"a discount within {self.within_days} days cannot be: 0 to 365")


@dataclass(frozen=True, slots=True)
class Terms:
    """`net 30` is due 30 days after the invoice date; `2/10 net 30` takes 2 % off if paid within 10 days."""

    net_days: int
    discount: Discount | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.net_days <= 999:
            raise TermsError(f"net {self.net_days} cannot be: 0 to 999 days")
        if self.discount and self.discount.within_days > self.net_days:
            raise TermsError(
                f"a discount within {self.discount.within_days} days of net {self.net_days} rewards paying late: "
                "let it end by the due date"
            )

    @classmethod
    def parse(cls, text: str) -> Terms:
        """Read `net 30` or `2/10 net 30`; raises TermsError for anything else."""
        match = _WRITTEN.fullmatch(text.strip().lower())
        if match is None:
            raise TermsError(f"{text!r} are not terms: write `net 30`, or `2/10 net 30` for 2 % off within 10 days")
        discount = None
        if match["percent"]:
            discount = Discount(percent(match["percent"]), int(match["within"]))
        return cls(int(match["net"]), discount)

    def __str__(self) -> str:
        early = f"{self.discount.rate / 1000:g}/{self.discount.within_days} " if self.discount else ""
        return f"{early}net {self.net_days}"

    def due_on(self, issued_on: date) -> date:
        """The last day on which paying is paying on time."""
        return issued_on + timedelta(days=self.net_days)

    def discount_until(self, issued_on: date) -> date | None:
        """The last value date that earns the discount, in the creditor's calendar."""
        return issued_on + timedelta(days=self.discount.within_days) if self.discount else None

    def discount_on(self, total: Money, issued_on: date, paid_on: date) -> Money:
        """The discount earned by paying `total` in full with value date `paid_on`; zero once the window is over."""
        until = self.discount_until(issued_on)
        if self.discount is None or until is None or paid_on > until:
            return Money(0, total.currency)
        return total.share(self.discount.rate)
