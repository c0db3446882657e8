"""Reading JSON without surprises: what two readers could understand differently, or a database cannot hold, is refused.

Refused are NaN and Infinity, numbers beyond 64 bits, a key that stands twice, lone surrogates, NUL, and deep nesting.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, NoReturn

DEEPEST = 32
LARGEST_INTEGER = 2**63 - 1
_LONGEST_INTEGER = 20  # digits and a sign; longer ones are not even converted

_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*+"|[\[{\]}]', re.DOTALL)


class BadJson(ValueError):
    """A text that is not JSON as we take it. The sentence says what is wrong and where, and repeats none of it."""


def loads(raw: bytes) -> Any:
    """The value of a JSON text in UTF-8; raises BadJson."""
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise BadJson(f"byte {error.start} is not UTF-8: send the JSON in UTF-8") from None
    _check_depth(text)
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise BadJson(f"it is not JSON: {error.msg}, at line {error.lineno}, column {error.colno}") from None
    if "\\u" in text:  # only an escape can bring these in: the text itself is UTF-8 without control characters
        _check_texts(value)
    return value


def _check_depth(text: str) -> None:
    if text.count("[") + text.count("{") <= DEEPEST:
        return
    depth = 0
    for match in _BRACKETS.finditer(text):
        match match[0]:
            case "[" | "{":
                depth += 1
                if depth > DEEPEST:
                    raise BadJson(f"it is nested more than {DEEPEST} deep")
            case "]" | "}":
                depth -= 1


def _check_texts(value: object) -> None:
    match value:
        case str():
            _check_text(value)
        case dict():
            for key, item in value.items():
                _check_text(key)
                _check_texts(item)
        case list():
            for item in value:
                _check_texts(item)


def _check_text(text: str) -> None:
    if "\0" in text:
        raise BadJson("a text has a NUL character (\\u0000) in it: leave it out")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise BadJson("a text has half a surrogate pair (\\ud800 to \\udfff) in it: send the whole character")


def _integer(text: str) -> int:
    if len(text) <= _LONGEST_INTEGER and abs(value := int(text)) <= LARGEST_INTEGER:
        return value
    raise BadJson("a number is beyond 64 bits: amounts are whole minor units of at most 10^15")


def _real(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise BadJson("a number is too large to be represented")
    return value


def _constant(name: str) -> NoReturn:
    raise BadJson(f"{name} is not JSON: leave the field out, or send null")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise BadJson("a key stands twice in one object: write each key once")
    return found


_DECODER = json.JSONDecoder(parse_int=_integer, parse_float=_real, parse_constant=_constant, object_pairs_hook=_object)
