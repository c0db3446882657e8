"""Whole lives: a year unpaid, paid at every stage, paid in the same instant as a timer."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from itertools import pairwise

import pytest
from temporalio.client import WorkflowHandle
from temporalio.testing import WorkflowEnvironment

from lunas.receivables.actions import SendNotice
from lunas.receivables.invoice import Facts, InvoiceState, Stage
from lunas.receivables.orders import NoticeOrder, Report, Verdict
from lunas.receivables.rehearsal import rehearse
from tests.workflows.outside import Outside, ask, collect, new_invoice, status, tell, with_receipt, worker
from workflows import messages as m
from workflows.invoice import InvoiceWorkflow

TOTAL = 1_250_000_000


def overdue(now: datetime) -> InvoiceState:
    """As a worker finds it that was down since before the due date: 29 days late, the last reminder sent."""
    state = new_invoice(now - timedelta(days=59))
    return replace(state, climbed=-5, last_step_on=state.due_on - timedelta(days=5))


async def test_a_year_unpaid_is_lived_as_rehearsed(env: WorkflowEnvironment) -> None:
    state, outside = new_invoice(await env.get_current_time()), Outside()
    async with worker(env.client, outside):
        handle = await collect(env.client, state)
        await env.sleep(timedelta(days=395))
        view = await status(handle)
    planned: dict[str, date] = {}
    for line in rehearse(state, days=365):
        if isinstance(line.action, SendNotice):
            planned.setdefault(line.action.rung, line.on)
    lived = dict(outside.notices())
    assert {rung: lived[rung] for rung in planned if rung in lived} == planned
    assert [rung for rung in planned if rung not in lived] == []
    assert view.stage is Stage.ALTERNATE_PAYMENT
    assert view.follow_ups >= 15


async def test_every_decision_reaches_the_journal_exactly_once(env: WorkflowEnvironment) -> None:
    state, outside = new_invoice(await env.get_current_time()), Outside()
    async with worker(env.client, outside):
        handle = await collect(env.client, state)
        await env.sleep(timedelta(days=60))
        paid = with_receipt(state.facts, TOTAL)
        await tell(handle, paid)
        final = await handle.result()
    sequences = [sequence for sequence, _ in outside.journal]
    assert sequences == list(range(1, final.sequence + 1))


@pytest.mark.parametrize(
    ("days", "stage"),
    [(1, "issued"), (30, "due"), (35, "follow_up"), (53, "research_contact"), (70, "alternate_payment")],
)
async def test_paid_at_every_stage_it_falls_silent(env: WorkflowEnvironment, days: int, stage: str) -> None:
    state, outside = new_invoice(await env.get_current_time()), Outside()
    async with worker(env.client, outside):
        handle = await collect(env.client, state)
        await env.sleep(timedelta(days=days, hours=6))
        before = await status(handle)
        assert before.stage == stage
        said = len(outside.performed)
        await tell(handle, with_receipt(state.facts, TOTAL))
        final = await handle.result()
    assert final.stage is Stage.PAID
    assert outside.names[said:] == ["email_receipt"]


async def test_payment_at_the_agency_recalls_the_placement(env: WorkflowEnvironment) -> None:
    state, outside = new_invoice(await env.get_current_time()), Outside()
    async with worker(env.client, outside):
        handle = await collect(env.client, state)
        await env.sleep(timedelta(days=140))
        view = await ask(handle, m.ApprovePlacement(by="manager"))
        await env.sleep(timedelta(minutes=1))
        view = await status(handle)
        assert view.stage is Stage.AGENCY
        said = len(outside.performed)
        await env.sleep(timedelta(days=20))
        assert outside.names[said:] == [], "our own chasing is frozen while the agency has it"
        await tell(handle, with_receipt(state.facts, TOTAL))
        final = await handle.result()
    assert final.stage is Stage.PAID
    assert outside.names[said:] == ["recall_from_agency", "email_receipt"]


def at_any_hour(state: InvoiceState) -> InvoiceState:
    """With a window that never closes: this test's time is real, and today may be a Sunday."""
    calendar = replace(state.policy.calendar, opens=time.min, closes=time.max, weekdays=tuple(range(7)))
    return replace(state, policy=replace(state.policy, calendar=calendar, spread_minutes=0))


async def test_a_payment_beats_a_timer_that_has_already_fired(env: WorkflowEnvironment) -> None:
    """The worker is down while both the timer of an overdue follow-up and the payment arrive; here time is real."""
    now = await env.get_current_time()
    state, outside = replace(at_any_hour(overdue(now)), not_before=now + timedelta(seconds=8)), Outside()
    with env.auto_time_skipping_disabled():
        async with worker(env.client, outside, max_cached_workflows=0):
            handle = await collect(env.client, state)
            await status(handle)
        await asyncio.sleep((now + timedelta(seconds=9) - await env.get_current_time()).total_seconds())
        await tell(handle, with_receipt(state.facts, TOTAL))
        async with worker(env.client, outside):
            final = await handle.result()
    history = await handle.fetch_history()
    assert any(event.HasField("timer_fired_event_attributes") for event in history.events), (
        "the timer was to fire first"
    )
    assert final.stage is Stage.PAID
    assert outside.names == ["email_receipt"]


async def test_repeated_reordered_and_stale_news_change_nothing(env: WorkflowEnvironment) -> None:
    state, outside = new_invoice(await env.get_current_time()), Outside()
    first = with_receipt(state.facts, 500)
    second = with_receipt(first, 700)
    async with worker(env.client, outside):
        handle = await collect(env.client, state)
        for facts in (second, first, second, state.facts, first):
            await tell(handle, facts)
        await env.sleep(timedelta(days=1))
        view = await status(handle)
    assert view.outstanding_minor == TOTAL - 1200
    assert view.facts_version == second.version
    assert outside.names.count("email_receipt") == 1


async def test_a_worker_that_was_down_for_a_month_sends_one_message_not_a_burst(env: WorkflowEnvironment) -> None:
    state, outside = overdue(await env.get_current_time()), Outside()
    async with worker(env.client, outside):
        handle = await collect(env.client, state)
        await env.sleep(timedelta(days=3))
        view = await status(handle)
    rungs = [order.notice.rung for _, order in outside.performed if isinstance(order, NoticeOrder)]
    assert rungs == ["follow_up+28", "follow_up+28"], "email and SMS of the highest rung earned"
    details = [entry.detail for _, order in outside.performed for entry in order.progress.entries]
    skipped = "due_notice+0, follow_up+1, follow_up+3, follow_up+7, follow_up+14, research_contact+21"
    assert details[0] == f"skipped as overtaken: {skipped}"
    assert view.stage is Stage.FOLLOW_UP


async def test_after_a_postponement_the_notice_goes_out_when_the_gate_said(env: WorkflowEnvironment) -> None:
    state, outside = new_invoice(await env.get_current_time()), Outside()
    asked: list[NoticeOrder] = []

    def wait_two_days(name: str, order: object) -> Report | None:
        assert isinstance(order, NoticeOrder) or not name.startswith("email")
        if name != "email_due_notice" or not isinstance(order, NoticeOrder):
            return None
        asked.append(order)
        return Report(Verdict.POSTPONED, until=order.at + timedelta(days=2)) if len(asked) == 1 else None

    outside.answer = wait_two_days
    async with worker(env.client, outside):
        await collect(env.client, state)
        await env.sleep(timedelta(days=34))
    first = asked[0].at
    later = [order.at for _, order in outside.performed if isinstance(order, NoticeOrder) and order.at > first]
    assert later[0] >= first + timedelta(days=2)
    assert all(b >= a for a, b in pairwise(order.at for _, order in outside.performed))


async def test_facts_that_only_an_activity_brings_are_adopted(env: WorkflowEnvironment) -> None:
    """The signal was lost; the claim's answer carries the payment."""
    state, outside = new_invoice(await env.get_current_time()), Outside()
    paid: Facts = with_receipt(state.facts, TOTAL)
    outside.answer = lambda name, order: Report(Verdict.WITHHELD, facts=paid) if name == "email_remind" else None
    async with worker(env.client, outside):
        handle = await collect(env.client, state)
        await env.sleep(timedelta(days=20))
        final = await handle.result()
    assert final.stage is Stage.PAID
    assert outside.names == ["email_send_invoice", "email_remind", "email_receipt"]


async def test_what_has_ended_shows_its_end_in_the_lists(env: WorkflowEnvironment) -> None:
    state, outside = new_invoice(await env.get_current_time()), Outside()
    async with worker(env.client, outside):
        handle = await collect(env.client, state)
        await env.sleep(timedelta(days=35))
        assert (await shown(handle))["Stage"] == "follow_up"
        await tell(handle, with_receipt(state.facts, TOTAL))
        await handle.result()
        ended = await shown(handle)
    assert (ended["Stage"], ended["BalanceMinor"]) == ("paid", 0)
    assert "NextActionAt" not in ended, "nothing comes after the end"


async def shown(handle: WorkflowHandle[InvoiceWorkflow, m.View]) -> dict[str, object]:
    """The search attributes of the workflow as its history has set them."""
    values: dict[str, object] = {}
    async for event in handle.fetch_history_events():
        started = event.workflow_execution_started_event_attributes.search_attributes
        upserted = event.upsert_workflow_search_attributes_event_attributes.search_attributes
        for name, payload in (*started.indexed_fields.items(), *upserted.indexed_fields.items()):
            value = json.loads(payload.data) if payload.data else None
            values = {key: old for key, old in values.items() if key != name}
            if value not in (None, []):
                values[name] = value
    return values


async def test_money_that_was_paid_before_the_invoice_came_is_not_answered(env: WorkflowEnvironment) -> None:
    state, outside = new_invoice(await env.get_current_time()), Outside()
    imported = replace(with_receipt(state.facts, 400), earlier=400)
    async with worker(env.client, outside):
        handle = await collect(env.client, state)
        await tell(handle, imported)
        await env.sleep(timedelta(hours=1))
        assert (await status(handle)).outstanding_minor == TOTAL - 400
        assert "email_receipt" not in outside.names
        await tell(handle, with_receipt(imported, TOTAL - 400))
        final = await handle.result()
    assert final.stage is Stage.PAID
    assert outside.names.count("email_receipt") == 1
