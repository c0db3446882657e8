"""Requests to a running invoice: accepted, refused in words, or of unknown outcome."""

from __future__ import annotations

import inspect
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from temporalio.service import RPCStatusCode

from api.routers import contacts, requests
from lunas.ledger.database import Ledger
from lunas.ledger.invoices import opening_state
from lunas.receivables.lifecycle import allows
from tests.api.doubles import FakeTemporal
from tests.api.samples import NUMBER, TOTAL, at, customer, invoice, issued, payment, problem
from workflows import messages as m
from workflows.requests import Requests


def soon(days: int = 5) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).date().isoformat()


async def ask(http: httpx2.AsyncClient, what: str, **body: Any) -> httpx2.Response:
    return await http.post(at(rest=f"/{what}"), json=body)


async def test_a_promise_holds_the_invoice(http: httpx2.AsyncClient, temporal: FakeTemporal) -> None:
    await issued(http)
    answer = await ask(http, "promise", pay_by=soon(), by="siti", amount_minor=1000)
    assert answer.status_code == 200
    assert answer.json()["held"] == "promise"
    hold = (await http.get(at())).json()["hold"]
    assert (hold["kind"], hold["by"], hold["amount_minor"]) == ("promise", "siti, by key erp", 1000)
    assert hold["promised_for"] == soon()
    assert (await http.get("/v1/invoices?hold=promise")).json()["invoices"][0]["number"] == NUMBER


async def test_a_plan_holds_the_invoice_instalment_by_instalment(http: httpx2.AsyncClient) -> None:
    await issued(http)
    answer = await ask(http, "instalments", count=3, first_on=soon(), every="week", by="siti")
    assert (answer.status_code, answer.json()["held"]) == (200, "promise")
    hold = (await http.get(at())).json()["hold"]
    assert (hold["promised_for"], [one["pay_by"] for one in hold["instalments"]]) == (soon(), [soon(12), soon(19)])
    assert hold["amount_minor"] + sum(one["amount_minor"] for one in hold["instalments"]) == TOTAL


async def test_a_plan_is_given_in_one_way(http: httpx2.AsyncClient) -> None:
    await issued(http)
    parts = [{"pay_by": soon(), "amount_minor": 1}, {"pay_by": soon(9), "amount_minor": TOTAL - 1}]
    problem(await ask(http, "instalments", count=3), 422, "invalid")
    problem(await ask(http, "instalments", count=3, first_on=soon(), instalments=parts), 422, "invalid")
    problem(await ask(http, "instalments", instalments=[{**parts[0], "amount_minor": 2}, parts[1]]), 409, "refused")
    assert (await ask(http, "instalments", instalments=parts)).json()["held"] == "promise"


async def test_a_dispute_is_raised_and_resolved(http: httpx2.AsyncClient) -> None:
    await issued(http)
    assert (await ask(http, "dispute", reason="two boxes were missing")).json()["held"] == "dispute"
    assert (await ask(http, "dispute/resolve", outcome="rejected", by="budi")).json()["held"] is None


async def test_a_pause_ends_with_resume(http: httpx2.AsyncClient) -> None:
    await issued(http)
    assert (await ask(http, "pause", reason="holiday", until=soon())).json()["held"] == "pause"
    assert (await ask(http, "resume")).json()["held"] is None


@pytest.mark.parametrize("what", ["write-off", "cancel"])
async def test_it_is_given_up_with_a_name_and_a_reason(http: httpx2.AsyncClient, what: str) -> None:
    await issued(http)
    problem(await ask(http, what), 422, "invalid")
    answer = await ask(http, what, by="budi", reason="bankrupt")
    assert answer.json()["stage"] == {"write-off": "written_off", "cancel": "cancelled"}[what]


async def test_credit_is_held_and_released(http: httpx2.AsyncClient) -> None:
    await issued(http)
    assert (await ask(http, "credit", by="budi", release=False)).json()["held"] == "credit"
    assert (await ask(http, "credit", by="budi", release=True)).json()["held"] is None


async def test_another_policy_is_followed(http: httpx2.AsyncClient, temporal: FakeTemporal, books: Ledger) -> None:
    await issued(http)
    assert (await ask(http, "policy", policy="gentle", by="budi")).status_code == 200
    assert temporal.of(NUMBER).state.policy.name == "gentle"
    async with books.read() as session:
        assert (await opening_state(session, NUMBER)).policy.name == "gentle", "the gate follows it too"
    said = problem(await ask(http, "policy", policy="unheard-of", by="budi"), 422, "invalid")
    assert "standard" in said["detail"]


@pytest.mark.parametrize(
    ("what", "body", "words"),
    [
        ("resume", {}, "a pause holds it"),
        ("recall", {"by": "budi", "reason": "x"}, "no agency has it"),
        ("placement", {"by": "budi", "approve": True}, "final demand"),
        ("promise", {"pay_by": "2026-01-01"}, "from today on"),
        ("dispute", {"reason": "x", "amount_minor": 10**15}, "no more than is open"),
    ],
)
async def test_what_is_refused_says_what_would_be_needed(
    http: httpx2.AsyncClient, what: str, body: dict[str, Any], words: str
) -> None:
    await issued(http)
    said = problem(await ask(http, what, **body), 409, "refused")
    assert NUMBER in said["detail"]
    assert words in said["detail"]


async def test_a_closed_invoice_refuses_in_the_same_words(
    http: httpx2.AsyncClient, temporal: FakeTemporal, books: Ledger
) -> None:
    await issued(http)
    await http.post("/v1/payments", json=payment())
    said = problem(await ask(http, "pause", reason="x"), 409, "refused")
    async with books.read() as session:
        state = await opening_state(session, NUMBER)
    assert said["detail"] == allows(state, m.Pause("x").event(), datetime.now(UTC))
    assert temporal.running == {}


async def test_an_unknown_invoice_is_not_found(http: httpx2.AsyncClient, temporal: FakeTemporal) -> None:
    problem(await ask(http, "pause", reason="x"), 404, "not-found")
    assert temporal.calls == 0


async def test_a_missing_workflow_is_started_and_asked(http: httpx2.AsyncClient, temporal: FakeTemporal) -> None:
    await issued(http)
    temporal.running.clear()
    assert (await ask(http, "pause", reason="x")).json()["held"] == "pause"


async def test_no_answer_in_time_is_an_unknown_outcome(http: httpx2.AsyncClient, temporal: FakeTemporal) -> None:
    await issued(http)
    temporal.silent = True
    said = problem(await ask(http, "pause", reason="x"), 504, "outcome-unknown")
    assert "may still" in said["detail"]
    assert "Idempotency-Key" in said["detail"]


async def test_temporal_that_does_not_take_it_is_unavailable(http: httpx2.AsyncClient, temporal: FakeTemporal) -> None:
    await issued(http)
    temporal.fails_with = RPCStatusCode.RESOURCE_EXHAUSTED
    answer = await ask(http, "pause", reason="x")
    problem(answer, 503, "unavailable")
    assert answer.headers["retry-after"]


async def test_a_connection_that_breaks_leaves_the_outcome_unknown(
    http: httpx2.AsyncClient, temporal: FakeTemporal
) -> None:
    """The request may have arrived; whoever comes within the next moments is told that Temporal is away."""
    await issued(http)
    temporal.fails_with = RPCStatusCode.UNAVAILABLE
    problem(await ask(http, "pause", reason="x"), 504, "outcome-unknown")
    problem(await ask(http, "pause", reason="x"), 503, "unavailable")


async def test_temporal_that_is_down_is_unavailable(http: httpx2.AsyncClient, temporal: FakeTemporal) -> None:
    await issued(http)
    temporal.down = True
    problem(await ask(http, "pause", reason="x"), 503, "unavailable")


async def test_a_hold_is_acknowledged_only_when_nothing_can_leave(
    http: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def in_vain(ledger: Ledger, number: str) -> None:
        raise TimeoutError

    monkeypatch.setattr("api.asking.settle", in_vain)
    await issued(http)
    said = problem(await ask(http, "dispute", reason="x"), 504, "outcome-unknown")
    assert "do not ask again" in said["detail"]


async def test_a_repetition_under_one_key_is_one_update(http: httpx2.AsyncClient, temporal: FakeTemporal) -> None:
    await issued(http)
    temporal.silent = True
    headers = {"Idempotency-Key": "once"}
    for _ in range(2):
        problem(await http.post(at(rest="/pause"), json={"reason": "x"}, headers=headers), 504, "outcome-unknown")
    asked = temporal.of(NUMBER).asked
    assert len({id_ for _, id_, _ in asked}) == 1
    await http.post(at(rest="/pause"), json={"reason": "x"})
    assert len({id_ for _, id_, _ in temporal.of(NUMBER).asked}) == 2


async def test_the_contact_is_put_right_and_the_invoice_goes_on(
    http: httpx2.AsyncClient, temporal: FakeTemporal
) -> None:
    made = (await http.post("/v1/customers", json=customer(contacts=[]))).json()
    assert made["contacts"] == []
    assert (await http.post("/v1/invoices", json=invoice())).json()["reachable"] is False
    answer = await ask(http, "contact", email="new@acme.example", by="siti")
    assert answer.status_code == 200, answer.text
    assert [update for update, _, _ in temporal.of(NUMBER).asked] == ["correct_contact"]
    assert temporal.of(NUMBER).state.facts.reachable
    again = await ask(http, "contact", email="new@acme.example")
    assert again.status_code == 200
    (contact,) = (await http.get("/v1/customers/ACME")).json()["contacts"]
    assert contact["email"] == "new@acme.example"
    problem(await ask(http, "contact", contact_id=99, email="x@acme.example"), 404, "not-found")
    problem(await ask(http, "contact"), 422, "invalid")


def test_every_update_that_is_asked_for_exists() -> None:
    """Names are texts here: a workflow without such an update would only fail in production."""
    source = inspect.getsource(requests) + inspect.getsource(contacts)
    updates = [name for name, _ in inspect.getmembers(Requests, inspect.iscoroutinefunction) if name != "propose"]
    assert len(updates) == 13
    missing = [name for name in updates if f'desk.ask("{name}"' not in source and f'"{name}", message' not in source]
    assert missing == []
    assert source.count("desk.ask(") == len(updates)
