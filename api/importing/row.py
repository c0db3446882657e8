"""One record with its cells by field, and the one way out of it: a rejection that names column, shape and reason."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from api.importing.amounts import AmountError
from api.importing.columns import Columns, Field
from api.importing.contacts import ContactError
from api.importing.dates import DateError
from api.importing.source import LONGEST_CELL, Record
from lunas.receivables.calendar import CalendarError
from lunas.receivables.terms import TermsError

_T = TypeVar("_T")

_LONGEST = {Field.NUMBER: 64, Field.CUSTOMER_CODE: 64, Field.CUSTOMER: 200, Field.CONTACT: 200, Field.POLICY: 64,
            Field.PURCHASE_ORDER: 100, Field.WEBSITE: 2000, Field.ADDRESS: 1000, Field.CITY: 200,
            Field.DESCRIPTION: 500}  # fmt: skip
_NEEDED = (Field.NUMBER, Field.CUSTOMER, Field.CUSTOMER_CODE, Field.AMOUNT, Field.OPEN, Field.ISSUED, Field.DUE)


class RowRejected(Exception):
    """This row is not taken: in which column, what stood there, and why."""

    def __init__(self, column: Field | None, value: str, reason: str) -> None:
        super().__init__(reason)
        self.column, self.value, self.reason = column, value, reason


@dataclass(frozen=True, slots=True)
class Row:
    """One record, with its cells by field."""

    columns: Columns
    record: Record

    @property
    def line(self) -> int:
        return self.record.line

    def check_width(self) -> None:
        """Raises RowRejected where cells are missing that matter, or there are more than the header names."""
        cells, expected = self.record.cells, len(self.columns.headers)
        if any(cell.strip() for cell in cells[expected:]):
            raise RowRejected(
                None, "", f"{len(cells)} cells where the header has {expected}: a delimiter inside a text needs quotes"
            )
        needed = [self.columns.index[each] for each in _NEEDED if each in self.columns.index]
        if len(cells) <= max(needed):
            raise RowRejected(None, "", f"only {len(cells)} of {expected} cells: the row is cut short")

    def raw(self, column: Field) -> str:
        place = self.columns.index.get(column)
        return self.record.cells[place] if place is not None and place < len(self.record.cells) else ""

    def text(self, column: Field) -> str:
        """The cell on one line, as people meant it. Raises RowRejected where it is too long."""
        text = _readable(self.raw(column).replace("\n", " "))
        longest = _LONGEST.get(column, LONGEST_CELL)
        if len(text) > longest:
            raise RowRejected(column, text, f"{len(text)} characters: at most {longest}")
        return text

    def lines(self, column: Field) -> str:
        """The cell with its own line breaks."""
        self.text(column)
        return "\n".join(line for line in map(_readable, self.raw(column).splitlines()) if line)

    def required(self, column: Field, what: str) -> str:
        text = self.text(column)
        if not text:
            raise RowRejected(column, "", f"{what} is missing")
        return text

    def read(self, column: Field, read: Callable[[str], _T]) -> _T:
        try:
            return read(self.text(column))
        except (AmountError, DateError, ContactError, TermsError, CalendarError) as error:
            raise self.rejected(column, str(error)) from None

    def rejected(self, column: Field, reason: str) -> RowRejected:
        return RowRejected(column, self.raw(column).strip(), reason)


def shape(text: str) -> str:
    """What a value looks like without saying what it is, for terminals and reports: `AAA/9999/999`."""

    def kind(each: str) -> str:
        match unicodedata.category(each):
            case "Lu" | "Lt":
                return "A"
            case "Ll" | "Lo" | "Lm":
                return "a"
            case "Nd" | "Nl" | "No":
                return "9"
            case category if category[0] in "CZ":
                return " "
        return each

    shown = "".join(kind(each) for each in text[:32])
    return shown + ("…" if len(text) > 32 else "")


def _readable(text: str) -> str:
    """NFC, single spaces, no control or invisible characters."""
    spaced = re.sub(r"\s+", " ", text)
    kept = "".join(each for each in spaced if unicodedata.category(each)[0] != "C")
    return unicodedata.normalize("NFC", kept).strip()
