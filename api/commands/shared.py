"""What every command needs: a console, plain errors, and what people write for days and amounts."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Coroutine
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any, TypeVar
from zoneinfo import ZoneInfo

import typer
from pydantic import ValidationError
from rich.console import Console

from lunas.receivables.money import Currency, Money, MoneyError

_T = TypeVar("_T")

#: In a file or a pipe nothing is cut off for the sake of a screen.
_WIDE = 220

console = Console(highlight=False, width=None if sys.stdout.isatty() else _WIDE)
errors = Console(stderr=True, highlight=False, width=None if sys.stderr.isatty() else _WIDE)

DATE_HELP = "as 2026-11-30"


class CommandError(Exception):
    """A command did not do what was asked; the sentence says what was wrong, what was expected and what to do."""


class NotAllDone(CommandError):
    """A command did a part of what was asked; the rest is said in the sentence. Exit code 3."""


def data_folder() -> Path:
    """Where `lunas up` keeps its files unless `--data` says otherwise: `LUNAS_DATA`, else below the user's own data."""
    if stated := os.environ.get("LUNAS_DATA"):
        return Path(stated).expanduser()
    base = os.environ.get("XDG_DATA_HOME")
    return (Path(base) if base else Path.home() / ".local" / "share") / "lunas"


DataOption = Annotated[
    Path,
    typer.Option(
        "--data",
        metavar="DIR",
        help="Where `lunas up` keeps its files. [env: LUNAS_DATA]",
        default_factory=data_folder,
        show_default=False,
        file_okay=False,
    ),
]


def run(coroutine: Coroutine[Any, Any, _T]) -> _T:
    """The coroutine's result."""
    return asyncio.run(coroutine)


def day(text: str) -> date:
    """A day as people state it; raises what typer shows as a usage error."""
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a day: write it as 2026-11-30") from None


def amount(text: str, currency: str | Currency) -> Money:
    """An amount of major units as people state it, such as 1500000 or 1500000.50; raises CommandError."""
    try:
        return Money.parse(text.replace("_", ""), Currency(currency))
    except MoneyError as error:
        raise CommandError(f"{error} (no grouping, a point before the decimals)") from None
    except ValueError:
        raise CommandError(
            f"{currency!r} is not a currency that is collected in: one of {', '.join(Currency)}"
        ) from None


def first_complaint(error: ValidationError) -> str:
    """The first thing that a model says is wrong, without what was given."""
    found = error.errors(include_url=False, include_input=False)[0]
    where = "/".join(str(place) for place in found["loc"])
    said = found["msg"].removeprefix("Value error, ")
    return f"{where}: {said[:1].lower()}{said[1:]}" if where else said


def today() -> date:
    """The date here and now, where this command runs."""
    return datetime.now().astimezone().date()


def moment_words(moment: datetime | None, zone: str | None = None) -> str:
    """A moment as people read it, in `zone` or in that of this machine; empty for none."""
    if moment is None:
        return ""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    local = aware.astimezone(ZoneInfo(zone)) if zone else aware.astimezone()
    return f"{local:%a %-d %b %Y %H:%M}"
