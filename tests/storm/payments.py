"""`python -m tests.storm.payments`: webhooks of three providers while the API is being killed and Temporal is away.

Every payment is delivered one to three times, in a random order, by eight clients that deliver again until they are
told that it was taken, as providers do. At the end every payment must be one receipt, and every invoice settled.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import httpx2
from sqlalchemy import func, select

from lunas.ledger.customers import NewContact, NewCustomer, create_customer
from lunas.ledger.database import Ledger
from lunas.ledger.facts import OUTSTANDING
from lunas.ledger.invariants import violations
from lunas.ledger.invoices import NewInvoice, NewLine, create_invoice
from lunas.ledger.kinds import BookingState, JournalSource, NoticeState
from lunas.ledger.news import LedgerNews
from lunas.ledger.notices import count_by_state as count_notices
from lunas.ledger.outbox import undelivered
from lunas.ledger.provider_events import count_by_state
from lunas.ledger.tables import InvoiceRow, JournalRow, ReceiptRow
from lunas.policies import policy_for
from lunas.receivables.invoice import CLOSED
from lunas.receivables.money import Currency
from lunas.receivables.terms import Terms
from tests.providers.samples import KEYS, paid, signed
from tests.storm.nursery import Nursery
from tests.storm.plan import Fault, FaultKind, Scale
from tests.storm.world import World, world
from workflows.nudging import Courier

ZONE = "Asia/Jakarta"
PROVIDERS = ("stripe", "snap", "generic")
_CLIENTS = 8
_RUPIAH = 1_000
_TEMPORAL_IS_AWAY = 10.0  # seconds
#: A delivery that is not answered within so many seconds is made again.
_ANSWER_WITHIN = 15.0
#: Seconds that everything may take to come to rest, and what each payment adds to them: every one is thanked for.
_CALM, _CALM_EACH = 60.0, 0.3
#: Seconds between two lines that say how far it is.
_TELL_EVERY = 15.0


@dataclass
class Tally:
    """What the clients saw."""

    deliveries: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    took: list[float] = field(default_factory=list)


async def main() -> int:
    """0 where every payment was booked once and every invoice is settled."""
    asked = _arguments()
    seed = asked.seed if asked.seed is not None else int(time.time())
    for provider in PROVIDERS:  # the parts read their settings from the environment
        name = {"snap": "SNAP_WEBHOOK_KEYS"}.get(provider, f"{provider.upper()}_WEBHOOK_SECRETS")
        os.environ[f"LUNAS_{name}"] = KEYS[provider][0]
    folder = Path(tempfile.mkdtemp(prefix="lunas-payments-"))
    logs = folder / "logs"
    async with Nursery(logs) as nursery:
        scale = Scale(
            invoices=asked.payments,
            rungs=1,
            seconds=1.0,
            fault_every=asked.fault_every,
            workers=1,
            apis=1,
            stormy=False,
        )
        async with world(folder, scale, seed, nursery, postgresql=asked.database == "postgresql", naive=False) as parts:
            began = time.monotonic()
            await _issue(parts, asked.payments)
            tally = await _deliver(parts, asked.payments, seed, asked.fault_every)
            at_rest = await _come_to_rest(parts, asked.payments)
            wrong = await _judge(parts, asked.payments, tally, time.monotonic() - began, asked.database)
            await parts.silence()
    if not at_rest:
        wrong.append("it did not come to rest in time")
    for each in wrong:
        print(f"  WRONG: {each}")
    if wrong:
        print(f"its files are in {folder}")
    else:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{'IT DID NOT HOLD' if wrong else 'it held'}; again with: python -m tests.storm.payments --seed {seed}")
    return 1 if wrong else 0


def _number(at: int) -> str:
    return f"INV/{at:05d}"


async def _issue(parts: World, count: int) -> None:
    """An invoice for every payment, each with its workflow."""
    today = datetime.now(UTC).date()
    contact = NewContact(name="Siti", email="siti@acme.example")
    async with parts.ledger.write() as session:
        await create_customer(session, NewCustomer("ACME", "PT ACME", time_zone=ZONE, contacts=(contact,)))
    policy = policy_for("standard", ZONE, today.year)
    courier = Courier(LedgerNews(parts.ledger))
    for at in range(count):
        line = NewLine("Beras", "1", _RUPIAH * 100, _RUPIAH * 100)
        new = NewInvoice(_number(at), "ACME", Currency.IDR, today, Terms(30), (line,))
        async with parts.ledger.write() as session:
            await create_invoice(session, new, policy)
        await courier.deliver(parts.client, new.number)
        if (at + 1) % 500 == 0:
            print(f"    {at + 1} of {count} issued", flush=True)


async def _deliver(parts: World, count: int, seed: int, fault_every: float) -> Tally:
    """Every payment one to three times, in any order; faults go on for as long as it lasts."""
    chance = random.Random(seed)
    waiting = [at for at in range(count) for _ in range(chance.randint(1, 3))]
    chance.shuffle(waiting)
    tally = Tally(deliveries=len(waiting))
    url = f"http://127.0.0.1:{parts.apis[0].options['port']}"
    faults = asyncio.create_task(_faults(parts, chance, fault_every))
    telling = asyncio.create_task(_tell(waiting, tally))
    async with httpx2.AsyncClient(base_url=url, timeout=_ANSWER_WITHIN) as http, asyncio.TaskGroup() as clients:
        for _ in range(_CLIENTS):
            clients.create_task(_client(http, waiting, tally))
    telling.cancel()
    faults.cancel()
    await asyncio.wait([faults])
    if not faults.cancelled() and faults.exception() is not None:
        raise RuntimeError("the faults stopped by themselves") from faults.exception()
    if not parts.temporal.running:
        await parts.temporal.start()
    return tally


async def _tell(waiting: list[int], tally: Tally) -> None:
    while True:
        await asyncio.sleep(_TELL_EVERY)
        print(f"    {tally.deliveries - len(waiting)} of {tally.deliveries} delivered", flush=True)


async def _client(http: httpx2.AsyncClient, waiting: list[int], tally: Tally) -> None:
    while waiting:
        at = waiting.pop()
        provider = PROVIDERS[at % len(PROVIDERS)]
        path = f"/webhooks/{provider}"
        body = paid(provider, f"pay-{at}", rupiah=_RUPIAH, invoice=_number(at))
        while True:
            sent = signed(provider, body, now=datetime.now(UTC), path=path)
            began = time.monotonic()
            try:
                answer = await http.post(path, content=sent.raw, headers=sent.headers)
                said = str(answer.status_code)
            except httpx2.TransportError:
                said = "none"
            tally.answers[said] += 1
            if said == "200":
                tally.took.append(time.monotonic() - began)
                break
            await asyncio.sleep(0.1)


async def _faults(parts: World, chance: random.Random, every: float) -> None:
    """Temporal goes away once, early on; the API is killed again and again."""
    away = Fault(after=0.0, kind=FaultKind.KILL_TEMPORAL, whom=0, lasts=_TEMPORAL_IS_AWAY)
    async with asyncio.TaskGroup() as group:
        group.create_task(parts.suffer(away))
        await asyncio.sleep(min(0.3, every))  # a small storm is soon over
        while True:
            await parts.suffer(Fault(after=0.0, kind=FaultKind.KILL_API, whom=0, lasts=0.0))
            await asyncio.sleep(chance.uniform(0.5, 1.5) * every)


async def _come_to_rest(parts: World, count: int) -> bool:
    end = time.monotonic() + _CALM + count * _CALM_EACH
    while time.monotonic() < end:
        async with parts.ledger.read() as session:
            is_open = await session.scalar(select(func.count()).where(InvoiceRow.stage.not_in(CLOSED)))
            waiting = (await count_by_state(session)).get(BookingState.WAITING, 0)
            nudges = await undelivered(session)
            notices = await count_notices(session)
        under_way = [state for state in (NoticeState.CLAIMED, NoticeState.COMMITTING) if notices.get(state)]
        if not is_open and not waiting and not nudges and not under_way:
            return True
        await asyncio.sleep(0.5)
    return False


async def _judge(parts: World, count: int, tally: Tally, seconds: float, database: str) -> list[str]:
    """Print what happened; returns what is wrong."""
    receipts, sums, settled, closed, states = await _books(parts.ledger)
    async with parts.ledger.read() as session:
        broken = [f"invariant {one.invariant}: {one.what}" for one in await violations(session, at_rest=True)]
    tally.took.sort()
    rows = {
        "payments": count,
        "deliveries": tally.deliveries,
        "requests, by what they were answered": dict(tally.answers),
        "answered with yes: median, 95 % (ms)": [round(1000 * _quantile(tally.took, share)) for share in (0.5, 0.95)],
        "heard by the workflow: median, 95, 99 % (ms)": await _heard_after(parts.ledger),
        "the API was killed": parts.happened[FaultKind.KILL_API],
        "Temporal was away": f"{parts.happened[FaultKind.KILL_TEMPORAL]} × {_TEMPORAL_IS_AWAY:.0f} s",
        "events kept": {state.value: number for state, number in states.items()},
        "receipts": receipts,
        "invoices settled": settled,
        "invoices closed by their workflow": closed,
    }
    print(f"\npayments, {database}, {seconds:.0f} s")
    for name, value in rows.items():
        print(f"  {name:<40} {value}")
    expected = (count, count * _RUPIAH * 100, count, count, {BookingState.BOOKED: count})
    wrong = [
        f"{what}: {found}, expected {wanted}"
        for what, found, wanted in zip(
            ("receipts", "their sum", "settled", "closed", "events"),
            (receipts, sums, settled, closed, states),
            expected,
            strict=True,
        )
        if found != wanted
    ]
    if not parts.happened[FaultKind.KILL_API]:
        wrong.append("the API was never killed: this proves nothing")
    return wrong + broken


async def _books(ledger: Ledger) -> tuple[int, int, int, int, dict[BookingState, int]]:
    async with ledger.read() as session:
        receipts = await session.scalar(select(func.count()).select_from(ReceiptRow)) or 0
        sums = int(await session.scalar(select(func.sum(ReceiptRow.amount_minor))) or 0)
        settled = await session.scalar(select(func.count()).select_from(InvoiceRow).where(OUTSTANDING == 0)) or 0
        closed = await session.scalar(select(func.count()).where(InvoiceRow.stage.in_(CLOSED))) or 0
        return receipts, sums, settled, closed, await count_by_state(session)


async def _heard_after(ledger: Ledger) -> list[int]:
    """From the booking of a payment to its workflow's decision: both by the clock of this machine."""
    async with ledger.read() as session:
        rows = await session.execute(
            select(ReceiptRow.received_at, JournalRow.at)
            .join(InvoiceRow, InvoiceRow.number == ReceiptRow.named)
            .join(JournalRow, JournalRow.invoice_id == InvoiceRow.id)
            .where(JournalRow.source == JournalSource.WORKFLOW, JournalRow.event == "paid_in_full")
        )
        took = sorted((at - received_at).total_seconds() for received_at, at in rows)
    return [round(1000 * _quantile(took, share)) for share in (0.5, 0.95, 0.99)]


def _quantile(ordered: list[float], share: float) -> float:
    return ordered[int(share * (len(ordered) - 1))] if ordered else 0.0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.storm.payments", description=__doc__)
    parser.add_argument("--payments", type=int, default=2_000)
    parser.add_argument("--seed", type=int, help="another one each time by default")
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument(
        "--fault-every", type=float, default=8.0, help="seconds between two kills of the API, on average"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
