"""The same answers from SQLite and from PostgreSQL: races for one name, and values at the edge of what may be."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import httpx2
import pytest
from fastapi import FastAPI
from temporalio.client import Client

from api.app import make_services
from api.keys import Scope
from lunas.ledger.database import Ledger
from lunas.ledger.invariants import violations
from tests.api.conftest import SETTINGS, browser, key_with
from tests.api.doubles import FakeTemporal
from tests.api.samples import NUMBER, TOTAL, at, customer, invoice, issued, payment

WIDE = "\U0001f600"  # four bytes, two UTF-16 units, one character


@pytest.fixture
async def either(routes: FastAPI, ledger: Ledger) -> AsyncIterator[httpx2.AsyncClient]:
    """The API on one of the two databases."""
    routes.state.services = make_services(SETTINGS, ledger, cast(Client, FakeTemporal(ledger)))
    async with browser(routes, await key_with(ledger, Scope.ADMIN)) as http:
        yield http


async def at_once(http: httpx2.AsyncClient, path: str, body: dict[str, Any], times: int = 12) -> list[int]:
    answers = await asyncio.gather(*(http.post(path, json=body) for _ in range(times)))
    return sorted(answer.status_code for answer in answers)


async def test_one_of_many_at_once_is_the_first(either: httpx2.AsyncClient, ledger: Ledger) -> None:
    assert await at_once(either, "/v1/customers", customer()) == [201, *[409] * 11]
    assert await at_once(either, "/v1/invoices", invoice()) == [*[200] * 11, 201]
    assert await at_once(either, "/v1/payments", payment(amount_minor=5)) == [202] * 12
    assert (await either.get(at())).json()["balance"]["received"] == 5
    note = {
        "number": "CN-1",
        "invoice": NUMBER,
        "amount_minor": 7,
        "currency": "IDR",
        "issued_on": "2026-11-05",
        "reason": "returned",
    }
    assert await at_once(either, "/v1/credit-notes", note) == [202] * 12
    assert (await either.get(at())).json()["balance_minor"] == TOTAL - 12
    async with ledger.read() as session:
        assert await violations(session) == []


async def test_everything_at_its_longest_is_taken(either: httpx2.AsyncClient) -> None:
    code, number = WIDE * 64, WIDE * 64
    contact = {"name": WIDE * 200, "role": WIDE * 100, "email": f"{'a' * 64}@{'b' * 60}.example", "priority": 1000}
    body = customer(
        code,
        name=WIDE * 200,
        postal_address=WIDE * 1000,
        website="https://acme.example/" + "w" * 1979,
        contacts=[contact],
    )
    assert (await either.post("/v1/customers", json=body)).status_code == 201
    lines = [{"description": WIDE * 500, "quantity": "999999999.999999", "unit_price_minor": 1_000_000}]
    body = invoice(number, customer=code, lines=lines, purchase_order=WIDE * 100, terms="net 999")
    made = await either.post("/v1/invoices", json=body)
    assert made.status_code == 201, made.text
    assert made.json()["total_minor"] == 999_999_999_999_999
    money = payment(
        WIDE * 200, provider="p" * 40, invoice=number, amount_minor=10**15, paid_on="2199-12-31", by=WIDE * 80
    )
    assert (await either.post("/v1/payments", json=money)).json()["unapplied_minor"] == 1
    path = at(number, "/answers")
    answer = await either.post(path, json={"about": WIDE * 500, "other_way": True, "by": WIDE * 80})
    assert answer.status_code == 202
    entries = (await either.get(at(number, "/journal"))).json()["entries"]
    assert entries[-1]["detail"] == WIDE * 500
    assert (await either.get("/v1/invoices", params={"text": WIDE * 100})).status_code == 200


async def test_a_life_reads_the_same(either: httpx2.AsyncClient) -> None:
    await issued(either)
    assert (await either.post(at(rest="/dispute"), json={"reason": "x"})).json()["held"] == "dispute"
    assert (await either.post("/v1/payments", json=payment())).status_code == 202
    shown = (await either.get(at())).json()
    assert (shown["stage"], shown["held"], shown["balance_minor"]) == ("paid", None, 0)
    assert (await either.get("/v1/invoices?text=inv/2026&overdue=false")).json()["invoices"][0]["number"] == NUMBER
    once = {"Idempotency-Key": "k"}
    first = await either.post("/v1/payments", json=payment("z"), headers=once)
    again = await either.post("/v1/payments", json=payment("z"), headers=once)
    assert first.json() == again.json()
    assert (await either.get("/readyz")).json()["ready"] is True
    assert (await either.get("/metrics")).status_code == 200
