"""The ledger's database: SQLite in one file, or PostgreSQL; the same promises on both.

A write is one transaction that takes its lock first. On PostgreSQL that lock is the customer's row (`locks.py`); on
SQLite it is the database's only write lock, taken by BEGIN IMMEDIATE before anything is read. A read is one
transaction too, and sees one moment. Either commits at the edge, when the context is left without an error.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from sqlalchemy import URL, ColumnElement, FunctionElement, Insert, literal, make_url, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler

from lunas.ledger.errors import LedgerError
from lunas.ledger.sqlite import sqlite_engine
from lunas.ledger.tables.base import Base, Moment

#: A clock that stands in for the database's, in tests and under virtual time. It gives aware moments.
Clock = Callable[[], datetime]


class DatabaseClock(FunctionElement[datetime]):
    """The database's time, in statements that are built once.

    It moves on within a transaction, so it must be asked after the lock was taken.
    """

    name = "database_clock"
    type = Moment()
    inherit_cache = True


@compiles(DatabaseClock, "postgresql")
def _postgresql_clock(element: DatabaseClock, compiler: SQLCompiler, **_: Any) -> str:
    return "clock_timestamp()"


@compiles(DatabaseClock, "sqlite")
def _sqlite_clock(element: DatabaseClock, compiler: SQLCompiler, **_: Any) -> str:
    return "(strftime('%Y-%m-%d %H:%M:%f', 'now') || '000')"  # as moments are stored, to the millisecond


class LedgerSession(AsyncSession):
    """One transaction on the ledger. Nothing is flushed, loaded or expired behind the caller's back."""

    def __init__(self, bind: AsyncEngine, clock: Clock | None, **options: Any) -> None:
        super().__init__(bind, expire_on_commit=False, autoflush=False, **options)
        self._clock = clock
        #: Whether rows must be locked one by one; else the transaction holds the database's only write lock already.
        self.locks_rows = bind.dialect.name != "sqlite"

    async def now(self) -> datetime:
        """The database's time, by which guards and deadlines are judged; never the caller's own clock."""
        return (await self.scalars(select(self.clock()))).one()

    def clock(self) -> ColumnElement[datetime]:
        """The database's time as a column, so that a statement which is needed anyway can bring it along."""
        return DatabaseClock() if self._clock is None else literal(self._clock(), Moment())

    def moment(self, by_the_database: datetime) -> datetime:
        """That moment, which a statement brought along from `DatabaseClock`; or the clock's that stands in for it."""
        return by_the_database if self._clock is None else self._clock()


class ReadSession(LedgerSession):
    """A session that cannot write: the database itself refuses."""


class WriteSession(LedgerSession):
    """A session that may write, and holds the write lock where the database has only one."""

    def __init__(self, bind: AsyncEngine, clock: Clock | None, **options: Any) -> None:
        super().__init__(bind, clock, **options)
        #: Which endpoints subscribe to what, as `announcing` read it in this transaction; None before it did.
        self.subscriptions: list[tuple[int, bool, frozenset[str]]] | None = None
        #: Endpoints for which this transaction has written something to deliver.
        self.announced: set[int] = set()


def insert_or_ignore(session: LedgerSession, table: type[Base], *unique: str) -> Insert:
    """An INSERT that does nothing where a row with the same `unique` columns exists, or is being inserted."""
    if session.get_bind().dialect.name == "sqlite":
        return sqlite.insert(table).on_conflict_do_nothing(index_elements=unique)
    return postgresql.insert(table).on_conflict_do_nothing(index_elements=unique)


class Ledger:
    """The engine and its two kinds of session. Close it when done, or use it as a context.

    `url` is `sqlite:///path/to/file.db` or `postgresql://user@host/database`; a driver in it is replaced by ours.
    """

    def __init__(self, url: str, *, clock: Clock | None = None, pool_size: int = 10) -> None:
        self.url = async_url(url)
        #: Told after a commit for which endpoints of API clients it holds something to deliver; it must not raise.
        self.on_announced: Callable[[frozenset[int]], None] | None = None
        self._clock = clock
        if self.is_sqlite:
            self._reader = sqlite_engine(self.url, "BEGIN", pool_size, read_only=True)
            # One connection: writers of this process queue up here, first come, first served, instead of polling.
            self._writer = sqlite_engine(self.url, "BEGIN IMMEDIATE", 1, read_only=False)
        else:
            self._writer = create_async_engine(
                self.url,
                pool_size=pool_size,
                max_overflow=pool_size,
                isolation_level="READ COMMITTED",
                hide_parameters=True,  # an error's text goes into logs, and the parameters are names and addresses
                connect_args={"prepared_statement_cache_size": 500},
            )
            self._reader = self._writer.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)

    @property
    def is_sqlite(self) -> bool:
        """Whether the ledger is a SQLite file."""
        return self.url.get_backend_name() == "sqlite"

    @property
    def engine(self) -> AsyncEngine:
        """The writing engine, for migrations and for tests."""
        return self._writer

    @asynccontextmanager
    async def read(self) -> AsyncIterator[ReadSession]:
        """A transaction that sees one moment and changes nothing."""
        async with ReadSession(self._reader, self._clock) as session, session.begin():
            yield session

    @asynccontextmanager
    async def write(self) -> AsyncIterator[WriteSession]:
        """A transaction that is committed when the context is left, and rolled back on any error."""
        async with WriteSession(self._writer, self._clock) as session, session.begin():
            yield session
        if session.announced and self.on_announced is not None:
            self.on_announced(frozenset(session.announced))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection."""
        await self._reader.dispose()
        await self._writer.dispose()


def async_url(url: str) -> URL:
    """The URL with our drivers; raises LedgerError for a database that the ledger does not know."""
    parsed = make_url(url)
    match parsed.get_backend_name():
        case "sqlite" if parsed.database and parsed.database != ":memory:":
            return parsed.set(drivername="sqlite+aiosqlite")
        case "sqlite":
            raise LedgerError("a ledger in memory would be forgotten: name a file, such as sqlite:///lunas.db")
        case "postgresql":
            return parsed.set(drivername="postgresql+asyncpg")
        case other:
            raise LedgerError(f"{other} is no database of the ledger: give a sqlite:/// or postgresql:// URL")
