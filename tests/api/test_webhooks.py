"""Webhooks of payment providers, end to end: what is booked, what is answered, and what a crash leaves behind."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from zoneinfo import ZoneInfo

import httpx2
import pytest
from fastapi import FastAPI
from temporalio.client import Client

from api.app import create_app, make_services
from api.errors import Kind, Problem
from api.webhooks import receiving
from lunas.intake import CaughtUp, Intake
from lunas.ledger.database import Ledger
from lunas.ledger.kinds import BookingState
from lunas.ledger.outbox import undelivered
from lunas.ledger.provider_events import count_by_state, unsettled_events
from lunas.providers import snap
from lunas.providers.events import PaymentSource, Unreachable
from lunas.settings import Settings
from tests.api.conftest import URL, _nowhere, browser
from tests.api.doubles import FakeTemporal
from tests.api.samples import NUMBER, TOTAL, at, issued, problem
from tests.api.test_payments import under_way
from tests.providers.samples import (
    KEYS,
    PRIVATE_KEY,
    PUBLIC_KEY,
    Delivery,
    paid,
    signed,
    transaction,
    xendit_payment,
    xendit_refund,
)

RUPIAH = TOTAL // 100
SETTINGS = Settings(
    body_limit_bytes=200_000,
    xendit_webhook_tokens=KEYS["xendit"],
    xendit_secret_key="xnd-secret-key-0000",
    midtrans_webhook_keys=KEYS["midtrans"],
    midtrans_server_key=KEYS["midtrans"][0],
    stripe_webhook_secrets=KEYS["stripe"],
    snap_webhook_keys=(*KEYS["snap"], PUBLIC_KEY),
    generic_webhook_secrets=KEYS["generic"],
)
EVERY = tuple(KEYS)


class Provider:
    """Payments and refunds that a provider has; `down` is what it answers instead."""

    def __init__(self) -> None:
        self.found: dict[str, Mapping[str, Any]] = {}
        self.down: Exception | None = None

    async def payment(self, payment_id: str) -> Mapping[str, Any] | None:
        if self.down is not None:
            raise self.down
        return self.found.get(payment_id)

    async def refund(self, refund_id: str) -> Mapping[str, Any] | None:
        return await self.payment(refund_id)


@pytest.fixture(scope="module")
def providers_on() -> FastAPI:
    """The application with every provider on, and without a ledger of its own."""
    return create_app(SETTINGS, Ledger("sqlite:///never-opened.db"), _nowhere)


@pytest.fixture
def provider() -> Provider:
    """Xendit and Midtrans, as they answer when they are asked: the payment of the samples has been paid there."""
    made = Provider()
    made.found = {
        "p1": {
            **xendit_payment(rupiah=RUPIAH, invoice=NUMBER),
            **transaction("p1", "settlement", rupiah=RUPIAH, invoice=NUMBER),
        },
    }
    return made


@pytest.fixture
async def app(providers_on: FastAPI, books: Ledger, temporal: FakeTemporal, provider: Provider) -> FastAPI:
    services = make_services(SETTINGS, books, cast(Client, temporal))
    await services.intake.close()
    sources: dict[str, PaymentSource] = {"xendit": provider, "midtrans": provider}
    intake = Intake(books, sources, ZoneInfo("Asia/Jakarta"))
    providers_on.state.services = replace(services, intake=intake)
    return providers_on


@pytest.fixture
async def bank(app: FastAPI) -> AsyncIterator[httpx2.AsyncClient]:
    """Somebody without an API key."""
    async with browser(app, None) as client:
        yield client


def now() -> datetime:
    return datetime.now(UTC)


def delivery(provider: str, reference: str = "p1", *, rupiah: int = RUPIAH, **more: Any) -> Delivery:
    return signed(
        provider,
        paid(provider, reference, rupiah=rupiah, invoice=NUMBER),
        now=now(),
        path=f"/webhooks/{provider}",
        **more,
    )


async def send(bank: httpx2.AsyncClient, sent: Delivery, path: str | None = None) -> httpx2.Response:
    headers = {"content-type": "application/json", **sent.headers}
    return await bank.post(path or f"/webhooks/{sent.provider}", content=sent.raw, headers=headers)


async def outstanding(http: httpx2.AsyncClient) -> int:
    balance: int = (await http.get(at())).json()["balance_minor"]
    return balance


async def states(books: Ledger) -> dict[BookingState, int]:
    async with books.read() as session:
        return await count_by_state(session)


@pytest.mark.parametrize("name", EVERY)
async def test_a_payment_closes_the_invoice_and_is_answered_as_the_provider_expects(
    name: str, http: httpx2.AsyncClient, bank: httpx2.AsyncClient, temporal: FakeTemporal
) -> None:
    await issued(http)
    first, second = [await send(bank, delivery(name)) for _ in range(2)]
    assert (first.status_code, second.status_code) == (200, 200), first.text
    assert first.json() == second.json()
    if name == "snap":
        assert (first.json()["responseCode"], first.json()["responseMessage"]) == ("2002500", "Successful")
        account = first.json()["virtualAccountData"]
        assert (account["virtualAccountNo"], account["paymentFlagStatus"]) == ("  088899001", "00")
        assert account["paidAmount"] == {"value": f"{RUPIAH}.00", "currency": "IDR"}
    else:
        assert first.json() == {"received": True}
    assert (await http.get(at())).json()["stage"] == "paid"
    assert temporal.running == {}
    assert (await http.get(at())).json()["balance"]["received"] == TOTAL
    journal = (await http.get(at(rest="/journal"))).json()["entries"]
    assert [entry["by"] for entry in journal if entry["event"] == "receipt_allocated"] == [f"webhook of {name}"]
    metrics = (await bank.get("/metrics")).text
    assert f'lunas_provider_deliveries_total{{provider="{name}",result="accepted"}} 1.0' in metrics
    assert f'lunas_provider_deliveries_total{{provider="{name}",result="duplicate"}} 1.0' in metrics
    assert 'lunas_provider_events{state="booked"} 1.0' in metrics


async def test_a_hundred_deliveries_at_once_are_one_receipt(
    http: httpx2.AsyncClient, bank: httpx2.AsyncClient, books: Ledger
) -> None:
    await issued(http)
    answers = await asyncio.gather(*(send(bank, delivery("stripe", rupiah=1000)) for _ in range(100)))
    assert {answer.status_code for answer in answers} == {200}
    assert (await http.get(at())).json()["balance"]["received"] == 100_000
    assert await states(books) == {BookingState.BOOKED: 1}


@pytest.mark.parametrize("name", EVERY)
async def test_what_is_forged_or_stale_is_not_even_kept(
    name: str, http: httpx2.AsyncClient, bank: httpx2.AsyncClient, books: Ledger
) -> None:
    await issued(http)
    forged = delivery(name, key="whsec_Zm9yZ2VkLWZvcmdlZC1mb3JnZWQ=")
    answers = [await send(bank, forged), await send(bank, replace(forged, headers={}))]
    if name in ("stripe", "snap", "generic"):
        old = signed(name, paid(name), now=now() - timedelta(seconds=310), path=f"/webhooks/{name}")
        answers.append(await send(bank, old))
    for answer in answers:
        if name == "snap":
            assert answer.status_code == 401
            assert answer.json()["responseCode"] == "4012500"
        else:
            assert "nothing was kept" in problem(answer, 401, "forged")["detail"]
    assert await states(books) == {}
    assert await outstanding(http) == TOTAL
    metrics = (await bank.get("/metrics")).text
    assert f'lunas_provider_deliveries_total{{provider="{name}",result="forged"}}' in metrics


@pytest.mark.parametrize("name", EVERY)
async def test_what_cannot_be_read_is_a_400(name: str, bank: httpx2.AsyncClient, books: Ledger) -> None:
    for raw in (b"", b"{", b"[1]", b"\xff\xfe", b'{"data": NaN}'):
        answer = await send(bank, signed(name, raw, now=now(), path=f"/webhooks/{name}"))
        assert answer.status_code == 400, (raw, answer.text)
        if name == "snap":
            assert answer.json()["responseCode"] in ("4002501", "4002502")
        else:
            problem(answer, 400, "malformed")
    body = paid(name)
    del body[
        {"xendit": "event", "midtrans": "transaction_id", "stripe": "id", "snap": "paymentRequestId"}.get(name, "type")
    ]
    answer = await send(bank, signed(name, body, now=now(), path=f"/webhooks/{name}"))
    assert answer.status_code == 400
    assert "is missing" in answer.text
    assert await states(books) == {}


@pytest.mark.parametrize("name", EVERY)
async def test_what_is_too_large_is_not_read(name: str, bank: httpx2.AsyncClient, books: Ledger) -> None:
    big = {**paid(name), "padding": "x" * 70_000}
    answer = await send(bank, signed(name, big, now=now(), path=f"/webhooks/{name}"))
    assert answer.status_code == 413
    assert await states(books) == {}


async def test_a_provider_without_keys_is_not_there(
    http: httpx2.AsyncClient, bank: httpx2.AsyncClient, app: FastAPI
) -> None:
    problem(await bank.post("/webhooks/nobody", content=b"{}"), 404, "not-found")
    app.state.services = replace(app.state.services, settings=Settings())
    for name in EVERY:
        problem(await send(bank, delivery(name)), 404, "not-found")
    problem(await bank.post("/webhooks/snap/v1.0/access-token/b2b", content=b"{}"), 404, "not-found")
    problem(await bank.get("/webhooks/stripe"), 405, "method-not-allowed")
    documented = (await http.get("/openapi.json")).json()["paths"]
    assert documented and not [path for path in documented if path.startswith("/webhooks")]


async def test_what_comes_before_its_time(http: httpx2.AsyncClient, bank: httpx2.AsyncClient, books: Ledger) -> None:
    """The settlement before `pending`, the refund before its payment, and the end of what was paid."""
    await issued(http)
    back = {"reference": "r1", "payment": "p1", "reversed_on": "2026-11-25", "amount_minor": 500, "currency": "IDR"}
    assert (
        await send(bank, signed("generic", {"type": "payment.reversed", "data": back}, now=now()))
    ).status_code == 200
    assert await states(books) == {BookingState.WAITING: 1}
    assert (await send(bank, delivery("generic"))).status_code == 200
    for name in ("payment.pending", "payment.expired", "payment.unheard_of"):
        assert (await send(bank, signed("generic", {"type": name}, now=now()))).status_code == 200
    assert await outstanding(http) == 500
    assert await states(books) == {BookingState.BOOKED: 2, BookingState.NOTED: 3}
    pending = signed("midtrans", transaction("p1", "pending", rupiah=RUPIAH), now=now())
    assert (await send(bank, delivery("midtrans"))).status_code == 200
    assert (await send(bank, pending)).status_code == 200
    assert await outstanding(http) == 0


async def test_money_for_nobody_is_kept_unapplied(http: httpx2.AsyncClient, bank: httpx2.AsyncClient) -> None:
    assert (await send(bank, delivery("stripe"))).status_code == 200
    (receipt,) = (await http.get("/v1/payments/unapplied")).json()["receipts"]
    assert (receipt["provider"], receipt["reference"], receipt["named"]) == ("stripe", "p1", NUMBER)
    await issued(http)
    assert await outstanding(http) == 0


async def test_a_crash_between_keeping_and_booking_is_healed(
    http: httpx2.AsyncClient, bank: httpx2.AsyncClient, books: Ledger, app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def crash(*_: object) -> None:
        raise ConnectionError("the database went away")

    await issued(http)
    with monkeypatch.context() as patched:
        patched.setattr("lunas.intake.book_event", crash)
        for reference in ("p1", "p2"):
            assert (await send(bank, delivery("stripe", reference, rupiah=1000))).status_code == 503
        assert await app.state.services.intake.catch_up(older_than=timedelta(0)) == CaughtUp()
    assert await states(books) == {BookingState.WAITING: 2}
    assert (await send(bank, delivery("stripe", "p1", rupiah=1000))).status_code == 200
    assert (await http.get(at())).json()["balance"]["received"] == 100_000
    assert await app.state.services.intake.catch_up(older_than=timedelta(seconds=30)) == CaughtUp(), "too young"
    assert await app.state.services.intake.catch_up(older_than=timedelta(0)) == CaughtUp(1, (NUMBER,))
    assert (await http.get(at())).json()["balance"]["received"] == 200_000
    assert await states(books) == {BookingState.BOOKED: 2}


@pytest.mark.parametrize("name", ["xendit", "midtrans"])
async def test_a_provider_that_cannot_be_asked_delivers_again(
    name: str, http: httpx2.AsyncClient, bank: httpx2.AsyncClient, books: Ledger, provider: Provider, app: FastAPI
) -> None:
    await issued(http)
    provider.down = Unreachable("it is night there")
    answer = await send(bank, delivery(name))
    assert "deliver it again" in problem(answer, 503, "unavailable")["detail"]
    assert "retry-after" in answer.headers
    assert await states(books) == {BookingState.WAITING: 1}
    async with books.read() as session:
        (waiting,) = await unsettled_events(session)
    assert waiting.why is not None and "it is night there" in waiting.why
    assert await outstanding(http) == TOTAL
    assert await app.state.services.intake.catch_up(older_than=timedelta(0)) == CaughtUp()
    provider.down = None
    assert await app.state.services.intake.catch_up(older_than=timedelta(0)) == CaughtUp(1, (NUMBER,))
    assert (await send(bank, delivery(name))).status_code == 200
    assert await outstanding(http) == 0


async def test_a_stolen_token_of_xendit_books_nothing(
    http: httpx2.AsyncClient, bank: httpx2.AsyncClient, books: Ledger, provider: Provider
) -> None:
    """Whoever has it can say what he likes: what Xendit itself has is booked, and nothing else."""
    await issued(http)
    assert (await send(bank, delivery("xendit", "never-paid"))).status_code == 503
    lie = delivery("xendit", rupiah=RUPIAH * 50)
    assert (await send(bank, lie)).status_code == 200
    assert (await http.get(at())).json()["balance"]["received"] == TOTAL
    assert (await http.get("/v1/payments/unapplied")).json()["receipts"] == []
    refund = signed("xendit", {"event": "refund.succeeded", "data": xendit_refund()}, now=now())
    assert (await send(bank, refund)).status_code == 503
    assert await outstanding(http) == 0
    provider.found["rfd-1"] = xendit_refund(rupiah=3)
    assert (await send(bank, refund)).status_code == 200
    assert await outstanding(http) == 300
    assert await states(books) == {BookingState.BOOKED: 2, BookingState.WAITING: 1}


async def test_what_contradicts_is_kept_for_a_person(
    http: httpx2.AsyncClient, bank: httpx2.AsyncClient, books: Ledger
) -> None:
    await issued(http)
    await send(bank, delivery("generic", rupiah=1000))
    other = delivery("generic", rupiah=2000)
    assert (await send(bank, other)).status_code == 200, "delivering it again would change nothing"
    assert (await http.get(at())).json()["balance"]["received"] == 100_000
    assert await states(books) == {BookingState.BOOKED: 1, BookingState.REFUSED: 1}
    (refused,) = (await http.get("/v1/payments/deliveries")).json()["deliveries"]
    assert (refused["provider"], refused["payment"], refused["state"]) == ("generic", "p1", "refused")
    assert (refused["amount_minor"], refused["moved_on"], refused["invoice"]) == (200_000, "2026-11-20", NUMBER)
    assert "IDR 1,000 is booked" in refused["why"]
    problem(await bank.get("/v1/payments/deliveries"), 401, "unauthenticated")
    assert 'result="refused"} 1.0' in (await bank.get("/metrics")).text
    assert 'lunas_provider_events{state="refused"} 1.0' in (await bank.get("/metrics")).text


@pytest.mark.parametrize("name", ["stripe", "snap"])
async def test_an_id_stands_for_one_event(name: str, http: httpx2.AsyncClient, bank: httpx2.AsyncClient) -> None:
    await issued(http)
    first, second = delivery(name, rupiah=1000), delivery(name, rupiah=2000)
    second = replace(second, headers={**second.headers, **_id_of(first)})
    assert (await send(bank, first)).status_code == 200
    answer = await send(bank, second)
    assert answer.status_code == 409
    if name == "snap":
        assert answer.json()["responseCode"] == "4092500"
    assert (await http.get(at())).json()["balance"]["received"] == 100_000


def _id_of(sent: Delivery) -> dict[str, str]:
    return {name: value for name, value in sent.headers.items() if name == "x-external-id"}


async def test_it_is_acknowledged_when_nothing_can_leave_any_more(
    http: httpx2.AsyncClient, bank: httpx2.AsyncClient, books: Ledger
) -> None:
    await issued(http)
    deadline = now() + timedelta(seconds=1)
    await under_way(books, deadline)
    both = await asyncio.gather(*(send(bank, delivery("stripe")) for _ in range(2)))
    assert [answer.status_code for answer in both] == [200, 200]
    assert now() >= deadline


async def test_it_is_not_acknowledged_while_a_message_may_leave(
    http: httpx2.AsyncClient, bank: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def in_vain(ledger: Ledger, number: str) -> None:
        raise Problem(Kind.UNAVAILABLE, "not yet")

    await issued(http)
    with monkeypatch.context() as patched:
        patched.setattr(receiving, "until_quiet", in_vain)
        problem(await send(bank, delivery("stripe")), 503, "unavailable")
    assert await outstanding(http) == 0, "it is booked all the same"
    assert (await send(bank, delivery("stripe"))).status_code == 200


async def test_while_temporal_is_down_money_is_booked_and_told_later(
    http: httpx2.AsyncClient, bank: httpx2.AsyncClient, temporal: FakeTemporal, books: Ledger
) -> None:
    await issued(http)
    temporal.down = True
    assert (await send(bank, delivery("stripe"))).status_code == 200
    async with books.read() as session:
        assert NUMBER in {nudge.number for nudge in await undelivered(session)}


async def test_banks_may_use_the_path_of_the_standard_and_a_proxy_may_shorten_it(
    http: httpx2.AsyncClient, bank: httpx2.AsyncClient, app: FastAPI
) -> None:
    await issued(http)
    path = f"/webhooks/snap{snap.PAYMENT_PATH}"
    body = paid("snap", rupiah=1000, invoice=NUMBER)
    assert (await send(bank, signed("snap", body, now=now(), path=path), path)).status_code == 200
    behind = SETTINGS.model_copy(update={"public_url": f"{URL}/lunas/"})
    app.state.services = replace(app.state.services, settings=behind)
    body = paid("snap", "p2", rupiah=1000, invoice=NUMBER)
    assert (await send(bank, signed("snap", body, now=now(), path=path), path)).status_code == 401
    assert (await send(bank, signed("snap", body, now=now(), path=f"/lunas{path}"), path)).status_code == 200
    rsa = signed(
        "snap", paid("snap", "p3", rupiah=1000, invoice=NUMBER), key=PUBLIC_KEY, now=now(), path=f"/lunas{path}"
    )
    assert (await send(bank, rsa, path)).status_code == 200
    assert (await http.get(at())).json()["balance"]["received"] == 300_000


async def test_a_bank_is_given_an_access_token(http: httpx2.AsyncClient, bank: httpx2.AsyncClient) -> None:
    await issued(http)
    timestamp = now().isoformat(timespec="seconds")
    headers = {
        "x-client-key": "BANK",
        "x-timestamp": timestamp,
        "x-signature": snap.asymmetric(snap.token_request("BANK", timestamp), PRIVATE_KEY),
    }
    path = "/webhooks/snap/v1.0/access-token/b2b"
    answer = await bank.post(path, json={"grantType": "client_credentials"}, headers=headers)
    assert answer.status_code == 200
    given = answer.json()
    assert (given["responseCode"], given["tokenType"], given["expiresIn"]) == ("2007300", "BearerToken", "900")
    sent = delivery("snap")
    message = snap.to_sign("POST", "/webhooks/snap", sent.raw, sent.headers["x-timestamp"], given["accessToken"])
    with_token = {
        **sent.headers,
        "authorization": f"Bearer {given['accessToken']}",
        "x-signature": snap.symmetric(message, KEYS["snap"][0]),
    }
    assert (await send(bank, replace(sent, headers=with_token))).status_code == 200
    late = (now() - timedelta(minutes=6)).isoformat(timespec="seconds")
    replayed = {
        **headers,
        "x-timestamp": late,
        "x-signature": snap.asymmetric(snap.token_request("BANK", late), PRIVATE_KEY),
    }
    for change, status in (
        ({"x-client-key": "OTHER"}, 401),
        ({"x-signature": "AAAA"}, 401),
        (replayed, 401),
        ({"x-timestamp": ""}, 401),
    ):
        refused = await bank.post(path, json={}, headers={**headers, **change})
        assert refused.status_code == status
        assert refused.json()["responseCode"] == f"{status}7300"
        assert "accessToken" not in refused.json()


async def test_any_order_of_deliveries_gives_the_same_answers(
    http: httpx2.AsyncClient, bank: httpx2.AsyncClient, books: Ledger, provider: Provider
) -> None:
    """Every provider at once, each delivery up to three times, in a random order and eight at a time."""
    await issued(http)
    provider.found = {f"x{n}": xendit_payment(f"x{n}", rupiah=1000, invoice=NUMBER) for n in range(4)} | {
        f"m{n}": transaction(f"m{n}", "settlement", rupiah=1000, invoice=NUMBER) for n in range(4)
    }
    every = [
        delivery(name, f"{name[0]}{n}" if name != "snap" else f"b{n}", rupiah=1000) for name in EVERY for n in range(4)
    ]
    chance = random.Random(7)
    repeated = every + chance.choices(every, k=30)
    chance.shuffle(repeated)
    gate = asyncio.Semaphore(8)

    async def one(sent: Delivery) -> int:
        async with gate:
            return (await send(bank, sent)).status_code

    assert set(await asyncio.gather(*(one(sent) for sent in repeated))) == {200}
    assert (await http.get(at())).json()["balance"]["received"] == len(every) * 100_000
    assert await states(books) == {BookingState.BOOKED: len(every)}
