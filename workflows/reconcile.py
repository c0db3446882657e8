"""The reconcile schedule: whatever a crash or an outage left undone between the ledger and Temporal is done here."""

from __future__ import annotations

from datetime import timedelta

from temporalio import workflow
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
)
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from lunas.receivables.orders import Reconciled
    from workflows import messages as m

SCHEDULE_ID = "reconcile"


@workflow.defn(name=m.RECONCILE_WORKFLOW)
class ReconcileWorkflow:
    """Every open invoice has one running workflow, no nudge is old, no commit is past its deadline."""

    @workflow.run
    async def run(self) -> Reconciled:
        turn: Reconciled = await workflow.execute_activity(
            "reconcile",
            result_type=Reconciled,
            start_to_close_timeout=timedelta(minutes=30),
            heartbeat_timeout=timedelta(minutes=1),
            retry_policy=RetryPolicy(maximum_interval=timedelta(minutes=1)),
            summary="compare the ledger with the running workflows",
        )
        return turn


async def schedule_reconcile(client: Client, every: timedelta, task_queue: str = m.TASK_QUEUE) -> None:
    """Create the schedule; harmless where it exists."""
    schedule = Schedule(
        action=ScheduleActionStartWorkflow(ReconcileWorkflow.run, id=m.RECONCILE_ID, task_queue=task_queue),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=every)]),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP),
    )
    try:
        await client.create_schedule(SCHEDULE_ID, schedule)
    except ScheduleAlreadyRunningError:
        return
