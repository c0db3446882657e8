"""Which forms an invoice's page has now, and what each lets the customer choose from."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from api.pages.wishes import LONGEST_REASON, Reading, last_first, last_promise, most_instalments, shares
from lunas.ledger.offers import BANK_TRANSFER
from lunas.receivables.invoice import Stage
from templates.wording import amount, filled, readable

#: What a first instalment's date is filled in with: soon, but not today.
_SOON = timedelta(days=7)


def choices(reading: Reading, *, makes_ways: bool) -> dict[str, dict[str, Any]]:
    """The forms by name, in the order of the page; an invoice that is settled has none but the contact's."""
    visit, found = reading.visit, dict[str, dict[str, Any]]()
    if makes_ways and not visit.is_settled and visit.stage is not Stage.WRITTEN_OFF and not _has_instruments(reading):
        found["way"] = {}
    if visit.may_promise:
        found["promise"] = _days(reading, visit.today, last_promise(visit))
    if visit.may_promise and most_instalments(visit) >= 2:
        found["instalments"] = {
            **_days(reading, visit.today, last_first(visit)),
            "soon": min(visit.today + _SOON, last_first(visit)).isoformat(),
            "counts": [{"value": str(n), "words": _count(n, reading)} for n in range(2, most_instalments(visit) + 1)],
        }
    if visit.may_dispute:
        found["dispute"] = {
            "lines": [
                {"value": str(n), "words": filled(reading.words["what_line"], line=readable(line.description, 60))}
                for n, line in enumerate(visit.brief.lines[:50], 1)
            ],
            "longest": LONGEST_REASON,
        }
    found["contact"] = {}
    return found


def _has_instruments(reading: Reading) -> bool:
    return any(way.method != BANK_TRANSFER for way in reading.visit.ways)


def _days(reading: Reading, first: date, last: date) -> dict[str, str]:
    between = filled(reading.words["date_between"], first=reading.day(first), last=reading.day(last))
    return {"min": first.isoformat(), "max": last.isoformat(), "between": between}


def _count(count: int, reading: Reading) -> str:
    first = shares(reading.visit.brief.balance, count)[0]
    return filled(reading.words["count_each"], count=str(count), amount=amount(first, reading.language))
