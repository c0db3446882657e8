"""Waking the workflows of endpoints: by signal with start, so that it does not matter whether one runs.

A wake that fails is not an error of whoever wrote the event: the reconcile schedule wakes what was left behind.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import structlog
from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.service import RPCError

from lunas.webhooks import Start
from workflows import messages as m

log = structlog.get_logger(__name__)

_PATIENCE = timedelta(seconds=3)


async def wake(client: Client, endpoint: int) -> None:
    """Wake the workflow of the endpoint, or start it; raises RPCError, or RuntimeError without a connection."""
    await client.start_workflow(
        m.WEBHOOK_WORKFLOW,
        Start(endpoint),
        id=m.webhook_id(endpoint),
        task_queue=m.TASK_QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        start_signal=m.WAKE,
        static_summary=f"deliveries to webhook endpoint {endpoint}",
        rpc_timeout=_PATIENCE,
    )


class Waker:
    """Wakes endpoints in the background, each once however often it is asked while the last wake is under way.

    `wake` wakes one, and raises one of `trouble` where that is not possible now.
    """

    def __init__(
        self,
        wake: Callable[[int], Awaitable[None]],
        trouble: tuple[type[Exception], ...] = (RPCError, RuntimeError, TimeoutError),
    ) -> None:
        self._wake = wake
        self._trouble = trouble
        self._asked: set[int] = set()
        self._tasks: dict[int, asyncio.Task[None]] = {}

    def __call__(self, endpoints: frozenset[int]) -> None:
        """Wake these; returns at once. It is what a ledger's `on_announced` wants."""
        self._asked |= endpoints
        for endpoint in endpoints:
            if endpoint not in self._tasks:
                self._tasks[endpoint] = asyncio.create_task(self._until_done(endpoint))

    async def close(self) -> None:
        """Wait for the wakes that are under way."""
        while self._tasks:
            await asyncio.gather(*self._tasks.values())

    async def _until_done(self, endpoint: int) -> None:
        try:
            while endpoint in self._asked:
                self._asked.discard(endpoint)  # what is committed from now on asks anew
                await self._wake(endpoint)
        except self._trouble as error:
            self._asked.discard(endpoint)
            log.warning("wake_waits", endpoint=endpoint, why=type(error).__name__)
        finally:
            del self._tasks[endpoint]
