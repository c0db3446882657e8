"""A mail relay that remembers everything and can be as bad as relays are.

What it accepted stands in its log before it says so, as a relay's queue would have it: a message whose line is written
was accepted, even if the 250 never left; any other was not. Lines are written in one unbuffered write each, so that a
SIGKILL loses none. Moments are of the machine's monotonic clock, which all processes share.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import socket
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from random import Random
from typing import Any, TypeVar

#: Seconds of silence after which it ends a connection: below the four of a commit, as the runbook asks of a relay.
IDLE = 2.0
#: Seconds that it keeps silent when it is to be silent: longer than any sender waits.
_SILENCE = 15.0

_M = TypeVar("_M", bound=StrEnum)
_ADDRESS = re.compile(rb"<([^>]*)>")
_MESSAGE_ID = re.compile(rb"^message-id:\s*(<[^>\s]+>)", re.IGNORECASE | re.MULTILINE)


class Mood(StrEnum):
    """What it does to one message."""

    GOOD = "good"
    SLOW_DATA = "slow before 354"
    SLOW_DOT = "slow after the dot"
    DRIP = "answers byte by byte"
    BUSY_RCPT = "451 at RCPT"
    FULL_RCPT = "452 at RCPT"
    NOBODY = "550 at RCPT"
    BUSY_DOT = "451 after the dot"
    CLOSING_DOT = "421 after the dot"
    FULL_DOT = "452 after the dot"
    TOO_BIG_DOT = "552 after the dot"
    ACCEPT_AND_DROP = "accepts, then drops"
    ACCEPT_AND_SILENCE = "accepts, then says nothing"
    LOSE_AND_DROP = "drops at the dot, nothing accepted"
    LOSE_AND_SILENCE = "says nothing, nothing accepted"


class MailMood(StrEnum):
    """What it does at MAIL."""

    GOOD = "good"
    CLOSING = "421 at MAIL"
    BUSY = "451 at MAIL"
    FULL = "452 at MAIL"
    NOT_YOU = "550 at MAIL"


#: How often in a thousand messages. What is left is GOOD.
STORMY: dict[Mood, int] = {
    Mood.SLOW_DATA: 350,
    Mood.SLOW_DOT: 40,
    Mood.DRIP: 20,
    Mood.BUSY_RCPT: 20,
    Mood.FULL_RCPT: 10,
    Mood.NOBODY: 15,
    Mood.BUSY_DOT: 20,
    Mood.CLOSING_DOT: 10,
    Mood.FULL_DOT: 10,
    Mood.TOO_BIG_DOT: 8,
    Mood.ACCEPT_AND_DROP: 20,
    Mood.ACCEPT_AND_SILENCE: 10,
    Mood.LOSE_AND_DROP: 15,
    Mood.LOSE_AND_SILENCE: 8,
}
SLOW_ONLY: dict[Mood, int] = {Mood.SLOW_DATA: 500}
_STORMY_MAIL: dict[MailMood, int] = {
    MailMood.CLOSING: 10,
    MailMood.BUSY: 10,
    MailMood.FULL: 5,
    MailMood.NOT_YOU: 5,
}


@dataclass(frozen=True, slots=True)
class SinkOptions:
    """`notify` is a datagram socket that hears of every RCPT.

    A sink that is not `stormy` is only slow: up to `sluggish` seconds before it takes a message.

    A `script` says what becomes of the first messages to an address, and there is no other mood then.
    """

    port: int
    folder: str
    notify: str
    seed: int
    stormy: bool
    sluggish: float = 0.5
    script: dict[str, list[str]] | None = None


class Sink:
    """One process's relay; its folder outlives it."""

    def __init__(self, options: SinkOptions) -> None:
        self._options = options
        self._folder = Path(options.folder)
        self._log = os.open(log_path(self._folder), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._heard = Counter(line["to"] for line in read_log(self._folder) if line["event"] == "rcpt")
        self._mails = sum(self._heard.values())
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notify.setblocking(False)

    async def serve(self) -> None:
        """Serve until killed."""
        server = await asyncio.start_server(self._converse, "127.0.0.1", self._options.port, limit=2**22)
        async with server:
            await server.serve_forever()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, TimeoutError, asyncio.IncompleteReadError, _Dropped):
            await _Session(self, reader, writer).run()
        writer.transport.abort()

    def note(self, event: str, **what: object) -> None:
        """One line, in one write."""
        line = json.dumps({"event": event, "at": time.monotonic(), **what})
        os.write(self._log, line.encode() + b"\n")

    def heard(self, to: str) -> Mood:
        """Note a RCPT, tell the driver at once, and choose what becomes of this message."""
        self._heard[to] += 1
        self.note("rcpt", to=to)
        with contextlib.suppress(OSError):
            self._notify.sendto(to.encode(), self._options.notify)
        if self._options.script is not None:
            moods = self._options.script.get(to, [])
            return Mood(moods[self._heard[to] - 1]) if self._heard[to] <= len(moods) else Mood.GOOD
        mood = _choose(Random(f"{self._options.seed}/{to}/{self._heard[to]}"), self._moods, Mood.GOOD)
        second_address = not to.startswith("a.")
        return Mood.BUSY_RCPT if mood is Mood.NOBODY and second_address else mood

    def mood_at_mail(self) -> MailMood:
        self._mails += 1
        moods = _STORMY_MAIL if self._options.stormy else {}
        return _choose(Random(f"{self._options.seed}/mail/{self._mails}"), moods, MailMood.GOOD)

    @property
    def sluggish(self) -> float:
        return self._options.sluggish

    @property
    def _moods(self) -> dict[Mood, int]:
        return STORMY if self._options.stormy else SLOW_ONLY

    def keep(self, message: bytes) -> str:
        """Write the message itself down; returns the file's name."""
        name = f"{time.monotonic_ns()}.eml"
        (self._folder / name).write_bytes(message)
        return name


def _choose(random: Random, moods: Mapping[_M, int], otherwise: _M) -> _M:
    roll = random.randrange(1000)
    for mood, share in moods.items():
        if roll < share:
            return mood
        roll -= share
    return otherwise


class _Dropped(Exception):
    """The connection is to end without another word."""


class _Session:
    """One connection."""

    def __init__(self, sink: Sink, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._sink = sink
        self._reader = reader
        self._writer = writer
        self._random = Random()
        self._to = ""
        self._mood = Mood.GOOD

    async def run(self) -> None:
        await self._say("220 sink ESMTP")
        while True:
            line = await self._read(b"\r\n")
            match line[:4].upper():
                case b"EHLO" | b"HELO":
                    await self._say("250-sink\r\n250 8BITMIME")
                case b"MAIL":
                    await self._mail()
                case b"RCPT":
                    await self._rcpt(line)
                case b"DATA":
                    await self._data()
                case b"RSET" | b"NOOP":
                    await self._say("250 2.0.0 ok")
                case b"QUIT":
                    await self._say("221 2.0.0 bye")
                    return
                case _:
                    await self._say("500 5.5.2 what?")

    async def _read(self, until: bytes) -> bytes:
        """Whatever comes until then; a silent client is dropped."""
        try:
            async with asyncio.timeout(IDLE):
                return await self._reader.readuntil(until)
        except TimeoutError:
            self._sink.note("idle", to=self._to)
            self._writer.write(b"421 4.4.2 idle for too long\r\n")
            raise

    async def _say(self, words: str) -> None:
        self._writer.write(words.encode() + b"\r\n")
        await self._writer.drain()

    async def _mail(self) -> None:
        match mood := self._sink.mood_at_mail():
            case MailMood.GOOD:
                await self._say("250 2.1.0 ok")
                return
            case MailMood.CLOSING:
                words = "421 4.3.2 closing"
            case MailMood.BUSY:
                words = "451 4.3.0 try again"
            case MailMood.FULL:
                words = "452 4.3.1 no room"
            case MailMood.NOT_YOU:
                words = "550 5.7.1 not from you, not now"
        self._sink.note("refused", to="", mood=mood)
        await self._say(words)
        if mood is MailMood.CLOSING:
            raise _Dropped

    async def _rcpt(self, line: bytes) -> None:
        found = _ADDRESS.search(line)
        self._to = found[1].decode() if found else ""
        self._mood = self._sink.heard(self._to)
        words = {
            Mood.BUSY_RCPT: "451 4.2.0 try again",
            Mood.FULL_RCPT: "452 4.2.2 mailbox full",
            Mood.NOBODY: "550 5.1.1 nobody of that name",
        }.get(self._mood)
        if words is not None:
            self._sink.note("refused", to=self._to, mood=self._mood)
        await self._say(words or "250 2.1.5 ok")

    async def _data(self) -> None:
        if self._mood is Mood.SLOW_DATA:
            await asyncio.sleep(self._random.uniform(0.02, self._sink.sluggish))
        await self._say("354 go on")
        message = (await self._read(b"\r\n.\r\n"))[:-3]
        await self._dot(message, time.monotonic())

    async def _dot(self, message: bytes, dot_at: float) -> None:
        """Everything is here: the last byte came at `dot_at`."""
        mood = self._mood
        match mood:
            case Mood.BUSY_DOT | Mood.CLOSING_DOT | Mood.FULL_DOT | Mood.TOO_BIG_DOT:
                words = {
                    Mood.BUSY_DOT: "451 4.3.0 not now",
                    Mood.CLOSING_DOT: "421 4.3.2 closing",
                    Mood.FULL_DOT: "452 4.3.1 no room",
                    Mood.TOO_BIG_DOT: "552 5.3.4 too big",
                }[mood]
                self._sink.note("refused", to=self._to, mood=mood, id=_message_id(message))
                await self._say(words)
                if mood is Mood.CLOSING_DOT:
                    raise _Dropped
                return
            case Mood.LOSE_AND_DROP | Mood.LOSE_AND_SILENCE:
                self._sink.note("lost", to=self._to, mood=mood, id=_message_id(message))
            case _:
                self._accept(message, dot_at)
        await self._answer(mood)
        self._sink.note("answered", to=self._to, mood=mood, id=_message_id(message))

    def _accept(self, message: bytes, dot_at: float) -> None:
        file = self._sink.keep(message)
        self._sink.note("accepted", to=self._to, mood=self._mood, id=_message_id(message), dot_at=dot_at, file=file)

    async def _answer(self, mood: Mood) -> None:
        """Say yes, in its own way, or nothing."""
        words = b"250 2.0.0 queued\r\n"
        match mood:
            case Mood.ACCEPT_AND_DROP | Mood.LOSE_AND_DROP:
                raise _Dropped
            case Mood.ACCEPT_AND_SILENCE | Mood.LOSE_AND_SILENCE:
                await asyncio.sleep(_SILENCE)
                raise _Dropped
            case Mood.SLOW_DOT:
                await asyncio.sleep(self._random.uniform(0.1, 2.5))
                self._writer.write(words)
            case Mood.DRIP:
                for place in range(len(words)):
                    self._writer.write(words[place : place + 1])
                    await asyncio.sleep(0.05)
            case _:
                self._writer.write(words)
        await self._writer.drain()


def _message_id(message: bytes) -> str:
    found = _MESSAGE_ID.search(message)
    return found[1].decode() if found else ""


def log_path(folder: Path) -> Path:
    """Where the sink of that folder keeps its log."""
    return folder / "sink.jsonl"


def read_log(folder: Path) -> Iterator[dict[str, Any]]:
    """Every line of the log; one that a kill cut short (there is at most one at each end) was never said."""
    path = log_path(folder)
    if not path.exists():
        return
    for line in path.read_bytes().splitlines():
        with contextlib.suppress(json.JSONDecodeError):
            yield json.loads(line)


def main(options: dict[str, Any]) -> None:
    """Serve until killed."""
    sink = Sink(SinkOptions(**options))
    asyncio.run(sink.serve())
