"""A customer with an invoice and a link, for the tests of the page: how its forms are filled in and sent."""

from __future__ import annotations

import html
import re
from datetime import UTC, date, datetime, timedelta

import httpx2
from pydantic import SecretStr

from lunas.links import PayLink, Purpose
from lunas.settings import Settings
from templates.wording import LANGUAGES, load_words
from tests.providers.test_qris import STATIC

NUMBER, EMAIL, PHONE = "INV/2026/11/0042", "siti@acme.example", "+628123456789"
SETTINGS = Settings(
    link_secret=SecretStr("a-secret-for-tests-of-32-characters!"),
    public_url="http://lunas.example",
    payment_methods=("bank_transfer", "qris"),
    qris_payload=STATIC,
)
LINKS = SETTINGS.links
WORDS = {language: load_words(language)["forms"] for language in LANGUAGES}


def today() -> date:
    return datetime.now(UTC).date()


def link(number: str = NUMBER, epoch: int = 0, mark: str = "", on: date | None = None) -> str:
    return LINKS.url(Purpose.PAY, PayLink(number, epoch, mark).subject, on or today())


def local() -> date:
    """The day at the customer's, Jakarta."""
    return (datetime.now(UTC) + timedelta(hours=7)).date()


def fields_of(page: httpx2.Response, wish: str) -> dict[str, str]:
    """What a browser would send with the form for this wish, before anything is typed."""
    body = re.search(rf'<form method="post" action="[^"]*/{wish}(?:\?[^"]*)?">(.*?)</form>', page.text, re.DOTALL)
    assert body, f"there is no form to {wish}"
    found = re.findall(r'<input (?=[^>]*name="([^"]+)")(?=[^>]*value="([^"]*)")[^>]*>', body[1])
    return {name: html.unescape(value) for name, value in found}


async def wish_for(customer: httpx2.AsyncClient, wish: str, at: str | None = None, **typed: str) -> httpx2.Response:
    """Fill the form in on the page and send it: what comes back is the confirmation, or why not."""
    url = at or link()
    page = await customer.get(url)
    return await customer.post(f"{url}/{wish}", data={**fields_of(page, wish), **typed})


async def confirm(customer: httpx2.AsyncClient, wish: str, shown: httpx2.Response) -> httpx2.Response:
    assert shown.status_code == 200, shown.text
    return await customer.post(f"{link()}/{wish}", data=fields_of(shown, wish))


async def do(customer: httpx2.AsyncClient, wish: str, **typed: str) -> httpx2.Response:
    """The whole way: fill in, look, say yes, and follow the redirect."""
    done = await confirm(customer, wish, await wish_for(customer, wish, **typed))
    assert done.status_code == 303, done.text
    return await customer.get(done.headers["location"])
