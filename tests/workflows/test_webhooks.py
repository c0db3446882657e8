"""The workflow of an endpoint over a real ledger, while days are skipped: receivers fail, recover, or stay away."""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import httpx2
import pytest
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import ActivityEnvironment, WorkflowEnvironment
from temporalio.worker import Worker

from activities.agencies import Letter
from activities.owner import OwnerActivities
from activities.reconcile import ReconcileActivities
from activities.webhooks import Poster, WebhookActivities
from lunas.ledger.database import Ledger
from lunas.ledger.deliveries import DeliveryView, deliveries, replay_failed
from lunas.ledger.endpoints import add_endpoint, change_endpoint, endpoint
from lunas.ledger.kinds import DeliveryState
from lunas.webhooks import EventType, Start
from tests.ledger.samples import add_customer, add_invoice, new_invoice
from workflows import messages as m
from workflows.options import WEBHOOK_WAITS
from workflows.sandbox import workflow_runner
from workflows.waking import Waker, wake
from workflows.webhooks import AT_ONCE, PROBING_AFTER, WebhookWorkflow

SETTLED = (DeliveryState.DELIVERED, DeliveryState.GIVEN_UP)


async def nothing() -> AsyncIterator[bytes]:
    """A body that comes over the wire, and is empty."""
    yield b""


@dataclass
class Receiver:
    """Answers each event as a test wishes, and keeps what it was sent."""

    answer: Callable[[str], int] = lambda event: 200
    heard: list[str] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0

    async def __call__(self, request: httpx2.Request) -> httpx2.Response:
        event = request.headers["webhook-id"]
        self.heard.append(event)
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        await asyncio.sleep(0)
        self.at_once -= 1
        return httpx2.Response(self.answer(event), content=nothing())


@dataclass
class Desk:
    letters: list[Letter] = field(default_factory=list)

    async def send(self, letter: Letter, key: str) -> None:
        self.letters.append(letter)


@asynccontextmanager
async def worker(client: Client, ledger: Ledger, receiver: Receiver, desk: Desk | None = None) -> AsyncIterator[None]:
    async with Poster(transport=httpx2.MockTransport(receiver)) as poster:
        acts = WebhookActivities(ledger, poster)
        owner = OwnerActivities(ledger, desk or Desk(), "owner@contoh.example")
        async with Worker(
            client,
            task_queue=m.TASK_QUEUE,
            workflows=[WebhookWorkflow],
            activities=[acts.due, acts.deliver, owner.tell_of_webhook],
            workflow_runner=workflow_runner(),
            build_id="test",
        ):
            yield


@pytest.fixture
async def books(ledger: Ledger) -> Ledger:
    await add_customer(ledger)
    return ledger


async def subscribe(ledger: Ledger) -> int:
    async with ledger.write() as session:
        row, _ = await add_endpoint(session, "https://erp.example.com/lunas", [EventType.INVOICE_ISSUED], by="test")
    return row.id


async def issue(ledger: Ledger, *numbers: str) -> None:
    for number in numbers:
        await add_invoice(ledger, new_invoice(number))


async def stands(ledger: Ledger, one: int) -> list[DeliveryView]:
    """An endpoint's deliveries, oldest first."""
    async with ledger.read() as session:
        return list(reversed(await deliveries(session, one, limit=500)))


async def ended(env: WorkflowEnvironment, one: int) -> None:
    """Wait for the end of the endpoint's workflow, from run to run, while time is skipped.

    (Time is skipped only for a handle that a start gave: one that has ended is started anew, finds nothing, and ends.)
    """
    handle = await env.client.start_workflow(
        m.WEBHOOK_WORKFLOW,
        Start(one),
        id=m.webhook_id(one),
        task_queue=m.TASK_QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
    )
    await handle.result()


async def test_everything_that_waits_is_delivered_and_then_the_workflow_ends(
    env: WorkflowEnvironment, books: Ledger
) -> None:
    one, receiver = await subscribe(books), Receiver()
    await issue(books, *(f"INV-{n}" for n in range(60)))
    async with worker(env.client, books, receiver):
        await wake(env.client, one)
        await ended(env, one)
    assert len(receiver.heard) == len(set(receiver.heard)) == 60
    assert receiver.most_at_once <= AT_ONCE
    assert {view.state for view in await stands(books, one)} == {DeliveryState.DELIVERED}


async def test_a_receiver_that_recovers_gets_everything_after_growing_waits(
    env: WorkflowEnvironment, books: Ledger
) -> None:
    one = await subscribe(books)
    receiver = Receiver(lambda event: 503 if len(receiver.heard) <= 5 else 200)
    await issue(books, "INV-1")
    began = await env.get_current_time()
    async with worker(env.client, books, receiver):
        await wake(env.client, one)
        await ended(env, one)
    (view,) = await stands(books, one)
    assert (view.state, view.attempts, view.last_status) == (DeliveryState.DELIVERED, 6, 200)
    assert len(set(receiver.heard)) == 1, "the same event, under the same id"
    assert view.delivered_at is not None
    waited = view.delivered_at - began
    planned = sum(WEBHOOK_WAITS[:5], timedelta(0))
    assert planned * 0.9 <= waited <= planned * 1.1 + timedelta(minutes=1)


async def test_an_event_that_a_receiver_cannot_take_stands_in_nobody_s_way_and_is_given_up_after_three_days(
    env: WorkflowEnvironment, books: Ledger
) -> None:
    one = await subscribe(books)
    await issue(books, "INV-POISON", "INV-1")
    poison = (await stands(books, one))[0].event
    receiver = Receiver(lambda event: 500 if event == poison else 200)
    desk = Desk()
    async with worker(env.client, books, receiver, desk):
        await wake(env.client, one)
        await env.sleep(timedelta(days=1))
        await issue(books, "INV-2")
        await wake(env.client, one)
        await ended(env, one)
    found = await stands(books, one)
    assert [view.state for view in found] == [
        DeliveryState.GIVEN_UP, DeliveryState.DELIVERED, DeliveryState.DELIVERED,
    ]  # fmt: skip
    assert receiver.heard.count(poison) == len(WEBHOOK_WAITS) + 1
    assert timedelta(days=2.5) < sum(WEBHOOK_WAITS, timedelta(0)) < timedelta(days=3.5)
    async with books.read() as session:
        assert (await endpoint(session, one)).active
    assert desk.letters == []


async def test_an_endpoint_that_never_answers_is_disabled_the_owner_told_and_all_is_kept_for_a_replay(
    env: WorkflowEnvironment, books: Ledger
) -> None:
    one, desk = await subscribe(books), Desk()
    is_down = True
    receiver = Receiver(lambda event: 502 if is_down else 200)
    await issue(books, *(f"INV-{n}" for n in range(6)))
    async with worker(env.client, books, receiver, desk):
        await wake(env.client, one)
        await ended(env, one)
        async with books.read() as session:
            disabled = await endpoint(session, one)
        assert not disabled.active and disabled.disabled_why == "nothing was delivered for days"
        (letter,) = desk.letters
        assert f"endpoint {one}" in letter.subject

        is_down = False
        await issue(books, "INV-MEANWHILE")
        async with books.write() as session:
            await change_endpoint(session, one, active=True)
            await replay_failed(session, one, disabled.created_at)
        await wake(env.client, one)
        await ended(env, one)
    assert {view.state for view in await stands(books, one)} == {DeliveryState.DELIVERED}
    assert len(await stands(books, one)) == 7


async def test_while_a_receiver_is_down_one_delivery_asks_for_all(env: WorkflowEnvironment, books: Ledger) -> None:
    one = await subscribe(books)
    back_at: datetime | None = None
    receiver = Receiver(lambda event: 503 if back_at is None else 200)
    await issue(books, *(f"INV-{n}" for n in range(60)))
    async with worker(env.client, books, receiver):
        await wake(env.client, one)
        await env.sleep(timedelta(hours=2))
        asked = len(receiver.heard)
        assert PROBING_AFTER < asked < 120, "60 deliveries with 7 attempts each would be 420"
        back_at = await env.get_current_time()
        await ended(env, one)
    assert {view.state for view in await stands(books, one)} == {DeliveryState.DELIVERED}


async def test_in_many_short_runs_nothing_is_lost_or_repeated(env: WorkflowEnvironment, books: Ledger) -> None:
    one, receiver = await subscribe(books), Receiver()
    await issue(books, *(f"INV-{n}" for n in range(120)))
    async with worker(env.client, books, receiver):
        handle = await env.client.start_workflow(
            m.WEBHOOK_WORKFLOW, Start(one, events_per_run=50), id=m.webhook_id(one), task_queue=m.TASK_QUEUE
        )
        await handle.result()
        last = await env.client.get_workflow_handle(m.webhook_id(one)).describe()
    assert handle.first_execution_run_id != last.run_id, "it was to continue as new"
    assert len(receiver.heard) == len(set(receiver.heard)) == 120


async def test_what_arises_while_it_delivers_is_delivered_too(env: WorkflowEnvironment, books: Ledger) -> None:
    """Every wake that races with the workflow's end finds it running, or starts it anew."""
    one, receiver = await subscribe(books), Receiver()
    waker = Waker(lambda endpoint: wake(env.client, endpoint))
    books.on_announced = waker
    async with worker(env.client, books, receiver):
        for n in range(15):
            await issue(books, f"INV-{n}")
            await asyncio.sleep(0.02 * (n % 4))
        await waker.close()
        async with asyncio.timeout(30):
            while any(view.state not in SETTLED for view in await stands(books, one)):
                await asyncio.sleep(0.05)
    assert len(set(receiver.heard)) == 15


async def test_a_crash_between_fact_and_delivery_is_healed_by_the_reconcile_turn(
    env: WorkflowEnvironment, books: Ledger
) -> None:
    """Whoever wrote the event died before it woke anybody."""
    one, receiver = await subscribe(books), Receiver()
    await issue(books, "INV-1")

    async def nudge(number: str) -> str:
        return "signalled"

    async def none() -> int:
        return 1

    reconcile = ReconcileActivities(
        books, nudge, none, late_after=timedelta(0), wake=lambda endpoint: wake(env.client, endpoint)
    )
    async with worker(env.client, books, receiver):
        assert (await ActivityEnvironment().run(reconcile.reconcile)).woken == 1
        await ended(env, one)
        assert (await ActivityEnvironment().run(reconcile.reconcile)).woken == 0
    assert len(receiver.heard) == 1


async def test_a_terminated_workflow_goes_on_where_it_was(env: WorkflowEnvironment, books: Ledger) -> None:
    one = await subscribe(books)
    is_down = True
    receiver = Receiver(lambda event: 503 if is_down else 200)
    await issue(books, "INV-1")
    async with worker(env.client, books, receiver):
        await wake(env.client, one)
        await env.sleep(timedelta(minutes=5))
        handle = env.client.get_workflow_handle(m.webhook_id(one))
        await handle.terminate("an operator")
        attempts = (await stands(books, one))[0].attempts
        assert attempts > 2
        is_down = False
        await wake(env.client, one)
        await ended(env, one)
        assert (await handle.describe()).status is WorkflowExecutionStatus.COMPLETED
    (view,) = await stands(books, one)
    assert (view.state, view.attempts) == (DeliveryState.DELIVERED, attempts + 1)


async def test_whatever_a_person_sends_with_a_wake_it_wakes(env: WorkflowEnvironment, books: Ledger) -> None:
    one = await subscribe(books)
    is_down = True
    receiver = Receiver(lambda event: 503 if is_down else 200)
    await issue(books, "INV-1")
    async with worker(env.client, books, receiver):
        await wake(env.client, one)
        handle = env.client.get_workflow_handle(m.webhook_id(one))
        for garbage in ([], ["please"], ["please", {"now": 1}]):
            await handle.signal(m.WAKE, args=garbage)
        await env.sleep(timedelta(minutes=2))
        is_down = False
        await ended(env, one)
    assert (await stands(books, one))[0].state is DeliveryState.DELIVERED


async def test_the_histories_hold_neither_urls_nor_secrets_nor_names(env: WorkflowEnvironment, books: Ledger) -> None:
    one, receiver = await subscribe(books), Receiver()
    await issue(books, "INV-1")
    async with worker(env.client, books, receiver):
        await wake(env.client, one)
        run = (await env.client.get_workflow_handle(m.webhook_id(one)).describe()).run_id
        await ended(env, one)
    history = (await env.client.get_workflow_handle(m.webhook_id(one), run_id=run).fetch_history()).to_json()
    history += "".join(base64.b64decode(data).decode() for data in re.findall(r'"data": "([^"]+)"', history))
    assert "invoice.issued" in history, "what a payload holds can be read here"
    for secret in ("erp.example.com", "whsec_", "ACME", "INV-1"):
        assert secret not in history


async def test_a_wake_that_fails_is_no_error_and_the_next_one_tries_again() -> None:
    tried: list[int] = []

    async def fails(endpoint: int) -> None:
        tried.append(endpoint)
        if len(tried) == 1:
            raise RPCError("away", RPCStatusCode.UNAVAILABLE, b"")

    waker = Waker(fails)
    waker(frozenset({1}))
    await waker.close()
    waker(frozenset({1}))
    await waker.close()
    assert tried == [1, 1]


async def test_wakes_that_come_while_one_is_under_way_become_one() -> None:
    tried: list[int] = []
    go = asyncio.Event()

    async def slow(endpoint: int) -> None:
        tried.append(endpoint)
        await go.wait()

    waker = Waker(slow)
    waker(frozenset({1}))
    await asyncio.sleep(0)
    for _ in range(10):
        waker(frozenset({1, 2}))
    go.set()
    await waker.close()
    assert sorted(tried) == [1, 1, 2], "what was committed after the wake began is woken for once more"
