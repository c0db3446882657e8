"""What a field may hold. Strict: a number is a number, a date is `2026-11-30`, and nothing fits that the ledger cannot.

The sentences of refusals never repeat what was sent.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Any

import phonenumbers
from email_validator import EmailNotValidError, validate_email
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints
from pydantic.json_schema import WithJsonSchema

from lunas.receivables.calendar import CalendarError, zone
from lunas.receivables.money import LARGEST_MINOR, Currency
from lunas.receivables.terms import Terms, TermsError

_ISO_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_FIRST_DAY, _LAST_DAY = date(2000, 1, 1), date(2199, 12, 31)

#: No control characters, no blank at either end.
_LINE = r"^[^\s\x00-\x1f\x7f](?:[^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f])?$"
#: The same, over several lines.
_LINES = r"^[^\s\x00-\x1f\x7f](?:[^\x00-\x08\x0b-\x1f\x7f]*[^\s\x00-\x1f\x7f])?$"


class Body(BaseModel):
    """What is sent to us."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Filter(BaseModel):
    """What stands in a query: every value is a text there."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class View(BaseModel):
    """What we answer with."""

    model_config = ConfigDict(from_attributes=True, frozen=True)


def line(longest: int, description: str, **options: Any) -> Any:
    """A text in one line of at most so many characters."""
    return Field(min_length=1, max_length=longest, pattern=_LINE, description=description, **options)


def lines(longest: int, description: str, **options: Any) -> Any:
    """A text in one or more lines."""
    return Field(min_length=1, max_length=longest, pattern=_LINES, description=description, **options)


def _day(value: object) -> object:
    if isinstance(value, date):
        return value
    if not isinstance(value, str) or not _ISO_DAY.fullmatch(value):
        raise ValueError("a date is written as a text like 2026-11-30")
    try:
        day = date.fromisoformat(value)
    except ValueError:
        raise ValueError("there is no such day in the calendar") from None
    if not _FIRST_DAY <= day <= _LAST_DAY:
        raise ValueError(f"a date lies between {_FIRST_DAY} and {_LAST_DAY}")
    return day


def _currency(value: object) -> object:
    if isinstance(value, str) and value in set(Currency):
        return Currency(value)
    raise ValueError("a currency is one of " + ", ".join(Currency))


def _email(value: str) -> str:
    try:
        return validate_email(value, check_deliverability=False, test_environment=True).normalized
    except EmailNotValidError:
        raise ValueError("an email address looks like finance@company.example") from None


def _phone(value: str) -> str:
    try:
        number = phonenumbers.parse(value, None)
    except phonenumbers.NumberParseException:
        number = None
    if number is None or not phonenumbers.is_possible_number(number):
        raise ValueError("a telephone number is written with its country code, like +6281234567890")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _zone(value: str) -> str:
    try:
        zone(value)
    except CalendarError:
        raise ValueError("a time zone is an IANA name such as Asia/Jakarta, Asia/Makassar or Asia/Jayapura") from None
    return value


def _terms(value: str) -> str:
    try:
        return str(Terms.parse(value))
    except TermsError:
        raise ValueError("terms are written `net 30`, or `2/10 net 30` for 2 % off within 10 days") from None


Amount = Annotated[
    int, Field(ge=1, le=LARGEST_MINOR, description="Minor units: 150000 is IDR 1,500.00", examples=[1250000000])
]
Day = Annotated[
    date, BeforeValidator(_day), WithJsonSchema({"type": "string", "format": "date", "examples": ["2026-11-30"]})
]
Money = Annotated[
    Currency,
    BeforeValidator(_currency),
    WithJsonSchema({"type": "string", "enum": [one.value for one in Currency], "description": "ISO 4217"}),
]
Number = Annotated[
    str, line(64, "The invoice's number; in a path its slashes are written %2F", examples=["INV/2026/11/0042"])
]
Code = Annotated[str, line(64, "The customer's code", examples=["ACME"])]
Reference = Annotated[str, line(200, "The provider's own reference: it stands for one thing for ever")]
Provider = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,39}$"),
    Field(description="Where the money came in: a bank, a payment provider, a cash desk", examples=["bca"]),
]
PolicyName = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"), Field(description="A policy's name")
]
Email = Annotated[
    str,
    Field(min_length=3, max_length=254, description="One email address", examples=["finance@acme.example"]),
    AfterValidator(_email),
    WithJsonSchema({"type": "string", "format": "email", "maxLength": 254}),
]
Phone = Annotated[
    str,
    StringConstraints(pattern=r"^\+[0-9]{6,15}$"),
    AfterValidator(_phone),
    Field(description="A number with its country code (E.164)", examples=["+6281234567890"]),
]
ZoneName = Annotated[
    str,
    Field(min_length=1, max_length=64),
    AfterValidator(_zone),
    Field(description="IANA name", examples=["Asia/Jakarta"]),
]
TermsText = Annotated[
    str,
    Field(max_length=64, description="`net 30`, or `2/10 net 30` for 2 % off within 10 days", examples=["net 30"]),
    AfterValidator(_terms),
]
Quantity = Annotated[
    str,
    StringConstraints(pattern=r"^(0|[1-9][0-9]{0,8})(\.[0-9]{1,6})?$"),
    Field(description="A plain decimal, as a text", examples=["2", "1.5"]),
]
Reason = Annotated[str, lines(500, "Why, for the journal")]
Person = Annotated[
    str, line(80, "Who asks for it; the journal keeps this name with that of the API key", examples=["siti"])
]
