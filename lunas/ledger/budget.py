"""The contact budget: on which day a customer may hear from us again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta

from lunas.receivables.calendar import LONGEST_CLOSURE_DAYS, Calendar, CalendarError
from lunas.receivables.policy import ContactBudget

_WEEK = 7


@dataclass(frozen=True, slots=True)
class Spent:
    """How many contacts a customer had on which of its days.

    A contact is a message with all that it covers, and the other channels of the same rung on the same day.
    """

    contacts: Counter[date]

    @classmethod
    def of(cls, contacts: Iterable[date]) -> Spent:
        """The budget spent by these contacts, one date each."""
        return cls(Counter(contacts))

    def allows(self, day: date, budget: ContactBudget) -> bool:
        """Whether one more contact on `day` keeps within the budget: on that day, and in every 7 days around it."""
        if self.contacts[day] >= budget.per_day:
            return False
        return all(self._in_week_from(day - timedelta(days=back)) < budget.in_7_days for back in range(_WEEK))

    def first_day(self, after: date, budget: ContactBudget, calendar: Calendar) -> date:
        """The first open day after `after` that the budget allows; raises CalendarError if the calendar never opens."""
        for ahead in range(1, LONGEST_CLOSURE_DAYS + _WEEK * budget.in_7_days):
            day = after + timedelta(days=ahead)
            if calendar.is_open_on(day) and self.allows(day, budget):
                return day
        raise CalendarError(
            f"no day after {after} is both open and within the contact budget: check the policy's window"
        )

    def describe(self, day: date) -> str:
        """How much is spent, for the decision record."""
        week = sum(self.contacts[day - timedelta(days=back)] for back in range(_WEEK))
        return f"{self.contacts[day]} on {day}, {week} in the 7 days to it"

    def _in_week_from(self, first: date) -> int:
        return sum(self.contacts[first + timedelta(days=ahead)] for ahead in range(_WEEK))
