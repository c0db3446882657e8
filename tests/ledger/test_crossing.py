"""Attempts, crashes and payments that cross on a real database: the interleavings that the protocol exists for."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
import pytest_asyncio

from lunas.ledger.answers import AlreadySent, Claimed, Committed, RefusalReason, Refused, Settled, Unsettled, Wait
from lunas.ledger.claims import claim
from lunas.ledger.database import Ledger
from lunas.ledger.kinds import NoticeState
from lunas.ledger.notices import expire
from lunas.ledger.progress import COMMIT_LASTS, record_progress, settle
from lunas.ledger.sending import commit, record_sent
from lunas.receivables.ladder import Channel
from tests.ledger.samples import (
    DOMAIN,
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
    sent,
    states,
)

NUMBER = "INV/2026/11/0042"
MAIL = ("follow_up+1", Channel.EMAIL)


@pytest_asyncio.fixture(loop_scope="session")
async def ready(ledger: Ledger) -> Ledger:
    await add_customer(ledger)
    await add_invoice(ledger)
    return ledger


@pytest_asyncio.fixture(loop_scope="session")
async def still_ready(still: Ledger) -> Ledger:
    await add_customer(still)
    await add_invoice(still)
    return still


async def test_of_two_claims_at_once_the_later_one_fences_the_other_off(ready: Ledger) -> None:
    answers = await asyncio.gather(*(ask(ready) for _ in range(4)))

    mine = sorted((one for one in answers if isinstance(one, Claimed)), key=lambda one: one.token)
    assert [one.token for one in mine] == [1, 2, 3, 4]
    assert len({one.notice_id for one in mine}) == 1
    verdicts = []
    for one in mine:
        async with ready.write() as session:
            verdicts.append(await commit(session, one.notice_id, one.token))
    assert [type(one) for one in verdicts] == [Refused, Refused, Refused, Committed]


async def test_of_many_commits_at_once_one_is_let_go(ready: Ledger) -> None:
    mine = await claimed(ready)

    async def try_it() -> Committed | Refused:
        async with ready.write() as session:
            return await commit(session, mine.notice_id, mine.token)

    verdicts = await asyncio.gather(*(try_it() for _ in range(5)))

    assert sum(isinstance(one, Committed) for one in verdicts) == 1


async def test_a_payment_between_claim_and_commit_stops_the_message(ready: Ledger) -> None:
    mine = await claimed(ready)
    await pay(ready)
    await settle(ready, NUMBER)

    assert await states(ready) == {MAIL: NoticeState.CANCELLED}
    async with ready.write() as session:
        refused = await commit(session, mine.notice_id, mine.token)
    assert isinstance(refused, Refused) and refused.reason is RefusalReason.SETTLED
    assert isinstance(await ask(ready), Settled)


async def test_a_payment_waits_while_a_message_may_be_leaving(ready: Ledger) -> None:
    mine = await claimed(ready)
    await committed(ready, mine)
    await pay(ready)

    acknowledged = asyncio.create_task(settle(ready, NUMBER))
    await asyncio.sleep(0.15)
    assert not acknowledged.done()
    async with ready.write() as session:
        facts = await record_sent(session, mine.notice_id, mine.token, answer="250")
    await asyncio.wait_for(acknowledged, 2)

    assert facts.balance.settled  # the sender learns of the payment with its own report
    assert await states(ready) == {MAIL: NoticeState.SENT}


async def test_a_payment_does_not_wait_longer_than_the_deadline(still_ready: Ledger, hands: Hands) -> None:
    await committed(still_ready, await claimed(still_ready))
    await pay(still_ready)
    acknowledged = asyncio.create_task(settle(still_ready, NUMBER))
    await asyncio.sleep(0.1)
    assert not acknowledged.done()

    hands.move(seconds=COMMIT_LASTS.total_seconds())

    await asyncio.wait_for(acknowledged, 2)


async def test_a_sender_that_hangs_is_not_waited_for_forever(still_ready: Ledger) -> None:
    await committed(still_ready, await claimed(still_ready))

    with pytest.raises(TimeoutError):
        await settle(still_ready, NUMBER, at_most=timedelta(milliseconds=100))


async def test_a_payment_after_it_was_sent_waits_for_nothing(ready: Ledger) -> None:
    await sent(ready)
    booked = await pay(ready)

    await asyncio.wait_for(settle(ready, NUMBER), 2)

    assert booked.facts is not None and booked.facts.balance.settled
    assert isinstance(await ask(ready), AlreadySent)


async def test_two_processes_take_turns(ready: Ledger, shared_url: str) -> None:
    """The worker's ledger and the API's: another engine, other connections, the same locks."""
    async with Ledger(shared_url) as other:
        for week in range(5):
            number = f"INV-{week}"
            await add_invoice(ready, new_invoice(number))
            mine = await claimed(ready, order(number, at=order().at + timedelta(days=7 * week)))

            async def try_it(mine: Claimed = mine) -> Committed | Refused:
                async with ready.write() as session:
                    return await commit(session, mine.notice_id, mine.token)

            verdict, _ = await asyncio.gather(try_it(), pay(other, number, reference=f"pay-{week}"))

            expected = NoticeState.COMMITTING if isinstance(verdict, Committed) else NoticeState.CANCELLED
            assert await states(other, number) == {MAIL: expected}


async def test_a_hold_takes_the_same_lock(ready: Ledger) -> None:
    mine = await claimed(ready)
    async with ready.write() as session:
        await record_progress(session, NUMBER, progress(1, hold=dispute()))

    async with ready.write() as session:
        refused = await commit(session, mine.notice_id, mine.token)

    assert isinstance(refused, Refused) and refused.reason is RefusalReason.HELD


async def test_commits_and_payments_at_once_leave_one_winner(ready: Ledger) -> None:
    """Whoever gets the lock first: either the message was committed before the payment, or it is not sent at all."""
    for round_ in range(6):
        number = f"INV-{round_}"
        await add_invoice(ready, new_invoice(number))
        mine = await claimed(ready, order(number, at=order().at + timedelta(days=7 * round_)))

        async def try_it(mine: Claimed = mine) -> Committed | Refused:
            async with ready.write() as session:
                return await commit(session, mine.notice_id, mine.token)

        verdict, booked = await asyncio.gather(try_it(), pay(ready, number, reference=f"pay-{round_}"))

        assert booked.facts is not None and booked.facts.balance.settled
        expected = NoticeState.COMMITTING if isinstance(verdict, Committed) else NoticeState.CANCELLED
        assert await states(ready, number) == {MAIL: expected}
        if isinstance(verdict, Committed):
            async with ready.write() as session:
                await record_sent(session, mine.notice_id, mine.token, answer="250")


# --- crashes: whatever point an attempt dies at, the next one knows what to do --------------------------------------


async def test_a_crash_after_the_claim_is_tried_again(ready: Ledger) -> None:
    dead = await claimed(ready)

    again = await claimed(ready)

    assert (dead.token, again.token) == (1, 2)
    await committed(ready, again)


async def test_a_crash_inside_a_transaction_leaves_nothing(ready: Ledger) -> None:
    with pytest.raises(RuntimeError, match="power cut"):
        async with ready.write() as session:
            await claim(session, order(), sender_domain=DOMAIN)
            raise RuntimeError("power cut")

    assert await states(ready) == {}
    assert (await claimed(ready)).token == 1


async def test_a_crash_after_the_commit_is_waited_out_and_then_unknown(still_ready: Ledger, hands: Hands) -> None:
    await committed(still_ready, await claimed(still_ready))

    waits = await ask(still_ready)
    assert isinstance(waits, Wait) and waits.until == order().at + COMMIT_LASTS
    hands.move(seconds=4)
    assert isinstance(await ask(still_ready), Unsettled)
    assert isinstance(await ask(still_ready), Unsettled)
    assert await states(still_ready) == {MAIL: NoticeState.UNKNOWN}


async def test_a_crash_before_the_record_becomes_known_when_the_sender_lives_after_all(
    still_ready: Ledger, hands: Hands
) -> None:
    mine = await claimed(still_ready)
    await committed(still_ready, mine)
    hands.move(seconds=5)
    assert isinstance(await ask(still_ready), Unsettled)

    async with still_ready.write() as session:
        await record_sent(session, mine.notice_id, mine.token, answer="250")

    assert isinstance(await ask(still_ready), Unsettled)


async def test_a_crash_after_the_record_is_answered_with_what_was_recorded(ready: Ledger) -> None:
    await sent(ready)

    assert isinstance(await ask(ready), AlreadySent)


async def test_the_reconcile_schedule_finds_commits_that_nobody_asks_about(still_ready: Ledger, hands: Hands) -> None:
    await committed(still_ready, await claimed(still_ready))
    async with still_ready.write() as session:
        assert await expire(session) == 0
    hands.move(seconds=4)

    async with still_ready.write() as session:
        assert await expire(session) == 1
        assert await expire(session) == 0

    assert await states(still_ready) == {MAIL: NoticeState.UNKNOWN}


async def test_a_deadline_is_the_databases_not_the_senders(still_ready: Ledger, hands: Hands) -> None:
    """The customer's moment may be years away under a skipped clock: deadlines do not care."""
    mine = await claimed(still_ready, order(at=order().at + timedelta(days=365)))

    answer = await committed(still_ready, mine)

    assert answer.deadline == hands.now + COMMIT_LASTS


async def test_a_sender_that_wakes_up_late_does_not_decide_for_the_workflow(still_ready: Ledger, hands: Hands) -> None:
    """Told *unknown*, the workflow has decided; the late yes settles the notice and writes nothing into the journal."""
    mine = await claimed(still_ready, order(said=progress(1)))
    await committed(still_ready, mine)
    hands.move(seconds=5)
    assert isinstance(await ask(still_ready, order(said=progress(1))), Unsettled)

    for _ in range(2):  # its first record's answer may be lost, too
        async with still_ready.write() as session:
            late = progress(2, event="notice_sent")
            await record_sent(session, mine.notice_id, mine.token, answer="250", if_sent=late)
    async with still_ready.write() as session:
        known = await record_progress(session, NUMBER, progress(2, event="notice_unsettled"))

    assert known.version == 1  # nothing diverged: that would be a line of the ledger's own
    assert await states(still_ready) == {MAIL: NoticeState.SENT}
