"""Money: booked once, matched, reversed, credited; a balance is arithmetic and never negative."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import date

import pytest
import pytest_asyncio

from lunas.ledger.charges import record_charge
from lunas.ledger.credits import NewCreditNote, record_credit_note
from lunas.ledger.database import Ledger
from lunas.ledger.errors import Conflict, NotFound, ReceiptConflict, Refused
from lunas.ledger.facts import facts
from lunas.ledger.invoices import create_invoice
from lunas.ledger.journal import journal_of
from lunas.ledger.kinds import IMPORTED, ChargeKind, JournalSource
from lunas.ledger.outbox import undelivered
from lunas.ledger.provider_events import event_of, keep_event
from lunas.ledger.receipts import Booked, NewReceipt, allocate, record_receipt, unapplied_receipts
from lunas.ledger.reversals import NewReversal, Reversed, record_reversal
from lunas.receivables.adoption import difference
from lunas.receivables.events import PartPaymentReceived
from lunas.receivables.invoice import Balance, Facts
from lunas.receivables.money import Currency, Money
from lunas.receivables.terms import Terms
from tests.ledger.samples import POLICY, add_customer, add_invoice, new_invoice, pay

NUMBER = "INV/2026/11/0042"
WHOLE = 1_000_000
IN_TIME, TOO_LATE = date(2026, 2, 11), date(2026, 2, 12)  # issued on 1 February, 2 % within 10 days


def rupiah(minor: int) -> Money:
    return Money(minor, Currency.IDR)


@pytest_asyncio.fixture(loop_scope="session")
async def invoice(ledger: Ledger) -> str:
    await add_customer(ledger)
    await add_invoice(ledger)
    return NUMBER


async def balance(ledger: Ledger, number: str = NUMBER) -> Balance:
    async with ledger.read() as session:
        return (await facts(session, number)).balance


async def reverse(
    ledger: Ledger, reference: str = "back-1", *, receipt: str = "pay-1", minor: int | None = None
) -> Reversed:
    reversal = NewReversal(
        "bank", reference, receipt, date(2026, 3, 10), "bounced", "bank", None if minor is None else rupiah(minor)
    )
    async with ledger.write() as session:
        return await record_reversal(session, reversal)


async def credit(ledger: Ledger, minor: int, number: str = "CN-1") -> None:
    note = NewCreditNote(number, NUMBER, rupiah(minor), date(2026, 3, 1), "returned goods", "siti")
    async with ledger.write() as session:
        await record_credit_note(session, note)


async def bring(ledger: Ledger, minor: int, reference: str = "import-1") -> Booked:
    """Money that was paid before the invoice came to us, as an import brings it."""
    receipt = NewReceipt(IMPORTED, reference, rupiah(minor), date(2026, 2, 20), "test", NUMBER)
    async with ledger.write() as session:
        return await record_receipt(session, receipt)


# --- receipts ------------------------------------------------------------------------------------------------------


async def test_what_an_import_brings_counts_and_is_told_from_what_came_to_us(ledger: Ledger) -> None:
    await add_customer(ledger)
    await bring(ledger, 300_000)
    known = await add_invoice(ledger)
    assert (known.balance.received, known.earlier) == (300_000, 300_000)

    own = await pay(ledger, minor=100_000)
    assert own.facts is not None
    assert (own.facts.balance.received, own.facts.earlier) == (400_000, 300_000)
    assert difference(Facts(balance=Balance(WHOLE)), known) == (PartPaymentReceived(earlier=True),)
    assert difference(known, own.facts) == (PartPaymentReceived(),)

    back = NewReversal(IMPORTED, "back-2", "import-1", date(2026, 3, 11), "bounced", "bank", rupiah(50_000))
    async with ledger.write() as session:
        await record_reversal(session, back)
        left = await facts(session, NUMBER)
    assert (left.balance.net_received, left.earlier) == (350_000, 250_000)


async def test_a_receipt_settles_its_invoice_and_tells_the_workflow(ledger: Ledger, invoice: str) -> None:
    booked = await pay(ledger)

    assert booked.new and booked.invoice == invoice and booked.facts is not None
    assert (booked.allocated, booked.unapplied) == (rupiah(WHOLE), rupiah(0))
    assert booked.facts.version == 2 and booked.facts.balance.settled
    async with ledger.read() as session:
        rows, _ = await journal_of(session, invoice)
        nudges = await undelivered(session)
    assert [(row.source, row.sequence, row.event) for row in rows] == [
        (JournalSource.LEDGER, 1, "invoice_created"),
        (JournalSource.LEDGER, 2, "receipt_allocated"),
    ]
    assert [nudge.kind for nudge in nudges] == ["start", "facts_changed"]


async def test_a_receipt_delivered_again_is_the_same_receipt(ledger: Ledger, invoice: str) -> None:
    first = await pay(ledger)
    again = await pay(ledger)

    assert again == replace(first, new=False)
    assert (await balance(ledger)).received == WHOLE


async def test_a_receipt_delivered_many_times_at_once_is_booked_once(ledger: Ledger, invoice: str) -> None:
    booked = await asyncio.gather(*(pay(ledger) for _ in range(8)))

    assert sorted(one.new for one in booked) == [False] * 7 + [True]
    assert (await balance(ledger)).outstanding == 0


async def test_money_for_nobody_delivered_many_times_at_once_is_booked_once(ledger: Ledger) -> None:
    booked = await asyncio.gather(*(pay(ledger, "INV-LATER") for _ in range(6)))

    assert len({one.receipt_id for one in booked}) == 1 and sum(one.new for one in booked) == 1


@pytest.mark.parametrize("change", [{"minor": 1}, {"number": "INV-2"}, {"paid_on": date(2026, 3, 5)}])
async def test_a_reference_stands_for_one_receipt(ledger: Ledger, invoice: str, change: dict[str, object]) -> None:
    await pay(ledger)

    with pytest.raises(ReceiptConflict, match="pay-1"):
        await pay(ledger, **change)  # type: ignore[arg-type]
    assert (await balance(ledger)).outstanding == 0


async def test_part_payments_add_up(ledger: Ledger, invoice: str) -> None:
    await pay(ledger, minor=300_000, reference="a")
    assert (await balance(ledger)).outstanding == 700_000

    await pay(ledger, minor=700_000, reference="b")

    assert (await balance(ledger)).settled


async def test_what_is_too_much_is_kept_on_the_receipt(ledger: Ledger, invoice: str) -> None:
    booked = await pay(ledger, minor=WHOLE + 5)

    assert (booked.allocated, booked.unapplied) == (rupiah(WHOLE), rupiah(5))
    assert (await balance(ledger)).outstanding == 0
    async with ledger.read() as session:
        (kept,) = await unapplied_receipts(session)
    assert kept.unapplied == rupiah(5) and kept.named == invoice


async def test_another_currency_is_kept_unapplied(ledger: Ledger, invoice: str) -> None:
    booked = await pay(ledger, currency=Currency.USD)

    assert booked.allocated.minor == 0 and booked.unapplied == Money(WHOLE, Currency.USD)
    assert (await balance(ledger)).outstanding == WHOLE


async def test_money_that_comes_before_its_invoice_finds_it(ledger: Ledger) -> None:
    await add_customer(ledger)
    early = await pay(ledger)
    assert (early.invoice, early.facts, early.unapplied) == (None, None, rupiah(WHOLE))

    known = await add_invoice(ledger)

    assert known.balance.settled and known.version == 2


async def test_an_invoice_that_comes_at_the_same_moment_as_its_money_finds_it(ledger: Ledger) -> None:
    await add_customer(ledger)
    async with ledger.write() as session:
        await record_receipt(session, NewReceipt("bank", "early", rupiah(WHOLE), TOO_LATE, "bank", NUMBER))
        creating = asyncio.create_task(add_invoice(ledger))
        await asyncio.sleep(0.2)  # it sees nothing of this transaction, and waits for it

    assert (await creating).balance.settled


async def test_money_that_comes_at_the_same_moment_as_its_invoice_finds_it(ledger: Ledger) -> None:
    await add_customer(ledger)
    async with ledger.write() as session:
        await create_invoice(session, new_invoice(), POLICY)
        paying = asyncio.create_task(pay(ledger))
        await asyncio.sleep(0.2)

    assert (await paying).facts == Facts(2, Balance(lines=WHOLE, received=WHOLE))


async def test_nothing_that_is_no_money_is_a_receipt(ledger: Ledger, invoice: str) -> None:
    with pytest.raises(Refused, match="reversal"):
        await pay(ledger, minor=-5)


async def test_a_person_matches_what_was_unapplied(ledger: Ledger, invoice: str) -> None:
    await add_invoice(ledger, new_invoice("INV-2", minor=400_000))
    booked = await pay(ledger, minor=WHOLE + 500_000)

    async with ledger.write() as session:
        matched = await allocate(session, booked.receipt_id, "INV-2", by="siti")
    assert matched.unapplied == rupiah(100_000)
    assert (await balance(ledger, "INV-2")).settled
    async with ledger.write() as session:
        with pytest.raises(Refused, match="nothing is open"):
            await allocate(session, booked.receipt_id, "INV-2", by="siti")
    async with ledger.write() as session:
        with pytest.raises(NotFound):
            await allocate(session, 10**6, "INV-2", by="siti")


async def test_payments_at_once_never_pay_twice(ledger: Ledger, invoice: str) -> None:
    booked: list[Booked] = await asyncio.gather(*(pay(ledger, reference=f"pay-{n}") for n in range(5)))

    assert sorted(one.allocated.minor for one in booked) == [0, 0, 0, 0, WHOLE]
    assert sum(one.unapplied.minor for one in booked) == 4 * WHOLE


async def test_a_providers_event_is_kept_as_it_came(ledger: Ledger, invoice: str) -> None:
    async with ledger.write() as session:
        first, new = await keep_event(
            session, provider="xendit", event="evt-1", raw=b'{"a":1}', verification="fetched by id"
        )
        again, newer = await keep_event(session, provider="xendit", event="evt-1", raw=b"{}", verification="-")
        assert (new, newer) == (True, False) and first == again
        receipt = NewReceipt("xendit", "p-1", rupiah(WHOLE), TOO_LATE, "xendit", invoice, first)
        await record_receipt(session, receipt)
    async with ledger.read() as session:
        kept = await event_of(session, first)
    assert kept is not None and (kept.raw, kept.verification) == (b'{"a":1}', "fetched by id")


# --- the early-payment discount ------------------------------------------------------------------------------------


async def test_paying_early_takes_the_discount_off(ledger: Ledger, invoice: str) -> None:
    booked = await pay(ledger, minor=980_000, paid_on=IN_TIME)

    assert booked.facts is not None
    assert booked.facts.balance == Balance(lines=WHOLE, received=980_000, discount=20_000)


async def test_the_value_date_counts_and_not_the_day_of_booking(ledger: Ledger, invoice: str) -> None:
    """The ledger's clock says long after; the bank says within ten days."""
    assert (await pay(ledger, minor=980_000, paid_on=IN_TIME)).facts.balance.settled  # type: ignore[union-attr]


async def test_paying_late_does_not(ledger: Ledger, invoice: str) -> None:
    await pay(ledger, minor=980_000, paid_on=TOO_LATE)

    assert (await balance(ledger)).outstanding == 20_000


async def test_paying_too_little_early_does_not(ledger: Ledger, invoice: str) -> None:
    await pay(ledger, minor=979_999, paid_on=IN_TIME)

    assert (await balance(ledger)).outstanding == 20_001


async def test_paying_in_parts_early_takes_it_off_with_the_last_one(ledger: Ledger, invoice: str) -> None:
    await pay(ledger, minor=500_000, reference="a", paid_on=IN_TIME)
    await pay(ledger, minor=480_000, reference="b", paid_on=IN_TIME)

    assert (await balance(ledger)).settled


async def test_a_part_that_came_too_late_spoils_it(ledger: Ledger, invoice: str) -> None:
    await pay(ledger, minor=500_000, reference="a", paid_on=TOO_LATE)
    await pay(ledger, minor=480_000, reference="b", paid_on=IN_TIME)

    assert (await balance(ledger)).outstanding == 20_000


async def test_who_pays_all_of_it_early_has_the_discount_as_credit(ledger: Ledger, invoice: str) -> None:
    booked = await pay(ledger, paid_on=IN_TIME)

    assert booked.unapplied == rupiah(20_000) and booked.facts is not None and booked.facts.balance.settled


async def test_the_discount_goes_with_the_money(ledger: Ledger, invoice: str) -> None:
    await pay(ledger, minor=980_000, paid_on=IN_TIME)
    await reverse(ledger)

    assert (await balance(ledger)) == Balance(lines=WHOLE, received=980_000, reversed=980_000)
    await pay(ledger, minor=980_000, reference="again", paid_on=TOO_LATE)
    assert (await balance(ledger)).outstanding == 20_000


async def test_no_terms_no_discount(ledger: Ledger) -> None:
    await add_customer(ledger)
    await add_invoice(ledger, replace(new_invoice(), terms=Terms.parse("net 30")))
    await pay(ledger, minor=980_000, paid_on=IN_TIME)

    assert (await balance(ledger)).outstanding == 20_000


# --- reversals -----------------------------------------------------------------------------------------------------


async def test_a_reversal_opens_the_invoice_again(ledger: Ledger, invoice: str) -> None:
    await pay(ledger)
    undone = await reverse(ledger)

    assert undone.new and undone.amount == rupiah(WHOLE)
    ((number, known),) = undone.invoices
    assert number == invoice and known.balance.outstanding == WHOLE and known.version == 3


async def test_a_reversal_delivered_again_is_the_same(ledger: Ledger, invoice: str) -> None:
    await pay(ledger)
    first = await reverse(ledger)

    assert await reverse(ledger) == replace(first, new=False)
    with pytest.raises(ReceiptConflict):
        await reverse(ledger, minor=5)
    assert (await balance(ledger)).reversed == WHOLE


async def test_reversals_at_once_are_booked_once(ledger: Ledger, invoice: str) -> None:
    await pay(ledger)

    undone = await asyncio.gather(*(reverse(ledger) for _ in range(5)))

    assert sum(one.new for one in undone) == 1
    assert (await balance(ledger)).outstanding == WHOLE


async def test_a_part_can_go_back_and_no_more_than_came(ledger: Ledger, invoice: str) -> None:
    await pay(ledger)
    await reverse(ledger, "a", minor=400_000)
    await reverse(ledger, "b", minor=600_000)

    assert (await balance(ledger)).outstanding == WHOLE
    with pytest.raises(Refused, match="IDR 0 of it is left"):
        await reverse(ledger, "c", minor=1)


async def test_what_was_unapplied_goes_back_first(ledger: Ledger, invoice: str) -> None:
    await pay(ledger, minor=WHOLE + 300_000)

    undone = await reverse(ledger, minor=300_000)

    assert undone.invoices == ()
    assert (await balance(ledger)).settled


async def test_who_has_paid_twice_is_not_dunned_when_one_payment_goes_back(ledger: Ledger, invoice: str) -> None:
    await pay(ledger, reference="pay-1")
    await pay(ledger, reference="pay-2")

    await reverse(ledger, receipt="pay-1")

    assert (await balance(ledger)) == Balance(lines=WHOLE, received=2 * WHOLE, reversed=WHOLE)


async def test_a_reversal_of_what_is_not_booked_says_so(ledger: Ledger, invoice: str) -> None:
    with pytest.raises(NotFound, match="pay-1"):
        await reverse(ledger)


async def test_a_reversal_takes_back_from_every_invoice(ledger: Ledger, invoice: str) -> None:
    await add_customer(ledger, "OTHER", email="budi@other.example")
    await add_invoice(ledger, new_invoice("INV-2", minor=400_000, customer="OTHER"))
    booked = await pay(ledger, minor=WHOLE + 400_000)
    async with ledger.write() as session:
        await allocate(session, booked.receipt_id, "INV-2", by="siti")

    undone = await reverse(ledger, minor=500_000)

    assert {number: known.balance.outstanding for number, known in undone.invoices} == {
        "INV-2": 400_000,
        NUMBER: 100_000,
    }


# --- credit notes and charges --------------------------------------------------------------------------------------


async def test_a_credit_note_makes_it_less(ledger: Ledger, invoice: str) -> None:
    await credit(ledger, 250_000)
    await credit(ledger, 250_000)  # delivered again

    assert (await balance(ledger)) == Balance(lines=WHOLE, credited=250_000)


async def test_a_credit_note_number_stands_for_one(ledger: Ledger, invoice: str) -> None:
    await credit(ledger, 250_000)

    with pytest.raises(ReceiptConflict, match="CN-1"):
        await credit(ledger, 1)


async def test_a_credit_note_of_all_of_it_settles_it(ledger: Ledger, invoice: str) -> None:
    await credit(ledger, WHOLE)

    assert (await balance(ledger)).settled
    with pytest.raises(Refused, match="IDR 0 is left"):
        await credit(ledger, 1, "CN-2")


async def test_a_credit_note_on_a_paid_invoice_leaves_the_money_on_the_receipt(ledger: Ledger, invoice: str) -> None:
    booked = await pay(ledger)
    await credit(ledger, 300_000)

    assert (await balance(ledger)) == Balance(lines=WHOLE, received=700_000, credited=300_000)
    async with ledger.read() as session:
        (kept,) = await unapplied_receipts(session)
    assert (kept.receipt_id, kept.unapplied) == (booked.receipt_id, rupiah(300_000))
    await reverse(ledger)  # the whole receipt: what is unapplied, and what the invoice still holds
    assert (await balance(ledger)).outstanding == 700_000


async def test_a_credit_note_may_take_the_discount_too(ledger: Ledger, invoice: str) -> None:
    await pay(ledger, minor=980_000, paid_on=IN_TIME)
    await credit(ledger, WHOLE)

    assert (await balance(ledger)) == Balance(lines=WHOLE, credited=WHOLE)


async def test_charges_are_claimed_once(ledger: Ledger, invoice: str) -> None:
    async def charge(minor: int) -> bool:
        async with ledger.write() as session:
            _, new = await record_charge(
                session,
                invoice,
                reference="2026-03",
                kind=ChargeKind.INTEREST,
                amount=rupiah(minor),
                charged_on=date(2026, 4, 1),
                by="lunas",
            )
            return new

    assert [await charge(7_000), await charge(7_000)] == [True, False]
    with pytest.raises(Conflict):
        await charge(8_000)
    assert (await balance(ledger)).outstanding == WHOLE + 7_000
