"""SQLite as the ledger runs it: as durable as it comes, and without a thread between us and every statement.

aiosqlite hands each call to a thread and back, which costs several times what the statement itself does: a statement on
a local file takes microseconds. What really waits is the write lock and the disk, and only these go to the thread.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from functools import partial
from typing import Any

import aiosqlite
from sqlalchemy import URL, Connection, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

#: How long a SQLite writer waits for another process's transaction, in milliseconds.
BUSY_TIMEOUT = 10_000

# FULL: what is committed survives a power cut. With NORMAL the last transactions may vanish; a lost `committing` would
# let its message be sent again, and a lost receipt would dun somebody who has paid and was told so.
_PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"busy_timeout={BUSY_TIMEOUT}")

_WAITS = frozenset({"commit", "rollback", "close"})


class NearConnection(aiosqlite.Connection):
    """A connection whose statements run where they are asked for, but for those that wait for a lock or the disk."""

    def __init__(self, connector: Callable[[], sqlite3.Connection]) -> None:
        super().__init__(connector, iter_chunk_size=64)
        self._thread.daemon = True  # a process that was told to end does not wait for it
        self._waits = False

    async def _execute(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if self._waits or fn.__name__ in _WAITS or (args and args[0] == "BEGIN IMMEDIATE"):
            self._waits = True
            return await super()._execute(partial(self._wait, fn, *args, **kwargs))  # type: ignore[no-untyped-call]
        if not self._running or not self._connection:
            raise ValueError("Connection closed")
        return fn(*args, **kwargs)

    def _wait(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """In the thread. Who gave up waiting must not find the connection busy: the event loop would stand still."""
        try:
            return fn(*args, **kwargs)
        finally:
            self._waits = False


def sqlite_engine(url: URL, begin: str, pool_size: int, *, read_only: bool) -> AsyncEngine:
    """An engine whose transactions begin with `begin`: BEGIN for readers, BEGIN IMMEDIATE for writers."""
    path = url.database
    assert path is not None
    connector = partial(
        sqlite3.connect,
        path,
        isolation_level=None,
        cached_statements=500,
        timeout=BUSY_TIMEOUT / 1000,
        check_same_thread=False,  # one thing at a time, but now here and now in the connection's thread
    )

    def connect(*_: Any, **__: Any) -> NearConnection:
        return NearConnection(connector)

    engine = create_async_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        hide_parameters=True,  # an error's text goes into logs, and the parameters are names and addresses
        connect_args={"async_creator_fn": connect},
    )
    pragmas = (*_PRAGMAS, "query_only=ON") if read_only else _PRAGMAS

    def prepare(connection: DBAPIConnection, record: object) -> None:
        cursor = connection.cursor()
        for pragma in pragmas:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    def start(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    event.listen(engine.sync_engine, "connect", prepare)
    event.listen(engine.sync_engine, "begin", start)
    return engine
