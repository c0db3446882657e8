"""What operations do by hand: nudge workflows, stop all sending, and settle notices whose outcome nobody knows."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from api.commands.api_access import ask
from api.commands.requests import By, NeededWhy
from api.commands.shared import CommandError, DataOption, NotAllDone, console, moment_words
from lunas.receivables.words import name_words

if TYPE_CHECKING:
    from api.client import LunasClient
    from api.schemas.upkeep import SwitchView

sending_app = typer.Typer(no_args_is_help=True, help="The switch that stops all sending, to everybody.")
notices_app = typer.Typer(no_args_is_help=True, help="Notices whose outcome nobody knows.")


def nudge_command(
    data: DataOption,
    numbers: Annotated[list[str] | None, typer.Argument(help="The invoices' numbers.", show_default=False)] = None,
    every_open: Annotated[bool, typer.Option("--open", help="Every open invoice, as after a deploy.")] = False,
    per_second: Annotated[float, typer.Option(min=0.1, max=200, help="At most so many a second.")] = 20,
) -> None:
    """Tell an invoice's workflow the ledger's news, or start it where it should run and does not.

    It does by hand, and at once, what the reconcile schedule does every five minutes, and is harmless at any time. It
    also wakes a workflow that rests on an old build, which then moves on to the current one. Where Temporal is not
    reached the exit code is 3.

    Example: `lunas nudge INV/2026/0042`
    """
    if bool(numbers) is every_open:
        raise CommandError("say which: one or more numbers, or --open for every open invoice")
    waiting = ask(data, lambda lunas: _nudge(lunas, numbers or None, per_second))
    if waiting:
        raise NotAllDone(
            f"Temporal was not reached for {waiting}: see `lunas doctor`; the reconcile schedule tries again"
        )


async def _nudge(lunas: LunasClient, numbers: list[str] | None, per_second: float) -> int:
    """Nudge them, say what came of each, and return how many could not be."""
    from api.schemas.invoices import Told

    words = {
        Told.STARTED: "no workflow ran: one is started",
        Told.RUNNING: "its workflow runs, and has the ledger's news",
        Told.CLOSED: "it is closed, and nothing opens it again",
        Told.PENDING: "Temporal was not reached",
    }
    # All numbers first: a list that is walked while its invoices change would miss some.
    wanted = numbers or [one.number async for one in lunas.find_invoices(open=True)]
    waiting, began = 0, time.monotonic()
    for place, number in enumerate(wanted):
        await asyncio.sleep(max(0.0, began + place / per_second - time.monotonic()))
        told = (await lunas.nudge(number)).workflow
        waiting += told is Told.PENDING
        console.print(f"{escape(number)}: {words[told]}.", soft_wrap=True)
    return waiting


@sending_app.command("stop")
def stop_command(data: DataOption, by: By, reason: NeededWhy) -> None:
    """Stop all sending, on every channel, at once. What was let go before may leave for some seconds yet.

    Example: `lunas sending stop --reason "template with the wrong account"`
    """
    from api.schemas.upkeep import TurnBody

    _show(ask(data, lambda lunas: lunas.stop_sending(TurnBody(by=by, reason=reason))))


@sending_app.command("go")
def go_command(data: DataOption, by: By, reason: NeededWhy) -> None:
    """Let messages leave again. What waited asks again within a quarter of an hour.

    Example: `lunas sending go --reason "template corrected"`
    """
    from api.schemas.upkeep import TurnBody

    _show(ask(data, lambda lunas: lunas.resume_sending(TurnBody(by=by, reason=reason))))


@sending_app.command("status")
def sending_command(data: DataOption) -> None:
    """Say whether messages leave at all, and if not, who stopped them and why.

    Example: `lunas sending status`
    """
    _show(ask(data, lambda lunas: lunas.sending()))


def _show(switch: SwitchView) -> None:
    if not switch.stopped:
        console.print("Messages leave.")
        return
    since = f"since {moment_words(switch.since)} " if switch.since else ""
    console.print(
        escape(f"All sending is stopped {since}by {switch.by}: {switch.reason}. `lunas sending go` lets it go on."),
        soft_wrap=True,
    )


@notices_app.command("unsettled")
def unsettled_command(data: DataOption) -> None:
    """List notices that may or may not have been sent, oldest first: the relay's answer was lost.

    Ask the relay's log for the Message-ID, then `lunas notices settle`.

    Example: `lunas notices unsettled`
    """
    found = ask(data, lambda lunas: lunas.unsettled())
    if not found:
        console.print("Of every notice it is known whether it was sent.")
        return
    table = Table(box=None, header_style="bold")
    for column in ("Id", "Invoice", "Notice", "By", "Since", "Message-ID"):
        table.add_column(column, no_wrap=column in ("Id", "Invoice"), overflow="fold")
    for one in found:
        table.add_row(
            str(one.id), escape(one.invoice), name_words(one.rung), one.channel, moment_words(one.claimed_at),
            escape(one.message_id or ""),
        )  # fmt: skip
    console.print(table)


@notices_app.command("settle")
def settle_command(
    notice: Annotated[int, typer.Argument(min=1, help="Its id, as `lunas notices unsettled` shows it.")],
    data: DataOption,
    by: By,
    was_sent: Annotated[
        bool | None, typer.Option("--sent/--not-sent", help="What the relay's log or the customer says.")
    ] = None,
) -> None:
    """Settle whether a notice was sent. It is never sent again by itself, whatever the answer.

    Example: `lunas notices settle 17 --sent --by dewi`
    """
    from api.schemas.upkeep import SettlementBody

    if was_sent is None:
        raise CommandError("say what is known: --sent or --not-sent")
    settled = ask(data, lambda lunas: lunas.settle_notice(notice, SettlementBody(was_sent=was_sent, by=by)))
    said = "was sent" if was_sent else "was not sent"
    console.print(
        escape(f"{name_words(settled.rung)} by {settled.channel} about {settled.invoice} {said}, says {by}."),
        soft_wrap=True,
    )
