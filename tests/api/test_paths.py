"""Names in paths: whatever characters an invoice number has, it is one segment."""

from __future__ import annotations

from urllib.parse import quote

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.paths import NameConvertor, _kept
from tests.api.samples import at, customer, invoice, issued, problem

NUMBERS = [
    "INV/2026/11/0042",
    "INV-1",
    "A/journal",
    "A/dispute/resolve",
    "journal",
    "a b",
    "a+b",
    "a%b",
    "100%",
    "%2F",
    "%252F",
    "a?b#c",
    "a&b=c;d",
    "a\\b",
    "a//b",
    "/a/",
    "ünï/ß/注文",
    "\U0001f600",
    "a'b\"c<d>",
    "a:b@c",
    "{number}",
    "..%2F..",
    "...",
]


@pytest.mark.parametrize("number", NUMBERS)
async def test_a_number_is_found_under_its_own_name(http: httpx2.AsyncClient, number: str) -> None:
    await http.post("/v1/customers", json=customer())
    assert (await http.post("/v1/invoices", json=invoice(number))).status_code == 201
    found = await http.get(at(number))
    assert found.status_code == 200, found.text
    assert found.json()["number"] == number
    assert (await http.get(at(number, "/journal"))).json()["entries"][0]["event"] == "invoice_created"
    held = await http.post(at(number, "/pause"), json={"reason": "x"})
    assert held.json()["number"] == number


async def test_a_number_with_bare_slashes_is_not_found_and_told_how(http: httpx2.AsyncClient) -> None:
    await issued(http)
    said = problem(await http.get("/v1/invoices/INV/2026/11/0042"), 404, "not-found")
    assert "%2F" in said["detail"]


async def test_a_customer_s_code_may_have_a_slash_too(http: httpx2.AsyncClient) -> None:
    await http.post("/v1/customers", json=customer("A/B"))
    assert (await http.get("/v1/customers/A%2FB")).json()["code"] == "A/B"


@pytest.mark.parametrize("path", ["/v1/invoices/%ff", "/v1/%c0%af", "/%ed%a0%80"])
async def test_a_path_that_is_not_utf_8_cannot_be_read(http: httpx2.AsyncClient, path: str) -> None:
    problem(await http.get(path), 400, "malformed")


@pytest.mark.parametrize("number", ["%00", "a%00b", "a%0A", "%20a", "x" * 65])
async def test_a_number_that_cannot_be_is_refused(http: httpx2.AsyncClient, number: str) -> None:
    said = problem(await http.get(f"/v1/invoices/{number}"), 422, "invalid")
    assert said["errors"][0]["in"] == "path"
    assert said["errors"][0]["pointer"] == "/number"


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_a_segment_gives_its_name_back(name: str) -> None:
    segment = _kept(name)
    assert "/" not in segment
    assert NameConvertor().convert(segment) == name
    assert quote(segment)
