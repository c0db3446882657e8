"""Webhooks to API clients over the API and the command line: endpoints, secrets shown once, deliveries, replays."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from api.app import make_services
from api.client import LunasClient
from api.schemas.webhooks import EndpointBody, ReplayBody, RotationBody
from lunas.ledger.database import Ledger
from lunas.ledger.endpoints import secrets_of
from lunas.webhooks import EventType
from tests.api.conftest import SETTINGS, URL, Said
from tests.api.doubles import FakeTemporal
from tests.api.samples import at, issued, payment, problem

HOOK = "https://erp.example.com/lunas"


async def added(http: httpx2.AsyncClient, *events: str, url: str = HOOK) -> dict[str, Any]:
    """A new endpoint and its secret."""
    body = {"url": url, "events": list(events or ("invoice.issued", "invoice.paid"))}
    answer = await http.post("/v1/webhooks", json=body)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def rest(app: FastAPI) -> None:
    """Wait for the wakes that requests have left behind."""
    await app.state.services.waker.close()


async def test_an_endpoint_s_secret_is_shown_once(http: httpx2.AsyncClient, books: Ledger) -> None:
    made = await added(http)
    assert made["secret"].startswith("whsec_")
    endpoint = made["endpoint"]
    assert (endpoint["url"], endpoint["active"], endpoint["created_by"]) == (HOOK, True, "key erp")
    path = f"/v1/webhooks/{endpoint['id']}"
    for again in (await http.get("/v1/webhooks"), await http.get(path), await http.patch(path, json={"active": True})):
        assert again.status_code == 200
        assert "whsec_" not in again.text
    async with books.read() as session:
        assert await secrets_of(session, endpoint["id"]) == [made["secret"]]


async def test_a_secret_is_never_kept_for_a_repetition(http: httpx2.AsyncClient) -> None:
    headers, body = {"Idempotency-Key": "once"}, {"url": HOOK, "events": ["invoice.paid"]}
    first, second = [(await http.post("/v1/webhooks", json=body, headers=headers)).json() for _ in range(2)]
    assert first["secret"] != second["secret"]


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        ("http://erp.example.com/", "https://"),
        ("https://127.0.0.1/hook", "public web"),
        ("https://user:hunter2@erp.example.com/", "neither a user nor a password"),
        ("https://erp.example.com:22/", "8443"),
    ],
)
async def test_a_url_that_may_not_be_posted_to_is_refused_with_its_place(
    http: httpx2.AsyncClient, url: str, hint: str
) -> None:
    existing = (await added(http))["endpoint"]["id"]
    for answer in (
        await http.post("/v1/webhooks", json={"url": url, "events": ["invoice.paid"]}),
        await http.patch(f"/v1/webhooks/{existing}", json={"url": url}),
    ):
        refused = problem(answer, 422, "invalid")
        assert refused["errors"][0]["pointer"] == "/url"
        assert hint in refused["detail"]
        assert "hunter2" not in answer.text


async def test_for_development_a_setting_opens_our_own_network(
    app: FastAPI, http: httpx2.AsyncClient, books: Ledger, temporal: Any
) -> None:
    private = SETTINGS.model_copy(update={"webhook_private_addresses": True})
    app.state.services = make_services(private, books, temporal)
    await added(http, url="http://127.0.0.1:9000/hook")


@pytest.mark.parametrize(
    "body",
    [
        {"url": HOOK, "events": []},
        {"url": HOOK, "events": ["invoice.eaten"]},
        {"url": HOOK},
        {"url": HOOK, "events": ["invoice.paid"], "secret": "x"},
    ],
)
async def test_what_is_no_subscription_is_refused(http: httpx2.AsyncClient, body: dict[str, Any]) -> None:
    problem(await http.post("/v1/webhooks", json=body), 422, "invalid")


async def test_facts_wake_who_subscribes_and_deliveries_show(
    app: FastAPI, http: httpx2.AsyncClient, temporal: FakeTemporal
) -> None:
    one = (await added(http))["endpoint"]["id"]
    await issued(http)
    await rest(app)
    assert temporal.woken == [one]
    assert (await http.post("/v1/payments", json=payment())).status_code == 202
    await rest(app)
    assert len(temporal.woken) >= 2
    page = (await http.get(f"/v1/webhooks/{one}/deliveries")).json()
    assert [(view["type"], view["state"], view["attempts"]) for view in page["deliveries"]] == [
        ("invoice.paid", "pending", 0),
        ("invoice.issued", "pending", 0),
    ]
    first, second = page["deliveries"]
    assert first["sequence"] > second["sequence"] and first["invoice"] == "INV/2026/11/0042"
    newest = (await http.get(f"/v1/webhooks/{one}/deliveries?limit=1")).json()
    older = (await http.get(f"/v1/webhooks/{one}/deliveries?limit=1&before={newest['next_before']}")).json()
    assert [view["id"] for view in (*newest["deliveries"], *older["deliveries"])] == [first["id"], second["id"]]
    assert (await http.get(f"/v1/webhooks/{one}/deliveries?state=delivered")).json()["deliveries"] == []
    problem(await http.get(f"/v1/webhooks/{one}/deliveries?state=eaten"), 422, "invalid")


async def test_what_the_lifecycle_decides_is_told_once_each(http: httpx2.AsyncClient) -> None:
    """Through the real core: whatever its table calls a promise, a dispute and the end."""
    one = (await added(http, *EventType))["endpoint"]["id"]
    await issued(http)
    path, by = at(), {"by": "siti"}
    pay_by = (datetime.now(UTC).date() + timedelta(days=3)).isoformat()
    for what, body in (
        ("promise", {"pay_by": pay_by, "amount_minor": 1000}),
        ("dispute", {"reason": "wrong price"}),
        ("dispute/resolve", {"outcome": "rejected"}),
        ("pause", {"reason": "holiday"}),
        ("cancel", {"reason": "never ordered"}),
    ):
        answer = await http.post(f"{path}/{what}", json={**by, **body})
        assert answer.status_code == 200, answer.text
    page = (await http.get(f"/v1/webhooks/{one}/deliveries")).json()
    assert [view["type"] for view in reversed(page["deliveries"])] == [
        "invoice.issued",
        "invoice.promised",
        "invoice.disputed",
        "invoice.closed",
    ]


async def test_a_fact_is_booked_though_nobody_can_be_woken(
    app: FastAPI, http: httpx2.AsyncClient, temporal: FakeTemporal
) -> None:
    one = (await added(http))["endpoint"]["id"]
    await issued(http)
    await rest(app)
    temporal.down = True
    assert (await http.post("/v1/payments", json=payment())).status_code == 202
    await rest(app)
    page = (await http.get(f"/v1/webhooks/{one}/deliveries")).json()
    assert page["deliveries"][0]["type"] == "invoice.paid", "the reconcile schedule finds it"


async def test_a_rotation_gives_a_second_secret(http: httpx2.AsyncClient, books: Ledger) -> None:
    made = await added(http)
    one = made["endpoint"]["id"]
    rotated = await http.post(f"/v1/webhooks/{one}/rotation", json={"hours": 2})
    assert rotated.status_code == 201
    async with books.read() as session:
        assert await secrets_of(session, one) == [rotated.json()["secret"], made["secret"]]
    await http.post(f"/v1/webhooks/{one}/rotation", json={"hours": 0})
    async with books.read() as session:
        assert len(await secrets_of(session, one)) == 1
    problem(await http.post(f"/v1/webhooks/{one}/rotation", json={"hours": 169}), 422, "invalid")


async def test_a_test_event_is_on_its_way_and_replayed(
    app: FastAPI, http: httpx2.AsyncClient, temporal: FakeTemporal
) -> None:
    one = (await added(http, "invoice.paid"))["endpoint"]["id"]
    answer = await http.post(f"/v1/webhooks/{one}/test")
    assert answer.status_code == 202
    event = answer.json()["event"]
    assert answer.json()["type"] == "webhook.test"
    replayed = await http.post(f"/v1/webhooks/{one}/replay", json={"event": event})
    assert (replayed.status_code, replayed.json()) == (202, {"replayed": 1})
    since = await http.post(f"/v1/webhooks/{one}/replay", json={"since": "2026-01-01T00:00:00+07:00"})
    assert since.json() == {"replayed": 0}, "it has not failed"
    await rest(app)
    assert set(temporal.woken) == {one}
    problem(await http.post(f"/v1/webhooks/{one}/replay", json={"event": "evt_" + "0" * 32}), 404, "not-found")
    for body in ({}, {"event": event, "since": "2026-01-01T00:00:00Z"}, {"since": "2026-01-01"}, {"since": 5}):
        problem(await http.post(f"/v1/webhooks/{one}/replay", json=body), 422, "invalid")


async def test_one_that_is_not_active_refuses_tests_until_it_is(http: httpx2.AsyncClient) -> None:
    one = (await added(http))["endpoint"]["id"]
    path = f"/v1/webhooks/{one}"
    stopped = (await http.patch(path, json={"active": False})).json()
    assert (stopped["active"], stopped["disabled_why"]) == (False, "by request")
    refused = problem(await http.post(f"{path}/test"), 409, "refused")
    assert "activate it first" in refused["detail"]
    assert (await http.patch(path, json={"active": True})).json()["disabled_at"] is None
    assert (await http.post(f"{path}/test")).status_code == 202
    problem(await http.patch(path, json={}), 422, "invalid")


async def test_a_removed_endpoint_is_not_found(http: httpx2.AsyncClient) -> None:
    path = f"/v1/webhooks/{(await added(http))['endpoint']['id']}"
    assert (await http.delete(path)).status_code == 204
    for answer in (
        await http.get(path),
        await http.delete(path),
        await http.patch(path, json={"active": True}),
        await http.post(f"{path}/test"),
        await http.get(f"{path}/deliveries"),
        await http.post(f"{path}/rotation", json={}),
    ):
        problem(answer, 404, "not-found")


async def test_the_typed_client_does_all_of_it(app: FastAPI, admin: str) -> None:
    transport = httpx2.ASGITransport(app=app)
    async with LunasClient(URL, admin, transport=transport) as lunas:
        made = await lunas.webhooks.add(EndpointBody(url=HOOK, events=[EventType.INVOICE_PAID]))
        one = made.endpoint.id
        assert [each.id for each in await lunas.webhooks.endpoints()] == [one]
        sent = await lunas.webhooks.test(one)
        assert [each.event for each in (await lunas.webhooks.deliveries(one)).deliveries] == [sent.event]
        assert await lunas.webhooks.replay(one, ReplayBody(event=sent.event)) == 1
        assert (await lunas.webhooks.rotate(one, RotationBody())).secret != made.secret
        assert (await lunas.webhooks.endpoint(one)).active
        await lunas.webhooks.remove(one)
        assert await lunas.webhooks.endpoints() == []
    await rest(app)


def test_the_command_line_does_all_of_it(api: FakeTemporal, said: Said) -> None:
    assert "No API client is told" in said("webhooks", "list")[1]
    code, out, _ = said("webhooks", "add", HOOK, "--event", "invoice.paid")
    assert code == 0
    secret, words = out.split("\n", 1)
    assert secret.startswith("whsec_") and "Endpoint 1 is told of invoice.paid" in words
    code, out, _ = said("webhooks", "list")
    assert code == 0 and HOOK in out and "active" in out and secret not in out
    code, out, _ = said("webhooks", "test", "1")
    event = out.split()[0]
    assert code == 0 and event.startswith("evt_")
    code, out, _ = said("webhooks", "deliveries", "1", "--state", "pending")
    assert code == 0 and event in out and "webhook.test" in out
    assert said("webhooks", "deliveries", "1", "--state", "given_up")[1] == "There are none.\n"
    assert said("webhooks", "replay", "1", "--event", event)[1] == "1 on the way again.\n"
    assert said("webhooks", "replay", "1", "--since", "2026-01-01")[1] == "0 on the way again.\n"
    code, out, _ = said("webhooks", "rotate", "1", "--hours", "0")
    assert code == 0 and out.startswith("whsec_") and not out.startswith(secret) and "valid no more" in out
    assert "is not active" in said("webhooks", "change", "1", "--inactive")[1]
    assert "is active" in said("webhooks", "change", "1", "--active", "--event", "payment.received")[1]
    assert said("webhooks", "remove", "1")[0] == 0
    for wrong, hint in (
        (("remove", "1"), "no webhook endpoint"),
        (("replay", "1"), "say which"),
        (("change", "1"), "say what is to change"),
        (("add", "http://erp.example.com"), "begins with https://"),
        (("replay", "1", "--event", "42"), "event"),
    ):
        code, _, err = said("webhooks", *wrong)
        assert code == 1 and hint in err and len(err.strip().splitlines()) == 1, err
