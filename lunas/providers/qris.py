"""QRIS, the Indonesian standard of EMVCo's merchant-presented QR codes: reading, building and drawing them.

A payload is a row of data objects: an id of two digits, a length of two digits, a value; some values are rows of data
objects themselves. The last one, 63, is a checksum over everything before its value. A merchant's printed (static) code
takes any amount; made dynamic it names the amount and our reference, and is good for one payment.
"""

from __future__ import annotations

import binascii
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import segno

from lunas.receivables.money import Currency, Money

#: Ids that are looked at. Merchant account information is in 26 to 51, 51 being the national merchant id.
FORMAT, INITIATION, CURRENCY, AMOUNT, COUNTRY, NAME, CITY, ADDITIONAL, CHECKSUM = (
    "00", "01", "53", "54", "58", "59", "60", "62", "63",
)  # fmt: skip
BILL_NUMBER, REFERENCE_LABEL = "01", "05"
STATIC, DYNAMIC = "11", "12"
_ACCOUNTS = range(2, 52)
_TIPS = ("55", "56", "57")
_RUPIAH = "360"
_LONGEST_AMOUNT, _LONGEST_REFERENCE = 13, 25
_LONGEST_VALUE = 99
_LONGEST_PAYLOAD = 1024
#: Modules of white around a code, as its standard asks for.
_QUIET = 4
_REFERENCE = re.compile(r"[A-Za-z0-9 ./_-]{1,25}")


class QrisError(ValueError):
    """A payload that cannot be used; the message says what is wrong, what was expected and what to do."""


@dataclass(frozen=True, slots=True)
class Item:
    """One data object."""

    id: str
    value: str

    def __post_init__(self) -> None:
        if not (len(self.id) == 2 and self.id.isascii() and self.id.isdecimal()):
            raise QrisError(f"{self.id!r} is not the id of a data object: two digits, such as 54")
        if not 1 <= len(self.value) <= _LONGEST_VALUE:
            raise QrisError(f"data object {self.id} has {len(self.value)} characters: expected 1 to {_LONGEST_VALUE}")

    def __str__(self) -> str:
        return f"{self.id}{len(self.value):02d}{self.value}"


def parse(row: str) -> tuple[Item, ...]:
    """The data objects of a row, in their order; raises QrisError where it is cut off, or names one twice."""
    found: list[Item] = []
    at = 0
    while at < len(row):
        id_, length = row[at : at + 2], row[at + 2 : at + 4]
        if len(length) < 2 or not (length.isascii() and length.isdecimal()):
            raise QrisError(
                f"at character {at + 1} a data object with a length of two digits was expected: copy it whole"
            )
        value = row[at + 4 : at + 4 + int(length)]
        if len(value) < int(length):
            raise QrisError(f"data object {id_} is cut off: {int(length)} characters expected, {len(value)} there")
        found.append(Item(id_, value))
        at += 4 + int(length)
    ids = [item.id for item in found]
    twice = next((id_ for id_ in ids if ids.count(id_) > 1), None)
    if twice is not None:
        raise QrisError(f"data object {twice} stands there twice: each may stand there once")
    return tuple(found)


def build(items: Iterable[Item]) -> str:
    """The row of these data objects."""
    return "".join(map(str, items))


def checksum(text: str) -> str:
    """CRC-16/CCITT-FALSE of a payload up to and including `6304`, in four hexadecimal digits."""
    return f"{binascii.crc_hqx(text.encode(), 0xFFFF):04X}"


def sealed(items: Sequence[Item]) -> str:
    """The payload of these data objects, with the checksum behind them; one among them is left out."""
    text = build(item for item in items if item.id != CHECKSUM) + f"{CHECKSUM}04"
    return text + checksum(text)


@dataclass(frozen=True, slots=True)
class Qris:
    """A payload that was found to be a QRIS code."""

    items: tuple[Item, ...]

    @classmethod
    def read(cls, payload: str) -> Qris:
        """Read and check a payload; raises QrisError."""
        text = payload.strip()
        if not text or len(text) > _LONGEST_PAYLOAD:
            raise QrisError("there is no QRIS payload, or it is far too long: expected the text of the code, 0002…")
        items = parse(text)
        if items[0] != Item(FORMAT, "01"):
            raise QrisError("the payload does not begin with 000201: it is not the text of a QRIS code")
        last = items[-1]
        if last.id != CHECKSUM or len(last.value) != 4:
            raise QrisError("the payload does not end with its checksum 6304…: copy it whole")
        expected = checksum(text[:-4])
        if last.value.upper() != expected:
            raise QrisError(
                f"the checksum is {last.value}, and {expected} was expected: a character was changed or lost"
            )
        found = cls(items)
        found._check()
        return found

    def _check(self) -> None:
        if not any(int(item.id) in _ACCOUNTS for item in self.items):
            raise QrisError("the payload names no merchant account (26 to 51): scan the merchant's own code again")
        for id_, what in ((CURRENCY, "currency"), (COUNTRY, "country"), (NAME, "merchant"), (CITY, "city")):
            if self.value(id_) is None:
                raise QrisError(f"the payload names no {what} (data object {id_}): scan the merchant's own code again")
        if self.value(CURRENCY) != _RUPIAH or self.value(COUNTRY) != "ID":
            raise QrisError(
                f"the payload is not for rupiah in Indonesia (53 is {_RUPIAH}, 58 is ID): it is no QRIS code"
            )
        if self.value(INITIATION) not in (None, STATIC, DYNAMIC):
            raise QrisError(f"data object 01 is {self.value(INITIATION)!r}: expected 11 (static) or 12 (dynamic)")
        if (additional := self.value(ADDITIONAL)) is not None:
            parse(additional)

    def value(self, id_: str) -> str | None:
        """What a data object holds; None where it is not there."""
        return next((item.value for item in self.items if item.id == id_), None)

    @property
    def is_dynamic(self) -> bool:
        """Whether it is good for one payment."""
        return self.value(INITIATION) == DYNAMIC

    @property
    def merchant(self) -> str:
        """Who is paid, as the payer's app shows it."""
        return self.value(NAME) or ""

    @property
    def amount(self) -> Money | None:
        """The amount that the code names; None where the payer types it."""
        written = self.value(AMOUNT)
        return Money.parse(written, Currency.IDR) if written is not None else None

    @property
    def reference(self) -> str | None:
        """The bill number that the code names."""
        return next((item.value for item in parse(self.value(ADDITIONAL) or "") if item.id == BILL_NUMBER), None)

    @property
    def payload(self) -> str:
        """The text of the code."""
        return sealed(self.items)

    def made_dynamic(self, amount: Money, reference: str) -> Qris:
        """The code for one payment of that amount, in whole rupiah, with our reference (up to 25 characters).

        A tip or fee that the printed code asks for is left out: the payment is to be exactly what is owed.

        Raises QrisError for a code that names an amount already, or an amount or reference that a code cannot hold.
        """
        if self.is_dynamic or self.value(AMOUNT) is not None:
            raise QrisError("the code is dynamic already: give the merchant's static code, the one that is printed")
        if amount.currency is not Currency.IDR or amount.minor <= 0 or amount.minor % 100:
            raise QrisError(f"a QRIS code cannot ask for {amount}: whole rupiah, more than 0")
        written = str(amount.minor // 100)
        if len(written) > _LONGEST_AMOUNT:
            raise QrisError(f"a QRIS code cannot ask for {amount}: at most {_LONGEST_AMOUNT} digits")
        if not _REFERENCE.fullmatch(reference):
            raise QrisError(
                f"a QRIS code cannot hold the reference {reference!r}: 1 to {_LONGEST_REFERENCE} letters and digits"
            )
        ours = (Item(BILL_NUMBER, reference), Item(REFERENCE_LABEL, reference))
        kept = [each for each in parse(self.value(ADDITIONAL) or "") if each.id not in (BILL_NUMBER, REFERENCE_LABEL)]
        additional = build(sorted((*ours, *kept), key=lambda each: each.id))
        if len(additional) > _LONGEST_VALUE:
            additional = build(ours)  # what a printed code says of its shop and till means nothing here
        changed = {
            INITIATION: DYNAMIC, AMOUNT: written, ADDITIONAL: additional,
        }  # fmt: skip
        others = [each for each in self.items if each.id not in changed and each.id not in (*_TIPS, CHECKSUM)]
        items = sorted([*others, *(Item(id_, value) for id_, value in changed.items())], key=lambda each: each.id)
        return Qris.read(sealed(items))


def qr_svg(payload: str, *, scale: int = 5) -> str:
    """The code as an SVG element, to be set into a page as it is: dark on white, with its quiet zone.

    It is `scale` pixels a module wide, and a style may give it any other width.
    """
    code, out = _drawn(payload), io.BytesIO()
    code.save(
        out, kind="svg", border=_QUIET, dark="#000", light="#fff", xmldecl=False, nl=False, svgclass="qr",
        lineclass=None, omitsize=True,
    )  # fmt: skip
    width = code.symbol_size(scale=scale, border=_QUIET)[0]
    # With a size and no view box a style's width would cut the code off; with a view box alone it would fill the page.
    return out.getvalue().decode().replace("<svg ", f'<svg width="{width}" height="{width}" ', 1)


def qr_png(payload: str, *, scale: int = 6) -> bytes:
    """The code as a PNG, for mails: mail programs do not show SVG."""
    out = io.BytesIO()
    _drawn(payload).save(out, kind="png", scale=scale, border=_QUIET, dark="#000", light="#fff")
    return out.getvalue()


def _drawn(payload: str) -> segno.QRCode:
    return segno.make(payload, error="m", micro=False, boost_error=False)
