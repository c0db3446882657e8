"""Moves one running workflow's clock forward, on the embedded server: the demo, and the end-to-end tests.

Experimental on Temporal's side, and therefore all in this one module. What holds on server 1.32 (each tried):

- A workflow started in the ordinary way can be moved later; nothing need be said at its start. The server must run with
  `frontend.WorkflowTimeSkippingEnabled=true`, else it answers UNIMPLEMENTED.
- Each workflow has a clock of its own: real time plus what was skipped so far. Timers in between fire one by one at
  their true virtual dates, and what they cause (activities, child workflows) is waited for before the next jump.
  Events carry virtual times, so the UI and `temporal workflow show` read like a calendar; `temporal workflow describe`
  prints the real start ("4 seconds ago") and nothing of the skipped time.
- The target is reckoned from the moment at which the server takes the request, and is reached to the millisecond.
  Skipping ends there and the clock runs on at normal speed; an activity in flight then simply goes on.
- `workflow.now()` is that of the latest workflow task. A signal or an update brings a new one; a query does not, so a
  query after a fast-forward shows the time of the last thing that happened. `clock()` asks the server instead.
- Continue-as-new keeps the clock and an unfinished fast-forward. But the server must run with
  `history.workflowIdReuseMinimalInterval=0s`, else a quick second continue-as-new makes the clock jump days too far.
  In a continued run `workflow.info().start_time` (and the run's start in the UI) has the skipped time added twice;
  `workflow.info().workflow_start_time` is right.
- A new workflow under the same id (a reopened invoice) begins at the real time again.
- Each jump adds one event. A session may make 200 jumps unless the request says otherwise, and each request begins a
  new session; past the limit skipping stops without a word. The wait before an activity's next attempt is jumped over
  as well, so an activity that keeps failing uses jumps up quickly.
- A paused workflow does not jump. The SDK's `describe()` and `list_workflows()` raise ValueError for one (status 8),
  which is why this module reads the raw description.

Errors: TimeSkippingUnavailable, WorkflowNotRunning, FastForwardOverridden, FastForwardStalled; all TimeSkippingError.
"""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from google.protobuf.field_mask_pb2 import FieldMask
from temporalio.api.common.v1 import FastForwardConfig, TimeSkippingConfig, WorkflowExecution
from temporalio.api.enums.v1 import PendingActivityState, WorkflowExecutionStatus
from temporalio.api.enums.v1.time_skipping_pb2 import FastForwardPollingResult
from temporalio.api.workflow.v1 import PendingActivityInfo, WorkflowExecutionOptions
from temporalio.api.workflowservice.v1 import (
    DescribeWorkflowExecutionRequest,
    DescribeWorkflowExecutionResponse,
    PollWorkflowExecutionTimeSkippingRequest,
    UpdateWorkflowExecutionOptionsRequest,
)
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

PATIENCE = timedelta(minutes=2)
"""Real time that a fast-forward may take before it counts as stalled."""

# Far above any life of an invoice, and still an end to an activity that fails for ever.
_JUMPS_PER_SESSION = 10_000
_LOOK_EVERY_SECONDS = 0.05
_POLL = timedelta(seconds=30)


class TimeSkippingError(Exception):
    """A workflow's clock could not be moved as asked."""


class TimeSkippingUnavailable(TimeSkippingError):
    """The server does not know time skipping, or has it switched off."""


class WorkflowNotRunning(TimeSkippingError):
    """There is no such workflow, or it has ended: its clock stands still."""


class FastForwardOverridden(TimeSkippingError):
    """Somebody else asked for another fast-forward of the same workflow before this one was done."""


class FastForwardStalled(TimeSkippingError):
    """The workflow did not get there in time; the message says what it waits for. Skipping is switched off again."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """Where a fast-forward ended: the workflow's own time, and whether it still runs (or ended on the way)."""

    now: datetime
    running: bool


async def clock(client: Client, workflow_id: str) -> datetime:
    """The workflow's own time now, UTC: the real time when it was never moved. Raises WorkflowNotRunning if unknown."""
    return _now(await _describe(client, workflow_id))


async def fast_forward(client: Client, workflow_id: str, by: timedelta, *, patience: timedelta = PATIENCE) -> Arrival:
    """Moves a running workflow's clock ahead by `by` (positive), and waits until it is there and has come to rest.

    At rest means: no workflow task and no activity is under way (one that waits for its next attempt is at rest).
    Returns early when the workflow ends before. Raises ValueError for a `by` that is not positive, else a
    TimeSkippingError.
    """
    if by <= timedelta(0):
        raise ValueError(f"a clock can only be moved ahead; {by} is not a positive duration")
    fast_forward_id = str(uuid.uuid4())
    config = TimeSkippingConfig(enabled=True, max_session_skip_count=_JUMPS_PER_SESSION)
    config.fast_forward_config.CopyFrom(FastForwardConfig(id=fast_forward_id))
    config.fast_forward_config.duration.FromTimedelta(by)
    await _configure(client, workflow_id, config)
    try:
        async with asyncio.timeout(patience.total_seconds()):
            await _arrive(client, workflow_id, fast_forward_id)
            return await _rest(client, workflow_id)
    except TimeoutError:
        found = await _describe(client, workflow_id)
        if _is_running(found):
            await _configure(client, workflow_id, TimeSkippingConfig(enabled=False))
        raise FastForwardStalled(
            f"workflow {workflow_id} was to move ahead by {by} but stands at {_now(found):%Y-%m-%d %H:%M:%S} UTC after "
            f"{patience.total_seconds():.0f} s: {_obstacle(found)}"
        ) from None


async def fast_forward_to(
    client: Client, workflow_id: str, moment: datetime, *, patience: timedelta = PATIENCE
) -> Arrival:
    """Moves a running workflow's clock ahead to `moment` (with a zone), a few milliseconds after it at most.

    What is due at `moment` itself happens. Does nothing when the clock is there already or past it. Raises ValueError
    for a moment without a zone, and a TimeSkippingError.
    """
    if moment.tzinfo is None:
        raise ValueError(f"{moment.isoformat()} has no time zone; give one, for example +07:00")
    found = await _describe(client, workflow_id)
    if not _is_running(found):
        raise WorkflowNotRunning(f"workflow {workflow_id} has ended, so its clock stands still")
    ahead = moment - _now(found)
    if ahead <= timedelta(0):
        return Arrival(_now(found), running=True)
    return await fast_forward(client, workflow_id, ahead, patience=patience)


async def _arrive(client: Client, workflow_id: str, fast_forward_id: str) -> None:
    request = PollWorkflowExecutionTimeSkippingRequest(
        namespace=client.namespace,
        workflow_execution=WorkflowExecution(workflow_id=workflow_id),
        fast_forward_id=fast_forward_id,
    )
    while True:
        try:
            answer = await client.workflow_service.poll_workflow_execution_time_skipping(request, timeout=_POLL)
        except RPCError as error:
            if error.status not in (RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.UNAVAILABLE):
                raise
            await asyncio.sleep(_LOOK_EVERY_SECONDS)
            continue
        match answer.fast_forward_polling_result:
            case FastForwardPollingResult.FAST_FORWARD_POLLING_RESULT_FAST_FORWARD_COMPLETED:
                return
            case FastForwardPollingResult.FAST_FORWARD_POLLING_RESULT_FAST_FORWARD_FAILED:
                found = await _describe(client, workflow_id)
                info = found.workflow_extended_info.time_skipping_info.fast_forward_info
                if not _is_running(found) or (info.fast_forward_id == fast_forward_id and info.has_completed):
                    return
                if info.fast_forward_id != fast_forward_id:
                    raise FastForwardOverridden(
                        f"another fast-forward of workflow {workflow_id} began before this one was done; "
                        f"wait for it, then ask again"
                    )
                # Still ours and still under way: the chain went on to a new run between two looks.
                await asyncio.sleep(_LOOK_EVERY_SECONDS)


async def _rest(client: Client, workflow_id: str) -> Arrival:
    """Waits until nothing is under way in two looks running: a timer that is just firing shows in the second."""
    quiet = 0
    while True:
        found = await _describe(client, workflow_id)
        if not _is_running(found):
            return Arrival(_now(found), running=False)
        quiet = quiet + 1 if not _under_way(found) else 0
        if quiet == 2:
            return Arrival(_now(found), running=True)
        await asyncio.sleep(_LOOK_EVERY_SECONDS)


async def _configure(client: Client, workflow_id: str, config: TimeSkippingConfig) -> None:
    try:
        # Never retried: a request repeated after its answer was lost would move the clock twice.
        await client.workflow_service.update_workflow_execution_options(
            UpdateWorkflowExecutionOptionsRequest(
                namespace=client.namespace,
                workflow_execution=WorkflowExecution(workflow_id=workflow_id),
                workflow_execution_options=WorkflowExecutionOptions(time_skipping_config=config),
                update_mask=FieldMask(paths=["time_skipping_config"]),
                identity=client.identity,
            ),
            retry=False,
        )
    except RPCError as error:
        if error.status is RPCStatusCode.UNIMPLEMENTED:
            raise TimeSkippingUnavailable(
                "this Temporal server does not skip time; run the embedded one (`lunas up`), which has it switched on"
            ) from error
        if error.status is RPCStatusCode.NOT_FOUND:
            raise WorkflowNotRunning(
                f"there is no running workflow {workflow_id}; only a running one has a clock"
            ) from error
        raise


async def _describe(client: Client, workflow_id: str) -> DescribeWorkflowExecutionResponse:
    try:
        return await client.workflow_service.describe_workflow_execution(
            DescribeWorkflowExecutionRequest(
                namespace=client.namespace, execution=WorkflowExecution(workflow_id=workflow_id)
            ),
            retry=True,
        )
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            raise WorkflowNotRunning(f"there is no workflow {workflow_id} on this server") from error
        raise


def _is_running(found: DescribeWorkflowExecutionResponse) -> bool:
    return found.workflow_execution_info.status in (
        WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_RUNNING,
        WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_PAUSED,
    )


def _now(found: DescribeWorkflowExecutionResponse) -> datetime:
    if not _is_running(found):
        return found.workflow_execution_info.close_time.ToDatetime(UTC)
    extended = found.workflow_extended_info
    if extended.HasField("time_skipping_info"):
        return extended.time_skipping_info.current_time.ToDatetime(UTC)
    return datetime.now(UTC)


def _under_way(found: DescribeWorkflowExecutionResponse) -> bool:
    now = _now(found)
    return (
        found.HasField("pending_workflow_task")
        or bool(found.pending_children)
        or any(not _waits_for_next_attempt(activity, now) for activity in found.pending_activities)
    )


def _waits_for_next_attempt(activity: PendingActivityInfo, now: datetime) -> bool:
    return (
        activity.state == PendingActivityState.PENDING_ACTIVITY_STATE_SCHEDULED
        and activity.attempt > 1
        and activity.scheduled_time.ToDatetime(UTC) > now
    )


def _obstacle(found: DescribeWorkflowExecutionResponse) -> str:
    extended = found.workflow_extended_info
    if found.workflow_execution_info.status == WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_PAUSED:
        return "it is paused; unpause it in the Temporal UI, then ask again"
    if found.HasField("pending_workflow_task"):
        task = found.pending_workflow_task
        if task.attempt > 1:
            return f"its workflow task fails (attempt {task.attempt}); see the failure in the Temporal UI"
        return "no worker takes its workflow task; start one, then ask again"
    if found.pending_activities:
        names = ", ".join(
            f"{activity.activity_type.name} (attempt {activity.attempt})" for activity in found.pending_activities
        )
        return f"it waits for an activity: {names}"
    if found.pending_children:
        return "it waits for a child workflow"
    if not extended.time_skipping_info.effective_config.enabled:
        return f"it has made {_JUMPS_PER_SESSION} jumps, the most that one request may make; ask again for the rest"
    return "the Temporal server does not say what it waits for; see the workflow in the Temporal UI"
