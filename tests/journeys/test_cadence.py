"""A year of due dates: the days of the policy, moved by closed days only, and never more than the contact budget."""

from __future__ import annotations

from datetime import date, timedelta
from functools import cache

import pytest

from lunas.policies import policy_for
from lunas.receivables.actions import SendNotice
from lunas.receivables.ladder import Do
from lunas.receivables.policy import Policy
from lunas.receivables.rehearsal import Planned, issue, rehearse
from tests.receivables.samples import TOTAL, jakarta

YEAR = [date(2026, 1, 1) + timedelta(days=days) for days in range(365)]
WEEK = timedelta(days=7)


@cache
def lives(name: str, due_on: date) -> tuple[Policy, tuple[Planned, ...]]:
    """The rehearsal of an invoice that nobody pays, with the country's real holidays."""
    of = policy_for(name, "Asia/Jakarta", due_on.year - 1)
    issued_on = due_on - timedelta(days=of.terms.net_days)
    state = issue(f"INV/{due_on}", "C-7", TOTAL, issued_on, of, opened_at=jakarta(issued_on))
    return of, rehearse(state, days=160)


def days_of_rungs(lines: tuple[Planned, ...]) -> dict[str, set[date]]:
    """On which dates each rung spoke."""
    spoken: dict[str, set[date]] = {}
    for line in lines:
        if isinstance(line.action, SendNotice):
            spoken.setdefault(line.action.rung, set()).add(line.on)
    return spoken


@pytest.mark.parametrize("month", range(1, 13))
def test_follow_ups_fall_on_their_days_moved_by_closed_days_only(month: int) -> None:
    for due_on in (day for day in YEAR if day.month == month):
        of, lines = lives("standard", due_on)
        spoken = days_of_rungs(lines)
        for days in (1, 3, 7, 14, 28, 58, 88):
            opens = of.calendar.local_date(of.calendar.opening(due_on + timedelta(days=days)))
            rung = of.ladder.at(days)
            assert rung is not None
            assert rung.do is Do.FOLLOW_UP
            if rung.key in spoken:
                assert spoken[rung.key] == {opens}, f"{rung.key} of an invoice due {due_on}"
            else:
                higher = [key for key, on in spoken.items() if on == {opens} and int(key.split("+")[1]) > days]
                assert higher, f"{rung.key} of an invoice due {due_on} is neither said nor overtaken"


@pytest.mark.parametrize("name", ["standard", "gentle"])
def test_a_shipped_policy_never_breaks_its_own_budget_for_one_invoice(name: str) -> None:
    for due_on in YEAR:
        of, lines = lives(name, due_on)
        notices = [(line.on, line.action) for line in lines if isinstance(line.action, SendNotice)]
        days = sorted({on for on, notice in notices if notice.kind.is_dunning})
        for first in days:
            in_a_week = [day for day in days if first <= day < first + WEEK]
            assert len(in_a_week) <= of.budget.in_7_days, f"due {due_on}: {in_a_week}"
        for day in days:
            rungs = {notice.rung for on, notice in notices if on == day and notice.kind.is_dunning}
            assert len(rungs) <= of.budget.per_day, f"due {due_on}: {rungs} on {day}"


@pytest.mark.parametrize("name", ["standard", "gentle"])
def test_nobody_hears_from_us_on_a_closed_day(name: str) -> None:
    for due_on in YEAR[::7]:
        of, lines = lives(name, due_on)
        spoken = [line for line in lines if isinstance(line.action, SendNotice)]
        assert all(of.calendar.permits(line.at) for line in spoken)
        assert not any(line.on in of.calendar.holidays or line.on.weekday() == 6 for line in spoken)
