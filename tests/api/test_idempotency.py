"""Idempotency-Key: the first answer again, for whoever asks again."""

from __future__ import annotations

import asyncio
import hashlib

import httpx2
import pytest
from fastapi import FastAPI

from api.keys import Scope
from lunas.ledger.database import Ledger
from lunas.ledger.idempotency import Slot, begin
from tests.api.conftest import browser, key_with
from tests.api.doubles import FakeTemporal
from tests.api.samples import at, customer, issued, payment, problem

ONCE = {"Idempotency-Key": "f1c2"}


async def test_a_repetition_gets_the_first_answer(http: httpx2.AsyncClient) -> None:
    await issued(http)
    part = payment(amount_minor=5)
    first = await http.post("/v1/payments", json=part, headers=ONCE)
    again = await http.post("/v1/payments", json=part, headers=ONCE)
    assert first.json()["new"] is True
    assert again.json() == first.json()
    assert (first.status_code, again.status_code) == (202, 202)
    assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers


async def test_another_body_under_the_key_is_a_conflict(http: httpx2.AsyncClient) -> None:
    await http.post("/v1/payments", json=payment(), headers=ONCE)
    said = problem(await http.post("/v1/payments", json=payment(amount_minor=1), headers=ONCE), 409, "conflict")
    assert "Idempotency-Key" in said["detail"]


async def test_the_same_body_for_another_invoice_is_a_conflict(http: httpx2.AsyncClient) -> None:
    await issued(http)
    assert (await http.post(at(rest="/pause"), json={"reason": "x"}, headers=ONCE)).status_code == 200
    problem(await http.post(at("INV-2", "/pause"), json={"reason": "x"}, headers=ONCE), 409, "conflict")


async def test_a_key_belongs_to_its_holder_and_its_route(app: FastAPI, http: httpx2.AsyncClient, books: Ledger) -> None:
    await http.post("/v1/payments", json=payment(), headers=ONCE)
    assert (await http.post("/v1/customers", json=customer(), headers=ONCE)).status_code == 201
    async with browser(app, await key_with(books, Scope.WRITE_PAYMENTS)) as other:
        answer = await other.post("/v1/payments", json=payment(), headers=ONCE)
    assert answer.json()["new"] is False
    assert "idempotency-replayed" not in answer.headers


async def test_a_failure_frees_the_key(http: httpx2.AsyncClient) -> None:
    problem(
        await http.post("/v1/customers/ACME/contacts", json={"email": "a@acme.example"}, headers=ONCE), 404, "not-found"
    )
    await http.post("/v1/customers", json=customer())
    answer = await http.post("/v1/customers/ACME/contacts", json={"email": "a@acme.example"}, headers=ONCE)
    assert answer.status_code == 201


async def test_two_contacts_are_not_written_for_one_request(http: httpx2.AsyncClient) -> None:
    await http.post("/v1/customers", json=customer(contacts=[]))
    for _ in range(3):
        await http.post("/v1/customers/ACME/contacts", json={"email": "a@acme.example"}, headers=ONCE)
    assert len((await http.get("/v1/customers/ACME")).json()["contacts"]) == 1


async def test_only_one_of_many_at_once_is_worked_out(http: httpx2.AsyncClient) -> None:
    await http.post("/v1/customers", json=customer(contacts=[]))
    answers = await asyncio.gather(
        *(http.post("/v1/customers/ACME/contacts", json={"email": "a@acme.example"}, headers=ONCE) for _ in range(20))
    )
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert len((await http.get("/v1/customers/ACME")).json()["contacts"]) == 1


async def test_a_request_under_way_is_not_worked_out_twice(http: httpx2.AsyncClient, books: Ledger, admin: str) -> None:
    body = payment()
    said = httpx2.Request("POST", "http://x", json=body).content
    digest = hashlib.sha256(b"/v1/payments\0" + said).hexdigest()
    async with books.write() as session:
        await begin(session, Slot(admin.split("_")[1], "POST /v1/payments", "f1c2"), digest)
    said_no = problem(await http.post("/v1/payments", json=body, headers=ONCE), 409, "conflict")
    assert "still being worked out" in said_no["detail"]


@pytest.mark.parametrize("key", ["", "two words", "x" * 201, "\u00fc"])
async def test_a_key_that_cannot_be_is_refused(http: httpx2.AsyncClient, key: str) -> None:
    headers = [(b"idempotency-key", key.encode("latin-1"))]
    said = problem(await http.post("/v1/payments", json=payment(), headers=headers), 422, "invalid")
    assert said["errors"][0]["in"] == "header"


async def test_reading_needs_no_key_and_ignores_one(http: httpx2.AsyncClient, temporal: FakeTemporal) -> None:
    await issued(http)
    for _ in range(2):
        assert "idempotency-replayed" not in (await http.get(at(), headers=ONCE)).headers
