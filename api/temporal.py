"""The API's side of Temporal: asking an invoice's workflow, and looking at it; that it is down is an ordinary answer.

WorkflowTrouble
├── TemporalDown    Temporal cannot be reached, or does not take the call
├── NotRunning      no workflow of that invoice runs
├── NotPossible     the workflow refused, in a sentence for people
├── NotAnswered     Temporal is there, but no worker answered a question in time
└── NotFinished     no answer in time to a request: it may still be done, or have been done
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import structlog
from temporalio.client import (
    Client,
    WorkflowQueryFailedError,
    WorkflowQueryRejectedError,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.envconfig import ClientConfig
from temporalio.exceptions import ApplicationError
from temporalio.service import RetryConfig, RPCError, RPCStatusCode

from lunas.receivables.orders import Reconciled
from workflows import messages as m

_T = TypeVar("_T")
log = structlog.get_logger(__name__)

Connect = Callable[[], Awaitable[Client]]

#: How long a request may take: the workflow may have to be replayed, and the ledger must have what was decided.
ASK_PATIENCE = timedelta(seconds=15)
#: How long a question may take, and how long telling a workflow something.
PATIENCE = timedelta(seconds=4)
#: For so many seconds after a failure to connect nothing is tried again: no request waits for what is not there.
_DOWN_FOR = 2.0
#: The SDK's own retries would hold a request for ten seconds while Temporal is down.
_RETRIES = RetryConfig(
    initial_interval_millis=50, max_interval_millis=500, max_elapsed_time_millis=1_500, max_retries=3
)
_AWAY = "Temporal cannot be reached: try again in a minute"


class WorkflowTrouble(Exception):
    """A workflow could not be asked or told, or said no; the message is for people."""


class TemporalDown(WorkflowTrouble):
    """Temporal cannot be reached, or does not take the call; `may_have_arrived`: only its answer may be lost."""

    may_have_arrived = False


class _Lost(TemporalDown):
    """The connection broke during the call."""

    may_have_arrived = True


class NotRunning(WorkflowTrouble):
    """No workflow of that invoice runs."""


class NotPossible(WorkflowTrouble):
    """The workflow refused; the message is its sentence."""


class NotAnswered(WorkflowTrouble):
    """No worker answered a question in time."""


class NotFinished(WorkflowTrouble):
    """No answer in time to a request: it may still be done, or have been done."""


@dataclass(frozen=True, slots=True)
class LastReconcile:
    """The last turn of the reconcile schedule: how long ago it ended, and what it found and mended."""

    age: timedelta
    found: Reconciled


async def connect_from_environment() -> Client:
    """A client for the server that the environment names (`TEMPORAL_ADDRESS`, …); it connects at its first call."""
    config = ClientConfig.load_client_connect_config()
    return await Client.connect(**config, lazy=True, data_converter=pydantic_data_converter, retry_config=_RETRIES)


class Temporal:
    """Temporal as the API sees it, through a client or through what makes one at the first call."""

    def __init__(self, client: Client | Connect) -> None:
        self._connect = client if callable(client) else None
        self._client = None if callable(client) else client
        self._down_until = 0.0

    async def ask(self, number: str, update: str, argument: object, *, key: str) -> m.View:
        """Ask the workflow of `number` for `update`; one run does it once under the same `key`.

        Raises NotRunning, NotPossible, NotFinished or TemporalDown.
        """

        async def call(client: Client) -> m.View:
            handle = client.get_workflow_handle(m.workflow_id(number))
            view: m.View = await handle.execute_update(
                update, argument, id=key, result_type=m.View, rpc_timeout=ASK_PATIENCE
            )
            return view

        try:
            return await self._within(ASK_PATIENCE, number, call)
        except TemporalDown as down:
            if down.may_have_arrived:
                raise NotFinished(_unknown(number)) from down
            raise
        except (TimeoutError, WorkflowUpdateRPCTimeoutOrCancelledError):
            raise NotFinished(_unknown(number)) from None
        except WorkflowUpdateFailedError as error:
            if isinstance(error.cause, ApplicationError) and error.cause.type == m.NOT_ALLOWED:
                raise NotPossible(error.cause.message) from None
            log.exception("update_failed", invoice=number, update=update)
            raise NotFinished(_unknown(number)) from error

    async def look(self, number: str) -> m.View:
        """What the workflow of `number` shows of itself now; raises NotRunning, NotAnswered or TemporalDown."""

        async def call(client: Client) -> m.View:
            handle = client.get_workflow_handle(m.workflow_id(number))
            view: m.View = await handle.query(m.STATUS, result_type=m.View, rpc_timeout=PATIENCE)
            return view

        try:
            return await self._within(PATIENCE, number, call)
        except (TimeoutError, WorkflowQueryFailedError):
            raise NotAnswered(
                f"no worker answered for invoice {number} within {PATIENCE.seconds} s: see that one runs; without "
                "`live=true` the ledger answers"
            ) from None
        except (WorkflowQueryRejectedError, ValueError):  # the latter is the SDK's, over a status that it does not know
            raise NotAnswered(
                f"the workflow of invoice {number} answers no questions now: it may be paused in the Temporal UI, and "
                "goes on once it is unpaused there; without `live=true` the ledger answers"
            ) from None

    async def last_reconcile(self) -> LastReconcile | None:
        """The last turn of the reconcile schedule that came to its end; None before the first.

        Raises WorkflowTrouble where Temporal does not say.
        """

        async def call(client: Client) -> LastReconcile | None:
            query = f"WorkflowType = '{m.RECONCILE_WORKFLOW}' AND ExecutionStatus = 'Completed'"
            async for ended in client.list_workflows(query, limit=1, page_size=1, rpc_timeout=PATIENCE):  # newest first
                handle = client.get_workflow_handle(ended.id, run_id=ended.run_id, result_type=Reconciled)
                found = await handle.result(rpc_timeout=PATIENCE)
                assert ended.close_time is not None
                return LastReconcile(datetime.now(UTC) - ended.close_time, found)
            return None

        try:
            return await self._within(PATIENCE, m.RECONCILE_ID, call)
        except TimeoutError:
            raise TemporalDown(_AWAY) from None

    async def reach(self, number: str, call: Callable[[Client], Awaitable[_T]]) -> _T:
        """Do something with the client about `number`; raises TemporalDown or NotRunning."""
        try:
            return await self._within(PATIENCE, number, call)
        except TimeoutError:
            self._note_down()  # nothing but Temporal itself is needed to take a start or a signal
            raise TemporalDown(_AWAY) from None

    async def is_up(self) -> bool:
        """Whether Temporal answers now."""
        try:
            client = await self._made()
            async with asyncio.timeout(PATIENCE.total_seconds()):
                up = await client.service_client.check_health(timeout=PATIENCE)
        except (RPCError, RuntimeError, TimeoutError):
            return False
        self._down_until = 0.0
        return up

    async def _within(self, patience: timedelta, number: str, call: Callable[[Client], Awaitable[_T]]) -> _T:
        """The call's result; what is not its own to explain becomes NotRunning, TemporalDown or TimeoutError."""
        if time.monotonic() < self._down_until:
            raise TemporalDown(_AWAY)
        try:
            client = await self._made()
            async with asyncio.timeout(patience.total_seconds()):
                return await call(client)
        except RPCError as error:
            match error.status:
                case RPCStatusCode.NOT_FOUND:
                    raise NotRunning(f"no workflow of invoice {number} runs") from None
                case RPCStatusCode.DEADLINE_EXCEEDED | RPCStatusCode.CANCELLED:
                    raise TimeoutError from None
                case RPCStatusCode.FAILED_PRECONDITION:
                    raise NotAnswered(
                        f"the workflow of invoice {number} takes no requests now: {error.message} See in the Temporal "
                        "UI that it is not paused, and that a worker runs; payments and other facts arrive all the same"
                    ) from None
                case RPCStatusCode.UNAVAILABLE:
                    self._note_down()
                    raise _Lost(_AWAY) from error
                case status:
                    log.warning("temporal_refused", invoice=number, status=status.name, message=error.message)
                    raise TemporalDown(
                        f"Temporal does not take the call ({status.name}): try again in a minute"
                    ) from error
        except RuntimeError as error:  # all that the SDK says where it cannot connect
            self._note_down()
            raise TemporalDown(_AWAY) from error

    def _note_down(self) -> None:
        self._down_until = time.monotonic() + _DOWN_FOR

    async def _made(self) -> Client:
        if self._client is None:
            assert self._connect is not None
            self._client = await self._connect()
        return self._client


def _unknown(number: str) -> str:
    return (
        f"the workflow of invoice {number} gave no answer in time, and may still do what was "
        "asked: look at the invoice with `?live=true` before you ask again, or send the same request with the same "
        "Idempotency-Key, which is not done twice"
    )
