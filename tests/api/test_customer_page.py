"""What a customer can do on the page of an invoice: every form, over HTTP, and everything that is not let through."""

from __future__ import annotations

import html
import re
from datetime import timedelta
from typing import cast

import httpx2
import pytest
from fastapi import FastAPI

from api.services import Services
from lunas.ledger.customers import best_contact
from lunas.ledger.database import Ledger
from lunas.ledger.findings import findings_of
from lunas.ledger.invoices import opening_state
from lunas.ledger.journal import journal_of
from lunas.ledger.kinds import FindingState
from lunas.ledger.offers import NewOffer, record_offer
from lunas.links import mark_of
from lunas.providers.qris import Qris
from lunas.receivables.ladder import Channel
from lunas.receivables.money import Currency, Money
from templates.wording import LANGUAGES, long_date
from tests.api.doubles import FakeTemporal
from tests.api.payer import (
    EMAIL,
    NUMBER,
    WORDS,
    confirm,
    do,
    fields_of,
    link,
    local,
    wish_for,
)
from tests.ledger.samples import pay
from tests.providers.test_qris import REFERENCE, STATIC

# --- each wish -----------------------------------------------------------------------------------------------------


async def test_a_promise_is_shown_then_noted(customer: httpx2.AsyncClient, temporal: FakeTemporal) -> None:
    day = local() + timedelta(days=5)
    shown = await wish_for(customer, "promise", date=day.isoformat(), amount="4.000")
    assert WORDS["id"]["promise_confirm"] in shown.text
    assert long_date(day, "id") in shown.text and "Rp 4.000" in shown.text
    assert temporal.of(NUMBER).asked == [], "looking at it promises nothing"
    done = await confirm(customer, "promise", shown)
    (asked,) = temporal.of(NUMBER).asked
    assert (asked[0], asked[2].pay_by, asked[2].amount_minor, asked[2].by) == (
        "record_promise", day, 400_000, "customer",
    )  # fmt: skip
    page = await customer.get(done.headers["location"])
    assert WORDS["id"]["promise_done"] in page.text
    assert f"Rp 4.000 akan dibayar paling lambat {long_date(day, 'id')}" in page.text


async def test_a_form_that_is_sent_twice_is_done_once(customer: httpx2.AsyncClient, temporal: FakeTemporal) -> None:
    shown = await wish_for(customer, "promise", date=local().isoformat())
    assert (await confirm(customer, "promise", shown)).status_code == 303
    await confirm(customer, "promise", shown)
    first, second = temporal.of(NUMBER).asked
    assert first[1] == second[1], "the workflow knows it by its id"


async def test_an_instalment_plan_is_shown_with_days_and_amounts(
    customer: httpx2.AsyncClient, temporal: FakeTemporal
) -> None:
    first = local() + timedelta(days=3)
    shown = await wish_for(customer, "instalments", count="3", first=first.isoformat())
    assert "Rp 3.334" in shown.text and long_date(first, "id") in shown.text
    await confirm(customer, "instalments", shown)
    (asked,) = temporal.of(NUMBER).asked
    assert [one.amount_minor for one in asked[2].instalments] == [333_400, 333_300, 333_300]
    page = await customer.get(link())
    assert WORDS["id"]["plan"] in page.text, "the plan stands on the page"
    assert page.text.count("<dd>Rp 3.333</dd>") == 2


async def test_a_plan_over_another_balance_than_was_shown_is_shown_again(
    customer: httpx2.AsyncClient, books: Ledger, temporal: FakeTemporal
) -> None:
    shown = await wish_for(customer, "instalments", count="2", first=local().isoformat())
    await pay(books, minor=100_000)
    moved = await confirm(customer, "instalments", shown)
    assert moved.status_code == 409 and WORDS["id"]["balance_moved"] in moved.text
    assert temporal.of(NUMBER).asked == []


async def test_a_dispute_keeps_the_customers_words_in_the_ledger_alone(
    customer: httpx2.AsyncClient, books: Ledger, temporal: FakeTemporal
) -> None:
    words = "Beras kurang dua karung, tanya Bu Siti 0812-3456-789 <b>&"
    page = await do(customer, "dispute", what="1", reason=words)
    assert WORDS["id"]["dispute_done"] in page.text
    (asked,) = temporal.of(NUMBER).asked
    assert asked[0] == "raise_dispute" and asked[2].amount_minor == 1_000_000
    assert "Siti" not in repr(asked[2]), "a workflow's history holds nothing personal"
    assert temporal.of(NUMBER).state.hold is not None
    async with books.read() as session:
        rows, _ = await journal_of(session, NUMBER)
    (said,) = [row for row in rows if row.event == "objection_explained"]
    assert (said.reason, said.by, said.detail) == (words, "customer", "line 1")


async def test_a_new_contact_waits_for_a_person(customer: httpx2.AsyncClient, books: Ledger) -> None:
    page = await do(customer, "contact", email="baru@acme.example", phone="0812 9999 8888")
    assert WORDS["id"]["contact_done"] in page.text
    async with books.read() as session:
        found = await findings_of(session, "ACME", FindingState.PROPOSED)
        assert [one.value for one in found] == ["baru@acme.example", "+6281299998888"]
        best = await best_contact(session, "ACME", Channel.EMAIL)
        assert best is not None and best.address == EMAIL, "nothing goes there before it is approved"
        rows, _ = await journal_of(session, NUMBER)
    assert any(row.event == "customer_answered" and row.by == "customer" for row in rows), "the owner is told"
    assert not any("baru@" in f"{row.reason}{row.detail}" for row in rows)


async def test_a_way_to_pay_is_asked_for_and_waited_for(
    customer: httpx2.AsyncClient, books: Ledger, temporal: FakeTemporal
) -> None:
    page = await do(customer, "way")
    async with books.read() as session:
        assert (await opening_state(session, NUMBER)).facts.other_way
    assert 'http-equiv="refresh" content="3; url=?wait=2"' in page.text
    assert set(temporal.followed) == {NUMBER}
    late = await customer.get(f"{link()}?wait=11")
    assert "http-equiv" not in late.text and WORDS["id"]["waited"] in html.unescape(late.text)
    code = Qris.read(STATIC).made_dynamic(Money(1_000_000, Currency.IDR), REFERENCE).payload
    await made(books, code)
    page = await customer.get(f"{link()}?wait=3")
    assert "http-equiv" not in page.text and "<svg" in page.text
    assert f'aria-label="{WORDS["id"]["qr_label"].format(amount="Rp 10.000")}"' in page.text


async def made(books: Ledger, code: str) -> None:
    async with books.write() as session:
        offer = NewOffer(NUMBER, "qris", REFERENCE, Money(1_000_000, Currency.IDR), {"Nama": "TOKO"})
        (await record_offer(session, offer)).qr = code


async def test_a_part_payment_has_its_own_details_and_its_own_code(customer: httpx2.AsyncClient, books: Ledger) -> None:
    await made(books, Qris.read(STATIC).made_dynamic(Money(1_000_000, Currency.IDR), REFERENCE).payload)
    page = await customer.get(f"{link()}?part=2.500")
    assert '<dd class="copy">Rp 2.500</dd>' in page.text and "Rp 7.500" in page.text
    assert WORDS["id"]["qr_label"].format(amount="Rp 2.500") in page.text
    for wrong in ("20.000", "abc", "-5"):
        refused = await customer.get(link(), params={"part": wrong})
        assert refused.status_code == 422 and 'role="alert"' in refused.text


async def test_messages_can_be_stopped_by_channel(customer: httpx2.AsyncClient, books: Ledger) -> None:
    page = await customer.get(link(mark=mark_of(EMAIL)))
    found = re.findall(r'href="([^"]*/unsubscribe/[^"]*)"', page.text)
    assert len(found) == 2
    for url in found:
        assert (await customer.post(url)).status_code == 200
    async with books.read() as session:
        assert await best_contact(session, "ACME", Channel.EMAIL) is None
        assert await best_contact(session, "ACME", Channel.SMS) is None


async def test_the_pdf_is_the_invoice_in_the_readers_language(customer: httpx2.AsyncClient) -> None:
    found = await customer.get(f"{link()}/invoice.pdf")
    assert found.status_code == 200 and found.content.startswith(b"%PDF")
    assert found.headers["content-type"] == "application/pdf"
    assert found.headers["content-disposition"] == 'inline; filename="INV-2026-11-0042.pdf"'
    assert (await customer.get(f"{link()}/invoice.pdf?lang=en")).content != found.content
    assert (await customer.get(f"{link('INV/none')}/invoice.pdf")).status_code == 404


# --- what is refused, and how ----------------------------------------------------------------------------------------


WRONG: tuple[tuple[str, dict[str, str], str], ...] = (
    ("promise", {"date": "2020-01-01"}, "date_out"),
    ("promise", {"date": "2199-01-01"}, "date_out"),
    ("promise", {"date": "besok"}, "date_unread"),
    ("promise", {"date": "31/02/2026"}, "date_unread"),
    ("promise", {"date": local().isoformat(), "amount": "10.001"}, "amount_out"),
    ("promise", {"date": local().isoformat(), "amount": "1e5"}, "amount_unread"),
    ("instalments", {"count": "7", "first": local().isoformat()}, "count_out"),
    ("instalments", {"count": "٣", "first": local().isoformat()}, "count_out"),
    ("instalments", {"count": "6", "first": (local() + timedelta(days=100)).isoformat()}, "plan_too_long"),
    ("dispute", {"what": "9", "reason": "salah"}, "what_unread"),
    ("dispute", {"what": "00015", "reason": "salah"}, "what_unread"),
    ("dispute", {"what": "whole", "reason": " \u200b "}, "words_missing"),
    ("dispute", {"what": "whole", "reason": "panjang " * 200}, "words_too_long"),
    ("dispute", {"what": "amount", "reason": "salah", "amount": ""}, "amount_unread"),
    ("contact", {}, "contact_missing"),
    ("contact", {"email": "bukan alamat"}, "email_unread"),
    ("contact", {"phone": "12"}, "phone_unread"),
)


@pytest.mark.parametrize("language", LANGUAGES)
async def test_what_cannot_be_taken_is_said_kindly_and_kept_in_the_form(
    customer: httpx2.AsyncClient, temporal: FakeTemporal, language: str
) -> None:
    page = await customer.get(f"{link()}?lang={language}")
    for wish, typed, word in WRONG:
        refused = await customer.post(f"{link()}/{wish}?lang={language}", data={**fields_of(page, wish), **typed})
        assert refused.status_code == 422, (wish, typed)
        assert WORDS[language][word].partition("{")[0] in html.unescape(refused.text)
        assert f'<html lang="{language}">' in refused.text
        if wish == "promise":
            assert html.escape(typed["date"]) in refused.text, "nothing has to be typed twice"
    assert temporal.of(NUMBER).asked == []


async def test_a_refusal_of_the_workflow_is_a_kind_sentence(
    customer: httpx2.AsyncClient, temporal: FakeTemporal
) -> None:
    for _ in range(2):  # as many as the policy has
        await do(customer, "promise", date=local().isoformat())
    shown = await wish_for(customer, "promise", date=local().isoformat())
    refused = await confirm(customer, "promise", shown)
    assert refused.status_code == 409 and WORDS["id"]["refused_promise"] in refused.text
    assert "only when" not in refused.text, "not the validator's own words"


async def test_without_temporal_nothing_is_lost(
    customer: httpx2.AsyncClient, books: Ledger, temporal: FakeTemporal
) -> None:
    shown = await wish_for(customer, "dispute", what="whole", reason="barang rusak")
    temporal.down = True
    away = await confirm(customer, "dispute", shown)
    assert away.status_code == 503 and WORDS["id"]["away"] in away.text and "barang rusak" in away.text
    temporal.down = False
    await_connection(customer)
    again = await confirm(customer, "dispute", httpx2.Response(200, text=away.text))
    assert again.status_code == 303
    async with books.read() as session:
        rows, _ = await journal_of(session, NUMBER)
    assert [row.event for row in rows].count("objection_explained") == 1, "said twice, written once"
    temporal.down = True
    await_connection(customer)
    page = await do(customer, "way")
    assert page.status_code == 200, "the ledger has it, and the reconcile schedule has it made"


def await_connection(customer: httpx2.AsyncClient) -> None:
    """Temporal is not tried again for two seconds after a failure: as if they were over."""
    transport = cast(httpx2.ASGITransport, customer._transport)
    services: Services = cast(FastAPI, transport.app).state.services
    services.temporal._down_until = 0.0


async def test_no_answer_in_time_is_not_a_no(customer: httpx2.AsyncClient, temporal: FakeTemporal) -> None:
    shown = await wish_for(customer, "promise", date=local().isoformat())
    temporal.silent = True
    unknown = await confirm(customer, "promise", shown)
    assert unknown.status_code == 504 and WORDS["id"]["unknown"] in unknown.text


async def test_what_is_not_possible_any_more_has_no_form(customer: httpx2.AsyncClient, books: Ledger) -> None:
    shown = await wish_for(customer, "promise", date=local().isoformat())
    await do(customer, "dispute", what="whole", reason="salah hitung")
    page = await customer.get(link())
    assert "/promise" not in page.text and "/dispute" not in page.text and "/contact" in page.text
    late = await confirm(customer, "promise", shown)
    assert late.status_code == 409 and WORDS["id"]["refused_promise"] in late.text
    await pay(books)
    assert "/promise" not in (await customer.get(link())).text
