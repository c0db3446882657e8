"""A morning: thousands of timers that fire in one second, and the same invoices spread by the policy's jitter.

The default jitter spreads a morning over 45 minutes, for which no benchmark waits. What counts is how many timers fire
in a second: 33 is 2,000 in a minute, or 90,000 in the window of a worker. So a part of such a morning is run at that
rate, and its lateness (from the timer's moment to the start of the activity) is that of the whole.
"""

from __future__ import annotations

import asyncio
import statistics
import time
import zlib
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from temporalio import activity, workflow
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from lunas.receivables.deadlines import next_deadline
from lunas.receivables.invoice import InvoiceState
from tests.benchmarks.bare import PARKED_EVENTS, TASK_QUEUE, BareWorkflow
from tests.benchmarks.house import House, house, temporal
from tests.benchmarks.measure import Figure
from workflows import messages as m
from workflows import nudging

_STORM, _STORM_OVER = 2_000, 1.0
_SPREAD, _SPREAD_OVER = 500, 15.0
_AT_LEAST, _AT_MOST_LATE = 0.7, 0.3
_STARTS_AT_ONCE = 32
#: How many are parked to find out how long parking all of them will take.
_TRIAL = 100

Begin = Callable[[InvoiceState], Awaitable[str]]


@dataclass
class _Alarm:
    """Lets every workflow's first timer fire within `over` seconds from `at` on; later ones stay as they are."""

    over: float
    at: datetime = datetime(9999, 1, 1, tzinfo=UTC)

    def __call__(self, info: workflow.Info, now: datetime, asked: timedelta) -> timedelta:
        return max(self.moment(info.workflow_id) - now, timedelta(0)) if now < self.at else asked

    def moment(self, workflow_id: str) -> datetime:
        """When that workflow's timer fires."""
        return self.at + timedelta(seconds=zlib.crc32(workflow_id.encode()) / 2**32 * self.over)


@dataclass
class _Watch(Interceptor):
    """Notes when each activity starts, and how many are done."""

    started: dict[str, datetime] = field(default_factory=dict)
    done: int = 0

    def intercept_activity(
        self,
        next: ActivityInboundInterceptor,  # noqa: A002 - the SDK's name
    ) -> ActivityInboundInterceptor:
        return _Watched(next, self)


class _Watched(ActivityInboundInterceptor):
    def __init__(self, inner: ActivityInboundInterceptor, watch: _Watch) -> None:
        super().__init__(inner)
        self._watch = watch

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002 - the SDK's name
        self._watch.started.setdefault(activity.info().workflow_id or "", datetime.now(UTC))
        report = await self.next.execute_activity(input)
        self._watch.done += 1
        return report


@dataclass(frozen=True)
class _Drained:
    seconds: float
    late_p99: float


async def mornings(data: Path) -> list[Figure]:
    """The storm, and the spread morning."""
    async with temporal(data) as client, house(data, client) as home:
        storm, bare_storm = await _both(home, _STORM, _STORM_OVER)
        spread, bare_spread = await _both(home, _SPREAD, _SPREAD_OVER)
    ratio = bare_storm.seconds / storm.seconds
    return [
        Figure(
            f"{_STORM:,} timers in one second, drained",
            f"{storm.seconds:.1f} s",
            f"{bare_storm.seconds:.1f} s",
            f"{ratio:.2f}",
            f"≥ {_AT_LEAST:g}",
            ratio >= _AT_LEAST,
        ),
        Figure(
            f"p99 lateness, {_SPREAD / _SPREAD_OVER:.0f} timers a second",
            f"{spread.late_p99:.2f} s",
            f"{bare_spread.late_p99:.2f} s",
            "",
            f"≤ {_AT_MOST_LATE:g} s",
            spread.late_p99 <= _AT_MOST_LATE,
        ),
    ]


async def _both(home: House, how_many: int, over: float) -> tuple[_Drained, _Drained]:
    states = [replace(state, climbed=0) for state in await home.issue(how_many + _TRIAL)]

    async def begin(state: InvoiceState) -> str:
        await nudging.start(home.client, state, state.facts, datetime.now(UTC))
        return m.workflow_id(state.number)

    async def begin_bare(state: InvoiceState) -> str:
        deadline = next_deadline(state, datetime.now(UTC))
        assert deadline is not None
        handle = await home.client.start_workflow(
            BareWorkflow.run, [deadline.moment], id=f"bare/{state.number}", task_queue=TASK_QUEUE
        )
        return handle.id

    ours = await _morning(home, home.worker, begin, states, over)
    return ours, await _morning(home, home.bare_worker, begin_bare, states, over)


async def _morning(
    home: House,
    worker: Callable[..., AbstractAsyncContextManager[None]],
    begin: Begin,
    states: Sequence[InvoiceState],
    over: float,
) -> _Drained:
    """Park them all, a few of them to see how long that takes; then let the morning come for the others."""
    alarm, watch = _Alarm(over), _Watch()
    trial, states = states[:_TRIAL], states[_TRIAL:]
    async with worker(alarm, interceptors=[watch], max_cached_workflows=2 * len(states)):
        took = await _park(home, begin, trial)
        alarm.at = datetime.now(UTC) + timedelta(seconds=3 + 1.5 * took * len(states) / _TRIAL)
        await _park(home, begin, states)
        if datetime.now(UTC) > alarm.at:
            raise RuntimeError("parking took far longer than its beginning: this machine is too busy, run it again")
        while watch.done < len(states):
            await asyncio.sleep(0.01)
        ended = datetime.now(UTC)
    late = [(started - alarm.moment(each)).total_seconds() for each, started in watch.started.items()]
    return _Drained((ended - alarm.at).total_seconds(), statistics.quantiles(late, n=100)[98])


async def _park(home: House, begin: Begin, states: Sequence[InvoiceState]) -> float:
    """Start them all and wait until every one waits for its timer; how many seconds that took."""
    todo = iter(states)

    async def some() -> None:
        for state in todo:
            handle = home.client.get_workflow_handle(await begin(state))
            while (await handle.describe()).history_length < PARKED_EVENTS:
                await asyncio.sleep(0.05)

    began = time.perf_counter()
    await asyncio.gather(*(some() for _ in range(_STARTS_AT_ONCE)))
    return time.perf_counter() - began
