"""Delivering webhooks: one workflow for each endpoint of an API client that has something coming to it.

One for each endpoint, not for each delivery: ten thousand events in a morning are ten thousand activities of a few
workflows, a bounded number at a time, and a receiver that is down holds up nobody else's. It is started and woken by
whoever wrote an event (signal with start), and by the reconcile schedule for what a crash left behind; it ends when
nothing is under way, and continues as new when its history has grown. What is under way stands in the ledger, so a
workflow that was terminated, or lost, goes on where it was; when something is tried again is decided here, by timers of
Temporal.

Promised is *at least once*: a crash between the receiver's answer and writing it down repeats the delivery, under the
same id. Not promised is an order: deliveries overtake each other, and each event has a `sequence`, greater for what
came later to an invoice. An endpoint with which nothing succeeds is asked with one delivery at a time, ever more
seldom, until it answers, or is disabled after about three days; then the owner is told.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from lunas.webhooks import Attempt, Batch, Due, Look, Outcome, Silenced, Start
    from workflows import messages as m
    from workflows.options import WEBHOOK_WAITS, options_for

#: How many deliveries one look takes, and how many of them are under way at once.
BATCH, AT_ONCE = 50, 10
#: After so many failures without a success between them, one delivery at a time asks whether the receiver is back.
PROBING_AFTER = 10
_LONGEST_PAUSE = timedelta(minutes=5)


@workflow.defn(name=m.WEBHOOK_WORKFLOW)
class WebhookWorkflow:
    """Delivers what the ledger holds for one endpoint, until nothing is under way."""

    @workflow.init
    def __init__(self, start: Start) -> None:
        self._start = start
        self._failed = start.failed
        self._woken = False

    @workflow.signal(name=m.WAKE, description="There may be something to deliver. Harmless at any time.")
    def wake(self, *_: object) -> None:
        # Whatever a person sends along by hand: with another count of arguments every task would fail from then on.
        self._woken = True

    @workflow.run
    async def run(self, start: Start) -> None:
        while True:
            self._woken = False
            batch = await self._look()
            if batch.due:
                await self._deliver(batch)
            elif batch.next_at is not None:
                await self._rest_until_due(batch)
            elif not self._woken:
                return
            if self._needs_a_new_run():
                # A wake that comes now is not lost: the next run begins with a look. It runs on the newest build.
                workflow.continue_as_new(
                    replace(start, failed=self._failed),
                    initial_versioning_behavior=workflow.ContinueAsNewVersioningBehavior.AUTO_UPGRADE,
                )

    def _needs_a_new_run(self) -> bool:
        info = workflow.info()
        is_full = info.is_continue_as_new_suggested() or info.get_current_history_length() >= self._start.events_per_run
        return is_full or info.is_target_worker_deployment_version_changed()

    async def _look(self) -> Batch:
        limit = 1 if self._failed >= PROBING_AFTER else BATCH
        look = Look(self._start.endpoint, workflow.now(), limit)
        batch: Batch = await self._do("due_webhooks", look, Batch, "see what is to be delivered")
        return batch

    async def _deliver(self, batch: Batch) -> None:
        free = asyncio.Semaphore(AT_ONCE)
        outcomes = await asyncio.gather(*(self._attempt(one, free) for one in batch.due))
        if any(outcome.disabled for outcome in outcomes):
            key = f"{workflow.info().workflow_id}/{workflow.now():%Y%m%d%H%M%S}"
            silenced = Silenced(self._start.endpoint, key)
            await self._do("tell_owner_of_webhook", silenced, None, "tell the owner that the endpoint was disabled")
            return
        if self._failed >= PROBING_AFTER:
            exponent = min(self._failed - PROBING_AFTER, 10)
            pause = min(timedelta(seconds=5) * 2**exponent, _LONGEST_PAUSE)
            await workflow.sleep(pause, summary=f"{self._failed} attempts in a row failed: let the receiver rest")

    async def _attempt(self, one: Due, free: asyncio.Semaphore) -> Outcome:
        async with free:
            now = workflow.now()
            again_at = None
            if one.attempts < len(WEBHOOK_WAITS):
                again_at = now + WEBHOOK_WAITS[one.attempts] * workflow.random().uniform(0.9, 1.1)
            words = f"{one.type}, {one.event}, attempt {one.attempts + 1}"
            attempt = Attempt(one.delivery, now, again_at)
            outcome: Outcome = await self._do("deliver_webhook", attempt, Outcome, words)
        self._failed = 0 if outcome.delivered else self._failed + 1
        return outcome

    async def _rest_until_due(self, batch: Batch) -> None:
        assert batch.next_at is not None
        wait = max(batch.next_at - workflow.now(), timedelta(0))
        with suppress(asyncio.TimeoutError):
            await workflow.wait_condition(
                lambda: self._woken, timeout=wait, timeout_summary="until the next delivery is tried again"
            )

    async def _do(self, name: str, argument: object, result: type | None, words: str) -> Any:
        options = options_for(name)
        return await workflow.execute_activity(
            name,
            argument,
            result_type=result,
            start_to_close_timeout=options.attempt,
            retry_policy=options.retry,
            summary=words,
        )
