"""Issuing invoices, finding them, looking at them."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import httpx2
import pytest

from lunas.ledger.database import Ledger
from lunas.ledger.outbox import undelivered
from tests.api.doubles import FakeTemporal
from tests.api.samples import NUMBER, TOTAL, at, customer, invoice, issued, payment, problem
from workflows.visibility import CUSTOMER_CODE, STAGE


async def waiting(books: Ledger) -> list[str]:
    async with books.read() as session:
        return [nudge.number for nudge in await undelivered(session)]


async def test_an_issued_invoice_is_collected_at_once(
    http: httpx2.AsyncClient, temporal: FakeTemporal, books: Ledger
) -> None:
    made = await issued(http)
    assert made["workflow"] == "started"
    assert (made["total_minor"], made["balance_minor"], made["due_on"]) == (TOTAL, TOTAL, "2026-12-01")
    assert made["terms"] == "net 30"
    workflow = temporal.of(NUMBER)
    assert workflow.summary == "IDR 12,500,000 due 1 Dec 2026, customer ACME"
    assert workflow.attributes[CUSTOMER_CODE] == "ACME"
    assert workflow.attributes[STAGE] == "issued"
    assert workflow.state.facts.balance.outstanding == TOTAL
    assert await waiting(books) == []


async def test_the_same_invoice_again_is_harmless(http: httpx2.AsyncClient, temporal: FakeTemporal) -> None:
    await issued(http)
    again = await http.post("/v1/invoices", json=invoice())
    assert again.status_code == 200
    assert len(temporal.started) == 1


async def test_the_number_with_another_body_is_a_conflict(http: httpx2.AsyncClient) -> None:
    await issued(http)
    said = problem(await http.post("/v1/invoices", json=invoice(issued_on="2026-11-02")), 409, "conflict")
    assert NUMBER in said["detail"]


async def test_it_is_issued_while_temporal_is_down(
    http: httpx2.AsyncClient, temporal: FakeTemporal, books: Ledger
) -> None:
    temporal.down = True
    made = await issued(http)
    assert made["workflow"] == "pending"
    assert made["next_step"] == "send the invoice by email"
    assert made["next_at"] is not None
    assert await waiting(books) == [NUMBER]
    assert (await http.get(at())).json()["balance_minor"] == TOTAL


async def test_money_that_came_before_its_invoice_is_matched(http: httpx2.AsyncClient) -> None:
    kept = (await http.post("/v1/payments", json=payment(amount_minor=500))).json()
    assert (kept["invoice"], kept["unapplied_minor"]) == (None, 500)
    assert (await issued(http))["balance_minor"] == TOTAL - 500


@pytest.mark.parametrize(
    ("terms", "due"),
    [
        ({"terms": "net 14"}, "2026-11-15"),
        ({"due_on": "2026-11-20"}, "2026-11-20"),
        ({"terms": "2/10 net 30", "due_on": "2026-12-24"}, "2026-12-24"),
        ({}, "2026-12-01"),
    ],
)
async def test_it_is_due_by_its_terms_or_on_its_date(http: httpx2.AsyncClient, terms: dict[str, str], due: str) -> None:
    assert (await issued(http, **terms))["due_on"] == due


async def test_terms_that_were_left_out_stay_those_of_the_first_time(http: httpx2.AsyncClient) -> None:
    """The same body means the same invoice, though the policy that gave the terms is another by now."""
    await issued(http, terms="net 14")
    assert (await http.post("/v1/invoices", json=invoice())).status_code == 200


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"due_on": "2026-10-31"}, "/"),
        ({"due_on": "2031-01-01"}, "/due_on"),
        ({"total_minor": 1}, "/"),
        ({"terms": "30 days"}, "/terms"),
        ({"currency": "XYZ"}, "/currency"),
        ({"issued_on": "2026-02-30"}, "/issued_on"),
        ({"issued_on": "01-11-2026"}, "/issued_on"),
        ({"issued_on": 20261101}, "/issued_on"),
        ({"lines": []}, "/lines"),
        ({"lines": [{"description": "x", "unit_price_minor": 0}]}, "/lines/0/unit_price_minor"),
        ({"lines": [{"description": "x", "unit_price_minor": 1.0}]}, "/lines/0/unit_price_minor"),
        ({"lines": [{"description": "x", "unit_price_minor": "1"}]}, "/lines/0/unit_price_minor"),
        ({"lines": [{"description": "x", "unit_price_minor": True}]}, "/lines/0/unit_price_minor"),
        ({"lines": [{"description": "x", "unit_price_minor": 10**15 + 1}]}, "/lines/0/unit_price_minor"),
        ({"lines": [{"description": "x", "unit_price_minor": 10**15}] * 2}, "/"),
        ({"lines": [{"description": "x", "unit_price_minor": 5, "quantity": "0"}]}, "/lines/0"),
        ({"lines": [{"description": "x", "unit_price_minor": 5, "quantity": "1e3"}]}, "/lines/0/quantity"),
        ({"lines": [{"description": "x", "unit_price_minor": 5, "amount_minor": 6}]}, "/lines/0"),
        ({"number": " INV"}, "/number"),
        ({"number": "I\u0007NV"}, "/number"),
        ({"number": "x" * 65}, "/number"),
        ({"policy": "unheard-of"}, "/policy"),
        ({"surprise": 1}, "/surprise"),
    ],
)
async def test_an_invoice_that_cannot_be_is_refused_with_the_place(
    http: httpx2.AsyncClient, change: dict[str, Any], pointer: str
) -> None:
    await http.post("/v1/customers", json=customer())
    said = problem(await http.post("/v1/invoices", json=invoice(**change)), 422, "invalid")
    assert pointer in [error["pointer"] for error in said["errors"]]


async def test_fractions_of_a_unit_are_rounded_half_up_to_the_minor_unit(http: httpx2.AsyncClient) -> None:
    lines = [{"description": "Kabel", "quantity": "2.5", "unit_price_minor": 333, "amount_minor": 833}]
    made = await issued(http, lines=lines, total_minor=833)
    assert made["lines"][0]["amount_minor"] == 833


async def test_an_unknown_customer_is_not_found(http: httpx2.AsyncClient) -> None:
    problem(await http.post("/v1/invoices", json=invoice()), 404, "not-found")


async def test_it_follows_its_own_policy_or_that_of_its_customer(
    http: httpx2.AsyncClient, temporal: FakeTemporal
) -> None:
    await http.post("/v1/customers", json=customer(policy="gentle"))
    await http.post("/v1/invoices", json=invoice("A"))
    await http.post("/v1/invoices", json=invoice("B", policy="standard"))
    assert [temporal.of(number).state.policy.name for number in "AB"] == ["gentle", "standard"]


async def test_live_asks_the_workflow(http: httpx2.AsyncClient, temporal: FakeTemporal) -> None:
    await issued(http)
    assert (await http.get(at())).json()["live"] is None
    live = (await http.get(at(rest="?live=true"))).json()["live"]
    assert live["next_step"] == "send the invoice by email"
    temporal.silent = True
    said = problem(await http.get(at(rest="?live=true")), 503, "unavailable")
    assert "live" in said["detail"]


async def test_live_starts_a_workflow_that_is_missing(http: httpx2.AsyncClient, temporal: FakeTemporal) -> None:
    await issued(http)
    temporal.running.clear()
    assert (await http.get(at(rest="?live=true"))).json()["live"] is None
    assert temporal.of(NUMBER).state.is_open


async def test_the_journal_tells_facts_and_decisions_page_by_page(http: httpx2.AsyncClient) -> None:
    await issued(http)
    await http.post("/v1/payments", json=payment())
    whole = (await http.get(at(rest="/journal"))).json()["entries"]
    assert [(line["source"], line["event"]) for line in whole] == [
        ("ledger", "invoice_created"),
        ("ledger", "receipt_allocated"),
        ("workflow", "paid_in_full"),
    ]
    assert whole[1]["by"] == "key erp"
    first = (await http.get(at(rest="/journal?limit=2"))).json()
    rest = (await http.get(at(rest=f"/journal?after={first['next_after']}"))).json()
    assert [*first["entries"], *rest["entries"]] == whole
    assert rest["next_after"] is None


async def test_lists_are_filtered_and_paged(http: httpx2.AsyncClient) -> None:
    await http.post("/v1/customers", json=customer())
    await http.post("/v1/customers", json=customer("BETA"))
    for day in range(1, 6):
        issued_on = (date(2026, 1, 1) + timedelta(days=day)).isoformat()
        body = invoice(f"INV-{day}", issued_on=issued_on, customer="BETA" if day == 5 else "ACME")
        assert (await http.post("/v1/invoices", json=body)).status_code == 201
    await http.post("/v1/payments", json=payment(invoice="INV-1"))

    async def numbers(query: str) -> list[str]:
        response = await http.get(f"/v1/invoices?{query}")
        assert response.status_code == 200, response.text
        return [one["number"] for one in response.json()["invoices"]]

    assert await numbers("") == [f"INV-{day}" for day in range(1, 6)]
    assert await numbers("stage=paid") == ["INV-1"]
    assert await numbers("stage=paid&stage=issued&customer=BETA") == ["INV-5"]
    assert await numbers("open=false") == ["INV-1"]
    assert await numbers("overdue=true&as_of=2026-02-03") == ["INV-2"]
    assert await numbers("due_from=2026-02-03&due_to=2026-02-04") == ["INV-3", "INV-4"]
    assert await numbers("text=inv-4") == ["INV-4"]
    assert await numbers("text=%25") == []
    assert await numbers("hold=dispute") == []
    seen, cursor = [], ""
    while True:
        page = (await http.get(f"/v1/invoices?limit=2{cursor}")).json()
        seen += [one["number"] for one in page["invoices"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == [f"INV-{day}" for day in range(1, 6)]


@pytest.mark.parametrize("query", ["stage=owed", "limit=0", "limit=201", "stge=paid", "due_from=yesterday", "text=%00"])
async def test_a_filter_that_means_nothing_is_refused(http: httpx2.AsyncClient, query: str) -> None:
    said = problem(await http.get(f"/v1/invoices?{query}"), 422, "invalid")
    assert said["errors"][0]["in"] == "query"


async def test_a_cursor_that_no_page_gave_is_refused(http: httpx2.AsyncClient) -> None:
    problem(await http.get("/v1/invoices?cursor=nonsense"), 422, "invalid")


async def test_decisions_of_a_day_are_a_query(http: httpx2.AsyncClient) -> None:
    await issued(http)
    assert (await http.get(at(rest="/decisions?on=2026-11-03"))).json() == {"decisions": []}
    problem(await http.get(at("INV-0", "/decisions")), 404, "not-found")
    problem(await http.get(at("INV-0", "/journal")), 404, "not-found")
    problem(await http.get(at("INV-0")), 404, "not-found")
