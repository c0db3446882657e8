"""`lunas api`, `lunas worker`, `lunas migrate` and `lunas keys`: the processes of an installation, and its keys.

These read settings from the environment alone, as in production; they never look into a data folder.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import ValidationError
from rich.table import Table

from api.commands.shared import DATE_HELP, CommandError, console, day, first_complaint, moment_words, run

if TYPE_CHECKING:
    from lunas.ledger.database import Ledger
    from lunas.ledger.keys import ApiKey
    from lunas.settings import Settings

keys_app = typer.Typer(no_args_is_help=True, help="API keys: make, list and revoke them.")


def api_command(
    host: Annotated[str | None, typer.Option(help="Where to listen. [env: LUNAS_API_HOST]")] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="[env: LUNAS_API_PORT]")] = None,
) -> None:
    """Serve the API, until SIGTERM or Ctrl-C.

    Example: `LUNAS_DATABASE_URL=postgresql://lunas@db/lunas lunas api --host 0.0.0.0`
    """
    import uvicorn

    settings = read_settings()
    _log_lines()
    uvicorn.run(
        "api.app:app",
        factory=True,
        host=host or settings.api_host,
        port=port or settings.api_port,
        log_level="warning",
        access_log=False,
        server_header=False,
    )


def worker_command() -> None:
    """Work for Temporal, until SIGTERM or Ctrl-C.

    Refuses to start where the ledger, the search attributes, a policy or a template is not as it must be.

    Example: `TEMPORAL_ADDRESS=temporal:7233 LUNAS_DATABASE_URL=postgresql://lunas@db/lunas lunas worker`
    """
    from temporalio.service import RPCError

    from workflows import worker

    settings = read_settings()
    _log_lines()
    try:
        run(worker.run(settings))
    except worker.NotReady as error:
        raise CommandError(str(error)) from error
    except RPCError as error:
        raise CommandError(f"Temporal refuses the worker ({error.status.name}): {error.message}") from error
    except RuntimeError as error:
        if "connect" not in str(error).lower():
            raise
        raise CommandError("Temporal cannot be reached: start it, or set TEMPORAL_ADDRESS") from error


def migrate_command() -> None:
    """Bring the ledger's tables to the newest schema; harmless where they are.

    Example: `LUNAS_DATABASE_URL=postgresql://lunas@db/lunas lunas migrate`
    """
    from lunas.ledger.migrations import migrate

    url = read_settings().database_url
    run(migrate(url))
    console.print("The ledger is on its newest schema.")


@keys_app.command("create")
def create_key(
    name: Annotated[str, typer.Argument(help="Who holds it; the journal names it.")],
    scope: Annotated[list[str], typer.Option(help="What it opens; several times for several.")],
    expires: Annotated[date | None, typer.Option(parser=day, metavar="DAY", help=f"Its last day, {DATE_HELP}.")] = None,
) -> None:
    """Make an API key, and show it once.

    The scopes are read, write:invoices, write:payments, decide and admin.

    Example: `lunas keys create shop --scope write:invoices --scope read --expires 2027-12-31`
    """
    from api.keys import SCOPES, Scope

    unknown = [each for each in scope if each not in list(Scope)]
    if unknown:
        raise CommandError(f"there is no scope {unknown[0]!r}: there are {', '.join(Scope)}")
    until = datetime.combine(expires, time.max, UTC) if expires else None
    key = run(_create(name, scope, until))
    print(key)  # noqa: T201 - the key alone on standard output, for scripts
    opens = "; ".join(SCOPES[Scope(each)] for each in scope)
    console.print(f"It opens: {opens}. Keep it now: nobody can show it again.", soft_wrap=True)


@keys_app.command("list")
def list_keys() -> None:
    """List the keys that were not revoked, without their secrets.

    Example: `lunas keys list`
    """
    table = Table(box=None, header_style="bold")
    for column in ("Name", "Key", "Scopes", "Until"):
        table.add_column(column)
    for key in run(_list()):
        table.add_row(key.name, f"lunas_{key.prefix}_…", ", ".join(sorted(key.scopes)), moment_words(key.expires_at))
    console.print(table)


@keys_app.command("revoke")
def revoke_key(
    prefix: Annotated[str, typer.Argument(help="The middle part of the key, as the list shows it.")],
) -> None:
    """Revoke a key: from now on it opens nothing.

    Example: `lunas keys revoke 1f2e3d4c5b6a`
    """
    run(_revoke(prefix))
    console.print("Revoked.")


def read_settings() -> Settings:
    """The settings of the environment; raises CommandError that names the variable and what is wrong with it."""
    from lunas.settings import Settings

    try:
        return Settings()
    except ValidationError as error:
        raise CommandError(f"LUNAS_{first_complaint(error)}; correct it in the environment") from None


def _log_lines() -> None:
    """Logs as JSON, a line each, on standard error."""
    import structlog

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    for noisy in ("alembic", "httpx2", "httpcore2", "aiosqlite"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(),
        cache_logger_on_first_use=True,
    )


async def _create(name: str, scopes: list[str], expires_at: datetime | None) -> str:
    from lunas.ledger.keys import create_key

    async with _ledger() as ledger, ledger.write() as session:
        return await create_key(session, name=name, scopes=scopes, expires_at=expires_at)


async def _list() -> tuple[ApiKey, ...]:
    from lunas.ledger.keys import keys

    async with _ledger() as ledger, ledger.read() as session:
        return await keys(session)


async def _revoke(prefix: str) -> None:
    from lunas.ledger.keys import revoke_key

    async with _ledger() as ledger, ledger.write() as session:
        await revoke_key(session, prefix)


@asynccontextmanager
async def _ledger() -> AsyncIterator[Ledger]:
    from lunas.ledger.database import Ledger

    ledger = Ledger(read_settings().database_url)
    try:
        yield ledger
    finally:
        await ledger.close()
