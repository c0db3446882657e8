"""What people do to workflows in the Temporal UI: pause one, or terminate one that no build can replay any more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from temporalio import workflow
from temporalio.api.workflowservice.v1 import PauseWorkflowExecutionRequest
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from api.temporal import NotAnswered, Temporal
from deploy.embedded.temporal_server import TemporalServer
from tests.workflows.outside import Outside, collect, new_invoice, status, tell, with_receipt, worker
from workflows import messages as m
from workflows.invoice import InvoiceWorkflow
from workflows.nudging import last_state
from workflows.visibility import REGISTRY
from workflows.worker import count_running


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    async with TemporalServer(tmp_path, search_attributes=REGISTRY) as server:
        yield await Client.connect(server.address, data_converter=pydantic_data_converter)


async def test_a_paused_invoice_hears_and_counts_and_says_that_it_is_paused(client: Client) -> None:
    state, temporal = new_invoice(datetime.now(UTC)), Temporal(client)
    async with worker(client, Outside()):
        handle = await collect(client, state)
        assert (await temporal.look(state.number)).number == state.number
        await client.workflow_service.pause_workflow_execution(
            PauseWorkflowExecutionRequest(namespace=client.namespace, workflow_id=handle.id, identity="test")
        )
        with pytest.raises(NotAnswered, match="paused"):
            await temporal.look(state.number)
        with pytest.raises(NotAnswered, match="paused"):
            await temporal.ask(state.number, m.Pause.UPDATE, m.Pause(reason="x", by="y"), key="1")
        await tell(handle, with_receipt(state.facts, 1))
        for _ in range(50):  # lists are some moments behind
            if await count_running(client) == 1:
                break
            await asyncio.sleep(0.1)
        assert await count_running(client) == 1
        assert await temporal.last_reconcile() is None


@workflow.defn(name=m.INVOICE_WORKFLOW)
class AnActivityTooMany(InvoiceWorkflow):
    """A build that went elsewhere at once: it cannot go on with anybody's history."""

    @workflow.run
    async def run(self, start: m.Start) -> m.View:
        await workflow.execute_activity("nobody_knows", start_to_close_timeout=timedelta(seconds=1))
        return await super().run(start)


async def test_what_cannot_be_replayed_goes_on_from_the_ledger(client: Client) -> None:
    state = new_invoice(datetime.now(UTC))
    opening = state.but(sequence=7, last_step="taken up again from the ledger")
    async with worker(client, Outside()):
        handle = await collect(client, state)
        await tell(handle, with_receipt(state.facts, 1))
        assert (await status(handle)).outstanding_minor == 1_250_000_000 - 1
        await handle.terminate("no build can go on with it")
        assert (await last_state(client, opening)).facts.balance.received == 1, "as long as it can say, it does"
    async with Worker(
        client,
        task_queue=m.TASK_QUEUE,
        workflows=[AnActivityTooMany],
        workflow_runner=UnsandboxedWorkflowRunner(),
        build_id="broken",
    ):
        assert await last_state(client, opening) == opening
