"""Deliveries are booked once, in whatever order they come and however often; what contradicts is kept for a person."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest_asyncio
from sqlalchemy import select, update

from lunas.ledger.database import Ledger
from lunas.ledger.facts import facts
from lunas.ledger.invariants import violations
from lunas.ledger.kinds import BookingState
from lunas.ledger.matching import UNAPPLIED
from lunas.ledger.offers import BANK_TRANSFER, NewOffer, begin_offer, offer_is_ready, record_offer, void_offer
from lunas.ledger.provider_bookings import Outcome, book_event, put_off
from lunas.ledger.provider_events import Kept, count_by_state, keep_reading, unsettled_events, waiting_events
from lunas.ledger.tables import ReceiptRow, ReversalRow
from lunas.providers.events import EventKind, ProviderEvent
from lunas.receivables.invoice import Balance
from lunas.receivables.money import Currency, Money
from tests.ledger.conftest import assert_sound, forget_everything
from tests.ledger.samples import Hands, add_customer, add_invoice, new_invoice, pay

INVOICE = "INV/2026/11/0042"
NUMBERS = (INVOICE, "INV-2")
TOTAL = 1_000_000
DAY = date(2026, 3, 4)


def paid(reference: str = "p1", minor: int = TOTAL, *, event: str | None = None, **more: object) -> ProviderEvent:
    said = ProviderEvent(
        "bank", event or f"e-{reference}", EventKind.PAID, reference, Money(minor, Currency.IDR), DAY, invoice=INVOICE
    )
    return replace(said, **more)  # type: ignore[arg-type]


def back(reversal: str = "r1", reference: str = "p1", minor: int | None = None) -> ProviderEvent:
    amount = Money(minor, Currency.IDR) if minor else None
    return ProviderEvent(
        "bank", f"e-{reversal}", EventKind.REVERSED, reference, amount, DAY, reversal=reversal, reason="bounced"
    )


async def keep(ledger: Ledger, said: ProviderEvent, *, confirmed: bool = True) -> Kept:
    async with ledger.write() as session:
        return await keep_reading(session, said, raw=b"{}", verification="test", confirmed=confirmed)


async def deliver(ledger: Ledger, said: ProviderEvent) -> Outcome:
    kept = await keep(ledger, said)
    async with ledger.write() as session:
        return await book_event(session, kept.id)


async def balance(ledger: Ledger, number: str = INVOICE) -> Balance:
    async with ledger.read() as session:
        return (await facts(session, number)).balance


async def unapplied(ledger: Ledger) -> int:
    async with ledger.read() as session:
        return sum(await session.scalars(select(UNAPPLIED).select_from(ReceiptRow)))


@pytest_asyncio.fixture(loop_scope="session")
async def issued(ledger: Ledger) -> Ledger:
    await add_customer(ledger)
    await add_invoice(ledger)
    return ledger


async def test_a_delivery_is_kept_once_and_booked_once(issued: Ledger) -> None:
    first = await keep(issued, paid())
    again = await keep(issued, paid())
    assert (first.new, again.new, again.same, again.id) == (True, False, True, first.id)
    for _ in range(3):
        outcome = await deliver(issued, paid())
        assert outcome == Outcome(BookingState.BOOKED, (INVOICE,))
    assert (await balance(issued)).received == TOTAL
    assert not (await keep(issued, paid(minor=5))).same, "another amount under the same id"


async def test_a_hundred_deliveries_at_once_are_one_receipt(issued: Ledger) -> None:
    outcomes = await asyncio.gather(*(deliver(issued, paid()) for _ in range(100)))
    assert {outcome.state for outcome in outcomes} == {BookingState.BOOKED}
    assert (await balance(issued)).received == TOTAL


async def test_two_events_about_one_payment_are_one_receipt(issued: Ledger) -> None:
    """A capture and its settlement, at once and on different days."""
    both = (paid(event="capture"), paid(event="settlement", on=DAY + timedelta(days=1)))
    outcomes = await asyncio.gather(*(deliver(issued, said) for said in both))
    assert [outcome.state for outcome in outcomes] == [BookingState.BOOKED] * 2
    assert (await balance(issued)).received == TOTAL


async def test_a_payment_that_was_booked_by_hand_is_not_booked_again(issued: Ledger) -> None:
    await pay(issued, minor=TOTAL, reference="p1")
    assert (await deliver(issued, paid(on=DAY + timedelta(days=3), invoice=None))).state is BookingState.BOOKED
    other = await deliver(issued, paid(minor=5, event="e2"))
    assert other.state is BookingState.REFUSED
    assert other.why is not None and "IDR 10,000" in other.why and "IDR 0.05" in other.why
    async with issued.read() as session:
        (refused,) = await unsettled_events(session)
        assert (refused.said.event, refused.why) == ("e2", other.why)
        assert await count_by_state(session) == {BookingState.BOOKED: 1, BookingState.REFUSED: 1}


async def test_a_refund_that_comes_first_waits_for_its_payment(issued: Ledger) -> None:
    early = await deliver(issued, back(minor=400_000))
    assert (early.state, early.again) == (BookingState.WAITING, False)
    async with issued.read() as session:
        assert await waiting_events(session, older_than=timedelta(0)) == [], "nothing can be done about it yet"
    assert (await deliver(issued, paid())).state is BookingState.BOOKED
    assert (await balance(issued)).reversed == 400_000
    assert await deliver(issued, back(minor=400_000)) == Outcome(BookingState.BOOKED, (INVOICE,))
    assert (await balance(issued)).reversed == 400_000


async def test_a_refund_and_its_payment_at_the_same_moment(issued: Ledger) -> None:
    for turn in range(5):
        both = [back(f"r{turn}", f"p{turn}", 10), paid(f"p{turn}", 100)]
        await asyncio.gather(*(deliver(issued, said) for said in both))
    found = await balance(issued)
    assert (found.received, found.reversed) == (500, 50)


async def test_a_refund_whose_payment_was_booked_by_hand_is_found_by_the_next_turn(issued: Ledger) -> None:
    await deliver(issued, back(minor=10))
    await pay(issued, reference="p1")
    async with issued.read() as session:
        (waiting,) = await waiting_events(session, older_than=timedelta(0))
    async with issued.write() as session:
        assert (await book_event(session, waiting.id)).state is BookingState.BOOKED
    assert (await balance(issued)).reversed == 10


async def test_more_money_back_than_there_was_is_refused(issued: Ledger) -> None:
    await deliver(issued, paid())
    await deliver(issued, back("r1", minor=TOTAL))
    assert (await deliver(issued, back("r2", minor=1))).state is BookingState.REFUSED
    assert (await balance(issued)).outstanding == TOTAL


async def test_a_booking_that_is_not_there_would_be_noticed(issued: Ledger, broken: None) -> None:
    for said in (paid(), back(minor=5)):
        await deliver(issued, said)
    async with issued.read() as session:
        assert await violations(session) == []
    async with issued.write() as session:
        await session.execute(update(ReversalRow).values(reference="another"))
        await session.execute(update(ReceiptRow).values(reference="another"))
    async with issued.read() as session:
        assert [one.invariant for one in await violations(session)] == [8, 8]


async def test_what_moves_no_money_is_noted(issued: Ledger) -> None:
    noted = replace(paid(), kind=EventKind.PENDING, event="pending")
    assert (await deliver(issued, noted)).state is BookingState.NOTED
    assert (await balance(issued)).received == 0
    assert (await deliver(issued, paid())).state is BookingState.BOOKED
    assert (await deliver(issued, noted)).state is BookingState.NOTED


async def test_what_is_not_confirmed_is_not_booked(issued: Ledger) -> None:
    await keep(issued, back(minor=10), confirmed=False)
    kept = await keep(issued, paid(minor=5), confirmed=False)
    async with issued.write() as session:
        outcome = await book_event(session, kept.id)
    assert (outcome.state, outcome.again) == (BookingState.WAITING, True)
    assert (await balance(issued)).received == 0
    async with issued.write() as session:
        confirmed = await book_event(session, kept.id, paid())
    assert confirmed == Outcome(BookingState.BOOKED, (INVOICE,))
    found = await balance(issued)
    assert (found.received, found.reversed) == (TOTAL, 0), (
        "the provider's own amount; the refund is still to be confirmed"
    )


async def test_what_is_put_off_is_tried_again_and_at_last_given_up(still: Ledger, hands: Hands) -> None:
    kept = [await keep(still, paid(f"p{n}"), confirmed=False) for n in range(3)]
    hands.now += timedelta(minutes=1)
    async with still.write() as session:
        assert (await put_off(session, kept[0].id, "silent")).again
    async with still.read() as session:
        waiting = await waiting_events(session, older_than=timedelta(seconds=30))
        assert [one.id for one in waiting] == [kept[1].id, kept[2].id, kept[0].id], "the one tried last comes last"
        assert await waiting_events(session, older_than=timedelta(minutes=2)) == []
    async with still.write() as session:
        outcome = await put_off(session, kept[0].id, "never confirmed", for_good=True)
    assert (outcome.state, outcome.again) == (BookingState.REFUSED, False)
    async with still.write() as session:
        late = await put_off(session, kept[0].id, "silent")
    assert (late.state, late.why) == (BookingState.REFUSED, "never confirmed")


async def test_the_way_to_pay_says_which_invoice(issued: Ledger) -> None:
    """Void and old ones too; before any number that the payer gave."""
    await add_invoice(issued, new_invoice("INV-2"))
    async with issued.write() as session:
        offer = await record_offer(session, _offer("INV-2", "virtual_account", "va-1"))
        await record_offer(session, _offer(INVOICE, BANK_TRANSFER, "va-0"))
        await void_offer(session, offer.id)
    assert (await deliver(issued, paid("p1", 10, instruments=("va-0", "unknown", "va-1")))).invoices == ("INV-2",)
    assert (await deliver(issued, paid("p2", 10, instruments=("va-0",)))).invoices == (INVOICE,)
    assert (await deliver(issued, paid("p3", 10, invoice="INV-3"))).invoices == ()
    assert (await deliver(issued, paid("p4", 10, invoice=None))).invoices == ()
    assert await unapplied(issued) == 20
    await add_invoice(issued, new_invoice("INV-3"))
    assert (await balance(issued, "INV-3")).received == 10


async def test_the_providers_own_id_of_a_way_to_pay_will_do(issued: Ledger) -> None:
    await add_invoice(issued, new_invoice("INV-2"))
    async with issued.write() as session:
        offer = await begin_offer(
            session, "INV-2", maker="bank/va", method="virtual_account", amount=Money(TOTAL, Currency.IDR)
        )
        await offer_is_ready(session, offer.id, instructions={}, provider_id="088899001")
        await record_offer(session, _offer(INVOICE, "payment_link", "pl-1"))
    assert (await deliver(issued, paid("p1", 10, instruments=("x", "088899001")))).invoices == ("INV-2",)
    ours_first = paid("p2", 10, instruments=("088899001", "pl-1"), invoice=None)
    assert (await deliver(issued, ours_first)).invoices == (INVOICE,)


async def test_a_way_to_pay_that_two_invoices_have_decides_nothing(issued: Ledger) -> None:
    await add_invoice(issued, new_invoice("INV-2"))
    async with issued.write() as session:
        await record_offer(session, _offer("INV-2", "virtual_account", "x"))
        await record_offer(session, _offer(INVOICE, "payment_link", "x"))
    assert (await deliver(issued, paid("p1", 10, instruments=("x",), invoice=None))).invoices == ()


def _offer(number: str, method: str, reference: str) -> NewOffer:
    return NewOffer(number, method, reference, Money(TOTAL, Currency.IDR), {})


#: A part payment, the rest in two events, an overpayment, refunds of parts and of all, and what moves no money.
STORY: Sequence[ProviderEvent] = (
    paid("p1", 300_000),
    replace(paid("p2", 700_000), kind=EventKind.PENDING, event="pending-p2"),
    paid("p2", 700_000, event="capture-p2"),
    paid("p2", 700_000, event="settlement-p2"),
    paid("p3", 5_000),
    back("r1", "p1", 100_000),
    back("r2", "p1", 50_000),
    back("r3", "p3"),
    paid("p4", 777, invoice="INV-2"),
    paid("p5", 10, invoice=None),
    back("r5", "p5", 4),
)


async def test_any_order_and_repetition_gives_the_same_ledger(ledger: Ledger) -> None:
    expected = None
    for seed in range(12):
        order = list(STORY)
        if seed:
            chance = random.Random(seed)
            order += chance.choices(STORY, k=8)
            chance.shuffle(order)
        await forget_everything(ledger)
        await add_customer(ledger)
        await add_invoice(ledger)
        await add_invoice(ledger, new_invoice("INV-2"))
        for said in order:
            await deliver(ledger, said)
        found = await _ledger_of(ledger)
        await assert_sound(ledger)
        expected = expected or found
        assert found == expected, f"seed {seed}: {[said.event for said in order]}"


async def _ledger_of(ledger: Ledger) -> object:
    async with ledger.read() as session:
        receipts = await session.execute(
            select(ReceiptRow.reference, ReceiptRow.amount_minor, ReceiptRow.named, ReceiptRow.paid_on)
        )
        reversals = await session.execute(select(ReversalRow.reference, ReversalRow.amount_minor))
        states = await count_by_state(session)
        return (
            # What went back may never have been allocated, or have been: the balance is the same.
            [((found := (await facts(session, number)).balance).outstanding, found.net_received) for number in NUMBERS],
            sorted(tuple(row) for row in receipts.all()),
            sorted(tuple(row) for row in reversals.all()),
            sum(await session.scalars(select(UNAPPLIED).select_from(ReceiptRow))),
            states,
        )


async def test_a_delivery_knows_when_it_came(still: Ledger, hands: Hands) -> None:
    kept = await keep(still, paid())
    assert kept.received_at == hands.now.astimezone(UTC)
    assert isinstance(kept.received_at, datetime)
