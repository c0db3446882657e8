"""How fast a history is replayed: what a worker does for every invoice that its cache has lost."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from temporalio.client import Client, WorkflowHistory
from temporalio.worker import Replayer

from tests.benchmarks.bare import BareWorkflow
from tests.benchmarks.house import house, temporal
from tests.benchmarks.hurry import HurriedRunner
from tests.benchmarks.lives import live, live_bare
from tests.benchmarks.measure import Figure, Side, in_turns
from workflows import messages as m
from workflows.converter import data_converter
from workflows.invoice import InvoiceWorkflow
from workflows.sandbox import workflow_runner

_LIVES, _TIMES, _TURNS = 5, 6, 5
_AT_LEAST = 0.5


async def replaying(data: Path) -> list[Figure]:
    async with temporal(data) as client, house(data, client) as home:
        states = await home.issue(_LIVES)
        async with home.worker(), home.bare_worker():
            await live(home, states)
            await live_bare(home, states)
        ours = await _histories(client, [m.workflow_id(state.number) for state in states])
        bare = await _histories(client, [f"bare/{state.number}" for state in states])
    rates = await in_turns(_replayed(InvoiceWorkflow, ours), _replayed(BareWorkflow, bare), _TURNS)
    return [rates.figure("events replayed", "/s", _AT_LEAST)]


async def _histories(client: Client, ids: Sequence[str]) -> list[WorkflowHistory]:
    return [await client.get_workflow_handle(each).fetch_history() for each in ids]


def _replayed(kind: type, histories: Sequence[WorkflowHistory]) -> Side:
    many = [history for _ in range(_TIMES) for history in histories]
    events = sum(len(history.events) for history in many)

    async def stored() -> AsyncIterator[WorkflowHistory]:
        for history in many:
            yield history

    async def side() -> float:
        replayer = Replayer(
            workflows=[kind], workflow_runner=HurriedRunner(workflow_runner()), data_converter=data_converter
        )
        began = time.perf_counter()
        await replayer.replay_workflows(stored())
        return events / (time.perf_counter() - began)

    return side
