"""One transfer for several invoices, money that names a customer only, too much of it, and too little."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import date

import pytest
import pytest_asyncio

from lunas.ledger.charges import record_charge
from lunas.ledger.credits import NewCreditNote, record_credit_note
from lunas.ledger.database import Ledger
from lunas.ledger.errors import NotFound, ReceiptConflict, Refused
from lunas.ledger.facts import facts
from lunas.ledger.journal import journal_of
from lunas.ledger.kinds import ChargeKind, NoticeState
from lunas.ledger.receipts import Booked, NewReceipt, Remitted, allocate, record_receipt, unapplied_receipts
from lunas.ledger.refunds import NewRefund, Refunded, record_refund
from lunas.ledger.reversals import NewReversal, record_reversal
from lunas.receivables.invoice import Balance
from lunas.receivables.leeway import MoneyRules, Overpayment, Tolerance, Unnamed
from lunas.receivables.money import Currency, Money
from tests.ledger.samples import add_customer, add_invoice, claimed, new_invoice, order, policy, states

IN_TIME, LATE = date(2026, 2, 11), date(2026, 3, 4)  # issued on 1 February, 2 % within 10 days


def rupiah(minor: int) -> Money:
    return Money(minor, Currency.IDR)


@pytest_asyncio.fixture(loop_scope="session")
async def two(ledger: Ledger) -> Ledger:
    """Customers ACME and OTHER; invoices A of 100,000 and B of 50,000, which is due first, of ACME."""
    await add_customer(ledger)
    await add_customer(ledger, "OTHER", email="budi@other.example")
    await bill(ledger, "A", 100_000)
    await bill(ledger, "B", 50_000, due=date(2026, 2, 20))
    return ledger


async def bill(
    ledger: Ledger,
    number: str,
    minor: int,
    *,
    customer: str = "ACME",
    due: date | None = None,
    money: MoneyRules | None = None,
    currency: Currency = Currency.IDR,
) -> None:
    new = replace(new_invoice(number, minor=minor, customer=customer), due_on=due, currency=currency)
    await add_invoice(ledger, new, policy(money=money) if money else policy())


async def take(
    ledger: Ledger,
    minor: int,
    *lines: Remitted,
    reference: str = "t-1",
    invoice: str | None = None,
    customer: str | None = None,
    paid_on: date = LATE,
    currency: Currency = Currency.IDR,
) -> Booked:
    receipt = NewReceipt(
        "bank", reference, Money(minor, currency), paid_on, "bank", invoice, lines=lines, customer=customer
    )
    async with ledger.write() as session:
        return await record_receipt(session, receipt)


async def refund(ledger: Ledger, minor: int | None = None, *, reference: str = "out-1") -> Refunded:
    asked = NewRefund("bank", reference, "t-1", LATE, "too much", "siti", None if minor is None else rupiah(minor))
    async with ledger.write() as session:
        return await record_refund(session, asked)


async def take_back(ledger: Ledger, minor: int | None = None, *, receipt: str = "t-1") -> None:
    amount = None if minor is None else rupiah(minor)
    async with ledger.write() as session:
        await record_reversal(session, NewReversal("bank", f"back-{receipt}", receipt, LATE, "bounced", "bank", amount))


async def balance(ledger: Ledger, number: str) -> Balance:
    async with ledger.read() as session:
        return (await facts(session, number)).balance


async def left(ledger: Ledger, *numbers: str) -> list[int]:
    return [(await balance(ledger, number)).outstanding for number in numbers]


def held(booked: Booked) -> dict[str, int]:
    return {part.invoice: part.amount.minor for part in booked.parts}


# --- one transfer for several --------------------------------------------------------------------------------------


async def test_each_invoice_takes_what_its_line_says_and_the_rest_is_kept(two: Ledger) -> None:
    booked = await take(two, 130_000, Remitted("A", 60_000), Remitted("B", 50_000))

    assert held(booked) == {"A": 60_000, "B": 50_000}
    assert (booked.allocated, booked.unapplied) == (rupiah(110_000), rupiah(20_000))
    assert await left(two, "A", "B") == [40_000, 0]


async def test_a_line_never_takes_more_than_is_open(two: Ledger) -> None:
    booked = await take(two, 130_000, Remitted("B", 80_000), Remitted("A", 10_000))

    assert held(booked) == {"B": 50_000, "A": 10_000} and booked.unapplied == rupiah(70_000)


async def test_without_amounts_the_oldest_due_is_paid_first(two: Ledger) -> None:
    booked = await take(two, 70_000, Remitted("A"), Remitted("B"))

    assert held(booked) == {"B": 50_000, "A": 20_000}


async def test_a_transfer_may_pay_for_several_customers(two: Ledger) -> None:
    await bill(two, "C", 30_000, customer="OTHER")
    await take(two, 80_000, Remitted("C", 30_000), Remitted("B", 50_000))

    assert await left(two, "B", "C") == [0, 0]


async def test_it_is_booked_once_however_often_it_comes(two: Ledger) -> None:
    lines = (Remitted("A", 60_000), Remitted("B", 50_000))
    booked = await asyncio.gather(*(take(two, 110_000, *lines) for _ in range(6)))

    assert sorted(one.new for one in booked) == [False] * 5 + [True]
    assert {one.receipt_id for one in booked} == {booked[0].receipt_id}
    assert await take(two, 110_000, *reversed(lines)) == replace(booked[0], new=False), "their order says nothing"
    assert await left(two, "A", "B") == [40_000, 0]
    with pytest.raises(ReceiptConflict, match="for A, B"):
        await take(two, 110_000, Remitted("A", 60_000), Remitted("B", 40_000))


async def test_transfers_for_the_same_invoices_in_another_order_do_not_wait_in_a_circle(two: Ledger) -> None:
    await bill(two, "C", 90_000, customer="OTHER")
    lines = [Remitted("A"), Remitted("C"), Remitted("B"), Remitted("LATER")]
    booked = await asyncio.gather(
        *(take(two, 30_000, *lines[n % 4 :], *lines[: n % 4], reference=f"t-{n}") for n in range(8))
    )

    assert sum(one.allocated.minor for one in booked) == 240_000
    assert await left(two, "A", "B", "C") == [0, 0, 0]


async def test_an_invoice_that_comes_later_finds_its_line(two: Ledger) -> None:
    early = await take(two, 90_000, Remitted("B", 50_000), Remitted("NEW", 40_000))
    assert (held(early), early.unapplied) == ({"B": 50_000}, rupiah(40_000))
    async with two.read() as session:
        (waits,) = await unapplied_receipts(session)
    assert (waits.named, waits.lines) == (None, ("B", "NEW"))

    await bill(two, "NEW", 60_000, customer="OTHER")

    assert await left(two, "NEW") == [20_000]
    assert held(await take(two, 90_000, Remitted("B", 50_000), Remitted("NEW", 40_000))) == {"B": 50_000, "NEW": 40_000}


async def test_an_invoice_that_comes_at_the_same_moment_finds_its_line(two: Ledger) -> None:
    async with two.write() as session:
        receipt = NewReceipt("bank", "t-1", rupiah(90_000), LATE, "bank", lines=(Remitted("NEW"), Remitted("B")))
        await record_receipt(session, receipt)
        creating = asyncio.create_task(bill(two, "NEW", 60_000))
        await asyncio.sleep(0.2)
    await creating

    assert await left(two, "NEW", "B") == [20_000, 0]


async def test_another_currency_in_a_remittance_is_kept(two: Ledger) -> None:
    await bill(two, "EURO", 10_000, currency=Currency.EUR)
    booked = await take(two, 60_000, Remitted("EURO", 10_000), Remitted("B", 50_000))

    assert held(booked) == {"B": 50_000} and booked.unapplied == rupiah(10_000)
    async with two.write() as session:
        with pytest.raises(Refused, match="cannot pay an invoice in EUR"):
            await allocate(session, booked.receipt_id, "EURO", by="siti")


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ((Remitted("A", 60_000), Remitted("B", 50_001)), "the lines of the remittance say"),
        ((Remitted("A", 0),), "every line above 0"),
        ((Remitted("A", -5), Remitted("B", 10)), "every line above 0"),
        ((Remitted("A", 1), Remitted("A", 2)), "stands twice"),
        ((Remitted("A", 1), Remitted("B")), "some have none"),
    ],
)
async def test_a_remittance_that_does_not_add_up_is_refused(
    two: Ledger, lines: tuple[Remitted, ...], says: str
) -> None:
    with pytest.raises(Refused, match=says):
        await take(two, 110_000, *lines)


async def test_one_invoice_or_several(two: Ledger) -> None:
    with pytest.raises(Refused, match="leave one of the two out"):
        await take(two, 110_000, Remitted("A"), invoice="B")


async def test_what_goes_back_opens_the_last_invoice_first_and_another_payment_takes_its_place(two: Ledger) -> None:
    await take(two, 110_000, Remitted("A", 60_000), Remitted("B", 50_000))
    await take(two, 50_000, invoice="B", reference="twice")
    await take_back(two, 80_000)

    assert await left(two, "A", "B") == [100_000, 0], "A was matched last; B was paid twice"


async def test_what_a_credit_note_frees_of_a_line_is_taken_again_when_another_payment_goes_back(two: Ledger) -> None:
    await take(two, 40_000, invoice="A", reference="first")
    await take(two, 110_000, Remitted("A", 60_000), Remitted("B", 50_000))
    async with two.write() as session:
        await record_credit_note(session, NewCreditNote("CN-1", "A", rupiah(20_000), LATE, "returned", "siti"))
    await take_back(two, receipt="first")

    assert await balance(two, "A") == Balance(lines=100_000, received=100_000, reversed=40_000, credited=20_000), (
        "the line said 60,000, so 20,000 are open and no more is taken for A"
    )
    assert await left(two, "A", "B") == [20_000, 0]


# --- a customer and no invoice -------------------------------------------------------------------------------------


async def test_money_that_names_a_customer_is_kept_by_default(two: Ledger) -> None:
    booked = await take(two, 70_000, customer="ACME")

    assert (held(booked), booked.unapplied) == ({}, rupiah(70_000))
    async with two.read() as session:
        (kept,) = await unapplied_receipts(session)
    assert kept.customer == "ACME"


async def test_or_pays_what_is_due_first_where_the_policy_says_so(two: Ledger) -> None:
    rules = MoneyRules(unnamed=Unnamed.OLDEST_FIRST)
    await bill(two, "C", 30_000, due=date(2026, 2, 10), money=rules)
    await bill(two, "D", 40_000, due=date(2026, 2, 5), money=rules)
    await bill(two, "E", 9_000, due=date(2026, 2, 4), money=rules, currency=Currency.EUR)
    await bill(two, "F", 9_000, due=date(2026, 2, 4), money=rules, customer="OTHER")

    booked = await take(two, 60_000, customer="ACME")
    again = await take(two, 60_000, customer="ACME")

    assert held(booked) == {"D": 40_000, "C": 20_000}
    assert again == replace(booked, new=False)
    assert await left(two, "A", "B", "C", "E", "F") == [100_000, 50_000, 10_000, 9_000, 9_000]


async def test_a_customer_that_nobody_knows_is_kept_with_its_name(two: Ledger) -> None:
    booked = await take(two, 60_000, customer="NOBODY")

    assert booked.unapplied == rupiah(60_000)
    with pytest.raises(ReceiptConflict):
        await take(two, 60_000, customer="ACME")


# --- too much ------------------------------------------------------------------------------------------------------

NEXT = MoneyRules(overpayment=Overpayment.NEXT_INVOICE)


async def test_too_much_is_kept_unless_the_next_invoices_policy_takes_it(two: Ledger) -> None:
    await take(two, 60_000, invoice="B")
    await bill(two, "C", 30_000)
    assert await left(two, "C") == [30_000]

    await bill(two, "D", 30_000, money=NEXT)
    await bill(two, "E", 30_000, money=NEXT)

    assert await left(two, "D", "E") == [20_000, 30_000]


async def test_what_is_not_too_much_is_left_alone(two: Ledger) -> None:
    await take(two, 60_000, invoice="LATER", reference="for another invoice")
    await take(two, 60_000, Remitted("B", 50_000), Remitted("LATER-2", 10_000), reference="for two")
    await take(two, 60_000, customer="OTHER", reference="of another customer")
    await take(two, 60_000, invoice="B", currency=Currency.EUR, reference="in euros")
    await take(two, 60_000, reference="of nobody")

    await bill(two, "D", 30_000, money=NEXT)

    assert await left(two, "D") == [30_000]


async def test_money_of_the_customer_without_an_invoice_is_taken_too(two: Ledger) -> None:
    await take(two, 60_000, customer="ACME")
    await bill(two, "D", 30_000, money=NEXT)

    assert await left(two, "D") == [0]


async def test_what_is_unapplied_is_paid_back_once(two: Ledger) -> None:
    await take(two, 60_000, invoice="B")

    first = await refund(two, 4_000)
    assert await refund(two, 4_000) == replace(first, new=False)
    assert (first.amount, first.unapplied) == (rupiah(4_000), rupiah(6_000))
    with pytest.raises(ReceiptConflict):
        await refund(two, 5_000)
    with pytest.raises(Refused, match="IDR 60 of it is unapplied"):
        await refund(two, 6_001, reference="out-2")
    rest = await refund(two, reference="out-2")
    assert (rest.amount, rest.unapplied) == (rupiah(6_000), rupiah(0))
    with pytest.raises(Refused, match="IDR 0 of it is unapplied"):
        await refund(two, reference="out-3")
    assert await left(two, "B") == [0]
    async with two.read() as session:
        rows, _ = await journal_of(session, "B")
    assert [(row.detail, row.reason, row.by) for row in rows if row.event == "receipt_refunded"] == [
        ("IDR 40 of bank t-1 paid back on 2026-03-04", "too much", "siti"),
        ("IDR 60 of bank t-1 paid back on 2026-03-04", "too much", "siti"),
    ]


async def test_refunds_at_once_never_pay_back_twice(two: Ledger) -> None:
    await take(two, 60_000, invoice="B")
    done = await asyncio.gather(*(refund(two, 10_000, reference=f"out-{n}") for n in range(5)), return_exceptions=True)

    assert sorted(isinstance(one, Refused) for one in done) == [False, True, True, True, True]


async def test_nothing_is_paid_back_of_what_is_not_there(two: Ledger) -> None:
    with pytest.raises(NotFound, match="t-1"):
        await refund(two)


async def test_a_reversal_takes_back_no_more_than_a_refund_left(two: Ledger) -> None:
    await take(two, 60_000, invoice="B")
    await refund(two)
    with pytest.raises(Refused, match="IDR 500 of it is left"):
        await take_back(two, 50_001)
    await take_back(two)

    assert await left(two, "B") == [50_000]


# --- too little ----------------------------------------------------------------------------------------------------

TEN = MoneyRules(tolerance=Tolerance(((Currency.IDR, 10),)))


async def test_a_difference_within_the_tolerance_settles_the_invoice(two: Ledger) -> None:
    await bill(two, "C", 30_000, money=TEN)
    await take(two, 29_990, invoice="C")

    assert await balance(two, "C") == Balance(lines=30_000, received=29_990, tolerated=10)
    async with two.read() as session:
        rows, _ = await journal_of(session, "C")
    assert "IDR 0.10 short, within the tolerance" in rows[-1].detail


async def test_a_greater_one_does_not(two: Ledger) -> None:
    await bill(two, "C", 30_000, money=TEN)
    await take(two, 29_989, invoice="C")
    assert await left(two, "C") == [11]

    await take(two, 1, invoice="C", reference="a little more")

    assert await balance(two, "C") == Balance(lines=30_000, received=29_990, tolerated=10)


async def test_the_tolerance_is_less_than_what_was_paid(two: Ledger) -> None:
    await bill(two, "C", 12, money=TEN)
    await take(two, 6, invoice="C")

    assert await left(two, "C") == [6]


async def test_it_goes_with_the_money_and_may_be_earned_again(two: Ledger) -> None:
    await bill(two, "C", 30_000, money=TEN)
    await take(two, 29_990, invoice="C")
    await take_back(two)
    assert await balance(two, "C") == Balance(lines=30_000, received=29_990, reversed=29_990)

    await take(two, 29_995, invoice="C", reference="again")

    assert (await balance(two, "C")).tolerated == 5


async def test_it_is_not_given_twice(two: Ledger) -> None:
    await bill(two, "C", 30_000, money=TEN)
    await take(two, 29_995, invoice="C")
    async with two.write() as session:
        await record_charge(
            session, "C", reference="fee", kind=ChargeKind.FEE, amount=rupiah(1_000), charged_on=LATE, by="siti"
        )
    await take(two, 995, invoice="C", reference="for the fee")

    assert await left(two, "C") == [5]


async def test_a_credit_note_takes_the_tolerance_back_before_money(two: Ledger) -> None:
    await bill(two, "C", 30_000, money=TEN)
    await take(two, 29_995, invoice="C")
    async with two.write() as session:
        await record_credit_note(session, NewCreditNote("CN-1", "C", rupiah(1_000), LATE, "returned", "siti"))

    assert await balance(two, "C") == Balance(lines=30_000, received=29_000, credited=1_000)


async def test_the_early_payment_discount_and_the_tolerance_go_together(two: Ledger) -> None:
    await bill(two, "C", 30_000, money=TEN)
    await take(two, 29_395, invoice="C", paid_on=IN_TIME)

    assert await balance(two, "C") == Balance(lines=30_000, received=29_395, discount=600, tolerated=5)


async def test_a_discount_that_was_not_earned_is_a_short_payment(two: Ledger) -> None:
    await bill(two, "C", 30_000, money=TEN)
    await take(two, 29_400, invoice="C", paid_on=LATE)

    assert await balance(two, "C") == Balance(lines=30_000, received=29_400)


async def test_a_payment_within_the_tolerance_takes_back_what_is_claimed(two: Ledger) -> None:
    await bill(two, "C", 30_000, money=TEN)
    await claimed(two, order("C"))
    await take(two, 29_995, invoice="C")

    assert set((await states(two, "C")).values()) == {NoticeState.CANCELLED}
