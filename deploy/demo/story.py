"""Plays the demo: imports the invoices as anybody would, then lets months pass for each of them.

Every invoice has a clock of its own, which the embedded Temporal can move; so each lives its own true calendar. What
was played is noted beside the imported file: run again, the story goes on and repeats nothing.
"""

from __future__ import annotations

import asyncio
import csv
import io
import json
import re
from collections import Counter
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from fractions import Fraction
from pathlib import Path
from typing import assert_never
from zoneinfo import ZoneInfo

from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from temporalio.client import Client

from api.client import ApiError, LunasClient
from api.commands.clock import connect
from api.commands.importing import bring
from api.commands.shared import CommandError, console
from api.importing.model import Options
from api.importing.rows import parse
from api.schemas import payments, requests, upkeep
from deploy.demo import scenes as s
from deploy.embedded.time_skipping import TimeSkippingError, WorkflowNotRunning, clock, fast_forward_to
from lunas.receivables.events import DisputeOutcome
from lunas.receivables.invoice import Stage
from lunas.receivables.words import name_words
from workflows.messages import workflow_id

_INVOICES = Path(__file__).with_name("invoices.csv")
#: The newest invoice date in the file: the day on which the demo was written, moved to the day on which it is played.
_WRITTEN_FOR = date(2026, 11, 20)
_DATES = ("Tanggal Faktur", "Jatuh Tempo")
_HOME = ZoneInfo("Asia/Jakarta")
#: How long a workflow may take to hear of a fact, in seconds.
_PATIENCE = 60.0
#: Invoices that live at the same time; each has one activity under way at most.
_AT_ONCE = 8


async def play(folder: Path, lunas: LunasClient) -> None:
    """Import the demo's invoices, play every scene that was not played yet, and show where all of them stand.

    `folder` keeps the imported file and what was played. Raises CommandError for scenes that did not finish.
    """
    source = _invoices(folder)
    content = source.read_bytes()
    options = Options()
    parsed = parse(content, options)
    console.print(
        f"Importing {len(parsed.invoices)} invoices of {len(parsed.customers)} customers, as `lunas import` does …"
    )
    loaded = await bring(source, content, options, parsed, lunas)
    console.print(f"{loaded.issued} issued, {loaded.unchanged} there already.")
    await _Story(lunas, await connect(), folder / "played.json").play()
    console.print(await _standing(lunas))


def _invoices(folder: Path) -> Path:
    """The file to import; its dates are fixed when it is written first, so that a later import is the same."""
    folder.mkdir(parents=True, exist_ok=True)
    source = folder / "invoices.csv"
    if not source.exists():
        source.write_text(moved(_INVOICES.read_text("utf-8"), datetime.now(_HOME).date() - _WRITTEN_FOR), "utf-8")
    return source


def moved(text: str, by: timedelta) -> str:
    """The demo's CSV with every date moved, so that the newest invoice is of today."""
    rows = list(csv.DictReader(io.StringIO(text, newline=""), delimiter=";"))
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, rows[0].keys(), delimiter=";", lineterminator="\n")
    writer.writeheader()
    for row in rows:
        for column in _DATES:
            day = datetime.strptime(row[column], "%d/%m/%Y").date() + by  # noqa: DTZ007 - a date alone
            row[column] = f"{day:%d/%m/%Y}"
        writer.writerow(row)
    return out.getvalue()


class _Story:
    def __init__(self, lunas: LunasClient, temporal: Client, note: Path) -> None:
        self._lunas, self._temporal, self._note = lunas, temporal, note
        self._played: dict[str, int] = json.loads(note.read_text("utf-8")) if note.exists() else {}
        self._room = asyncio.Semaphore(_AT_ONCE)

    async def play(self) -> None:
        """Play what was not played yet, several invoices at once."""
        steps = sum(len(scene) for scene in s.SCENES.values())
        done = sum(min(self._played.get(number, 0), len(scene)) for number, scene in s.SCENES.items())
        if done == steps:
            console.print("The story was played before; nothing of it is repeated.")
            return
        bar = Progress(
            SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
            console=console, transient=True, disable=not console.is_terminal,
        )  # fmt: skip
        console.print("Letting months pass, for each invoice by its own clock …")
        with bar:
            task = bar.add_task("living", total=steps, completed=done)

            def step(number: str, what: str) -> None:
                bar.update(task, advance=1, description=f"{number} {what:<28.28}")

            async with asyncio.TaskGroup() as group:
                scenes = [group.create_task(self._scene(number, step)) for number in s.SCENES]
        failed = [why for scene in scenes if (why := scene.result()) is not None]
        if failed:
            raise CommandError(
                f"{len(failed)} of {len(scenes)} scenes did not finish, and go on when it is run again; "
                f"the first: {failed[0]}"
            )

    async def _scene(self, number: str, step: Callable[[str, str], None]) -> str | None:
        """Play one invoice's steps; the answer says why it stopped before the end."""
        async with self._room:
            for place, each in enumerate(s.SCENES[number]):
                if place < self._played.get(number, 0):
                    continue
                try:
                    await self._perform(number, place, each)
                except (ApiError, TimeSkippingError, TimeoutError) as error:
                    return f"{number}, {_words(each)}: {error}"
                self._played[number] = place + 1
                self._keep()
                step(number, _words(each))
        return None

    def _keep(self) -> None:
        partial = self._note.with_suffix(".partial")
        partial.write_text(json.dumps(self._played, indent=1, sort_keys=True), "utf-8")
        partial.replace(self._note)

    async def _perform(self, number: str, place: int, step: s.Step) -> None:
        match step:
            case s.LiveUntil(day=days):
                await self._live_until(number, days)
            case s.Pays() | s.PaymentBounces() | s.GetsCreditNote():
                await self._money(number, place, step)
            case s.AgencyReports(word=word):
                await self._lunas.agency_reported(number, upkeep.AgencyBody(word=upkeep.AgencyWord(word)))
                await self._heard(number)
            case s.AsksForAnotherWay():
                await self._lunas.answered(number, upkeep.AnswerBody(other_way=True))
                await self._heard(number)
            case _:
                await self._request(number, step)

    async def _live_until(self, number: str, days: int) -> None:
        invoice = await self._lunas.invoice(number)
        customer = await self._lunas.customer(invoice.customer)
        day = invoice.due_on + timedelta(days=days)
        noon = datetime.combine(day, time(12), ZoneInfo(customer.time_zone))
        await fast_forward_to(self._temporal, workflow_id(number), noon)

    async def _today(self, number: str) -> date:
        """The date by the invoice's own clock; by ours where its workflow has ended."""
        try:
            return (await clock(self._temporal, workflow_id(number))).astimezone(_HOME).date()
        except WorkflowNotRunning:
            return datetime.now(_HOME).date()

    async def _money(self, number: str, place: int, step: s.Pays | s.PaymentBounces | s.GetsCreditNote) -> None:
        invoice, today = await self._lunas.invoice(number), await self._today(number)
        match step:
            case s.Pays(share=share, provider=provider):
                body = payments.PaymentBody(
                    provider=provider,
                    reference=_payment(number, place),
                    invoice=number,
                    amount_minor=_part(invoice.balance_minor, share),
                    currency=invoice.currency,
                    paid_on=today,
                )
                await self._lunas.pay(body)
            case s.PaymentBounces(reason=reason):
                reversal = payments.ReversalBody(
                    provider="bca", reference=f"{_payment(number, place)}-back", reversed_on=today, reason=reason
                )
                await self._lunas.reverse(_payment(number, place - 1), reversal)
            case s.GetsCreditNote(reason=reason, share=share):
                note = payments.CreditNoteBody(
                    number=f"NK-{number}",
                    invoice=number,
                    amount_minor=_part(invoice.balance_minor, share),
                    currency=invoice.currency,
                    issued_on=today,
                    reason=reason,
                )
                await self._lunas.credit(note)
        await self._heard(number, reopened=isinstance(step, s.PaymentBounces))

    async def _request(self, number: str, step: s.Ask) -> None:
        lunas, today = self._lunas, await self._today(number)
        match step:
            case s.Promises(days=days):
                await lunas.promise(number, requests.PromiseBody(pay_by=today + timedelta(days=days)))
            case s.Disputes(reason=reason, share=share):
                balance = (await lunas.invoice(number)).balance_minor
                part = None if share is None else _part(balance, share)
                await lunas.dispute(number, requests.DisputeBody(reason=reason, amount_minor=part))
            case s.Resolves(outcome=outcome, reason=reason):
                body = requests.ResolutionBody(outcome=DisputeOutcome(outcome), reason=reason)
                await lunas.resolve(number, body)
            case s.Pauses(days=days, reason=reason):
                await lunas.pause(number, requests.PauseBody(until=today + timedelta(days=days), reason=reason))
            case s.Decides(by=by, approve=approve, reason=reason):
                await lunas.place(number, requests.PlacementBody(by=by, approve=approve, reason=reason))
            case s.Recalls(by=by, reason=reason):
                await lunas.recall(number, requests.DecisionBody(by=by, reason=reason))
            case s.WrittenOff(by=by, reason=reason):
                await lunas.write_off(number, requests.DecisionBody(by=by, reason=reason))
            case s.Cancelled(by=by, reason=reason):
                await lunas.cancel(number, requests.DecisionBody(by=by, reason=reason))
            case s.HeldForCredit(by=by, reason=reason):
                await lunas.decide_credit(number, requests.CreditBody(by=by, release=False, reason=reason))
            case _:
                assert_never(step)

    async def _heard(self, number: str, *, reopened: bool = False) -> None:
        """Wait until the workflow knows what was just written down, or has ended over it; raises TimeoutError."""
        async with asyncio.timeout(_PATIENCE):
            while True:
                invoice = await self._lunas.invoice(number, live=True)
                if invoice.live is not None and invoice.live.facts_version >= invoice.facts_version:
                    return
                if invoice.live is None and invoice.stage.is_closed and not reopened:
                    return
                await asyncio.sleep(0.1)


def _payment(number: str, place: int) -> str:
    return f"demo-{number}-{place}"


def _part(minor: int, share: Fraction) -> int:
    return max(1, int(minor * share))


def _words(step: s.Step) -> str:
    """The step as the progress shows it: `lives until day +14`, `disputes`."""
    if isinstance(step, s.LiveUntil):
        return f"lives until day {step.day:+d}"
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(step).__name__).lower()


async def _standing(lunas: LunasClient) -> Table:
    """How many of the demo's invoices are in each stage and on each hold."""
    found = [each async for each in lunas.find_invoices() if each.number in s.SCENES]
    stages = Counter(each.stage for each in found)
    holds = Counter(each.held for each in found if each.held is not None)
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for stage in Stage:
        if stages[stage]:
            held = ", ".join(
                f"{sum(each.held is hold for each in found if each.stage is stage)} on {hold}"
                for hold in holds
                if any(each.held is hold and each.stage is stage for each in found)
            )
            table.add_row(str(stages[stage]), name_words(stage), held)
    return table
