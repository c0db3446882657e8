"""`lunas import`: open invoices from another system."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from api.commands.api_access import open_client
from api.commands.shared import CommandError, DataOption, NotAllDone, console, run
from lunas.receivables.calendar import zone as zone_named
from lunas.receivables.money import Currency
from lunas.receivables.terms import Terms

if TYPE_CHECKING:
    from api.client import LunasClient
    from api.importing.load import Loaded
    from api.importing.model import Options, Parsed

_SHOWN = 5


def import_command(
    file: Annotated[Path, typer.Argument(help="The CSV file.", exists=True, dir_okay=False, readable=True)],
    data: DataOption,
    mapping: Annotated[
        list[str] | None, typer.Option("--map", help='FIELD="HEADER", for a column that is not recognised.')
    ] = None,
    dates: Annotated[str | None, typer.Option(help="How dates are written, such as dd/mm/yyyy.")] = None,
    decimal: Annotated[str | None, typer.Option(help="`comma` (1.500.000,00) or `point` (1,500,000.00).")] = None,
    encoding: Annotated[str | None, typer.Option(help="Such as cp1252; left out: UTF-8.")] = None,
    delimiter: Annotated[
        str | None, typer.Option(help="comma, semicolon, tab or pipe; left out: as the file shows.")
    ] = None,
    currency: Annotated[Currency, typer.Option(help="Of rows that name none.")] = Currency.IDR,
    terms: Annotated[str | None, typer.Option(help="Of rows that name none, such as `net 30`.")] = None,
    policy: Annotated[
        str | None, typer.Option(help="Of rows that name none; else the customer's or the default.")
    ] = None,
    language: Annotated[str, typer.Option(help="Of customers whose row names none: id or en.")] = "id",
    zone: Annotated[str, typer.Option(help="Of customers whose row and town name none.")] = "Asia/Jakarta",
    region: Annotated[str, typer.Option(help="The country of phone numbers without a code.")] = "ID",
    lenient: Annotated[
        bool, typer.Option("--lenient", help="Leave emails and phones that cannot be used out.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read and check the file; issue nothing.")] = False,
) -> None:
    """Bring open invoices from another system, as a CSV file.

    Headers in Indonesian and English are recognised (No. Faktur, Nama Pelanggan, Jatuh Tempo, Jumlah, Sisa, …).
    Nothing is guessed: where a date or an amount could be read in two ways, it asks you to say which. Rows that cannot
    be taken are written to `FILE.rejected.csv` with the reason, and the rest is imported. Safe to run again: what is
    there stays.

    Example: `lunas import faktur.csv --map number="No. Dok" --dates dd/mm/yyyy`
    """
    from api.importing.amounts import read_decimals
    from api.importing.columns import read_map
    from api.importing.dates import DateFormat
    from api.importing.load import Loaded
    from api.importing.model import Options
    from api.importing.report import write_rejected
    from api.importing.rows import parse
    from api.importing.source import read_delimiter

    if language not in ("id", "en"):
        raise CommandError(f"{language!r} is not a language that is written in: say id or en")
    zone_named(zone)
    options = Options(
        mapping=read_map(mapping or []),
        encoding=encoding,
        delimiter=read_delimiter(delimiter) if delimiter else None,
        dates=DateFormat(dates.lower()) if dates else None,
        decimals=read_decimals(decimal) if decimal else None,
        currency=currency,
        region=region.upper(),
        terms=Terms.parse(terms) if terms else None,
        policy=policy,
        language=language,
        time_zone=zone,
        lenient=lenient,
    )
    content = file.read_bytes()
    parsed = parse(content, options)
    loaded = Loaded() if dry_run else run(_bring(file, content, options, parsed, data))
    rejections = [*parsed.rejections, *loaded.rejections]
    # A rehearsal does not take the report of a real import away.
    report = write_rejected(file, parsed.columns.headers, rejections) if rejections or not dry_run else None
    console.print(summary(parsed, loaded, dry_run=dry_run))
    for note in parsed.notes:
        console.print(f"[dim]note:[/] {escape(note)}", soft_wrap=True)
    for each in rejections[:_SHOWN]:
        where = f"line {each.line}" + (f", {each.column}" if each.column else "")
        console.print(f"[yellow]{escape(where)}:[/] {escape(each.shape)} {escape(each.reason)}", soft_wrap=True)
    if report is not None:
        raise NotAllDone(f"{len(rejections)} rows were not taken: correct them in {report}, and import that file")


async def bring(file: Path, content: bytes, options: Options, parsed: Parsed, lunas: LunasClient) -> Loaded:
    """Issue what was read, with a progress bar; raises CommandError where the API stays away."""
    from api.importing.load import ImportInterrupted, Note, load
    from api.importing.register import ApiRegister

    bar = Progress(
        TextColumn("Importing"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    try:
        with Note.beside(file, content, options) as note, bar:
            task = bar.add_task("invoices", total=len(parsed.invoices))
            return await load(parsed, ApiRegister(lunas), note, lambda: bar.advance(task))
    except ImportInterrupted as error:
        raise CommandError(str(error)) from error


async def _bring(file: Path, content: bytes, options: Options, parsed: Parsed, data: Path) -> Loaded:
    async with open_client(data) as lunas:
        return await bring(file, content, options, parsed, lunas)


def summary(parsed: Parsed, loaded: Loaded, *, dry_run: bool = False) -> Table:
    """What became of every row, and what was read how."""
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(justify="right", style="bold")
    table.add_column()
    if dry_run:
        table.add_row(str(len(parsed.invoices)), f"could be issued, to {len(parsed.customers)} customers")
    else:
        table.add_row(str(loaded.issued), "issued")
        table.add_row(str(loaded.unchanged), "there already, unchanged")
    for why, count in sorted(parsed.passed_over.items()):
        table.add_row(str(count), f"passed over: {why}")
    table.add_row(str(len(parsed.rejections) + len(loaded.rejections)), "not taken")
    table.add_row("", f"dates read as {parsed.dates.pattern}, amounts with a decimal {parsed.decimals.name.lower()}")
    return table
