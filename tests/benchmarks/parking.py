"""What an invoice costs that only waits: memory of the worker, sandbox on, beside a bare workflow that waits.

The bare workflow runs as the SDK runs any: each sandbox reads its module anew, where ours is passed through (see
`workflows/sandbox.py`). Each side has a process of its own, which parks some workflows first, so that what every worker
needs is in its memory already, and then many more. Run by itself it is such a process:
`python -m tests.benchmarks.parking ADDRESS ours`.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from temporalio.client import Client, WorkflowHandle
from temporalio.worker import Worker

from lunas.policies import policy_for
from lunas.receivables.money import Currency, Money
from lunas.receivables.rehearsal import issue
from tests.benchmarks.bare import PARKED_EVENTS, BareWorkflow
from tests.benchmarks.house import BILLED, ZONE, temporal
from tests.benchmarks.measure import Figure, resident_kib
from workflows import messages as m
from workflows.converter import data_converter
from workflows.invoice import InvoiceWorkflow
from workflows.sandbox import workflow_runner

_WARM_UP, _MANY = 40, 200
_AT_MOST_KIB = 100

Start = Callable[[int], Awaitable[WorkflowHandle[object, object]]]


async def parking(data: Path) -> list[Figure]:
    async with temporal(data) as client:
        address = client.service_client.config.target_host
        ours, bare = await _measured(address, "ours"), await _measured(address, "bare")
    return [
        Figure(
            "memory of a parked invoice",
            f"{ours:.0f} KiB",
            f"{bare:.0f} KiB",
            f"{ours / bare:.2f}",
            f"≤ {_AT_MOST_KIB} KiB",
            ours <= _AT_MOST_KIB,
        )
    ]


async def _measured(address: str, side: str) -> float:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.benchmarks.parking", address, side, stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"the process that parks workflows ended with {process.returncode}")
    return float(said)


async def _park(address: str, side: str) -> float:
    """KiB a workflow, of this process."""
    client = await Client.connect(address, data_converter=data_converter)
    worker = Worker(
        client,
        task_queue=side,
        workflows=[InvoiceWorkflow, BareWorkflow],
        workflow_runner=workflow_runner(),
        max_cached_workflows=_WARM_UP + _MANY,
    )
    start = _ours(client) if side == "ours" else _bare(client)
    async with worker:
        await _parked([await start(number) for number in range(_WARM_UP)])
        gc.collect()
        before = resident_kib(os.getpid())
        await _parked([await start(_WARM_UP + number) for number in range(_MANY)])
        gc.collect()
        return (resident_kib(os.getpid()) - before) / _MANY


def _ours(client: Client) -> Start:
    now = datetime.now(UTC)
    policy = policy_for("standard", ZONE, now.year)
    new = issue("P", "P", Money(BILLED, Currency.IDR), now.date(), policy, opened_at=now)
    sent = replace(new, climbed=-20)

    async def start(number: int) -> WorkflowHandle[object, object]:
        state = replace(sent, number=f"P{number}")
        return await client.start_workflow(
            m.INVOICE_WORKFLOW, m.Start(state), id=m.workflow_id(state.number), task_queue="ours"
        )

    return start


def _bare(client: Client) -> Start:
    steps = [datetime.now(UTC) + timedelta(days=16)]

    async def start(number: int) -> WorkflowHandle[object, object]:
        handle = await client.start_workflow(BareWorkflow.run, steps, id=f"bare/{number}", task_queue="bare")
        return client.get_workflow_handle(handle.id)

    return start


async def _parked(handles: list[WorkflowHandle[object, object]]) -> None:
    for handle in handles:
        while (await handle.describe()).history_length < PARKED_EVENTS:
            await asyncio.sleep(0.02)


if __name__ == "__main__":
    print(asyncio.run(_park(*sys.argv[1:])))
