"""Whole lives: issued, mailed, followed up seven times, paid and thanked, many at once."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from lunas.ledger.news import LedgerNews
from lunas.ledger.progress import settle
from lunas.ledger.receipts import NewReceipt, record_receipt
from lunas.receivables.actions import SendNotice
from lunas.receivables.invoice import InvoiceState
from lunas.receivables.money import Currency, Money
from lunas.receivables.rehearsal import rehearse
from tests.benchmarks.bare import TASK_QUEUE, BareWorkflow
from tests.benchmarks.house import BILLED, FOLLOW_UPS, House, house, postgres, temporal
from tests.benchmarks.measure import Figure, Rates, in_turns
from workflows import messages as m
from workflows import nudging
from workflows.nudging import Courier

_AT_ONCE, _TURNS = 16, 3
_AT_LEAST, _MOST_EVENTS = 0.7, 1.15
_LAST = f"follow_up+{FOLLOW_UPS[-1]}."


def steps_of(state: InvoiceState) -> list[datetime]:
    """When the invoice is spoken of, by the core's own rehearsal: the floor keeps the same dates."""
    return [line.at for line in rehearse(state, days=FOLLOW_UPS[-1] + 30) if isinstance(line.action, SendNotice)]


async def live(house: House, states: Sequence[InvoiceState]) -> float:
    """Let the product live these lives, all at once; returns the seconds it took."""
    telling = Courier(LedgerNews(house.ledger))
    paying: set[asyncio.Task[None]] = set()

    async def pay(number: str) -> None:
        receipt = NewReceipt("bank", number, Money(BILLED, Currency.IDR), datetime.now(UTC).date(), "benchmark", number)
        async with house.ledger.write() as session:
            await record_receipt(session, receipt)
        await settle(house.ledger, number)
        await telling.deliver(house.client, number)

    def heard(to: str, message_id: str) -> None:
        if message_id.startswith(_LAST):
            paying.add(asyncio.create_task(pay(to.partition("@")[0].upper())))

    async def one(state: InvoiceState) -> None:
        await nudging.start(house.client, state, state.facts, datetime.now(UTC))
        await house.client.get_workflow_handle(m.workflow_id(state.number)).result()

    house.sink.heard = heard
    house.sink.accepted = 0
    began = time.perf_counter()
    await asyncio.gather(*map(one, states))
    took = time.perf_counter() - began
    await asyncio.gather(*paying)
    assert house.sink.accepted == len(states) * (len(FOLLOW_UPS) + 3), f"{house.sink.accepted} mails"
    return took


async def live_bare(house: House, states: Sequence[InvoiceState]) -> float:
    """The same dates for the bare workflow, and the payment after the last of them."""
    plans = {f"bare/{state.number}": steps_of(state) for state in states}
    done: Counter[str] = Counter()
    paying: set[asyncio.Task[None]] = set()

    async def pay(workflow_id: str) -> None:
        await house.client.get_workflow_handle(workflow_id).signal(BareWorkflow.paid)

    def heard(workflow_id: str) -> None:
        done[workflow_id] += 1
        if done[workflow_id] == len(plans[workflow_id]):
            paying.add(asyncio.create_task(pay(workflow_id)))

    async def one(workflow_id: str, steps: list[datetime]) -> None:
        handle = await house.client.start_workflow(BareWorkflow.run, steps, id=workflow_id, task_queue=TASK_QUEUE)
        await handle.result()

    house.bare.done = heard
    began = time.perf_counter()
    await asyncio.gather(*(one(*plan) for plan in plans.items()))
    return time.perf_counter() - began


async def whole_lives(data: Path) -> list[Figure]:
    """On both ledgers; the number of events is the same on either."""
    async with temporal(data) as client:
        async with house(data, client) as home:
            rates = await _rates(home)
            (state,) = await home.issue(1)
            async with home.worker(), home.bare_worker():
                await live(home, [state])
                await live_bare(home, [state])
            ours, bare = [await _events(home, each) for each in (m.workflow_id(state.number), f"bare/{state.number}")]
        with postgres() as url:
            async with house(data, client, url) as home:
                on_postgresql = await _rates(home)
    grown = ours / bare
    return [
        rates.figure("whole lives, SQLite", "/s", _AT_LEAST),
        on_postgresql.figure("whole lives, PostgreSQL", "/s", _AT_LEAST),
        Figure("events of a life", str(ours), str(bare), f"{grown:.2f}", f"≤ {_MOST_EVENTS:g}", grown <= _MOST_EVENTS),
    ]


async def _rates(home: House) -> Rates:
    async def lives() -> float:
        states = await home.issue(_AT_ONCE)
        return _AT_ONCE / await live(home, states)

    async def bare() -> float:
        states = await home.issue(_AT_ONCE)
        return _AT_ONCE / await live_bare(home, states)

    async with home.worker(), home.bare_worker():
        await lives()  # once, so that caches are warm and connections open
        await bare()
        return await in_turns(lives, bare, _TURNS)


async def _events(home: House, workflow_id: str) -> int:
    return (await home.client.get_workflow_handle(workflow_id).describe()).history_length
