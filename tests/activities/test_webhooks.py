"""One delivery: how it is signed, where it may go, what is read of the answer, and what is written down."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from temporalio.testing import ActivityEnvironment

from activities.agencies import Letter
from activities.owner import OwnerActivities
from activities.webhooks import LARGEST_ANSWER, Poster, WebhookActivities
from lunas.ledger.database import Ledger
from lunas.ledger.deliveries import deliveries
from lunas.ledger.endpoints import add_endpoint, endpoint, rotate_secret
from lunas.ledger.kinds import DeliveryState
from lunas.webhooks import (
    Attempt,
    EventType,
    Look,
    Outcome,
    Silenced,
    WebhookError,
    check_url,
    new_secret,
    signed_headers,
    verify,
)
from tests.ledger.samples import add_customer, add_invoice

NOW = datetime(2026, 3, 4, 3, 0, tzinfo=UTC)
Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


# --- signatures -----------------------------------------------------------------------------------------------------


def test_a_known_delivery_has_its_known_signature() -> None:
    """The example of the Standard Webhooks specification's reference libraries."""
    at = datetime.fromtimestamp(1614265330, UTC)
    headers = signed_headers(
        ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"], "msg_p5jXN8AQM9LWM0D4loKWxJek", at, b'{"test": 2432232314}'
    )
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_with_two_secrets_either_verifies_and_no_other() -> None:
    old, new = new_secret(), new_secret()
    headers = signed_headers([new, old], "evt_1", NOW, b"{}")
    assert len(headers["webhook-signature"].split()) == 2
    for secret in (old, new):
        verify(secret, headers, b"{}", NOW)
    with pytest.raises(WebhookError, match="no signature"):
        verify(new_secret(), headers, b"{}", NOW)


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature", "body"])
def test_whatever_is_changed_no_longer_verifies(name: str) -> None:
    secret, body = new_secret(), b'{"a":1}'
    headers = signed_headers([secret], "evt_1", NOW, body)
    changed = {"webhook-timestamp": str(int(NOW.timestamp()) + 1)}.get(name, "v1,AAAA")
    if name == "body":
        body = b'{"a":2}'
    else:
        headers[name] = changed
    with pytest.raises(WebhookError, match="no signature"):
        verify(secret, headers, body, NOW)


def test_what_the_readme_tells_receivers_to_do_is_right() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    (program,) = re.findall(r"```python\n(def is_genuine.*?)```", readme, re.DOTALL)
    names: dict[str, Any] = {"base64": base64, "hmac": hmac, "time": time, "Mapping": Mapping}
    exec(program, names)  # noqa: S102 - our own
    is_genuine: Callable[[str, Mapping[str, str], bytes], bool] = names["is_genuine"]
    old, new, now = new_secret(), new_secret(), datetime.now(UTC)
    headers = signed_headers([new, old], "evt_1", now, b"{}")
    assert is_genuine(old, headers, b"{}") and is_genuine(new, headers, b"{}")
    assert not is_genuine(old, headers, b"[]")
    assert not is_genuine(new_secret(), headers, b"{}")
    assert not is_genuine(new, signed_headers([new], "evt_1", now - timedelta(minutes=6), b"{}"), b"{}")


def test_an_old_delivery_and_an_unsigned_one_are_refused() -> None:
    secret = new_secret()
    headers = signed_headers([secret], "evt_1", NOW, b"{}")
    verify(secret, headers, b"{}", NOW + timedelta(minutes=5))
    with pytest.raises(WebhookError, match="s away"):
        verify(secret, headers, b"{}", NOW + timedelta(minutes=5, seconds=1))
    with pytest.raises(WebhookError, match="not signed"):
        verify(secret, {}, b"{}", NOW)


def test_secrets_are_256_bits_and_never_the_same() -> None:
    found = {new_secret() for _ in range(50)}
    assert len(found) == 50
    assert all(len(base64.b64decode(one.removeprefix("whsec_"))) == 32 for one in found)


# --- where deliveries may go ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "http://erp.example.com/", "ftp://erp.example.com/", "https:///path", "erp.example.com", "https://",
        "https://user@erp.example.com/", "https://user:pw@erp.example.com/", "https://erp.example.com/#x",
        "https://erp.example.com:22/", "https://erp.example.com:99999/", "https://127.0.0.1/", "https://10.1.2.3/",
        "https://[::1]/", "https://169.254.169.254/latest", "https://localhost/", "https://intranet/",
        "https://erp.example.com/a b", "https://erp.example.com/\n", "https://ünï.example.com/", "https://[::1",
        "https://erp.example.com/" + "x" * 2000,
    ],
)  # fmt: skip
def test_a_url_that_no_client_on_the_public_web_has_is_refused(url: str) -> None:
    with pytest.raises(WebhookError):
        check_url(url)


@pytest.mark.parametrize(
    "url", ["https://erp.example.com/lunas?token=1", "https://erp.example.com:8443", "https://93.184.215.14/x"]
)
def test_a_url_on_the_public_web_is_taken(url: str) -> None:
    assert check_url(url) == url


def test_for_development_our_own_network_may_be_named() -> None:
    assert check_url("http://127.0.0.1:9000/hook", private=True)
    with pytest.raises(WebhookError):
        check_url("file:///etc/passwd", private=True)


@dataclass
class Receiver:
    """Listens on this machine; keeps what it is sent, and answers as a test wishes."""

    port: int = 0
    visits: int = 0
    heads: list[dict[str, str]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"


@asynccontextmanager
async def receiver(answer: Answer) -> AsyncIterator[Receiver]:
    found = Receiver()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        found.visits += 1
        try:
            lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[1:]
            head = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines) if name}
            found.heads.append(head)
            found.bodies.append(await reader.readexactly(int(head["content-length"])))
            await answer(writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    found.port = server.sockets[0].getsockname()[1]
    async with server:
        yield found


def says(status: str, *lines: str, body: bytes = b"") -> Answer:
    async def answer(writer: asyncio.StreamWriter) -> None:
        head = "\r\n".join([f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *lines])
        writer.write(head.encode() + b"\r\n\r\n" + body)
        await writer.drain()

    return answer


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]"])
async def test_nothing_is_sent_into_our_own_network(host: str) -> None:
    async with receiver(says("200 OK")) as found, Poster() as poster:
        for scheme in ("http", "https"):
            status, error = await poster.post(f"{scheme}://{host}:{found.port}/hook", {}, b"{}")
            assert status is None and error and error.startswith("not sent: ")
    assert found.visits == 0


async def test_a_public_name_that_leads_into_our_own_network_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    async def inward(host: str) -> list[str]:
        return ["93.184.215.14", "127.0.0.1"]

    # The default of the guard is bound already: put it in where the poster's guard keeps it.
    async with Poster() as poster:
        monkeypatch.setattr(poster._http._transport._pool._network_backend, "_resolve", inward)  # type: ignore[attr-defined]
        status, error = await poster.post("https://erp.example.com/hook", {}, b"{}")
    assert (status, error) == (None, "not sent: its address is not on the public web")


@pytest.mark.parametrize("host", ["xn--", "xn--a.example.com", "a..b.example", "-.example.com", "%zz.example"])
async def test_a_host_that_cannot_be_is_an_outcome_and_no_error(host: str) -> None:
    async with Poster() as poster:
        status, error = await poster.post(f"https://{host}/hook", {}, b"{}")
    assert status is None and error


@pytest.mark.parametrize("status", [200, 204, 302, 404, 410, 500])
async def test_the_receivers_status_is_the_answer_and_no_redirect_is_followed(status: int) -> None:
    async with receiver(says("200 OK")) as elsewhere:
        words = f"{status} Whatever"
        async with receiver(says(words, f"Location: {elsewhere.url}")) as found, Poster(private=True) as poster:
            assert await poster.post(found.url, {"webhook-id": "evt_1"}, b'{"a":1}') == (status, None)
        assert elsewhere.visits == 0
    assert found.bodies == [b'{"a":1}']
    assert found.heads[0]["webhook-id"] == "evt_1"
    assert found.heads[0]["content-type"] == "application/json"


async def test_of_a_long_answer_only_its_beginning_is_read() -> None:
    taken = 0

    async def endless(writer: asyncio.StreamWriter) -> None:
        nonlocal taken
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(10_000):
            writer.write(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
            await writer.drain()
            taken += 0x10000

    async with receiver(endless) as found, Poster(private=True) as poster:
        assert await poster.post(found.url, {}, b"{}") == (200, None)
        await asyncio.sleep(0.1)
    assert taken < 10_000 * 0x10000 / 10, "the rest is to be left unread"
    assert LARGEST_ANSWER == 65_536


async def test_silence_and_a_broken_connection_are_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("activities.webhooks.SECONDS", 0.2)

    async def silent(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(1)

    async def rude(writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    async with receiver(silent) as found, Poster(private=True) as poster:
        status, error = await poster.post(found.url, {}, b"{}")
    assert status is None and error and error.startswith("no answer")
    async with receiver(rude) as found, Poster(private=True) as poster:
        status, error = await poster.post(found.url, {}, b"{}")
    assert status is None and error and error.startswith("no connection")


# --- an attempt -----------------------------------------------------------------------------------------------------


async def subscribed(ledger: Ledger, url: str) -> tuple[int, str]:
    """An endpoint and its secret, with one event on its way."""
    async with ledger.write() as session:
        row, made = await add_endpoint(session, url, [EventType.INVOICE_ISSUED], by="test")
    await add_customer(ledger)
    await add_invoice(ledger)
    return row.id, made.secret


async def test_a_delivery_verifies_with_both_secrets_and_is_written_down(ledger: Ledger) -> None:
    async with receiver(says("204 No Content")) as found, Poster(private=True) as poster:
        endpoint_id, old = await subscribed(ledger, found.url)
        async with ledger.write() as session:
            new = (await rotate_secret(session, endpoint_id)).secret
        acts, env = WebhookActivities(ledger, poster), ActivityEnvironment()
        now = datetime.now(UTC)
        batch = await env.run(acts.due, Look(endpoint_id, now, 10))
        attempt = Attempt(batch.due[0].delivery, now, now + timedelta(seconds=10))
        with structlog.testing.capture_logs() as logged:
            assert await env.run(acts.deliver, attempt) == Outcome(delivered=True)
            assert await env.run(acts.deliver, attempt) == Outcome(delivered=True)
    assert found.visits == 1, "what was delivered is not delivered again"
    for secret in (old, new):
        verify(secret, found.heads[0], found.bodies[0], datetime.now(UTC))
    said = json.loads(found.bodies[0])
    assert said["type"] == "invoice.issued" and said["id"] == found.heads[0]["webhook-id"]
    assert said["data"]["customer"] == "ACME" and said["data"]["outstanding_minor"] == 1_000_000
    assert b"Siti" not in found.bodies[0] and b"PT ACME" not in found.bodies[0]
    assert not any(secret in str(logged) for secret in (old, new))
    async with ledger.read() as session:
        (view,) = await deliveries(session, endpoint_id)
    assert (view.state, view.attempts, view.last_status) == (DeliveryState.DELIVERED, 1, 204)


async def test_a_crash_after_the_answer_repeats_the_delivery_under_its_id(ledger: Ledger) -> None:
    """At least once: the receiver's answer was never written down."""

    class Crash(BaseException):
        """The process ends."""

    async with receiver(says("200 OK")) as found, Poster(private=True) as poster:
        endpoint_id, _ = await subscribed(ledger, found.url)
        acts, now = WebhookActivities(ledger, poster), datetime.now(UTC)
        look = Look(endpoint_id, now, 10)
        (one,) = (await ActivityEnvironment().run(acts.due, look)).due
        posting = poster.post

        async def crashes(url: str, headers: dict[str, str], body: bytes) -> tuple[int | None, str | None]:
            await posting(url, headers, body)
            raise Crash

        poster.post = crashes  # type: ignore[method-assign]
        with pytest.raises(Crash):
            await acts.deliver(Attempt(one.delivery, now, None))
        poster.post = posting  # type: ignore[method-assign]
        assert (await ActivityEnvironment().run(acts.due, look)).due == (one,)
        assert await ActivityEnvironment().run(acts.deliver, Attempt(one.delivery, now, None)) == Outcome(True)
    assert found.heads[0]["webhook-id"] == found.heads[1]["webhook-id"] == one.event
    assert found.bodies[0] == found.bodies[1]


@dataclass
class Desk:
    """Keeps the letters that were sent."""

    letters: list[tuple[Letter, str]] = field(default_factory=list)

    async def send(self, letter: Letter, key: str) -> None:
        self.letters.append((letter, key))


async def test_a_receiver_that_is_gone_disables_its_endpoint_and_the_owner_hears_why(ledger: Ledger) -> None:
    desk = Desk()
    async with receiver(says("410 Gone")) as found, Poster(private=True) as poster:
        endpoint_id, _ = await subscribed(ledger, found.url)
        acts, env, now = WebhookActivities(ledger, poster), ActivityEnvironment(), datetime.now(UTC)
        (one,) = (await env.run(acts.due, Look(endpoint_id, now, 10))).due
        assert await env.run(acts.deliver, Attempt(one.delivery, now, now)) == Outcome(False, disabled=True)
        assert (await env.run(acts.due, Look(endpoint_id, now, 10))).due == ()
    async with ledger.read() as session:
        assert not (await endpoint(session, endpoint_id)).active
    owner = OwnerActivities(ledger, desk, "owner@contoh.example")
    await env.run(owner.tell_of_webhook, Silenced(endpoint_id, "k"))
    ((letter, key),) = desk.letters
    assert (letter.to_address, key) == ("owner@contoh.example", "owner/k")
    assert found.url in letter.text and "410" in letter.text and f"change {endpoint_id} --active" in letter.text
