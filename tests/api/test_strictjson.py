"""JSON that two readers could understand differently, or that a database cannot hold, is refused."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.strictjson import DEEPEST, BadJson, loads
from tests.api.samples import payment, problem

BAD = [
    b"",
    b" ",
    b"{",
    b"{]",
    b"[1,]",
    b"{'a': 1}",
    b'{"a": 1} x',
    b'{"a": 1}{"a": 2}',
    b"nul",
    b"NaN",
    b"Infinity",
    b'{"a": -Infinity}',
    b'{"a": NaN}',
    b'{"a": 1e400}',
    b'{"a": -1e999}',
    b'{"a": 9223372036854775808}',
    b'{"a": -9223372036854775809}',
    b'{"a": ' + b"9" * 5000 + b"}",
    b'{"a": 1, "a": 2}',
    b'{"a": {"b": 1, "\\u0062": 2}}',
    b'{"a": "\\ud800"}',
    b'{"a": "\\udfff tail"}',
    b'{"\\ud83d": 1}',
    b'["\\u0000"]',
    b'{"a\\u0000": 1}',
    b'"raw \x00"',
    b'"raw \x1f"',
    b'"line\nbreak"',
    b'"\xff"',
    b'"\xed\xa0\x80"',
    b'"\xc0\xaf"',
    b"\xef\xbb\xbf{}",
    '{"a": 1}'.encode("utf-16"),
    '{"a": 1}'.encode("utf-32"),
    b"[" * (DEEPEST + 1) + b"]" * (DEEPEST + 1),
    b"[" * 100_000,
    b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
    b"01",
    b"+1",
    b".5",
    b"1.",
    b"0x10",
    b"// comment\n{}",
    b'"unfinished',
    b'"\\x41"',
]


@pytest.mark.parametrize("raw", BAD, ids=lambda raw: repr(raw[:24]))
def test_bad_json_is_refused(raw: bytes) -> None:
    with pytest.raises(BadJson) as refused:
        loads(raw)
    assert len(str(refused.value)) < 200


SMALL = [raw for raw in BAD if 0 < len(raw) < 15_000]


@pytest.mark.parametrize("raw", SMALL, ids=lambda raw: repr(raw[:24]))
async def test_the_api_says_so(http: httpx2.AsyncClient, raw: bytes) -> None:
    answer = await http.post("/v1/payments", content=raw, headers={"Content-Type": "application/json"})
    problem(answer, 400, "malformed")


def test_what_is_fine_is_read() -> None:
    assert loads(b'{"a": [1, -2.5e3, true, null, "\\ud83d\\ude00 \\u00e9", ""], "b": {}}') == {
        "a": [1, -2500.0, True, None, "\U0001f600 é", ""],
        "b": {},
    }
    assert loads(b"9223372036854775807") == 2**63 - 1
    assert loads(b"[" * DEEPEST + b"]" * DEEPEST) is not None
    brackets = {"a": "[" * 100 + '"' + "{" * 100 + "\\"}
    assert loads(json.dumps(brackets).encode()) == brackets


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63) + 1, 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc", max_size=3), inner, max_size=4),
    max_leaves=20,
)


@given(VALUES, st.booleans())
def test_every_ordinary_value_comes_through(value: Any, ascii_only: bool) -> None:
    assert loads(json.dumps(value, ensure_ascii=ascii_only).encode()) == value


@given(st.binary(max_size=60))
def test_no_bytes_break_it(raw: bytes) -> None:
    with suppress(BadJson):
        loads(raw)


async def test_an_ordinary_body_is_taken(http: httpx2.AsyncClient) -> None:
    body = json.dumps(payment(by="Ünï \U0001f600"), ensure_ascii=True)
    answer = await http.post("/v1/payments", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 202
