"""The sending window: in the customer's own zone, across changes of the clocks, never on a closed day."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lunas.receivables.calendar import Calendar, CalendarError, zone

#: Without changes of the clocks; with them at night, at midnight, by half an hour; and far from UTC.
ZONES = (
    "Asia/Jakarta", "Asia/Jayapura", "Europe/Berlin", "America/New_York", "America/Havana", "Africa/Cairo",
    "Australia/Lord_Howe", "Pacific/Kiritimati", "Asia/Kathmandu",
)  # fmt: skip
DAYS = st.dates(date(2025, 12, 1), date(2028, 1, 31))
MOMENTS = st.datetimes(datetime(2025, 12, 1), datetime(2028, 1, 31), timezones=st.just(UTC))  # noqa: DTZ001
MINUTE = timedelta(minutes=1)


@st.composite
def calendars(draw: st.DrawFn) -> Calendar:
    opens = draw(st.integers(0, 23 * 60 + 55))
    closes = draw(st.integers(opens + 2, 24 * 60 - 1))
    weekdays = draw(st.lists(st.integers(0, 6), min_size=1, unique=True))
    holidays = draw(st.lists(DAYS, max_size=40, unique=True))
    return Calendar(
        draw(st.sampled_from(ZONES)), _clock(opens), _clock(closes), tuple(sorted(weekdays)), tuple(sorted(holidays))
    )  # fmt: skip


def _clock(minutes: int) -> time:
    return time(minutes // 60, minutes % 60)


@given(calendars(), MOMENTS)
def test_the_next_permitted_moment_is_permitted_and_the_first(calendar: Calendar, moment: datetime) -> None:
    following = calendar.next_permitted(moment)
    assert calendar.permits(following)
    assert following >= moment
    assert calendar.next_permitted(following) == following
    if following > moment:
        for between in (moment, following - timedelta(microseconds=1), moment + (following - moment) / 2):
            assert not calendar.permits(between)


@given(calendars(), MOMENTS)
def test_what_is_permitted_is_so_on_the_customers_clock(calendar: Calendar, moment: datetime) -> None:
    local = moment.astimezone(ZoneInfo(calendar.zone_name))
    changes_today = {
        datetime.combine(local.date() + timedelta(days=days), time(), local.tzinfo).utcoffset() for days in (0, 1)
    }
    assume(len(changes_today) == 1)
    expected = (
        local.weekday() in calendar.weekdays
        and local.date() not in calendar.holidays
        and calendar.opens <= local.time() < calendar.closes
    )
    assert calendar.permits(moment) is expected


@given(calendars(), DAYS, st.timedeltas(timedelta(0), timedelta(hours=10)))
def test_an_opening_is_inside_the_window_however_far_it_is_spread(
    calendar: Calendar, day: date, spread: timedelta
) -> None:
    opening = calendar.opening(day, spread)
    assert calendar.permits(opening)
    first = calendar.opening(day)
    assert first <= opening <= first + spread
    assert calendar.local_date(opening) == calendar.local_date(first) >= day
    assert not calendar.permits(first - timedelta(microseconds=1))


@given(calendars(), DAYS)
def test_a_later_day_never_opens_earlier(calendar: Calendar, day: date) -> None:
    assert calendar.opening(day) <= calendar.opening(day + timedelta(days=1))


@given(calendars(), DAYS)
def test_a_day_ends_where_the_next_begins(calendar: Calendar, day: date) -> None:
    end = calendar.end_of(day)
    assert calendar.local_date(end) == day + timedelta(days=1)
    assert calendar.local_date(end - timedelta(microseconds=1)) == day


def test_a_window_that_the_clocks_skip_moves_on_with_them() -> None:
    """In Berlin 02:00 to 03:00 does not exist on 29 March 2026."""
    night = Calendar("Europe/Berlin", time(2, 10), time(2, 50), tuple(range(7)))
    assert night.opening(date(2026, 3, 29)) == datetime(2026, 3, 29, 1, 10, tzinfo=UTC)
    assert night.next_permitted(datetime(2026, 3, 29, 1, 50, tzinfo=UTC)) == datetime(2026, 3, 30, 0, 10, tzinfo=UTC)


def test_a_window_that_has_no_length_that_day_is_closed() -> None:
    night = Calendar("Europe/Berlin", time(2, 50), time(3, 20), tuple(range(7)))
    assert night.opening(date(2026, 3, 29)) == datetime(2026, 3, 30, 0, 50, tzinfo=UTC)


def test_a_window_that_the_clocks_repeat_stays_in_one_piece() -> None:
    """In Berlin 02:00 to 03:00 happens twice on 25 October 2026."""
    night = Calendar("Europe/Berlin", time(2, 10), time(3, 20), tuple(range(7)))
    start = datetime(2026, 10, 25, 0, 10, tzinfo=UTC)
    assert all(night.permits(start + minutes * MINUTE) for minutes in range(2 * 60 + 10))
    assert not night.permits(start + 130 * MINUTE)


def test_moments_without_a_zone_are_refused() -> None:
    calendar = Calendar("Asia/Jakarta", time(8), time(20), (0,))
    with pytest.raises(CalendarError, match="has no time zone"):
        calendar.permits(datetime(2026, 11, 2, 9))  # noqa: DTZ001


def test_a_calendar_that_never_opens_says_so() -> None:
    everyday = tuple(date(2026, 1, 1) + timedelta(days=days) for days in range(100))
    calendar = Calendar("Asia/Jakarta", time(8), time(20), tuple(range(7)), everyday)
    with pytest.raises(CalendarError, match="no day within 60 of 2026-01-01 is open"):
        calendar.opening(date(2026, 1, 1))


def test_holidays_are_sorted() -> None:
    days = (date(2027, 1, 1), date(2026, 12, 25))
    with pytest.raises(CalendarError, match="2026-12-25 stands after 2027-01-01: sort them"):
        Calendar("Asia/Jakarta", time(8), time(20), (0,), days)


@pytest.mark.parametrize("name", ["", "Jakarta", "Asia", "../etc/passwd", "Asia/\x00"])
def test_an_unknown_zone_is_refused(name: str) -> None:
    with pytest.raises(CalendarError, match="write an IANA name such as Asia/Jakarta"):
        zone(name)
