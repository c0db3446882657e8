"""Continue-as-new carries the whole state: a life in many runs is the life in one."""

from __future__ import annotations

from datetime import timedelta

from temporalio.testing import WorkflowEnvironment

from lunas.receivables.invoice import Stage
from tests.workflows.outside import Outside, ask, collect, latest_run, new_invoice, status, tell, with_receipt, worker
from workflows import messages as m


async def test_a_life_in_many_runs_is_the_life_in_one(env: WorkflowEnvironment) -> None:
    now, outside = await env.get_current_time(), Outside()
    async with worker(env.client, outside):
        await collect(env.client, new_invoice(now, number="INV/1"))
        handle = await collect(env.client, new_invoice(now, number="INV/2"), events_per_run=20)
        run = (await handle.describe()).run_id
        await env.sleep(timedelta(days=200))
        latest = latest_run(env.client, handle.id)
        assert (await latest.describe()).run_id != run, "it was to continue as new"
        view = await status(latest)
    in_one, in_many = outside.about("INV/1"), outside.about("INV/2")
    assert in_many.notices() == in_one.notices()
    # Where two deadlines fall into one moment either may be first, so it is what happened that counts, not the order.
    assert sorted(event for _, event in in_many.journal) == sorted(event for _, event in in_one.journal)
    assert [number for number, _ in in_many.journal] == list(range(1, len(in_many.journal) + 1))
    assert view.follow_ups >= 9


async def test_requests_and_payments_survive_continuing_as_new(env: WorkflowEnvironment) -> None:
    """Every answer reaches its asker, and no news is lost, while the workflow keeps starting new runs."""
    state, outside = new_invoice(await env.get_current_time()), Outside()
    facts = state.facts
    async with worker(env.client, outside):
        await collect(env.client, state, events_per_run=8)
        handle = latest_run(env.client, m.workflow_id(state.number))
        for turn in range(12):
            facts = with_receipt(facts, 1_000)
            await tell(handle, facts)
            await ask(handle, m.Pause(reason="test", by="sari") if turn % 2 == 0 else m.Resume(by="sari"))
        view = await status(handle)
        assert view.outstanding_minor == 1_250_000_000 - 12_000
        assert outside.names.count("email_receipt") == 12
        rest = with_receipt(facts, view.outstanding_minor)
        await tell(handle, rest)
        final = await handle.result()
    assert final.stage is Stage.PAID
    assert [sequence for sequence, _ in outside.journal] == list(range(1, final.sequence + 1))
