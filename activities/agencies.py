"""Handing invoices over to a collection agency, and taking them back.

    AgencyError
    ├── AgencyNotReady   a paper that has to be on record is not; names the settings
    └── PackageError     this package must not be handed over

An agency's licence, certificate and contract are recorded before anything is placed (SEOJK 19/2023); a recall needs
none of them, only somebody to tell.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Protocol

from activities.agency_letters import AgencyLetters
from activities.mail import Attachment
from lunas.briefs import InvoiceBrief, Recipient
from lunas.company import Company
from templates.wording import readable


class AgencyError(Exception):
    """Nothing was handed over, or taken back."""


class AgencyNotReady(AgencyError):
    """The agency's papers are not all on record; `missing` are the settings that would say so."""

    def __init__(self, missing: Iterable[str]) -> None:
        self.missing = tuple(missing)
        super().__init__(f"the agency's papers are not all on record: set {', '.join(self.missing)}")


class PackageError(AgencyError):
    """This package must not be handed over: says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class AgencyPapers:
    """What is on record about an agency: name, address, and the numbers of licence, certificate and our contract."""

    name: str
    email: str
    licence: str
    certificate: str
    contract: str


@dataclass(frozen=True, slots=True)
class PlacementPackage:
    """All that an agency needs to collect one invoice. Personal data.

    `statement` is the statement of account as PDF; `emails` and `phones` are approved contacts, the best first.
    """

    invoice: InvoiceBrief
    to: Recipient
    emails: tuple[str, ...]
    phones: tuple[str, ...]
    placed_on: date
    approved_by: str
    statement: bytes
    final_demand_on: date | None = None


@dataclass(frozen=True, slots=True)
class Recall:
    """An invoice that the agency is to leave alone from now on; `agency_reference` is what the agency calls it."""

    number: str
    customer_code: str
    reason: str
    recalled_on: date
    agency_reference: str | None = None


@dataclass(frozen=True, slots=True)
class Handover:
    """The package has been handed over; `reference` is the agency's, where it gave one at once."""

    agency: str
    reference: str | None = None


class Agency(Protocol):
    """A collection agency."""

    @property
    def name(self) -> str:
        """What the ledger calls it."""
        ...

    async def place(self, package: PlacementPackage, key: str) -> Handover:
        """Hand the package over; `key` names the placement, so that a repeated one is recognised.

        Raises AgencyError, and what the way to the agency raises.
        """
        ...

    async def recall(self, recall: Recall, key: str) -> None:
        """Tell it to stop. Raises AgencyNotReady, and what the way to the agency raises."""
        ...


@dataclass(frozen=True, slots=True)
class Letter:
    """A mail to a business partner, in plain text."""

    to_address: str
    to_name: str
    subject: str
    text: str
    attachments: tuple[Attachment, ...] = ()


class Mailer(Protocol):
    """Sends letters."""

    async def send(self, letter: Letter, key: str) -> None:
        """Send it; `key` makes its Message-ID, so that a repeated letter is seen as the same one."""
        ...


class MailedAgency:
    """An agency that takes placements by mail: a CSV file with one row, and the statement of account.

    Files below `override` replace shipped templates of the same name.
    """

    def __init__(self, papers: AgencyPapers, company: Company, mailer: Mailer, override: Path | None = None) -> None:
        self._papers = papers
        self._letters = AgencyLetters(company, override)
        self._company = company
        self._mailer = mailer

    @property
    def name(self) -> str:
        """What the ledger calls it."""
        return self._papers.name

    async def place(self, package: PlacementPackage, key: str) -> Handover:
        """Mail the package. Raises AgencyNotReady or PackageError before anything leaves."""
        self._require("name", "email", "licence", "certificate", "contract")
        if package.invoice.balance.minor <= 0:
            raise PackageError(f"nothing is open on invoice {package.invoice.number}: there is nothing to collect")
        if not package.statement.startswith(b"%PDF-"):
            raise PackageError("the statement of account is not a PDF document: make it anew")
        number = readable(package.invoice.number, 64)
        file_name = re.sub(r"[^A-Za-z0-9._-]+", "-", number)
        words = self._letters.placement(
            agency=self._papers.name,
            number=number,
            customer_code=package.to.customer_code,
            day=package.placed_on,
            balance=package.invoice.balance,
            contract=self._papers.contract,
            reference=key,
        )
        letter = self._letter(
            words,
            Attachment(f"placement-{file_name}.csv", placement_csv(package, self._company, key), "text/csv"),
            Attachment(f"statement-{file_name}.pdf", package.statement, "application/pdf"),
        )
        await self._mailer.send(letter, key)
        return Handover(self.name)

    async def recall(self, recall: Recall, key: str) -> None:
        """Mail the recall. Raises AgencyNotReady where nobody can be told."""
        self._require("email")
        words = self._letters.recall(
            agency=self._papers.name,
            number=recall.number,
            customer_code=recall.customer_code,
            day=recall.recalled_on,
            agency_reference=recall.agency_reference or "",
            reason=recall.reason,
            contract=self._papers.contract,
            reference=key,
        )
        await self._mailer.send(self._letter(words), key)

    def _require(self, *papers: str) -> None:
        missing = [f"LUNAS_AGENCY_{each.upper()}" for each in papers if not getattr(self._papers, each).strip()]
        if missing:
            raise AgencyNotReady(missing)

    def _letter(self, words: tuple[str, str], *attachments: Attachment) -> Letter:
        return Letter(self._papers.email, readable(self._papers.name), *words, attachments)


def placement_csv(package: PlacementPackage, company: Company, key: str) -> bytes:
    """The package as CSV for a spreadsheet or a program: UTF-8 with a byte-order mark, a header, and one row.

    Amounts are plain decimals in major units, dates ISO 8601; every text cell is inert.
    """
    invoice, to = package.invoice, package.to
    row = {
        "reference": key,
        "creditor": company.name,
        "customer_code": to.customer_code,
        "customer_name": to.customer_name,
        "contact_name": to.contact_name or "",
        "postal_address": to.postal_address or "",
        "emails": " ".join(package.emails),
        "phones": " ".join(package.phones),
        "language": to.language,
        "invoice_number": invoice.number,
        "purchase_order": invoice.purchase_order or "",
        "issued_on": invoice.issued_on.isoformat(),
        "due_on": invoice.due_on.isoformat(),
        "days_late": str(invoice.days_late(package.placed_on)),
        "currency": invoice.balance.currency.value,
        "invoiced": str(invoice.total.major),
        "balance": str(invoice.balance.major),
        "final_demand_on": package.final_demand_on.isoformat() if package.final_demand_on else "",
        "placed_on": package.placed_on.isoformat(),
        "approved_by": package.approved_by,
    }
    file = io.StringIO()
    writer = csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerow(row)
    writer.writerow(inert_cell(value) for value in row.values())
    return file.getvalue().encode("utf-8-sig")


_FORMULA = re.compile(r"\s*[=+\-@|%＝＋－＠]")


def inert_cell(text: str) -> str:
    """The text on one line, as a spreadsheet shows it and never computes it.

    What could begin a formula gets an apostrophe before it. A semicolon becomes a comma: where commas are decimal
    signs, spreadsheets part cells at semicolons, and so a formula could begin in the middle of the text.
    """
    line = readable(text, 1000).replace(";", ",")
    return f"'{line}" if _FORMULA.match(line) else line
