"""The cheapest relay that can be: it takes every mail, keeps none, and says which came."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable

_TO = re.compile(rb"<([^>]*)>")
_MESSAGE_ID = re.compile(rb"^Message-ID: <([^>]*)>", re.MULTILINE)
_END = b"\r\n.\r\n"

#: Told of each mail that was accepted: recipient and message id.
Heard = Callable[[str, str], None]


class Sink:
    """A relay on a free port of this machine."""

    def __init__(self, heard: Heard = lambda to, message_id: None) -> None:
        self.accepted = 0
        self.heard = heard
        self.port = 0
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Sink:
        self._server = await asyncio.get_running_loop().create_server(lambda: _Session(self), "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()

    def accept(self, to: str, message: bytes) -> None:
        self.accepted += 1
        found = _MESSAGE_ID.search(message)
        self.heard(to, found[1].decode() if found else "")


class _Session(asyncio.Protocol):
    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._buffer = b""
        self._to = ""
        self._in_message = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(b"220 sink ESMTP\r\n")

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while True:
            end = _END if self._in_message else b"\r\n"
            chunk, found, rest = self._buffer.partition(end)
            if not found:
                return
            self._buffer = rest
            self._transport.write(self._answer(chunk))

    def _answer(self, chunk: bytes) -> bytes:
        if self._in_message:
            self._in_message = False
            self._sink.accept(self._to, chunk)
            return b"250 2.0.0 queued\r\n"
        match chunk[:4].upper():
            case b"EHLO":
                return b"250-sink\r\n250 8BITMIME\r\n"
            case b"RCPT":
                found = _TO.search(chunk)
                self._to = found[1].decode() if found else ""
            case b"DATA":
                self._in_message = True
                return b"354 go on\r\n"
            case b"QUIT":
                return b"221 2.0.0 bye\r\n"
        return b"250 2.0.0 ok\r\n"
