"""Placements by mail: the package, the papers that it needs, and cells that no spreadsheet computes."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from datetime import date

import pytest

from activities.agencies import (
    Agency,
    AgencyNotReady,
    AgencyPapers,
    Handover,
    Letter,
    MailedAgency,
    PackageError,
    PlacementPackage,
    Recall,
    inert_cell,
)
from lunas.briefs import InvoiceBrief, Recipient
from lunas.company import Company
from lunas.receivables.money import Currency, Money

COMPANY = Company("PT Contoh", "Jl. Melati 8", "ar@contoh.example", "+62 21 555 0100", "", (), "https://x", "a@x", "X")
PAPERS = AgencyPapers("PT Tagih Santun", "serah@tagih.example", "KEP-12/2025", "SERT-3/2025", "K/2026/7")
PACKAGE = PlacementPackage(
    invoice=InvoiceBrief(
        number="INV/2026/11/0042",
        issued_on=date(2026, 7, 1),
        due_on=date(2026, 7, 31),
        total=Money(1_250_000_000, Currency.IDR),
        balance=Money(750_000_050, Currency.IDR),
        lines=(),
        purchase_order="PO-7",
    ),
    to=Recipient("C-0042", "PT Sinar Abadi", "Sari", "sari@sinar.example", "id", "Jl. Raya 1\nBandung 40111"),
    emails=("sari@sinar.example", "ap@sinar.example"),
    phones=("+6281234567890",),
    placed_on=date(2026, 11, 6),
    approved_by="Dewi",
    statement=b"%PDF-1.7 statement",
    final_demand_on=date(2026, 10, 27),
)


class Outbox:
    """A mailer that keeps what it is given."""

    def __init__(self) -> None:
        self.letters: list[tuple[str, Letter]] = []

    async def send(self, letter: Letter, key: str) -> None:
        self.letters.append((key, letter))


def rows(content: bytes) -> list[dict[str, str]]:
    assert content.startswith(b"\xef\xbb\xbf")  # without it, spreadsheets guess the encoding
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))


async def test_a_placement_is_mailed_with_its_file_and_its_statement() -> None:
    outbox = Outbox()
    agency: Agency = MailedAgency(PAPERS, COMPANY, outbox)
    assert await agency.place(PACKAGE, "placement/7") == Handover("PT Tagih Santun")
    [(key, letter)] = outbox.letters
    assert key == "placement/7"
    assert (letter.to_address, letter.to_name) == ("serah@tagih.example", "PT Tagih Santun")
    assert "INV/2026/11/0042" in letter.subject
    for words in ("Rp 7.500.000,50", "IDR 7,500,000.50", "K/2026/7", "placement/7", "6 November 2026"):
        assert words in letter.text
    file, statement = letter.attachments
    assert (file.name, file.media_type) == ("placement-INV-2026-11-0042.csv", "text/csv")
    assert (statement.name, statement.content) == ("statement-INV-2026-11-0042.pdf", b"%PDF-1.7 statement")
    assert rows(file.content) == [
        {
            "reference": "placement/7",
            "creditor": "PT Contoh",
            "customer_code": "C-0042",
            "customer_name": "PT Sinar Abadi",
            "contact_name": "Sari",
            "postal_address": "Jl. Raya 1 Bandung 40111",
            "emails": "sari@sinar.example ap@sinar.example",
            "phones": "'+6281234567890",
            "language": "id",
            "invoice_number": "INV/2026/11/0042",
            "purchase_order": "PO-7",
            "issued_on": "2026-07-01",
            "due_on": "2026-07-31",
            "days_late": "98",
            "currency": "IDR",
            "invoiced": "12500000.00",
            "balance": "7500000.50",
            "final_demand_on": "2026-10-27",
            "placed_on": "2026-11-06",
            "approved_by": "Dewi",
        }
    ]


@pytest.mark.parametrize("missing", ["name", "email", "licence", "certificate", "contract"])
async def test_nothing_is_placed_before_every_paper_is_on_record(missing: str) -> None:
    outbox = Outbox()
    with pytest.raises(AgencyNotReady, match=f"set LUNAS_AGENCY_{missing.upper()}$") as error:
        await MailedAgency(replace(PAPERS, **{missing: " "}), COMPANY, outbox).place(PACKAGE, "k")
    assert error.value.missing == (f"LUNAS_AGENCY_{missing.upper()}",)
    assert outbox.letters == []


async def test_all_missing_papers_are_named_at_once() -> None:
    with pytest.raises(AgencyNotReady) as error:
        await MailedAgency(AgencyPapers("", "", "", "", ""), COMPANY, Outbox()).place(PACKAGE, "k")
    assert len(error.value.missing) == 5


@pytest.mark.parametrize(
    "package",
    [
        replace(PACKAGE, invoice=replace(PACKAGE.invoice, balance=Money(0, Currency.IDR))),
        replace(PACKAGE, statement=b""),
        replace(PACKAGE, statement=b"<html>error</html>"),
    ],
    ids=["settled", "no statement", "not a document"],
)
async def test_a_package_that_is_not_whole_stays_here(package: PlacementPackage) -> None:
    outbox = Outbox()
    with pytest.raises(PackageError):
        await MailedAgency(PAPERS, COMPANY, outbox).place(package, "k")
    assert outbox.letters == []


async def test_a_recall_needs_only_somebody_to_tell() -> None:
    outbox = Outbox()
    recall = Recall("INV/2026/11/0042", "C-0042", "paid\nin full", date(2026, 11, 20), "TS-88")
    await MailedAgency(replace(PAPERS, licence="", contract=""), COMPANY, outbox).recall(recall, "recall/7")
    [(key, letter)] = outbox.letters
    assert key == "recall/7"
    assert letter.attachments == ()
    for words in ("INV/2026/11/0042", "TS-88", "paid in full", "20 November 2026", "at once"):
        assert words in letter.text
    with pytest.raises(AgencyNotReady, match="LUNAS_AGENCY_EMAIL"):
        await MailedAgency(replace(PAPERS, email=""), COMPANY, outbox).recall(recall, "recall/7")


HOSTILE = [
    "=1+1",
    "=cmd|' /C calc'!A0",
    "+62",
    "-2+3",
    "@SUM(A1)",
    " \t=1",
    "\r\n=1",
    "\u200b=1",
    "＝1+1",
    "＋1",
    "|calc",
    "%0A=1",
    'x";=1+1',
    "x;=1+1;@y",
    "x\t=1",
    "x\n=1",
    'say "=1"',
]


@pytest.mark.parametrize("text", HOSTILE)
async def test_no_cell_begins_a_formula(text: str) -> None:
    outbox = Outbox()
    to = replace(PACKAGE.to, customer_name=text, contact_name=text, postal_address=text, customer_code=text)
    package = replace(PACKAGE, to=to, approved_by=text, emails=(text,), phones=(text,))
    package = replace(package, invoice=replace(package.invoice, number=text, purchase_order=text))
    await MailedAgency(PAPERS, COMPANY, outbox).place(package, text)
    content = outbox.letters[0][1].attachments[0].content
    text_of_file = content.decode("utf-8-sig")
    assert text_of_file.count("\r\n") == 2
    for separator in (",", ";", "\t"):  # whatever the reader's country takes for one
        for row in csv.reader(io.StringIO(text_of_file, newline=""), delimiter=separator):
            for cell in row:
                assert cell.strip()[:1] not in {"=", "+", "-", "@", "|", "%", "＝", "＋", "－", "＠"}


def test_ordinary_names_stay_as_they_are() -> None:
    for text in ("PT Sinar Abadi", "O'Neil & Söhne", "Toko “Maju”", "a=b", "c/o Budi", ""):
        assert inert_cell(text) == text
