"""From bytes to records: the encoding, the delimiter, the quotes and the limits of a CSV file."""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from api.importing.errors import CannotImport

#: Beyond these an import is split: it keeps a mistaken file from filling the memory.
LARGEST_FILE_BYTES = 64 * 1024 * 1024
MOST_RECORDS = 250_000
MOST_COLUMNS = 200
LONGEST_CELL = 4_000
#: A quoted text may go over some lines (an address); a quote that stays open for longer was never meant as one.
MOST_LINES_PER_RECORD = 20

DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|"}

# Bytes 80 to 9F: letters and marks in Windows-1252, control characters in Latin-1.
_C1 = re.compile("[\x80-\x9f]")
_SEP_LINE = re.compile(r'"?sep=(.)"?', re.IGNORECASE)
_BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


@dataclass(frozen=True, slots=True)
class Record:
    """One record: the line on which it begins (1 is the first) and its cells, or what is wrong with its quotes."""

    line: int
    cells: tuple[str, ...]
    problem: str | None = None

    @property
    def is_blank(self) -> bool:
        """Whether nothing stands in it."""
        return self.problem is None and not any(cell.strip() for cell in self.cells)


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell's text and the line on which it stands."""

    line: int
    text: str


def decode(data: bytes, encoding: str | None = None) -> str:
    """The file's text: UTF-8 (with or without a mark), UTF-16 with its mark, or what `encoding` says.

    Raises CannotImport for a file that is too large, or that is not in that encoding.
    """
    if len(data) > LARGEST_FILE_BYTES:
        raise CannotImport(
            f"the file has {len(data):,} bytes: at most {LARGEST_FILE_BYTES:,}; split it and import the parts"
        )
    if not data.strip():
        raise CannotImport("the file is empty: the first line should name the columns")
    if encoding is None:
        encoding = next((name for mark, name in _BOMS if data.startswith(mark)), "utf-8")
        hint = "it looks like Windows-1252: say --encoding cp1252, or export it again as UTF-8"
    else:
        hint = "name the encoding that it was exported in, or export it again as UTF-8"
    try:
        text = codecs.decode(data, encoding)
    except LookupError:
        raise CannotImport(f"{encoding!r} is not an encoding: try utf-8, cp1252 or latin-1") from None
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        byte = f"byte 0x{data[error.start]:02X} on line {line}"
        raise CannotImport(f"the file is not {encoding}: {byte} does not fit; {hint}") from None
    text = text.removeprefix("\ufeff")
    if found := _C1.search(text):
        line = text.count("\n", 0, found.start()) + 1
        raise CannotImport(
            f"line {line} has the control character U+{ord(found[0]):04X}: a file with such bytes is not {encoding}; "
            "say --encoding cp1252"
        )
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise CannotImport(f"line {line} has a NUL: this is no text file; export it as CSV in UTF-8")
    return text


def records(text: str, delimiter: str) -> Iterator[Record]:
    """Every record of the text, blank ones apart. A record with broken quotes is given as such, and reading goes on."""
    lines = text.splitlines(keepends=True)
    start = 1 if lines and _SEP_LINE.fullmatch(lines[0].strip()) else 0
    while start < len(lines):
        record, used = _record(lines, start, delimiter)
        start += used
        if not record.is_blank:
            yield record


def header_candidates(text: str) -> dict[str, tuple[Record, ...]]:
    """The first records as each delimiter reads them; the one that names most columns is the file's.

    Where the file begins with a spreadsheet's `sep=;`, only that delimiter is tried.
    """
    first = text.split("\n", 1)[0].strip()
    stated = _SEP_LINE.fullmatch(first)
    tried: Sequence[str] = (stated[1],) if stated else tuple(DELIMITERS.values())
    return {delimiter: tuple(islice(records(text, delimiter), 20)) for delimiter in tried}


def read_delimiter(text: str) -> str:
    """A delimiter as a person states it: `;` or `semicolon`. Raises CannotImport for anything else."""
    found = DELIMITERS.get(text.lower(), "\t" if text == "\\t" else text)
    if found not in DELIMITERS.values():
        raise CannotImport(f"{text!r} is not a delimiter: say one of {', '.join(DELIMITERS)}")
    return found


def _record(lines: Sequence[str], start: int, delimiter: str) -> tuple[Record, int]:
    """The record that begins at that index, and how many lines it took."""
    reader = csv.reader(islice(lines, start, start + MOST_LINES_PER_RECORD), delimiter=delimiter, strict=True)
    try:
        cells = tuple(next(reader))
    except (csv.Error, StopIteration):
        # What stands inside a stray quote is unknown, so the next line is read as a record of its own.
        bare = tuple(cell.strip().strip('"') for cell in lines[start].rstrip("\r\n").split(delimiter))
        return Record(start + 1, bare, "a quotation mark is not closed, or stands inside a text unescaped"), 1
    return Record(start + 1, cells), max(reader.line_num, 1)
