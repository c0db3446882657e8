"""When a customer may be contacted: a sending window in the customer's own zone, weekdays and holidays.

The calendar travels with the invoice as data, holidays resolved to dates when the policy was copied, so that replay
never depends on what a later version of some package thinks about a holiday. The one user of ZoneInfo.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo

#: A calendar that is closed for so long is a mistake in the policy, not a holiday.
LONGEST_CLOSURE_DAYS = 60


#: However far sends are spread, the last of them keeps so far from the closing.
_BEFORE_CLOSING = timedelta(minutes=1)


class CalendarError(ValueError):
    """A calendar that never opens, or a moment without a zone."""


@lru_cache(maxsize=64)
def zone(name: str) -> ZoneInfo:
    """The zone of that IANA name; raises CalendarError for an unknown one."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise CalendarError(f"{name!r} is not a time zone: write an IANA name such as Asia/Jakarta") from None


def _at(day: date, clock: time, zone_name: str) -> datetime:
    """When the clocks of that zone first show that time on that day, in UTC; a time that is skipped moves on."""
    return datetime.combine(day, clock, zone(zone_name)).astimezone(UTC)


@lru_cache(maxsize=4096)
def _hours(day: date, opens: time, closes: time, zone_name: str) -> tuple[datetime, datetime] | None:
    """That day from `opens` until `closes`; None where the clocks skip all of it."""
    hours = _at(day, opens, zone_name), _at(day, closes, zone_name)
    return hours if hours[0] < hours[1] else None


@dataclass(frozen=True, slots=True)
class Calendar:
    """Contact is permitted on `weekdays` (0 is Monday) from `opens` until before `closes`, never on `holidays`.

    Holidays are in ascending order.
    """

    zone_name: str
    opens: time
    closes: time
    weekdays: tuple[int, ...]
    holidays: tuple[date, ...] = ()

    def __post_init__(self) -> None:
        for before, after in pairwise(self.holidays):
            if after <= before:
                raise CalendarError(f"holiday {after} stands after {before}: sort them, and name each once")

    def local_date(self, moment: datetime) -> date:
        """The customer's date at that moment."""
        if moment.tzinfo is None:
            raise CalendarError(f"{moment.isoformat()} has no time zone: give an aware moment, such as one in UTC")
        return moment.astimezone(zone(self.zone_name)).date()

    def permits(self, moment: datetime) -> bool:
        """Whether a message may leave at that moment."""
        window = self._window(self.local_date(moment))
        return window is not None and window[0] <= moment < window[1]

    def is_open_on(self, day: date) -> bool:
        """Whether there is a window at all on that day."""
        if day.weekday() not in self.weekdays:
            return False
        place = bisect_left(self.holidays, day)
        return place == len(self.holidays) or self.holidays[place] != day

    def next_permitted(self, moment: datetime) -> datetime:
        """The first permitted moment at or after `moment`, in UTC."""
        today = self.local_date(moment)
        window = self._window(today)
        if window is None or moment >= window[1]:
            return self.opening(today + timedelta(days=1))
        return max(moment.astimezone(UTC), window[0])

    def opening(self, day: date, spread: timedelta = timedelta(0)) -> datetime:
        """When the window opens on the first open day from `day` on, plus `spread`, in UTC; never past its closing."""
        for ahead in range(LONGEST_CLOSURE_DAYS):
            window = self._window(day + timedelta(days=ahead))
            if window is not None:
                opens, closes = window
                return min(opens + spread, max(opens, closes - _BEFORE_CLOSING))
        raise CalendarError(
            f"no day within {LONGEST_CLOSURE_DAYS} of {day} is open: name at least one weekday without holidays"
        )

    def end_of(self, day: date) -> datetime:
        """The midnight that ends that day for the customer, in UTC."""
        return _at(day + timedelta(days=1), time(0), self.zone_name)

    def _window(self, day: date) -> tuple[datetime, datetime] | None:
        """From when until before when a message may leave on that day, in UTC; None where it may not.

        As two moments, so that a window that meets a change of the clocks stays in one piece.
        """
        return _hours(day, self.opens, self.closes, self.zone_name) if self.is_open_on(day) else None
