"""The split send: everything up to the final dot can be taken back, the dot itself cannot.

A relay accepts a message when it answers the line that holds a single dot. So `Relay.prepare` says MAIL, RCPT
and DATA and writes the body, all but the dot; the ledger commits; `PreparedMail.release` writes the dot. What
goes wrong before it has sent nothing for certain, what goes wrong after it is unknown: see `smtp_errors`.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
import time
from dataclasses import dataclass
from enum import StrEnum
from types import TracebackType
from typing import Any, Literal, Self, cast

from aiosmtplib import SMTP, SMTPException, SMTPResponseException, SMTPServerDisconnected
from aiosmtplib.protocol import SMTPProtocol
from aiosmtplib.response import SMTPResponse

from activities.smtp_errors import (
    LONGEST_ANSWER,
    RelayError,
    RelayRefused,
    RelaySilent,
    RelayUnreachable,
    ReleaseTooLate,
    Step,
)

__all__ = [
    "Accepted",
    "PreparedMail",
    "Relay",
    "RelayError",
    "RelayRefused",
    "RelaySilent",
    "RelayUnreachable",
    "ReleaseTooLate",
    "Tls",
    "dot_stuffed",
]

_START_INPUT = 354
_SERVICE_CLOSING = 421
_LINE_END = re.compile(rb"\r\n|\r|\n")
_LEADING_DOT = re.compile(rb"^\.", re.MULTILINE)

_Answer = asyncio.Task[SMTPResponse]


class Tls(StrEnum):
    """How the connection is protected."""

    NONE = "none"
    STARTTLS = "starttls"
    IMPLICIT = "implicit"


@dataclass(frozen=True, slots=True)
class Accepted:
    """The relay took responsibility for the message; `text` usually names its queue entry."""

    code: int
    text: str


def dot_stuffed(message: bytes) -> bytes:
    """The message as DATA carries it: CRLF line ends, also the last, leading dots doubled; no final dot."""
    body = _LINE_END.sub(b"\r\n", message)
    if not body.endswith(b"\r\n"):
        body += b"\r\n"
    return _LEADING_DOT.sub(b"..", body)


@dataclass(frozen=True, slots=True)
class _Idle:
    """A connection at rest since this monotonic moment; `midway` if its last message was refused early."""

    client: SMTP
    since: float
    midway: bool


class Relay:
    """A pool of connections to one mail relay; each serves one message at a time.

    At most `connections` messages are prepared at once. `timeout` (seconds) is how long one `prepare` may
    take, with the wait for a free connection, and how long the answer to the dot may take. A connection that
    was idle for `max_idle` seconds is not used again: keep it below the relay's own idle timeout.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        username: str | None = None,
        password: str | None = None,
        tls: Tls = Tls.STARTTLS,
        tls_context: ssl.SSLContext | None = None,
        connections: int = 6,
        timeout: float = 10.0,
        max_idle: float = 20.0,
        local_hostname: str | None = None,
    ) -> None:
        if connections < 1:
            raise ValueError(f"a pool of {connections} connections sends nothing: at least 1")
        self.host = host
        self.port = port
        self.timeout = timeout
        self._username = username
        self._password = password
        self._tls = tls
        self._tls_context = tls_context
        self._max_idle = max_idle
        # The library's own default asks DNS for a name before every connection.
        self._local_hostname = local_hostname or socket.gethostname()
        self._permits = asyncio.Semaphore(connections)
        self._idle: list[_Idle] = []
        self._closed = False

    async def prepare(
        self, sender: str, recipient: str, message: bytes, *, within: float | None = None
    ) -> PreparedMail:
        """Bring one message to the point where only the final dot is missing, `within` so many seconds.

        Both addresses are bare and ASCII. Use the result as a context manager, or call `release` or `abort`:
        it holds a connection until then. Raises RelayUnreachable or RelayRefused.
        """
        seconds = self.timeout if within is None else within
        body = dot_stuffed(message)
        try:
            async with asyncio.timeout(seconds):
                await self._permits.acquire()
                try:
                    client, answer = await self._submit(sender, recipient, body)
                except BaseException:
                    self._permits.release()
                    raise
        except TimeoutError:
            raise RelayUnreachable(f"{self} did not take a message in {seconds:g} s") from None
        return PreparedMail(self, client, answer)

    async def close(self) -> None:
        """Say goodbye on the idle connections and let no further message be prepared."""
        self._closed = True
        idle, self._idle = self._idle, []
        await asyncio.gather(*(_quit(each.client) for each in idle))

    async def _submit(self, sender: str, recipient: str, body: bytes) -> tuple[SMTP, _Answer]:
        """A connection on which the relay has all of this message but the dot, and its answer to come.

        A used connection that fails is replaced, at whatever step: the relay may have ended it long ago.
        """
        while True:
            client, used, midway = await self._take()
            at: Step | Literal["RSET"] = "RSET"
            try:
                if midway:
                    await client.rset()
                at = "MAIL"
                options = [f"SIZE={len(body)}"] if client.supports_extension("size") else []
                await client.mail(sender, options=options)
                at = "RCPT"
                await client.rcpt(recipient)
                at = "DATA"
                answer = await client.execute_command(b"DATA")
                if answer.code != _START_INPUT:
                    raise SMTPResponseException(answer.code, answer.message)
                return client, await _write(client, body)
            except SMTPResponseException as refusal:
                if at == "RSET" or (used and at == "MAIL" and refusal.code == _SERVICE_CLOSING):
                    _drop(client)
                    continue
                if at == "DATA":
                    _drop(client)
                else:
                    self._keep(client, midway=True)
                raise _nothing_sent(refusal, self, at) from None
            except (SMTPException, OSError) as failure:
                _drop(client)
                if not used:
                    raise RelayUnreachable(f"{self} was lost at {at}: {type(failure).__name__}") from None
            except BaseException:
                _drop(client)
                raise

    async def _take(self) -> tuple[SMTP, bool, bool]:
        """An open connection; whether it was used before; whether its last message was refused early."""
        while self._idle:
            each = self._idle.pop()
            if each.client.is_connected and time.monotonic() - each.since < self._max_idle:
                return each.client, True, each.midway
            _drop(each.client)
        if self._closed:
            raise RelayUnreachable(f"the pool of {self} is closed")
        client = SMTP(
            hostname=self.host,
            port=self.port,
            username=self._username,
            password=self._password,
            local_hostname=self._local_hostname,
            use_tls=self._tls is Tls.IMPLICIT,
            start_tls=self._tls is Tls.STARTTLS,
            tls_context=self._tls_context,
            timeout=None,  # one clock for the whole preparation
        )
        try:
            await client.connect()
            if client.is_ehlo_or_helo_needed:
                await client.ehlo()
        except SMTPResponseException as refusal:
            _drop(client)
            raise RelayUnreachable(
                f"{self} refused the connection or the login ({refusal.code}): check limits and password"
            ) from None
        except (SMTPException, OSError) as failure:
            _drop(client)
            raise RelayUnreachable(f"no connection to {self}: {failure}") from None
        except BaseException:
            _drop(client)
            raise
        return client, False, False

    def _keep(self, client: SMTP, *, midway: bool) -> None:
        if client.is_connected and not self._closed:
            self._idle.append(_Idle(client, time.monotonic(), midway))
        else:
            _drop(client)

    def _return(self, client: SMTP, *, fit: bool) -> None:
        """Called once by every prepared message, when it is done with its connection."""
        if fit:
            self._keep(client, midway=False)
        else:
            _drop(client)
        self._permits.release()

    def __str__(self) -> str:
        return f"the relay {self.host}:{self.port}"


class PreparedMail:
    """A message of which the relay has everything but the final dot. Leaving its context aborts it."""

    def __init__(self, relay: Relay, client: SMTP, answer: _Answer) -> None:
        self._relay = relay
        self._client = client
        self._answer = answer
        self._over = False

    async def release(self, *, before: float | None = None, within: float | None = None) -> Accepted:
        """Write the final dot and read the answer: the point of no return.

        `before` is the moment of `time.monotonic()` from which on the dot may not be written; `within` is
        how many seconds the answer may take: what has not left by then never leaves. Raises RelayRefused,
        RelayUnreachable or ReleaseTooLate where nothing was sent, and RelaySilent where nobody knows; a
        cancellation leaves it unknown as well.
        """
        if self._over:
            raise RuntimeError("this message has been released or aborted: prepare it anew")
        seconds = self._relay.timeout if within is None else within
        fit = False
        try:
            self._write_dot(before)
            try:
                answer = await asyncio.wait_for(self._answer, seconds)
            except (SMTPException, OSError) as failure:
                raise RelaySilent(
                    f"{self._relay} did not answer the final dot ({type(failure).__name__}): "
                    "its log knows by the Message-ID"
                ) from None
            if 400 <= answer.code <= 599:
                # It may have crossed the dot, which the relay then takes for a command: do not reuse.
                raise RelayRefused(answer.code, answer.message, at="DOT")
            if not 200 <= answer.code <= 299:
                raise RelaySilent(f"{self._relay} answered {answer.code} to the dot: neither yes nor no")
            fit = True
            return Accepted(answer.code, answer.message[:LONGEST_ANSWER])
        finally:
            self._finish(fit=fit)

    async def abort(self) -> None:
        """Drop the connection without the dot: the relay forgets the message. Harmless when it is over."""
        if not self._over:
            self._finish(fit=False)

    def _write_dot(self, before: float | None) -> None:
        """No await in here: nothing may come between the look at the clock and the dot."""
        protocol = self._client.protocol
        try:
            if self._answer.done():
                raise _unasked(self._answer)
            if before is not None and time.monotonic() >= before:
                raise ReleaseTooLate("the time for the final dot has passed, it was not written: claim anew")
            if protocol is None:
                raise SMTPServerDisconnected("lost while waiting")
            protocol.write(b".\r\n")
        except SMTPResponseException as refusal:
            raise _nothing_sent(refusal, self._relay, "DATA") from None
        except (SMTPException, OSError) as failure:
            raise RelayUnreachable(f"{self._relay} was lost before the dot: {type(failure).__name__}") from None

    def _finish(self, *, fit: bool) -> None:
        self._over = True
        _forget(self._answer)
        self._relay._return(self._client, fit=fit)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.abort()


async def _write(client: SMTP, body: bytes) -> _Answer:
    """Hand the whole body to the operating system; returns what listens for the relay's answer.

    Waits until the transport holds none of it any more: a dot behind a queue would leave later than decided.
    Listens from the start: an answer before the dot (too big, disk full) must not be taken for silence.
    """
    protocol = client.protocol
    if protocol is None:
        raise SMTPServerDisconnected("lost after DATA")
    transport = cast(asyncio.WriteTransport, protocol.transport)
    # A TLS transport pauses at its limit, others above it: with 0 it would pause for ever when it is empty.
    transport.set_write_buffer_limits(high=1 if transport.get_extra_info("sslcontext") else 0, low=0)
    answer = asyncio.create_task(protocol.read_response())
    written = asyncio.create_task(_feed(protocol, body))
    try:
        await asyncio.wait({answer, written}, return_when=asyncio.FIRST_COMPLETED)
        if answer.done():
            raise _unasked(answer)
        written.result()
    except BaseException:
        _forget(answer)
        _forget(written)
        raise
    return answer


async def _feed(protocol: SMTPProtocol, body: bytes) -> None:
    protocol.write(body)
    # The flow control that asyncio's StreamWriter.drain would call; the library has no public name for it.
    await protocol._drain_helper()


def _unasked(answer: _Answer) -> Exception:
    """What the relay said, or what became of the connection, although nothing was asked."""
    failure = answer.exception()
    return failure if isinstance(failure, Exception) else SMTPResponseException(*answer.result())


def _nothing_sent(refusal: SMTPResponseException, relay: Relay, at: Step) -> RelayError:
    if 400 <= refusal.code <= 599:
        return RelayRefused(refusal.code, refusal.message, at=at)
    return RelayUnreachable(f"{relay} answered {refusal.code} at {at}, against the protocol")


def _forget(task: asyncio.Task[Any]) -> None:
    """Stop it; an error that it ended in has been dealt with, the event loop need not report it."""
    if not task.done():
        task.cancel()
    elif not task.cancelled():
        task.exception()


def _drop(client: SMTP) -> None:
    """End a connection at once: `abort` throws away what is unsent, where `close` would still send it."""
    if client.protocol is not None and client.protocol.transport is not None:
        cast(asyncio.WriteTransport, client.protocol.transport).abort()
    client.close()


async def _quit(client: SMTP) -> None:
    try:
        await client.quit(timeout=1.0)
    except (SMTPException, OSError):
        _drop(client)
