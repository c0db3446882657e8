"""The registers of customers and invoices: written down once, found again, reachable or not."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
import pytest_asyncio
from sqlalchemy.exc import DBAPIError

from lunas.ledger.answers import NoContact
from lunas.ledger.customers import (
    NewContact,
    NewCustomer,
    add_contact,
    best_contact,
    contacts_of,
    correct_contact,
    create_customer,
    customer_by_code,
    erase_contact,
    find_customers,
    mark_undeliverable,
    opt_out,
)
from lunas.ledger.database import Ledger
from lunas.ledger.errors import Conflict, InvoiceConflict, LedgerError, NotFound, Refused
from lunas.ledger.facts import facts
from lunas.ledger.findings import NewFinding, findings_of, propose
from lunas.ledger.invoices import adopt_policy, create_invoice, opening_state
from lunas.ledger.kinds import AddressState, ContactSource, FindingKind, Language, NudgeKind
from lunas.ledger.notices import notices_of
from lunas.ledger.outbox import delivered, told, undelivered
from lunas.ledger.policies import policy_under
from lunas.ledger.progress import record_progress
from lunas.ledger.replies import ask_for_other_way, record_answer
from lunas.ledger.reports import OpenTotal, StageCount, counts_by_stage, open_totals
from lunas.ledger.tables import CustomerRow
from lunas.ledger.tables.base import Moment
from lunas.ledger.views import InvoiceQuery, invoice_view, lines_of, list_invoices
from lunas.receivables.actions import NoticeKind
from lunas.receivables.adoption import adopt
from lunas.receivables.calendar import CalendarError
from lunas.receivables.events import ContactLost, PaidInFull
from lunas.receivables.invoice import HoldKind, Stage
from lunas.receivables.ladder import Channel
from lunas.receivables.money import Currency, Money
from lunas.receivables.policy import ContactBudget
from tests.ledger.samples import (
    POLICY,
    WEDNESDAY,
    add_customer,
    add_invoice,
    ask,
    dispute,
    new_invoice,
    order,
    pay,
    policy,
    progress,
    schedule,
    sent,
)

NUMBER = "INV/2026/11/0042"


# --- customers ------------------------------------------------------------------------------------------------------


async def contact_id(ledger: Ledger) -> int:
    async with ledger.read() as session:
        return (await contacts_of(session, (await customer_by_code(session, "ACME")).id))[0].id


async def test_a_customers_code_is_taken_once(ledger: Ledger) -> None:
    await add_customer(ledger)

    with pytest.raises(Conflict, match="ACME"):
        await add_customer(ledger)


async def test_a_time_zone_must_exist(ledger: Ledger) -> None:
    async with ledger.write() as session:
        with pytest.raises(CalendarError, match="Asia/Bandung"):
            await create_customer(session, NewCustomer("X", "X", time_zone="Asia/Bandung"))


async def test_the_best_contact_is_the_first_that_is_approved_and_works(ledger: Ledger) -> None:
    contacts = (
        NewContact(name="found", email="found@acme.example", approved=False, source=ContactSource.RESEARCH, priority=1),
        NewContact(name="by phone", phone="+628111", priority=2),
        NewContact(name="second", email="second@acme.example", priority=9),
        NewContact(name="first", email="first@acme.example", priority=3, language=Language.ENGLISH),
    )
    async with ledger.write() as session:
        await create_customer(session, NewCustomer("ACME", "PT ACME", contacts=contacts))
        best = await best_contact(session, "ACME", Channel.EMAIL)
        by_sms = await best_contact(session, "ACME", Channel.SMS)

    assert best is not None and (best.name, best.language) == ("first", Language.ENGLISH)
    assert by_sms is not None and (by_sms.address, by_sms.language) == ("+628111", Language.INDONESIAN)


async def test_the_last_way_lost_is_a_fact_and_a_correction_too(ledger: Ledger) -> None:
    await add_customer(ledger)
    await add_invoice(ledger)
    contact = await contact_id(ledger)
    async with ledger.write() as session:
        await mark_undeliverable(session, contact, Channel.EMAIL, "550 5.1.1")
        still_reachable = await facts(session, NUMBER)
        await mark_undeliverable(session, contact, Channel.SMS, "30003")
        lost = await facts(session, NUMBER)
        await correct_contact(session, contact, by="siti", email="new@acme.example")
        found = await facts(session, NUMBER)

    assert [(one.version, one.reachable) for one in (still_reachable, lost, found)] == [
        (1, True),
        (2, False),
        (3, True),
    ]
    async with ledger.read() as session:
        assert [nudge.kind for nudge in await undelivered(session)] == [
            NudgeKind.START,
            NudgeKind.FACTS_CHANGED,
            NudgeKind.FACTS_CHANGED,
        ]


async def test_an_opt_out_is_not_weakened_by_a_bounce(ledger: Ledger) -> None:
    await add_customer(ledger)
    contact = await contact_id(ledger)
    async with ledger.write() as session:
        await opt_out(session, contact, Channel.EMAIL, by="link")
        await mark_undeliverable(session, contact, Channel.EMAIL, "550")
        (row,) = await contacts_of(session, (await customer_by_code(session, "ACME")).id)

    assert (row.email_state, row.phone_state) == (AddressState.OPTED_OUT, AddressState.OK)


async def test_a_closed_invoice_does_not_hear_of_lost_contacts(ledger: Ledger) -> None:
    await add_customer(ledger, phone=None)
    await add_invoice(ledger)
    async with ledger.write() as session:
        await record_progress(session, NUMBER, progress(1, stage=Stage.CANCELLED, was=Stage.ISSUED))
        await mark_undeliverable(session, await contact_id(ledger), Channel.EMAIL, "550")
        assert (await facts(session, NUMBER)).version == 1


async def test_a_new_contact_makes_an_unreachable_customer_reachable(ledger: Ledger) -> None:
    await add_customer(ledger, email=None, phone=None)
    assert not (await add_invoice(ledger)).reachable
    async with ledger.write() as session:
        await add_contact(session, "ACME", NewContact(email="siti@acme.example"), by="siti")
        assert (await facts(session, NUMBER)).reachable


async def test_a_person_can_be_forgotten(ledger: Ledger) -> None:
    await add_customer(ledger)
    await add_invoice(ledger)
    await sent(ledger)
    erased = await contact_id(ledger)
    async with ledger.write() as session:
        await propose(session, "ACME", [NewFinding(FindingKind.EMAIL, "siti@acme.example", {"words": "Siti"})])
        await erase_contact(session, erased, by="siti")
        assert not (await facts(session, NUMBER)).reachable

    async with ledger.read() as session:
        (row,) = await contacts_of(session, (await customer_by_code(session, "ACME")).id)
        (finding,) = await findings_of(session, "ACME")
        (said,) = await notices_of(session, NUMBER)
    assert (row.name, row.email, row.phone, said.answer, said.contact_id) == (None, None, None, None, erased)
    assert (finding.value, finding.evidence) == (f"erased {finding.id}", {})
    assert isinstance(await ask(ledger, order(rung="follow_up+3")), NoContact)


async def test_what_is_not_there_is_named(ledger: Ledger) -> None:
    async with ledger.write() as session:
        for wrong in (customer_by_code(session, "X"), add_contact(session, "X", NewContact(), by="s")):
            with pytest.raises(NotFound, match="'X'"):
                await wrong
        with pytest.raises(NotFound, match="contact 7"):
            await opt_out(session, 7, Channel.SMS, by="s")


async def test_customers_are_found_by_a_part_of_their_name(ledger: Ledger) -> None:
    for code in ("ACME", "BUDI", "CITRA"):
        await add_customer(ledger, code)
    async with ledger.read() as session:
        assert [one.code for one in (await find_customers(session, "udi"))[0]] == ["BUDI"]
        assert len((await find_customers(session))[0]) == 3


# --- invoices -------------------------------------------------------------------------------------------------------


async def test_the_same_invoice_again_is_the_same_invoice(ledger: Ledger) -> None:
    await add_customer(ledger)
    async with ledger.write() as session:
        first = await create_invoice(session, new_invoice(), POLICY)
    async with ledger.write() as session:
        again = await create_invoice(session, new_invoice(), policy(budget=ContactBudget(2, 5)))

    assert (first.is_new, again.is_new) == (True, False) and first.facts == again.facts
    async with ledger.read() as session:
        assert (await opening_state(session, NUMBER)).policy == POLICY


async def test_another_invoice_under_the_number_is_a_conflict(ledger: Ledger) -> None:
    await add_customer(ledger)
    await add_customer(ledger, "OTHER")
    await add_invoice(ledger)

    for other in (new_invoice(minor=2), new_invoice(customer="OTHER"), replace(new_invoice(), purchase_order="PO")):
        with pytest.raises(InvoiceConflict, match=NUMBER):
            await add_invoice(ledger, other)


async def test_an_invoice_sent_many_times_at_once_is_created_once(ledger: Ledger) -> None:
    await add_customer(ledger)

    async def create() -> bool:
        async with ledger.write() as session:
            return (await create_invoice(session, new_invoice(), POLICY)).is_new

    assert sorted(await asyncio.gather(*(create() for _ in range(6)))) == [False] * 5 + [True]


@pytest.mark.parametrize("number", ["INV/2026/11/0042", "faktur 7 – €", "x", "a" * 64, "../../etc", "%s'--"])
async def test_any_number_is_a_number(ledger: Ledger, number: str) -> None:
    await add_customer(ledger)
    await add_invoice(ledger, new_invoice(number))
    async with ledger.read() as session:
        assert (await invoice_view(session, number)).number == number


@pytest.mark.parametrize("number", ["", " x", "x ", "a" * 65, "a\nb", "a\x00"])
async def test_what_is_no_number_is_refused(ledger: Ledger, number: str) -> None:
    await add_customer(ledger)

    with pytest.raises(Refused, match="not an invoice number"):
        await add_invoice(ledger, new_invoice(number))


@pytest.mark.parametrize(
    "wrong",
    [
        replace(new_invoice(), lines=()),
        new_invoice(minor=0),
        replace(new_invoice(), due_on=date(2026, 1, 31)),
    ],
)
async def test_an_invoice_that_cannot_be_is_refused(ledger: Ledger, wrong: object) -> None:
    await add_customer(ledger)

    with pytest.raises(Refused, match=NUMBER):
        await add_invoice(ledger, wrong)  # type: ignore[arg-type]


async def test_a_workflow_starts_from_what_was_written_down(ledger: Ledger) -> None:
    await add_customer(ledger)
    known = await add_invoice(ledger)
    async with ledger.read() as session:
        state = await opening_state(session, NUMBER)
        lines = await lines_of(session, NUMBER)

    assert (state.customer, state.currency, state.due_on) == ("ACME", Currency.IDR, date(2026, 3, 3))
    assert state.facts == known and state.policy == POLICY and state.stage is Stage.ISSUED
    assert [(line.position, line.quantity) for line in lines] == [(1, "2")]


async def test_a_closed_invoice_is_reopened_as_it_was(ledger: Ledger) -> None:
    await add_customer(ledger)
    await add_invoice(ledger)
    async with ledger.write() as session:
        state = await opening_state(session, NUMBER)
        kept = replace(state, stage=Stage.PAID, before_close=Stage.FOLLOW_UP, follow_ups=3, sequence=1)
        closing = progress(1, stage=Stage.PAID, was=Stage.ISSUED, closed=kept, event="paid_in_full")
        await record_progress(session, NUMBER, closing)
        assert await opening_state(session, NUMBER) == kept
        assert (await invoice_view(session, NUMBER)).closed_at is not None

    async with ledger.write() as session:
        await record_progress(session, NUMBER, progress(2, stage=Stage.FOLLOW_UP, was=Stage.PAID))
        assert (await invoice_view(session, NUMBER)).closed_at is None
        assert (await opening_state(session, NUMBER)).stage is Stage.FOLLOW_UP


async def test_a_run_that_was_lost_goes_on_from_the_record(ledger: Ledger) -> None:
    await add_customer(ledger)
    await add_invoice(ledger)
    for rung, kind in (("send_invoice", NoticeKind.SEND_INVOICE), ("follow_up+1", NoticeKind.FOLLOW_UP)):
        await sent(ledger, order(rung=rung, kind=kind))
    await sent(ledger, order(channel=Channel.SMS))
    async with ledger.write() as session:
        await record_progress(session, NUMBER, progress(1, stage=Stage.FOLLOW_UP, was=Stage.ISSUED))
        await record_progress(session, NUMBER, progress(2, stage=Stage.FOLLOW_UP, hold=dispute(), event="promise_made"))
        state = await opening_state(session, NUMBER)

    assert (state.stage, state.sequence, state.hold) == (Stage.FOLLOW_UP, 2, dispute())
    assert (state.climbed, state.follow_ups, state.last_step_on) == (1, 1, WEDNESDAY.date())
    assert (state.promises, state.stopped_on, state.final_demand_on) == (1, WEDNESDAY.date(), None)


async def test_a_workflow_hears_of_what_came_before_it(ledger: Ledger) -> None:
    await add_customer(ledger, email=None, phone=None)
    await pay(ledger)
    known = await add_invoice(ledger)
    async with ledger.read() as session:
        state = await opening_state(session, NUMBER)

    assert state.outstanding == Money(1_000_000, Currency.IDR)
    assert adopt(state, known)[1] == (PaidInFull(), ContactLost())


async def test_a_policy_is_stored_once_and_changed_for_one(ledger: Ledger) -> None:
    await add_customer(ledger)
    for number in ("INV-1", "INV-2"):
        await add_invoice(ledger, new_invoice(number))
    other = policy(budget=ContactBudget(2, 5))
    async with ledger.write() as session:
        changed = await adopt_policy(session, "INV-2", other, by="siti")
        again = await adopt_policy(session, "INV-2", other, by="siti")
        assert (await opening_state(session, "INV-2")).policy == other
        assert (await opening_state(session, "INV-1")).policy == POLICY
    assert changed.version == again.version == 2


async def test_answers_and_wishes_are_facts(ledger: Ledger) -> None:
    await add_customer(ledger)
    await add_invoice(ledger)
    async with ledger.write() as session:
        await record_answer(session, NUMBER, by="inbox")
        await record_answer(session, NUMBER, by="inbox")
        await ask_for_other_way(session, NUMBER, by="siti")
        known = await ask_for_other_way(session, NUMBER, by="siti")

    assert (known.version, known.answers, known.other_way) == (4, 2, True)


# --- lists ----------------------------------------------------------------------------------------------------------


@pytest_asyncio.fixture(loop_scope="session")
async def many(ledger: Ledger) -> Ledger:
    """Six invoices of two customers: due on 3 to 8 March; one held, one closed, one paid."""
    await add_customer(ledger)
    await add_customer(ledger, "BUDI")
    for place in range(6):
        invoice = new_invoice(f"INV-{place}", customer="BUDI" if place % 2 else "ACME")
        await add_invoice(ledger, replace(invoice, due_on=date(2026, 3, 3 + place)))
    async with ledger.write() as session:
        await record_progress(session, "INV-1", progress(1, hold=dispute()))
        await record_progress(session, "INV-2", progress(1, stage=Stage.CANCELLED, was=Stage.ISSUED))
    await pay(ledger, "INV-3")
    return ledger


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (InvoiceQuery(), "012345"),
        (InvoiceQuery(stages=(Stage.CANCELLED, Stage.PAID)), "2"),
        (InvoiceQuery(is_open=True), "01345"),
        (InvoiceQuery(is_open=False), "2"),
        (InvoiceQuery(held=HoldKind.DISPUTE), "1"),
        (InvoiceQuery(customer="BUDI"), "135"),
        (InvoiceQuery(overdue_on=date(2026, 3, 6)), "01"),
        (InvoiceQuery(due_from=date(2026, 3, 4), due_to=date(2026, 3, 5)), "12"),
        (InvoiceQuery(text="nv-4"), "4"),
        (InvoiceQuery(text="pt budi"), "135"),
        (InvoiceQuery(text="%"), ""),
    ],
)
async def test_a_list_shows_what_was_asked_for(many: Ledger, query: InvoiceQuery, found: str) -> None:
    if query.overdue_on:
        async with many.write() as session:
            await record_progress(session, "INV-0", progress(1))
    async with many.read() as session:
        views, after = await list_invoices(session, query)

    assert "".join(view.number[-1] for view in views) == found and after is None


async def test_pages_follow_each_other_without_a_gap(many: Ledger) -> None:
    numbers, after = [], None
    async with many.read() as session:
        while True:
            views, after = await list_invoices(session, InvoiceQuery(), after=after, limit=4)
            numbers += [view.number for view in views]
            if after is None:
                break
        with pytest.raises(LedgerError, match="not a cursor"):
            await list_invoices(session, InvoiceQuery(), after="tomorrow")
    assert numbers == [f"INV-{place}" for place in range(6)]


async def test_a_view_shows_balance_and_standing(many: Ledger) -> None:
    await schedule(many, "INV-4", WEDNESDAY, Channel.EMAIL)
    async with many.read() as session:
        paid, planned = await invoice_view(session, "INV-3"), await invoice_view(session, "INV-4")
        with pytest.raises(NotFound):
            await invoice_view(session, "INV-9")

    assert paid.balance == Money(0, Currency.IDR) and planned.balance == Money(1_000_000, Currency.IDR)
    assert (planned.next_at, planned.next_step) == (WEDNESDAY, "follow-up")


async def test_small_reports_add_up(many: Ledger) -> None:
    async with many.read() as session:
        stages = await counts_by_stage(session)
        totals = await open_totals(session, date(2026, 3, 6))

    assert stages == (
        StageCount(Stage.ISSUED, None, 4),
        StageCount(Stage.ISSUED, HoldKind.DISPUTE, 1),
        StageCount(Stage.CANCELLED, None, 1),
    )
    assert totals == (OpenTotal(Currency.IDR, 5, 4_000_000, 2, 2_000_000),)


# --- outbox ---------------------------------------------------------------------------------------------------------


async def test_nudges_stay_until_they_are_delivered(ledger: Ledger) -> None:
    await add_customer(ledger)
    await add_invoice(ledger)
    await pay(ledger)
    async with ledger.read() as session:
        start, changed = await undelivered(session)
        assert await undelivered(session, older_than=timedelta(minutes=1)) == []
    async with ledger.write() as session:
        await delivered(session, [start.id])
        await told(session, {NUMBER: 1})  # the workflow has not heard of version 2 yet
        assert await undelivered(session) == [changed]
        await told(session, {NUMBER: 2})
        assert await undelivered(session) == []


# --- the database ---------------------------------------------------------------------------------------------------


async def test_a_read_cannot_write(ledger: Ledger) -> None:
    with pytest.raises(DBAPIError):
        async with ledger.read() as session:
            session.add(
                CustomerRow(code="X", name="X", language=Language.ENGLISH, time_zone="UTC", created_at=WEDNESDAY)
            )
            await session.flush()


async def test_a_read_sees_one_moment(ledger: Ledger) -> None:
    async with ledger.read() as session:
        assert await find_customers(session) == ([], None)
        await add_customer(ledger)
        assert await find_customers(session) == ([], None)


async def test_moments_are_aware_and_in_utc_on_every_database(ledger: Ledger) -> None:
    in_jakarta = datetime(2026, 3, 4, 10, 0, 0, 123456, tzinfo=timezone(timedelta(hours=7)))
    async with ledger.write() as session:
        session.add(CustomerRow(code="X", name="X", language=Language.ENGLISH, time_zone="UTC", created_at=in_jakarta))
    async with ledger.read() as session:
        ((row,), _) = await find_customers(session)
        now = await session.now()
    assert row.created_at == in_jakarta and row.created_at.tzinfo is UTC
    assert now.tzinfo is UTC and abs(datetime.now(UTC) - now) < timedelta(seconds=5)
    with pytest.raises(ValueError, match="no time zone"):
        Moment().process_bind_param(datetime(2026, 3, 4), None)  # type: ignore[arg-type]  # noqa: DTZ001


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "mysql://localhost/x"])
def test_a_ledger_needs_a_database_that_it_knows(url: str) -> None:
    with pytest.raises(LedgerError):
        Ledger(url)


async def test_a_policy_read_from_a_fresh_process_is_the_same(ledger: Ledger) -> None:
    from lunas.ledger import policies

    await add_customer(ledger)
    await add_invoice(ledger)
    policies._cache.clear()
    async with ledger.read() as session:
        state = await opening_state(session, NUMBER)
        (digest,) = policies._cache
        assert state.policy == POLICY == await policy_under(session, digest)
