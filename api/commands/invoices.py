"""Invoices from the command line: issue them, book money, ask of them what people ask, and look at them."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from api.commands.api_access import ask
from api.commands.shared import DATE_HELP, DataOption, amount, console, day, moment_words, today
from lunas.ledger.kinds import Language
from lunas.receivables.money import Currency, Money
from lunas.receivables.words import name_words

if TYPE_CHECKING:
    from api.client import LunasClient
    from api.schemas.customers import CustomerBody

Number = Annotated[str, typer.Argument(help="The invoice's number.", show_default=False)]


def issue_command(
    number: Number,
    data: DataOption,
    customer: Annotated[str, typer.Option(help="The customer's code.")],
    total: Annotated[str, typer.Option("--amount", help="What is billed, in major units, such as 12500000.")],
    description: Annotated[str, typer.Option(help="What is billed, in words.")],
    issued: Annotated[
        date | None, typer.Option(parser=day, metavar="DAY", help=f"{DATE_HELP}; left out: today.")
    ] = None,
    due: Annotated[date | None, typer.Option(parser=day, metavar="DAY", help="Left out: by the terms.")] = None,
    terms: Annotated[str | None, typer.Option(help="Such as `net 30` or `2/10 net 30`.")] = None,
    currency: Annotated[Currency, typer.Option(help="ISO 4217.")] = Currency.IDR,
    policy: Annotated[str | None, typer.Option(help="Left out: the customer's, or the default one.")] = None,
    order: Annotated[str | None, typer.Option("--po", help="The customer's order number.")] = None,
    name: Annotated[str | None, typer.Option(help="A customer that is new: its name.")] = None,
    email: Annotated[str | None, typer.Option(help="… its email address.")] = None,
    phone: Annotated[str | None, typer.Option(help="… its phone number, such as +6281234567890.")] = None,
    language: Annotated[Language, typer.Option(help="… its language.")] = Language.INDONESIAN,
    zone: Annotated[str, typer.Option(help="… its time zone.")] = "Asia/Jakarta",
) -> None:
    """Issue an invoice and start collecting it. A customer that is new comes with `--name` and its contact.

    Example: `lunas issue INV/2026/0042 --customer ACME --amount 12500000 --description "Beras 1 ton" --terms "net 30"`
    """
    from api.schemas.customers import ContactBody, CustomerBody
    from api.schemas.invoices import InvoiceBody, LineBody

    body = InvoiceBody(
        number=number,
        customer=customer,
        currency=currency,
        issued_on=issued or today(),
        terms=terms,
        due_on=due,
        policy=policy,
        purchase_order=order,
        lines=[LineBody(description=description, unit_price_minor=amount(total, currency).minor)],
    )

    async def issue(lunas: LunasClient) -> None:
        if name is not None:
            contacts = [ContactBody(email=email, phone=phone)] if email or phone else []
            await _keep(
                lunas, CustomerBody(code=customer, name=name, language=language, time_zone=zone, contacts=contacts)
            )
        view = await lunas.issue(body)
        console.print(f"{number} is issued: {Money(view.total_minor, view.currency)}, due {view.due_on:%-d %b %Y}.")

    ask(data, issue)


def status_command(
    data: DataOption,
    number: Annotated[
        str | None, typer.Argument(help="One invoice; left out: the list of them.", show_default=False)
    ] = None,
    stage: Annotated[list[str] | None, typer.Option(help="Only these stages, such as follow_up.")] = None,
    hold: Annotated[str | None, typer.Option(help="Only what is on this hold, such as promise.")] = None,
    customer: Annotated[str | None, typer.Option(help="Only this customer's.")] = None,
    flag: Annotated[str | None, typer.Option(help="Only what waits for a person, such as needs_approval.")] = None,
    overdue: Annotated[bool, typer.Option("--overdue", help="Only what is open and past due.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 50,
) -> None:
    """Show where an invoice stands and what happens next, or list invoices by due date.

    Example: `lunas status INV/2026/0042`, `lunas status --hold promise`
    """
    if number is not None:
        ask(data, lambda lunas: _show_one(lunas, number))
        return
    filters: dict[str, str | bool | list[str] | None] = {
        "stage": stage, "hold": hold, "customer": customer, "flag": flag, "overdue": overdue or None,
    }  # fmt: skip

    async def show(lunas: LunasClient) -> Table:
        table = Table(box=None, header_style="bold")
        for column in ("Invoice", "Customer", "Open", "Due", "Stage", "Hold", "Next", "On"):
            table.add_column(column, justify="right" if column == "Open" else "left", no_wrap=column != "Next")
        async for each in lunas.find_invoices(limit=limit, **filters):
            table.add_row(
                each.number, each.customer, str(Money(each.balance_minor, each.currency)), f"{each.due_on:%-d %b %Y}",
                name_words(each.stage), name_words(each.held) if each.held else "", each.next_step or "",
                f"{each.next_at.astimezone():%-d %b %Y}" if each.next_at else "",
            )  # fmt: skip
        return table

    found = ask(data, show)
    console.print(found if found.row_count else "No invoice is like that.")


def journal_command(number: Number, data: DataOption) -> None:
    """Show everything that happened to an invoice, oldest first.

    Example: `lunas journal INV/2026/0042`
    """
    table = Table(box=None, header_style="bold")
    for column in ("When", "What", "Stage", "By", "Detail"):
        table.add_column(column, no_wrap=column == "When")
    for line in ask(data, lambda lunas: lunas.journal(number)):
        moved = name_words(line.becomes) if line.becomes and line.becomes != line.was else ""
        said = "; ".join(part for part in (line.reason, line.detail) if part)
        table.add_row(moment_words(line.at), name_words(line.event), moved, escape(line.by), escape(said))
    console.print(table)


def why_command(
    number: Number,
    data: DataOption,
    on: Annotated[date | None, typer.Option(parser=day, metavar="DAY", help=f"One day, {DATE_HELP}.")] = None,
) -> None:
    """Say why messages about an invoice were, or were not, sent.

    Example: `lunas why INV/2026/0042 --on 2027-03-03`
    """
    decisions = ask(data, lambda lunas: lunas.decisions(number, on))
    if not decisions:
        console.print("Nothing was to be sent" + (f" on {on:%-d %b %Y}." if on else " so far."))
    for each in decisions:
        until = f", asked again {moment_words(each.until)}" if each.until else ""
        console.print(
            f"[bold]{moment_words(each.at)}[/]  {name_words(each.rung)} by {each.channel}: "
            f"{name_words(each.verdict)}{until}",
            soft_wrap=True,
        )
        console.print(f"  {escape(each.why)} (policy {escape(each.policy)})", soft_wrap=True)
        for gate in each.gates:
            mark = "[green]passed[/]" if gate.passed else "[red]stopped[/]"
            console.print(f"  {mark} {escape(gate.name)}: {escape(gate.detail)}", soft_wrap=True)


async def _show_one(lunas: LunasClient, number: str) -> None:
    from api.client import Declined
    from api.errors import Kind

    try:
        view = await lunas.invoice(number, live=True)
    except Declined as error:
        if not error.is_about(Kind.UNAVAILABLE):
            raise
        view = await lunas.invoice(number)
        console.print(f"[yellow]By the ledger alone:[/] {escape(str(error))}", soft_wrap=True)
    late = await lunas.interest(number)
    live = view.live
    next_step, next_at = (live.next_step, live.next_at) if live else (view.next_step, view.next_at)
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("Invoice", f"{view.number}, {escape(view.customer_name)} ({escape(view.customer)})")
    table.add_row(
        "Billed", f"{Money(view.total_minor, view.currency)}, issued {view.issued_on:%-d %b %Y}, {view.terms}"
    )
    table.add_row("Open", f"{Money(view.balance_minor, view.currency)}, due {view.due_on:%-d %b %Y}")
    if late.unclaimed_minor or late.fee_unclaimed_minor:
        table.add_row("If claimed", escape(late.detail))
    table.add_row("Stage", name_words(live.stage if live else view.stage))
    if view.hold is not None:
        why = f": {escape(view.hold.reason)}" if view.hold.reason else ""
        table.add_row(
            "On hold", f"{view.hold.kind} by {escape(view.hold.by)} until {moment_words(view.hold.until)}{why}"
        )
    if view.last_step:
        table.add_row("Last step", name_words(view.last_step))
    if next_step:
        table.add_row("Next", f"{next_step}, {moment_words(next_at)}")
    if view.flags:
        table.add_row("Waits for you", ", ".join(name_words(flag) for flag in view.flags))
    for notice in view.last_notices[:5]:
        when = moment_words(notice.sent_at or notice.claimed_at)
        table.add_row("Message", f"{name_words(notice.rung)} by {notice.channel}: {notice.state}, {when}")
    console.print(table)


async def _keep(lunas: LunasClient, customer: CustomerBody) -> None:
    from api.client import Declined
    from api.errors import Kind

    try:
        await lunas.create_customer(customer)
    except Declined as error:
        if not error.is_about(Kind.CONFLICT):
            raise
