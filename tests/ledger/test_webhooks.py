"""Events for API clients: each arises once, from its fact, in the fact's transaction; and how deliveries stand."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event, func, select

from lunas.ledger.credits import NewCreditNote, record_credit_note
from lunas.ledger.database import Ledger
from lunas.ledger.deliveries import deliveries, due, parcel, record_attempt, replay_event, replay_failed
from lunas.ledger.endpoints import (
    MOST_ENDPOINTS,
    add_endpoint,
    change_endpoint,
    endpoint,
    endpoints,
    endpoints_waiting,
    remove_endpoint,
    rotate_secret,
    secrets_of,
    send_test,
)
from lunas.ledger.errors import NotFound, ReceiptConflict, Refused
from lunas.ledger.invoices import create_invoice
from lunas.ledger.kinds import DeliveryState
from lunas.ledger.progress import record_progress
from lunas.ledger.receipts import NewReceipt, allocate, record_receipt
from lunas.ledger.reversals import NewReversal, record_reversal
from lunas.ledger.tables import DeliveryRow, EndpointRow, EndpointSecretRow, OutgoingEventRow
from lunas.receivables.invoice import Hold, HoldKind, Progress, Stage
from lunas.receivables.money import Currency, Money
from lunas.webhooks import TEST, Attempt, EventType, Outcome
from tests.ledger.samples import (
    POLICY,
    WEDNESDAY,
    Hands,
    add_customer,
    add_invoice,
    dispute,
    new_invoice,
    pay,
    progress,
)

NUMBER = "INV/2026/11/0042"
WHOLE = 1_000_000
HOUR = timedelta(hours=1)
EVERY = tuple(EventType)


async def subscribe(ledger: Ledger, *types: EventType, url: str = "https://erp.example.com/lunas") -> int:
    async with ledger.write() as session:
        row, _ = await add_endpoint(session, url, types or EVERY, by="test")
    return row.id


async def events(ledger: Ledger) -> list[tuple[str, dict[str, Any]]]:
    """Type and payload of every event, in their sequence."""
    async with ledger.read() as session:
        rows = await session.scalars(select(OutgoingEventRow).order_by(OutgoingEventRow.id))
        return [(row.type, row.payload) for row in rows]


async def types(ledger: Ledger) -> list[str]:
    return [kind for kind, _ in await events(ledger)]


async def write(ledger: Ledger, said: Progress) -> None:
    async with ledger.write() as session:
        await record_progress(session, NUMBER, said)


async def reverse(ledger: Ledger, reference: str = "back-1", minor: int | None = None) -> None:
    amount = Money(minor, Currency.IDR) if minor else None
    reversal = NewReversal("bank", reference, "pay-1", date(2026, 3, 10), "bounced by Siti", "bank", amount)
    async with ledger.write() as session:
        await record_reversal(session, reversal)


def promise(at: datetime = WEDNESDAY, days: int = 3) -> Hold:
    return Hold(
        HoldKind.PROMISE, at, at + timedelta(days=days), "siti", "", 400_000, (at + timedelta(days=days)).date()
    )


def held(said: Progress, *, was: HoldKind | None = None) -> Progress:
    """The progress with its entries saying what held before and what holds."""
    now = said.hold.kind if said.hold else None
    return replace(said, entries=tuple(replace(one, was_held=was, held=now) for one in said.entries))


# --- each event from its fact ---------------------------------------------------------------------------------------


async def test_an_invoice_is_issued_once(ledger: Ledger) -> None:
    await subscribe(ledger)
    await add_customer(ledger)
    await add_invoice(ledger)
    await add_invoice(ledger)  # a repetition

    ((kind, payload),) = await events(ledger)
    assert kind == "invoice.issued"
    assert payload == {
        "invoice": NUMBER, "customer": "ACME", "currency": "IDR", "total_minor": WHOLE, "outstanding_minor": WHOLE,
        "stage": "issued", "due_on": "2026-03-03", "issued_on": "2026-02-01",
    }  # fmt: skip


async def test_a_payment_in_full_is_received_and_pays_once(ledger: Ledger) -> None:
    await add_customer(ledger)
    await add_invoice(ledger)
    await subscribe(ledger)
    await pay(ledger)
    await pay(ledger)  # delivered again
    with pytest.raises(ReceiptConflict):
        await pay(ledger, minor=5)

    (received, first), (paid, second) = await events(ledger)
    assert (received, paid) == ("payment.received", "invoice.paid")
    assert (first["amount_minor"], first["reference"], first["invoice"]) == (WHOLE, "pay-1", NUMBER)
    assert (second["paid_minor"], second["outstanding_minor"], second["customer"]) == (WHOLE, 0, "ACME")


async def test_a_payment_delivered_many_times_at_once_is_told_once(ledger: Ledger) -> None:
    await add_customer(ledger)
    await add_invoice(ledger)
    await subscribe(ledger)
    await asyncio.gather(*(pay(ledger) for _ in range(6)))
    assert await types(ledger) == ["payment.received", "invoice.paid"]


async def test_parts_are_told_as_parts_and_the_last_one_pays(ledger: Ledger) -> None:
    await add_customer(ledger)
    await add_invoice(ledger)
    await subscribe(ledger)
    await pay(ledger, minor=300_000)
    await pay(ledger, minor=700_000, reference="pay-2")
    found = await events(ledger)
    assert [kind for kind, _ in found] == [
        "payment.received", "invoice.partially_paid", "payment.received", "invoice.paid",
    ]  # fmt: skip
    assert (found[1][1]["paid_minor"], found[1][1]["outstanding_minor"]) == (300_000, 700_000)


async def test_money_before_its_invoice_is_told_when_each_is_there(ledger: Ledger) -> None:
    await add_customer(ledger)
    await subscribe(ledger)
    await pay(ledger)
    assert [(kind, data["invoice"]) for kind, data in await events(ledger)] == [("payment.received", None)]
    await add_invoice(ledger)
    assert await types(ledger) == ["payment.received", "invoice.issued", "invoice.paid"]


async def test_a_match_by_a_person_pays(ledger: Ledger) -> None:
    await add_customer(ledger)
    await add_invoice(ledger)
    await subscribe(ledger)
    booked = await pay(ledger, "INV-UNKNOWN")
    async with ledger.write() as session:
        await allocate(session, booked.receipt_id, NUMBER, by="siti")
    assert await types(ledger) == ["payment.received", "invoice.paid"]


async def test_a_reversal_is_told_once_and_before_what_it_leads_to(ledger: Ledger) -> None:
    await add_customer(ledger)
    await add_invoice(ledger)
    await pay(ledger)
    await pay(ledger, reference="pay-2")  # paid twice: it waits, and is matched when the first one goes back
    await subscribe(ledger)
    await reverse(ledger)
    await reverse(ledger)
    (back, data), (paid, _) = await events(ledger)
    assert (back, paid) == ("payment.reversed", "invoice.paid")
    assert data["invoices"] == [{"invoice": NUMBER, "amount_minor": WHOLE}]
    assert (data["receipt"], data["amount_minor"], data["reference"]) == ("pay-1", WHOLE, "back-1")
    assert "Siti" not in str(data), "a reason is what people wrote"


async def test_paid_again_after_a_reversal_is_told_again(ledger: Ledger) -> None:
    await add_customer(ledger)
    await add_invoice(ledger)
    await pay(ledger)
    await subscribe(ledger, EventType.INVOICE_PAID)
    await reverse(ledger)
    await pay(ledger, reference="pay-2")
    assert await types(ledger) == ["invoice.paid"]


@pytest.mark.parametrize(("paid", "told"), [(400_000, ["invoice.paid"]), (0, [])])
async def test_a_credit_note_for_the_rest_pays_what_money_had_begun(ledger: Ledger, paid: int, told: list[str]) -> None:
    await add_customer(ledger)
    await add_invoice(ledger)
    if paid:
        await pay(ledger, minor=paid)
    await subscribe(ledger, EventType.INVOICE_PAID)
    rest = Money(WHOLE - paid, Currency.IDR)
    note = NewCreditNote("CN-1", NUMBER, rest, date(2026, 3, 1), "returned goods", "siti")
    for _ in range(2):
        async with ledger.write() as session:
            await record_credit_note(session, note)
    assert await types(ledger) == told


async def test_a_promise_is_told_once_and_a_new_one_again(ledger: Ledger) -> None:
    await add_customer(ledger)
    await add_invoice(ledger)
    await subscribe(ledger)
    made = held(progress(1, hold=promise(), event="promise_made"))
    later = held(progress(2, hold=promise(days=5), event="promise_made"), was=HoldKind.PROMISE)
    longer = held(progress(3, hold=promise(days=6), event="something_else"), was=HoldKind.PROMISE)
    for said in (made, made, later, made, longer):
        await write(ledger, said)
    first, second = await events(ledger)
    assert first[0] == second[0] == "invoice.promised"
    assert (first[1]["amount_minor"], first[1]["promised_for"]) == (400_000, "2026-03-07")
    assert second[1]["promised_for"] == "2026-03-09"


async def test_a_dispute_is_told_once_though_its_clock_is_set_again(ledger: Ledger) -> None:
    await add_customer(ledger)
    await add_invoice(ledger)
    await subscribe(ledger)
    await write(ledger, held(progress(1, hold=dispute(), event="dispute_raised")))
    again = dispute(WEDNESDAY + timedelta(days=14))
    await write(ledger, held(progress(2, hold=again, event="dispute_clock_ran_out"), was=HoldKind.DISPUTE))
    ((kind, data),) = await events(ledger)
    assert kind == "invoice.disputed"
    assert data["amount_minor"] is None
    assert "wrong price" not in str(data)


async def test_a_placement_and_the_end_are_told_once(ledger: Ledger) -> None:
    await add_customer(ledger)
    await add_invoice(ledger)
    await subscribe(ledger)
    late = progress(1, stage=Stage.FOLLOW_UP, was=Stage.ISSUED)
    placed = progress(2, stage=Stage.AGENCY, was=Stage.FOLLOW_UP, event="placement_confirmed")
    stays = progress(3, stage=Stage.AGENCY, event="agency_acknowledged")
    ended = progress(4, stage=Stage.WRITTEN_OFF, was=Stage.AGENCY, event="written_off")
    for said in (late, placed, placed, stays, ended, ended, stays):
        await write(ledger, said)
    found = await events(ledger)
    assert [(kind, data["stage"]) for kind, data in found] == [
        ("invoice.placed", "agency"), ("invoice.closed", "written_off"),
    ]  # fmt: skip


async def test_several_decisions_at_once_are_told_one_by_one(ledger: Ledger) -> None:
    await add_customer(ledger)
    await add_invoice(ledger)
    await subscribe(ledger)
    first = held(progress(1, hold=dispute(), event="dispute_raised"))
    second = progress(2, stage=Stage.CANCELLED, was=Stage.ISSUED, event="cancelled")
    await write(ledger, Progress((*first.entries, *second.entries), second.standing, None))
    assert await types(ledger) == ["invoice.disputed", "invoice.closed"]


# --- what it costs, and the one transaction -------------------------------------------------------------------------


async def test_without_a_subscriber_nothing_is_written_and_one_statement_asked(ledger: Ledger) -> None:
    await add_customer(ledger)
    await add_invoice(ledger)
    await subscribe(ledger, EventType.INVOICE_CLOSED)
    asked: list[str] = []

    def note(_: object, __: object, statement: str, *___: object) -> None:
        asked.append(statement)

    event.listen(ledger.engine.sync_engine, "before_cursor_execute", note)
    try:
        await pay(ledger, minor=10)
        for_money = [one for one in asked if "webhook" in one or "outgoing" in one]
        asked.clear()
        await write(ledger, progress(1))
        for_progress = [one for one in asked if "webhook" in one or "outgoing" in one]
    finally:
        event.remove(ledger.engine.sync_engine, "before_cursor_execute", note)
    assert len(for_money) == 1 and for_progress == []
    assert await events(ledger) == []


async def test_an_event_is_there_if_and_only_if_its_fact_is(ledger: Ledger) -> None:
    """A crash before the commit loses both; whoever repeats the fact writes both."""
    await add_customer(ledger)
    await add_invoice(ledger)
    await subscribe(ledger)
    woken: list[frozenset[int]] = []
    ledger.on_announced = woken.append
    receipt = NewReceipt("bank", "pay-1", Money(WHOLE, Currency.IDR), date(2026, 3, 4), "test", NUMBER)
    try:
        with pytest.raises(RuntimeError, match="crash"):
            async with ledger.write() as session:
                await record_receipt(session, receipt)
                raise RuntimeError("crash")
        assert (await events(ledger), woken) == ([], [])
        await pay(ledger)
        assert len(woken) == 1
    finally:
        ledger.on_announced = None
    assert await types(ledger) == ["payment.received", "invoice.paid"]


async def test_only_who_subscribes_hears_and_only_from_then_on(ledger: Ledger) -> None:
    await add_customer(ledger)
    await add_invoice(ledger)
    paid = await subscribe(ledger, EventType.INVOICE_PAID)
    everything = await subscribe(ledger)
    gone = await subscribe(ledger)
    async with ledger.write() as session:
        await remove_endpoint(session, gone)
    await pay(ledger)
    async with ledger.read() as session:
        heard = {id_: [one.type for one in await deliveries(session, id_)] for id_ in (paid, everything, gone)}
    assert heard == {paid: ["invoice.paid"], everything: ["invoice.paid", "payment.received"], gone: []}


async def test_the_sequence_of_an_invoice_s_events_is_that_of_its_facts(ledger: Ledger) -> None:
    await add_customer(ledger)
    await subscribe(ledger)
    await add_invoice(ledger)
    await asyncio.gather(*(pay(ledger, minor=1_000, reference=f"pay-{n}") for n in range(6)))
    parts = [data["outstanding_minor"] for kind, data in await events(ledger) if kind == "invoice.partially_paid"]
    assert parts == sorted(parts, reverse=True) and len(parts) == 6


# --- endpoints and secrets ------------------------------------------------------------------------------------------


async def test_a_rotation_leaves_two_secrets_for_a_while_and_never_three(still: Ledger, hands: Hands) -> None:
    async with still.write() as session:
        row, first = await add_endpoint(session, "https://erp.example.com/", EVERY, by="test")
        second = await rotate_secret(session, row.id)
        assert second.before_valid_until == hands.now + timedelta(days=1)
        assert await secrets_of(session, row.id) == [second.secret, first.secret]
        third = await rotate_secret(session, row.id, both_valid_for=timedelta(hours=2))
        assert await secrets_of(session, row.id) == [third.secret, second.secret]
        hands.move(hours=2)
        assert await secrets_of(session, row.id) == [third.secret]
        fourth = await rotate_secret(session, row.id, both_valid_for=timedelta(0))
        assert await secrets_of(session, row.id) == [fourth.secret]


async def test_a_removed_endpoint_is_forgotten_with_its_secrets(ledger: Ledger) -> None:
    await add_customer(ledger)
    one = await subscribe(ledger)
    await add_invoice(ledger)
    async with ledger.write() as session:
        await remove_endpoint(session, one)
    async with ledger.write() as session:
        assert list(await endpoints(session)) == []
        assert await session.scalar(select(func.count()).select_from(EndpointSecretRow)) == 0
        assert (await due(session, one, WEDNESDAY + timedelta(days=999), 10)).due == ()
        for again in (endpoint, remove_endpoint, rotate_secret, send_test):
            with pytest.raises(NotFound, match="no webhook endpoint"):
                await again(session, one)


async def test_there_is_a_most_of_endpoints(ledger: Ledger) -> None:
    for _ in range(MOST_ENDPOINTS):
        await subscribe(ledger)
    with pytest.raises(Refused, match="remove one"):
        await subscribe(ledger)


async def test_a_test_goes_to_one_endpoint_alone(ledger: Ledger) -> None:
    one, other = await subscribe(ledger, EventType.INVOICE_PAID), await subscribe(ledger)
    async with ledger.write() as session:
        await send_test(session, one)
    async with ledger.read() as session:
        assert [view.type for view in await deliveries(session, one)] == [TEST]
        assert await deliveries(session, other) == []


# --- deliveries -----------------------------------------------------------------------------------------------------


async def on_its_way(ledger: Ledger, count: int = 1) -> tuple[int, list[int]]:
    """An endpoint with so many deliveries, oldest first."""
    await add_customer(ledger)
    one = await subscribe(ledger, EventType.INVOICE_ISSUED)
    for n in range(count):
        await add_invoice(ledger, new_invoice(f"INV-{n}"))
    async with ledger.read() as session:
        return one, [view.delivery for view in (await due(session, one, WEDNESDAY, 100)).due]


async def attempt(
    ledger: Ledger, delivery: int, status: int | None, at: datetime = WEDNESDAY, again: datetime | None = None
) -> Outcome:
    async with ledger.write() as session:
        return await record_attempt(session, Attempt(delivery, at, again), status, None if status else "no answer")


async def stands(ledger: Ledger, one: int) -> list[tuple[DeliveryState, int]]:
    """State and attempts of an endpoint's deliveries, oldest first."""
    async with ledger.read() as session:
        return [(view.state, view.attempts) for view in reversed(await deliveries(session, one))]


async def test_a_failed_delivery_is_due_again_at_its_time(ledger: Ledger) -> None:
    one, (first, second) = await on_its_way(ledger, 2)
    assert await attempt(ledger, first, 500, again=WEDNESDAY + HOUR) == Outcome(False)
    assert await attempt(ledger, second, 204) == Outcome(True)
    async with ledger.read() as session:
        early = await due(session, one, WEDNESDAY + HOUR / 2, 10)
        later = await due(session, one, WEDNESDAY + HOUR, 10)
        views = await deliveries(session, one)
    assert (early.due, early.next_at) == ((), WEDNESDAY + HOUR)
    assert [(each.delivery, each.attempts) for each in later.due] == [(first, 1)]
    assert [(view.last_status, view.last_error) for view in views] == [(204, None), (500, "the receiver answered 500")]


async def test_what_was_delivered_stays_delivered_whatever_an_overtaken_attempt_says(ledger: Ledger) -> None:
    one, (only,) = await on_its_way(ledger)
    await attempt(ledger, only, 200)
    assert await attempt(ledger, only, 500) == Outcome(True)
    assert await stands(ledger, one) == [(DeliveryState.DELIVERED, 1)]


async def test_an_endpoint_with_which_nothing_succeeded_is_disabled_when_a_delivery_is_given_up(ledger: Ledger) -> None:
    one, (first, second) = await on_its_way(ledger, 2)
    await attempt(ledger, first, None, again=WEDNESDAY + HOUR)
    await attempt(ledger, second, None, again=WEDNESDAY + HOUR)
    assert await attempt(ledger, first, None, WEDNESDAY + 70 * HOUR) == Outcome(False, disabled=True)
    assert await attempt(ledger, second, None, WEDNESDAY + 70 * HOUR) == Outcome(False), "it is disabled once"
    async with ledger.read() as session:
        found = await endpoint(session, one)
        assert (found.active, found.disabled_why) == (False, "nothing was delivered for days")
        assert (await due(session, one, WEDNESDAY + 999 * HOUR, 10)).due == ()


async def test_one_event_that_a_receiver_cannot_take_does_not_disable_its_endpoint(ledger: Ledger) -> None:
    one, (poison, good) = await on_its_way(ledger, 2)
    await attempt(ledger, poison, 500, again=WEDNESDAY + HOUR)
    await attempt(ledger, good, 200, WEDNESDAY + HOUR)
    assert await attempt(ledger, poison, 500, WEDNESDAY + 70 * HOUR) == Outcome(False)
    assert await stands(ledger, one) == [(DeliveryState.GIVEN_UP, 2), (DeliveryState.DELIVERED, 1)]
    async with ledger.read() as session:
        assert (await endpoint(session, one)).active


async def test_what_arises_while_it_is_disabled_is_kept_and_comes_when_it_is_activated(ledger: Ledger) -> None:
    one, (first,) = await on_its_way(ledger)
    await attempt(ledger, first, 410, again=WEDNESDAY + HOUR)
    woken: list[frozenset[int]] = []
    ledger.on_announced = woken.append
    try:
        await add_invoice(ledger, new_invoice("INV-LATER"))
        assert woken == []
        async with ledger.write() as session:
            with pytest.raises(Refused, match="activate it first"):
                await send_test(session, one)
            await change_endpoint(session, one, active=True)
        assert woken == [frozenset({one})]
    finally:
        ledger.on_announced = None
    async with ledger.read() as session:
        assert len((await due(session, one, WEDNESDAY, 10)).due) == 1
        assert (await endpoint(session, one)).disabled_why is None
    assert await stands(ledger, one) == [(DeliveryState.GIVEN_UP, 1), (DeliveryState.PENDING, 0)]


async def test_one_event_is_replayed_whatever_came_of_it(ledger: Ledger) -> None:
    one, (only,) = await on_its_way(ledger)
    async with ledger.read() as session:
        before = await parcel(session, only)
    assert before is not None
    await attempt(ledger, only, 200)
    async with ledger.write() as session:
        assert await parcel(session, only) is None
        assert await replay_event(session, one, before.event_id) == 1
        assert await parcel(session, only) == before, "the same id and the same body"
        with pytest.raises(NotFound, match="was ever for webhook endpoint"):
            await replay_event(session, one, "evt_" + "0" * 32)
    assert await stands(ledger, one) == [(DeliveryState.PENDING, 0)]


async def test_all_that_failed_since_a_moment_is_replayed(still: Ledger, hands: Hands) -> None:
    one, (early,) = await on_its_way(still)
    hands.move(hours=1)
    since = hands.now
    for number in ("INV-A", "INV-B", "INV-C", "INV-D"):
        await add_invoice(still, new_invoice(number))
    async with still.read() as session:
        _, failed, given_up, arrived, _ = [each.delivery for each in (await due(session, one, hands.now, 10)).due]
    await attempt(still, arrived, 200, hands.now)
    await attempt(still, early, 500, hands.now - HOUR)
    await attempt(still, given_up, 500, hands.now - HOUR)
    await attempt(still, failed, 500, hands.now, hands.now + HOUR)
    async with still.write() as session:
        assert await replay_failed(session, one, since) == 2
    assert await stands(still, one) == [
        (DeliveryState.GIVEN_UP, 1), (DeliveryState.PENDING, 0), (DeliveryState.PENDING, 0),
        (DeliveryState.DELIVERED, 1), (DeliveryState.PENDING, 0),
    ]  # fmt: skip


async def test_what_a_crash_left_behind_is_found(still: Ledger, hands: Hands) -> None:
    one, (only,) = await on_its_way(still)

    async def late() -> Sequence[int]:
        async with still.read() as session:
            return await endpoints_waiting(session, older_than=timedelta(seconds=20))

    assert await late() == []
    hands.move(seconds=20)
    assert await late() == [one]
    await attempt(still, only, 500, hands.now, hands.now + HOUR)
    assert await late() == [], "it waits for its time"
    hands.move(hours=2)
    assert await late() == [one]
    await attempt(still, only, 200, hands.now)
    assert await late() == []


async def test_deliveries_come_in_pages_and_by_state(ledger: Ledger) -> None:
    one, ids = await on_its_way(ledger, 5)
    await attempt(ledger, ids[0], 200)
    async with ledger.read() as session:
        first = await deliveries(session, one, limit=3)
        rest = await deliveries(session, one, before=first[-1].id, limit=3)
        arrived = await deliveries(session, one, state=DeliveryState.DELIVERED)
    assert [view.id for view in (*first, *rest)] == list(reversed(ids))
    assert [view.id for view in arrived] == [ids[0]]
    assert arrived[0].invoice == "INV-0"


async def test_many_invoices_at_once_are_told_once_each(ledger: Ledger) -> None:
    await add_customer(ledger)
    one = await subscribe(ledger, EventType.INVOICE_ISSUED)
    async with ledger.write() as session:
        for n in range(20):
            await create_invoice(session, new_invoice(f"INV-{n}"), POLICY)
    async with ledger.read() as session:
        assert await session.scalar(select(func.count()).select_from(DeliveryRow)) == 20
        assert await session.scalar(select(EndpointRow.id)) == one
