"""The customer's pages: one invoice behind a signed link, and a way to stop messages."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import httpx2
import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from temporalio.client import Client

from api.app import make_services
from api.pages.customer import CustomerPages
from api.pages.paying import groups, masked
from lunas.ledger.customers import best_contact, customer_by_code
from lunas.ledger.database import Ledger
from lunas.ledger.invoices import NewLine
from lunas.ledger.kinds import Language
from lunas.ledger.offers import NewOffer, record_offer
from lunas.ledger.progress import record_progress
from lunas.links import Links, Purpose, unsubscribe_subject
from lunas.receivables.interest import LatePayment, Mode, Rate
from lunas.receivables.invoice import Hold, HoldKind, Stage
from lunas.receivables.ladder import Channel
from lunas.receivables.leeway import MoneyRules, Tolerance
from lunas.receivables.money import Currency, Money
from lunas.settings import Settings
from templates.wording import long_date
from tests.ledger.samples import WEDNESDAY, add_customer, add_invoice, dispute, new_invoice, pay, policy, progress

NUMBER = "INV/2026/11/0042"
EMAIL = "siti@acme.example"
SETTINGS = Settings(link_secret=SecretStr("a-secret-for-tests-of-32-characters!"), public_url="http://lunas.example")
LINKS: Links = SETTINGS.links


def today() -> date:
    return datetime.now(UTC).date()


def shown(page: httpx2.Response) -> str:
    """What a reader gets when all of the page is copied."""
    body = page.text[page.text.index("<body") :]
    return html.unescape(re.sub(r"<[^>]*>", "", body))


async def _nowhere() -> Client:
    raise RuntimeError("this test has no Temporal")


@pytest.fixture
async def browser(ledger: Ledger) -> AsyncIterator[httpx2.AsyncClient]:
    await add_customer(ledger)
    await add_invoice(ledger)
    app = FastAPI()
    app.include_router(CustomerPages(make_services(SETTINGS, ledger, _nowhere)).router())
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://lunas.example") as client:
        yield client


async def test_the_link_shows_what_is_owed_and_where_to_pay(browser: httpx2.AsyncClient) -> None:
    page = await browser.get(LINKS.url(Purpose.PAY, NUMBER, today()))
    assert page.status_code == 200
    assert NUMBER in page.text
    assert "Rp 10.000" in page.text
    assert "1234567890" in shown(page), "an account number is copied without its spaces"
    assert "3 Maret 2026" in page.text
    assert EMAIL not in page.text
    assert "+628123456789" not in page.text
    assert page.headers["cache-control"] == "no-store"


async def test_after_payment_the_page_says_thanks_and_shows_no_account(
    browser: httpx2.AsyncClient, ledger: Ledger
) -> None:
    await pay(ledger)
    page = await browser.get(LINKS.url(Purpose.PAY, NUMBER, today()))
    assert "Lunas. Terima kasih!" in page.text
    assert "1234567890" not in shown(page)
    assert "mencicil" not in page.text


@pytest.mark.parametrize(
    "token",
    [
        "",
        "x",
        "AAAA",
        LINKS.url(Purpose.PAY, NUMBER, today()).rpartition("/")[2][:-2] + "AA",
        LINKS.url(Purpose.UNSUBSCRIBE, NUMBER, today()).rpartition("/")[2],
        LINKS.url(Purpose.PAY, NUMBER, today() - timedelta(days=181)).rpartition("/")[2],
        LINKS.url(Purpose.PAY, "INV/none", today()).rpartition("/")[2],
        Links("http://lunas.example", "another secret of at least 32 characters")
        .url(Purpose.PAY, NUMBER, today())
        .rpartition("/")[2],
    ],
    ids=["empty", "short", "not-ours", "altered", "other-purpose", "ended", "no-such-invoice", "other-secret"],
)
async def test_any_other_link_is_not_found_in_one_way(browser: httpx2.AsyncClient, token: str) -> None:
    page = await browser.get(f"/pay/{token}")
    assert page.status_code == 404
    assert NUMBER not in page.text


async def test_looking_at_the_stop_page_stops_nothing_and_its_button_does(
    browser: httpx2.AsyncClient, ledger: Ledger
) -> None:
    link = LINKS.url(Purpose.UNSUBSCRIBE, unsubscribe_subject("ACME", "email", EMAIL), today())
    assert (await browser.get(link)).status_code == 200
    async with ledger.read() as session:
        assert await best_contact(session, "ACME", Channel.EMAIL) is not None
    stopped = await browser.post(link, data={"List-Unsubscribe": "One-Click"})
    assert stopped.status_code == 200
    async with ledger.read() as session:
        assert await best_contact(session, "ACME", Channel.EMAIL) is None
        assert await best_contact(session, "ACME", Channel.SMS) is not None, "the other channel stays"


async def say_so(ledger: Ledger, hold: Hold) -> None:
    async with ledger.write() as session:
        await record_progress(session, NUMBER, progress(1, hold=hold))


async def speak_english(ledger: Ledger) -> None:
    async with ledger.write() as session:
        (await customer_by_code(session, "ACME")).language = Language.ENGLISH


async def test_it_says_what_was_paid_and_what_is_left(browser: httpx2.AsyncClient, ledger: Ledger) -> None:
    await pay(ledger, minor=400_000)
    page = await browser.get(LINKS.url(Purpose.PAY, NUMBER, today()))
    text = " ".join(shown(page).split())
    assert "Total fakturRp 10.000" in text
    assert "Sudah dibayar4 Maret 2026− Rp 4.000" in text
    assert "Sisa yang perlu dibayarRp 6.000" in text
    assert "2 × Rp 5.000" in text


@pytest.mark.parametrize(
    ("hold", "said"),
    [
        (dispute(), "We are looking into your objection"),
        (
            Hold(HoldKind.PROMISE, WEDNESDAY, WEDNESDAY, "siti", "", 300_000, date(2026, 3, 20)),
            "IDR 3,000 will be paid by 20 March 2026",
        ),
        (Hold(HoldKind.PAUSE, WEDNESDAY, WEDNESDAY, "siti", "secret reason"), None),
    ],
    ids=["dispute", "promise", "pause"],
)
async def test_it_says_what_the_customer_told_us_and_no_more(
    browser: httpx2.AsyncClient, ledger: Ledger, hold: Hold, said: str | None
) -> None:
    await speak_english(ledger)
    await say_so(ledger, hold)
    page = await browser.get(LINKS.url(Purpose.PAY, NUMBER, today()))
    assert ('class="note"' in page.text) == (said is not None)
    assert (said or "Amount to pay") in page.text
    assert "wrong price" not in page.text
    assert "secret reason" not in page.text


@pytest.mark.parametrize(("stage", "said"), [(Stage.CANCELLED, "withdrawn"), (Stage.WRITTEN_OFF, "Amount to pay")])
async def test_a_closed_invoice_asks_only_for_what_is_still_owed(
    browser: httpx2.AsyncClient, ledger: Ledger, stage: Stage, said: str
) -> None:
    await speak_english(ledger)
    async with ledger.write() as session:
        await record_progress(session, NUMBER, progress(1, stage=stage, was=Stage.ISSUED))
    page = await browser.get(LINKS.url(Purpose.PAY, NUMBER, today()))
    assert said in page.text
    assert ("1234567890" in shown(page)) == (stage is Stage.WRITTEN_OFF)


async def test_a_way_to_pay_that_was_made_ready_is_shown_with_its_end(
    browser: httpx2.AsyncClient, ledger: Ledger
) -> None:
    ends = datetime.now(UTC) + timedelta(days=3)
    ways = (
        ("virtual_account", {"BNI": "8077 1234"}, "https://pay.example/va/1"),
        ("qris", {"QRIS": "a"}, "javascript:alert(1)"),
        ("bank_transfer", {"BCA": "555"}, None),
    )
    async with ledger.write() as session:
        for method, rows, url in ways:
            offer = NewOffer(NUMBER, method, method, Money(1_000_000, Currency.IDR), dict(rows), url, ends)
            await record_offer(session, offer)
    page = await browser.get(LINKS.url(Purpose.PAY, NUMBER, today()))
    last_day = (ends - timedelta(microseconds=1)).astimezone(ZoneInfo("Asia/Jakarta")).date()
    assert "8077 1234" in page.text
    assert 'href="https://pay.example/va/1"' in page.text
    assert f"Berlaku sampai {long_date(last_day, 'id')}" in page.text
    assert "javascript:" not in page.text
    assert "555<" not in page.text, "our own accounts are there already"
    await pay(ledger, minor=100)
    page = await browser.get(LINKS.url(Purpose.PAY, NUMBER, today()))
    assert "8077 1234" not in page.text, "an instrument follows the balance"


async def test_text_messages_can_be_stopped_from_the_page(browser: httpx2.AsyncClient, ledger: Ledger) -> None:
    page = await browser.get(LINKS.url(Purpose.PAY, NUMBER, today()))
    link, _ = re.findall(r'href="([^"]*/unsubscribe/[^"]*)"', page.text)
    asked = await browser.get(link)
    assert "•••789" in asked.text
    async with ledger.read() as session:
        assert await best_contact(session, "ACME", Channel.SMS) is not None
    await browser.post(link)
    async with ledger.read() as session:
        assert await best_contact(session, "ACME", Channel.SMS) is None
        assert await best_contact(session, "ACME", Channel.EMAIL) is not None
    page = await browser.get(LINKS.url(Purpose.PAY, NUMBER, today()))
    (left,) = re.findall(r'href="([^"]*/unsubscribe/[^"]*)"', page.text)
    assert left != link, "only the mails are left to be stopped"


async def test_what_being_late_could_cost_is_said_and_not_asked_for(
    browser: httpx2.AsyncClient, ledger: Ledger
) -> None:
    rules = LatePayment("id", rates=(Rate(date(2020, 1, 1), 10_000),))
    new = replace(new_invoice("INV-L", minor=3_650_000), due_on=today() - timedelta(days=10))
    await add_invoice(ledger, replace(new, issued_on=new.due_on or today()), policy(late_payment=rules))
    page = await browser.get(LINKS.url(Purpose.PAY, "INV-L", today()))
    assert re.search(r"dapat dikenakan tambahan Rp\s?(90|100|110)\.", page.text)
    assert page.text.count("36.500") > 1 and "36.600" not in page.text
    for mode in (Mode.WAIVE, None):
        given_up = replace(rules, interest=mode) if mode else None
        await add_invoice(ledger, replace(new, number=f"INV-{mode}"), policy(late_payment=given_up))
        page = await browser.get(LINKS.url(Purpose.PAY, f"INV-{mode}", today()))
        assert "dapat dikenakan tambahan" not in page.text


async def test_a_difference_that_was_let_off_is_shown(browser: httpx2.AsyncClient, ledger: Ledger) -> None:
    let_off = MoneyRules(tolerance=Tolerance(((Currency.IDR, 10_000),)))
    await add_invoice(ledger, new_invoice("INV-T"), policy(money=let_off))
    await pay(ledger, "INV-T", 990_000, reference="short")
    page = await browser.get(LINKS.url(Purpose.PAY, "INV-T", today()))
    assert "Selisih yang dibebaskan" in page.text


async def test_data_is_shown_as_it_is(browser: httpx2.AsyncClient, ledger: Ledger) -> None:
    hostile = "<script>alert(1)</script>{{ words }}"
    line = NewLine(hostile, "1", 500, 500)
    await add_invoice(ledger, replace(new_invoice("INV-X"), purchase_order=hostile, lines=(line,)))
    page = await browser.get(LINKS.url(Purpose.PAY, "INV-X", today()))
    assert "<script" not in page.text
    assert page.text.count(html.escape(hostile)) == 3, "the order, the line, and the line in the form"


async def test_pages_use_the_creditors_own_words_and_templates(ledger: Ledger, tmp_path: Path) -> None:
    await add_customer(ledger)
    await add_invoice(ledger)
    (tmp_path / "words").mkdir()
    (tmp_path / "words" / "id.toml").write_text('[page]\nto_pay = "Mohon dibayar"\n')
    app = FastAPI()
    own = SETTINGS.model_copy(update={"template_folder": tmp_path})
    app.include_router(CustomerPages(make_services(own, ledger, _nowhere)).router())
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://lunas.example") as client:
        assert "Mohon dibayar" in (await client.get(LINKS.url(Purpose.PAY, NUMBER, today()))).text


@pytest.mark.parametrize(
    ("number", "parts"),
    [("123 456 7890", ["123", "456", "7890"]), ("123-00-4567", ["123", "00", "4567"]), ("  ", []), ("ID7", ["ID7"])],
)
def test_account_numbers_are_shown_in_groups(number: str, parts: list[str]) -> None:
    assert groups(number) == parts


def test_an_address_is_masked() -> None:
    assert masked("siti@acme.example") == "s•••@acme.example"
    assert masked("+628123456789") == "•••789"
