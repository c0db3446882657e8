"""What people ask of a running invoice: a promise, a dispute, a pause … Each may be refused, in a sentence."""

from __future__ import annotations

import getpass
from collections.abc import Awaitable, Callable
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from api.commands.api_access import ask
from api.commands.invoices import Number
from api.commands.shared import DATE_HELP, DataOption, amount, console, day, moment_words
from lunas.receivables.events import DisputeOutcome
from lunas.receivables.instalments import Every
from lunas.receivables.money import Currency, Money
from lunas.receivables.words import name_words

if TYPE_CHECKING:
    from api.client import LunasClient
    from api.schemas.requests import RequestView

By = Annotated[str, typer.Option(help="Who asks; the journal keeps the name.", default_factory=getpass.getuser)]
Why = Annotated[str | None, typer.Option("--reason", help="Why; the journal keeps it.")]
NeededWhy = Annotated[str, typer.Option("--reason", help="Why; the journal keeps it.")]
Part = Annotated[str | None, typer.Option("--amount", help="In major units; left out: all that is open.")]


def promise_command(
    number: Number,
    data: DataOption,
    by: By,
    pay_by: Annotated[
        date, typer.Option("--pay-by", parser=day, metavar="DAY", help=f"The promised day, {DATE_HELP}.")
    ],
    part: Part = None,
    reason: Why = None,
) -> None:
    """Record that the customer promises to pay by a day: reminders rest until then.

    Example: `lunas promise INV/2026/0042 --pay-by 2026-12-05`
    """
    from api.schemas.requests import PromiseBody

    async def promise(lunas: LunasClient) -> RequestView:
        return await lunas.promise(
            number, PromiseBody(pay_by=pay_by, amount_minor=await _minor(lunas, number, part), by=by, reason=reason)
        )

    _tell(data, promise)


def instalments_command(
    number: Number,
    data: DataOption,
    by: By,
    count: Annotated[int, typer.Option(min=2, help="How many instalments.")],
    first_on: Annotated[
        date, typer.Option("--first-on", parser=day, metavar="DAY", help=f"The first one's day, {DATE_HELP}.")
    ],
    every: Annotated[Every, typer.Option(help="How far apart they are.")] = Every.MONTH,
    reason: Why = None,
) -> None:
    """Record that the customer pays all that is open in equal instalments: reminders rest while each comes in time.

    Example: `lunas instalments INV/2026/0042 --count 3 --first-on 2026-12-05`
    """
    from api.schemas.requests import PlanBody

    body = PlanBody(count=count, first_on=first_on, every=every, by=by, reason=reason)
    _tell(data, lambda lunas: lunas.instalments(number, body))


def dispute_command(number: Number, data: DataOption, by: By, reason: NeededWhy, part: Part = None) -> None:
    """Record that the customer says the bill is wrong: reminders rest until it is decided.

    Example: `lunas dispute INV/2026/0042 --reason "two boxes were missing" --amount 1200000`
    """
    from api.schemas.requests import DisputeBody

    async def dispute(lunas: LunasClient) -> RequestView:
        body = DisputeBody(amount_minor=await _minor(lunas, number, part), by=by, reason=reason)
        return await lunas.dispute(number, body)

    _tell(data, dispute)


def resolve_command(
    number: Number,
    data: DataOption,
    by: By,
    outcome: Annotated[DisputeOutcome, typer.Option(help="upheld: the customer is right, a credit note follows.")],
    reason: Why = None,
) -> None:
    """Decide a dispute: reminders go on.

    Example: `lunas resolve INV/2026/0042 --outcome rejected --reason "delivery note is signed"`
    """
    from api.schemas.requests import ResolutionBody

    _tell(data, lambda lunas: lunas.resolve(number, ResolutionBody(outcome=outcome, by=by, reason=reason)))


def pause_command(
    number: Number,
    data: DataOption,
    by: By,
    reason: NeededWhy,
    until: Annotated[
        date | None, typer.Option(parser=day, metavar="DAY", help=f"{DATE_HELP}; left out: by policy.")
    ] = None,
) -> None:
    """Send nothing for a while.

    Example: `lunas pause INV/2026/0042 --until 2026-12-05 --reason "their bookkeeper is ill"`
    """
    from api.schemas.requests import PauseBody

    _tell(data, lambda lunas: lunas.pause(number, PauseBody(until=until, by=by, reason=reason)))


def resume_command(number: Number, data: DataOption, by: By, reason: Why = None) -> None:
    """End a pause.

    Example: `lunas resume INV/2026/0042`
    """
    from api.schemas.requests import RequestBody

    _tell(data, lambda lunas: lunas.resume(number, RequestBody(by=by, reason=reason)))


def approve_command(
    number: Number,
    data: DataOption,
    by: By,
    refuse: Annotated[bool, typer.Option("--refuse", help="Keep it with us instead.")] = False,
    reason: Why = None,
) -> None:
    """Let the collection agency have an invoice, or keep it.

    Example: `lunas approve INV/2026/0042 --by siti --reason "no answer for four months"`
    """
    from api.schemas.requests import PlacementBody

    _tell(data, lambda lunas: lunas.place(number, PlacementBody(approve=not refuse, by=by, reason=reason)))


def recall_command(number: Number, data: DataOption, by: By, reason: NeededWhy) -> None:
    """Take an invoice back from the agency.

    Example: `lunas recall INV/2026/0042 --reason "the customer called us"`
    """
    from api.schemas.requests import DecisionBody

    _tell(data, lambda lunas: lunas.recall(number, DecisionBody(by=by, reason=reason)))


def write_off_command(number: Number, data: DataOption, by: By, reason: NeededWhy) -> None:
    """Book an invoice as a loss; the claim may live on.

    Example: `lunas write-off INV/2026/0042 --reason "insolvent"`
    """
    from api.schemas.requests import DecisionBody

    _tell(data, lambda lunas: lunas.write_off(number, DecisionBody(by=by, reason=reason)))


def cancel_command(number: Number, data: DataOption, by: By, reason: NeededWhy) -> None:
    """Stop collecting an invoice that should never have been.

    Example: `lunas cancel INV/2026/0042 --reason "issued twice"`
    """
    from api.schemas.requests import DecisionBody

    _tell(data, lambda lunas: lunas.cancel(number, DecisionBody(by=by, reason=reason)))


async def _minor(lunas: LunasClient, number: str, part: str | None) -> int | None:
    """A stated amount in minor units of the invoice's currency."""
    return None if part is None else amount(part, (await lunas.invoice(number)).currency).minor


def _tell(data: Path, request: Callable[[LunasClient], Awaitable[RequestView]]) -> None:
    view = ask(data, request)
    held = f", on hold ({view.held}) until {moment_words(view.held_until)}" if view.held else ""
    then = f". Next: {view.next_step}, {moment_words(view.next_at)}" if view.next_step and not view.held else ""
    open_now = Money(view.outstanding_minor, Currency(view.currency))
    console.print(escape(f"{view.number} is {name_words(view.stage)}{held}, {open_now} open{then}."), soft_wrap=True)
