"""The inbox's front door for mail: an SMTP server that answers 250 only when the mail is stored."""

from __future__ import annotations

import asyncio
import logging
import socket
import sqlite3
from collections.abc import Callable
from types import TracebackType
from typing import Self

from aiosmtpd.smtp import SMTP, Envelope, Session

from deploy.embedded.inbox.store import InboxStore
from deploy.embedded.machine import PortTaken

IDLE_SECONDS = 2.0
"""How long a client may be silent, and how long a mail may take to come in.

Below the four seconds that the send protocol reckons with: a sender that was paused between its last check and the
final dot finds the connection gone.
"""

_LARGEST_MAIL_BYTES = 16 * 1024 * 1024
_log = logging.getLogger(__name__)
# aiosmtpd writes every command, and so every address, into its log.
logging.getLogger("mail.log").setLevel(logging.WARNING)


class MailSink:
    """`async with MailSink(store, port=2525) as sink: ...`; port 0 picks a free one, see `port`.

    `refusal` may turn a recipient down: it is given the address and answers with an SMTP reply ("550 5.1.1 no such
    user"), or None to accept. So a demo has a mailbox that does not exist, or one that is full.
    """

    def __init__(
        self,
        store: InboxStore,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        refusal: Callable[[str], str | None] = lambda _: None,
    ) -> None:
        """Opens nothing yet: start() does."""
        self._store = store
        self._host = host
        self._port = port
        self._refusal = refusal
        self._server: asyncio.Server | None = None
        self._sessions = set[asyncio.BaseTransport]()

    @property
    def port(self) -> int:
        """Where it listens; known from the first start on."""
        return self._port

    async def start(self) -> None:
        """Listens. Raises PortTaken, saying which port and what to do."""
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(self._session, self._host, self._port)
        except OSError as error:
            raise PortTaken(
                f"the inbox cannot listen for mail on {self._host}:{self._port} ({error.strerror}); "
                f"stop what listens there, or choose another SMTP port",
            ) from None
        self._port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stops listening and drops who is connected. What was answered with 250 is stored."""
        if self._server is not None:
            self._server.close()
            for transport in tuple(self._sessions):
                transport.close()
            await self._server.wait_closed()
            self._server = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def _session(self) -> SMTP:
        return _Session(self, self._sessions)

    async def handle_RCPT(  # noqa: N802 - aiosmtpd finds its handlers by these names
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """A recipient is accepted unless the `refusal` turns it down."""
        if (reply := self._refusal(address)) is not None:
            return reply
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Stores the mail, then says so; 451 when it could not be stored, so that the sender tries again."""
        raw = envelope.original_content or b""
        try:
            message = await self._store.add_mail(raw, sender=envelope.mail_from or "", recipients=envelope.rcpt_tos)
        except (OSError, sqlite3.Error):
            _log.exception("the inbox could not store a mail")
            return "451 4.3.0 the mail could not be stored; try again"
        return f"250 2.6.0 stored as {message.id}"


class _Session(SMTP):
    """One connection, known to its sink for as long as it lasts, so that a stop can end it."""

    def __init__(self, handler: MailSink, sessions: set[asyncio.BaseTransport]) -> None:
        super().__init__(
            handler,
            hostname=socket.gethostname(),
            ident="Lunas inbox",
            timeout=IDLE_SECONDS,
            data_size_limit=_LARGEST_MAIL_BYTES,
            enable_SMTPUTF8=True,
        )
        self._sessions = sessions

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._sessions.add(transport)
        self._own = transport
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._sessions.discard(self._own)
        super().connection_lost(error)
