"""What workflows write down: each decision once, in order, whoever repeats it."""

from __future__ import annotations

from datetime import timedelta

import pytest
import pytest_asyncio

from lunas.ledger.database import Ledger
from lunas.ledger.holds import holds_of, open_hold
from lunas.ledger.invariants import violations
from lunas.ledger.journal import DIVERGED, journal_of
from lunas.ledger.kinds import HoldAct, JournalSource, NoticeState
from lunas.ledger.progress import record_progress
from lunas.ledger.views import invoice_view
from lunas.receivables.invoice import Facts, HoldKind, Progress, Stage
from lunas.receivables.ladder import Channel
from tests.ledger.samples import (
    WEDNESDAY,
    add_customer,
    add_invoice,
    claimed,
    dispute,
    order,
    progress,
    states,
)

NUMBER = "INV/2026/11/0042"


@pytest_asyncio.fixture(loop_scope="session")
async def invoice(ledger: Ledger) -> str:
    await add_customer(ledger)
    await add_invoice(ledger)
    return NUMBER


async def write(ledger: Ledger, said: Progress) -> Facts:
    async with ledger.write() as session:
        return await record_progress(session, NUMBER, said)


async def decisions(ledger: Ledger) -> list[int]:
    async with ledger.read() as session:
        rows, _ = await journal_of(session, NUMBER)
        return [row.sequence for row in rows if row.source is JournalSource.WORKFLOW]


async def test_decisions_are_written_once_however_often_they_come(ledger: Ledger, invoice: str) -> None:
    for said in (progress(1), progress(1), progress(2), progress(1), progress()):
        await write(ledger, said)

    assert await decisions(ledger) == [1, 2]


async def test_an_older_repetition_does_not_undo_a_newer_standing(ledger: Ledger, invoice: str) -> None:
    await write(ledger, progress(1))
    await write(ledger, progress(2, stage=Stage.FOLLOW_UP, was=Stage.ISSUED))
    await write(ledger, progress(1))

    async with ledger.read() as session:
        assert (await invoice_view(session, invoice)).stage is Stage.FOLLOW_UP


async def test_several_decisions_come_together(ledger: Ledger, invoice: str) -> None:
    first, second = progress(1), progress(2)
    both = Progress((*first.entries, *second.entries), second.standing, None)
    await write(ledger, first)

    await write(ledger, both)

    assert await decisions(ledger) == [1, 2]


async def test_holds_are_kept_as_they_were_set_and_lifted(ledger: Ledger, invoice: str) -> None:
    longer = dispute(WEDNESDAY + timedelta(days=1))
    for said in (
        progress(1, hold=dispute()),
        progress(2, hold=dispute()),
        progress(3, hold=longer),
        progress(4),
        progress(5),
    ):
        await write(ledger, said)

    async with ledger.read() as session:
        rows = await holds_of(session, invoice)
        view = await invoice_view(session, invoice)
        assert await open_hold(session, view.id) is None
    assert [(row.act, row.since) for row in rows] == [
        (HoldAct.SET, WEDNESDAY),
        (HoldAct.SET, longer.since),
        (HoldAct.LIFTED, longer.since),
    ]


async def test_the_open_hold_says_all_that_was_said(ledger: Ledger, invoice: str) -> None:
    await write(ledger, progress(1, hold=dispute()))

    async with ledger.read() as session:
        view = await invoice_view(session, invoice)
        assert await open_hold(session, view.id) == dispute()
    assert (view.held, view.held_until) == (HoldKind.DISPUTE, dispute().until)


@pytest.mark.parametrize(
    "said", [progress(1, hold=dispute()), progress(1, stage=Stage.CANCELLED, was=Stage.ISSUED)], ids=["held", "closed"]
)
async def test_a_hold_or_the_end_takes_claims_back(ledger: Ledger, invoice: str, said: Progress) -> None:
    await claimed(ledger)

    await write(ledger, said)

    assert await states(ledger) == {("follow_up+1", Channel.EMAIL): NoticeState.CANCELLED}


async def test_progress_alone_leaves_claims_alone(ledger: Ledger, invoice: str) -> None:
    await claimed(ledger, order(said=progress(1)))

    await write(ledger, progress(2))

    assert await states(ledger) == {("follow_up+1", Channel.EMAIL): NoticeState.CLAIMED}


async def test_a_workflow_that_contradicts_itself_is_noted_and_not_stuck(
    ledger: Ledger, invoice: str, broken: None
) -> None:
    """An operator reset it to an earlier point: what it decides now differs from the journal."""
    await write(ledger, progress(1))
    await write(ledger, progress(2))

    known = await write(ledger, progress(2, event="customer_answered"))
    await write(ledger, progress(3))

    async with ledger.read() as session:
        rows, _ = await journal_of(session, invoice)
        wrong = await violations(session)
    assert [row.event for row in rows if row.source is JournalSource.LEDGER] == ["invoice_created", DIVERGED]
    assert known.version == 2 and await decisions(ledger) == [1, 2, 3]
    assert [(one.invariant, one.subject) for one in wrong] == [(9, invoice)]


async def test_the_journal_comes_in_pages(ledger: Ledger, invoice: str) -> None:
    for sequence in range(1, 6):
        await write(ledger, progress(sequence))

    async with ledger.read() as session:
        first, after = await journal_of(session, invoice, limit=4)
        assert after is not None
        second, last = await journal_of(session, invoice, after=after, limit=4)
    assert [len(first), len(second), last] == [4, 2, None]
