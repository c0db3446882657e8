"""The ledger's schema, step by step. `lunas migrate` and the tests call `migrate`; nothing else changes the schema."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from lunas.ledger.database import Ledger

#: Names the lock that lets one process migrate a PostgreSQL ledger while the others wait.
_MIGRATING = 0x4C554E4153


async def migrate(url: str) -> None:
    """Bring the schema of that ledger to the newest revision, in one transaction; harmless where it is there."""
    async with Ledger(url) as ledger, ledger.engine.begin() as connection:
        await connection.run_sync(_upgrade)


async def is_current(ledger: Ledger) -> bool:
    """Whether the ledger has the newest schema; if not, run `lunas migrate`."""
    newest = ScriptDirectory.from_config(_config()).get_current_head()
    async with ledger.read() as session:
        connection = await session.connection()
        return await connection.run_sync(_revision) == newest


async def draft(url: str, message: str) -> None:
    """For developers: write a new revision from what the tables say and that ledger's schema does not have yet."""
    async with Ledger(url) as ledger, ledger.engine.begin() as connection:
        await connection.run_sync(_draft, message)


def _upgrade(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _MIGRATING})
    command.upgrade(_config(connection), "head")


def _draft(connection: Connection, message: str) -> None:
    revisions = list(ScriptDirectory.from_config(_config()).walk_revisions())
    command.revision(_config(connection), message, autogenerate=True, rev_id=f"{len(revisions) + 1:04d}")


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config
