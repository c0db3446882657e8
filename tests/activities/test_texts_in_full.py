"""Notices that name what was made or promised, and what every notice tells: whom to ask, how to object, until when."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from activities import gsm7, samples
from activities.samples import rupiah
from activities.texts import KINDS, BriefError, Texts
from lunas.briefs import Promised
from lunas.receivables.ladder import Channel, Tone
from templates.wording import LANGUAGES, amount, long_date
from tests.activities.test_texts import COMPANY, PAY, STOP, sample, visible


@pytest.fixture(scope="module")
def texts() -> Texts:
    return Texts(COMPANY)


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_offer_lists_its_own_instructions(texts: Texts, language: str) -> None:
    brief = replace(sample("offer_alternate_payment", language), ways=samples.WAYS)
    mail = texts.mail(brief, PAY, STOP)
    until = long_date(date(2026, 11, 30), language)
    for part in (mail.text, visible(mail.html)):
        for said in ("123-00-4567890-1, a.n. PT Contoh", "521-0987654", "8077 1234 5678 9012", until):
            assert said in part
        assert "Virtual account" in part
        assert part.count("521-0987654") == 1, "our accounts are named by the offer, and not once more"
        assert {"id": "cantumkan nomor faktur", "en": "quote the invoice number"}[language] in part
    assert 'href="https://pay.example/va/8077"' in mail.html
    assert "https://pay.example/va/8077" in mail.text

    only_virtual = texts.mail(replace(brief, ways=samples.WAYS[1:]), PAY, STOP).text
    assert COMPANY.accounts[1].number in only_virtual, "a plain transfer stays possible"


def test_an_offers_link_to_the_customers_own_page_is_the_button(texts: Texts) -> None:
    way = replace(samples.WAYS[0], url=f"{COMPANY.public_url}/pay/abc")
    mail = texts.mail(replace(sample("offer_alternate_payment"), ways=(way,)), PAY, STOP)
    assert "/pay/abc" not in mail.text + mail.html
    with pytest.raises(BriefError, match="link"):
        bad = replace(way, url="javascript:alert(1)")
        texts.mail(replace(sample("offer_alternate_payment"), ways=(bad,)), PAY, STOP)


def test_a_text_message_names_as_many_ways_as_fit(texts: Texts) -> None:
    brief = sample("offer_alternate_payment", "id", Channel.SMS)
    short = (replace(samples.WAYS[1], instructions=(("BNI", "8077"),)),)
    assert "lewat BNI 8077 (berlaku sampai 30 Nov 2026)." in texts.sms(replace(brief, ways=short), PAY)
    many = tuple(replace(short[0], instructions=((f"Bank {name}", "1" * 40),)) for name in "ABCDEFGH")
    message = texts.sms(replace(brief, ways=many), PAY)
    assert "Bank A" in message
    assert "Bank H" not in message
    assert gsm7.segments(message) <= 2
    assert PAY in message
    amounts = (replace(short[0], instructions=(("Total", amount(brief.balance, "id")), ("No", brief.lead.number))),)
    assert texts.sms(replace(brief, ways=amounts), PAY) == texts.sms(brief, PAY), "sum and number are said already"


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_promise_of_a_part_names_the_part_and_the_rest(texts: Texts, language: str) -> None:
    brief = sample("promise_confirmed", language)
    part, rest = amount(rupiah(5_000_000), language), amount(rupiah(7_500_000), language)
    promise = replace(brief, promised=(Promised(date(2026, 11, 30), rupiah(5_000_000)),))
    mail = texts.mail(promise, PAY, STOP)
    assert part in mail.subject
    for shown in (mail.text, visible(mail.html)):
        for said in (part, rest, amount(rupiah(12_500_000), language), long_date(date(2026, 11, 30), language)):
            assert said in shown
    whole = texts.mail(brief, PAY, STOP)
    assert rest not in whole.text
    assert amount(rupiah(12_500_000), language) in whole.text
    assert part in texts.sms(promise, PAY)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_plan_names_every_instalment_and_its_day(texts: Texts, language: str) -> None:
    days = [date(2026, 11, 30), date(2026, 12, 31), date(2027, 1, 31)]
    plan = tuple(Promised(day, rupiah(million * 1_000_000)) for day, million in zip(days, (4, 4, 4), strict=True))
    brief = replace(sample("promise_confirmed", language), promised=plan)
    mail = texts.mail(brief, PAY, STOP)
    for shown in (mail.text, visible(mail.html)):
        assert shown.count(amount(rupiah(4_000_000), language)) >= 3
        assert all(long_date(day, language) in shown for day in days)
    assert {"id": "cicil", "en": "instalments"}[language] in texts.sms(brief, PAY)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_mail_says_whom_to_ask_and_how_to_object(texts: Texts, kind: str, language: str) -> None:
    mail = texts.mail(sample(kind, language), PAY, STOP)
    for part in (mail.text, visible(mail.html)):
        assert {"id": "tidak sesuai", "en": "not right"}[language] in part
        assert COMPANY.phone in part
        assert COMPANY.email in part


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", ["remind", "due_notice", "follow_up"])
def test_a_text_message_says_the_due_date(texts: Texts, kind: str, language: str) -> None:
    for tone in Tone:
        brief = replace(sample(kind, language, Channel.SMS), tone=tone)
        assert "27 Nov 2026" in texts.sms(brief, PAY)
