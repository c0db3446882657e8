"""Bodies: their size, their media type, and problems for everything that the framework answers by itself."""

from __future__ import annotations

import resource
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from api.routers import payments
from tests.api.conftest import SETTINGS
from tests.api.samples import customer, issued, payment, problem

JSON = {"Content-Type": "application/json"}


def peak_memory() -> int:
    """Bytes that this process has had in memory at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


async def test_a_body_that_declares_too_much_is_not_read(http: httpx2.AsyncClient) -> None:
    answer = await http.post("/v1/payments", content=b" " * (SETTINGS.body_limit_bytes + 1), headers=JSON)
    problem(answer, 413, "too-large")
    assert answer.headers["connection"] == "close"


async def test_a_stream_is_counted_whatever_it_declares(http: httpx2.AsyncClient) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(200_000):
            sent += 1000
            yield b" " * 1000

    before = peak_memory()
    problem(await http.post("/v1/payments", content=endless(), headers=JSON), 413, "too-large")
    assert sent <= SETTINGS.body_limit_bytes + 1000
    assert peak_memory() - before < 20_000_000


async def test_a_false_length_does_not_help(app: FastAPI, admin: str) -> None:
    """Straight to the application: a client library would not send such a lie."""
    answers: list[dict[str, Any]] = []
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/payments",
        "raw_path": b"/v1/payments",
        "query_string": b"",
        "headers": [
            (b"content-length", b"10"),
            (b"content-type", b"application/json"),
            (b"authorization", f"Bearer {admin}".encode()),
        ],
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b" " * 1000, "more_body": True}

    async def send(message: Any) -> None:
        answers.append(message)

    await app(scope, receive, send)
    assert answers[0]["status"] == 413


@pytest.mark.parametrize(
    ("media_type", "status"),
    [
        ("application/json", 202),
        ("application/json; charset=utf-8", 202),
        ("Application/JSON; charset=UTF-8", 202),
        ("application/vnd.erp+json", 202),
        ("application/json; charset=utf-16", 415),
        ("text/json", 415),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("multipart/form-data; boundary=x", 415),
        ("", 415),
        ("nonsense", 415),
        ("application/json, text/plain", 415),
    ],
)
async def test_only_json_is_taken(http: httpx2.AsyncClient, media_type: str, status: int) -> None:
    body = httpx2.Request("POST", "http://x", json=payment()).content
    answer = await http.post("/v1/payments", content=body, headers={"Content-Type": media_type})
    assert answer.status_code == status, answer.text
    if status == 415:
        problem(answer, 415, "unsupported-media-type")


async def test_a_missing_body_is_a_problem(http: httpx2.AsyncClient) -> None:
    said = problem(await http.post("/v1/payments"), 422, "invalid")
    assert said["errors"] == [{"in": "body", "pointer": "/", "detail": "a body is missing: send a JSON object"}]
    problem(await http.post("/v1/payments", json=[1]), 422, "invalid")
    problem(await http.post("/v1/payments", json="x"), 422, "invalid")


async def test_what_the_framework_answers_is_a_problem_too(http: httpx2.AsyncClient) -> None:
    problem(await http.get("/v1/nothing"), 404, "not-found")
    problem(await http.get("/v1/invoices/"), 404, "not-found")
    answer = await http.put("/v1/payments", json=payment())
    problem(answer, 405, "method-not-allowed")
    assert answer.headers["allow"] == "POST"
    assert (await http.put("/v1/invoices", json={})).headers["allow"] == "GET, POST"
    assert (await http.request("OPTIONS", "/v1/customers/A/contacts/1")).headers["allow"] == "PATCH"


async def test_a_fault_of_ours_tells_nothing(
    http: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def broken(*_: object) -> None:
        raise ValueError("siti@acme.example owes us money")

    monkeypatch.setattr(payments, "record_by_amount", broken)
    said = problem(await http.post("/v1/payments", json=payment()), 500, "fault")
    logged = capsys.readouterr().out
    assert "siti" not in str(said) + logged
    assert said["instance"] in logged
    assert "ValueError" in logged
    assert "book_payment" in logged


SECRET = "s3cret-4111111111111111"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/payments", dict.fromkeys(payment(), SECRET)),
        ("/v1/payments", {field: {SECRET: SECRET} for field in payment()}),
        ("/v1/payments", {**payment(), SECRET: SECRET}),
        ("/v1/payments", {SECRET: {SECRET: [SECRET]}}),
        ("/v1/customers", {field: [SECRET] for field in customer(language="id", time_zone="x", website="x")}),
        ("/v1/customers", customer(time_zone=SECRET, language=SECRET, policy="x" + SECRET)),
        ("/v1/customers", customer(contacts=[{"email": SECRET, "phone": SECRET}])),
        ("/v1/customers", customer(contacts=[{SECRET: SECRET}])),
        ("/v1/rehearsals", {"issued_on": SECRET, "suppose": [{"on": SECRET, "what": SECRET}]}),
        ("/v1/invoices", {"terms": SECRET, "lines": [{"quantity": SECRET}], "number": "\n" + SECRET}),
    ],
)
async def test_a_refusal_never_repeats_what_was_sent(http: httpx2.AsyncClient, path: str, body: Any) -> None:
    answer = await http.post(path, json=body)
    assert answer.status_code in (400, 422)
    assert SECRET not in answer.text
    assert "4111" not in answer.text


async def test_everything_that_is_wrong_is_named_at_once(http: httpx2.AsyncClient) -> None:
    await issued(http)
    said = problem(await http.post("/v1/payments", json={"amount_minor": -1, "currency": "X"}), 422, "invalid")
    pointers = {error["pointer"] for error in said["errors"]}
    assert pointers == {"/reference", "/amount_minor", "/currency", "/paid_on"}
    assert "and 3 more" in said["detail"]
