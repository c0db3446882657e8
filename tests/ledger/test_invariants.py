"""Each thing that must never be is found when it is: rows are broken here behind the ledger's back."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
import pytest_asyncio
from sqlalchemy import insert, select, text, update

from lunas.ledger.charges import record_charge, record_waiver
from lunas.ledger.database import Ledger
from lunas.ledger.invariants import violations
from lunas.ledger.kinds import ChargeKind, NoticeState
from lunas.ledger.placements import place
from lunas.ledger.progress import record_progress
from lunas.ledger.receipts import NewReceipt, Remitted, record_receipt
from lunas.ledger.refunds import NewRefund, record_refund
from lunas.ledger.tables import (
    AllocationRow,
    InvoiceLineRow,
    InvoiceRow,
    JournalRow,
    NoticeRow,
    PlacementRow,
    ReceiptRow,
    RefundRow,
    RemittanceRow,
    ToleranceRow,
    WaiverRow,
)
from lunas.receivables.actions import NoticeKind
from lunas.receivables.invoice import Stage
from lunas.receivables.money import Currency, Money
from tests.ledger.samples import (
    WEDNESDAY,
    add_customer,
    add_invoice,
    claimed,
    committed,
    days_on,
    order,
    pay,
    progress,
    sent,
)

NUMBER = "INV/2026/11/0042"


@pytest_asyncio.fixture(loop_scope="session")
async def lived(ledger: Ledger, broken: None) -> Ledger:
    """A ledger with a little of everything, and sound."""
    await add_customer(ledger)
    await add_invoice(ledger)
    await sent(ledger)
    await sent(ledger, days_on(order(), 2, "follow_up+3"))
    await sent(ledger, days_on(order(rung="final_demand+95", kind=NoticeKind.FINAL_DEMAND), 30, "final_demand+95"))
    await pay(ledger, minor=100_000, reference="part")
    async with ledger.write() as session:
        lines = (Remitted(NUMBER, 1_000), Remitted("INV-LATER", 500))
        await record_receipt(
            session, NewReceipt("bank", "several", Money(2_000, Currency.IDR), date(2026, 3, 4), "test", lines=lines)
        )
        await record_refund(session, NewRefund("bank", "out", "several", date(2026, 3, 5), "too much", "siti"))
        fee = {"kind": ChargeKind.FEE, "amount": Money(700, Currency.IDR), "by": "siti", "reason": "late"}
        day = date(2026, 3, 5)
        await record_charge(session, NUMBER, reference="late fee", charged_on=day, **fee)  # type: ignore[arg-type]
        await record_waiver(session, NUMBER, reference="more", waived_on=day, **fee)  # type: ignore[arg-type]
    async with ledger.write() as session:
        await record_progress(session, NUMBER, progress(1))
        await record_progress(session, NUMBER, progress(2))
        await place(session, NUMBER, agency="Agen", approved_by="siti")
        assert await violations(session, at_rest=True) == []
    return ledger


#: Two short payments of one invoice at once.
_LET_OFF = [
    {"invoice_id": select(InvoiceRow.id).scalar_subquery(), "amount_minor": minor, "facts_version": 1, "at": WEDNESDAY}
    for minor in (1, 2)
]


async def numbers(ledger: Ledger, *, at_rest: bool = True) -> set[int]:
    async with ledger.read() as session:
        return {one.invariant for one in await violations(session, at_rest=at_rest)}


@pytest.mark.parametrize(
    ("invariant", "breakage"),
    [
        (4, update(NoticeRow).where(NoticeRow.rung == "follow_up+1").values(sent_at=None)),
        (6, update(InvoiceLineRow).values(amount_minor=1)),
        (6, update(AllocationRow).values(amount_minor=200_000)),
        (6, update(ReceiptRow).values(currency=Currency.USD)),
        (6, update(RefundRow).values(amount_minor=2_001)),
        (6, update(RemittanceRow).values(amount_minor=1_001)),
        (6, update(ReceiptRow).where(ReceiptRow.reference == "several").values(named=NUMBER)),
        (6, update(WaiverRow).values(reference="late fee")),
        (6, insert(ToleranceRow).values(_LET_OFF)),
        (7, insert(ToleranceRow).values([{**_LET_OFF[0], "amount_minor": -1}])),
        (7, update(AllocationRow).values(amount_minor=2_000_000)),
        (9, update(JournalRow).where(JournalRow.rule != "", JournalRow.sequence == 2).values(sequence=3)),
        (9, update(JournalRow).where(JournalRow.rule != "", JournalRow.sequence == 2).values(was=Stage.DUE)),
        (9, update(InvoiceRow).values(stage=Stage.DUE)),
        (9, update(InvoiceRow).values(facts_version=9)),
        (11, update(InvoiceRow).values(stage=Stage.PAID)),
        (14, update(NoticeRow).where(NoticeRow.rung == "follow_up+3").values(rung="follow_up+0")),
    ],
)
async def test_what_must_never_be_is_found(lived: Ledger, invariant: int, breakage: object) -> None:
    async with lived.write() as session:
        await session.execute(breakage)  # type: ignore[call-overload]

    assert invariant in await numbers(lived)


async def test_a_notice_that_fared_otherwise_than_its_message_is_found(lived: Ledger) -> None:
    async with lived.write() as session:
        await session.execute(text("UPDATE notices SET lead_id = (SELECT min(id) FROM notices)"))
        failed = update(NoticeRow).where(NoticeRow.rung == "follow_up+3").values(state=NoticeState.FAILED)
        await session.execute(failed)

    assert 4 in await numbers(lived)


async def test_a_payment_of_a_placed_invoice_calls_for_a_recall(lived: Ledger) -> None:
    await pay(lived, minor=900_000, reference="rest")

    assert 11 in await numbers(lived)
    assert 11 not in await numbers(lived, at_rest=False)  # the recall is on its way
    async with lived.write() as session:
        await session.execute(update(PlacementRow).values(ended_at=PlacementRow.placed_at))
    assert await numbers(lived) == set()


async def test_a_provider_event_booked_twice_is_found(lived: Ledger) -> None:
    await pay(lived, minor=1, reference="other")
    async with lived.write() as session:
        event = (
            "INSERT INTO provider_events (provider, event, raw, verification, received_at) "
            "VALUES ('x', 'e', '', '-', '2026-01-01 00:00:00')"
        )
        await session.execute(text(event))
        await session.execute(text("UPDATE receipts SET event_id = (SELECT max(id) FROM provider_events)"))

    assert 8 in await numbers(lived)


async def test_at_rest_nothing_is_claimed_or_leaving(lived: Ledger) -> None:
    async with lived.write() as session:
        await session.execute(update(PlacementRow).values(ended_at=PlacementRow.placed_at))
    mine = await claimed(lived, days_on(order(), 61, "follow_up+118"))
    assert await numbers(lived) == {5} and await numbers(lived, at_rest=False) == set()

    await committed(lived, mine)

    assert await numbers(lived) == {5} and await numbers(lived, at_rest=False) == set()
    async with lived.write() as session:
        late = update(NoticeRow).where(NoticeRow.id == mine.notice_id)
        await session.execute(late.values(deadline=datetime.now(UTC) - timedelta(minutes=11)))
    assert await numbers(lived, at_rest=False) == {5}


async def test_a_lost_unique_constraint_would_be_noticed(lived: Ledger) -> None:
    if not lived.is_sqlite:
        async with lived.write() as session:
            await session.execute(text("ALTER TABLE notices DROP CONSTRAINT uq_notices_invoice_id_rung_channel"))
            await session.execute(update(NoticeRow).values(rung="follow_up+1"))
            assert 2 in {one.invariant for one in await violations(session)}
            await session.rollback()
