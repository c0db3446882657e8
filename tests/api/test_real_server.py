"""The API, a worker and Temporal's own server: starting, asking, telling, reopening, and an outage in between.

Activities here send nothing: they write progress down as the real ones do.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import httpx2
import pytest
from temporalio import activity
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.common import RawValue
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Worker

from api.app import create_app
from api.keys import Scope
from api.temporal import connect_from_environment
from deploy.embedded.temporal_server import TemporalServer
from lunas.ledger.database import Ledger
from lunas.ledger.outbox import undelivered
from lunas.ledger.progress import record_progress
from lunas.receivables.orders import NoticeOrder, Order, Report, Verdict
from tests.api.conftest import SETTINGS, browser, key_with
from tests.api.payer import SETTINGS as PAGES
from tests.api.payer import WORDS, do, link, local
from tests.api.samples import NUMBER, TOTAL, at, customer, invoice, payment, problem
from workflows import messages as m
from workflows.invoice import InvoiceWorkflow
from workflows.sandbox import workflow_runner
from workflows.visibility import BALANCE_MINOR, CUSTOMER_CODE, REGISTRY


def recording(ledger: Ledger) -> Callable[[Sequence[RawValue]], Any]:
    """Every activity at once: it writes down what it is given, and says that all went well."""

    @activity.defn(dynamic=True)
    async def perform(args: Sequence[RawValue]) -> Report:
        name = activity.info().activity_type
        kind = NoticeOrder if name.startswith(("email_", "sms_")) else Order
        order = cast(NoticeOrder | Order, activity.payload_converter().from_payload(args[0].payload, kind))
        said = [order.progress]
        if isinstance(order, NoticeOrder) and order.if_sent is not None:
            said.append(order.if_sent)
        async with ledger.write() as session:
            for progress in said:
                facts = await record_progress(session, order.invoice, progress)
        return Report(Verdict.SENT if isinstance(order, NoticeOrder) else Verdict.DONE, facts)

    return perform


@asynccontextmanager
async def worker(server: TemporalServer, ledger: Ledger) -> AsyncIterator[Worker]:
    client = await Client.connect(server.address, data_converter=pydantic_data_converter)
    async with Worker(
        client,
        task_queue=m.TASK_QUEUE,
        workflows=[InvoiceWorkflow],
        activities=[recording(ledger)],
        workflow_runner=workflow_runner(),
        build_id="test",  # else the SDK hashes every module that pytest has loaded
    ) as running:
        yield running


async def eventually(true: Callable[[], Any], within: float = 20) -> None:
    async with asyncio.timeout(within):
        while not await true():
            await asyncio.sleep(0.05)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[TemporalServer]:
    async with TemporalServer(tmp_path / "temporal", search_attributes=REGISTRY) as running:
        yield running


@pytest.fixture
async def live(
    server: TemporalServer, books: Ledger, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[httpx2.AsyncClient]:
    """The API on that server, which it connects to at its first need."""

    async def connect() -> Client:
        monkeypatch.setenv("TEMPORAL_ADDRESS", server.address)
        return await connect_from_environment()

    for patience in ("api.temporal.PATIENCE", "workflows.nudging.PATIENCE"):  # a machine that tests may be slow
        monkeypatch.setattr(patience, timedelta(seconds=20))
    app = create_app(SETTINGS, books, connect)
    async with browser(app, await key_with(books, Scope.ADMIN)) as http:
        assert (await http.post("/v1/customers", json=customer())).status_code == 201
        yield http


async def stage(http: httpx2.AsyncClient) -> str:
    return str((await http.get(at())).json()["stage"])


def today(days: int = 0) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).date().isoformat()


async def test_a_life_with_requests_money_and_money_back(
    server: TemporalServer, live: httpx2.AsyncClient, books: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await Client.connect(server.address, data_converter=pydantic_data_converter)
    handle = client.get_workflow_handle(m.workflow_id(NUMBER))
    new = invoice(issued_on=today())

    # A worker is not needed to issue; the workflow shows in lists before its first task.
    assert (await live.post("/v1/invoices", json=new)).json()["workflow"] == "started"
    shown = await handle.describe()
    assert shown.typed_search_attributes[CUSTOMER_CODE] == "ACME"
    assert shown.typed_search_attributes[BALANCE_MINOR] == TOTAL
    first_run = shown.run_id
    with monkeypatch.context() as hurried:
        hurried.setattr("api.temporal.PATIENCE", timedelta(seconds=1))
        problem(await live.get(at(rest="?live=true")), 503, "unavailable")

    async with worker(server, books):
        again = await live.post("/v1/invoices", json=new)
        assert (again.status_code, again.json()["workflow"]) == (200, "running")
        assert (await handle.describe()).run_id == first_run, "one number has one workflow"

        view = (await live.get(at(rest="?live=true"))).json()["live"]
        assert view["outstanding_minor"] == TOTAL

        held = await live.post(at(rest="/promise"), json={"pay_by": today(5), "by": "siti"})
        assert (held.status_code, held.json()["held"]) == (200, "promise")
        assert (await live.get(at())).json()["hold"]["by"] == "siti, by key erp"
        refused = await live.post(at(rest="/resume"), json={})
        assert "a pause holds it" in problem(refused, 409, "refused")["detail"]

        part = payment("a", amount_minor=1000, paid_on=today())
        assert (await live.post("/v1/payments", json=part)).status_code == 202

        async def heard() -> bool:
            return bool((await live.get(at(rest="?live=true"))).json()["live"]["outstanding_minor"] == TOTAL - 1000)

        await eventually(heard)
        rest = payment("b", amount_minor=TOTAL - 1000, paid_on=today())
        assert (await live.post("/v1/payments", json=rest)).status_code == 202

        async def ended() -> bool:
            return (await handle.describe()).status is WorkflowExecutionStatus.COMPLETED

        await eventually(ended)
        assert await stage(live) == "paid"
        closed = problem(await live.post(at(rest="/pause"), json={"reason": "x"}), 409, "refused")
        assert "is paid" in closed["detail"]

        back = {"provider": "bca", "reference": "c", "reversed_on": today(), "reason": "chargeback"}
        assert (await live.post("/v1/payments/b/reversals", json=back)).status_code == 202

        async def reopened() -> bool:
            return await stage(live) == "issued"

        await eventually(reopened)
        current = await handle.describe()
        assert (current.status, current.run_id == first_run) == (WorkflowExecutionStatus.RUNNING, False)
        given_up = await live.post(at(rest="/write-off"), json={"by": "budi", "reason": "bankrupt"})
        assert given_up.json()["stage"] == "written_off"

    events = [line["event"] for line in (await live.get(at(rest="/journal"))).json()["entries"]]
    assert events.count("paid_in_full") == 1
    assert events[-1] == "written_off"
    async with books.read() as session:
        assert await undelivered(session) == []


async def test_an_outage_of_temporal_loses_nothing(
    server: TemporalServer, live: httpx2.AsyncClient, books: Ledger
) -> None:
    assert (await live.post("/v1/invoices", json=invoice(issued_on=today()))).json()["workflow"] == "started"
    await server.kill()
    assert (await live.get("/readyz")).json()["temporal"].startswith("does not answer")
    made = await live.post("/v1/invoices", json=invoice("INV-2", issued_on=today()))
    assert (made.status_code, made.json()["workflow"]) == (201, "pending")
    assert (await live.post("/v1/payments", json=payment(paid_on=today()))).status_code == 202
    problem(await live.post(at("INV-2", "/pause"), json={"reason": "x"}), 503, "unavailable")
    async with books.read() as session:
        assert {nudge.number for nudge in await undelivered(session)} == {NUMBER, "INV-2"}

    await server.start()
    async with worker(server, books):

        async def up() -> bool:
            return bool((await live.get("/readyz")).json()["temporal"] == "ok")

        await eventually(up)
        # The next request for an invoice delivers what waited for it; the reconcile schedule would have, too.
        paused = await live.post(at("INV-2", "/pause"), json={"reason": "x"})
        assert (paused.status_code, paused.json()["held"]) == (200, "pause")
        again = await live.post("/v1/payments", json=payment(paid_on=today()))
        assert again.json()["new"] is False

        async def paid() -> bool:
            return await stage(live) == "paid"

        await eventually(paid)


async def test_no_worker_is_an_unknown_outcome_and_not_a_second_one(
    server: TemporalServer, live: httpx2.AsyncClient, books: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.temporal.ASK_PATIENCE", timedelta(seconds=1))
    await live.post("/v1/invoices", json=invoice(issued_on=today()))
    ask = {"pay_by": today(5), "by": "siti"}
    headers = {"Idempotency-Key": "once"}
    problem(await live.post(at(rest="/promise"), json=ask, headers=headers), 504, "outcome-unknown")
    async with worker(server, books):
        monkeypatch.setattr("api.temporal.ASK_PATIENCE", timedelta(seconds=15))
        answer = await live.post(at(rest="/promise"), json=ask, headers=headers)
        assert (answer.status_code, answer.json()["held"]) == (200, "promise")
    events = [line["event"] for line in (await live.get(at(rest="/journal"))).json()["entries"]]
    assert events.count("promise_made") == 1


async def test_a_customer_asks_for_things_on_the_page(
    server: TemporalServer, books: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A promise, then a dispute that lifts it, through the page's own forms; what is refused is said kindly."""
    monkeypatch.setenv("TEMPORAL_ADDRESS", server.address)
    for patience in ("api.temporal.PATIENCE", "workflows.nudging.PATIENCE"):
        monkeypatch.setattr(patience, timedelta(seconds=20))
    app = create_app(PAGES, books, connect_from_environment)
    async with browser(app, await key_with(books, Scope.ADMIN)) as http, worker(server, books):
        assert (await http.post("/v1/customers", json=customer())).status_code == 201
        assert (await http.post("/v1/invoices", json=invoice(issued_on=today()))).json()["workflow"] == "started"

        day = local() + timedelta(days=5)
        page = await do(http, "promise", date=day.isoformat(), amount="1.000.000")
        assert "Rp 1.000.000 akan dibayar" in page.text
        held = (await http.get(at(rest="?live=true"))).json()
        assert (held["live"]["held"], held["hold"]["by"]) == ("promise", "customer")

        page = await do(http, "dispute", what="1", reason="Beras kurang satu karung")
        assert WORDS["id"]["dispute_done"] in page.text
        assert (await http.get(at(rest="?live=true"))).json()["live"]["held"] == "dispute"
        late = await http.post(f"{link()}/promise")
        assert late.status_code == 409 and WORDS["id"]["refused_promise"] in late.text
        described = await (await connect_from_environment()).get_workflow_handle(m.workflow_id(NUMBER)).fetch_history()
        assert "karung" not in described.to_json(), "the customer's own words stay in the ledger"
