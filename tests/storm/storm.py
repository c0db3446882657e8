"""One storm from its first process to its verdict."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from pathlib import Path

from sqlalchemy import func, select
from temporalio.service import RPCError

from lunas.ledger.invariants import Violation
from lunas.ledger.kinds import NoticeState
from lunas.ledger.tables import InvoiceRow, NoticeRow, NudgeRow
from lunas.receivables.invoice import CLOSED
from tests.storm.driver import Driver
from tests.storm.evidence import Evidence, read_ledger, read_mails, settled_at
from tests.storm.nursery import Nursery
from tests.storm.plan import Scale, make_plan
from tests.storm.report import Outcome, outcome
from tests.storm.sink import read_log
from tests.storm.verdict import verdict
from tests.storm.world import World, world
from workflows import messages as m

#: Seconds that everything may take to come to rest when the faults are over.
_CALM = 90.0
_BROKEN = "ExecutionStatus IN ('Failed', 'Terminated', 'TimedOut', 'Canceled') OR TemporalReportedProblems IS NOT NULL"


async def storm(
    seed: int, scale: Scale, nursery: Nursery, *, postgresql: bool, naive: bool = False, keep: bool = False
) -> Outcome:
    """Run one storm and judge it. Its files are kept where `keep` says so, or something was found."""
    folder = Path(tempfile.mkdtemp(prefix="lunas-storm-"))
    plan = make_plan(seed, scale, with_database=postgresql)
    plan.print()
    began = time.monotonic()
    design = "control (check, send, record)" if naive else "the protocol"
    title = f"{design}, {'PostgreSQL' if postgresql else 'SQLite'}"
    async with world(folder, scale, seed, nursery, postgresql=postgresql, naive=naive) as parts:
        driver = Driver(plan, parts)
        await driver.issue()
        await driver.run()
        await parts.clear_up()
        at_rest = naive or await _come_to_rest(parts)
        running, broken = await _workflows(parts)
        await parts.silence()
        found = await read_ledger(parts.ledger)
        evidence = Evidence(
            plan=plan,
            mails=read_mails(folder / "mail", plan),
            relay_events=tuple(read_log(folder / "mail")),
            settled_at=settled_at(plan, driver.acknowledged.first),
            held=driver.acknowledged.held,
            acknowledged=frozenset(driver.acknowledged.first),
            running=running,
            broken_workflows=broken,
            unread=_files_that_nobody_should_read(folder, nursery),
            **found,  # type: ignore[arg-type]
        )
    violations = verdict(evidence)
    if not at_rest:
        violations.append(Violation(5, "everything", f"it did not come to rest within {_CALM:.0f} s of fair weather"))
    result = outcome(
        title, evidence, driver.acknowledged, parts.happened, parts.deaths, time.monotonic() - began, violations
    )
    if keep or (violations and not naive):
        print(f"its files are in {folder}, its logs in {nursery.folder}")
    else:
        shutil.rmtree(folder, ignore_errors=True)
    return result


async def _come_to_rest(parts: World) -> bool:
    """In fair weather what was begun is finished; False where it is not."""
    end = time.monotonic() + _CALM
    quiet = 0
    while quiet < 3:
        if time.monotonic() > end:
            return False
        await asyncio.sleep(0.5)
        quiet = quiet + 1 if await _is_quiet(parts) else 0
    return True


async def _is_quiet(parts: World) -> bool:
    async with parts.ledger.read() as session:
        under_way = (NoticeState.CLAIMED, NoticeState.COMMITTING)
        notices = await session.scalar(select(func.count()).where(NoticeRow.state.in_(under_way)))
        nudges = await session.scalar(select(func.count()).where(NudgeRow.delivered_at.is_(None)))
        is_open = await session.scalar(select(func.count()).where(InvoiceRow.stage.not_in(CLOSED)))
    try:
        running = (await parts.client.count_workflows(_RUNNING)).count
    except RPCError:
        return False
    return not notices and not nudges and running == is_open


_RUNNING = f"WorkflowType = '{m.INVOICE_WORKFLOW}' AND ExecutionStatus = 'Running'"


async def _workflows(parts: World) -> tuple[list[str], list[str]]:
    """Numbers of invoices whose workflow runs, and what is broken."""
    prefix = m.workflow_id("")
    running = [found.id.removeprefix(prefix) async for found in parts.client.list_workflows(_RUNNING)]
    broken = [found.id async for found in parts.client.list_workflows(_BROKEN)]
    return running, broken


def _files_that_nobody_should_read(folder: Path, nursery: Nursery) -> dict[str, bytes]:
    """Temporal's files and every log."""
    paths = [*(folder / "temporal").glob("temporal.*"), *nursery.folder.glob("*.log")]
    return {path.name: path.read_bytes() for path in paths if path.is_file()}
