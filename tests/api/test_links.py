"""Ending customers' links by the API and from the command line."""

from __future__ import annotations

import httpx2
from fastapi import FastAPI

from api.keys import Scope
from lunas.ledger.database import Ledger
from lunas.ledger.facts import look_at
from tests.api.conftest import Said, browser, key_with
from tests.api.doubles import FakeTemporal
from tests.api.samples import NUMBER, at, issued, problem
from tests.api.test_operations import issue

WHY = {"by": "siti", "reason": "forwarded by mistake"}


async def epoch(books: Ledger, number: str = NUMBER) -> int:
    async with books.read() as session:
        return (await look_at(session, number)).link_epoch


async def test_links_are_ended_by_invoice_and_by_customer(http: httpx2.AsyncClient, books: Ledger) -> None:
    await issued(http)
    assert (await http.post(at(rest="/links/revocation"), json=WHY)).status_code == 204
    assert await epoch(books) == 1
    assert (await http.post("/v1/customers/ACME/links/revocation", json=WHY)).status_code == 204
    assert await epoch(books) == 2
    lines = (await http.get(at(rest="/journal"))).json()["entries"]
    said = [(line["by"], line["reason"]) for line in lines if line["event"] == "links_revoked"]
    assert said == [("siti, by key erp", "forwarded by mistake")] * 2


async def test_it_needs_a_reason_and_the_scope_to_decide(app: FastAPI, http: httpx2.AsyncClient, books: Ledger) -> None:
    await issued(http)
    for path in (at(rest="/links/revocation"), "/v1/customers/ACME/links/revocation"):
        problem(await http.post(path, json={"by": "siti"}), 422, "invalid")
        async with browser(app, await key_with(books, Scope.READ, Scope.WRITE_INVOICES)) as clerk:
            problem(await clerk.post(path, json=WHY), 403, "forbidden")
    problem(await http.post(at("INV/none", "/links/revocation"), json=WHY), 404, "not-found")
    problem(await http.post("/v1/customers/NONE/links/revocation", json=WHY), 404, "not-found")
    assert await epoch(books) == 0


def test_the_command_says_what_it_ended(api: FakeTemporal, said: Said) -> None:
    issue(said)
    code, out, err = said("revoke-links", "INV/1", "--reason", "forwarded", "--by", "siti")
    assert code == 0, err
    assert "No link to invoice INV/1 that was made before now works any more." in out
    assert "No link to customer ACME" in said("revoke-links", "--customer", "ACME", "--reason", "left")[1]
    assert "links revoked" in said("journal", "INV/1")[1].replace("_", " ")
    for wrong in (("revoke-links", "--reason", "x"), ("revoke-links", "INV/1", "--customer", "ACME", "--reason", "x")):
        code, _, err = said(*wrong)
        assert code == 1 and "say which" in err
    assert said("revoke-links", "INV/1")[0] == 2, "why must be said"
    assert said("revoke-links", "INV/2", "--reason", "x")[0] == 1
