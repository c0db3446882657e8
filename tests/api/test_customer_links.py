"""The customer's page from outside: links that are not good, hostile input, and whether everybody can read it."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator
from datetime import date, timedelta
from typing import cast

import httpx2
import pytest
from sqlalchemy.exc import OperationalError
from temporalio.client import Client

from api.app import create_app
from api.pages.forms import Unfit, read_amount, read_day
from api.pages.limits import Limit
from lunas.ledger.customers import contacts_of, correct_contact, customer_by_code, erase_contact
from lunas.ledger.database import Ledger
from lunas.ledger.journal import journal_of
from lunas.ledger.links import revoke_customer_links, revoke_invoice_links
from lunas.links import Purpose, mark_of, unsubscribe_subject
from lunas.receivables.money import Currency, Money
from templates.wording import LANGUAGES, amount, load_words
from tests.api.doubles import FakeTemporal
from tests.api.payer import (
    EMAIL,
    LINKS,
    NUMBER,
    PHONE,
    SETTINGS,
    WORDS,
    fields_of,
    link,
    local,
    today,
    wish_for,
)
from tests.ledger.samples import add_customer, add_invoice, new_invoice, pay

# --- links ---------------------------------------------------------------------------------------------------------


async def test_every_bad_link_looks_the_same(customer: httpx2.AsyncClient, books: Ledger) -> None:
    good = link()
    altered = good[:-3] + ("AAA" if not good.endswith("AAA") else "BBB")
    expired = link(on=today() - timedelta(days=181))
    nobody = link(mark=mark_of("someone@else.example"))
    texts = set()
    for bad in (altered, expired, nobody, link(epoch=1), link("INV/none"), "/pay/x", "/pay/%00", "/pay/é"):
        for rest in ("", "/promise", "/invoice.pdf"):
            page = await customer.get(bad + rest)
            assert page.status_code == 404
            texts.add(page.text)
        assert (await customer.post(f"{bad}/promise", data={"seal": "x"})).status_code == 404
    assert len(texts) == 1
    assert NUMBER not in texts.pop()


async def test_a_revocation_ends_what_was_sent_and_not_what_is_sent_next(
    customer: httpx2.AsyncClient, books: Ledger
) -> None:
    await add_invoice(books, new_invoice("INV-2"))
    shown = await wish_for(customer, "promise", date=local().isoformat())
    async with books.write() as session:
        await revoke_invoice_links(session, NUMBER, by="siti", reason="forwarded")
    assert (await customer.get(link())).status_code == 404
    assert (await customer.post(f"{link()}/promise", data=fields_of(shown, "promise"))).status_code == 404
    assert (await customer.get(link(epoch=1))).status_code == 200
    assert (await customer.get(link("INV-2"))).status_code == 200, "another invoice's stays"
    async with books.write() as session:
        await revoke_customer_links(session, "ACME", by="siti", reason="left the company")
    for old in (link(epoch=1), link("INV-2"), link("INV-2", epoch=9)):
        assert (await customer.get(old)).status_code == 404
    for new in (link(epoch=2), link("INV-2", epoch=1)):
        assert (await customer.get(new)).status_code == 200
    async with books.read() as session:
        rows, _ = await journal_of(session, NUMBER)
    assert [(row.by, row.reason) for row in rows if row.event == "links_revoked"] == [
        ("siti", "forwarded"), ("siti", "left the company"),
    ]  # fmt: skip
    stop = LINKS.url(Purpose.UNSUBSCRIBE, unsubscribe_subject("ACME", "email", EMAIL), today())
    assert (await customer.get(stop)).status_code == 200, "stopping works on"


async def test_a_link_ends_with_the_address_that_it_was_sent_to(customer: httpx2.AsyncClient, books: Ledger) -> None:
    by_mail, by_sms = link(mark=mark_of(EMAIL)), link(mark=mark_of(PHONE))
    async with books.read() as session:
        contact = (await contacts_of(session, (await customer_by_code(session, "ACME")).id))[0].id
    async with books.write() as session:
        await correct_contact(session, contact, by="siti", email="other@acme.example")
    assert [(await customer.get(one)).status_code for one in (by_mail, by_sms)] == [404, 200]
    async with books.write() as session:
        await erase_contact(session, contact, by="siti")
    assert (await customer.get(by_sms)).status_code == 404


async def test_a_form_works_on_its_own_link_alone(
    customer: httpx2.AsyncClient, books: Ledger, temporal: FakeTemporal
) -> None:
    await add_invoice(books, new_invoice("INV-2"))
    fields = fields_of(await customer.get(link("INV-2")), "promise") | {"date": local().isoformat(), "step": "confirm"}
    own = fields_of(await customer.get(link()), "promise")
    said = {"date": local().isoformat(), "step": "confirm"}
    for wrong in ({}, {"seal": ""}, {"seal": own["seal"][:-2] + "zz"}, {"seal": "0" + own["seal"][1:]}, fields):
        refused = await customer.post(f"{link()}/promise", data=said | wrong)
        assert refused.status_code == 403 and WORDS["id"]["form_old"] in refused.text
    other = await customer.post(f"{link()}/dispute", data=own | {"step": "confirm", "reason": "salah"})
    assert other.status_code == 403, "nor for another wish"
    foreign = await customer.post(f"{link()}/promise", data=own, headers={"Sec-Fetch-Site": "cross-site"})
    assert foreign.status_code == 403
    assert temporal.of(NUMBER).asked == []


async def test_looking_changes_nothing(customer: httpx2.AsyncClient, books: Ledger, temporal: FakeTemporal) -> None:
    async with books.read() as session:
        before = (await journal_of(session, NUMBER))[0]
    query = "step=confirm&date=2026-12-01&reason=x&what=whole&count=2"
    for rest in ("", "/way", "/promise", "/instalments", "/dispute", "/contact", "/invoice.pdf"):
        assert (await customer.get(f"{link()}{rest}?{query}")).status_code == 200
    async with books.read() as session:
        assert len((await journal_of(session, NUMBER))[0]) == len(before)
    assert temporal.of(NUMBER).asked == []
    assert (await customer.get(f"{link()}/refund")).status_code == 404


# --- hostile input ---------------------------------------------------------------------------------------------------


async def test_what_customers_write_is_shown_as_it_is(customer: httpx2.AsyncClient) -> None:
    hostile = "<script>alert(1)</script>{{ words }}\u202e\x07 'x\" onload="
    shown = await wish_for(customer, "dispute", what="whole", reason=hostile)
    assert shown.status_code == 200 and "<script" not in shown.text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;{{ words }}" in shown.text
    assert "\u202e" not in shown.text and "\x07" not in shown.text


@pytest.mark.parametrize(
    "body",
    [b"\xff\xfe", b"date=%ff%fe&seal=x", b"a=1&" * 100, b"date=%ed%a0%80", b"date=\x00", b"seal=" + b"1." * 1000],
    ids=["bytes", "not-utf8", "many-fields", "surrogate", "nul", "long-seal"],
)
async def test_strange_bodies_are_refused_without_a_fault(customer: httpx2.AsyncClient, body: bytes) -> None:
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    refused = await customer.post(f"{link()}/promise", content=body, headers=kind)
    assert refused.status_code in (400, 403)
    assert 'role="alert"' in refused.text


async def test_a_large_body_is_not_taken_in(books: Ledger, temporal: FakeTemporal) -> None:
    await add_customer(books)
    await add_invoice(books)
    app = create_app(SETTINGS, books, cast(Client, temporal))
    transport = httpx2.ASGITransport(app=app)
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(640):
            sent += 16_384
            yield b"x" * 16_384

    async with httpx2.AsyncClient(transport=transport, base_url="http://lunas.example") as client:
        large = await client.post(f"{link()}/dispute", content=b"reason=" + b"x" * 10_000_000)
        assert large.status_code == 413
        middling = await client.post(f"{link()}/dispute", content=b"reason=" + b"x" * 50_000)
        assert middling.status_code == 413 and WORDS["id"]["too_long"] in middling.text
        assert (await client.post(f"{link()}/dispute", content=endless())).status_code == 413
    assert sent < 1_000_000


async def test_a_link_takes_so_many_forms_and_no_more(customer: httpx2.AsyncClient, books: Ledger) -> None:
    await add_invoice(books, new_invoice("INV-2"))
    for _ in range(30):
        assert (await customer.post(f"{link()}/promise")).status_code == 403
    refused = await customer.post(f"{link()}/promise")
    assert refused.status_code == 429 and WORDS["id"]["too_often"] in refused.text
    assert (await customer.get(link())).status_code == 200
    assert (await customer.post(f"{link('INV-2')}/promise")).status_code == 403, "another link is not slowed down"


def test_a_limit_forgets() -> None:
    now = 0.0
    limit = Limit(2, timedelta(seconds=10), lambda: now)
    assert [limit.takes("a"), limit.takes("a"), limit.takes("a"), limit.takes("b")] == [True, True, False, True]
    now = 10.0
    assert limit.takes("a")


@pytest.mark.parametrize(
    ("written", "minor"),
    [
        ("1.500.000", 150_000_000),
        ("1,500,000.50", 150_000_050),
        ("Rp 1.500.000,-", 150_000_000),
        ("IDR 2500", 250_000),
        ("0,5", 50),
        ("1 500 000", 150_000_000),
    ],
)
def test_amounts_are_read_as_people_write_them(written: str, minor: int) -> None:
    assert read_amount(written, Currency.IDR) == Money(minor, Currency.IDR)


@pytest.mark.parametrize("written", ["", "0", "-1", "1.50.000", "1e6", "NaN", "٣", "9" * 30, "1.000.00"])
def test_other_amounts_are_not_guessed(written: str) -> None:
    with pytest.raises(Unfit):
        read_amount(written, Currency.IDR)


def test_a_yen_has_no_cents() -> None:
    assert read_amount("1,500", Currency.JPY) == Money(1500, Currency.JPY)
    with pytest.raises(Unfit):
        read_amount("1500.50", Currency.JPY)


def test_days_are_read_as_browsers_and_people_write_them() -> None:
    assert read_day("2026-11-30") == read_day("30/11/2026") == read_day("30.11.2026") == date(2026, 11, 30)


async def test_a_ledger_that_is_away_is_a_page_too(
    customer: httpx2.AsyncClient, books: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away() -> None:
        raise OperationalError("SELECT 1", {}, ConnectionRefusedError())

    monkeypatch.setattr(books, "read", away)
    for rest in ("", "/invoice.pdf", "/promise"):
        page = await customer.get(f"{link()}{rest}", headers={"Accept-Language": "en-GB"})
        assert page.status_code == 503 and WORDS["en"]["down"] in page.text


# --- words and access ------------------------------------------------------------------------------------------------


def test_both_languages_have_every_word_with_the_same_gaps() -> None:
    for section in ("page", "forms"):
        found = {language: load_words(language)[section] for language in LANGUAGES}
        gaps = [{name: set(re.findall(r"\{\w+\}", words[name])) for name in words} for words in found.values()]
        assert gaps[0] == gaps[1]


@pytest.mark.parametrize("language", LANGUAGES)
async def test_the_page_speaks_the_language_that_was_switched_to(customer: httpx2.AsyncClient, language: str) -> None:
    for rest in ("", "/promise", "/instalments", "/dispute", "/contact", "/way"):
        page = await customer.get(f"{link()}{rest}?lang={language}")
        assert f'<html lang="{language}">' in page.text
        other = WORDS["id" if language == "en" else "en"]
        leaked = [word for word in ("promise_more", "back", "way_more", "dispute_more") if other[word] in page.text]
        assert leaked == []
        assert f'href="?lang={WORDS[language]["language_code"]}"' in page.text
        assert all(f"?lang={language}" in action for action in re.findall(r'method="post" action="([^"]*)"', page.text))
    assert '<html lang="id">' in (await customer.get(f"{link()}?lang=fr")).text


async def test_everything_that_is_typed_into_has_a_label_and_every_id_is_one(customer: httpx2.AsyncClient) -> None:
    for rest in ("", "/promise", "/instalments", "/dispute", "/contact"):
        text = (await customer.get(link() + rest)).text
        ids = re.findall(r' id="([^"]+)"', text)
        assert len(ids) == len(set(ids))
        labelled = set(re.findall(r'<label for="([^"]+)"', text))
        typed = re.findall(r"<(?:input|select|textarea)(?![^>]*type=\"hidden\")[^>]*>", text)
        assert typed or not rest
        for control in typed:
            match = re.search(r' id="([^"]+)"', control)
            assert match and match[1] in labelled
        assert set(re.findall(r'aria-describedby="([^"]+)"', text)) <= set(ids)
        assert "<script" not in text and "http://" not in text.replace("http://lunas.example", "").replace(
            "http://www.w3.org/2000/svg", ""
        )


def luminance(colour: str) -> float:
    colour = "".join(c * 2 for c in colour) if len(colour) == 3 else colour
    parts = [int(colour[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


async def test_colours_can_be_read_by_day_and_by_night(customer: httpx2.AsyncClient) -> None:
    text = (await customer.get(link())).text
    day, night = (
        dict(re.findall(r"--([a-z-]+): #([0-9a-f]+);", block))
        for block in re.findall(r":root \{(.*?)\}", text, re.DOTALL)
    )
    for colours in (day, day | night):
        for ground in ("paper", "tint", "ground"):
            assert contrast(colours["ink"], colours[ground]) >= 7
            assert contrast(colours["soft"], colours[ground]) >= 4.5
            assert contrast(colours["accent"], colours[ground]) >= 4.5
        assert contrast(colours["on-accent"], colours["accent"]) >= 4.5
        assert contrast(colours["warn"], colours["warn-tint"]) >= 4.5
        assert contrast(colours["field"], colours["paper"]) >= 3, "a field's edge"


async def test_what_was_paid_is_named_with_its_day(customer: httpx2.AsyncClient, books: Ledger) -> None:
    await pay(books, minor=250_000)
    text = html.unescape((await customer.get(f"{link()}?lang=en")).text)
    assert "Already paid" in text and "4 March 2026" in text and "− IDR 2,500" in text
    assert amount(Money(750_000, Currency.IDR), "en") in text
