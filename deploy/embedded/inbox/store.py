"""Where the inbox keeps what it was given: one `.eml` file a mail, and an SQLite index over mails and SMS.

A message is on disk and indexed before anybody is told that it was accepted, so a stop or a kill loses nothing that was
acknowledged. A mail that comes twice is kept twice: that is how a duplicate is found out. An SMS carries an id from its
sender and is kept once, as a provider with idempotency keys would do.
"""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import threading
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

from deploy.embedded.inbox.reading import read_mail

_SCHEMA = """
CREATE TABLE IF NOT EXISTS message (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    sender TEXT NOT NULL,
    recipients TEXT NOT NULL,
    subject TEXT NOT NULL,
    excerpt TEXT NOT NULL,
    written_at TEXT,
    received_at TEXT NOT NULL,
    attachments INTEGER NOT NULL,
    file TEXT
);
CREATE UNIQUE INDEX IF NOT EXISTS message_sms_once ON message (key) WHERE kind = 'sms';
CREATE TABLE IF NOT EXISTS recipient (
    message_id INTEGER NOT NULL REFERENCES message (id),
    address TEXT NOT NULL COLLATE NOCASE
);
CREATE INDEX IF NOT EXISTS recipient_address ON recipient (address, message_id);
"""
_EXCERPT_CHARACTERS = 160
_LOOK_EVERY_SECONDS = 0.02


class Kind(StrEnum):
    """How a message came."""

    MAIL = "mail"
    SMS = "sms"


class SmsConflict(Exception):
    """An SMS came under an id that was used before for another text or another number."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message that was accepted.

    `key` is the mail's Message-ID or the SMS's id. `recipients` are those of the envelope, not of the header. `excerpt`
    is the beginning of a mail's text, the whole of an SMS. `written_at` is what the sender says (a mail's Date).
    """

    id: int
    kind: Kind
    key: str
    sender: str
    recipients: tuple[str, ...]
    subject: str
    excerpt: str
    written_at: datetime | None
    received_at: datetime
    attachments: int
    file: str | None

    @property
    def moment(self) -> datetime:
        """When it was written, by its sender's clock if that is known: a workflow may live ahead of this machine."""
        return self.written_at or self.received_at


class InboxStore:
    """All messages under one folder. Several processes may use the same one. Blocking work runs in threads."""

    def __init__(self, data: Path) -> None:
        """Opens the store in `data`, which is created when missing."""
        self._mails = data / "mail"
        self._mails.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._index = sqlite3.connect(data / "inbox.db", check_same_thread=False, timeout=10)
        self._index.row_factory = sqlite3.Row
        self._index.execute("PRAGMA journal_mode = WAL")
        self._index.executescript(_SCHEMA)

    def close(self) -> None:
        """Lets go of the index. What was accepted stays."""
        with self._lock:
            self._index.close()

    async def add_mail(self, raw: bytes, *, sender: str, recipients: Sequence[str]) -> Message:
        """Stores a mail as it came, for the recipients of its envelope. On return it survives a kill."""
        return await asyncio.to_thread(self._add_mail, raw, sender, tuple(recipients))

    async def add_sms(self, *, to: str, text: str, key: str, sent_at: datetime | None = None) -> tuple[Message, bool]:
        """Stores an SMS once per `key`; the bool says whether it is new. Raises SmsConflict for a key used before."""
        return await asyncio.to_thread(self._add_sms, to, text, key, sent_at)

    async def messages(
        self, *, to: str = "", kind: Kind | None = None, before: int | None = None, limit: int = 50
    ) -> tuple[Message, ...]:
        """The newest first. `to` is part of a recipient's address; `before` an id, for the next page."""
        return await asyncio.to_thread(self._messages, to, kind, before, limit)

    async def received(self, recipient: str) -> tuple[Message, ...]:
        """Everything that exactly this address or number was sent, oldest first."""
        where = "WHERE id IN (SELECT message_id FROM recipient WHERE address = ?) ORDER BY id"
        return await asyncio.to_thread(self._select, where, (recipient,))

    async def message(self, message_id: int) -> Message | None:
        """One message, or None."""
        found = await asyncio.to_thread(self._select, "WHERE id = ?", (message_id,))
        return found[0] if found else None

    async def raw(self, message: Message) -> bytes:
        """A mail as it came over the wire, or an SMS's text."""
        if message.file is None:
            return message.excerpt.encode()
        return await asyncio.to_thread((self._mails / message.file).read_bytes)

    async def wait_for(
        self, recipient: str, count: int = 1, *, patience: timedelta = timedelta(seconds=10)
    ) -> tuple[Message, ...]:
        """Everything that `recipient` was sent, oldest first, as soon as there are `count`.

        Raises TimeoutError saying what came instead.
        """
        try:
            async with asyncio.timeout(patience.total_seconds()):
                while len(found := await self.received(recipient)) < count:
                    await asyncio.sleep(_LOOK_EVERY_SECONDS)
                return found
        except TimeoutError:
            came = [message.subject or message.excerpt for message in await self.received(recipient)]
            raise TimeoutError(
                f"{recipient} should have {count} messages within {patience.total_seconds():g} s, but has {came}"
            ) from None

    def _add_mail(self, raw: bytes, sender: str, recipients: tuple[str, ...]) -> Message:
        received_at = datetime.now(UTC)
        mail = read_mail(raw)
        name = f"{received_at:%Y%m%dT%H%M%S}-{uuid.uuid4().hex}.eml"
        unfinished = self._mails / f"{name}.part"
        with unfinished.open("wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(self._mails / name)
        return self._insert(
            kind=Kind.MAIL,
            key=mail.message_id,
            sender=sender,
            recipients=recipients,
            subject=mail.subject,
            excerpt=" ".join(mail.text.split())[:_EXCERPT_CHARACTERS],
            written_at=mail.date,
            received_at=received_at,
            attachments=len(mail.attachments),
            file=name,
        )

    def _add_sms(self, to: str, text: str, key: str, sent_at: datetime | None) -> tuple[Message, bool]:
        try:
            stored = self._insert(
                kind=Kind.SMS,
                key=key,
                sender="",
                recipients=(to,),
                subject="",
                excerpt=text,
                written_at=sent_at,
                received_at=datetime.now(UTC),
                attachments=0,
                file=None,
            )
        except sqlite3.IntegrityError:
            (known,) = self._select("WHERE kind = 'sms' AND key = ?", (key,))
            if (known.recipients, known.excerpt) != ((to,), text):
                raise SmsConflict(
                    f"SMS id {key} was used before for another text or number; give each SMS an id of its own"
                ) from None
            return known, False
        return stored, True

    def _insert(self, *, recipients: tuple[str, ...], **values: Any) -> Message:
        row = {**values, "recipients": json.dumps(recipients)}
        for name in ("written_at", "received_at"):
            row[name] = row[name].isoformat() if row[name] is not None else None
        # The names are those of the columns above; every value is bound.
        statement = f"INSERT INTO message ({', '.join(row)}) VALUES ({', '.join(f':{name}' for name in row)})"  # noqa: S608
        with self._lock, self._index:
            message_id = self._index.execute(statement, row).lastrowid
            self._index.executemany(
                "INSERT INTO recipient (message_id, address) VALUES (?, ?)",
                [(message_id, address) for address in recipients],
            )
        if message_id is None:
            raise sqlite3.InternalError("SQLite gave a new message no row id")
        return Message(id=message_id, recipients=recipients, **values)

    def _messages(self, to: str, kind: Kind | None, before: int | None, limit: int) -> tuple[Message, ...]:
        conditions, values = ["TRUE"], list[object]()
        if to:
            pattern = "%" + to.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_") + "%"
            conditions.append("id IN (SELECT message_id FROM recipient WHERE address LIKE ? ESCAPE '\\')")
            values.append(pattern)
        if kind is not None:
            conditions.append("kind = ?")
            values.append(kind)
        if before is not None:
            conditions.append("id < ?")
            values.append(before)
        return self._select(f"WHERE {' AND '.join(conditions)} ORDER BY id DESC LIMIT ?", (*values, limit))

    def _select(self, where: str, values: tuple[object, ...]) -> tuple[Message, ...]:
        with self._lock:
            return tuple(_message(row) for row in self._index.execute(f"SELECT * FROM message {where}", values))  # noqa: S608


def _message(row: sqlite3.Row) -> Message:
    return Message(
        id=row["id"],
        kind=Kind(row["kind"]),
        key=row["key"],
        sender=row["sender"],
        recipients=tuple(json.loads(row["recipients"])),
        subject=row["subject"],
        excerpt=row["excerpt"],
        written_at=datetime.fromisoformat(row["written_at"]) if row["written_at"] else None,
        received_at=datetime.fromisoformat(row["received_at"]),
        attachments=row["attachments"],
        file=row["file"],
    )
