"""Notices in words: what they say, that data stays data, and that a bad template is found at start-up."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from activities import gsm7, samples
from activities.samples import rupiah
from activities.texts import KINDS, BriefError, TemplateError, Texts
from lunas.briefs import NoticeBrief
from lunas.company import BankAccount, Company
from lunas.receivables.ladder import Channel, Do, Tone
from lunas.receivables.money import Currency, Money
from templates import ROOT
from templates.wording import LANGUAGES, amount, filled, long_date, quantity, readable

COMPANY = Company(
    name="PT Nusantara Teknologi",
    postal_address="Menara Sudirman Lt. 12\nJakarta Selatan 12190",
    email="piutang@nusantara.example",
    phone="+62 21 5098 7700",
    tax_id="01.234.567.8-901.000",
    accounts=(
        BankAccount("Bank Mandiri", "123-00-4567890-1", "PT Nusantara Teknologi"),
        BankAccount("BCA", "521-0987654", "PT Nusantara Teknologi"),
    ),
    public_url="https://tagihan.nusantara.example",
    mail_address="tagihan@nusantara.example",
    mail_name="Tagihan Nusantara",
)
PAY = "https://tagihan.nusantara.example/i/Zk3vN8sQpL2xWc7RtY5uHa?a=1&b=2"
STOP = "https://tagihan.nusantara.example/stop/Zk3v"


@pytest.fixture(scope="module")
def texts() -> Texts:
    return Texts(COMPANY)


def sample(kind: str, language: str = "id", channel: Channel = Channel.EMAIL) -> NoticeBrief:
    return next(samples.notices(kind, language, channel))


def visible(html: str) -> str:
    """What a reader sees of a mail."""
    body = re.sub(r"<!--.*?-->|<style.*?</style>|<[^>]*>", " ", html[html.index("<body") :], flags=re.DOTALL)
    return " ".join(body.split())


def test_everything_that_is_shipped_passes_its_own_check(texts: Texts) -> None:
    texts.check()


def test_there_is_wording_for_every_notice_of_a_ladder() -> None:
    assert {str(do) for do in Do if do.is_notice} < set(KINDS)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_mail_says_what_matters_in_both_its_parts(texts: Texts, kind: str, language: str) -> None:
    brief = sample(kind, language)
    mail = texts.mail(brief, PAY, STOP)
    assert "\n" not in mail.subject
    sums = [amount(brief.balance, language)] + ([amount(rupiah(7_500_000), language)] if kind == "receipt" else [])
    for part in (mail.text, visible(mail.html)):
        for said in ("INV/2026/11/0042", *sums, long_date(brief.lead.due_on, language), COMPANY.name):
            assert said in part
        for account in COMPANY.accounts:
            assert account.number in part
    assert PAY in mail.text
    assert f'href="{PAY.replace("&", "&amp;")}"' in mail.html
    assert STOP in mail.text
    assert f'href="{STOP}"' in mail.html


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_mail_about_several_invoices_lists_each_and_their_total(texts: Texts, language: str) -> None:
    invoices = (
        samples.invoice("INV/1", days_late=28, total=12_500_000, balance=5_000_000),
        samples.invoice("INV/2", days_late=12, total=4_750_000),
        replace(samples.invoice("INV/3", days_late=1, total=128_000_000), purchase_order="PO-77"),
    )
    mail = texts.mail(replace(sample("follow_up", language), invoices=invoices), PAY, STOP)
    late = {"id": ("lewat 28 hari", "lewat 12 hari", "lewat 1 hari"), "en": ("28 days", "12 days", "1 day late")}
    for part in (mail.text, visible(mail.html)):
        for invoice, lateness in zip(invoices, late[language], strict=True):
            assert invoice.number in part
            assert amount(invoice.balance, language) in part
            assert long_date(invoice.due_on, language) in part
            assert lateness in part
        assert amount(rupiah(137_750_000), language) in part
        assert "PO-77" in part
    assert {"id": "3 faktur", "en": "3 invoices"}[language] in mail.subject


def test_the_early_payment_offer_is_shown_where_there_is_one(texts: Texts) -> None:
    brief = sample("send_invoice")
    mail = texts.mail(brief, PAY, STOP)
    offer = "Bayar Rp 12.250.000 paling lambat 23 November 2026, hemat Rp 250.000"
    assert offer in mail.text
    assert offer in visible(mail.html)
    without = texts.mail(replace(brief, invoices=(replace(brief.lead, early_payment=None),)), PAY, STOP)
    assert "hemat" not in without.text + without.html


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("channel", list(Channel))
def test_a_final_demand_names_its_date_and_what_may_follow(texts: Texts, language: str, channel: Channel) -> None:
    brief = sample("final_demand", language, channel)
    match channel:
        case Channel.EMAIL:
            said = texts.mail(brief, PAY, STOP).text
            assert long_date(date(2026, 11, 30), language) in said
        case Channel.SMS:
            said = texts.sms(brief, PAY)
            assert "30 Nov 2026" in said
    assert {"id": "jasa penagihan", "en": "collection agency"}[language] in said


@pytest.mark.parametrize(
    ("kind", "missing"), [("final_demand", "pay_by"), ("promise_confirmed", "pay_by"), ("receipt", "paid")]
)
def test_a_brief_has_to_bring_what_its_kind_says(texts: Texts, kind: str, missing: str) -> None:
    brief = replace(sample(kind), pay_by=None, paid=None)
    with pytest.raises(BriefError, match=missing):
        texts.mail(brief, PAY, STOP)


def test_a_settled_receipt_asks_for_nothing(texts: Texts) -> None:
    brief = sample("receipt")
    mail = texts.mail(replace(brief, invoices=(replace(brief.lead, balance=rupiah(0)),)), PAY, STOP)
    for part in (mail.text, mail.html):
        assert "lunas" in part.lower()
        assert PAY not in part
        assert COMPANY.accounts[0].number not in part


def test_follow_ups_grow_firmer(texts: Texts) -> None:
    said = {
        texts.mail(replace(sample("follow_up"), tone=tone, ordinal=ordinal), PAY, STOP).text
        for tone in Tone
        for ordinal in (1, 2)
    }
    assert len(said) == 4


def test_the_greeting_does_not_double_a_title(texts: Texts) -> None:
    brief = sample("remind")

    def greeting(name: str | None) -> str:
        return texts.mail(replace(brief, to=replace(brief.to, contact_name=name)), PAY, STOP).text.splitlines()[0]

    assert greeting("Sari Wulandari") == "Yth. Bapak/Ibu Sari Wulandari,"
    assert greeting("Ibu Sari Wulandari") == "Yth. Ibu Sari Wulandari,"
    assert greeting("Bpk. Budi") == "Yth. Bpk. Budi,"
    assert greeting("Budiman") == "Yth. Bapak/Ibu Budiman,"
    assert greeting(None) == "Yth. PT Sinar Abadi,"


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_text_message_fits_in_two_segments_of_the_cheap_alphabet(texts: Texts, kind: str, language: str) -> None:
    for brief in samples.notices(kind, language, Channel.SMS):
        message = texts.sms(brief, PAY)
        assert "\n" not in message
        assert gsm7.segments(message) <= 2
        assert PAY in message or (kind == "receipt" and brief.balance.minor == 0)


def test_segments() -> None:
    assert gsm7.segments("x" * 160) == 1
    assert gsm7.segments("x" * 161) == 2
    assert gsm7.segments("€" * 80) == 1
    assert gsm7.segments("€" * 81) == 2
    assert gsm7.segments("č" * 70) == 1
    assert gsm7.segments("č" * 71) == 2
    assert gsm7.segments("😀" * 35) == 1
    assert gsm7.plain("“Sari”\u00a0–\n it’s…") == '"Sari" - it\'s...'


def test_nobody_is_called_a_debtor_or_threatened() -> None:
    forbidden = re.compile(
        r"debtor|debitur|delinquent|penunggak|hukum|pengadilan|legal action|court|lawsuit", re.IGNORECASE
    )
    for path in ROOT.rglob("*"):
        if path.suffix in {".txt", ".toml", ".mjml", ".typ"}:
            assert not forbidden.search(path.read_text("utf-8")), path.name


HOSTILE = [
    "{{ company.name }}{% for x in invoices %}x{% endfor %}",
    "<script>alert(1)</script>",
    "</mj-text><mj-button href='https://evil.example'>Pay</mj-button>",
    '" onload="alert(1)',
    "&lt;b&gt; &amp; &#60;",
    "<!-- [if mso]> -->",
    "<mj-include path='/etc/passwd' />",
]


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_data_is_shown_as_it_is(texts: Texts, hostile: str) -> None:
    brief = sample("remind")
    harmless = texts.mail(brief, PAY, STOP)
    lead = replace(brief.lead, number=hostile[:60], purchase_order=hostile[:60])
    to = replace(brief.to, contact_name=hostile, customer_name=hostile)
    mail = texts.mail(replace(brief, to=to, invoices=(lead,)), PAY, STOP)
    assert hostile in mail.text
    assert re.findall(r"<(\w[\w-]*)", mail.html) == re.findall(r"<(\w[\w-]*)", harmless.html)
    assert re.findall(r'href="([^"]*)"', mail.html) == re.findall(r'href="([^"]*)"', harmless.html)
    assert texts.sms(replace(brief, invoices=(lead,)), PAY)


def test_data_cannot_break_a_line_or_hide_in_one(texts: Texts) -> None:
    brief = sample("remind")
    name = "Sari\r\nBcc: x@evil.example\u2028\x00\u202etxt\u200b"
    mail = texts.mail(replace(brief, to=replace(brief.to, contact_name=name)), PAY, STOP)
    assert mail.text.splitlines()[0] == "Yth. Bapak/Ibu Sari Bcc: x@evil.example txt,"
    long = texts.mail(replace(brief, to=replace(brief.to, contact_name="S" * 5000)), PAY, STOP)
    assert len(long.text) < 2000


@pytest.mark.parametrize("url", ["javascript:alert(1)", "https://x.example/\nBcc: y", "https://x.example/a b", ""])
def test_a_link_is_a_link(texts: Texts, url: str) -> None:
    with pytest.raises(BriefError, match="link"):
        texts.mail(sample("remind"), url, STOP)
    with pytest.raises(BriefError, match="link"):
        texts.mail(sample("remind"), PAY, url)


def test_an_unknown_language_is_named(texts: Texts) -> None:
    brief = sample("remind")
    with pytest.raises(BriefError, match="'fr'"):
        texts.mail(replace(brief, to=replace(brief.to, language="fr")), PAY, STOP)


def test_a_missing_template_is_named_at_start_up(texts: Texts) -> None:
    with pytest.raises(TemplateError, match=r"email/id/sing\.txt is missing"):
        texts.check(kinds=("sing",))


def override(root: Path, name: str, source: str) -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source, "utf-8")
    return root


WORDING = "{% block subject %}s{% endblock %}{% block label %}l{% endblock %}{% block message %}m SOURCE{% endblock %}"


def test_a_creditor_can_word_a_notice_anew(tmp_path: Path) -> None:
    override(tmp_path, "email/en/remind.txt", WORDING.replace("SOURCE", "for {{ what }}.\n\nSecond."))
    override(tmp_path, "words/en.toml", '[mail]\npay_now = "Settle"\n')
    texts = Texts(COMPANY, tmp_path)
    texts.check()
    mail = texts.mail(sample("remind", "en"), PAY, STOP)
    assert mail.subject == "s"
    assert "m for invoice INV/2026/11/0042.\n\nSecond." in mail.text
    assert "<p>Second.</p>" in mail.html
    assert "Settle:" in mail.text


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("{{ whit }}", "did you mean 'what'"),
        ("{% if firm %}{{ whit }}{% endif %}", "no field 'whit'"),
        ("{{ company.nmae }}", r"did you mean 'company\.name'"),
        ("{{ company }}", "no field 'company'"),
        ("{{ what.__class__ }}", "no field 'what'"),
        ("{{ company.__class__ }}", r"no field 'company\.__class__'"),
        ("{{ company['name'] }}", "getitem is not allowed"),
        ("{{ company.name.upper() }}", "call is not allowed"),
        ("{{ range(10) }}", "call is not allowed"),
        ("{{ what|upper }}", "filter is not allowed"),
        ("{{ 9 ** 9999999 }}", "pow is not allowed"),
        ("{{ 'x' * 9999999 }}", "mul is not allowed"),
        ("{{ what ~ what }}", "concat is not allowed"),
        ("{% set x = 1 %}", "assign is not allowed"),
        ("{% include 'email/layout.txt' %}", "include is not allowed"),
        ("{% import 'email/layout.txt' as x %}", "import is not allowed"),
        ("{% for x in invoices %}{{ x.number }}{% endfor %}", "no field 'invoices'"),
        ("{% macro x() %}{% endmacro %}", "macro is not allowed"),
        ("{{ self.message() }}", "call is not allowed"),
        ("{% if %}", "line 1"),
        ("x" * 70_000, "longer than"),
    ],
)
def test_a_template_that_says_more_than_it_may_is_refused_at_start_up(
    tmp_path: Path, source: str, complaint: str
) -> None:
    root = override(tmp_path, "email/id/remind.txt", WORDING.replace("SOURCE", source))
    with pytest.raises(TemplateError, match=complaint) as refused:
        Texts(COMPANY, root).check(kinds=("remind",), languages=("id",), channels=(Channel.EMAIL,))
    assert "email/id/remind.txt" in str(refused.value)


def test_a_layout_may_loop_but_not_inside_a_loop(tmp_path: Path) -> None:
    nested = "{% for x in invoices %}{% for y in invoices %}{{ y.number }}{% endfor %}{% endfor %}"
    with pytest.raises(TemplateError, match=r"layout\.txt, line 1: a loop inside a loop"):
        Texts(COMPANY, override(tmp_path, "email/layout.txt", nested)).check(kinds=("remind",))


def test_broken_mjml_is_found_at_start_up(tmp_path: Path) -> None:
    root = override(tmp_path, "email/layout.mjml", "<mjml><mj-body><mj-text>{{ subject }}")
    with pytest.raises(TemplateError, match=r"layout\.mjml is not valid MJML"):
        Texts(COMPANY, root).check(kinds=("remind",))


def test_wording_must_have_its_parts(tmp_path: Path) -> None:
    root = override(tmp_path, "email/id/remind.txt", "{% block subject %}s{% endblock %}")
    with pytest.raises(TemplateError, match="has no label"):
        Texts(COMPANY, root).check(kinds=("remind",))
    override(root, "email/id/remind.txt", WORDING.replace("m SOURCE", "{% if late %}late{% endif %}"))
    with pytest.raises(TemplateError, match="says nothing in its block message"):
        Texts(COMPANY, root).check(kinds=("remind",))


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ('[mail]\npay_nwo = "x"', r"no phrase mail\.pay_nwo"),
        ("[mail]\npay_now = 1", r"mail\.pay_now is not text"),
        ("pay_now = 'x'", "is not a section"),
        ("[mail", "cannot be read"),
        ('[mail]\nlate = "{days.__class__} {dayz}"', "dayz"),
    ],
)
def test_wrong_phrases_are_found_at_start_up(tmp_path: Path, words: str, complaint: str) -> None:
    override(tmp_path, "words/id.toml", words)
    with pytest.raises(TemplateError, match=complaint):
        Texts(COMPANY, tmp_path).check(kinds=("remind",))


def test_both_languages_have_the_same_phrases() -> None:
    import tomllib

    first, second = (
        {name: sorted(phrases) for name, phrases in tomllib.loads((ROOT / f"words/{each}.toml").read_text()).items()}
        for each in LANGUAGES
    )
    assert first == second


def test_no_phrase_is_named_like_a_method_of_the_dict_that_it_is_in() -> None:
    import tomllib

    for sections in (tomllib.loads((ROOT / f"words/{each}.toml").read_text()) for each in LANGUAGES):
        for phrases in sections.values():
            assert not [name for name in phrases if hasattr(dict, name)], "a template would show the method"


def test_the_digest_follows_the_sources(texts: Texts, tmp_path: Path) -> None:
    digest = texts.digest("remind", Channel.EMAIL, "id")
    assert re.fullmatch(r"[0-9a-f]{12}", digest)
    assert digest == Texts(COMPANY).digest("remind", Channel.EMAIL, "id")
    others = {texts.digest(kind, channel, each) for kind in KINDS for channel in Channel for each in LANGUAGES}
    assert len(others) == len(KINDS) * 4
    changed = Texts(COMPANY, override(tmp_path, "words/id.toml", '[mail]\npay_now = "Bayar"'))
    assert changed.digest("remind", Channel.EMAIL, "id") != digest
    assert changed.digest("remind", Channel.EMAIL, "en") == texts.digest("remind", Channel.EMAIL, "en")


@pytest.mark.parametrize(
    ("money", "indonesian", "english"),
    [
        (Money(1_250_000_000, Currency.IDR), "Rp 12.500.000", "IDR 12,500,000"),
        (Money(1_250_000_050, Currency.IDR), "Rp 12.500.000,50", "IDR 12,500,000.50"),
        (Money(0, Currency.IDR), "Rp 0", "IDR 0"),
        (Money(-50_000, Currency.IDR), "-Rp 500", "-IDR 500"),
        (Money(123_400, Currency.USD), "USD 1.234,00", "USD 1,234.00"),
        (Money(1_234, Currency.JPY), "JPY 1.234", "JPY 1,234"),
        (Money(10**15 - 1, Currency.IDR), "Rp 9.999.999.999.999,99", "IDR 9,999,999,999,999.99"),
    ],
)
def test_amounts(money: Money, indonesian: str, english: str) -> None:
    assert amount(money, "id") == indonesian
    assert amount(money, "en") == english


def test_dates_quantities_and_phrases() -> None:
    assert long_date(date(2026, 8, 5), "id") == "5 Agustus 2026"
    assert long_date(date(2026, 8, 5), "en") == "5 August 2026"
    written = {"2": "2", "1234.50": "1.234,50", "-0.5": "-0,5", "1e9": "1e9", "two": "two"}
    assert {each: quantity(each, "id") for each in written} == written
    assert filled("{a} {b}", a="{b}", b="x") == "{b} x"
    assert readable("e\u0301  \t x", 3) == "é x"
    assert readable("abcdef", 4) == "abc…"


def test_lateness_in_words(texts: Texts) -> None:
    brief = sample("due_notice")

    def said(days: int) -> str:
        invoice = replace(brief.lead, due_on=brief.today - timedelta(days=days))
        return texts.mail(replace(brief, invoices=(invoice,)), PAY, STOP).text

    assert "(besok)" in said(-1)
    assert "jatuh tempo hari ini" in said(0)
    assert "(lewat 1 hari)" in said(1)
    assert "hari ini" not in said(2)
