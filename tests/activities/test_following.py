"""Ways to pay follow the balance: against the simulated gateway, with its answers lost, late and refused."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from email import message_from_bytes
from email.policy import default
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import update
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import ActivityEnvironment

from activities.email import EmailCarrier
from activities.payment_gateways import GatewayOffer, StaticQrisOffer
from activities.payment_methods import payment_providers
from activities.payment_providers import BankTransferOffer, OfferNotReady, PaymentOfferProvider
from activities.reconcile import ReconcileActivities
from activities.smtp import Relay
from activities.texts import Texts
from deploy.simulator.store import ENDED
from lunas.company import Company
from lunas.ledger.briefing import ways_to_pay
from lunas.ledger.charges import record_charge
from lunas.ledger.credits import NewCreditNote, record_credit_note
from lunas.ledger.database import Ledger
from lunas.ledger.facts import look_at
from lunas.ledger.invariants import violations
from lunas.ledger.invoices import NewInvoice, create_invoice
from lunas.ledger.kinds import ChargeKind
from lunas.ledger.offers import invoice_of_offer
from lunas.ledger.replies import ask_for_other_way
from lunas.ledger.reversals import NewReversal, record_reversal
from lunas.ledger.tables import InvoiceRow, OfferRow
from lunas.ledger.unique_amounts import invoice_of_amount
from lunas.providers.asking import Silent, Unreachable
from lunas.providers.qris import Qris, qr_png
from lunas.receivables.actions import NoticeKind
from lunas.receivables.invoice import Stage
from lunas.receivables.money import Currency, Money
from lunas.receivables.orders import Order, Verdict
from tests.activities.paying import LINKS, NUMBER, STATIC, World
from tests.ledger.samples import (
    POLICY,
    WEDNESDAY,
    add_customer,
    add_invoice,
    claimed,
    new_invoice,
    order,
    pay,
    progress,
)


@pytest.fixture
async def world(ledger: Ledger, invoice: str) -> AsyncIterator[World]:
    made = World(ledger)
    yield made
    async with ledger.read() as session:
        assert await violations(session) == []


async def test_several_ways_are_offered_at_once_and_named(world: World) -> None:
    assert await world.prepare() is Verdict.DONE
    usable = await world.usable()
    assert list(usable) == ["bank_transfer", "xendit/virtual_account/BCA", "midtrans/qris", "stripe/credit_card"]
    assert {row.amount_minor for row in usable.values()} == {1_000_000}
    assert Qris.read(usable["midtrans/qris"].qr or "").amount == Money(1_000_000, Currency.IDR)
    assert len(world.there()) == 3
    async with world.ledger.read() as session:
        ways = await ways_to_pay(session, NUMBER, "Asia/Jakarta")
    account = next(way for way in ways if way.method == "virtual_account")
    number = world.papers.find("xendit", reference=usable["xendit/virtual_account/BCA"].reference)
    assert number is not None
    assert account.instructions[0] == ("BCA", " ".join(number.number[at : at + 4] for at in range(0, 16, 4)))
    assert account.until == datetime.now(ZoneInfo("Asia/Jakarta")).date() + timedelta(days=14)
    assert usable["bank_transfer"].expires_at is None, "our own account stays open"
    assert usable["stripe/credit_card"].expires_at is None, "Stripe's link has no end of its own"
    assert not await world.is_stale()


async def test_asking_again_asks_no_provider(world: World) -> None:
    await world.prepare()
    before, asked = await world.usable(), len(world.line.asked)
    await world.prepare()
    await world.follow()
    assert len(world.line.asked) == asked
    assert {row.id for row in (await world.usable()).values()} == {row.id for row in before.values()}


async def test_what_a_customer_asks_for_is_made_whether_or_not_anything_was_offered(world: World) -> None:
    await world.follow()
    assert await world.usable() == {}, "nobody asked"
    async with world.ledger.write() as session:
        await ask_for_other_way(session, NUMBER, by="customer")
    assert await world.is_stale()
    await world.follow()
    assert len(await world.usable()) == 4
    assert not await world.is_stale()
    await pay(world.ledger)
    await world.follow()
    assert not await world.is_stale(), "a paid invoice needs none, whatever was asked"


async def test_a_part_payment_voids_them_and_makes_new_ones(world: World) -> None:
    await world.prepare()
    old = await world.usable()
    await pay(world.ledger, minor=400_000)
    assert await world.usable() == {}, "an old one is not shown from the moment of the payment"
    assert await world.is_stale()
    await world.follow()
    new = await world.usable()
    assert {row.amount_minor for row in new.values()} == {600_000}
    assert set(new) == set(old)
    assert {paper.minor for paper in world.there()} == {600_000}
    assert {paper.minor for paper in world.there(ENDED)} == {1_000_000}
    assert not await world.is_stale()
    async with world.ledger.read() as session:
        for row in old.values():
            assert await invoice_of_offer(session, row.method, row.reference) == NUMBER, "a late payment still matches"


@pytest.mark.parametrize("change", ["fee", "credit"])
async def test_they_follow_a_fee_and_a_credit_note(world: World, change: str) -> None:
    await world.prepare()
    amount = Money(50_000, Currency.IDR)
    async with world.ledger.write() as session:
        if change == "fee":
            await record_charge(
                session, NUMBER, reference="f", kind=ChargeKind.FEE, amount=amount, charged_on=date(2026, 4, 1), by="t"
            )
        else:
            await record_credit_note(session, NewCreditNote("NK-1", NUMBER, amount, date(2026, 4, 1), "price", "t"))
    await world.follow()
    expected = 1_050_000 if change == "fee" else 950_000
    assert {row.amount_minor for row in (await world.usable()).values()} == {expected}
    assert {paper.minor for paper in world.there()} == {expected}


async def test_a_paid_invoice_has_none_and_one_that_is_open_again_has_others(world: World) -> None:
    await world.prepare()
    first = await world.usable()
    booked = await pay(world.ledger)
    await world.follow()
    assert (await world.usable(), world.there()) == ({}, [])
    assert not await world.is_stale()
    async with world.ledger.write() as session:
        back = NewReversal("bank", "back-1", "pay-1", date(2026, 3, 9), "bounced", "t")
        await record_reversal(session, back)
    assert booked.facts is not None
    assert await world.is_stale()
    await world.follow()
    second = await world.usable()
    assert {row.amount_minor for row in second.values()} == {1_000_000}
    assert not {row.reference for row in second.values()} & {row.reference for row in first.values()}
    assert len(world.there()) == 3


async def test_a_cancelled_invoice_can_not_be_paid(world: World) -> None:
    await world.prepare()
    async with world.ledger.write() as session:
        await session.execute(update(InvoiceRow).values(stage=Stage.CANCELLED))
    assert await world.is_stale()
    await world.follow()
    assert (await world.usable(), world.there()) == ({}, [])
    assert not await world.is_stale()


async def test_what_expired_is_made_anew(world: World) -> None:
    await world.prepare()
    first = await world.usable()
    async with world.ledger.write() as session:
        past = datetime.now(UTC) - timedelta(minutes=1)
        over = OfferRow.maker.in_(["midtrans/qris", "stripe/credit_card"])
        await session.execute(update(OfferRow).where(over).values(expires_at=past))
    assert await world.is_stale()
    await world.follow()
    second = await world.usable()
    assert second["midtrans/qris"].reference != first["midtrans/qris"].reference
    assert second["stripe/credit_card"].reference != first["stripe/credit_card"].reference
    assert second["bank_transfer"].id == first["bank_transfer"].id
    assert len(world.there(ENDED)) == 2, "what its provider would not end is ended by us"
    assert not await world.is_stale()


async def test_nothing_is_followed_that_was_never_offered(world: World) -> None:
    await pay(world.ledger, minor=1)
    assert not await world.is_stale()
    await world.follow()
    assert (await world.usable(), world.line.asked) == ({}, [])


# --- when providers fail ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/v3/payment_requests", "/v2/charge", "/v1/payment_links"])
async def test_a_lost_answer_makes_no_second_instrument(world: World, path: str) -> None:
    world.line.lose.add(path)
    assert await world.prepare() is Verdict.DONE, "one that fails holds up neither the others nor the notice"
    assert len(await world.usable()) == 3
    assert await world.is_stale()
    with pytest.raises(Silent):
        await world.follow()
    world.line.lose.clear()
    await world.follow()
    usable, there = await world.usable(), world.there()
    # A QRIS code cannot be looked up at Midtrans: what was made is ended there, and another one made.
    assert len(usable) == 4
    assert len(there) == 3
    assert {paper.reference for paper in there} == {row.reference for row in usable.values()} - {
        usable["bank_transfer"].reference
    }
    assert not await world.is_stale()


@pytest.mark.parametrize("path", ["/v3/payment_requests", "/v1/payment_links"])
async def test_one_whose_answer_was_lost_is_voided_when_the_balance_changes(world: World, path: str) -> None:
    world.line.lose.add(path)
    await world.prepare()
    world.line.lose.clear()
    await pay(world.ledger)
    await world.follow()
    assert world.there() == []
    assert not await world.is_stale()


async def test_a_voiding_that_fails_is_tried_again_and_holds_up_nothing(world: World) -> None:
    await world.prepare()
    await pay(world.ledger, minor=400_000)
    world.line.cut.add("/cancel")
    with pytest.raises(Unreachable):
        await world.follow()
    assert {row.amount_minor for row in (await world.usable()).values()} == {600_000}, "the new ones are there"
    assert [paper.provider for paper in world.there() if paper.minor == 1_000_000] == ["xendit"]
    assert await world.is_stale()
    world.line.cut.clear()
    await world.follow()
    assert {paper.minor for paper in world.there()} == {600_000}


async def test_a_provider_that_says_no_is_not_asked_again_at_once(ledger: Ledger, invoice: str) -> None:
    world = World(ledger, "bank_transfer,xendit/virtual_account/NOBANK")
    assert await world.prepare() is Verdict.DONE
    assert list(await world.usable()) == ["bank_transfer"]
    assert not await world.is_stale()
    await world.follow()
    await world.prepare()
    assert len(world.line.asked) == 1
    await pay(ledger, minor=400_000)
    await world.follow()
    assert len(world.line.asked) == 2, "another amount is another question"


async def test_where_nothing_could_be_made_the_order_is_tried_again(ledger: Ledger, invoice: str) -> None:
    world = World(ledger, "xendit/qris")
    world.line.cut.add("/v3")
    with pytest.raises(Unreachable):
        await world.prepare()
    world.line.cut.clear()
    assert await world.prepare() is Verdict.DONE
    assert len(world.there()) == 1


async def test_a_method_that_is_no_longer_offered_stops_being_followed(world: World) -> None:
    await world.prepare()
    await pay(world.ledger, minor=400_000)
    fewer = World(world.ledger, "bank_transfer")
    await fewer.follow()
    assert list(await fewer.usable()) == ["bank_transfer"]
    assert not await fewer.is_stale()


# --- amounts ------------------------------------------------------------------------------------------------------


async def test_while_a_discount_can_be_earned_less_is_asked_for_until_its_last_day(ledger: Ledger) -> None:
    await add_customer(ledger)
    today = datetime.now(UTC).date()
    async with ledger.write() as session:
        await create_invoice(session, new_invoice_on(today), POLICY)
    world = World(ledger)
    now = Order(NUMBER, datetime.now(UTC), progress(), subject="offer+35", key="offer")
    await ActivityEnvironment().run(world.offers.prepare, now)
    usable = await world.usable()
    assert {row.amount_minor for row in usable.values()} == {980_000}
    for row in usable.values():
        assert row.expires_at is not None, f"{row.maker} asks for less for ever"
        assert row.expires_at.date() - today <= timedelta(days=11)
    await pay(ledger, minor=980_000, paid_on=today)
    await world.follow()
    assert (await world.usable(), world.there()) == ({}, []), "what was asked for settles the invoice"


def new_invoice_on(day: date) -> NewInvoice:
    return replace(new_invoice(), issued_on=day)


async def test_the_merchants_own_code_needs_no_provider(ledger: Ledger, invoice: str) -> None:
    world = World(ledger, "qris", qris_payload=STATIC)
    await world.prepare()
    offer = (await world.usable())["qris"]
    code = Qris.read(offer.qr or "")
    assert (code.amount, code.reference) == (Money(1_000_000, Currency.IDR), offer.reference)
    assert world.line.asked == []
    await pay(ledger, minor=400_000)
    await world.follow()
    assert Qris.read((await world.usable())["qris"].qr or "").amount == Money(600_000, Currency.IDR)


# --- settings -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("methods", "complaint"),
    [
        ("carrier_pigeon", "no such method"),
        ("xendit/ewallet", "no such method"),
        ("snap/virtual_account/BRI", "LUNAS_SNAP_CLIENT_ID"),
        ("qris", "LUNAS_QRIS_PAYLOAD"),
        ("bank_transfer,bank_transfer", "twice"),
    ],
)
def test_a_method_that_cannot_be_offered_is_refused_at_the_start(ledger: Ledger, methods: str, complaint: str) -> None:
    with pytest.raises(OfferNotReady, match=complaint):
        World(ledger, methods)


def test_every_provider_keeps_the_protocol(company: Company, ledger: Ledger) -> None:
    world = World(ledger)
    gateway = payment_providers(world.settings, world.http)[1]
    assert isinstance(gateway, GatewayOffer)
    every: list[PaymentOfferProvider] = [BankTransferOffer(company), StaticQrisOffer(STATIC), gateway]
    assert [each.maker for each in every] == ["bank_transfer", "qris", "xendit/virtual_account/BCA"]


async def test_reconcile_begins_with_what_does_not_fit_and_one_that_fails_stops_no_other(world: World) -> None:
    await add_invoice(world.ledger, new_invoice("INV-2"))
    await world.prepare()
    other = Order("INV-2", WEDNESDAY, progress(), subject="offer+35", key="offer")
    await ActivityEnvironment().run(world.offers.prepare, other)
    await pay(world.ledger, minor=400_000)
    await pay(world.ledger, "INV-2", 400_000, reference="pay-2")
    begun: list[str] = []

    async def follow(number: str) -> None:
        begun.append(number)
        if number == NUMBER:
            raise RPCError("away", RPCStatusCode.UNAVAILABLE, b"")

    async def nudge(number: str) -> str:
        return "signalled"

    async def count() -> int:
        return 2

    found = await ActivityEnvironment().run(ReconcileActivities(world.ledger, nudge, count, follow=follow).reconcile)
    assert (begun, found.followed) == ([NUMBER, "INV-2"], 1)


async def test_a_mail_that_offers_a_code_brings_it_as_a_picture(world: World, company: Company) -> None:
    await world.prepare()
    offer = order(rung="offer+35", kind=NoticeKind.OFFER_ALTERNATE_PAYMENT)
    brief = (await claimed(world.ledger, offer)).brief
    carrier = EmailCarrier(Texts(company), Relay("127.0.0.1", 1), company, LINKS)
    mail = message_from_bytes(await carrier._message(replace(brief, first_mail=False)), policy=default)
    (picture,) = mail.iter_attachments()
    assert (picture.get_filename(), picture.get_content_type()) == ("QRIS.png", "image/png")
    code = (await world.usable())["midtrans/qris"].qr
    assert picture.get_content() == qr_png(code or "")
    plain = replace(brief, first_mail=False, ways=())
    assert list(message_from_bytes(await carrier._message(plain), policy=default).iter_attachments()) == []


async def test_a_transfer_for_an_amount_of_its_own_settles_the_invoice(ledger: Ledger, invoice: str) -> None:
    world = World(ledger, "bank_transfer,stripe/credit_card", unique_amounts=99)
    await world.prepare()
    usable = await world.usable()
    asked = usable["bank_transfer"].amount_minor
    assert 1_000_000 - 9_900 <= asked < 1_000_000
    assert usable["stripe/credit_card"].amount_minor == 1_000_000, "what names the invoice itself asks for all"
    assert f"Rp {asked // 100:,}".replace(",", ".") in usable["bank_transfer"].instructions.values()
    async with ledger.read() as session:
        assert await invoice_of_amount(session, Money(asked, Currency.IDR)) == NUMBER
    await pay(ledger, minor=asked)
    await world.follow()
    async with ledger.read() as session:
        assert (await look_at(session, NUMBER)).balance.outstanding == 0
        assert await violations(session) == []
    assert (await world.usable(), world.there()) == ({}, [])
