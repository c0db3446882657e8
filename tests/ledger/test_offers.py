"""Offers as the ledger keeps them: begun before a provider is asked, and amounts that stand for one invoice alone."""

from __future__ import annotations

import asyncio
from datetime import date, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from lunas.ledger.database import Ledger
from lunas.ledger.errors import NotFound, Refused
from lunas.ledger.facts import look_at
from lunas.ledger.offers import (
    BANK_TRANSFER,
    begin_offer,
    invoice_of_offer,
    invoices_to_follow,
    needs_other_offers,
    offer_is_ready,
    offer_was_refused,
    outdated_offers,
    reference_of,
    usable_offers,
    void_offer,
)
from lunas.ledger.receipts import NewReceipt
from lunas.ledger.tables import OfferRow
from lunas.ledger.unique_amounts import forgive_difference, invoice_of_amount, record_by_amount, reserve_amount
from lunas.receivables.money import Currency, Money
from tests.ledger.conftest import forget_everything
from tests.ledger.samples import Hands, add_customer, add_invoice, new_invoice, pay

NUMBER = "INV/2026/11/0042"
PAID_ON = date(2026, 3, 4)


def rupiah(minor: int) -> Money:
    return Money(minor, Currency.IDR)


async def begun(ledger: Ledger, number: str = NUMBER, minor: int = 1_000_000, maker: str = "gateway") -> OfferRow:
    async with ledger.write() as session:
        return await begin_offer(session, number, maker=maker, method="virtual_account", amount=rupiah(minor))


async def ready(ledger: Ledger, offer: OfferRow) -> bool:
    async with ledger.write() as session:
        return await offer_is_ready(session, offer.id, instructions={"BCA": "123"}, provider_id="pr-1", qr="0002")


async def invoices(ledger: Ledger, *minors: int) -> list[str]:
    await add_customer(ledger)
    numbers = [f"INV-{place}" for place in range(len(minors))]
    for number, minor in zip(numbers, minors, strict=True):
        await add_invoice(ledger, new_invoice(number, minor=minor))
    return numbers


async def asked_for(ledger: Ledger, number: str, most: int) -> Money:
    """The amount that a transfer for this invoice is asked for."""
    async with ledger.write() as session:
        open_now = (await look_at(session, number)).balance.outstanding
        row = await begin_offer(session, number, maker=BANK_TRANSFER, method=BANK_TRANSFER, amount=rupiah(open_now))
        amount = await reserve_amount(session, row.id, most)
        await offer_is_ready(session, row.id, instructions={})
        return amount


async def outstanding(ledger: Ledger, number: str) -> int:
    async with ledger.read() as session:
        return (await look_at(session, number)).balance.outstanding


# --- begun, ready, refused, void ------------------------------------------------------------------------------------


async def test_an_offer_is_begun_once_for_a_balance_and_shown_when_it_is_ready(ledger: Ledger) -> None:
    await add_customer(ledger)
    await add_invoice(ledger)
    first, again = await begun(ledger), await begun(ledger)
    assert (again.id, again.reference) == (first.id, first.reference)
    async with ledger.read() as session:
        assert await usable_offers(session, NUMBER) == []
        assert await needs_other_offers(session, NUMBER), "a provider was asked, and nobody knows what it said"
        assert await invoice_of_offer(session, "virtual_account", first.reference) == NUMBER, (
            "a payment matches already"
        )
    assert await ready(ledger, first)
    async with ledger.read() as session:
        (shown,) = await usable_offers(session, NUMBER)
        assert (shown.provider_id, shown.qr, shown.instructions) == ("pr-1", "0002", {"BCA": "123"})
        assert list(await invoices_to_follow(session)) == []


async def test_one_that_was_voided_meanwhile_says_so(ledger: Ledger) -> None:
    await add_customer(ledger)
    await add_invoice(ledger)
    offer = await begun(ledger)
    async with ledger.write() as session:
        await void_offer(session, offer.id)
    assert not await ready(ledger, offer)
    async with ledger.read() as session:
        assert await usable_offers(session, NUMBER) == []
    assert (await begun(ledger)).reference != offer.reference


async def test_the_same_balance_again_is_another_offer(ledger: Ledger) -> None:
    await add_customer(ledger)
    await add_invoice(ledger)
    offer = await begun(ledger)
    await pay(ledger, minor=400_000)
    part = await begun(ledger, minor=600_000)
    assert len({offer.reference, part.reference, (await begun(ledger, maker="another", minor=600_000)).reference}) == 3
    async with ledger.read() as session:
        assert [row.id for row in await outdated_offers(session, NUMBER)] == [offer.id]


async def test_a_refusal_holds_for_a_day(still: Ledger, hands: Hands) -> None:
    await add_customer(still)
    await add_invoice(still)
    offer = await begun(still)
    async with still.write() as session:
        await offer_was_refused(session, offer.id, "AMOUNT_LIMIT" * 20)
    again = await begun(still)
    assert again.id == offer.id
    assert (again.failure or "").startswith("AMOUNT_LIMIT")
    hands.move(days=1)
    assert (await begun(still)).id != offer.id
    async with still.read() as session:
        assert [row.id for row in await outdated_offers(session, NUMBER)] == [offer.id]


async def test_an_offer_of_nothing_or_on_nothing_is_refused(ledger: Ledger) -> None:
    await add_customer(ledger)
    await add_invoice(ledger)
    with pytest.raises(Refused):
        await begun(ledger, minor=0)
    with pytest.raises(NotFound):
        await begun(ledger, number="INV/none")


async def test_many_who_begin_at_once_begin_one(ledger: Ledger) -> None:
    await add_customer(ledger)
    await add_invoice(ledger)
    found = await asyncio.gather(*(begun(ledger) for _ in range(6)))
    assert len({offer.id for offer in found}) == 1


def test_a_reference_fits_everywhere_and_stands_for_one_offer() -> None:
    made = {reference_of(f"INV/{n}", maker, ordinal) for n in range(50) for maker in "ab" for ordinal in range(3)}
    assert len(made) == 300
    assert all(len(each) == 23 and each.replace("-", "").isalnum() for each in made)


# --- amounts that stand for one invoice alone -----------------------------------------------------------------------


async def test_a_transfer_that_names_nothing_is_known_by_its_amount_and_settles_the_invoice(ledger: Ledger) -> None:
    first, second = await invoices(ledger, 1_000_000, 1_000_000)
    amounts = [await asked_for(ledger, number, 99) for number in (first, second)]
    assert len({amount.minor for amount in amounts}) == 2
    assert all(1_000_000 - 9_900 <= amount.minor < 1_000_000 for amount in amounts), "less than is owed, never more"
    async with ledger.write() as session:
        receipt = NewReceipt("bca", "line-1", amounts[1], PAID_ON, "bank statement")
        booked = await record_by_amount(session, receipt)
    assert (booked.invoice, booked.unapplied.minor) == (second, 0)
    async with ledger.write() as session:
        (row,) = await usable_offers(session, first)
        for offer in await session.scalars(select(OfferRow).where(OfferRow.id != row.id)):
            await void_offer(session, offer.id)
        again = await record_by_amount(session, receipt)
    assert (again.new, again.receipt_id, again.invoice) == (False, booked.receipt_id, second)
    assert (await outstanding(ledger, first), await outstanding(ledger, second)) == (1_000_000, 0)
    async with ledger.read() as session:
        seen = await look_at(session, second)
        assert seen.balance.credited == 1_000_000 - amounts[1].minor, "given away in the books, to the last rupiah"


async def test_who_names_the_invoice_and_pays_what_was_asked_has_paid(ledger: Ledger) -> None:
    (number,) = await invoices(ledger, 1_000_000)
    amount = await asked_for(ledger, number, 9)
    await pay(ledger, number, amount.minor)
    async with ledger.write() as session:
        assert await forgive_difference(session, number, on=PAID_ON, by="lunas")
        assert not await forgive_difference(session, number, on=PAID_ON, by="lunas")
    assert await outstanding(ledger, number) == 0


async def test_nothing_else_is_forgiven(ledger: Ledger) -> None:
    (number,) = await invoices(ledger, 1_000_000)
    amount = await asked_for(ledger, number, 9)
    await pay(ledger, number, amount.minor - 100)
    async with ledger.write() as session:
        assert not await forgive_difference(session, number, on=PAID_ON, by="lunas")
    assert await outstanding(ledger, number) == 1_000_000 - amount.minor + 100


async def test_an_amount_that_is_no_longer_asked_for_stands_for_nothing(ledger: Ledger) -> None:
    (number,) = await invoices(ledger, 1_000_000)
    amount = await asked_for(ledger, number, 9)
    async with ledger.write() as session:
        (row,) = await usable_offers(session, number)
        await void_offer(session, row.id)
        assert await invoice_of_amount(session, amount) is None
        booked = await record_by_amount(session, NewReceipt("bca", "line-1", amount, PAID_ON, "bank statement"))
    assert (booked.invoice, booked.unapplied) == (None, amount), "it waits for a person"


async def test_without_a_limit_amounts_stay_as_they_are(ledger: Ledger) -> None:
    (number,) = await invoices(ledger, 1_000_000)
    assert await asked_for(ledger, number, 0) == rupiah(1_000_000)


async def test_where_all_amounts_are_taken_the_whole_is_asked_for(ledger: Ledger) -> None:
    numbers = await invoices(ledger, 1_000_000, 1_000_000, 1_000_000)
    amounts = [(await asked_for(ledger, number, 2)).minor for number in numbers]
    assert sorted(amounts) == [999_800, 999_900, 1_000_000]


async def test_amounts_chosen_at_once_are_different(ledger: Ledger) -> None:
    numbers = await invoices(ledger, *[1_000_000] * 8)
    amounts = await asyncio.gather(*(asked_for(ledger, number, 20) for number in numbers))
    assert len({amount.minor for amount in amounts}) == 8


@settings(max_examples=12, deadline=timedelta(seconds=30), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    totals=st.lists(st.integers(3, 40).map(lambda units: units * 100), min_size=1, max_size=6),
    most=st.integers(0, 12),
)
async def test_no_amount_stands_for_two_invoices(ledger: Ledger, totals: list[int], most: int) -> None:
    await forget_everything(ledger)
    numbers = await invoices(ledger, *totals)
    for number, total in zip(numbers, totals, strict=True):
        amount = await asked_for(ledger, number, most)
        assert max(total - most * 100, 1) <= amount.minor <= total
        assert await asked_for(ledger, number, most) == amount
        async with ledger.read() as session:
            found = await invoice_of_amount(session, amount)
            rows = {each: await usable_offers(session, each) for each in numbers}
        assert found in (number, None)
        if found == number:
            others = [row.amount_minor for each in numbers if each != number for row in rows[each] if row.claim]
            assert amount.minor not in others
            assert amount.minor not in [other for each, other in zip(numbers, totals, strict=True) if each != number]
