"""Dates as other systems write them. Day first or month first is decided once for the whole file, or stated."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from api.importing.errors import CannotImport
from api.importing.source import Cell

EARLIEST, LATEST = date(2000, 1, 1), date(2100, 1, 1)

_MONTHS = {
    name: month
    for names in (
        "jan feb mar apr may jun jul aug sep oct nov dec",
        "jan feb mar apr mei jun jul agu sep okt nov des",
        "jan peb mar apr mei jun jul agt sept okt nop des",
        "january february march april may june july august september october november december",
        "januari februari maret april mei juni juli agustus september oktober november desember",
        "januari pebruari maret april mei juni juli agustus september oktober nopember desember",
    )
    for month, name in enumerate(names.split(), 1)
}
_PARTS = {
    "yyyy": r"(?P<y>\d{4})", "yy": r"(?P<y>\d{2})", "mmmm": r"(?P<n>[^\W\d_]+)", "mmm": r"(?P<n>[^\W\d_]+)\.?",
    "mm": r"(?P<m>\d{1,2})", "m": r"(?P<m>\d{1,2})", "dd": r"(?P<d>\d{1,2})", "d": r"(?P<d>\d{1,2})",
}  # fmt: skip
_PATTERN = re.compile("yyyy|yy|mmmm|mmm|mm|m|dd|d", re.IGNORECASE)
_TIME = re.compile(r"[T ]\d{1,2}[:.]\d{2}([:.]\d{2}([.,]\d+)?)?\s*(am|pm|z)?$", re.IGNORECASE)
_SERIAL = re.compile(r"[3-6]\d{4}([.,]\d+)?")


class DateError(ValueError):
    """Text that is no date in the file's format; the sentence says what is expected."""


@dataclass(frozen=True, slots=True)
class DateFormat:
    """A way to write dates, such as `dd/mm/yyyy`, `yyyy-mm-dd` or `d mmmm yyyy` (months by name, in two languages)."""

    pattern: str

    def __post_init__(self) -> None:
        kinds = sorted(part[0].lower() for part in _PATTERN.findall(self.pattern))
        rest = _PATTERN.sub("", self.pattern)
        if kinds != ["d", "m", "y"] or not re.fullmatch(r"[-/. ,]*", rest):
            raise CannotImport(
                f"{self.pattern!r} is not a date format: write day, month and year once each, "
                "as in dd/mm/yyyy, yyyy-mm-dd, mm/dd/yyyy or d mmmm yyyy"
            )

    def parse(self, text: str) -> date:
        """The date; a time of day after it is left out. Raises DateError for anything else."""
        bare = _TIME.sub("", text.strip())
        match = re.fullmatch(self._expression(), bare)
        if match is None:
            if _SERIAL.fullmatch(bare):
                raise DateError("a spreadsheet's number of a day: format the column as a date and export it again")
            raise DateError(f"not a date written as {self.pattern}")
        found = match.groupdict()
        year, month = int(found["y"]), found.get("m") or _MONTHS.get((found.get("n") or "").lower(), 0)
        try:
            day = date(year + 2000 if year < 100 else year, int(month), int(found["d"]))
        except ValueError:
            raise DateError(f"no such day when it is read as {self.pattern}") from None
        if not EARLIEST <= day < LATEST:
            raise DateError(f"the year {day.year} cannot be: expected {EARLIEST.year} to {LATEST.year - 1}")
        return day

    def _expression(self) -> str:
        pieces = [piece for piece in re.split(f"({_PATTERN.pattern})", self.pattern, flags=re.IGNORECASE) if piece]
        expression = "".join(_PARTS.get(piece.lower(), re.escape(piece)) for piece in pieces)
        # Written without marks (20260105), only two digits each tell the month from the day.
        return expression if len(pieces) > 3 else expression.replace("{1,2}", "{2}")


#: What is tried when nobody states a format; those with the year first or the month by name can only be read one way.
KNOWN = tuple(
    DateFormat(pattern)
    for pattern in (
        "yyyy-mm-dd", "yyyy/mm/dd", "yyyy.mm.dd", "yyyymmdd",
        "dd/mm/yyyy", "mm/dd/yyyy", "dd-mm-yyyy", "mm-dd-yyyy", "dd.mm.yyyy", "dd mm yyyy", "dd/mm/yy", "mm/dd/yy",
        "dd-mm-yy", "d mmm yyyy", "d-mmm-yyyy", "d/mmm/yyyy", "d-mmm-yy", "d mmm yy", "mmm d, yyyy",
    )
)  # fmt: skip


def detect_format(dates: Iterable[Cell]) -> DateFormat:
    """The one format that all the dates fit; dates that fit none are left to be rejected one by one.

    Raises CannotImport where rows are written in different ways, or where two formats read the rows differently.
    """
    remaining = list(KNOWN)
    settled: dict[str, Cell] = {}
    for written in dates:
        readable = [known for known in remaining if _reads(known, written.text)]
        if readable:
            for known in set(remaining) - set(readable):
                settled.setdefault(known.pattern, written)
            remaining = readable
        elif (other := next((known for known in KNOWN if _reads(known, written.text)), None)) is not None:
            before = next(iter(settled.values()))
            raise CannotImport(
                f"dates are written in different ways: line {before.line} fits {remaining[0].pattern}, "
                f"line {written.line} fits {other.pattern}; say which is right, "
                f"as in --dates {remaining[0].pattern}, and the other rows will be rejected"
            )
    if len(remaining) == len(KNOWN):
        return KNOWN[0]
    first, *others = remaining
    if others:
        patterns = " or ".join(known.pattern for known in remaining)
        raise CannotImport(
            f"every date can be read as {patterns}, and no row settles it; say which is right, "
            f"as in --dates {first.pattern}"
        )
    return first


def _reads(known: DateFormat, text: str) -> bool:
    try:
        known.parse(text)
    except DateError:
        return False
    return True
