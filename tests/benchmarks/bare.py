"""The floor: a workflow that waits as long as an invoice does and has one activity a step, and does nothing at all."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from temporalio import activity, workflow

TASK_QUEUE = "bare"
#: The history of a workflow that waits for its first timer: started; a task scheduled, started, completed; the timer.
PARKED_EVENTS = 5
_AFTER_THE_LAST = timedelta(days=366)
_ATTEMPT = timedelta(minutes=1)


class Nothing:
    """The floor's only activity; `done` is told whose it was."""

    def __init__(self) -> None:
        self.done: Callable[[str], None] = lambda workflow_id: None

    @activity.defn
    async def nothing(self) -> None:
        self.done(activity.info().workflow_id or "")


@workflow.defn(name="Bare")
class BareWorkflow:
    """The timers and activities of a life: a step at each moment, then the wait for the payment, and the thanks."""

    def __init__(self) -> None:
        self._is_paid = False

    @workflow.run
    async def run(self, steps: list[datetime]) -> None:
        for moment in steps:
            patience = moment - workflow.now()
            if patience > timedelta(0):
                await workflow.sleep(patience)
            await workflow.execute_activity_method(Nothing.nothing, start_to_close_timeout=_ATTEMPT)
        await workflow.wait_condition(lambda: self._is_paid, timeout=_AFTER_THE_LAST)
        await workflow.execute_activity_method(Nothing.nothing, start_to_close_timeout=_ATTEMPT)

    @workflow.signal
    def paid(self) -> None:
        self._is_paid = True


@workflow.defn(name="Empty")
class EmptyWorkflow:
    """Nothing, not even a step."""

    @workflow.run
    async def run(self) -> None:
        return
