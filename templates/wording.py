"""Amounts, dates and short phrases in the reader's language, and data made fit to be read.

The phrases themselves are in `words/<language>.toml`. For messages, documents and pages alike.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import date
from functools import cache, lru_cache
from pathlib import Path

from babel import Locale
from babel.dates import format_date
from babel.numbers import NumberPattern, parse_pattern

from lunas.receivables.money import Currency, Money
from templates import ROOT

#: The languages that we write in.
LANGUAGES = ("id", "en")

Section = Mapping[str, str]
Words = Mapping[str, Section]

_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
_SPACES = re.compile(r"\s+")
# Everything that could break a line, reorder it or hide in it: controls, formats, surrogates, separators.
_UNREADABLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


class TemplateError(ValueError):
    """A template or a file of words is missing or wrong: names the file, what is wrong and what to do."""


def amount(money: Money, language: str) -> str:
    """`Rp 12.500.000` or `IDR 12,500,000`; the cents of the rupiah only where there are any."""
    places = money.currency.exponent
    if money.currency is Currency.IDR and money.minor % 100 == 0:
        places = 0
    pattern = "#,##0" if places == 0 else f"#,##0.{'0' * places}"
    sign = "-" if money.minor < 0 else ""
    symbol = "Rp" if money.currency is Currency.IDR and language == "id" else money.currency.value
    return f"{sign}{symbol} {_pattern(pattern).apply(abs(money.major), _locale(language))}"


def quantity(plain: str, language: str) -> str:
    """A plain decimal such as `1.5` as the reader writes it; what is not one stays as it is."""
    match = re.fullmatch(r"(-?)(\d{1,15})(?:\.(\d{1,6}))?", plain.strip())
    if match is None:
        return readable(plain, 40)
    locale = _locale(language)
    sign, whole, fraction = match.groups(default="")
    decimal = locale.number_symbols["latn"]["decimal"] if fraction else ""
    return f"{sign}{_pattern('#,##0').apply(int(whole), locale)}{decimal}{fraction}"


@lru_cache(maxsize=4096)
def long_date(day: date, language: str) -> str:
    """`27 November 2026`, with the month in the reader's language."""
    return format_date(day, "d MMMM y", locale=_locale(language))


@lru_cache(maxsize=4096)
def short_date(day: date, language: str) -> str:
    """`27 Nov 2026`, for text messages and tables."""
    return format_date(day, "d MMM y", locale=_locale(language))


def readable(text: str, longest: int = 200) -> str:
    """Someone's data on one line: NFC, no control or invisible characters, at most `longest` characters."""
    spaced = _SPACES.sub(" ", text).strip()
    if spaced.isascii() and spaced.isprintable() and len(spaced) <= longest:
        return spaced
    kept = "".join(each for each in spaced if unicodedata.category(each) not in _UNREADABLE)
    line = unicodedata.normalize("NFC", kept).strip()
    return line if len(line) <= longest else line[: longest - 1].rstrip() + "…"


def readable_lines(text: str, longest: int = 200) -> list[str]:
    """The lines of an address, each readable, without empty ones."""
    return [line for line in (readable(each, longest) for each in text.splitlines()) if line]


def filled(phrase: str, **values: str) -> str:
    """The phrase with its `{placeholders}` replaced; values are never read as phrases.

    Raises TemplateError for a placeholder that nothing fills.
    """

    def value(match: re.Match[str]) -> str:
        if match[1] not in values:
            raise TemplateError(
                f"the phrase {phrase!r} has {{{match[1]}}}: it can have {', '.join(sorted(values)) or 'none'}"
            )
        return values[match[1]]

    return _PLACEHOLDER.sub(value, phrase)


def roots_of(override: Path | None) -> Sequence[Path]:
    """Where templates and words are looked for: in a folder of the creditor's own first."""
    return (ROOT,) if override is None else (override, ROOT)


def load_words(language: str, roots: Sequence[Path] = (ROOT,)) -> Words:
    """All phrases of a language; a root that comes first overrides single phrases of those after it.

    Raises TemplateError where there are none, or where a root has a phrase that the last root does not know.
    """
    words: dict[str, dict[str, str]] = {}
    for root in reversed(roots):
        path = root / "words" / f"{language}.toml"
        if not path.is_file():
            continue
        name = f"words/{language}.toml"
        try:
            sections = tomllib.loads(path.read_text("utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise TemplateError(f"{name} cannot be read: {error}") from None
        _merge(words, sections, name, extend=root == roots[-1])
    if not words:
        raise TemplateError(f"words/{language}.toml is missing: there are {', '.join(LANGUAGES)}")
    return words


def _merge(words: dict[str, dict[str, str]], sections: Mapping[str, object], name: str, *, extend: bool) -> None:
    for section, phrases in sections.items():
        if not isinstance(phrases, dict):
            raise TemplateError(f"{name}: {section!r} is not a section: write [mail] or [document] above it")
        known = words.setdefault(section, {}) if extend else words.get(section, {})
        for key, phrase in phrases.items():
            if not isinstance(phrase, str):
                raise TemplateError(f"{name}: {section}.{key} is not text: put it in quotes")
            if not extend and key not in known:
                raise TemplateError(f"{name}: there is no phrase {section}.{key} to override")
            known[key] = phrase


@cache
def _pattern(pattern: str) -> NumberPattern:
    return parse_pattern(pattern)


@cache
def _locale(language: str) -> Locale:
    if language not in LANGUAGES:
        raise TemplateError(f"there is no wording for the language {language!r}: there are {', '.join(LANGUAGES)}")
    return Locale.parse(language)
