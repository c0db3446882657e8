"""Several invoices of a customer that fall due on one day go out as one message."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
import pytest_asyncio

from lunas.ledger.answers import Claimed, Committed, Covered, NoContact, RefusalReason, Refused, Unsettled, Wait
from lunas.ledger.claims import ABANDONED_AFTER, ASK_AGAIN
from lunas.ledger.database import Ledger
from lunas.ledger.kinds import NoticeState
from lunas.ledger.notices import notices_of, settle_unknown
from lunas.ledger.progress import record_progress, settle
from lunas.ledger.sending import commit, record_refused, record_sent, record_unknown
from lunas.receivables.actions import NoticeKind
from lunas.receivables.ladder import Channel
from lunas.receivables.money import Currency
from tests.ledger.samples import (
    BOTH,
    WEDNESDAY,
    Hands,
    add_customer,
    add_invoice,
    ask,
    claimed,
    committed,
    dispute,
    new_invoice,
    order,
    pay,
    progress,
    schedule,
    sent,
    states,
)

FIRST, SECOND, THIRD = "INV-1", "INV-2", "INV-3"
MAIL, SMS = ("follow_up+1", Channel.EMAIL), ("follow_up+1", Channel.SMS)


async def three(ledger: Ledger, *channels: Channel) -> None:
    """Three invoices whose follow-up falls due within the same hour."""
    await add_customer(ledger)
    for place, number in enumerate((FIRST, SECOND, THIRD)):
        await add_invoice(ledger, new_invoice(number))
        await schedule(ledger, number, WEDNESDAY + timedelta(minutes=10 * place), *channels)


@pytest_asyncio.fixture(loop_scope="session")
async def due(ledger: Ledger) -> Ledger:
    await three(ledger)
    return ledger


async def test_one_message_covers_what_falls_due_that_day(due: Ledger) -> None:
    mine = await sent(due, order(FIRST))

    assert mine.covered == (SECOND, THIRD)
    assert [one.number for one in mine.brief.invoices] == [FIRST, SECOND, THIRD]
    assert mine.brief.balance.minor == 3_000_000
    for number in (SECOND, THIRD):
        answer = await ask(due, order(number))
        assert isinstance(answer, Covered) and answer.by == FIRST
    async with due.read() as session:
        (covered,) = await notices_of(session, SECOND)
    assert covered.covered_by == FIRST and covered.state is NoticeState.SENT and covered.message_id is None


async def test_while_the_message_is_under_way_the_others_wait(due: Ledger) -> None:
    mine = await claimed(due, order(FIRST))
    answer = await ask(due, order(SECOND))
    assert isinstance(answer, Wait) and answer.until == WEDNESDAY + ASK_AGAIN

    await committed(due, mine)

    assert isinstance(await ask(due, order(SECOND)), Wait)
    assert await states(due, SECOND) == {MAIL: NoticeState.COMMITTING}


async def test_a_covered_invoice_paid_in_between_is_taken_out(due: Ledger) -> None:
    mine = await claimed(due, order(FIRST))
    await pay(due, SECOND)

    async with due.write() as session:
        refused = await commit(session, mine.notice_id, mine.token)
    assert isinstance(refused, Refused) and refused.reason is RefusalReason.CHANGED

    again = await claimed(due, order(FIRST))
    assert again.covered == (THIRD,)
    await committed(due, again)
    assert await states(due, SECOND) == {MAIL: NoticeState.CANCELLED}


async def test_a_covered_invoice_that_is_held_in_between_is_taken_out(due: Ledger) -> None:
    mine = await claimed(due, order(FIRST))
    async with due.write() as session:
        await record_progress(session, THIRD, progress(2, hold=dispute()))

    async with due.write() as session:
        assert isinstance(await commit(session, mine.notice_id, mine.token), Refused)
    assert (await claimed(due, order(FIRST))).covered == (SECOND,)


async def test_a_hold_that_came_and_went_took_the_claim_with_it(due: Ledger) -> None:
    """What the message was to cover has been released, and may be said by itself: the message must not go as it is."""
    mine = await claimed(due, order(FIRST))
    async with due.write() as session:
        await record_progress(session, FIRST, progress(2, hold=dispute()))
        await record_progress(session, FIRST, progress(3))

    async with due.write() as session:
        refused = await commit(session, mine.notice_id, mine.token)
    assert isinstance(refused, Refused) and refused.reason is RefusalReason.CHANGED
    again = await claimed(due, order(FIRST))
    assert (again.token, again.covered) == (2, (SECOND, THIRD))


async def test_a_covered_part_payment_asks_for_a_new_message(due: Ledger) -> None:
    mine = await claimed(due, order(FIRST))
    await pay(due, SECOND, minor=100_000)

    async with due.write() as session:
        assert isinstance(await commit(session, mine.notice_id, mine.token), Refused)
    again = await claimed(due, order(FIRST))
    assert again.brief.balance.minor == 2_900_000


async def test_a_payment_of_the_lead_releases_the_others(due: Ledger) -> None:
    mine = await claimed(due, order(FIRST))
    await pay(due, FIRST)

    async with due.write() as session:
        refused = await commit(session, mine.notice_id, mine.token)
    assert isinstance(refused, Refused) and refused.reason is RefusalReason.SETTLED
    other = await claimed(due, order(SECOND))
    assert (other.covered, other.token) == ((THIRD,), 2)


async def test_a_payment_of_a_covered_invoice_waits_while_the_message_may_leave(due: Ledger) -> None:
    await committed(due, await claimed(due, order(FIRST)))
    await pay(due, SECOND)

    with pytest.raises(TimeoutError):
        await settle(due, SECOND, at_most=timedelta(milliseconds=100))


async def test_silence_about_the_message_is_silence_about_all_of_it(due: Ledger) -> None:
    mine = await claimed(due, order(FIRST))
    await committed(due, mine)
    async with due.write() as session:
        await record_unknown(session, mine.notice_id, mine.token)

    assert isinstance(await ask(due, order(SECOND)), Unsettled)
    async with due.write() as session:
        await settle_unknown(session, mine.notice_id, was_sent=True, by="siti")
    assert isinstance(await ask(due, order(SECOND)), Covered)


async def test_a_dead_sender_is_found_out_by_a_covered_invoice(still: Ledger, hands: Hands) -> None:
    await three(still)
    await committed(still, await claimed(still, order(FIRST)))
    hands.move(seconds=4)

    assert isinstance(await ask(still, order(THIRD)), Unsettled)

    assert {*(await states(still, FIRST)).values(), *(await states(still, SECOND)).values()} == {NoticeState.UNKNOWN}


async def test_a_slow_sender_that_a_covered_invoice_gave_up_may_try_again(still: Ledger, hands: Hands) -> None:
    """The relay was slow and said `later`: nobody's address is bad, and nobody was written to."""
    await three(still)
    mine = await claimed(still, order(FIRST))
    await committed(still, mine)
    hands.move(seconds=4)
    assert isinstance(await ask(still, order(THIRD)), Unsettled)

    async with still.write() as session:
        await record_refused(session, mine.notice_id, mine.token, permanent=False, code=451, text="later")

    again = await claimed(still, order(FIRST))
    assert again.token == mine.token + 1
    await committed(still, again)


async def test_a_message_refused_for_good_releases_the_others(due: Ledger) -> None:
    mine = await claimed(due, order(FIRST))
    await committed(due, mine)
    async with due.write() as session:
        await record_refused(session, mine.notice_id, mine.token, permanent=True, code=554, text="5.7.1 too long")

    assert await states(due, FIRST) == {MAIL: NoticeState.FAILED}
    alone = await ask(due, order(SECOND))
    assert isinstance(alone, Claimed) and alone.covered == (THIRD,)


async def test_a_bad_address_is_bad_for_all(due: Ledger) -> None:
    mine = await claimed(due, order(FIRST))
    await committed(due, mine)
    async with due.write() as session:
        await record_refused(session, mine.notice_id, mine.token, permanent=True, code=550, text="5.1.1 nobody")

    assert isinstance(await ask(due, order(SECOND)), NoContact)


async def test_a_message_refused_for_now_is_claimed_again_with_all_of_it(due: Ledger) -> None:
    mine = await claimed(due, order(FIRST))
    await committed(due, mine)
    async with due.write() as session:
        await record_refused(session, mine.notice_id, mine.token, permanent=False, code=451, text="later")

    again = await claimed(due, order(FIRST))

    assert again.covered == (SECOND, THIRD)
    await committed(due, again)


async def test_an_abandoned_message_holds_nobody_up_forever(still: Ledger, hands: Hands) -> None:
    await three(still)
    abandoned = await claimed(still, order(FIRST))
    hands.move(seconds=ABANDONED_AFTER.total_seconds())
    budget_of_its_own = replace(order(SECOND), at=WEDNESDAY + timedelta(days=1))

    mine = await claimed(still, budget_of_its_own)

    async with still.write() as session:
        late = await commit(session, abandoned.notice_id, abandoned.token)
        assert isinstance(late, Refused) and late.reason is RefusalReason.CHANGED
    await committed(still, mine)


async def test_two_channels_of_one_day_are_one_contact_for_everybody(ledger: Ledger) -> None:
    await three(ledger, *BOTH)
    await sent(ledger, order(FIRST))

    by_sms = await sent(ledger, order(SECOND, channel=Channel.SMS))

    assert by_sms.covered == (FIRST, THIRD)
    assert isinstance(await ask(ledger, order(THIRD, channel=Channel.SMS)), Covered)


@pytest.mark.parametrize(
    "change",
    ["another day", "another channel", "a final demand", "paid", "another currency", "held", "another customer"],
)
async def test_what_is_not_of_the_same_kind_travels_alone(ledger: Ledger, change: str) -> None:
    await add_customer(ledger)
    await add_customer(ledger, "OTHER", email="budi@other.example")
    await add_invoice(ledger, new_invoice(FIRST))
    other = new_invoice(SECOND, customer="OTHER" if change == "another customer" else "ACME")
    if change == "another currency":
        other = replace(other, currency=Currency.USD)
    await add_invoice(ledger, other)
    await schedule(
        ledger,
        SECOND,
        WEDNESDAY + timedelta(days=1 if change == "another day" else 0),
        Channel.SMS if change == "another channel" else Channel.EMAIL,
        rung="final_demand+95" if change == "a final demand" else "follow_up+1",
    )
    if change == "paid":
        await pay(ledger, SECOND)
    if change == "held":
        async with ledger.write() as session:
            await record_progress(session, SECOND, progress(2, hold=dispute(), next_at=WEDNESDAY))

    assert (await claimed(ledger, order(FIRST))).covered == ()


async def test_a_final_demand_takes_nothing_along(due: Ledger) -> None:
    assert (await claimed(due, order(FIRST, rung="final_demand+95", kind=NoticeKind.FINAL_DEMAND))).covered == ()


async def test_what_was_sent_before_is_not_said_again_by_covering(due: Ledger) -> None:
    await pay(due, FIRST)
    await sent(due, order(SECOND, at=WEDNESDAY))

    third = await ask(due, order(THIRD))

    assert isinstance(third, Covered) and third.by == SECOND


async def test_the_commit_covers_all_or_nothing(due: Ledger) -> None:
    mine = await claimed(due, order(FIRST))

    async with due.write() as session:
        answer = await commit(session, mine.notice_id, mine.token)
    assert isinstance(answer, Committed)
    for number in (FIRST, SECOND, THIRD):
        assert await states(due, number) == {MAIL: NoticeState.COMMITTING}
    async with due.write() as session:
        await record_sent(session, mine.notice_id, mine.token, answer="250")
    for number in (FIRST, SECOND, THIRD):
        assert await states(due, number) == {MAIL: NoticeState.SENT}
