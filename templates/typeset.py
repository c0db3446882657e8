"""The PDF invoice and the PDF statement: PDF/A-3, the same bytes for the same data, in the reader's language.

Layout is in `documents/*.typ`. Data reaches it as JSON, so that nothing in it can be taken for markup. They are typeset
here, and not in an activity, because the customer's page shows the same PDF that the first mail carried.
"""

from __future__ import annotations

import json
import re
import threading
import unicodedata
from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from functools import cache
from pathlib import Path
from typing import Any

import fontpkg
import typst

from lunas.briefs import BriefError, InvoiceBrief, Recipient
from lunas.company import Company
from templates import ROOT
from templates.creditor import company_fields
from templates.wording import (
    Section,
    amount,
    filled,
    load_words,
    long_date,
    quantity,
    readable,
    readable_lines,
    short_date,
)

_DOCUMENTS = ROOT / "documents"
# Archivable and accessible; a name in a script that no font has cannot be, see `_compile`.
_ARCHIVABLE: list[typst.PDFStandard] = ["a-3a"]
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")

Data = dict[str, Any]


class DocumentError(RuntimeError):
    """A document could not be typeset: names the template and what it stumbled over."""


def invoice_pdf(brief: InvoiceBrief, to: Recipient, company: Company) -> bytes:
    """The invoice as it stands: lines, total, what has been paid, what is open until when, and how to pay it."""
    language = to.language
    words = _words(language)
    number = readable(brief.number, 60)
    due_on = long_date(brief.due_on, language)
    facts = [
        (words["number"], number),
        (words["issued_on"], long_date(brief.issued_on, language)),
        (words["due_on"], due_on),
    ]
    if brief.purchase_order:
        facts.append((words["purchase_order"], readable(brief.purchase_order, 60)))
    facts.append((words["customer_code"], readable(to.customer_code, 60)))
    settled = brief.balance.minor <= 0
    data = _letter(to, company, words, heading=words["invoice"], title=f"{words['invoice']} {number}")
    if to.contact_name:
        data["customer"]["lines"].append(filled(words["attention"], name=readable(to.contact_name)))
    data |= {
        "facts": facts,
        "due_on": due_on,
        "settled": settled,
        "balance": words["settled"] if settled else amount(brief.balance, language),
        "lines": [
            {
                "description": readable(line.description, 500),
                "quantity": quantity(line.quantity, language),
                "unit_price": amount(line.unit_price, language),
                "amount": amount(line.amount, language),
            }
            for line in brief.lines
        ],
        "sums": _sums(brief, words, language),
        "terms": _terms(brief, words, due_on),
        "early": _early(brief, words, language),
        "mention": filled(words["mention"], number=number),
    }
    return _compile("invoice.typ", data, made_on=brief.issued_on)


def statement_pdf(
    invoices: Sequence[InvoiceBrief],
    to: Recipient,
    company: Company,
    *,
    as_of: date,
    history: Sequence[tuple[date, str]] = (),
    language: str | None = None,
) -> bytes:
    """What the customer `to` owes on `as_of`, and what happened so far: for whoever takes the collection over.

    The invoices are in one currency; `language` is the reader's, the customer's own if none is given.
    """
    if not invoices:
        raise BriefError("a statement has at least one invoice")
    language = language or to.language
    words = _words(language)
    balance = invoices[0].balance
    for invoice in invoices[1:]:
        balance += invoice.balance
    facts = [(words["customer_code"], readable(to.customer_code, 60))]
    if to.contact_name:
        facts.append((words["contact"], readable(to.contact_name)))
    if to.address:
        facts.append(("", readable(to.address)))
    heading = words["statement"]
    data = _letter(to, company, words, heading=heading, title=f"{heading}, {readable(to.customer_name)}") | {
        "language": language,
        "facts": facts,
        "as_of": filled(words["statement_as_of"], date=long_date(as_of, language)),
        "balance": amount(balance, language),
        "invoices": [
            {
                "number": readable(each.number, 60),
                "issued_on": short_date(each.issued_on, language),
                "due_on": short_date(each.due_on, language),
                "days_late": str(max(each.days_late(as_of), 0)),
                "total": amount(each.total, language),
                "balance": amount(each.balance, language),
            }
            for each in invoices
        ],
        "history": [(short_date(day, language), readable(text, 500)) for day, text in history],
    }
    return _compile("statement.typ", data, made_on=as_of)


def pdf_name(number: str) -> str:
    """A file name for the PDF of an invoice with this number: `INV/2026/11/0042` becomes `INV-2026-11-0042.pdf`."""
    ascii_only = unicodedata.normalize("NFKD", number).encode("ascii", "ignore").decode()
    stem = _UNSAFE.sub("-", ascii_only).strip("-.")[:80].rstrip("-.")
    return f"{stem or 'invoice'}.pdf"


def _letter(to: Recipient, company: Company, words: Section, *, heading: str, title: str) -> Data:
    """What both documents show around their subject."""
    ours = company_fields(company, words)
    contact = [ours["phone"], ours["email"], ours["tax_id"]]
    return {
        "title": title,
        "heading": heading,
        "language": to.language,
        "words": words,
        "company": {**ours, "contact": [each for each in contact if each]},
        "customer": {"name": readable(to.customer_name), "lines": readable_lines(to.postal_address or "")},
        "accounts": [
            {
                "bank": readable(each.bank),
                "number": readable(each.number, 60),
                "holder": filled(words["holder"], holder=readable(each.holder)),
            }
            for each in company.accounts
        ],
    }


def _sums(brief: InvoiceBrief, words: Section, language: str) -> list[tuple[str, str]]:
    """The total, and what lies between it and the balance; nothing where the two are the same."""
    change = brief.balance - brief.total
    if not change.minor:
        return []
    reason = words["paid" if change.minor < 0 else "charges"]
    return [(words["total"], amount(brief.total, language)), (reason, amount(change, language))]


def _terms(brief: InvoiceBrief, words: Section, due_on: str) -> str:
    days = (brief.due_on - brief.issued_on).days
    if days <= 0:
        return filled(words["terms_at_once"], due_on=due_on)
    return filled(words["terms_net"], days=str(days), due_on=due_on)


def _early(brief: InvoiceBrief, words: Section, language: str) -> str:
    early = brief.early_payment
    if early is None:
        return ""
    return filled(
        words["terms_early"],
        amount=amount(brief.balance - early.amount, language),
        discount=amount(early.amount, language),
        until=long_date(early.until, language),
    )


@cache
def _words(language: str) -> Section:
    return load_words(language)["document"]


@cache
def _compiler() -> typst.Compiler:
    """One for the process: it has read the fonts. Any other font package that is installed fills gaps in ours."""
    folders: list[Path] = sorted({file.path.parent for family in fontpkg.families().values() for file in family.files})
    return typst.Compiler(root=_DOCUMENTS, font_paths=folders, ignore_system_fonts=True)


_ONE_AT_A_TIME = threading.Lock()


def _compile(name: str, data: Data, *, made_on: date) -> bytes:
    """Typeset as PDF/A-3; a text that no installed font can show makes it an ordinary PDF instead.

    The data's own date is the document's: the same data gives the same bytes.
    """
    inputs = {"data": json.dumps(data, ensure_ascii=False)}
    moment = int(datetime.combine(made_on, time(), UTC).timestamp())
    with _ONE_AT_A_TIME:
        compiler = _compiler()
        try:
            return _pdf(compiler, name, inputs, moment, _ARCHIVABLE)
        except typst.TypstError:
            try:
                return _pdf(compiler, name, inputs, moment, [])
            except typst.TypstError as error:
                raise DocumentError(f"documents/{name} cannot be typeset: {error.message}") from None


def _pdf(
    compiler: typst.Compiler,
    name: str,
    inputs: dict[str, str],
    moment: int,
    standards: list[typst.PDFStandard],
) -> bytes:
    pdf = compiler.compile(
        str(_DOCUMENTS / name), format="pdf", sys_inputs=inputs, timestamp=moment, pdf_standards=standards
    )
    assert isinstance(pdf, bytes)
    return pdf
