"""The split send, against aiosmtpd and against small relays that misbehave at a chosen step."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiosmtpd.smtp import SMTP as SmtpServer
from aiosmtpd.smtp import AuthResult, Envelope, Session

from activities.smtp import (
    Accepted,
    Relay,
    RelayRefused,
    RelaySilent,
    RelayUnreachable,
    ReleaseTooLate,
    Tls,
    dot_stuffed,
)

SENDER = "ar@lunas.example"
RECIPIENT = "sari@sinar.example"
MESSAGE = b"Subject: Faktur\r\n\r\nTerlampir.\r\n"

DROP = "DROP"
SILENCE = "SILENCE"


@dataclass
class RawRelay:
    """A relay that says yes, except where `answers` has a line, DROP or SILENCE for the step."""

    answers: dict[str, str] = field(default_factory=dict)
    accepted: list[bytes] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    connections: int = 0
    idle_seconds: float | None = None
    port: int = 0
    writers: set[asyncio.StreamWriter] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.writers.add(writer)
        try:
            await self._talk(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, TimeoutError):
            pass
        finally:
            self.writers.discard(writer)
            writer.close()

    async def _say(self, writer: asyncio.StreamWriter, step: str, usual: str) -> None:
        answer = self.answers.get(step, usual)
        if answer == DROP:
            raise ConnectionResetError
        if answer == SILENCE:
            await asyncio.sleep(30)
        writer.write(answer.encode() + b"\r\n")
        await writer.drain()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._say(writer, "HELLO", "220 ready")
        while True:
            line = await asyncio.wait_for(reader.readuntil(b"\r\n"), self.idle_seconds)
            command = line.decode().strip()
            verb = command[:4].upper()
            self.commands.append(command)
            match verb:
                case "EHLO":
                    await self._say(writer, "EHLO", "250-raw\r\n250 SIZE 1000000")
                case "DATA":
                    await self._say(writer, "DATA", "354 go on")
                    if self.answers.get("DATA", "354").startswith("354"):
                        await self._body(reader, writer)
                case "QUIT":
                    await self._say(writer, "QUIT", "221 bye")
                    return
                case _:
                    await self._say(writer, verb, "250 ok")

    async def _body(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        body = await reader.read(4096)
        if "BODY" in self.answers:
            await self._say(writer, "BODY", "")
        while not body.endswith(b"\r\n.\r\n"):
            chunk = await reader.read(4096)
            if not chunk:
                raise ConnectionResetError
            body += chunk
        if self.answers.get("DOT", "250").startswith("250"):
            self.accepted.append(body.removesuffix(b".\r\n"))
        await self._say(writer, "DOT", "250 2.0.0 queued as 7F3A")


@pytest.fixture
async def raw() -> AsyncIterator[RawRelay]:
    relay = RawRelay()
    server = await asyncio.start_server(relay.serve, "127.0.0.1", 0)
    relay.port = server.sockets[0].getsockname()[1]
    yield relay
    server.close()
    for writer in list(relay.writers):
        writer.close()
    await server.wait_closed()
    await asyncio.sleep(0)


Opened = Callable[..., Relay]


@pytest.fixture
async def pool() -> AsyncIterator[Opened]:
    pools: list[Relay] = []

    def opened(port: int, **options: object) -> Relay:
        options = {"tls": Tls.NONE, "timeout": 2.0, **options}
        pools.append(Relay("127.0.0.1", port, **options))  # type: ignore[arg-type]
        return pools[-1]

    yield opened
    for each in pools:
        await each.close()


async def eventually(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(2):
        while not true():
            await asyncio.sleep(0.005)


async def test_a_released_message_is_accepted_with_the_answer_of_the_relay(raw: RawRelay, pool: Opened) -> None:
    prepared = await pool(raw.port).prepare(SENDER, RECIPIENT, MESSAGE)
    assert raw.accepted == []
    assert await prepared.release() == Accepted(250, "2.0.0 queued as 7F3A")
    assert raw.accepted == [MESSAGE]
    assert f"MAIL FROM:<{SENDER}> SIZE={len(MESSAGE)}" in raw.commands


async def test_nothing_is_accepted_without_the_dot(raw: RawRelay, pool: Opened) -> None:
    relay = pool(raw.port)
    async with await relay.prepare(SENDER, RECIPIENT, MESSAGE):
        pass
    prepared = await relay.prepare(SENDER, RECIPIENT, MESSAGE)
    await prepared.abort()
    await prepared.abort()
    await eventually(lambda: not raw.writers)
    assert raw.accepted == []
    with pytest.raises(RuntimeError, match="prepare it anew"):
        await prepared.release()


async def test_an_aborted_body_leaves_nothing_behind_even_when_it_ends_like_a_message(
    raw: RawRelay, pool: Opened
) -> None:
    prepared = await pool(raw.port).prepare(SENDER, RECIPIENT, b"Subject: x\r\n\r\n.")
    await prepared.abort()
    await eventually(lambda: not raw.writers)
    assert raw.accepted == []


@pytest.mark.parametrize("at", ["MAIL", "RCPT", "DATA"])
@pytest.mark.parametrize("code", [421, 451, 452, 550, 552])
async def test_a_refusal_before_the_body_names_its_step(raw: RawRelay, pool: Opened, at: str, code: int) -> None:
    raw.answers[at] = f"{code} {code // 100}.1.1 <{RECIPIENT}> no"
    with pytest.raises(RelayRefused) as refused:
        await pool(raw.port).prepare(SENDER, RECIPIENT, MESSAGE)
    assert (refused.value.code, refused.value.at) == (code, at)
    assert refused.value.permanent is (code >= 500)
    assert RECIPIENT in refused.value.text
    assert str(refused.value) == f"the relay answered {code} {code // 100}.1.1 at {at}"
    assert raw.accepted == []


@pytest.mark.parametrize("code", [421, 451, 452, 550, 552])
async def test_a_refusal_of_the_dot_is_certain(raw: RawRelay, pool: Opened, code: int) -> None:
    raw.answers["DOT"] = f"{code} no"
    prepared = await pool(raw.port).prepare(SENDER, RECIPIENT, MESSAGE)
    with pytest.raises(RelayRefused) as refused:
        await prepared.release()
    assert (refused.value.code, refused.value.at, refused.value.permanent) == (code, "DOT", code >= 500)


async def test_no_error_carries_the_address(raw: RawRelay, pool: Opened) -> None:
    raw.answers["RCPT"] = f"550 5.1.1 <{RECIPIENT}> unknown"
    with pytest.raises(RelayRefused) as refused:
        await pool(raw.port).prepare(SENDER, RECIPIENT, MESSAGE)
    assert RECIPIENT not in str(refused.value)
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__


@pytest.mark.parametrize("at", ["HELLO", "EHLO", "MAIL", "RCPT", "DATA", "BODY"])
async def test_a_connection_lost_before_the_dot_has_sent_nothing(raw: RawRelay, pool: Opened, at: str) -> None:
    raw.answers[at] = DROP
    with pytest.raises(RelayUnreachable):
        async with await pool(raw.port).prepare(SENDER, RECIPIENT, MESSAGE) as prepared:
            await eventually(lambda: not raw.writers)
            await prepared.release()
    assert raw.accepted == []


@pytest.mark.parametrize("at", ["HELLO", "MAIL", "RCPT", "DATA"])
async def test_silence_before_the_dot_ends_within_the_time_given(raw: RawRelay, pool: Opened, at: str) -> None:
    raw.answers[at] = SILENCE
    began = time.monotonic()
    with pytest.raises(RelayUnreachable, match=r"did not take a message in 0\.2 s"):
        await pool(raw.port).prepare(SENDER, RECIPIENT, MESSAGE, within=0.2)
    assert time.monotonic() - began < 1


async def test_a_connection_lost_after_the_dot_is_unknown(raw: RawRelay, pool: Opened) -> None:
    raw.answers["DOT"] = DROP
    prepared = await pool(raw.port).prepare(SENDER, RECIPIENT, MESSAGE)
    with pytest.raises(RelaySilent):
        await prepared.release()


async def test_silence_after_the_dot_is_unknown(raw: RawRelay, pool: Opened) -> None:
    raw.answers["DOT"] = SILENCE
    prepared = await pool(raw.port).prepare(SENDER, RECIPIENT, MESSAGE)
    with pytest.raises(RelaySilent, match="Message-ID"):
        await prepared.release(within=0.1)


async def test_gibberish_after_the_dot_is_unknown(raw: RawRelay, pool: Opened) -> None:
    raw.answers["DOT"] = "what?"
    prepared = await pool(raw.port).prepare(SENDER, RECIPIENT, MESSAGE)
    with pytest.raises(RelaySilent):
        await prepared.release()


async def test_an_answer_before_the_dot_is_heard(raw: RawRelay, pool: Opened) -> None:
    raw.answers["BODY"] = "421 4.3.2 shutting down"
    with pytest.raises(RelayRefused) as refused:
        async with await pool(raw.port).prepare(SENDER, RECIPIENT, MESSAGE) as prepared:
            await asyncio.sleep(0.05)  # as long as a commit may take
            await prepared.release()
    assert (refused.value.code, refused.value.at) == (421, "DATA")
    assert raw.accepted == []


async def test_the_dot_is_not_written_after_its_last_moment(raw: RawRelay, pool: Opened) -> None:
    relay = pool(raw.port, connections=1)
    prepared = await relay.prepare(SENDER, RECIPIENT, MESSAGE)
    with pytest.raises(ReleaseTooLate):
        await prepared.release(before=time.monotonic())
    prepared = await relay.prepare(SENDER, RECIPIENT, MESSAGE)
    assert (await prepared.release(before=time.monotonic() + 5)).code == 250
    assert len(raw.accepted) == 1


async def test_a_cancelled_release_gives_its_connection_up(raw: RawRelay, pool: Opened) -> None:
    raw.answers["DOT"] = SILENCE
    relay = pool(raw.port, connections=1)
    prepared = await relay.prepare(SENDER, RECIPIENT, MESSAGE)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(prepared.release(), 0.05)
    del raw.answers["DOT"]
    assert (await (await relay.prepare(SENDER, RECIPIENT, MESSAGE)).release()).code == 250


async def test_a_connection_serves_one_message_after_another(raw: RawRelay, pool: Opened) -> None:
    relay = pool(raw.port)
    for _ in range(5):
        await (await relay.prepare(SENDER, RECIPIENT, MESSAGE)).release()
    assert raw.connections == 1
    assert len(raw.accepted) == 5


async def test_a_refused_recipient_does_not_cost_the_connection(raw: RawRelay, pool: Opened) -> None:
    relay = pool(raw.port)
    raw.answers["RCPT"] = "550 no"
    with pytest.raises(RelayRefused):
        await relay.prepare(SENDER, RECIPIENT, MESSAGE)
    del raw.answers["RCPT"]
    await (await relay.prepare(SENDER, RECIPIENT, MESSAGE)).release()
    assert raw.connections == 1
    assert "RSET" in raw.commands


async def test_a_connection_that_the_relay_closed_is_replaced(raw: RawRelay, pool: Opened) -> None:
    relay = pool(raw.port)
    await (await relay.prepare(SENDER, RECIPIENT, MESSAGE)).release()
    for writer in list(raw.writers):
        writer.close()
    await (await relay.prepare(SENDER, RECIPIENT, MESSAGE)).release()
    assert raw.connections == 2


async def test_a_used_connection_that_has_had_enough_is_replaced(raw: RawRelay, pool: Opened) -> None:
    relay = pool(raw.port)
    await (await relay.prepare(SENDER, RECIPIENT, MESSAGE)).release()
    raw.answers["MAIL"] = "421 too many messages on one connection"
    with pytest.raises(RelayRefused):  # the replacement is told the same: then it is meant for us
        await relay.prepare(SENDER, RECIPIENT, MESSAGE)
    assert raw.connections == 2


async def test_the_pool_bounds_what_is_prepared_at_once(raw: RawRelay, pool: Opened) -> None:
    relay = pool(raw.port, connections=2)
    first = await relay.prepare(SENDER, RECIPIENT, MESSAGE)
    second = await relay.prepare(SENDER, RECIPIENT, MESSAGE)
    with pytest.raises(RelayUnreachable):
        await relay.prepare(SENDER, RECIPIENT, MESSAGE, within=0.1)
    await first.release()
    third = await relay.prepare(SENDER, RECIPIENT, MESSAGE)
    await asyncio.gather(second.release(), third.release())
    assert (raw.connections, len(raw.accepted)) == (2, 3)


async def test_a_closed_pool_says_goodbye_and_prepares_nothing(raw: RawRelay, pool: Opened) -> None:
    relay = pool(raw.port)
    await (await relay.prepare(SENDER, RECIPIENT, MESSAGE)).release()
    await relay.close()
    assert raw.commands[-1] == "QUIT"
    with pytest.raises(RelayUnreachable, match="closed"):
        await relay.prepare(SENDER, RECIPIENT, MESSAGE)


async def test_nobody_listens(pool: Opened) -> None:
    with pytest.raises(RelayUnreachable, match="no connection"):
        await pool(1).prepare(SENDER, RECIPIENT, MESSAGE)


def test_dot_stuffing_and_line_ends() -> None:
    assert dot_stuffed(b".\n..x\ry\r\n.") == b"..\r\n...x\r\ny\r\n..\r\n"
    assert dot_stuffed(b"a\r\n") == b"a\r\n"


@dataclass
class Inbox:
    """The handler of a real aiosmtpd server."""

    contents: list[bytes] = field(default_factory=list)

    async def handle_DATA(self, server: SmtpServer, session: Session, envelope: Envelope) -> str:
        assert isinstance(envelope.content, bytes)
        self.contents.append(envelope.content)
        return "250 kept"


def authenticate(server: SmtpServer, session: Session, envelope: Envelope, mechanism: str, data: object) -> AuthResult:
    good = getattr(data, "login", None) == b"lunas" and getattr(data, "password", None) == b"secret"
    return AuthResult(success=good, handled=False)


@pytest.fixture
async def inbox() -> AsyncIterator[tuple[Inbox, int]]:
    handler = Inbox()
    server = await asyncio.get_running_loop().create_server(
        lambda: SmtpServer(
            handler,
            hostname="real",
            authenticator=authenticate,
            auth_require_tls=False,
            data_size_limit=10**7,
        ),
        "127.0.0.1",
        0,
    )
    yield handler, server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()


async def prepared_and_released(relay: Relay, message: bytes) -> Awaitable[Accepted]:
    return (await relay.prepare(SENDER, RECIPIENT, message)).release()


async def test_lines_of_dots_and_a_large_body_arrive_whole(inbox: tuple[Inbox, int], pool: Opened) -> None:
    handler, port = inbox
    relay = pool(port, timeout=5.0)
    dots = b"Subject: dots\r\n\r\n.\r\n..\r\n.hidden\r\n.\r\n"
    large = b"Subject: large\r\n\r\n" + b"".join(b"%07d %s\r\n" % (i, b"x" * 70) for i in range(40_000))
    for message in (dots, large):
        await (await prepared_and_released(relay, message))
    assert handler.contents == [dots, large]


async def test_a_relay_that_reads_slowly_gets_all_of_it(raw: RawRelay, pool: Opened) -> None:
    message = b"Subject: slow\r\n\r\n" + b"0123456789abcdef\r\n" * 60_000
    prepared = await pool(raw.port, timeout=10.0).prepare(SENDER, RECIPIENT, message)
    transport = prepared._client.transport
    assert isinstance(transport, asyncio.WriteTransport)
    assert transport.get_write_buffer_size() == 0
    await prepared.release()
    assert raw.accepted == [message]


async def test_a_relay_that_stops_reading_has_been_sent_nothing(raw: RawRelay, pool: Opened) -> None:
    raw.answers["BODY"] = SILENCE
    with pytest.raises(RelayUnreachable):
        await pool(raw.port).prepare(SENDER, RECIPIENT, b"x" * 10_000_000, within=0.3)
    assert raw.accepted == []


async def test_it_logs_in(inbox: tuple[Inbox, int], pool: Opened) -> None:
    handler, port = inbox
    relay = pool(port, username="lunas", password="secret")
    await (await relay.prepare(SENDER, RECIPIENT, MESSAGE)).release()
    assert len(handler.contents) == 1


async def test_a_wrong_password_is_our_fault_and_not_the_recipients(inbox: tuple[Inbox, int], pool: Opened) -> None:
    handler, port = inbox
    with pytest.raises(RelayUnreachable, match="password") as unreachable:
        await pool(port, username="lunas", password="wrong").prepare(SENDER, RECIPIENT, MESSAGE)
    assert "wrong" not in str(unreachable.value)
    assert handler.contents == []


async def test_starttls_is_insisted_upon(inbox: tuple[Inbox, int], pool: Opened) -> None:
    handler, port = inbox
    with pytest.raises(RelayUnreachable, match="STARTTLS"):
        await pool(port, tls=Tls.STARTTLS).prepare(SENDER, RECIPIENT, MESSAGE)
    assert handler.contents == []


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 and its key, in one file."""
    if (openssl := shutil.which("openssl")) is None:
        pytest.skip("openssl is not installed")
    directory = tmp_path_factory.mktemp("tls")
    key, both = directory / "key.pem", directory / "both.pem"
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
    kind = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    subprocess.run([openssl, "req", *kind, *subject, "-keyout", key, "-out", both], check=True, capture_output=True)
    both.write_text(both.read_text() + key.read_text())
    return both


@pytest.mark.parametrize("tls", [Tls.STARTTLS, Tls.IMPLICIT])
async def test_large_bodies_pass_and_can_be_taken_back_over_tls(certificate: Path, pool: Opened, tls: Tls) -> None:
    handler = Inbox()
    theirs = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    theirs.load_cert_chain(certificate)
    upgrade = theirs if tls is Tls.STARTTLS else None
    server = await asyncio.get_running_loop().create_server(
        lambda: SmtpServer(
            handler, hostname="real", tls_context=upgrade, require_starttls=upgrade is not None, data_size_limit=10**8
        ),
        "127.0.0.1",
        0,
        ssl=theirs if tls is Tls.IMPLICIT else None,
    )
    ours = ssl.create_default_context(cafile=str(certificate))
    port = server.sockets[0].getsockname()[1]
    large = b"Subject: large\r\n\r\n" + (b"y" * 900 + b"\r\n") * 5000
    sent = [MESSAGE, large, large, MESSAGE]
    async with server:
        relay = pool(port, tls=tls, tls_context=ours, timeout=5.0)
        for message in sent:
            await (await relay.prepare(SENDER, RECIPIENT, message)).release()
        await (await relay.prepare(SENDER, RECIPIENT, large)).abort()
        await asyncio.sleep(0.05)
        assert handler.contents == sent
        await relay.close()


async def test_many_senders_share_few_connections(inbox: tuple[Inbox, int], pool: Opened) -> None:
    handler, port = inbox
    relay = pool(port, connections=4, timeout=10.0)

    async def send(number: int) -> None:
        message = b"Subject: %d\r\n\r\nhello\r\n" % number
        async with await relay.prepare(SENDER, RECIPIENT, message) as prepared:
            if number % 3:
                await prepared.release()

    await asyncio.gather(*(send(number) for number in range(60)))
    numbers = sorted(int(content.split(b"\r\n")[0].split()[1]) for content in handler.contents)
    assert numbers == [number for number in range(60) if number % 3]
