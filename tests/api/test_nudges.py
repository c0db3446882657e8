"""Nudges: lost, late or doubled ones neither lose an invoice nor start one that has ended."""

from __future__ import annotations

from datetime import date
from typing import cast

import httpx2
import pytest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from api.nudges import Nudges
from api.temporal import Temporal
from lunas.ledger.database import Ledger
from lunas.ledger.news import LedgerNews
from lunas.ledger.outbox import undelivered
from lunas.ledger.receipts import NewReceipt, record_receipt
from lunas.ledger.reversals import NewReversal, record_reversal
from lunas.ledger.views import invoice_view
from lunas.receivables.invoice import Stage
from lunas.receivables.money import Currency, Money
from tests.api.doubles import FakeTemporal
from tests.api.samples import NUMBER, TOTAL, issued, payment
from workflows.nudging import Courier, Told


@pytest.fixture
def nudges(books: Ledger, temporal: FakeTemporal) -> Nudges:
    return Nudges(books, Temporal(cast(Client, temporal)))


async def waiting(books: Ledger) -> int:
    async with books.read() as session:
        return len(await undelivered(session))


async def pay(books: Ledger, reference: str = "r", minor: int = TOTAL) -> None:
    receipt = NewReceipt("bca", reference, Money(minor, Currency.IDR), date(2026, 11, 20), "test", NUMBER)
    async with books.write() as session:
        await record_receipt(session, receipt)


async def take_back(books: Ledger, receipt: str = "r") -> None:
    reversal = NewReversal("bca", f"back-{receipt}", receipt, date(2026, 11, 21), "chargeback", "test")
    async with books.write() as session:
        await record_reversal(session, reversal)


async def test_what_was_left_behind_is_delivered_later(
    http: httpx2.AsyncClient, temporal: FakeTemporal, books: Ledger, nudges: Nudges
) -> None:
    temporal.down = True
    await issued(http)
    await http.post("/v1/payments", json=payment(amount_minor=5))
    assert await waiting(books) == 2
    temporal.down = False
    await nudges.deliver_waiting()
    assert temporal.of(NUMBER).state.facts.balance.received == 5
    assert await waiting(books) == 0


async def test_a_start_that_comes_after_the_end_starts_nothing(
    http: httpx2.AsyncClient, temporal: FakeTemporal, books: Ledger
) -> None:
    await issued(http)
    await http.post("/v1/payments", json=payment())
    courier = Courier(LedgerNews(books))
    client = cast(Client, temporal)
    assert await courier.deliver(client, NUMBER) is Told.NOT_WANTED
    assert temporal.running == {}
    assert len(temporal.started) == 1


async def test_an_invoice_that_was_paid_before_its_workflow_began_is_closed_by_it(
    http: httpx2.AsyncClient, temporal: FakeTemporal, books: Ledger, nudges: Nudges
) -> None:
    """Nobody has decided yet that it is paid: the workflow starts, hears of it, and ends."""
    temporal.down = True
    await issued(http)
    await pay(books)
    temporal.down = False
    async with books.read() as session:
        assert {nudge.number for nudge in await undelivered(session)} == {NUMBER}
    assert await nudges.tell(NUMBER) is Told.STARTED
    assert temporal.running == {}
    async with books.read() as session:
        assert (await invoice_view(session, NUMBER)).stage is Stage.PAID


async def test_a_reversal_reopens_what_was_paid_at_the_level_it_had(
    http: httpx2.AsyncClient, temporal: FakeTemporal, books: Ledger, nudges: Nudges
) -> None:
    await issued(http)
    await pay(books)
    await nudges.deliver(NUMBER)
    assert temporal.running == {}
    await take_back(books)
    await nudges.deliver(NUMBER)
    reopened = temporal.of(NUMBER)
    assert reopened.state.stage is Stage.ISSUED
    assert reopened.state.sequence == 2
    assert reopened.state.facts.balance.reversed == TOTAL
    assert await waiting(books) == 0


async def test_an_overpayment_after_the_end_wakes_nobody(
    http: httpx2.AsyncClient, temporal: FakeTemporal, books: Ledger, nudges: Nudges
) -> None:
    await issued(http)
    await pay(books)
    await nudges.deliver(NUMBER)
    await pay(books, "again")
    await nudges.deliver(NUMBER)
    assert temporal.running == {}
    assert await waiting(books) == 0


async def test_a_second_delivery_changes_nothing(
    http: httpx2.AsyncClient, temporal: FakeTemporal, books: Ledger, nudges: Nudges
) -> None:
    await issued(http)
    await pay(books, minor=5)
    for _ in range(3):
        await nudges.deliver(NUMBER)
    workflow = temporal.of(NUMBER)
    assert len(workflow.heard) == 3
    assert workflow.state.sequence == 1


async def test_a_call_that_temporal_refuses_leaves_the_row(
    http: httpx2.AsyncClient, temporal: FakeTemporal, books: Ledger, nudges: Nudges
) -> None:
    await issued(http)
    await pay(books)
    temporal.fails_with = RPCStatusCode.UNAVAILABLE
    await nudges.deliver(NUMBER)
    assert await waiting(books) == 1
    with pytest.raises(RPCError):
        await Courier(LedgerNews(books)).deliver(cast(Client, temporal), NUMBER)
