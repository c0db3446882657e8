"""What people ask for: accepted once the ledger has it, refused with a sentence and without a trace."""

from __future__ import annotations

from datetime import timedelta

import pytest
from temporalio.client import WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment

from lunas.receivables.events import DisputeOutcome
from lunas.receivables.instalments import Every, equal_instalments
from lunas.receivables.invoice import HoldKind, Stage
from lunas.receivables.orders import NoticeOrder
from tests.workflows.outside import Outside, ask, collect, new_invoice, status, tell, with_receipt, worker
from workflows import messages as m

TOTAL = 1_250_000_000


async def test_a_promise_silences_the_ladder_until_it_is_broken(env: WorkflowEnvironment) -> None:
    state, outside = new_invoice(await env.get_current_time()), Outside()
    async with worker(env.client, outside):
        handle = await collect(env.client, state)
        await env.sleep(timedelta(days=35))
        today = (await env.get_current_time()).date()
        promise = m.RecordPromise(pay_by=today + timedelta(days=10), by="sari")
        view = await ask(handle, promise)
        assert view.held is HoldKind.PROMISE
        assert "promise_made" in [event for _, event in outside.journal], "answered only once the ledger has it"
        await env.sleep(timedelta(minutes=1))
        said = len(outside.performed)
        await env.sleep(timedelta(days=11))
        assert outside.names[said:] == []
        await env.sleep(timedelta(days=7))
        assert "promise_broken" in [event for _, event in outside.journal]
        rungs = [order.notice.rung for _, order in outside.performed[said:] if isinstance(order, NoticeOrder)]
    assert rungs[0] == "follow_up+7", "days on hold do not count: it goes on where it stood"


async def test_a_dispute_stops_everything_until_it_is_decided(env: WorkflowEnvironment) -> None:
    state, outside = new_invoice(await env.get_current_time()), Outside()
    async with worker(env.client, outside):
        handle = await collect(env.client, state)
        await env.sleep(timedelta(days=32))
        view = await ask(handle, m.RaiseDispute(reason="two boxes were missing", by="sari"))
        assert view.held is HoldKind.DISPUTE
        said = len(outside.performed)
        await env.sleep(timedelta(days=30))
        assert set(outside.names[said:]) == {"tell_owner"}, "its owner is reminded, the customer is not"
        view = await ask(handle, m.ResolveDispute(DisputeOutcome.REJECTED, by="sari"))
        assert view.held is None


@pytest.mark.parametrize(
    ("asked", "because"),
    [
        (m.Recall(by="sari"), "no agency has it"),
        (m.Resume(), "a pause holds it"),
        (m.ApprovePlacement(by="sari"), "the final demand was delivered"),
    ],
)
async def test_a_refused_askedsays_why(env: WorkflowEnvironment, asked: m.Ask, because: str) -> None:
    state, outside = new_invoice(await env.get_current_time()), Outside()
    async with worker(env.client, outside):
        handle = await collect(env.client, state)
        with pytest.raises(WorkflowUpdateFailedError) as refused:
            await ask(handle, asked)
    cause = refused.value.cause
    assert isinstance(cause, ApplicationError)
    assert cause.type == m.NOT_ALLOWED
    assert because in cause.message


async def test_two_people_at_once_get_one_answer_each(env: WorkflowEnvironment) -> None:
    """Both validators pass; the loop accepts the first and refuses the second in words."""
    state, outside = new_invoice(await env.get_current_time()), Outside()
    async with worker(env.client, outside):
        handle = await collect(env.client, state)
        first = await ask(handle, m.Pause(reason="visit planned", by="a"))
        assert first.held is HoldKind.PAUSE
        with pytest.raises(WorkflowUpdateFailedError):
            await ask(handle, m.RecordPromise(pay_by=state.issued_on + timedelta(days=400), by="b"))
        view = await status(handle)
    assert view.held is HoldKind.PAUSE


@pytest.mark.parametrize(
    ("asked", "stage"),
    [
        (m.WriteOff(by="sari", reason="bankrupt"), Stage.WRITTEN_OFF),
        (m.Cancel(by="sari", reason="issued twice"), Stage.CANCELLED),
    ],
)
async def test_a_decision_to_stop_completes_the_workflow(env: WorkflowEnvironment, asked: m.Ask, stage: Stage) -> None:
    state, outside = new_invoice(await env.get_current_time()), Outside()
    async with worker(env.client, outside):
        handle = await collect(env.client, state)
        view = await ask(handle, asked)
        final = await handle.result()
    assert view.stage is stage
    assert final.stage is stage
    closed = [order.progress.closed for _, order in outside.performed if order.progress.closed]
    assert closed and closed[-1].stage is stage, "the ledger keeps the last state"


async def test_a_part_payment_that_keeps_a_promise_lifts_the_hold(env: WorkflowEnvironment) -> None:
    state, outside = new_invoice(await env.get_current_time()), Outside()
    async with worker(env.client, outside):
        handle = await collect(env.client, state)
        await env.sleep(timedelta(days=35))
        today = (await env.get_current_time()).date()
        promise = m.RecordPromise(pay_by=today + timedelta(days=10), amount_minor=500_000_000, by="sari")
        await ask(handle, promise)
        part = with_receipt(state.facts, 500_000_000)
        await tell(handle, part)
        await env.sleep(timedelta(minutes=5))
        view = await status(handle)
    assert view.held is None
    assert view.outstanding_minor == TOTAL - 500_000_000


async def test_a_plan_waits_for_one_instalment_after_the_other(env: WorkflowEnvironment) -> None:
    state, outside = new_invoice(await env.get_current_time()), Outside()
    async with worker(env.client, outside):
        handle = await collect(env.client, state)
        await env.sleep(timedelta(days=35))
        today = (await env.get_current_time()).date()
        plan = equal_instalments(state.outstanding, 2, today + timedelta(days=10), Every.FORTNIGHT)
        view = await ask(handle, m.AgreeInstalments(plan, by="sari"))
        assert view.held is HoldKind.PROMISE
        await tell(handle, with_receipt(state.facts, plan[0].amount_minor))
        await env.sleep(timedelta(days=14))
        assert (await status(handle)).held is HoldKind.PROMISE, "the first came in time: the second is waited for"
        await env.sleep(timedelta(days=14))
        view = await status(handle)
    assert view.held is None
    assert "promise_broken" in [event for _, event in outside.journal]
