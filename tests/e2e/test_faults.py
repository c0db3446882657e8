"""One fault at a time, on the real parts, each of which is a process: what the storm mixes is here by itself."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import httpx2
import pytest
import pytest_asyncio
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import RPCError

from deploy.embedded.temporal_server import TemporalServer
from deploy.embedded.time_skipping import TimeSkippingError, fast_forward_to
from lunas.ledger.customers import NewContact, NewCustomer, create_customer
from lunas.ledger.database import Ledger
from lunas.ledger.invariants import violations
from lunas.ledger.invoices import NewInvoice, NewLine, create_invoice
from lunas.ledger.journal import journal_of
from lunas.ledger.keys import create_key
from lunas.ledger.kinds import NoticeState
from lunas.ledger.migrations import migrate
from lunas.ledger.news import LedgerNews
from lunas.ledger.notices import NoticeView, notices_of
from lunas.ledger.outbox import undelivered
from lunas.ledger.views import invoice_view
from lunas.receivables.calendar import zone
from lunas.receivables.invoice import Stage
from lunas.receivables.money import Currency
from lunas.receivables.terms import Terms
from tests.storm.nursery import Child, Nursery
from tests.storm.plan import policy
from tests.storm.sink import Mood, SinkOptions, read_log
from tests.storm.worker import Place
from tests.storm.world import free_port, listens
from workflows import messages as m
from workflows.nudging import Courier
from workflows.visibility import REGISTRY

pytestmark = pytest.mark.asyncio(loop_scope="module")

ZONE = "Asia/Jakarta"
MINOR = 1_000_000
#: Seconds after which a worker that was killed is missed.
ATTEMPT = 4.0
#: Seconds from a commit until its message can no longer leave.
D = 4.0
DUE_NOTICE = "due_notice+0"
_numbers = count(1)
_T = TypeVar("_T")


@dataclass
class Town:
    """The parts of one test, and a few verbs."""

    nursery: Nursery
    temporal: TemporalServer
    client: Client
    folder: Path
    ledger: Ledger
    url: str
    key: str
    number: str
    smtp_port: int = field(default_factory=free_port)
    api_port: int = field(default_factory=free_port)
    children: list[Child] = field(default_factory=list)
    tasks: list[asyncio.Task[Any]] = field(default_factory=list)

    @property
    def first(self) -> str:
        """The mailbox that is tried first."""
        return f"a.{self.number.lower()}@town.example"

    @property
    def second(self) -> str:
        return f"b.{self.number.lower()}@town.example"

    async def spawn(self, role: str, options: dict[str, Any]) -> Child:
        child = await self.nursery.spawn(role, options)
        self.children.append(child)
        return child

    async def relay(self, *moods: Mood) -> Child:
        """A relay that treats the first messages to the first mailbox so, and is good from then on."""
        script = {self.first: [str(mood) for mood in moods]}
        options = SinkOptions(
            self.smtp_port, str(self.folder), str(self.folder / "nobody"), 0, stormy=False, script=script
        )
        child = await self.spawn("sink", asdict(options))
        await self.until(lambda: listens(self.smtp_port))
        return child

    async def worker(self, place: Place | None = None, number: signal.Signals = signal.SIGKILL) -> Child:
        """A worker; once on its way through the send protocol it gets that signal at that place."""
        options: dict[str, Any] = {
            "database_url": self.url,
            "temporal": self.temporal.address,
            "smtp_port": self.smtp_port,
            "attempt": ATTEMPT,
        }
        if place is not None:
            options["halt"] = {"place": place, "signal": number, "marker": str(self.marker)}
        child = await self.spawn("worker", options)
        await self.until(lambda: async_(child.said("worker_started")))
        return child

    @property
    def marker(self) -> Path:
        return self.folder / "halted"

    async def halted(self) -> None:
        await self.until(lambda: async_(self.marker.exists()))

    async def api(self, **options: str) -> Child:
        shared = {"database_url": self.url, "temporal": self.temporal.address, "smtp_port": self.smtp_port}
        child = await self.spawn("api", {**shared, "port": self.api_port, **options})
        await self.until(lambda: listens(self.api_port))
        return child

    async def issue(self) -> None:
        """A customer with two mailboxes, and an invoice that is due tomorrow."""
        today = datetime.now(UTC).astimezone(zone(ZONE)).date()
        contacts = tuple(
            NewContact(email=address, priority=place) for place, address in enumerate((self.first, self.second))
        )
        line = NewLine("Barang", "1", MINOR, MINOR)
        new = NewInvoice(self.number, self.number, Currency.IDR, today, Terms(1), (line,))
        async with self.ledger.write() as session:
            await create_customer(session, NewCustomer(self.number, "PT Kota", contacts=contacts))
            await create_invoice(session, new, policy(2, ZONE))
        await Courier(LedgerNews(self.ledger)).deliver(self.client, self.number)

    def let_days_pass(self, days: int) -> asyncio.Task[None]:
        """Begin to move the invoice's clock to nine in the morning after so many days."""
        today = datetime.now(UTC).astimezone(zone(ZONE)).date() + timedelta(days=days)
        moment = datetime(today.year, today.month, today.day, 9, 0, tzinfo=zone(ZONE))
        task = asyncio.create_task(self._advance(moment))
        self.tasks.append(task)
        return task

    async def _advance(self, moment: datetime) -> None:
        while True:
            try:
                await fast_forward_to(self.client, m.workflow_id(self.number), moment)
                return
            except (RPCError, TimeSkippingError):
                await asyncio.sleep(0.1)

    async def pay(self, reference: str = "pay-1") -> float:
        """Pay it whole, by the API; returns when that was acknowledged (monotonic)."""
        body = {
            "provider": "bank",
            "reference": reference,
            "invoice": self.number,
            "amount_minor": MINOR,
            "currency": "IDR",
            "paid_on": datetime.now(UTC).date().isoformat(),
        }
        answer = await self.post("/v1/payments", body)
        assert answer.status_code == 202, answer.text
        return time.monotonic()

    async def post(self, path: str, body: dict[str, Any]) -> httpx2.Response:
        headers = {"Authorization": f"Bearer {self.key}"}
        async with httpx2.AsyncClient(timeout=30, trust_env=False) as http:
            return await http.post(f"http://127.0.0.1:{self.api_port}{path}", json=body, headers=headers)

    async def notice(self, rung: str = DUE_NOTICE) -> NoticeView | None:
        async with self.ledger.read() as session:
            return next((one for one in await notices_of(session, self.number) if one.rung == rung), None)

    async def until_notice(self, state: NoticeState, rung: str = DUE_NOTICE) -> NoticeView:
        async def reached() -> NoticeView | None:
            found = await self.notice(rung)
            return found if found is not None and found.state is state else None

        noticed: NoticeView = await self.until(reached)
        return noticed

    async def stage(self) -> Stage:
        async with self.ledger.read() as session:
            return (await invoice_view(session, self.number)).stage

    async def until_closed(self) -> None:
        """The workflow has ended as paid, and the ledger knows."""
        handle = self.client.get_workflow_handle(m.workflow_id(self.number), result_type=m.View)
        view = await asyncio.wait_for(handle.result(), 60)
        assert view.stage is Stage.PAID
        assert await self.stage() is Stage.PAID

    async def events(self) -> list[str]:
        """The journal."""
        async with self.ledger.read() as session:
            rows, _ = await journal_of(session, self.number)
            return [row.event for row in rows]

    def accepted(self, *, demands: bool = True) -> list[dict[str, Any]]:
        """What the relay accepted for the customer, receipts apart."""
        ours = (self.first, self.second)
        lines = [line for line in read_log(self.folder) if line["event"] == "accepted" and line["to"] in ours]
        return [line for line in lines if not (demands and line["id"].startswith("<receipt"))]

    async def in_order(self) -> None:
        """Nothing in the ledger is as it must never be."""
        async with self.ledger.read() as session:
            assert await violations(session, at_rest=True) == []

    async def until(self, look: Callable[[], Awaitable[_T | None]], seconds: float = 60.0) -> _T:
        """Wait until it is true; returns what it is."""
        end = time.monotonic() + seconds
        while not (found := await look()):
            assert time.monotonic() < end, "it did not happen in time"
            await asyncio.sleep(0.05)
        return found


async def async_(value: _T) -> _T:
    return value


@dataclass(frozen=True)
class Ground:
    """What all tests of this file share."""

    nursery: Nursery
    temporal: TemporalServer
    client: Client


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ground(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Ground]:
    folder = tmp_path_factory.mktemp("ground")
    async with (
        TemporalServer(folder / "temporal", search_attributes=REGISTRY) as temporal,
        Nursery(folder / "logs") as nursery,
    ):
        client = await Client.connect(temporal.address, data_converter=pydantic_data_converter)
        yield Ground(nursery, temporal, client)


@pytest_asyncio.fixture(loop_scope="module")
async def town(ground: Ground, tmp_path: Path) -> AsyncIterator[Town]:
    """A customer's invoice of its own, on a ledger of its own."""
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    await migrate(url)
    ledger = Ledger(url)
    async with ledger.write() as session:
        key = await create_key(session, name="town", scopes=["write:payments", "decide"])
    made = Town(ground.nursery, ground.temporal, ground.client, tmp_path, ledger, url, key, f"F{next(_numbers)}")
    await made.issue()
    try:
        yield made
    finally:
        for task in made.tasks:
            task.cancel()
        for child in made.children:
            await child.kill()
        with contextlib.suppress(RPCError):
            await ground.client.get_workflow_handle(m.workflow_id(made.number)).terminate()
        await ledger.close()


# --- the relay -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mood", [Mood.BUSY_RCPT, Mood.FULL_RCPT, Mood.BUSY_DOT, Mood.CLOSING_DOT, Mood.FULL_DOT])
async def test_a_refusal_for_now_is_tried_again_and_sent_once(town: Town, mood: Mood) -> None:
    await town.relay(mood)
    await town.worker()
    await town.let_days_pass(1)
    found = await town.until_notice(NoticeState.SENT)
    assert found.token == 2
    assert [line["id"] for line in town.accepted()] == [found.message_id]
    assert "notice_undeliverable" not in await town.events()
    await town.in_order()


async def test_a_mailbox_that_does_not_exist_is_a_fact_and_the_next_contact_hears_it(town: Town) -> None:
    await town.relay(Mood.NOBODY)
    await town.worker()
    town.let_days_pass(4)
    await town.until(lambda: async_(town.accepted()))
    assert {line["to"] for line in town.accepted()} == {town.second}
    assert "notice_undeliverable" in await town.events()
    heard = Counter(line["to"] for line in read_log(town.folder) if line["event"] == "rcpt")
    assert heard[town.first] == 1, "nobody reads there: it is not tried again"


async def test_a_message_that_is_refused_for_good_is_a_fact_and_never_sent_again(town: Town) -> None:
    await town.relay(Mood.TOO_BIG_DOT)
    await town.worker()
    await town.let_days_pass(1)
    found = await town.until_notice(NoticeState.FAILED)
    assert found.code == 552
    assert town.accepted() == []
    assert "notice_undeliverable" in await town.events()
    await town.in_order()


async def test_a_relay_that_is_down_gets_the_message_when_it_is_back(town: Town) -> None:
    await town.worker()
    town.let_days_pass(1)
    await town.until_notice(NoticeState.CLAIMED)
    await asyncio.sleep(1)
    assert town.accepted() == []
    await town.relay()
    await town.until_notice(NoticeState.SENT)
    assert len(town.accepted()) == 1
    await town.in_order()


@pytest.mark.parametrize(
    ("mood", "sent"),
    [
        (Mood.ACCEPT_AND_DROP, 1),
        (Mood.LOSE_AND_DROP, 0),
        (Mood.ACCEPT_AND_SILENCE, 1),
        (Mood.LOSE_AND_SILENCE, 0),
    ],
)
async def test_a_lost_answer_is_unknown_and_never_sent_again(town: Town, mood: Mood, sent: int) -> None:
    await town.relay(mood)
    await town.worker()
    town.let_days_pass(2)
    await town.until_notice(NoticeState.SENT, "follow_up+1")
    found = await town.notice()
    assert found is not None
    assert found.state is NoticeState.UNKNOWN
    assert sum(line["id"] == found.message_id for line in town.accepted()) == sent
    assert "notice_unsettled" in await town.events()
    await town.in_order()


# --- the worker ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", [Place.CLAIMED, Place.PREPARED])
async def test_a_worker_killed_before_the_commit_has_sent_nothing(town: Town, place: Place) -> None:
    await town.relay()
    await town.worker(place)
    town.let_days_pass(1)
    await town.halted()
    await town.worker()
    found = await town.until_notice(NoticeState.SENT)
    assert found.token == 2
    assert len(town.accepted()) == 1
    await town.in_order()


@pytest.mark.parametrize(("place", "sent"), [(Place.COMMITTED, 0), (Place.ACCEPTED, 1)])
async def test_a_worker_killed_after_the_commit_leaves_an_honest_unknown(town: Town, place: Place, sent: int) -> None:
    await town.relay()
    await town.worker(place)
    town.let_days_pass(1)
    await town.halted()
    await town.worker()
    found = await town.until_notice(NoticeState.UNKNOWN)
    await town.until(lambda: has_event(town, "notice_unsettled"))
    assert [line["id"] for line in town.accepted()] == [found.message_id] * sent
    await town.in_order()


async def has_event(town: Town, event: str) -> bool:
    return event in await town.events()


async def test_a_worker_frozen_before_the_dot_does_not_send_after_the_payment_was_acknowledged(town: Town) -> None:
    await town.relay()
    await town.api()
    frozen = await town.worker(Place.COMMITTED, signal.SIGSTOP)
    town.let_days_pass(1)
    await town.halted()
    began = time.monotonic()
    acknowledged = await town.pay()
    assert acknowledged - began < D + 1.5, "the payer waits until the deadline, and no longer"
    frozen.send(signal.SIGCONT)
    await town.until_closed()
    assert town.accepted() == []


async def test_a_worker_frozen_before_the_commit_is_overtaken_by_the_payment(town: Town) -> None:
    await town.relay()
    await town.api()
    frozen = await town.worker(Place.PREPARED, signal.SIGSTOP)
    town.let_days_pass(1)
    await town.halted()
    began = time.monotonic()
    assert await town.pay() - began < D, "nothing is on its way: nobody waits"
    frozen.send(signal.SIGCONT)
    await town.until_closed()
    assert town.accepted() == []
    found = await town.notice()
    assert found is not None
    assert found.state is NoticeState.CANCELLED
    await town.in_order()


async def test_an_attempt_that_wakes_up_late_does_not_contradict_the_one_that_replaced_it(town: Town) -> None:
    await town.relay()
    frozen = await town.worker(Place.ACCEPTED, signal.SIGSTOP)
    town.let_days_pass(1)
    await town.halted()
    await town.worker()
    await town.until(lambda: has_event(town, "notice_unsettled"))
    frozen.send(signal.SIGCONT)
    await town.until_notice(NoticeState.SENT)
    assert len(town.accepted()) == 1
    await town.in_order()


# --- payments --------------------------------------------------------------------------------------------------------


async def test_a_payment_that_comes_a_hundred_times_is_booked_once(town: Town) -> None:
    await town.relay()
    await town.api()
    await town.worker()
    await asyncio.gather(*(town.pay() for _ in range(20)))
    await town.until_closed()
    assert (await town.events()).count("receipt_allocated") == 1
    assert [line["id"] for line in town.accepted(demands=False)] == [
        line["id"] for line in town.accepted(demands=False) if line["id"].startswith("<receipt")
    ]
    assert len(town.accepted(demands=False)) == 1, "one receipt for one payment"
    await town.in_order()


async def test_an_api_killed_before_it_told_the_workflow_is_made_good_by_reconcile(town: Town) -> None:
    await town.relay()
    await town.worker()
    api = await town.api(dies_before_nudge=str(town.folder / "died"))
    await town.pay()
    await town.until(lambda: async_(not api.alive))
    async with town.ledger.read() as session:
        assert [nudge.number for nudge in await undelivered(session)] == [town.number]
    await town.until_closed()
    async with town.ledger.read() as session:
        assert await undelivered(session) == []
    await town.in_order()


async def test_a_payment_is_kept_while_temporal_is_down_and_nothing_leaves_after_it(town: Town) -> None:
    await town.relay()
    await town.api()
    await town.worker()
    await town.temporal.kill()
    try:
        acknowledged = await town.pay()
    finally:
        await town.temporal.start()
    town.let_days_pass(2)
    await town.until_closed()
    assert [line for line in town.accepted() if line["dot_at"] > acknowledged] == []
    await town.in_order()


# --- operators -------------------------------------------------------------------------------------------------------


async def test_a_terminated_workflow_goes_on_where_it_was_and_repeats_nothing(town: Town) -> None:
    await town.relay()
    await town.worker()
    await town.let_days_pass(1)
    await town.until_notice(NoticeState.SENT)
    before = await town.events()
    handle = town.client.get_workflow_handle(m.workflow_id(town.number))
    first = (await handle.describe()).run_id
    await handle.terminate("an operator's mistake")

    async def runs_again() -> bool:
        found = await handle.describe()
        return found.run_id != first and found.status is WorkflowExecutionStatus.RUNNING

    await town.until(runs_again)
    town.let_days_pass(2)
    await town.until_notice(NoticeState.SENT, "follow_up+1")
    assert (await town.events())[: len(before)] == before
    assert Counter(line["id"] for line in town.accepted()).most_common(1)[0][1] == 1
    await town.in_order()


async def test_signals_that_mean_nothing_change_nothing(town: Town) -> None:
    await town.relay()
    await town.api()
    await town.worker()
    handle = town.client.get_workflow_handle(m.workflow_id(town.number))
    await handle.signal(m.FACTS_CHANGED, {"facts": "garbage"})
    await handle.signal(m.FACTS_CHANGED, args=[])
    await handle.signal(m.FACTS_CHANGED, args=[{"facts": {"version": 9}}, "and more"])
    await handle.signal("fact_changed", {"paid": True})
    await town.let_days_pass(1)
    await town.until_notice(NoticeState.SENT)
    await town.pay()
    await town.until_closed()
    await town.in_order()
