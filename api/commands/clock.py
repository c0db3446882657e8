"""`lunas fast-forward`: move one invoice's clock ahead, on the embedded Temporal only."""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from api.commands.invoices import Number
from api.commands.shared import CommandError, DataOption, console, moment_words, run
from api.commands.stack_files import adopt_environment

if TYPE_CHECKING:
    from temporalio.client import Client

    from deploy.embedded.time_skipping import Arrival

_SPAN = re.compile(r"(\d{1,4})\s*(d|day|days|h|hour|hours|w|week|weeks)?", re.IGNORECASE)
_UNITS = {"d": timedelta(days=1), "h": timedelta(hours=1), "w": timedelta(weeks=1)}


def fast_forward_command(
    number: Number,
    to: Annotated[str, typer.Argument(help="How far (`14d`, `36h`, `2w`) or to which day (2027-01-15).")],
    data: DataOption,
) -> None:
    """Move one invoice's clock ahead, and live through everything that falls due on the way.

    Only on the embedded Temporal of `lunas up`. The other invoices' clocks stay where they are.

    Example: `lunas fast-forward FJ-1001 14d`
    """
    adopt_environment(data)
    arrival = run(_move(number, to))
    end = "" if arrival.running else ", where it ended"
    console.print(f"{number} is at {moment_words(arrival.now)}{end}.")


async def connect() -> Client:
    """A client for the Temporal of the environment; raises CommandError where it does not answer."""
    from temporalio.client import Client
    from temporalio.envconfig import ClientConfig

    options = ClientConfig.load_client_connect_config()
    options.setdefault("target_host", "localhost:7233")
    try:
        return await Client.connect(**options)
    except RuntimeError:
        raise CommandError("Temporal does not answer: start it (`lunas up`), or set TEMPORAL_ADDRESS") from None


async def _move(number: str, to: str) -> Arrival:
    from temporalio.service import RPCError

    from deploy.embedded.time_skipping import fast_forward, fast_forward_to
    from workflows.messages import workflow_id

    client = await connect()
    try:
        if (span := _SPAN.fullmatch(to.strip())) is not None:
            return await fast_forward(client, workflow_id(number), int(span[1]) * _UNITS[(span[2] or "d")[0].lower()])
        return await fast_forward_to(client, workflow_id(number), _noon(to))
    except (ValueError, OverflowError) as error:
        raise CommandError(str(error)) from None
    except RPCError as error:
        raise CommandError(f"Temporal refuses ({error.status.name}): {error.message}") from error


def _noon(text: str) -> datetime:
    """Noon of that day, here."""
    try:
        return datetime.combine(date.fromisoformat(text.strip()), time(12)).astimezone()
    except ValueError:
        raise CommandError(f"{text!r} is neither a span such as 14d nor a day such as 2027-01-15") from None
