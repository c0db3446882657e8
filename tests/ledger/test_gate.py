"""What the gate answers, rule by rule."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
import pytest_asyncio

from lunas.ledger.answers import (
    AlreadySent,
    Claimed,
    Committed,
    Held,
    NoContact,
    RefusalReason,
    Refused,
    Settled,
    Unsettled,
    Wait,
)
from lunas.ledger.customers import contacts_of, customer_by_code, opt_out
from lunas.ledger.database import Ledger
from lunas.ledger.decisions import why
from lunas.ledger.errors import NotFound, StaleNotice
from lunas.ledger.journal import journal_of
from lunas.ledger.kinds import NoticeState, Verdict
from lunas.ledger.notices import notice, notice_by_message, notices_of, settle_unknown, unsettled
from lunas.ledger.placements import place
from lunas.ledger.progress import record_progress
from lunas.ledger.sending import commit, record_refused, record_sent, record_unknown
from lunas.ledger.switches import resume_sending, sending_stopped, stop_sending
from lunas.ledger.views import invoice_view
from lunas.receivables.actions import NoticeKind
from lunas.receivables.invoice import HoldKind, Stage
from lunas.receivables.ladder import Channel
from lunas.receivables.money import Currency, Money
from tests.ledger.samples import (
    WEDNESDAY,
    Hands,
    add_customer,
    add_invoice,
    ask,
    claimed,
    committed,
    days_on,
    dispute,
    new_invoice,
    order,
    pay,
    policy,
    progress,
    sent,
    states,
)

NUMBER = "INV/2026/11/0042"


@pytest_asyncio.fixture(loop_scope="session")
async def invoice(ledger: Ledger) -> str:
    await add_customer(ledger)
    await add_invoice(ledger)
    return NUMBER


async def test_a_notice_is_sent_once(ledger: Ledger, invoice: str) -> None:
    mine = await sent(ledger)

    assert (mine.token, mine.covered) == (1, ())
    again = await ask(ledger)
    assert isinstance(again, AlreadySent)
    async with ledger.read() as session:
        (row,) = await notices_of(session, invoice)
        found = await notice_by_message(session, mine.brief.message_id)
    assert (row.state, row.code, row.answer, row.template_digest) == (NoticeState.SENT, 250, "250 queued", "t1")
    assert found == row and row.sent_at == again.sent_at


async def test_the_brief_says_what_the_message_needs(ledger: Ledger, invoice: str) -> None:
    await pay(ledger, minor=400_000, reference="part")

    brief = (await claimed(ledger)).brief

    assert (brief.kind, brief.today, brief.to.address) == ("follow_up", date(2026, 3, 4), "siti@acme.example")
    assert brief.lead.balance == Money(600_000, Currency.IDR)
    assert brief.lead.total == Money(1_000_000, Currency.IDR)
    assert [line.description for line in brief.lead.lines] == ["Beras"]
    assert brief.first_mail
    assert brief.message_id.startswith("<follow_up+1.email.") and brief.message_id.endswith("@mail.example.com>")


async def test_only_the_first_mail_is_the_first(ledger: Ledger, invoice: str) -> None:
    await sent(ledger, order(rung="remind-7", kind=NoticeKind.REMIND, at=WEDNESDAY - timedelta(days=14)))

    assert not (await claimed(ledger)).brief.first_mail


async def test_an_attempt_made_again_has_the_same_message_id_and_the_next_token(ledger: Ledger, invoice: str) -> None:
    first, second = await claimed(ledger), await claimed(ledger)

    assert (first.token, second.token) == (1, 2)
    assert first.brief.message_id == second.brief.message_id
    async with ledger.write() as session:
        refused = await commit(session, first.notice_id, first.token)
    assert isinstance(refused, Refused) and refused.reason is RefusalReason.OVERTAKEN
    await committed(ledger, second)


async def test_a_settled_invoice_is_left_in_peace(ledger: Ledger, invoice: str) -> None:
    await pay(ledger)

    answer = await ask(ledger)

    assert isinstance(answer, Settled) and answer.facts.balance.settled
    assert await states(ledger) == {}


async def test_a_closed_invoice_is_left_in_peace(ledger: Ledger, invoice: str) -> None:
    said = progress(1, stage=Stage.WRITTEN_OFF, was=Stage.ISSUED)

    answer = await ask(ledger, order(said=said))

    assert isinstance(answer, Settled) and "written_off" in answer.why


async def test_a_hold_stops_it_and_its_end_lets_it_go(ledger: Ledger, invoice: str) -> None:
    answer = await ask(ledger, order(said=progress(1, hold=dispute())))
    assert isinstance(answer, Held) and answer.kind is HoldKind.DISPUTE

    assert isinstance(await ask(ledger, order(said=progress(2))), Claimed)


async def test_stale_progress_does_not_lift_a_hold(ledger: Ledger, invoice: str) -> None:
    async with ledger.write() as session:
        await record_progress(session, invoice, progress(1))
        await record_progress(session, invoice, progress(2, hold=dispute()))

    for said in (progress(1), progress()):
        assert isinstance(await ask(ledger, order(said=said)), Held)


async def test_an_agency_stops_it(ledger: Ledger, invoice: str) -> None:
    await sent(ledger, order(rung="final_demand+95", kind=NoticeKind.FINAL_DEMAND))
    async with ledger.write() as session:
        await place(session, invoice, agency="Agen", approved_by="siti")

    answer = await ask(ledger, days_on(order(), 30, "follow_up+118"))

    assert isinstance(answer, Held) and answer.kind is None


@pytest.mark.parametrize("kind", [NoticeKind.RECEIPT, NoticeKind.PROMISE_CONFIRMED])
async def test_an_answer_goes_out_whatever_stops_dunning(ledger: Ledger, invoice: str, kind: NoticeKind) -> None:
    await sent(ledger)
    await pay(ledger)
    sunday_night = datetime(2026, 3, 8, 16, 0, tzinfo=UTC)

    mine = await claimed(ledger, order(rung=f"{kind}+2", kind=kind, at=sunday_night, said=progress(1, hold=dispute())))

    await committed(ledger, mine)
    expected = Money(1_000_000, Currency.IDR) if kind is NoticeKind.RECEIPT else None
    assert mine.brief.paid == expected


@pytest.mark.parametrize(
    ("at", "opens"),
    [
        (datetime(2026, 3, 4, 0, 59, tzinfo=UTC), datetime(2026, 3, 4, 1, 0, tzinfo=UTC)),
        (datetime(2026, 3, 4, 13, 0, tzinfo=UTC), datetime(2026, 3, 6, 1, 0, tzinfo=UTC)),  # the 5th is a holiday
        (datetime(2026, 3, 8, 3, 0, tzinfo=UTC), datetime(2026, 3, 9, 1, 0, tzinfo=UTC)),  # a Sunday
    ],
)
@pytest.mark.parametrize("kind", [NoticeKind.FOLLOW_UP, NoticeKind.SEND_INVOICE])
async def test_the_window_is_kept(ledger: Ledger, at: datetime, opens: datetime, kind: NoticeKind) -> None:
    await add_customer(ledger)
    await add_invoice(ledger, plan=policy(holidays=(date(2026, 3, 5),)))

    answer = await ask(ledger, order(at=at, kind=kind))

    assert isinstance(answer, Wait) and answer.until == opens


async def test_a_window_that_closes_before_the_commit_stops_it(still: Ledger, hands: Hands) -> None:
    await add_customer(still)
    await add_invoice(still)
    mine = await claimed(still, order(at=datetime(2026, 3, 4, 12, 59, tzinfo=UTC)))

    hands.move(minutes=2)

    async with still.write() as session:
        refused = await commit(session, mine.notice_id, mine.token)
    assert isinstance(refused, Refused) and refused.reason is RefusalReason.WINDOW
    assert set((await states(still)).values()) == {NoticeState.CANCELLED}


async def test_nobody_to_reach(ledger: Ledger) -> None:
    await add_customer(ledger, email=None)
    await add_invoice(ledger)

    assert isinstance(await ask(ledger), NoContact)
    assert isinstance(await ask(ledger, order(channel=Channel.SMS)), Claimed)


async def test_a_bounce_loses_the_contact_and_the_facts_say_so(ledger: Ledger) -> None:
    await add_customer(ledger, phone=None)
    await add_invoice(ledger)
    mine = await claimed(ledger)
    await committed(ledger, mine)

    async with ledger.write() as session:
        facts = await record_refused(
            session, mine.notice_id, mine.token, permanent=True, code=550, text="5.1.1 no such user"
        )

    assert not facts.reachable and facts.version == mine.facts.version + 1
    assert isinstance(await ask(ledger), NoContact)


@pytest.mark.parametrize("text", ["5.7.1 rejected as spam", "5.1.8 bad sender", "mailbox is sulking"])
async def test_a_refusal_that_is_not_about_the_address_keeps_the_contact(
    ledger: Ledger, invoice: str, text: str
) -> None:
    mine = await claimed(ledger)
    await committed(ledger, mine)

    async with ledger.write() as session:
        facts = await record_refused(session, mine.notice_id, mine.token, permanent=True, code=550, text=text)

    assert facts.reachable
    again = await ask(ledger)
    assert isinstance(again, NoContact) and "550" in again.why  # the same message to the same contact: of no use


async def test_a_refusal_for_now_is_claimed_again(ledger: Ledger, invoice: str) -> None:
    mine = await claimed(ledger)
    await committed(ledger, mine)
    async with ledger.write() as session:
        await record_refused(session, mine.notice_id, mine.token, permanent=False, code=451, text="4.3.0 later")

    again = await claimed(ledger)

    assert again.token == 2
    await committed(ledger, again)


async def test_a_refusal_before_the_commit_is_recorded_too(ledger: Ledger, invoice: str) -> None:
    mine = await claimed(ledger)

    async with ledger.write() as session:
        await record_refused(session, mine.notice_id, mine.token, permanent=True, code=550, text="5.1.1 nobody")

    assert await states(ledger) == {("follow_up+1", Channel.EMAIL): NoticeState.FAILED}


async def test_silence_is_unknown_until_a_person_settles_it(ledger: Ledger, invoice: str) -> None:
    mine = await claimed(ledger)
    await committed(ledger, mine)
    async with ledger.write() as session:
        await record_unknown(session, mine.notice_id, mine.token)

    assert isinstance(await ask(ledger), Unsettled)
    async with ledger.read() as session:
        assert [one.invoice for one in await unsettled(session)] == [invoice]
    async with ledger.write() as session:
        settled = await settle_unknown(session, mine.notice_id, was_sent=True, by="siti")
    assert (settled.state, settled.settled_by) == (NoticeState.SENT, "siti")
    assert isinstance(await ask(ledger), Unsettled), "whoever asks hears what the workflow was told"


async def test_a_late_word_settles_an_unknown_notice(ledger: Ledger, invoice: str) -> None:
    mine = await claimed(ledger)
    await committed(ledger, mine)
    async with ledger.write() as session:
        await record_unknown(session, mine.notice_id, mine.token)
        await record_sent(session, mine.notice_id, mine.token, answer="250 after all")

    assert await states(ledger) == {("follow_up+1", Channel.EMAIL): NoticeState.SENT}
    assert isinstance(await ask(ledger), Unsettled), "an attempt that wakes up must not decide anew"


@pytest.mark.parametrize(
    ("permanent", "code", "becomes", "next_answer"),
    [(False, 451, NoticeState.CANCELLED, Claimed), (True, 554, NoticeState.FAILED, NoContact)],
)
async def test_a_late_refusal_says_that_an_unknown_notice_did_not_leave(
    ledger: Ledger, invoice: str, permanent: bool, code: int, becomes: NoticeState, next_answer: type
) -> None:
    mine = await claimed(ledger)
    await committed(ledger, mine)
    async with ledger.write() as session:
        await record_unknown(session, mine.notice_id, mine.token)
        await record_refused(session, mine.notice_id, mine.token, permanent=permanent, code=code, text="no")

    assert set((await states(ledger)).values()) == {becomes}, "it stays neither unknown nor claimed for ever"
    assert isinstance(await ask(ledger), next_answer), "only what was refused for good is of no use again"


async def test_a_zombie_records_nothing(ledger: Ledger, invoice: str) -> None:
    zombie, mine = await claimed(ledger), await claimed(ledger)
    await committed(ledger, mine)

    async with ledger.write() as session:
        with pytest.raises(StaleNotice):
            await record_sent(session, zombie.notice_id, zombie.token, answer="250")
    async with ledger.write() as session:
        with pytest.raises(StaleNotice):
            await record_unknown(session, zombie.notice_id, zombie.token)
    assert set((await states(ledger)).values()) == {NoticeState.COMMITTING}


async def test_an_opt_out_between_claim_and_commit_is_kept(ledger: Ledger, invoice: str) -> None:
    mine = await claimed(ledger)
    async with ledger.write() as session:
        (contact,) = await contacts_of(session, (await customer_by_code(session, "ACME")).id)
        await opt_out(session, contact.id, Channel.EMAIL, by="siti")

    async with ledger.write() as session:
        refused = await commit(session, mine.notice_id, mine.token)
    assert isinstance(refused, Refused) and refused.reason is RefusalReason.CHANGED
    assert isinstance(await ask(ledger), NoContact)


async def test_a_part_payment_between_claim_and_commit_asks_for_a_new_message(ledger: Ledger, invoice: str) -> None:
    mine = await claimed(ledger)
    await pay(ledger, minor=400_000, reference="part")

    async with ledger.write() as session:
        refused = await commit(session, mine.notice_id, mine.token)
    assert isinstance(refused, Refused) and refused.reason is RefusalReason.CHANGED
    again = await claimed(ledger)
    assert again.brief.balance == Money(600_000, Currency.IDR)
    await committed(ledger, again)


async def test_the_switch_stops_all_sending(ledger: Ledger, invoice: str) -> None:
    mine = await claimed(ledger)
    async with ledger.write() as session:
        await stop_sending(session, by="siti", reason="wrong logo")

    async with ledger.write() as session:
        assert isinstance(await commit(session, mine.notice_id, mine.token), Refused)
    answer = await ask(ledger)
    assert isinstance(answer, Wait)
    async with ledger.write() as session:
        stopped = await sending_stopped(session)
        assert stopped is not None and stopped.reason == "wrong logo"
        await resume_sending(session, by="siti", reason="put right")
    assert isinstance(await ask(ledger), Claimed)


async def test_progress_travels_with_the_claim_and_with_the_acceptance(ledger: Ledger, invoice: str) -> None:
    asked = order(said=progress(1), if_sent=progress(2, stage=Stage.FOLLOW_UP, was=Stage.ISSUED))
    mine = await claimed(ledger, asked)
    await committed(ledger, mine)
    async with ledger.write() as session:
        await record_sent(session, mine.notice_id, mine.token, answer="250", if_sent=asked.if_sent)
        await record_sent(session, mine.notice_id, mine.token, answer="250", if_sent=asked.if_sent)  # told twice

    async with ledger.read() as session:
        rows, _ = await journal_of(session, invoice)
        view = await invoice_view(session, invoice)
    assert [row.sequence for row in rows if row.source == "workflow"] == [1, 2]
    assert view.stage is Stage.FOLLOW_UP


async def test_every_answer_is_explained(ledger: Ledger, invoice: str) -> None:
    night = replace(order(), at=datetime(2026, 3, 3, 15, 0, tzinfo=UTC))
    await ask(ledger, night)
    await sent(ledger)
    await ask(ledger)
    await pay(ledger)
    await ask(ledger, days_on(order(), 2, "follow_up+3"))

    async with ledger.read() as session:
        decisions = await why(session, invoice)
        on_the_day = await why(session, invoice, date(2026, 3, 4))
        with pytest.raises(NotFound):
            await why(session, "INV-0")
    assert [one.verdict for one in decisions] == [
        Verdict.WAIT,
        Verdict.CLAIMED,
        Verdict.ALREADY_SENT,
        Verdict.SETTLED,
    ]
    assert [one.verdict for one in on_the_day] == [Verdict.CLAIMED, Verdict.ALREADY_SENT]
    waited, let_go = decisions[0], decisions[1]
    assert waited.gates[-1].name == "window" and not waited.gates[-1].passed and waited.until is not None
    assert all(gate.passed for gate in let_go.gates) and let_go.template_digest == "t1"
    assert let_go.state is NoticeState.SENT and let_go.contact_id is not None


async def test_a_refused_commit_is_explained(ledger: Ledger, invoice: str) -> None:
    mine = await claimed(ledger)
    await pay(ledger)
    async with ledger.write() as session:
        await commit(session, mine.notice_id, mine.token)

    async with ledger.read() as session:
        decisions = await why(session, invoice)
    assert [one.verdict for one in decisions] == [Verdict.CLAIMED, Verdict.REFUSED]


async def test_an_unknown_invoice_or_notice_is_named(ledger: Ledger) -> None:
    with pytest.raises(NotFound, match="INV-0"):
        await ask(ledger, order("INV-0"))
    async with ledger.write() as session:
        with pytest.raises(NotFound):
            await commit(session, 7, 1)
    async with ledger.read() as session:
        assert await notice(session, 7) is None


async def test_the_sender_is_told_how_long_it_has(ledger: Ledger, invoice: str) -> None:
    answer = await committed(ledger, await claimed(ledger))

    assert isinstance(answer, Committed) and 3 < answer.seconds_left <= 4


async def test_two_invoices_have_notices_of_their_own(ledger: Ledger, invoice: str) -> None:
    await add_customer(ledger, "OTHER", email="budi@other.example")
    await add_invoice(ledger, new_invoice("INV-2", customer="OTHER"))

    mine, other = await sent(ledger), await sent(ledger, order("INV-2"))

    assert mine.brief.message_id != other.brief.message_id
