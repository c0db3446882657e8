"""Ending customers' links from the command line."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape

from api.commands.api_access import ask
from api.commands.requests import By, NeededWhy
from api.commands.shared import CommandError, DataOption, console


def revoke_links_command(
    data: DataOption,
    by: By,
    reason: NeededWhy,
    number: Annotated[str | None, typer.Argument(help="The invoice's number.", show_default=False)] = None,
    customer: Annotated[str | None, typer.Option(help="All of this customer's invoices instead.")] = None,
) -> None:
    """End every link to a customer's page that was made before now: one was sent to the wrong person, or forwarded.

    The next message brings a good one. Links to stop messages go on working.

    Example: `lunas revoke-links INV/2026/0042 --reason "forwarded by mistake"`
    """
    from api.schemas.upkeep import RevocationBody

    if bool(number) is bool(customer):
        raise CommandError("say which: an invoice's number, or --customer with a code")
    revocation = RevocationBody(by=by, reason=reason)
    ask(data, lambda lunas: lunas.revoke_links(revocation, invoice=number or "", customer=customer or ""))
    what = f"invoice {number}" if number else f"customer {customer}"
    console.print(escape(f"No link to {what} that was made before now works any more."), soft_wrap=True)
