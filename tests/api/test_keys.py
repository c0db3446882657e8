"""Keys and scopes: every route, without a key, with a wrong one, and with one that opens other things."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx2
import pytest
from fastapi import FastAPI

from api.keys import Scope
from lunas.ledger.database import Ledger
from lunas.ledger.keys import create_key, revoke_key
from tests.api.conftest import browser, key_with
from tests.api.samples import customer, problem

#: Which scope opens what. A route that is missing here fails the test: name its scope on purpose.
OPENED_BY: dict[Scope, set[str]] = {
    Scope.READ: {
        "list_customers", "get_customer", "list_invoices", "get_invoice", "get_journal", "get_decisions",
        "list_unapplied", "list_findings", "show_switch", "list_unsettled", "list_policies", "get_policy",
        "rehearse", "rehearse_supposing", "preview_policy", "get_lifecycle", "list_unbooked_deliveries",
        "get_interest", "get_accrued_interest",
    },
    Scope.WRITE_INVOICES: {
        "create_customer", "change_customer", "add_contact", "change_contact", "opt_out", "issue_invoice",
        "book_credit_note", "customer_answered", "agency_reported",
    },
    Scope.WRITE_PAYMENTS: {"book_payment", "match_receipt", "book_reversal"},
    Scope.DECIDE: {
        "record_promise", "agree_instalments", "raise_dispute", "resolve_dispute", "pause", "resume",
        "decide_placement", "recall", "write_off", "cancel", "decide_credit", "change_policy", "correct_contact",
        "approve", "reject", "settle_notice", "nudge_invoice", "erase_contact", "book_refund",
        "claim_charge", "waive_charge", "revoke_links_of_invoice", "revoke_links_of_customer",
    },
    Scope.ADMIN: {
        "create_key", "list_keys", "revoke_key", "stop_all_sending", "resume_all_sending", "add_endpoint",
        "list_endpoints", "get_endpoint", "change_endpoint", "remove_endpoint", "rotate_secret", "send_test_event",
        "list_deliveries", "replay",
    },
}  # fmt: skip
OPEN = {"healthz", "readyz", "metrics"}


def operations(app: FastAPI) -> Iterator[tuple[str, str, str, list[str]]]:
    """Id, method, a path with names in it, and the scopes of every documented operation."""
    for path, methods in app.openapi()["paths"].items():
        for method, operation in methods.items():
            named = re.sub(r"\{(\w+)\}", lambda found: "1" if found[1].endswith("_id") else "email", path)
            named = named.replace("/keys/email", "/keys/abc")
            scopes = [scope for one in operation.get("security", []) for scope in one["ApiKey"]]
            yield operation["operationId"], method.upper(), named, scopes


async def statuses(app: FastAPI, key: str | None, only: set[str] | None = None) -> dict[str, int]:
    """What every operation answers to an empty request under this key."""
    found = {}
    async with browser(app, key) as http:
        for name, method, path, _ in operations(app):
            if name not in OPEN and (only is None or name in only):
                found[name] = (await http.request(method, path)).status_code
    return found


def test_every_operation_says_which_scope_it_needs(app: FastAPI) -> None:
    expected = {name: [scope.value] for scope, names in OPENED_BY.items() for name in names}
    documented = {name: scopes for name, _, _, scopes in operations(app)}
    assert documented == {**expected, **{name: [] for name in OPEN}}


async def test_nothing_below_v1_opens_without_a_key(app: FastAPI) -> None:
    assert set((await statuses(app, None)).values()) == {401}


async def test_a_wrong_key_opens_nothing(app: FastAPI, admin: str) -> None:
    wrong = admin[:-1] + ("A" if admin[-1] != "A" else "B")
    assert set((await statuses(app, wrong)).values()) == {401}


async def test_a_key_opens_what_its_scope_names_and_nothing_else(app: FastAPI, books: Ledger) -> None:
    for scope, names in OPENED_BY.items():
        found = await statuses(app, await key_with(books, scope))
        opened = {name for name, status in found.items() if status not in (401, 403)}
        assert opened == (set(found) if scope is Scope.ADMIN else names), scope


async def test_every_scope_but_the_one_is_not_enough(app: FastAPI, books: Ledger) -> None:
    for scope, names in OPENED_BY.items():
        others = [one for one in Scope if one not in (scope, Scope.ADMIN)]
        found = await statuses(app, await key_with(books, *others), names)
        assert set(found.values()) == {403}, scope


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "Basic bHVuYXM6bHVuYXM=",
        "Bearer lunas",
        "Bearer lunas__",
        "Bearer lunas_abcdef123456_",
        "Bearer lunas_abcdef123456_" + "x" * 43,
        "Bearer other_abcdef123456_" + "x" * 43,
        "Bearer " + "x" * 10_000,
        "Bearer l\u00fcnas_a_b",
    ],
)
async def test_what_is_no_key_is_refused(app: FastAPI, header: str) -> None:
    async with browser(app, None) as http:
        answer = await http.get("/v1/invoices", headers=[(b"authorization", header.encode("latin-1"))])
    said = problem(answer, 401, "unauthenticated")
    assert answer.headers["www-authenticate"].startswith('Bearer realm="lunas"')
    assert "x" * 43 not in said["detail"]


async def test_an_expired_or_revoked_key_is_no_key(app: FastAPI, books: Ledger) -> None:
    now = datetime.now(UTC)
    async with books.write() as session:
        expired = await create_key(session, name="a", scopes=[Scope.READ], expires_at=now - timedelta(seconds=1))
        revoked = await create_key(session, name="b", scopes=[Scope.READ])
        live = await create_key(session, name="c", scopes=[Scope.READ], expires_at=now + timedelta(hours=1))
        await revoke_key(session, revoked.split("_")[1])
    for key, status in ((expired, 401), (revoked, 401), (live, 200)):
        async with browser(app, key) as http:
            assert (await http.get("/v1/policies")).status_code == status


async def test_a_key_is_asked_for_before_anything_is_read(app: FastAPI) -> None:
    """Whoever has no key learns nothing about bodies, and cannot make us take one in."""
    async with browser(app, None) as http:
        for body in (b"{", b"x" * 10_000):
            answer = await http.post("/v1/payments", content=body, headers={"Content-Type": "text/plain"})
            problem(answer, 401, "unauthenticated")


async def test_a_refusal_names_the_scope_that_is_missing(app: FastAPI, books: Ledger) -> None:
    async with browser(app, await key_with(books, Scope.READ)) as http:
        said = problem(await http.post("/v1/customers", json=customer()), 403, "forbidden")
    assert "write:invoices" in said["detail"]
    assert "read" in said["detail"]


async def test_keys_are_made_listed_and_revoked(app: FastAPI, http: httpx2.AsyncClient) -> None:
    made = await http.post("/v1/keys", json={"name": "shop", "scopes": ["read", "write:payments"], "days": 30})
    assert made.status_code == 201
    assert made.headers["cache-control"] == "no-store"
    key = made.json()["key"]
    listed = await http.get("/v1/keys")
    assert key not in listed.text
    shop = next(one for one in listed.json()["keys"] if one["name"] == "shop")
    assert shop["scopes"] == ["read", "write:payments"]
    assert shop["prefix"] == key.split("_")[1]
    async with browser(app, key) as client:
        assert (await client.get("/v1/policies")).status_code == 200
        assert (await http.delete(f"/v1/keys/{shop['prefix']}")).status_code == 204
        assert (await client.get("/v1/policies")).status_code == 401
    problem(await http.delete("/v1/keys/abcdef"), 404, "not-found")
    for name, scopes in (("shop", ["everything"]), ("shop", []), ("", ["read"])):
        problem(await http.post("/v1/keys", json={"name": name, "scopes": scopes}), 422, "invalid")


async def test_a_made_key_is_never_kept_for_a_repetition(http: httpx2.AsyncClient) -> None:
    headers = {"Idempotency-Key": "once"}
    body = {"name": "shop", "scopes": ["read"]}
    first, second = [(await http.post("/v1/keys", json=body, headers=headers)).json() for _ in range(2)]
    assert first["key"] != second["key"]
