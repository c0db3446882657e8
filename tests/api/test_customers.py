"""Customers and their contacts."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from lunas.ledger.customers import mark_undeliverable
from lunas.ledger.database import Ledger
from lunas.ledger.findings import NewFinding, propose
from lunas.ledger.kinds import FindingKind
from lunas.receivables.ladder import Channel
from tests.api.doubles import FakeTemporal
from tests.api.samples import NUMBER, at, customer, invoice, issued, problem


async def test_a_customer_is_written_down_and_shown(http: httpx2.AsyncClient) -> None:
    body = customer(
        language="en",
        time_zone="Asia/Makassar",
        postal_address="Jl. Melati 8\nDenpasar",
        website="https://acme.example",
        policy="gentle",
    )
    made = await http.post("/v1/customers", json=body)
    assert made.status_code == 201
    shown = (await http.get("/v1/customers/ACME")).json()
    assert shown == made.json()
    assert {**body, "contacts": None} == {**{name: shown[name] for name in body}, "contacts": None}
    assert shown["contacts"][0]["phone"] == "+6281234567890"
    assert shown["contacts"][0]["source"] == "staff"
    problem(await http.post("/v1/customers", json=body), 409, "conflict")
    problem(await http.get("/v1/customers/NOBODY"), 404, "not-found")


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"contacts": [{"name": "Siti"}]}, "/contacts/0"),
        ({"contacts": [{"email": "siti@acme"}]}, "/contacts/0/email"),
        ({"contacts": [{"email": "siti@acme.example\nBcc: x@y.example"}]}, "/contacts/0/email"),
        ({"contacts": [{"email": "Siti <siti@acme.example>"}]}, "/contacts/0/email"),
        ({"contacts": [{"phone": "0812-3456-7890"}]}, "/contacts/0/phone"),
        ({"contacts": [{"phone": "+999123456789012"}]}, "/contacts/0/phone"),
        ({"time_zone": "WIB"}, "/time_zone"),
        ({"time_zone": "../../etc/passwd"}, "/time_zone"),
        ({"language": "fr"}, "/language"),
        ({"name": "PT Acme\r\nBcc: x@y.example"}, "/name"),
        ({"name": " "}, "/name"),
        ({"policy": "unheard-of"}, "/policy"),
        ({"postal_address": "Jl. Melati\u0000"}, None),
    ],
)
async def test_a_customer_that_cannot_be_is_refused(
    http: httpx2.AsyncClient, change: dict[str, Any], pointer: str | None
) -> None:
    answer = await http.post("/v1/customers", json=customer(**change))
    if pointer is None:
        problem(answer, 400, "malformed")
        return
    said = problem(answer, 422, "invalid")
    assert [error["pointer"] for error in said["errors"]] == [pointer]


async def test_a_customer_is_changed_in_what_is_given(http: httpx2.AsyncClient) -> None:
    await http.post("/v1/customers", json=customer(website="https://acme.example", policy="gentle"))
    change = {"name": "PT Baru", "time_zone": "Asia/Jayapura", "website": None, "policy": "standard"}
    changed = await http.patch("/v1/customers/ACME", json=change)
    assert changed.status_code == 200
    shown = (await http.get("/v1/customers/ACME")).json()
    assert shown == changed.json()
    assert {name: shown[name] for name in change} == change
    assert (shown["language"], len(shown["contacts"])) == ("id", 1)
    for bad in ({}, {"name": None}, {"code": "B"}, {"policy": "unheard-of"}, {"time_zone": "WIB"}):
        problem(await http.patch("/v1/customers/ACME", json=bad), 422, "invalid")
    problem(await http.patch("/v1/customers/NOBODY", json={"name": "x"}), 404, "not-found")


async def test_customers_are_found_by_code_or_name(http: httpx2.AsyncClient) -> None:
    for code in ("ACME", "BETA", "GAMMA"):
        await http.post("/v1/customers", json=customer(code))
    page = (await http.get("/v1/customers?text=bet")).json()
    assert [one["code"] for one in page["customers"]] == ["BETA"]
    first = (await http.get("/v1/customers?limit=2")).json()
    assert [one["code"] for one in first["customers"]] == ["ACME", "BETA"]
    last = (await http.get("/v1/customers", params={"limit": 2, "cursor": first["next_cursor"]})).json()
    assert ([one["code"] for one in last["customers"]], last["next_cursor"]) == (["GAMMA"], None)
    for wildcard in ("%", "_", "A%A"):
        assert (await http.get("/v1/customers", params={"text": wildcard})).json()["customers"] == []


async def test_a_change_names_its_author_and_is_told(http: httpx2.AsyncClient, temporal: FakeTemporal) -> None:
    await issued(http)
    version = temporal.of(NUMBER).state.facts.version
    assert (await http.patch("/v1/customers/ACME", json={"language": "en", "by": "budi"})).status_code == 200
    last = (await http.get(at(rest="/journal"))).json()["entries"][-1]
    assert (last["event"], last["by"], last["detail"]) == ("customer_changed", "budi, by key erp", "language")
    assert temporal.of(NUMBER).state.facts.version == version + 1
    problem(await http.patch("/v1/customers/ACME", json={"by": "budi"}), 422, "invalid")


async def test_a_person_is_forgotten_and_the_journal_says_by_whom(
    http: httpx2.AsyncClient, temporal: FakeTemporal
) -> None:
    await issued(http)
    erased = await http.post("/v1/customers/ACME/contacts/1/erasure", json={"by": "dewi"})
    assert erased.status_code == 200
    shown = erased.json()
    assert (shown["id"], shown["approved"]) == (1, False)
    assert [shown[name] for name in ("name", "role", "email", "phone")] == [None] * 4
    assert "siti" not in (await http.get("/v1/customers/ACME")).text.lower()
    journal = await http.get(at(rest="/journal"))
    assert "siti" not in journal.text.lower()
    assert [(line["event"], line["by"]) for line in journal.json()["entries"] if line["event"] == "contact_erased"] == [
        ("contact_erased", "dewi, by key erp")
    ]
    assert not temporal.of(NUMBER).heard[-1].reachable
    assert (await http.post("/v1/customers/ACME/contacts/1/erasure", json={"by": "dewi"})).status_code == 200
    problem(await http.post("/v1/customers/ACME/contacts/2/erasure", json={"by": "dewi"}), 404, "not-found")
    problem(await http.post("/v1/customers/ACME/contacts/1/erasure", json={}), 422, "invalid")


async def test_a_corrected_contact_makes_the_customer_reachable(
    http: httpx2.AsyncClient, temporal: FakeTemporal, books: Ledger
) -> None:
    await issued(http)
    async with books.write() as session:
        for channel in Channel:
            await mark_undeliverable(session, 1, channel, "550")
    assert (await http.get(at())).json()["reachable"] is False
    answer = await http.patch("/v1/customers/ACME/contacts/1", json={"email": "new@acme.example", "by": "budi"})
    assert answer.status_code == 200
    assert (answer.json()["email"], answer.json()["email_state"]) == ("new@acme.example", "ok")
    assert temporal.of(NUMBER).heard[-1].reachable
    problem(await http.patch("/v1/customers/ACME/contacts/9", json={"email": "x@acme.example"}), 404, "not-found")
    problem(await http.patch("/v1/customers/ACME/contacts/1", json={"by": "budi"}), 422, "invalid")


async def test_a_contact_of_another_customer_is_not_found(http: httpx2.AsyncClient) -> None:
    await http.post("/v1/customers", json=customer("ACME"))
    await http.post("/v1/customers", json=customer("BETA"))
    change = {"email": "thief@evil.example"}
    problem(await http.patch("/v1/customers/BETA/contacts/1", json=change), 404, "not-found")
    await http.post("/v1/invoices", json=invoice(customer="BETA"))
    problem(await http.post(at(rest="/contact"), json={**change, "contact_id": 1}), 404, "not-found")
    assert (await http.get("/v1/customers/ACME")).json()["contacts"][0]["email"] == "siti@acme.example"


async def test_an_opt_out_is_final_and_tells_the_workflow(http: httpx2.AsyncClient, temporal: FakeTemporal) -> None:
    await issued(http)
    for channel in ("email", "sms"):
        answer = await http.post(f"/v1/customers/ACME/contacts/1/opt-out/{channel}")
        assert answer.status_code == 200
    assert (answer.json()["email_state"], answer.json()["phone_state"]) == ("opted_out", "opted_out")
    assert temporal.of(NUMBER).state.unreachable
    problem(await http.post("/v1/customers/ACME/contacts/1/opt-out/pigeon"), 422, "invalid")


async def test_what_research_found_waits_for_a_person(
    http: httpx2.AsyncClient, temporal: FakeTemporal, books: Ledger
) -> None:
    await http.post("/v1/customers", json=customer(contacts=[]))
    await http.post("/v1/invoices", json=invoice())
    found = [
        NewFinding(FindingKind.EMAIL, f"{who}@acme.example", {"url": "https://acme.example"}) for who in ("info", "ceo")
    ]
    async with books.write() as session:
        await propose(session, "ACME", found)
    listed = (await http.get("/v1/customers/ACME/findings")).json()["findings"]
    assert [one["state"] for one in listed] == ["proposed", "proposed"]
    assert (await http.post("/v1/findings/1/approval", json={"by": "budi"})).status_code == 204
    assert (await http.post("/v1/findings/2/rejection", json={"by": "budi"})).status_code == 204
    assert temporal.of(NUMBER).state.facts.reachable
    problem(await http.post("/v1/findings/1/rejection", json={"by": "budi"}), 409, "refused")
    problem(await http.post("/v1/findings/3/approval", json={"by": "budi"}), 404, "not-found")
    listed = (await http.get("/v1/customers/ACME/findings")).json()["findings"]
    assert [one["decided_by"] for one in listed] == ["budi, by key erp"] * 2
    problem(await http.get("/v1/customers/NOBODY/findings"), 404, "not-found")
