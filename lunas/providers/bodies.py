"""Reading what a provider sent: exact numbers, no ambiguity, and complaints that name a field but never its content."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, tzinfo
from decimal import Decimal
from typing import Any, NoReturn
from zoneinfo import ZoneInfo

from lunas.providers.events import Malformed
from lunas.receivables.money import Currency, Money, MoneyError

Document = Mapping[str, Any]

#: The longest reference that the ledger keeps, and the longest invoice number.
LONGEST, LONGEST_NUMBER = 200, 64
_LONGEST_REASON = 500
#: No number that says something about money or time is longer.
_LONGEST_NUMERAL = 40
#: The moments of providers: from the first year of e-payments to the last that every database can hold.
_EARLIEST, _LATEST = 2000, 9998


def read(raw: bytes) -> Document:
    """The JSON object of a body; numbers with a fraction become Decimal. Raises Malformed."""
    try:
        found = json.loads(
            raw.decode(),
            parse_int=_whole,
            parse_float=Decimal,
            parse_constant=_constant,
            object_pairs_hook=_once,
        )
    except UnicodeDecodeError:
        raise Malformed("the body is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise Malformed(f"the body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise Malformed("the body is nested too deep") from None
    if not isinstance(found, dict):
        raise Malformed("the body is not a JSON object")
    return found


def part(document: Document, name: str) -> Document:
    """The object under that name; raises Malformed."""
    found = document.get(name)
    if not isinstance(found, dict):
        raise Malformed(f"{name} is not an object")
    return found


def maybe_part(document: Document, name: str) -> Document:
    """The object under that name; an empty one where there is none."""
    return found if isinstance(found := document.get(name), dict) else {}


def maybe(document: Document, name: str, most: int = LONGEST) -> str | None:
    """The text under that name, without blanks at its ends; None where it is missing, null or empty."""
    found = document.get(name)
    if found is None or found == "":
        return None
    if type(found) is int:
        found = str(found)
    if not isinstance(found, str):
        raise Malformed(f"{name} is not a text")
    found = found.strip()
    if len(found) > most or not found.isprintable():
        raise Malformed(f"{name} is longer than {most} characters, or has characters that cannot be printed")
    return found or None


def text(document: Document, name: str, most: int = LONGEST) -> str:
    """The text under that name; raises Malformed where it is missing or empty."""
    found = maybe(document, name, most)
    if found is None:
        raise Malformed(f"{name} is missing")
    return found


def number(document: Document, name: str) -> str | None:
    """An invoice number under that name; None for none, and for a text that cannot be one."""
    found = document.get(name)
    if not isinstance(found, str) or not 0 < len(found) <= LONGEST_NUMBER or not found.isprintable():
        return None
    return found.strip() or None


def reason(document: Document, *names: str) -> str | None:
    """The first of these that says something, cut to what the ledger keeps."""
    for name in names:
        found = document.get(name)
        if isinstance(found, str) and found.strip():
            return " ".join("".join(c if c.isprintable() else " " for c in found).split())[:_LONGEST_REASON] or None
    return None


def among(found: Iterable[str | None]) -> tuple[str, ...]:
    """Those that are there, each once."""
    return tuple(dict.fromkeys(one for one in found if one))


def currency(document: Document, name: str = "currency", default: Currency | None = None) -> Currency:
    """The currency under that name, in capitals or not; raises Malformed for one that we do not collect in."""
    written = maybe(document, name, 3)
    if written is None and default is not None:
        return default
    try:
        return Currency((written or "").upper())
    except ValueError:
        raise Malformed(f"{name} is not a currency that we collect in") from None


def major(document: Document, name: str, unit: Currency) -> Money:
    """A positive amount in major units, `10000`, `10000.5` or `"10000.00"`; raises Malformed."""
    found = document.get(name)
    written = str(found) if isinstance(found, Decimal) or type(found) is int else found
    if not isinstance(written, str) or len(written) > _LONGEST_NUMERAL:
        raise Malformed(f"{name} is not an amount")
    try:
        return _positive(Money.parse(written, unit), name)
    except MoneyError:
        raise Malformed(f"{name} is not an amount in {unit}") from None


def minor(document: Document, name: str, unit: Currency) -> Money:
    """A positive amount in whole minor units; raises Malformed."""
    found = document.get(name)
    if type(found) is not int:
        raise Malformed(f"{name} is not a whole number of minor units")
    try:
        return _positive(Money(found, unit), name)
    except MoneyError:
        raise Malformed(f"{name} is out of range") from None


def day(document: Document, name: str, zone: tzinfo, written_in: tzinfo | None = None) -> date:
    """The day in `zone` of a moment in ISO 8601; one without an offset is in `written_in`. Raises Malformed."""
    written = text(document, name, _LONGEST_NUMERAL)
    try:
        moment = datetime.fromisoformat(written)
    except ValueError:
        raise Malformed(f"{name} is not a date and time in ISO 8601") from None
    if moment.tzinfo is None:
        if written_in is None:
            raise Malformed(f"{name} has no offset from UTC")
        moment = moment.replace(tzinfo=written_in)
    return _day_of(moment, name, zone)


def plain_day(document: Document, name: str) -> date:
    """A date such as 2026-11-30; raises Malformed."""
    try:
        found = date.fromisoformat(text(document, name, 10))
    except ValueError:
        raise Malformed(f"{name} is not a date such as 2026-11-30") from None
    return _sane(found, name)


def unix_day(document: Document, name: str, zone: tzinfo) -> date:
    """The day in `zone` of a moment in whole seconds since 1970; raises Malformed."""
    found = document.get(name)
    if type(found) is not int or not 0 <= found < 2**37:
        raise Malformed(f"{name} is not a moment in seconds since 1970")
    return _day_of(datetime.fromtimestamp(found, UTC), name, zone)


def jakarta() -> ZoneInfo:
    """The zone that Indonesian providers write their moments in, where they name none."""
    return ZoneInfo("Asia/Jakarta")


def _day_of(moment: datetime, name: str, zone: tzinfo) -> date:
    _sane(moment.date(), name)
    return moment.astimezone(zone).date()


def _sane(found: date, name: str) -> date:
    if not _EARLIEST <= found.year <= _LATEST:
        raise Malformed(f"{name} is in a year that cannot be")
    return found


def _positive(amount: Money, name: str) -> Money:
    if amount.minor <= 0:
        raise Malformed(f"{name} is not more than 0")
    return amount


def _whole(written: str) -> int:
    if len(written) > _LONGEST_NUMERAL:
        raise Malformed("the body has a number that is far too long")
    return int(written)


def _constant(name: str) -> NoReturn:
    raise Malformed(f"the body has {name} in it, which is not JSON")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Malformed("a key stands twice in one object of the body")
    return found
