"""Forms on the customer's page: small, from the page itself, and read into what is fit to be kept.

There is no session, and no cookie that another site could ride on: the link is the customer's capability. What keeps
other people's forms out is a seal in each form, which stands for this link, this form and this hour; it also names the
request, so that a form that is sent twice is done once.
"""

from __future__ import annotations

import re
import secrets
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from urllib.parse import parse_qsl

from fastapi import Request

from lunas.links import Links
from lunas.receivables.money import LARGEST_MINOR, Currency, Money
from templates.wording import readable_lines

LONGEST_BODY = 16_000
_MOST_FIELDS = 20
_LASTS = timedelta(hours=12)
_SEAL = re.compile(r"([0-9a-f]{1,12})\.([0-9a-f]{24})\.([A-Za-z0-9_-]{22})")
_AMOUNT = re.compile(r"(?P<whole>\d{1,3}(?:[.,]\d{3}){1,6}|\d{1,18})(?:[.,](?P<places>\d{1,2}))?")
_CURRENCY_SIGNS = re.compile(r"^(rp|[a-z]{3})\.?(?=\d)")
_ISO_DAY = re.compile(r"(\d{4})-(\d{2})-(\d{2})")
_WRITTEN_DAY = re.compile(r"(\d{1,2})[./-](\d{1,2})[./-](\d{4})")
_SPACES = re.compile(r"\s")


class Unfit(Exception):
    """What the customer sent cannot be taken. `word` names the sentence that says so; `values` fill it."""

    def __init__(self, word: str, status: int = 422, **values: str) -> None:
        super().__init__(word)
        self.word, self.status, self.values = word, status, values


@dataclass(frozen=True, slots=True)
class Form:
    """A form as it was sent: its fields, whether the customer has confirmed it, and a name for the request."""

    fields: Mapping[str, str]
    is_confirmed: bool
    key: str

    def text(self, name: str) -> str:
        """A field's text without blanks around it; empty where it was left out."""
        return self.fields.get(name, "").strip()


class Forms:
    """Seals the forms of pages, and reads what comes back."""

    def __init__(self, links: Links) -> None:
        self._links = links

    def seal(self, token: str, action: str) -> str:
        """What a new form for `action` on the page of this link carries."""
        made = f"{int(datetime.now(UTC).timestamp()):x}.{secrets.token_hex(12)}"
        return f"{made}.{self._links.seal(_sealed(token, action, made))}"

    async def read(self, request: Request, token: str, action: str) -> Form:
        """The form of a request; raises Unfit."""
        if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            raise Unfit("form_old", 403)
        fields = _fields(await _body(request))
        match = _SEAL.fullmatch(fields.pop("seal", ""))
        if match is None:
            raise Unfit("form_old", 403)
        made = f"{match[1]}.{match[2]}"
        age = datetime.now(UTC).timestamp() - int(match[1], 16)
        if not self._links.is_sealed(_sealed(token, action, made), match[3]) or age > _LASTS.total_seconds():
            raise Unfit("form_old", 403)
        name = sha256(f"{token}\n{action}\n{made}".encode()).hexdigest()
        return Form(fields, fields.pop("step", "") == "confirm", name)


def _sealed(token: str, action: str, made: str) -> str:
    return f"form\n{token}\n{action}\n{made}"


async def _body(request: Request) -> bytes:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > LONGEST_BODY:
            raise Unfit("too_long", 413)
    return body


def _fields(body: bytes) -> dict[str, str]:
    """The fields of an urlencoded body; of one that is there twice the last counts."""
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise Unfit("not_text", 400) from None
    return {name: unicodedata.normalize("NFC", value).replace("\0", "") for name, value in pairs}


def read_amount(written: str, currency: Currency) -> Money:
    """An amount as people write it: `1.500.000`, `1,500,000.50`, `Rp 1500000`. Raises Unfit.

    Three digits behind a mark are thousands, one or two are decimals, whatever the mark.
    """
    plain = _CURRENCY_SIGNS.sub("", _SPACES.sub("", written).lower().removesuffix(",-"))
    match = _AMOUNT.fullmatch(plain) if plain.isascii() else None
    marks = re.findall(r"[.,]", plain)
    has_decimals = match is not None and bool(match["places"])
    if match is None or (has_decimals and (not currency.exponent or marks.count(marks[-1]) > 1)):
        raise Unfit("amount_unread")
    whole = int(re.sub(r"[.,]", "", match["whole"]))
    minor = whole * 10**currency.exponent + int((match["places"] or "").ljust(currency.exponent, "0") or 0)
    if not 0 < minor <= LARGEST_MINOR:
        raise Unfit("amount_unread")
    return Money(minor, currency)


def read_day(written: str) -> date:
    """`2026-11-30`, as browsers send it, or `30/11/2026`, as people write it without a calendar. Raises Unfit."""
    if iso := _ISO_DAY.fullmatch(written):
        year, month, day = iso.groups()
    elif said := _WRITTEN_DAY.fullmatch(written):
        day, month, year = said.groups()
    else:
        raise Unfit("date_unread")
    try:
        return date(int(year), int(month), int(day))
    except ValueError:
        raise Unfit("date_unread") from None


def read_words(written: str, longest: int) -> str:
    """What the customer writes in their own words, without anything that could hide in it. Raises Unfit."""
    words = "\n".join(readable_lines(written, LONGEST_BODY))
    if len(words) < 3:
        raise Unfit("words_missing")
    if len(words) > longest:
        raise Unfit("words_too_long", most=str(longest))
    return words
