"""Golden histories replay with today's code; and replay objects when the code is broken on purpose."""

from __future__ import annotations

from pathlib import Path

import pytest
from temporalio import workflow
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner
from temporalio.workflow import NondeterminismError

from tests.histories.record import LIVES
from workflows import messages as m
from workflows.invoice import InvoiceWorkflow
from workflows.sandbox import workflow_runner

HISTORIES = Path(__file__).parents[1] / "histories"
NUMBER = "INV/2026/11/0042"


def history_of(name: str) -> WorkflowHistory:
    return WorkflowHistory.from_json(m.workflow_id(NUMBER), (HISTORIES / f"{name}.json").read_text())


@pytest.mark.parametrize("name", [life.__name__ for life, _ in LIVES])
async def test_a_golden_history_replays(name: str) -> None:
    replayer = Replayer(
        workflows=[InvoiceWorkflow],
        workflow_runner=workflow_runner(),
        data_converter=pydantic_data_converter,
    )
    await replayer.replay_workflow(history_of(name))


def test_no_history_lies_unused() -> None:
    assert {path.stem for path in HISTORIES.glob("*.json")} == {life.__name__ for life, _ in LIVES}


@workflow.defn(name=m.INVOICE_WORKFLOW)
class OneTimerTooMany(InvoiceWorkflow):
    """As if somebody had put a harmless little sleep into the loop."""

    @workflow.run
    async def run(self, start: m.Start) -> m.View:
        await workflow.sleep(1)
        return await super().run(start)


async def test_replay_objects_to_a_broken_workflow() -> None:
    replayer = Replayer(
        workflows=[OneTimerTooMany],
        workflow_runner=UnsandboxedWorkflowRunner(),
        data_converter=pydantic_data_converter,
    )
    with pytest.raises(NondeterminismError):
        await replayer.replay_workflow(history_of("paid_after_follow_ups"))
