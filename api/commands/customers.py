"""Customers from the command line: find them, look at their contacts, and erase one of these for good."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from api.commands.api_access import ask
from api.commands.requests import By
from api.commands.shared import CommandError, DataOption, console
from lunas.ledger.kinds import AddressState

customers_app = typer.Typer(no_args_is_help=True, help="Customers and their contacts.")

Code = Annotated[str, typer.Argument(help="The customer's code.")]


@customers_app.command("find")
def find_command(
    data: DataOption,
    text: Annotated[
        str | None, typer.Argument(help="A part of the code or the name; left out: all.", show_default=False)
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000)] = 50,
) -> None:
    """List customers by code.

    Example: `lunas customers find maju`
    """
    found = ask(data, lambda lunas: lunas.find_customers(text, limit=limit))
    table = Table(box=None, header_style="bold")
    for column in ("Code", "Name", "Language", "Time zone"):
        table.add_column(column, no_wrap=column == "Code")
    for one in found:
        table.add_row(escape(one.code), escape(one.name), one.language, one.time_zone)
    console.print(table if found else "No customer is called so.")


@customers_app.command("show")
def show_command(code: Code, data: DataOption) -> None:
    """Show a customer's contacts, the first to be tried first.

    Example: `lunas customers show ACME`
    """
    customer = ask(data, lambda lunas: lunas.customer(code))
    console.print(escape(f"{customer.code}, {customer.name}: {customer.language}, {customer.time_zone}"))
    table = Table(box=None, header_style="bold")
    for column in ("Id", "Name", "Email", "Telephone", "May be written to"):
        table.add_column(column, overflow="fold")
    for one in customer.contacts:
        table.add_row(
            str(one.id), escape(one.name or ""), _address(one.email, one.email_state),
            _address(one.phone, one.phone_state), "yes" if one.approved else "no",
        )  # fmt: skip
    console.print(table)


@customers_app.command("erase-contact")
def erase_command(
    code: Code,
    contact: Annotated[int, typer.Argument(min=1, help="Its id, as `lunas customers show` has it.")],
    data: DataOption,
    by: By,
    is_sure: Annotated[bool, typer.Option("--yes", help="Do not ask: it cannot be undone.")] = False,
) -> None:
    """Forget a person, for good: name, role, addresses, and what relays and research said about them.

    The journals stay, without the person: they know a contact by its id only. Nothing is sent there any more.

    Example: `lunas customers erase-contact ACME 17 --by dewi --yes`
    """
    if not is_sure and not typer.confirm(f"Erase contact {contact} of {code}, for good?"):
        raise CommandError("nothing was erased")
    erased = ask(data, lambda lunas: lunas.erase_contact(code, contact, by))
    console.print(escape(f"Contact {erased.id} of {code} is erased. The journals say that {by} did it."))


def _address(address: str | None, state: AddressState) -> str:
    if address is None:
        return ""
    return escape(address) if state is AddressState.OK else f"{escape(address)} ({state.replace('_', ' ')})"
