"""The customer's pages: one invoice behind a signed link, and a way to stop messages."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta

import httpx2
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from api.pages.customer import CustomerPages
from lunas.ledger.customers import best_contact
from lunas.ledger.database import Ledger
from lunas.links import Links, Purpose, unsubscribe_subject
from lunas.receivables.ladder import Channel
from lunas.settings import Settings
from tests.ledger.samples import add_customer, add_invoice, pay

NUMBER = "INV/2026/11/0042"
EMAIL = "siti@acme.example"
SETTINGS = Settings(link_secret=SecretStr("a-secret-for-tests-of-32-characters!"), public_url="http://lunas.example")
LINKS: Links = SETTINGS.links


def today() -> date:
    return datetime.now(UTC).date()


@pytest.fixture
async def browser(ledger: Ledger) -> AsyncIterator[httpx2.AsyncClient]:
    await add_customer(ledger)
    await add_invoice(ledger)
    app = FastAPI()
    app.include_router(CustomerPages(ledger, SETTINGS.company, LINKS).router())
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://lunas.example") as client:
        yield client


async def test_the_link_shows_what_is_owed_and_where_to_pay(browser: httpx2.AsyncClient) -> None:
    page = await browser.get(LINKS.url(Purpose.PAY, NUMBER, today()))
    assert page.status_code == 200
    assert NUMBER in page.text
    assert "Rp 10.000" in page.text
    assert "123 456 7890" in page.text
    assert EMAIL not in page.text
    assert page.headers["cache-control"] == "no-store"


async def test_after_payment_the_page_says_thanks_and_shows_no_account(
    browser: httpx2.AsyncClient, ledger: Ledger
) -> None:
    await pay(ledger)
    page = await browser.get(LINKS.url(Purpose.PAY, NUMBER, today()))
    assert "Lunas. Terima kasih!" in page.text
    assert "123 456 7890" not in page.text


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
