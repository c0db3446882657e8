"""One turn of reconcile: what cannot be nudged is noted, named in the log, and does not stop the rest."""

from __future__ import annotations

from datetime import timedelta

import pytest
import structlog
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import ActivityEnvironment

from activities.reconcile import ReconcileActivities
from lunas.ledger.database import Ledger
from lunas.ledger.kinds import NoticeState
from lunas.ledger.outbox import delivered, undelivered
from lunas.receivables.ladder import Channel
from lunas.receivables.orders import Reconciled
from tests.ledger.samples import Hands, add_customer, add_invoice, claimed, committed, new_invoice, order, states

NUMBERS = ("A", "B", "C", "D")
SECRET = "siti@acme.example"


async def turn(ledger: Ledger, failures: dict[str, Exception], running: int) -> tuple[Reconciled, list[str]]:
    """A turn in which these nudges fail; also the numbers in the order in which they were nudged."""
    nudged: list[str] = []

    async def nudge(number: str) -> str:
        nudged.append(number)
        if number in failures:
            raise failures[number]
        return "started"

    async def count() -> int:
        return running

    activities = ReconcileActivities(ledger, nudge, count, late_after=timedelta(0))
    found: Reconciled = await ActivityEnvironment().run(activities.reconcile)
    return found, nudged


@pytest.fixture
async def books(ledger: Ledger) -> Ledger:
    await add_customer(ledger)
    for number in NUMBERS:
        await add_invoice(ledger, new_invoice(number))
    return ledger


async def test_one_that_cannot_be_nudged_does_not_stop_the_others(books: Ledger) -> None:
    failures = {"A": RPCError(SECRET, RPCStatusCode.INTERNAL, b""), "C": ValueError(SECRET)}
    with structlog.testing.capture_logs() as logged:
        found, nudged = await turn(books, failures, running=4)
    assert nudged == list(NUMBERS)
    assert (found.nudged, found.started, found.failed) == (4, 2, 2)
    assert [(line["invoice"], line["why"], line["status"]) for line in logged] == [
        ("A", "RPCError", "INTERNAL"),
        ("C", "ValueError", None),
    ]
    assert SECRET not in str(logged), "what an error quotes may be personal"


async def test_the_sweep_goes_on_too_and_tries_nobody_twice(books: Ledger) -> None:
    async with books.write() as session:
        await delivered(session, [nudge.id for nudge in await undelivered(session) if nudge.number != "A"])
    found, nudged = await turn(books, {"A": TimeoutError(), "B": TimeoutError()}, running=0)
    assert nudged == ["A", "B", "C", "D"]
    assert (found.nudged, found.started, found.failed, found.ledger_open) == (1, 2, 2, 4)


async def test_nothing_is_swept_while_every_invoice_has_its_workflow(books: Ledger) -> None:
    async with books.write() as session:
        await delivered(session, [nudge.id for nudge in await undelivered(session)])
    found, nudged = await turn(books, {}, running=4)
    assert nudged == []
    assert found == Reconciled(ledger_open=4, running=4)


async def test_a_fresh_nudge_is_left_to_its_writer(books: Ledger) -> None:
    async def nudge(number: str) -> str:
        raise AssertionError(f"{number} was nudged too early")

    async def count() -> int:
        return 4

    found: Reconciled = await ActivityEnvironment().run(ReconcileActivities(books, nudge, count).reconcile)
    assert found.nudged == 0


async def test_a_commit_that_nobody_reported_on_is_unknown_once_its_sender_is_silent(books: Ledger) -> None:
    hands = Hands()
    books._clock = hands
    mine = await claimed(books, order("A"))
    await committed(books, mine)
    hands.move(minutes=1, seconds=59)
    assert (await turn(books, {}, running=4))[0].unsettled == 0, "its sender may still say what became of it"
    hands.move(seconds=10)
    assert (await turn(books, {}, running=4))[0].unsettled == 1
    assert await states(books, "A") == {("follow_up+1", Channel.EMAIL): NoticeState.UNKNOWN}
    assert (await turn(books, {}, running=4))[0].unsettled == 0
