"""What is done with money that does not say exactly what it is for, or is not exactly what is owed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from lunas.receivables.money import Currency, Money


class Unnamed(StrEnum):
    """What becomes of money that names a customer and no invoice: kept, or matched to what is due first."""

    KEEP = "keep"
    OLDEST_FIRST = "oldest_first"


class Overpayment(StrEnum):
    """What becomes of money that is too much: kept, or taken by the customer's next invoice in that currency."""

    KEEP = "keep"
    NEXT_INVOICE = "next_invoice"


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How much a payment may fall short and still settle an invoice; both limits hold where both are given.

    `minor` are minor units by currency: one that is not named has no tolerance. `rate` is hundred-thousandths of what
    is billed (0.5 % is 500). Neither: none.
    """

    minor: tuple[tuple[Currency, int], ...] = ()
    rate: int | None = None

    def allowed(self, billed: Money) -> int:
        """The most that may be missing of what is billed, in minor units."""
        limits = []
        if self.minor:
            limits.append(dict(self.minor).get(billed.currency, 0))
        if self.rate is not None:
            limits.append(billed.share(self.rate).minor)
        return min(limits, default=0)


@dataclass(frozen=True, slots=True)
class MoneyRules:
    """What an invoice's policy says of the money that may come for it."""

    unnamed: Unnamed = Unnamed.KEEP
    overpayment: Overpayment = Overpayment.KEEP
    tolerance: Tolerance = Tolerance()


#: What a policy says that says nothing of money: what is not exact is kept for a person.
EXACT = MoneyRules()
