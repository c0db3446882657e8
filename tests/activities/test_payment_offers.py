"""Ways to pay made ready: recorded once for a balance, and named by the notice that offers them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from temporalio.testing import ActivityEnvironment

from activities.payment_offers import PaymentOffers
from activities.payment_providers import BankTransferOffer, NothingToPay, Offer
from activities.texts import Texts
from lunas.briefs import InvoiceBrief, NoticeBrief
from lunas.company import Company
from lunas.ledger.customers import NewContact, NewCustomer, create_customer
from lunas.ledger.database import Ledger
from lunas.ledger.offers import usable_offers
from lunas.ledger.tables import OfferRow
from lunas.links import Links, Purpose
from lunas.receivables.actions import NoticeKind
from lunas.receivables.invoice import Hold, HoldKind, Instalment
from lunas.receivables.money import Money
from lunas.receivables.orders import NoticeOrder, Order, Verdict
from tests.ledger.samples import WEDNESDAY, add_invoice, claimed, order, pay, progress

LINKS = Links("https://lunas.example", "a-secret-for-tests-of-32-characters!")
OFFER = order(rung="offer+35", kind=NoticeKind.OFFER_ALTERNATE_PAYMENT)


class Gateway:
    """A provider of virtual accounts that end on a day."""

    maker = "gateway"
    method = "virtual_account"
    spread = 0

    def __init__(self, last_day: date) -> None:
        self.last_day = last_day
        self.keys: list[str] = []

    async def prepare(
        self,
        invoice: InvoiceBrief,
        key: str,
        *,
        language: str = "id",
        pay_url: str | None = None,
        amount: Money | None = None,
        until: datetime | None = None,
    ) -> Offer:
        if invoice.balance.minor <= 0:
            raise NothingToPay("nothing is open")
        self.keys.append(key)
        rows = (("BNI", "8077 1234 5678 9012"),)
        return Offer(self.method, "va-1", amount or invoice.balance, rows, "https://pay.example/va-1", self.last_day)

    async def void(self, reference: str, key: str) -> None:
        return None


def asked(number: str) -> Order:
    return Order(number, WEDNESDAY, progress(), subject="offer+35", key="offer")


async def offers(ledger: Ledger, number: str) -> list[OfferRow]:
    async with ledger.read() as session:
        return list(await usable_offers(session, number))


async def brief_of(ledger: Ledger, notice: NoticeOrder = OFFER) -> NoticeBrief:
    return (await claimed(ledger, notice)).brief


async def test_an_offer_is_recorded_once_for_a_balance(ledger: Ledger, invoice: str, company: Company) -> None:
    ready = PaymentOffers(ledger, BankTransferOffer(company), LINKS)
    for _ in range(2):
        assert (await ActivityEnvironment().run(ready.prepare, asked(invoice))).verdict is Verdict.DONE
    (offer,) = await offers(ledger, invoice)
    assert (offer.method, offer.amount_minor) == ("bank_transfer", 1_000_000)
    assert offer.url == LINKS.url(Purpose.PAY, invoice, WEDNESDAY.date())
    await pay(ledger, minor=400_000)
    assert await offers(ledger, invoice) == []
    await ActivityEnvironment().run(ready.prepare, asked(invoice))
    (offer,) = await offers(ledger, invoice)
    assert offer.amount_minor == 600_000


async def test_a_settled_invoice_needs_no_offer(ledger: Ledger, invoice: str, company: Company) -> None:
    await pay(ledger)
    ready = PaymentOffers(ledger, BankTransferOffer(company), LINKS)
    report = await ActivityEnvironment().run(ready.prepare, asked(invoice))
    assert report.verdict is Verdict.DONE
    assert "nothing is open" in report.reason
    assert await offers(ledger, invoice) == []


@pytest.mark.parametrize("zone", ["Asia/Jakarta", "Asia/Jayapura", "America/New_York"])
async def test_its_last_day_ends_where_the_customer_is(ledger: Ledger, zone: str) -> None:
    async with ledger.write() as session:
        contacts = (NewContact(name="Siti", email="siti@acme.example"),)
        await create_customer(session, NewCustomer("ACME", "PT ACME", time_zone=zone, contacts=contacts))
    await add_invoice(ledger)
    last_day = datetime.now(UTC).date() + timedelta(days=3)
    ready = PaymentOffers(ledger, Gateway(last_day), LINKS)
    await ActivityEnvironment().run(ready.prepare, asked("INV/2026/11/0042"))
    (offer,) = await offers(ledger, "INV/2026/11/0042")
    assert offer.expires_at is not None
    (way,) = (await brief_of(ledger)).ways
    assert way.until == last_day


@pytest.mark.parametrize("language", ["id", "en"])
async def test_the_notice_names_what_was_made_ready(
    ledger: Ledger, invoice: str, company: Company, language: str
) -> None:
    last_day = datetime.now(UTC).date() + timedelta(days=3)
    await ActivityEnvironment().run(PaymentOffers(ledger, Gateway(last_day), LINKS).prepare, asked(invoice))
    await ActivityEnvironment().run(PaymentOffers(ledger, BankTransferOffer(company), LINKS).prepare, asked(invoice))
    brief = await brief_of(ledger)
    assert [way.method for way in brief.ways] == ["virtual_account", "bank_transfer"]

    brief = replace(brief, to=replace(brief.to, language=language))
    mail = Texts(company).mail(brief, "https://lunas.example/pay/x", "https://lunas.example/stop/x")
    for part in (mail.text, mail.html):
        for said in ("8077 1234 5678 9012", "https://pay.example/va-1", "123 456 7890, a.n. PT Contoh Niaga"):
            assert said in part
        assert str(last_day.year) in part
        assert part.count("123 456 7890") == 1, "the company's accounts are not listed a second time"
        assert LINKS.url(Purpose.PAY, invoice, WEDNESDAY.date()) not in part, "the button leads to the customer's page"
    assert "8077 1234 5678 9012" in Texts(company).sms(brief, "https://lunas.example/pay/x")


async def test_other_notices_name_no_offer(ledger: Ledger, invoice: str, company: Company) -> None:
    await ActivityEnvironment().run(PaymentOffers(ledger, BankTransferOffer(company), LINKS).prepare, asked(invoice))
    assert (await brief_of(ledger, order())).ways == ()


@pytest.mark.parametrize(
    ("minor", "promised"), [(None, None), (1_000_000, None), (400_000, 400_000)], ids=["all", "the sum", "a part"]
)
async def test_a_confirmed_promise_knows_what_was_promised(
    ledger: Ledger, invoice: str, minor: int | None, promised: int | None
) -> None:
    pay_by = date(2026, 3, 20)
    hold = Hold(HoldKind.PROMISE, WEDNESDAY, WEDNESDAY + timedelta(days=18), "siti", "", minor, pay_by)
    notice = order(rung="promise_confirmed+1", kind=NoticeKind.PROMISE_CONFIRMED, said=progress(1, hold=hold))
    brief = await brief_of(ledger, replace(notice, notice=replace(notice.notice, pay_by=pay_by)))
    assert [one.amount.minor for one in brief.promised] == ([] if promised is None else [promised])


async def test_a_confirmed_plan_knows_its_instalments(ledger: Ledger, invoice: str) -> None:
    first, second = date(2026, 3, 20), date(2026, 4, 20)
    rest = (Instalment(second, 600_000),)
    hold = Hold(HoldKind.PROMISE, WEDNESDAY, WEDNESDAY + timedelta(days=18), "siti", "", 400_000, first, rest)
    notice = order(rung="promise_confirmed+1", kind=NoticeKind.PROMISE_CONFIRMED, said=progress(1, hold=hold))
    brief = await brief_of(ledger, replace(notice, notice=replace(notice.notice, pay_by=first)))
    assert [(one.pay_by, one.amount.minor) for one in brief.promised] == [(first, 400_000), (second, 600_000)]
