"""Money from the command line: what came in, what we pay back, late interest and fees."""

from __future__ import annotations

import getpass
import uuid
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from api.commands.api_access import ask
from api.commands.invoices import Number
from api.commands.shared import DATE_HELP, CommandError, DataOption, amount, console, day, today
from lunas.ledger.kinds import ChargeKind
from lunas.receivables.money import Currency, Money

if TYPE_CHECKING:
    from api.client import LunasClient
    from api.schemas.charges import ChargeBody, ChargeView
    from api.schemas.payments import RemittanceLine

Provider = Annotated[str, typer.Option(help="Where it came in: a bank, a cash desk.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; it is kept with your name.")]
By = Annotated[str, typer.Option(help="Who decides; the journal keeps the name.", default_factory=getpass.getuser)]
Part = Annotated[str | None, typer.Option("--amount", help="In major units; left out: all that there is.")]
CurrencyOption = Annotated[Currency, typer.Option(help="ISO 4217, of --amount.")]
Kind = Annotated[ChargeKind, typer.Option(help="What it is about.")]
LastDay = Annotated[
    date | None, typer.Option("--on", parser=day, metavar="DAY", help=f"The last day that counts, {DATE_HELP}.")
]


def pay_command(
    data: DataOption,
    numbers: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NUMBER[=AMOUNT]...",
            help="The invoice, or those that one transfer is for; without amounts the oldest due is paid first.",
            show_default=False,
        ),
    ] = None,
    total: Annotated[str | None, typer.Option("--amount", help="In major units; left out: all that is open.")] = None,
    paid_on: Annotated[
        date | None,
        typer.Option("--on", parser=day, metavar="DAY", help=f"The value date, {DATE_HELP}; left out: today."),
    ] = None,
    provider: Provider = "manual",
    reference: Annotated[str | None, typer.Option(help="The bank's own reference: booked once, however often.")] = None,
    customer: Annotated[str | None, typer.Option(help="Who paid, where no invoice was named.")] = None,
    currency: CurrencyOption = Currency.IDR,
) -> None:
    """Book money that came in, for one invoice or for several.

    Example: `lunas pay INV/2026/0042 --amount 5000000 --provider bca --reference FT2611223344`
    """
    from api.schemas.payments import PaymentBody

    if not numbers and not (customer and total):
        raise typer.BadParameter(
            "Missing argument: name the invoices; or --customer and --amount, where none was named"
        )

    async def pay(lunas: LunasClient) -> str:
        lines, paid = await _remittance(lunas, numbers or [], total)
        paid = paid or amount(total or "0", currency)
        body = PaymentBody(
            provider=provider,
            reference=reference or f"cli-{uuid.uuid4()}",
            invoice=lines[0].invoice if len(lines) == 1 else None,
            lines=lines if len(lines) > 1 else None,
            customer=customer,
            amount_minor=paid.minor,
            currency=paid.currency,
            paid_on=paid_on or today(),
            by=getpass.getuser(),
        )
        return (await lunas.pay(body)).detail

    console.print(escape(ask(data, pay)), soft_wrap=True)


async def _remittance(
    lunas: LunasClient, written: list[str], total: str | None
) -> tuple[list[RemittanceLine], Money | None]:
    """The lines for what was written, and the amount: stated, or the sum of the lines, or all that is open."""
    from api.schemas.payments import RemittanceLine

    lines: list[RemittanceLine] = []
    found: list[Money] = []
    for one in written:
        number, _, part = one.partition("=")
        invoice = await lunas.invoice(number)
        left = Money(invoice.balance_minor, invoice.currency)
        if found and found[0].currency is not left.currency:
            raise CommandError(
                f"{number} is in {left.currency}, the others in {found[0].currency}: book each by itself"
            )
        said = amount(part, left.currency) if part else None
        found.append(said or left)
        lines.append(RemittanceLine(invoice=number, amount_minor=said.minor if said else None))
    if not found:
        return lines, None
    paid = amount(total, found[0].currency) if total else found[0]
    for more in found[1:] if not total else ():
        paid += more
    if paid.minor <= 0:
        raise CommandError(f"{', '.join(written)} has {paid} open: state what came in with --amount")
    if len({line.amount_minor is None for line in lines}) > 1:
        raise CommandError("some invoices have an amount and some have none: write NUMBER=AMOUNT for all, or for none")
    return lines, paid


def refund_command(
    receipt: Annotated[str, typer.Argument(help="The payment's reference.", show_default=False)],
    data: DataOption,
    by: By,
    reason: Reason,
    part: Part = None,
    currency: CurrencyOption = Currency.IDR,
    provider: Provider = "manual",
    reference: Annotated[str | None, typer.Option(help="Our transfer's reference: booked once, however often.")] = None,
    refunded_on: Annotated[
        date | None, typer.Option("--on", parser=day, metavar="DAY", help=f"{DATE_HELP}; left out: today.")
    ] = None,
) -> None:
    """Book that we pay back what is unapplied of a payment, or a part of it.

    Example: `lunas refund FT2611223344 --provider bca --reference OUT-17 --reason "paid twice"`
    """
    from api.schemas.payments import RefundBody

    stated = amount(part, currency) if part else None
    body = RefundBody(
        provider=provider,
        reference=reference or f"cli-{uuid.uuid4()}",
        amount_minor=stated.minor if stated else None,
        currency=stated.currency if stated else None,
        refunded_on=refunded_on or today(),
        reason=reason,
        by=by,
    )
    view = ask(data, lambda lunas: lunas.refund(receipt, body))
    words = "booked" if view.new else "booked before"
    left = Money(view.unapplied_minor, view.currency)
    console.print(f"{words}: {Money(view.amount_minor, view.currency)} paid back; {left} of it is unapplied")


def interest_command(
    data: DataOption,
    number: Annotated[
        str | None, typer.Argument(help="One invoice; left out: the sum of all by currency.", show_default=False)
    ] = None,
    as_of: LastDay = None,
) -> None:
    """Show what late interest and fee have accrued; until they are claimed, nobody owes them.

    Example: `lunas interest INV/2026/0042 --on 2026-12-31`
    """
    if number is not None:
        console.print(escape(ask(data, lambda lunas: lunas.interest(number, as_of)).detail), soft_wrap=True)
        return
    found = ask(data, lambda lunas: lunas.accrued(as_of))
    table = Table(box=None, header_style="bold")
    for column in ("Currency", "Accrued", "Invoices"):
        table.add_column(column, justify="left" if column == "Currency" else "right")
    for each in found.totals:
        places = each.currency.exponent
        table.add_row(each.currency, f"{Decimal(each.minor).scaleb(-places):,.{places}f}", str(each.invoices))
    console.print(table if found.totals else f"No policy counts interest that accrued by {found.as_of}.")


def charge_command(
    number: Number,
    data: DataOption,
    by: By,
    reason: Reason,
    kind: Kind = ChargeKind.INTEREST,
    part: Part = None,
    on: LastDay = None,
) -> None:
    """Claim late interest or the late fee: from now on it is owed.

    Example: `lunas charge INV/2026/0042 --kind interest --reason "agreed on the phone"`
    """

    async def charge(lunas: LunasClient) -> ChargeView:
        return await lunas.charge(number, await _body(lunas, number, kind, part, on, reason, by))

    _tell("claimed", ask(data, charge))


def waive_command(
    number: Number,
    data: DataOption,
    by: By,
    reason: Reason,
    kind: Kind = ChargeKind.INTEREST,
    part: Part = None,
    on: LastDay = None,
) -> None:
    """Give late interest or the late fee up, before it is claimed.

    Example: `lunas waive INV/2026/0042 --kind fee --reason "a good customer"`
    """

    async def waive(lunas: LunasClient) -> ChargeView:
        return await lunas.waive(number, await _body(lunas, number, kind, part, on, reason, by))

    _tell("waived", ask(data, waive))


async def _body(
    lunas: LunasClient, number: str, kind: ChargeKind, part: str | None, on: date | None, reason: str, by: str
) -> ChargeBody:
    from api.schemas.charges import ChargeBody

    stated = amount(part, (await lunas.invoice(number)).currency) if part else None
    return ChargeBody(
        kind=kind,
        amount_minor=stated.minor if stated else None,
        currency=stated.currency if stated else None,
        on=on,
        reason=reason,
        by=by,
    )


def _tell(what: str, view: ChargeView) -> None:
    before = "" if view.new else " before"
    console.print(
        f"{view.reference}, {Money(view.amount_minor, view.currency)}, is {what}{before}: "
        f"{Money(view.outstanding_minor, view.currency)} is open on {escape(view.invoice)}",
        soft_wrap=True,
    )
