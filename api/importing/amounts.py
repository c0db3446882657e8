"""Amounts as other systems write them: `1.500.000,00`, `1,500,000.00`, `Rp 1 500 000,-`. Never a float.

Whether the comma or the point is the decimal separator is decided once for the whole file, from amounts that can be
read in one way only. Where every amount can be read in both ways, nobody guesses: it must be stated.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import Enum

from api.importing.errors import CannotImport
from api.importing.source import Cell
from lunas.receivables.money import Currency, Money, MoneyError

_SPACES = re.compile(r"[\s\u00a0\u2007\u2009\u202f'’]+")
_CURRENCY = re.compile(
    r"^(?:rp\.?|" + "|".join(currency.value.lower() for currency in Currency) + r"|[$€£¥])", re.IGNORECASE
)
_CURRENCY_AFTER = re.compile(
    r"(?:rp|" + "|".join(currency.value.lower() for currency in Currency) + r"|[$€£¥])$", re.IGNORECASE
)
_SCIENTIFIC = re.compile(r"[+-]?\d+([.,]\d+)?e[+-]?\d+", re.IGNORECASE)
_DASH_CENTS = re.compile(r"([.,])(?:-|–|—)$")


class Decimals(Enum):
    """Which mark stands before the decimals; the other one groups thousands."""

    COMMA = ","
    POINT = "."

    @property
    def grouping(self) -> str:
        return "." if self is Decimals.COMMA else ","


class AmountError(ValueError):
    """Text that is no amount; the sentence says what is expected."""


def read_decimals(text: str) -> Decimals:
    """What a person states: `comma` or `point` (or the mark itself). Raises CannotImport for anything else."""
    match text.strip().lower():
        case "comma" | "," | "koma":
            return Decimals.COMMA
        case "point" | "dot" | "." | "titik":
            return Decimals.POINT
    raise CannotImport(f"{text!r} is no decimal separator: say --decimal comma or --decimal point")


def detect_decimals(amounts: Iterable[Cell]) -> Decimals:
    """The decimal separator that the amounts show.

    Raises CannotImport where two rows contradict each other, or where none of them settles it.
    """
    shown: dict[Decimals, Cell] = {}
    unsettled: Cell | None = None
    for amount in amounts:
        evidence = _evidence(amount.text)
        if isinstance(evidence, Decimals):
            shown.setdefault(evidence, amount)
        elif evidence == "unsettled":
            unsettled = unsettled or amount
    if len(shown) == 2:
        comma, point = shown[Decimals.COMMA], shown[Decimals.POINT]
        raise CannotImport(
            f"amounts are written in two ways: line {comma.line} has a decimal comma, line {point.line} a decimal point"
            "; say which is right with --decimal comma or --decimal point, and the other rows will be rejected"
        )
    if shown:
        return next(iter(shown))
    if unsettled is not None:
        raise CannotImport(
            f"the amount on line {unsettled.line} can be read in two ways (a thousand, or one and decimals), and no "
            "other row settles it; say --decimal comma (1.500.000,00) or --decimal point (1,500,000.00)"
        )
    return Decimals.POINT


def parse_amount(text: str, decimals: Decimals, currency: Currency) -> Money:
    """The amount, exactly; negative ones (`-1`, `1-`, `(1)`) too. Raises AmountError for anything else."""
    bare = _bare(text)
    if _SCIENTIFIC.fullmatch(bare):
        raise AmountError("a spreadsheet has rounded it: format the column as a number and export it again")
    sign = ""
    if bare.startswith("(") and bare.endswith(")"):
        sign, bare = "-", bare[1:-1]
    elif bare[:1] in "+-" or bare[-1:] == "-":
        sign = "-" if "-" in (bare[:1], bare[-1:]) else ""
        bare = bare.strip("+-")
    point, group = re.escape(decimals.value), re.escape(decimals.grouping)
    match = re.fullmatch(rf"(?P<whole>\d{{1,3}}(?:{group}\d{{3}})+|\d+)(?:{point}(?P<part>\d+))?", bare)
    if match is None:
        example = "1.500.000,00" if decimals is Decimals.COMMA else "1,500,000.00"
        raise AmountError(f"not an amount with a decimal {decimals.name.lower()}: expected one such as {example}")
    whole, part = match["whole"].replace(decimals.grouping, ""), match["part"] or ""
    # 1.500,000 is 1500: zeros beyond the currency's own places say nothing.
    kept = part[: currency.exponent] + part[currency.exponent :].rstrip("0")
    try:
        return Money.parse(f"{sign}{whole}.{kept or '0'}", currency)
    except MoneyError:
        raise AmountError(
            f"{currency} has {currency.exponent} decimal places, and amounts stay below 10 trillion: check it"
        ) from None


def currency_of(text: str) -> Currency | None:
    """The currency that the amount itself names (`Rp 1.000`, `USD 5`), if it does."""
    bare = _SPACES.sub("", text).upper().lstrip("(+-")
    if bare.startswith("RP"):
        return Currency.IDR
    return next((each for each in Currency if bare.startswith(each.value) or bare.endswith(each.value)), None)


def _bare(text: str) -> str:
    """Without spaces, currency and the `,-` that stands for no cents."""
    bare = _SPACES.sub("", text)
    lead = re.match(r"[(+-]*", bare)
    sign = lead[0] if lead else ""
    bare = sign + _CURRENCY_AFTER.sub("", _CURRENCY.sub("", bare[len(sign) :]))
    return _DASH_CENTS.sub("", bare)


def _evidence(text: str) -> Decimals | str | None:
    """The separator that the amount proves, `unsettled` where it may be either, None where it has none."""
    spaceless = _SPACES.sub("", text)
    if (dashed := _DASH_CENTS.search(spaceless)) and re.search(r"\d[.,]", spaceless):
        return Decimals(dashed[1])
    digits = _bare(text).strip("()+-")
    marks = [mark for mark in digits if mark in ".,"]
    if not marks or not re.fullmatch(r"[\d.,]+", digits):
        return None
    last = marks[-1]
    if len(set(marks)) == 2:
        return Decimals(last) if marks.count(last) == 1 else None
    other = Decimals.POINT if last == "," else Decimals.COMMA
    if len(marks) > 1:
        return other
    before, after = digits.split(last)
    if len(after) != 3 or len(before) > 3 or before in ("", "0"):
        return Decimals(last)
    return "unsettled"
