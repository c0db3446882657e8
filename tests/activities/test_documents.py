"""The PDF invoice and statement, read back with pypdf."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date

import pytest
from pypdf import PdfReader

from activities.samples import invoice, rupiah
from lunas.briefs import BriefError, EarlyPayment, InvoiceBrief, Line, Recipient
from lunas.company import BankAccount, Company
from lunas.receivables.money import MoneyError
from templates.typeset import invoice_pdf, pdf_name, statement_pdf

COMPANY = Company(
    name="PT Nusantara Teknologi",
    postal_address="Menara Sudirman Lt. 12\nJakarta Selatan 12190",
    email="piutang@nusantara.example",
    phone="+62 21 5098 7700",
    tax_id="01.234.567.8-901.000",
    accounts=(BankAccount("Bank Mandiri", "123-00-4567890-1", "PT Nusantara Teknologi"),),
    public_url="https://tagihan.nusantara.example",
    mail_address="tagihan@nusantara.example",
    mail_name="Tagihan Nusantara",
)
TO = Recipient(
    "C-0042", "PT Sinar Abadi", "Sari Wulandari", "sari@sinar.example", "id", "Jl. Gatot Subroto 18\nJakarta 12950"
)
BRIEF = InvoiceBrief(
    number="INV/2026/11/0042",
    issued_on=date(2026, 11, 10),
    due_on=date(2026, 12, 10),
    total=rupiah(12_500_000),
    balance=rupiah(12_500_000),
    lines=(
        Line("Jasa pemeliharaan jaringan", "1", rupiah(10_000_000), rupiah(10_000_000)),
        Line("Kunjungan teknisi", "2.5", rupiah(1_000_000), rupiah(2_500_000)),
    ),
    purchase_order="PO-7781",
    early_payment=EarlyPayment(rupiah(250_000), date(2026, 11, 20)),
)


def read(pdf: bytes) -> tuple[PdfReader, str]:
    reader = PdfReader(io.BytesIO(pdf))
    return reader, " ".join(" ".join(page.extract_text() for page in reader.pages).split())


def test_an_invoice_says_all_that_it_takes_to_pay_it() -> None:
    reader, said = read(invoice_pdf(BRIEF, TO, COMPANY))
    assert len(reader.pages) == 1
    for expected in (
        "Faktur",
        "INV/2026/11/0042",
        "10 November 2026",
        "10 Desember 2026",
        "PO-7781",
        "PT Sinar Abadi",
        "Jl. Gatot Subroto 18",
        "U.p. Sari Wulandari",
        "Jasa pemeliharaan jaringan",
        "2,5",
        "Rp 2.500.000",
        "Rp 12.500.000",
        "30 hari sejak tanggal faktur",
        "Bayar Rp 12.250.000 paling lambat 20 November 2026 dan hemat Rp 250.000.",
        "Bank Mandiri",
        "123-00-4567890-1",
        "NPWP 01.234.567.8-901.000",
        "Halaman 1 dari 1",
    ):
        assert expected in said
    assert reader.metadata is not None
    assert reader.metadata.title == "Faktur INV/2026/11/0042"


def test_an_invoice_speaks_the_readers_language() -> None:
    reader, said = read(invoice_pdf(BRIEF, replace(TO, language="en"), COMPANY))
    for expected in ("Invoice", "IDR 12,500,000", "10 December 2026", "2.5", "Pay IDR 12,250,000", "Page 1 of 1"):
        assert expected in said
    assert str(reader.root_object["/Lang"]) == "en"


def test_an_invoice_shows_what_is_left_after_a_payment_and_nothing_to_pay_when_settled() -> None:
    _, partly = read(invoice_pdf(replace(BRIEF, balance=rupiah(5_000_000), early_payment=None), TO, COMPANY))
    assert "-Rp 7.500.000" in partly
    assert "Rp 5.000.000" in partly
    assert "hemat" not in partly
    _, settled = read(invoice_pdf(replace(BRIEF, balance=rupiah(0)), TO, COMPANY))
    assert "Lunas" in settled
    assert "123-00-4567890-1" not in settled
    assert "hemat" not in settled
    _, charged = read(invoice_pdf(replace(BRIEF, balance=rupiah(12_600_000)), TO, COMPANY))
    assert "Bunga dan biaya Rp 100.000" in charged


def test_the_same_data_gives_the_same_bytes_in_any_thread() -> None:
    with ThreadPoolExecutor(4) as threads:
        made = set(threads.map(lambda _: invoice_pdf(BRIEF, TO, COMPANY), range(12)))
    assert len(made) == 1
    assert invoice_pdf(replace(BRIEF, number="INV/2"), TO, COMPANY) not in made


def test_an_invoice_is_pdf_a_3_and_tagged() -> None:
    pdf = invoice_pdf(BRIEF, TO, COMPANY)
    assert b"<pdfaid:part>3</pdfaid:part>" in pdf
    assert "/StructTreeRoot" in PdfReader(io.BytesIO(pdf)).root_object


def test_many_lines_run_over_pages_under_a_repeated_head() -> None:
    reader, said = read(invoice_pdf(replace(BRIEF, lines=BRIEF.lines * 40), TO, COMPANY))
    assert len(reader.pages) == 4
    assert said.count("Harga satuan") == 3
    assert "Halaman 4 dari 4" in said


@pytest.mark.parametrize(
    "hostile",
    [
        "#panic()",
        "$x$ *b* _i_ @ref <l>",
        "\\ #import sys",
        '"], "company": {"name": "Evil',
        "#set page(fill: red)",
        "``` `",
    ],
)
def test_hostile_data_is_shown_as_it_is(hostile: str) -> None:
    brief = replace(BRIEF, number=hostile, lines=(replace(BRIEF.lines[0], description=hostile),))
    _, said = read(invoice_pdf(brief, replace(TO, customer_name=hostile, contact_name=hostile), COMPANY))
    shown = " ".join(hostile.split())
    assert said.count(shown) >= 4
    assert "PT Nusantara Teknologi" in said


def test_a_name_that_no_font_can_show_does_not_stop_the_invoice() -> None:
    pdf = invoice_pdf(BRIEF, replace(TO, customer_name="北京科技有限公司"), COMPANY)
    _, said = read(pdf)
    assert "INV/2026/11/0042" in said


def test_a_statement_lists_balances_and_history() -> None:
    invoices = (replace(BRIEF, balance=rupiah(5_000_000)), invoice("INV/2026/10/0017", days_late=42, total=4_750_500))
    history = ((date(2026, 11, 14), "Tindak lanjut 1 lewat email"), (date(2026, 11, 18), "Janji bayar, tidak ditepati"))
    _, said = read(statement_pdf(invoices, TO, COMPANY, as_of=date(2026, 12, 20), history=history))
    for expected in (
        "Rekening tagihan",
        "Keadaan per 20 Desember 2026",
        "INV/2026/11/0042",
        "INV/2026/10/0017",
        "Rp 5.000.000",
        "Rp 4.750.500",
        "Rp 9.750.500",
        "14 Nov 2026 Tindak lanjut 1 lewat email",
        "Janji bayar, tidak ditepati",
    ):
        assert expected in said
    _, english = read(statement_pdf(invoices, TO, COMPANY, as_of=date(2026, 12, 20), language="en"))
    assert "Statement of account" in english
    assert "IDR 9,750,500" in english
    assert "Nothing recorded yet." in english


def test_a_statement_needs_invoices_of_one_currency() -> None:
    with pytest.raises(BriefError, match="at least one invoice"):
        statement_pdf((), TO, COMPANY, as_of=date(2026, 12, 20))
    foreign = replace(BRIEF, balance=replace(BRIEF.balance, currency=type(BRIEF.balance.currency).USD))
    with pytest.raises(MoneyError):
        statement_pdf((BRIEF, foreign), TO, COMPANY, as_of=date(2026, 12, 20))


@pytest.mark.parametrize(
    ("number", "name"),
    [
        ("INV/2026/11/0042", "INV-2026-11-0042.pdf"),
        ("../../etc/passwd", "etc-passwd.pdf"),
        ("A\r\nB", "A-B.pdf"),
        ("Faktür №7", "Faktur-No7.pdf"),
        ("请", "invoice.pdf"),
        ("", "invoice.pdf"),
        ("x" * 500, "x" * 80 + ".pdf"),
    ],
)
def test_a_file_name_is_safe(number: str, name: str) -> None:
    assert pdf_name(number) == name
