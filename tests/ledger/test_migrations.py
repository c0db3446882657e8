"""The revisions lead to what the tables say, on both databases, and processes may run them at once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text

from lunas.ledger.database import Ledger
from lunas.ledger.migrations import _config, is_current, migrate
from lunas.ledger.tables import Base
from tests.conftest import DATABASES, Postgres, in_own_loop


@pytest.fixture(params=DATABASES)
def empty_urls(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Two databases without any tables."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'one.db'}", f"sqlite:///{tmp_path / 'two.db'}"
        return
    server: Postgres = request.getfixturevalue("postgres")
    in_own_loop(server.execute("CREATE DATABASE one", "CREATE DATABASE two"))
    yield server.url("one"), server.url("two")
    in_own_loop(server.execute("DROP DATABASE one WITH (FORCE)", "DROP DATABASE two WITH (FORCE)"))


def _schema(connection: Connection) -> list[tuple[str, ...]]:
    """Everything that the database itself says about tables, indexes and constraints, CHECKs included."""
    if connection.dialect.name == "sqlite":
        query = "SELECT type, name, coalesce(sql, '') FROM sqlite_master WHERE name NOT LIKE '%alembic%'"
    else:
        query = """
            SELECT c.relname || '.' || a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull::text
            FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
            WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND a.attnum > 0
                AND c.relname NOT LIKE 'alembic%'
            UNION SELECT conname, pg_get_constraintdef(oid), '' FROM pg_constraint
            WHERE connamespace = 'public'::regnamespace AND conname NOT LIKE 'alembic%'
            UNION SELECT indexname, indexdef, '' FROM pg_indexes
            WHERE schemaname = 'public' AND indexname NOT LIKE 'alembic%'
        """
    rows = connection.execute(text(query))
    return sorted(tuple(_without_order(str(part)) for part in row) for row in rows)


def _without_order(definition: str) -> str:
    """Constraints in the order of their names: in which order a table declares them means nothing."""
    columns, *constraints = " ".join(definition.removesuffix(")").split()).split(", CONSTRAINT ")
    return ", CONSTRAINT ".join([columns, *sorted(constraints)])


def _differences(connection: Connection) -> list[object]:
    return list(compare_metadata(MigrationContext.configure(connection), Base.metadata))


async def test_the_revisions_lead_to_the_tables(empty_urls: tuple[str, str]) -> None:
    await migrate(empty_urls[0])
    async with Ledger(empty_urls[0]) as migrated, migrated.engine.begin() as connection:
        found = await connection.run_sync(_schema)
        assert await connection.run_sync(_differences) == []
    async with Ledger(empty_urls[1]) as made, made.engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
        expected = await connection.run_sync(_schema)

    assert len(found) > 40
    assert found == expected


async def test_processes_may_migrate_at_once_and_again(empty_urls: tuple[str, str]) -> None:
    async with Ledger(empty_urls[0]) as ledger:
        assert not await is_current(ledger)

        await asyncio.gather(*(migrate(empty_urls[0]) for _ in range(3)))

        assert await is_current(ledger)


async def test_offers_that_were_made_before_they_had_makers_are_kept(empty_urls: tuple[str, str]) -> None:
    offer = (
        "INSERT INTO offers (id, invoice_id, method, reference, amount_minor, instructions, created_at) "
        "VALUES (1, 1, 'bank_transfer', 'k/5', 500, '{}', '2026-03-04 03:00:00.000000')"
    )
    # No invoice is needed, because all of it is taken back again.
    carefree = ("PRAGMA defer_foreign_keys = ON", "SET LOCAL session_replication_role = replica")
    async with Ledger(empty_urls[0]) as ledger, ledger.engine.connect() as connection:
        await connection.run_sync(lambda sync: command.upgrade(_config(sync), "0002"))
        await connection.execute(text(carefree[0 if ledger.is_sqlite else 1]))
        await connection.execute(text(offer))
        await connection.run_sync(lambda sync: command.upgrade(_config(sync), "0003"))
        row = (await connection.execute(text("SELECT reference, maker, covers_minor, claim FROM offers"))).one()
        assert tuple(row) == ("k/5", "bank_transfer", 500, None)
        assert (await connection.execute(text("SELECT count(*) FROM offers WHERE ready_at IS NULL"))).scalar_one() == 0
        await connection.run_sync(lambda sync: command.downgrade(_config(sync), "0002"))
        row = (await connection.execute(text("SELECT reference, amount_minor FROM offers"))).one()
        assert tuple(row) == ("k/5", 500)
        await connection.rollback()
