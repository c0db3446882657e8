"""A clock in a hurry: real workflows on a real server whose waits of days last milliseconds.

An invoice's deadlines are days of a calendar, and a benchmark cannot wait for them. Letting the server skip time would
add work of its own (a request, a poll and an event for each jump), and dilute what is to be compared. So it is the
worker that hurries: every timer that a workflow sets is shortened on its way out, and when it fires the workflow is
told the moment that it had asked for. The server sees the events of a real life, one for one, and sets and fires a real
timer for each; the workflow sees a true calendar. Both sides of a comparison run in it, and replay in it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio import workflow
from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.converter import SerializationContext
from temporalio.worker import WorkflowInstance, WorkflowInstanceDetails, WorkflowRunner

#: How long a wait really lasts: of which workflow, seen from which real moment, and how long it asked for.
Pace = Callable[[workflow.Info, datetime, timedelta], timedelta]


def at_once(info: workflow.Info, now: datetime, asked: timedelta) -> timedelta:
    """Ten milliseconds for every wait of a ladder; the one after its end stays as long as it is."""
    return timedelta(milliseconds=10) if asked < timedelta(days=200) else asked


class HurriedRunner(WorkflowRunner):
    """Runs workflows as `inner` does, at another pace."""

    def __init__(self, inner: WorkflowRunner, pace: Pace = at_once) -> None:
        self._inner = inner
        self._pace = pace

    def prepare_workflow(self, defn: workflow._Definition) -> None:
        self._inner.prepare_workflow(defn)

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        return _Hurried(self._inner.create_instance(det), self._pace)

    def set_worker_level_failure_exception_types(self, types: Sequence[type[BaseException]]) -> None:
        self._inner.set_worker_level_failure_exception_types(types)


class _Hurried(WorkflowInstance):
    """One run: its own clock is the real one plus what its timers have been shortened by."""

    def __init__(self, inner: WorkflowInstance, pace: Pace) -> None:
        self._inner = inner
        self._pace = pace
        self._skipped = timedelta(0)
        self._due: dict[int, datetime] = {}

    def activate(self, act: WorkflowActivation) -> WorkflowActivationCompletion:
        real = act.timestamp.ToDatetime(UTC)
        for job in act.jobs:
            if job.HasField("fire_timer"):
                self._skipped = max(self._skipped, self._due.pop(job.fire_timer.seq) - real)
        now = real + self._skipped
        act.timestamp.FromDatetime(now)
        completion = self._inner.activate(act)
        for command in completion.successful.commands:
            if command.HasField("start_timer"):
                timer = command.start_timer
                asked = timer.start_to_fire_timeout.ToTimedelta()
                self._due[timer.seq] = now + asked
                timer.start_to_fire_timeout.FromTimedelta(min(asked, self._pace(self.get_info(), real, asked)))
            elif command.HasField("cancel_timer"):
                self._due.pop(command.cancel_timer.seq, None)
        return completion

    def get_serialization_context(self, command_info: object) -> SerializationContext | None:
        return self._inner.get_serialization_context(command_info)  # type: ignore[arg-type]

    def get_external_store_context(self, command_info: object) -> Any:
        return self._inner.get_external_store_context(command_info)  # type: ignore[arg-type]

    def get_info(self) -> workflow.Info:
        return self._inner.get_info()

    def get_thread_id(self) -> int | None:
        return self._inner.get_thread_id()
