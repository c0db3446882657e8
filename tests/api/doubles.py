"""A stand-in for Temporal: workflows that live in this process and decide with the real core.

It speaks the client's language (`start_workflow`, a handle's `signal`, `execute_update`, `query`), keeps one workflow a
number, writes progress to the ledger as the worker does, and can be down, silent or unwilling.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from temporalio.client import WorkflowUpdateFailedError, WorkflowUpdateRPCTimeoutOrCancelledError
from temporalio.common import TypedSearchAttributes, WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from lunas.ledger.database import Ledger
from lunas.ledger.progress import record_progress
from lunas.receivables.adoption import adopt
from lunas.receivables.events import Event
from lunas.receivables.invoice import Facts, InvoiceState, Progress
from lunas.receivables.lifecycle import NotAllowed, decide
from lunas.receivables.orders import Reconciled
from lunas.receivables.view import standing
from lunas.webhooks import Start as Endpoint
from workflows import messages as m


@dataclass
class FakeWorkflow:
    """One running workflow: its state, and what was said to it."""

    ledger: Ledger
    state: InvoiceState
    attributes: TypedSearchAttributes
    summary: str
    heard: list[Facts] = field(default_factory=list)
    asked: list[tuple[str, str, Any]] = field(default_factory=list)  # update, update id, argument

    async def hear(self, facts: Facts) -> None:
        self.heard.append(facts)
        self.state, events = adopt(self.state, facts)
        for event in events:
            await self.apply(event)

    async def apply(self, event: Event) -> None:
        now = datetime.now(UTC)
        decision = decide(self.state, event, now)
        self.state = decision.state
        if decision.entry is not None:
            closed = None if self.state.is_open else self.state
            progress = Progress((decision.entry,), standing(self.state, now), self.state.hold, closed)
            async with self.ledger.write() as session:
                await record_progress(session, self.state.number, progress)

    @property
    def view(self) -> m.View:
        state, now = self.state, standing(self.state, datetime.now(UTC))
        return m.View(
            number=state.number,
            stage=state.stage,
            held=now.held,
            held_until=now.held_until,
            outstanding_minor=state.facts.balance.outstanding,
            currency=state.currency,
            last_step=state.last_step,
            next_step=now.next_step,
            next_at=now.next_at,
            follow_ups=state.follow_ups,
            facts_version=state.facts.version,
            sequence=state.sequence,
        )


@dataclass
class FakeTemporal:
    """The client. `down`: nothing connects; `silent`: no worker answers; `fails_with`: every call is refused so."""

    ledger: Ledger
    running: dict[str, FakeWorkflow] = field(default_factory=dict)
    started: list[str] = field(default_factory=list)
    followed: list[str] = field(default_factory=list)
    woken: list[int] = field(default_factory=list)  # endpoints of API clients
    calls: int = 0
    down: bool = False
    silent: bool = False
    fails_with: RPCStatusCode | None = None
    paused: bool = False
    reconciled_at: datetime | None = None

    @property
    def service_client(self) -> FakeTemporal:
        return self

    async def check_health(self, *, timeout: timedelta) -> bool:  # noqa: ASYNC109 - the client's own name
        self.answer()
        return True

    def answer(self) -> None:
        self.calls += 1
        if self.down:
            raise RuntimeError("Failed client connect")
        if self.fails_with is not None:
            raise RPCError("refused", self.fails_with, b"")

    def of(self, number: str) -> FakeWorkflow:
        return self.running[m.workflow_id(number)]

    async def start_workflow(
        self,
        workflow: str,
        argument: m.Start | Endpoint | str,
        *,
        id: str,  # noqa: A002 - the client's own name
        task_queue: str,
        id_conflict_policy: WorkflowIDConflictPolicy,
        id_reuse_policy: WorkflowIDReusePolicy,
        static_summary: str,
        start_signal: str | None,
        rpc_timeout: timedelta,
        search_attributes: TypedSearchAttributes = TypedSearchAttributes.empty,
        start_signal_args: Sequence[m.FactsChanged] = (),
    ) -> None:
        self.answer()
        if isinstance(argument, Endpoint):
            assert (workflow, start_signal, id) == (m.WEBHOOK_WORKFLOW, m.WAKE, m.webhook_id(argument.endpoint))
            self.woken.append(argument.endpoint)
            return
        if isinstance(argument, str):
            assert (workflow, start_signal, id) == (m.FOLLOW_OFFERS_WORKFLOW, m.BALANCE_CHANGED, m.offers_id(argument))
            self.followed.append(argument)
            return
        assert (workflow, task_queue) == (m.INVOICE_WORKFLOW, m.TASK_QUEUE)
        assert id_conflict_policy is WorkflowIDConflictPolicy.USE_EXISTING
        assert id_reuse_policy is WorkflowIDReusePolicy.ALLOW_DUPLICATE
        if id not in self.running:
            self.started.append(id)
            self.running[id] = FakeWorkflow(self.ledger, argument.state, search_attributes, static_summary)
        for news in start_signal_args if start_signal else ():
            await self.hear(id, news.facts)

    def get_workflow_handle(
        self, workflow_id: str, *, run_id: str | None = None, result_type: type | None = None
    ) -> FakeHandle:
        return FakeHandle(self, workflow_id)

    async def list_workflows(
        self, query: str, *, limit: int, page_size: int, rpc_timeout: timedelta
    ) -> AsyncIterator[SimpleNamespace]:
        self.answer()
        assert "ExecutionStatus = 'Completed'" in query, "of others the SDK may not know the status"
        if self.reconciled_at is not None:
            yield SimpleNamespace(id=m.RECONCILE_ID, run_id="1", close_time=self.reconciled_at)

    async def hear(self, workflow_id: str, facts: Facts) -> None:
        workflow = self.running[workflow_id]
        await workflow.hear(facts)
        if not workflow.state.is_open:
            del self.running[workflow_id]


@dataclass
class FakeHandle:
    temporal: FakeTemporal
    id: str

    def workflow(self) -> FakeWorkflow:
        self.temporal.answer()
        if self.id not in self.temporal.running:
            raise RPCError("workflow not found", RPCStatusCode.NOT_FOUND, b"")
        return self.temporal.running[self.id]

    async def result(self, *, rpc_timeout: timedelta) -> Reconciled:
        return Reconciled(nudged=5, failed=2)

    async def signal(self, name: str, argument: m.FactsChanged, *, rpc_timeout: timedelta) -> None:
        self.workflow()
        assert name == m.FACTS_CHANGED
        await self.temporal.hear(self.id, argument.facts)

    async def execute_update(
        self,
        name: str,
        argument: Any,
        *,
        id: str,  # noqa: A002 - the client's own name
        result_type: type[m.View],
        rpc_timeout: timedelta,
    ) -> m.View:
        workflow = self.workflow()
        workflow.asked.append((name, id, argument))
        if self.temporal.silent:
            raise WorkflowUpdateRPCTimeoutOrCancelledError
        try:
            await workflow.apply(argument.event())
        except NotAllowed as refused:
            refusal = ApplicationError(str(refused), type=m.NOT_ALLOWED, non_retryable=True)
            raise WorkflowUpdateFailedError(refusal) from refusal
        if not workflow.state.is_open:
            del self.temporal.running[self.id]
        return workflow.view

    async def query(self, name: str, *, result_type: type[m.View], rpc_timeout: timedelta) -> m.View:
        workflow = self.workflow()
        assert name == m.STATUS
        if self.temporal.paused:
            raise ValueError("8 is not a valid WorkflowExecutionStatus")
        if self.temporal.silent:
            raise RPCError("deadline exceeded", RPCStatusCode.DEADLINE_EXCEEDED, b"")
        return workflow.view
