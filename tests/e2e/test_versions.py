"""A deploy: a run stays on the build that it began with, and moves on to the current one where it rests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from temporalio.api.workflowservice.v1 import (
    DescribeWorkflowExecutionRequest,
    SetWorkerDeploymentCurrentVersionRequest,
)
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import RPCError
from temporalio.worker import Worker

from deploy.embedded.temporal_server import TemporalServer
from lunas.settings import Settings
from tests.workflows.outside import Outside, collect, latest_run, new_invoice, status, tell, with_receipt
from workflows import messages as m
from workflows.visibility import REGISTRY
from workflows.worker import make_worker


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    async with TemporalServer(tmp_path, search_attributes=REGISTRY) as server:
        yield await Client.connect(server.address, data_converter=pydantic_data_converter)


def build(client: Client, outside: Outside, name: str) -> Worker:
    return make_worker(Settings(versioned_worker=True, build_id=name), client, [outside.activity()])


async def make_current(client: Client, name: str) -> None:
    """As a deploy does; the server knows a build once its worker has asked for work."""
    for _ in range(200):
        try:
            await client.workflow_service.set_worker_deployment_current_version(
                SetWorkerDeploymentCurrentVersionRequest(
                    namespace=client.namespace, deployment_name="lunas", build_id=name
                )
            )
        except RPCError:
            await asyncio.sleep(0.1)
        else:
            return
    raise AssertionError(f"build {name} did not become the current one")


async def build_of(client: Client, workflow_id: str) -> str:
    request = DescribeWorkflowExecutionRequest(namespace=client.namespace)
    request.execution.workflow_id = workflow_id
    found = await client.workflow_service.describe_workflow_execution(request)
    return str(found.workflow_execution_info.versioning_info.deployment_version.build_id)


async def until(condition: Any, seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0.1)


async def test_a_nudge_after_a_deploy_brings_a_resting_invoice_to_the_new_build(client: Client) -> None:
    outside = Outside()
    state = new_invoice(datetime.now(UTC))
    async with build(client, outside, "one"):
        await make_current(client, "one")
        first = await collect(client, state)
        assert (await status(first)).number == state.number
        assert await build_of(client, first.id) == "one"
        async with build(client, outside, "two"):
            await make_current(client, "two")
            await asyncio.sleep(1)
            assert await build_of(client, first.id) == "one", "it stays until something wakes it"
            await tell(latest_run(client, first.id), state.facts)  # it brings nothing new, and wakes it all the same

            async def has_moved() -> bool:
                return await build_of(client, first.id) == "two"

            await until(has_moved)
            assert (await latest_run(client, first.id).describe()).run_id != first.first_execution_run_id
            known = replace(with_receipt(state.facts, 500), version=state.facts.version + 1)
            await tell(latest_run(client, first.id), known)
            view = await status(latest_run(client, first.id))
    assert view.outstanding_minor == 1_250_000_000 - 500
    assert m.workflow_id(state.number) == first.id


async def test_without_versions_a_new_run_goes_on_where_the_old_one_was(client: Client) -> None:
    """The build's behaviour for a new run is named all the same; an unversioned server must not mind."""
    outside, state = Outside(), new_invoice(datetime.now(UTC))
    async with make_worker(Settings(), client, [outside.activity()]):
        first = await collect(client, state, events_per_run=4)
        facts = state.facts
        for _ in range(3):
            facts = with_receipt(facts, 100)
            await tell(latest_run(client, first.id), facts)

        async def has_heard_all_in_another_run() -> bool:
            latest = latest_run(client, first.id)
            heard = (await status(latest)).outstanding_minor == 1_250_000_000 - 300
            return heard and (await latest.describe()).run_id != first.first_execution_run_id

        await until(has_heard_all_in_another_run)
