"""Idempotency-Key: the first request under a key is worked out, every repetition gets the same answer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import ColumnElement, delete, select

from lunas.ledger.database import WriteSession, insert_or_ignore
from lunas.ledger.errors import Conflict
from lunas.ledger.tables import IdempotencyRow

#: A request that has not been answered after so long has died: the next one under its key is worked out anew.
ABANDONED_AFTER = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class Slot:
    """Whose key, for which route: the same key elsewhere is another one."""

    owner: str
    route: str
    key: str


@dataclass(frozen=True, slots=True)
class Stored:
    """The answer that was given: the HTTP status and the body."""

    status: int
    body: str


async def begin(session: WriteSession, slot: Slot, body_digest: str) -> Stored | None:
    """Take the key; the stored answer where there is one, None where the caller is to work it out.

    Raises Conflict where the key came with another body, or its first request is still being worked out.
    """
    taken = await session.scalar(
        insert_or_ignore(session, IdempotencyRow, "owner", "route", "key")
        .values(owner=slot.owner, route=slot.route, key=slot.key, body_digest=body_digest, created_at=session.clock())
        .returning(IdempotencyRow.key)
    )
    if taken is not None:
        return None
    row, now = (
        await session.execute(
            select(IdempotencyRow, session.clock()).where(*_this(slot)).with_for_update(of=IdempotencyRow)
        )
    ).one()
    if row.body_digest != body_digest:
        raise Conflict("this Idempotency-Key came with another body before: use a new key for a new request")
    if row.status is not None:
        return Stored(row.status, row.body or "")
    if now - row.created_at < ABANDONED_AFTER:
        raise Conflict("the first request under this Idempotency-Key is still being worked out: ask again in a moment")
    row.created_at = now
    await session.flush()
    return None


async def finish(session: WriteSession, slot: Slot, answer: Stored) -> None:
    """Keep the answer for every repetition."""
    row = (await session.scalars(select(IdempotencyRow).where(*_this(slot)))).one()
    row.status, row.body = answer.status, answer.body
    await session.flush()


async def give_up(session: WriteSession, slot: Slot) -> None:
    """The request failed before anything was done: the key is free again."""
    await session.execute(delete(IdempotencyRow).where(*_this(slot), IdempotencyRow.status.is_(None)))


async def forget(session: WriteSession, older_than: timedelta) -> None:
    """Delete answers that nobody will ask for again."""
    latest = await session.now() - older_than
    await session.execute(delete(IdempotencyRow).where(IdempotencyRow.created_at < latest))


def _this(slot: Slot) -> tuple[ColumnElement[bool], ...]:
    return (
        IdempotencyRow.owner == slot.owner,
        IdempotencyRow.route == slot.route,
        IdempotencyRow.key == slot.key,
    )
