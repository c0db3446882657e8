"""The workflow on Temporal's time-skipping server, with activities that only remember what they were asked."""

from __future__ import annotations

import shutil
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import cast

import yaml
from temporalio import activity
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.client import Client, WorkflowHandle
from temporalio.common import RawValue
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from lunas.receivables.invoice import Balance, Facts, InvoiceState
from lunas.receivables.money import Currency, Money
from lunas.receivables.orders import NoticeOrder, Order, Report, Verdict
from lunas.receivables.policy import parse_policy
from lunas.receivables.rehearsal import issue
from workflows import messages as m
from workflows import visibility
from workflows.invoice import InvoiceWorkflow
from workflows.sandbox import workflow_runner

_POLICIES = Path(__file__).parents[2] / "lunas" / "policies"
Answer = Callable[[str, NoticeOrder | Order], Report | None]


@dataclass
class Outside:
    """Everything outside the workflow: it performs nothing, keeps a record, and answers as a test wishes."""

    performed: list[tuple[str, NoticeOrder | Order]] = field(default_factory=list)
    answer: Answer = lambda name, order: None

    def about(self, number: str) -> Outside:
        """What concerned one invoice."""
        return Outside([(name, order) for name, order in self.performed if order.invoice == number])

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.performed]

    @property
    def journal(self) -> list[tuple[int, str]]:
        """What the ledger would hold: every entry that was handed over and taken."""
        lines: dict[int, str] = {}
        for _, order in self.performed:
            for entry in order.progress.entries:
                lines[entry.sequence] = entry.event
            sent = order.if_sent if isinstance(order, NoticeOrder) else None
            for entry in sent.entries if sent else ():
                lines[entry.sequence] = entry.event
        return sorted(lines.items())

    def notices(self) -> list[tuple[str, date]]:
        """Rung and the customer's date of every notice that was ordered, each rung once."""
        seen: dict[str, date] = {}
        for _, order in self.performed:
            if isinstance(order, NoticeOrder):
                seen.setdefault(order.notice.rung, (order.at + timedelta(hours=7)).date())
        return list(seen.items())

    def activity(self) -> Callable[[Sequence[RawValue]], object]:
        @activity.defn(dynamic=True)
        async def perform(args: Sequence[RawValue]) -> Report:
            name = activity.info().activity_type
            kind = NoticeOrder if name.startswith(("email_", "sms_")) else Order
            order = cast("NoticeOrder | Order", activity.payload_converter().from_payload(args[0].payload, kind))
            self.performed.append((name, order))
            done = Verdict.SENT if isinstance(order, NoticeOrder) else Verdict.DONE
            return self.answer(name, order) or Report(done)

        return perform


@asynccontextmanager
async def time_skipping_server() -> AsyncIterator[WorkflowEnvironment]:
    """Temporal's time-skipping test server, with our search attributes registered."""
    binary = shutil.which("temporal-test-server", path=str(Path(sys.executable).parent))
    server = await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=binary, data_converter=pydantic_data_converter
    )
    kinds = {
        "Keyword": IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
        "KeywordList": IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD_LIST,
        "Int": IndexedValueType.INDEXED_VALUE_TYPE_INT,
        "Datetime": IndexedValueType.INDEXED_VALUE_TYPE_DATETIME,
    }
    attributes = {name: kinds[kind] for name, kind in visibility.REGISTRY.items()}
    await server.client.operator_service.add_search_attributes(AddSearchAttributesRequest(search_attributes=attributes))
    async with server:
        yield server


@asynccontextmanager
async def worker(client: Client, outside: Outside, **options: int) -> AsyncIterator[Worker]:
    """A worker whose only activity is `outside`."""
    async with Worker(
        client,
        task_queue=m.TASK_QUEUE,
        workflows=[InvoiceWorkflow],
        activities=[outside.activity()],
        workflow_runner=workflow_runner(),
        build_id="test",  # else the SDK reads every imported module to make one
        **options,  # type: ignore[arg-type]
    ) as running:
        yield running


def new_invoice(now: datetime, *, number: str = "INV/2026/11/0042", policy: str = "standard") -> InvoiceState:
    """An invoice of IDR 12,500,000 that is issued today, under a shipped policy without holidays."""
    document = yaml.safe_load((_POLICIES / f"{policy}.yaml").read_text())
    terms = parse_policy(document).for_customer("Asia/Jakarta")
    return issue(number, "C-001", Money(1_250_000_000, Currency.IDR), now.date(), terms, opened_at=now)


async def collect(
    client: Client, state: InvoiceState, *, events_per_run: int = 4_000
) -> WorkflowHandle[InvoiceWorkflow, m.View]:
    """Start the workflow as the API does."""
    return await client.start_workflow(
        InvoiceWorkflow.run,
        m.Start(state, events_per_run),
        id=m.workflow_id(state.number),
        task_queue=m.TASK_QUEUE,
        search_attributes=visibility.initial_attributes(state, state.opened_at),
        static_summary=visibility.static_summary(state),
    )


def with_receipt(facts: Facts, minor: int) -> Facts:
    """The ledger's next version after a receipt."""
    balance: Balance = replace(facts.balance, received=facts.balance.received + minor)
    return replace(facts, version=facts.version + 1, balance=balance)


async def ask(handle: WorkflowHandle[InvoiceWorkflow, m.View], request: m.Ask) -> m.View:
    """Make a request as the API does."""
    view: m.View = await handle.execute_update(request.UPDATE, request, result_type=m.View)
    return view


async def status(handle: WorkflowHandle[InvoiceWorkflow, m.View]) -> m.View:
    """Where the invoice stands now."""
    for _ in range(5):
        # The test server never answers a query to a run that is continuing as new at that moment.
        with suppress(RPCError):
            view: m.View = await handle.query(m.STATUS, result_type=m.View, rpc_timeout=timedelta(seconds=3))
            return view
    raise AssertionError("the workflow does not answer")


async def tell(handle: WorkflowHandle[InvoiceWorkflow, m.View], facts: Facts) -> None:
    """Bring the workflow the ledger's news."""
    await handle.signal(m.FACTS_CHANGED, m.FactsChanged(facts))


def latest_run(client: Client, workflow_id: str) -> WorkflowHandle[InvoiceWorkflow, m.View]:
    """A handle that follows the workflow from run to run."""
    return client.get_workflow_handle(workflow_id, result_type=m.View)
