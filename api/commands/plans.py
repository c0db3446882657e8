"""`lunas rehearse` and `lunas lifecycle`: what a policy will do, and the table that every invoice follows."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from api.commands.shared import DATE_HELP, CommandError, amount, console, day, today
from lunas.receivables.calendar import zone as zone_named
from lunas.receivables.rehearsal import Planned, issue, rehearse
from lunas.receivables.terms import Terms
from lunas.receivables.words import late_words, name_words

if TYPE_CHECKING:
    from lunas.receivables.policy import Policy


def rehearse_command(
    policy: Annotated[str | None, typer.Option(help="The policy's name; left out: the default one.")] = None,
    terms: Annotated[str | None, typer.Option(help="Other terms than the policy's, such as `2/10 net 30`.")] = None,
    issued: Annotated[
        date | None, typer.Option(parser=day, metavar="DAY", help=f"The invoice date, {DATE_HELP}.")
    ] = None,
    due: Annotated[
        date | None, typer.Option(parser=day, metavar="DAY", help="The due date; left out: by the terms.")
    ] = None,
    total: Annotated[str, typer.Option("--amount", help="What is billed, in major units.")] = "12500000",
    currency: Annotated[str, typer.Option(help="ISO 4217.")] = "IDR",
    zone: Annotated[str, typer.Option(help="The customer's time zone.")] = "Asia/Jakarta",
    days: Annotated[int, typer.Option(min=1, max=1500, help="How long after the due date.")] = 120,
    folder: Annotated[
        Path | None,
        typer.Option(help="A folder with policies, such as one you are working on.", exists=True, file_okay=False),
    ] = None,
) -> None:
    """Show, day by day, what a policy would do to an invoice that nobody pays.

    Nothing is sent and nothing is stored; it walks the same rules that the running invoices follow.

    Example: `lunas rehearse --policy standard --terms "net 14" --issued 2026-12-01 --days 60`
    """
    issued_on = issued or today()
    zone_named(zone)
    from api.services import PolicyShelf
    from lunas.settings import settings

    shelf = PolicyShelf(settings().default_policy, folder or settings().policy_folder)
    name = policy or shelf.default
    if name not in shelf.names():
        raise CommandError(f"there is no policy {name!r}: there are {', '.join(shelf.names())}")
    followed = shelf.resolved(name, zone, issued_on)
    due_on = due or (Terms.parse(terms) if terms else followed.terms).due_on(issued_on)
    opened = datetime.combine(issued_on, time(9), zone_named(zone)).astimezone(UTC)
    state = issue(
        "REHEARSAL", "CUSTOMER", amount(total, currency), issued_on, followed, opened_at=opened, due_on=due_on
    )
    _show(followed, due_on, rehearse(state, days=days))


def lifecycle_command(
    diagram: Annotated[bool, typer.Option("--diagram", help="Mermaid instead of tables.")] = False,
) -> None:
    """Print the table that every invoice follows, as Markdown, or its diagram as Mermaid.

    Example: `lunas lifecycle > lifecycle.md`, `lunas lifecycle --diagram`
    """
    from lunas.receivables import describe

    print(describe.diagram() if diagram else describe.table())  # noqa: T201


def _show(policy: Policy, due_on: date, planned: tuple[Planned, ...]) -> None:
    title = f"{policy.name} ({policy.version}), due {due_on:%a %-d %b %Y}, {policy.calendar.zone_name}"
    if not console.is_terminal:
        console.print(title, soft_wrap=True)
        for line in planned:
            console.print(str(line), soft_wrap=True, markup=False)
        return
    table = Table(title=title, title_justify="left", header_style="bold")
    for column in ("Day", "At", "From the due date", "Stage", "Then"):
        table.add_column(column, no_wrap=column != "Then")
    zone = zone_named(policy.calendar.zone_name)
    for line in planned:
        stage = name_words(line.stage) + (f" ({name_words(line.held)})" if line.held else "")
        table.add_row(
            f"{line.on:%a %-d %b %Y}", f"{line.at.astimezone(zone):%H:%M}", late_words(line.days_late), stage, line.what
        )
    console.print(table)
