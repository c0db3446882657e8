"""Late interest and fees over HTTP: looked at, claimed, waived, each once and with a name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from api.keys import Scope
from api.services import PolicyShelf
from lunas.ledger.database import Ledger
from lunas.policies import SHIPPED
from tests.api.conftest import browser, key_with
from tests.api.samples import NUMBER, TOTAL, at, customer, invoice, issued, payment, problem

#: Of 12,500,000.00 rupiah at 7.3 % a day costs 2,500.00.
A_DAY = 250_000
LATE = {"issued_on": "2026-01-01", "due_on": "2026-01-31"}
TEN_DAYS = "2026-02-10"


@pytest.fixture
def agreed(tmp_path: Path, app: FastAPI) -> Iterator[None]:
    """A default policy with a rate that was agreed on, and leeway for money."""
    folder = tmp_path / "policies"
    folder.mkdir()
    (folder / "standard.yaml").write_text(
        (SHIPPED / "standard.yaml").read_text()
        + 'late_payment: {pack: id, interest: accrue, rates: [{from: 2020-01-01, percent: "7.3"}]}\n'
        + "money: {unnamed: oldest_first, tolerance_minor: {IDR: 100000}}\n"
    )
    services = app.state.services
    app.state.services = replace(services, policies=PolicyShelf("standard", folder))
    yield
    app.state.services = services


async def charge(http: httpx2.AsyncClient, what: str = "charges", **other: Any) -> httpx2.Response:
    body = {"kind": "interest", "on": TEN_DAYS, "reason": "agreed on the phone", "by": "siti", **other}
    return await http.post(at(rest=f"/{what}"), json=body)


@pytest.mark.usefixtures("agreed")
async def test_interest_is_shown_as_of_a_day(http: httpx2.AsyncClient) -> None:
    await issued(http, **LATE)
    said = (await http.get(at(rest=f"/interest?as_of={TEN_DAYS}"))).json()

    assert (said["pack"], said["interest_mode"], said["days"]) == ("id", "accrue", 10)
    assert (said["accrued_minor"], said["unclaimed_minor"]) == (10 * A_DAY, 10 * A_DAY)
    assert said["detail"] == "IDR 25,000 of interest on 10 late days by 2026-02-10"
    assert (await http.get(at())).json()["balance_minor"] == TOTAL, "nobody owes it"
    totals = (await http.get(f"/v1/interest?as_of={TEN_DAYS}")).json()
    assert totals == {"as_of": TEN_DAYS, "totals": [{"currency": "IDR", "invoices": 1, "minor": 10 * A_DAY}]}


async def test_a_policy_that_says_nothing_has_no_figure(http: httpx2.AsyncClient) -> None:
    await issued(http, **LATE)
    said = (await http.get(at(rest="/interest"))).json()

    assert (said["pack"], said["accrued_minor"]) == (None, 0) and "says nothing" in said["detail"]
    assert "says nothing" in problem(await charge(http), 409, "refused")["detail"]
    problem(await http.get(at("INV-0", "/interest")), 404, "not-found")
    problem(await http.get(at(rest="/interest?as_of=soon")), 422, "invalid")


@pytest.mark.usefixtures("agreed")
async def test_a_claim_makes_it_owed_once(http: httpx2.AsyncClient) -> None:
    await issued(http, **LATE)
    first, again = [await charge(http) for _ in range(2)]

    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json() == {
        "invoice": NUMBER,
        "kind": "interest",
        "reference": "interest to 2026-02-10",
        "new": True,
        "currency": "IDR",
        "amount_minor": 10 * A_DAY,
        "outstanding_minor": TOTAL + 10 * A_DAY,
    }
    assert again.json() == {**first.json(), "new": False}
    entry = (await http.get(at(rest="/journal"))).json()["entries"][1]
    assert (entry["event"], entry["by"], entry["reason"]) == (
        "interest_charged",
        "siti, by key erp",
        "agreed on the phone",
    )
    problem(await charge(http, "waivers"), 409, "conflict")


@pytest.mark.usefixtures("agreed")
async def test_a_waiver_is_written_down_and_owes_nothing(http: httpx2.AsyncClient) -> None:
    await issued(http, **LATE)
    said = (await charge(http, "waivers")).json()

    assert (said["amount_minor"], said["outstanding_minor"]) == (10 * A_DAY, TOTAL)
    left = (await http.get(at(rest=f"/interest?as_of={TEN_DAYS}"))).json()
    assert (left["waived_minor"], left["unclaimed_minor"]) == (10 * A_DAY, 0)
    problem(await charge(http), 409, "conflict")


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "penalty"},
        {"reason": None},
        {"amount_minor": 5},
        {"currency": "IDR"},
        {"amount_minor": 0, "currency": "IDR"},
        {"on": "2026-02-30"},
        {"extra": 1},
    ],
)
async def test_what_cannot_be_claimed_is_refused(http: httpx2.AsyncClient, change: dict[str, Any]) -> None:
    await issued(http, **LATE)
    problem(await charge(http, **change), 422, "invalid")


async def test_only_who_decides_claims_waives_and_pays_back(
    app: FastAPI, books: Ledger, http: httpx2.AsyncClient
) -> None:
    await issued(http, **LATE)
    key = await key_with(books, Scope.READ, Scope.WRITE_INVOICES, Scope.WRITE_PAYMENTS)
    async with browser(app, key) as clerk:
        for what in ("charges", "waivers"):
            problem(await charge(clerk, what), 403, "forbidden")
        refused = await clerk.post("/v1/payments/trx-1/refunds", json=refund())
        problem(refused, 403, "forbidden")


# --- money that does not say exactly what it is for, or is not exactly what is owed --------------------------------


def refund(reference: str = "out-1", **other: Any) -> dict[str, Any]:
    return {"provider": "bca", "reference": reference, "refunded_on": "2026-11-25", "reason": "too much", **other}


async def test_one_transfer_pays_several_invoices(http: httpx2.AsyncClient) -> None:
    await http.post("/v1/customers", json=customer())
    for number in ("A", "B"):
        await http.post("/v1/invoices", json=invoice(number))
    lines = [{"invoice": "A", "amount_minor": 1000}, {"invoice": "B", "amount_minor": 500}, {"invoice": "C"}]
    mixed = payment(invoice=None, lines=lines)
    problem(await http.post("/v1/payments", json=mixed), 422, "invalid")
    whole = payment(invoice=None, lines=lines[:2], amount_minor=2000)

    first, again = [(await http.post("/v1/payments", json=whole)).json() for _ in range(2)]

    assert first["invoices"] == [
        {"invoice": "A", "allocated_minor": 1000, "outstanding_minor": TOTAL - 1000},
        {"invoice": "B", "allocated_minor": 500, "outstanding_minor": TOTAL - 500},
    ]
    assert (first["allocated_minor"], first["unapplied_minor"], first["new"]) == (1500, 500, True)
    assert again == {**first, "new": False, "detail": again["detail"]}
    assert "IDR 10 for invoice A" in first["detail"] and "IDR 5 for invoice B" in first["detail"]


@pytest.mark.parametrize(
    "change",
    [
        {"lines": []},
        {"lines": [{"invoice": "A"}]},  # and an invoice of its own
        {"invoice": None, "lines": [{"invoice": "A"}, {"invoice": "A"}]},
        {"invoice": None, "lines": [{"invoice": "A", "amount_minor": TOTAL}, {"invoice": "B", "amount_minor": 1}]},
        {"invoice": None, "lines": [{"invoice": "A", "amount_minor": 0}]},
        {"customer": ""},
    ],
)
async def test_a_remittance_that_cannot_be_is_refused(http: httpx2.AsyncClient, change: dict[str, Any]) -> None:
    problem(await http.post("/v1/payments", json=payment(**change)), 422, "invalid")


async def test_numbers_that_are_not_known_yet_are_named(http: httpx2.AsyncClient) -> None:
    said = await http.post("/v1/payments", json=payment(invoice=None, lines=[{"invoice": NUMBER}, {"invoice": "Z"}]))
    assert f"there is no invoice {NUMBER}, Z" in said.json()["detail"]
    (waits,) = (await http.get("/v1/payments/unapplied")).json()["receipts"]
    assert (waits["named"], waits["lines"]) == (None, [NUMBER, "Z"])
    await issued(http)
    assert (await http.get(at())).json()["balance_minor"] == 0


@pytest.mark.usefixtures("agreed")
async def test_money_that_names_a_customer_and_a_small_difference(http: httpx2.AsyncClient) -> None:
    await issued(http)
    said = (await http.post("/v1/payments", json=payment(invoice=None, customer="ACME", amount_minor=TOTAL - 7))).json()

    assert (said["invoice"], said["outstanding_minor"]) == (NUMBER, 0)
    shown = (await http.get(at())).json()
    assert (shown["balance"]["tolerated"], shown["stage"]) == (7, "paid")
    (rules,) = [one for one in (await http.get("/v1/policies")).json()["policies"] if one["name"] == "standard"]
    assert rules["money"] == {
        "unnamed": "oldest_first",
        "overpayment": "keep",
        "tolerance": {"IDR": 100000},
        "tolerance_percent": None,
    }
    assert rules["late_payment"]["rates"] == [{"since": "2020-01-01", "percent": "7.3"}]


async def test_what_is_unapplied_is_paid_back_once(http: httpx2.AsyncClient) -> None:
    await issued(http)
    await http.post("/v1/payments", json=payment("trx/1", amount_minor=TOTAL + 7))
    path = "/v1/payments/trx%2F1/refunds"

    first, again = [(await http.post(path, json=refund())).json() for _ in range(2)]

    assert (first["amount_minor"], first["unapplied_minor"], first["new"]) == (7, 0, True)
    assert again == {**first, "new": False}
    problem(await http.post(path, json=refund("out-2")), 409, "refused")
    problem(await http.post(path, json=refund(amount_minor=1, currency="IDR")), 409, "conflict")
    problem(await http.post(path, json=refund(amount_minor=1)), 422, "invalid")
    problem(await http.post("/v1/payments/unheard/refunds", json=refund("out-3")), 404, "not-found")
    assert (await http.get("/v1/payments/unapplied")).json()["receipts"] == []
