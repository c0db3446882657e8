"""What templates get: a brief turned into strings and flags, with nothing in it that could be called."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import TypedDict, get_args, get_origin, get_type_hints, is_typeddict

from lunas.briefs import BriefError, InvoiceBrief, NoticeBrief, PaymentWay
from lunas.company import Company
from lunas.ledger.offers import BANK_TRANSFER
from lunas.receivables.ladder import Tone
from templates.creditor import CompanyFields, company_fields
from templates.grammar import Shape
from templates.wording import (
    Section,
    amount,
    filled,
    long_date,
    readable,
    short_date,
)


class AccountFields(TypedDict):
    """An account to pay into."""

    bank: str
    number: str
    holder: str  # a phrase


class WayFields(TypedDict):
    """One line of a way to pay that was made ready for the invoice."""

    heading: str  # what way it is; empty but on its first line
    label: str
    value: str
    url: str  # where the value leads, or empty


class InvoiceFields(TypedDict):
    """One invoice of the notice."""

    number: str
    due_on: str
    lateness: str  # "lewat 3 hari", "hari ini", "besok"
    late: bool
    balance: str
    part_paid: str  # "sisa dari Rp 2.000.000", or empty
    settled: bool
    purchase_order: str  # a phrase, or empty


class InstalmentFields(TypedDict):
    """One instalment of a plan."""

    amount: str
    pay_by: str


class Fields(TypedDict):
    """What wording may speak of: dates and amounts are written out in the reader's language."""

    language: str
    company: CompanyFields
    what: str  # "faktur INV/2026/11/0042", or "3 faktur"
    what_capital: str
    number: str  # of the leading invoice, as are the five after it
    due_on: str
    due_short: str
    lateness: str
    late: bool
    due_today: bool
    many: bool
    count: str
    total: str  # what is open on all of them
    settled: bool  # nothing is open any more
    firm: bool
    ordinal: str
    repeated: bool  # there was a follow-up before this one
    attached: bool  # the invoice's PDF travels along
    receipt: bool
    today: str
    pay_by: str  # empty where the kind has none, as are the two after it
    pay_by_short: str
    paid: str
    promised: str  # a part that is promised, and what it leaves; both empty where all is promised
    rest: str
    instalments: list[InstalmentFields]  # where what is promised is a plan: all of them
    offered: bool  # ways to pay were made ready
    ways_short: str  # as many of them as the message has room for, on one line
    pay_url: str


class MailFields(Fields):
    """What the layout of a mail speaks of besides."""

    invoices: list[InvoiceFields]
    accounts: list[AccountFields]
    ways: list[WayFields]
    transfer: bool  # one of the ways is a transfer to our accounts
    offers: list[str]
    paragraphs: list[str]
    words: Section
    subject: str
    preview: str
    label: str
    greeting: str
    questions: str
    amount_label: str
    amount: str
    deadline: str  # empty where the wording has none
    button: str
    unsubscribe_url: str


#: The fields that a kind cannot do without.
_NEEDS = {"final_demand": "pay_by", "promise_confirmed": "pay_by", "receipt": "paid"}
_LINK = re.compile(r"https?://[!-~]+")


def fields_of(brief: NoticeBrief, company: Company, words: Section, pay_url: str, most_ways: int = 0) -> Fields:
    """The fields of wording, with room for `most_ways` of `short_ways`.

    Raises BriefError where the brief lacks what its kind has to say.
    """
    missing = _NEEDS.get(brief.kind)
    if missing is not None and getattr(brief, missing) is None:
        raise BriefError(f"a {brief.kind} notice has to say {missing}: the brief has none")
    language, lead = brief.to.language, brief.lead
    count = str(len(brief.invoices))
    number = readable(lead.number, 60)
    what = filled(words["many"], count=count) if len(brief.invoices) > 1 else filled(words["one"], number=number)
    return {
        "language": language,
        "company": company_fields(company, words),
        "what": what,
        "what_capital": what[:1].upper() + what[1:],
        "number": number,
        "due_on": long_date(lead.due_on, language),
        "due_short": short_date(lead.due_on, language),
        "lateness": _lateness(lead, brief.today, words),
        "late": lead.days_late(brief.today) > 0,
        "due_today": lead.days_late(brief.today) == 0,
        "many": len(brief.invoices) > 1,
        "count": count,
        "total": amount(brief.balance, language),
        "settled": brief.balance.minor <= 0,
        "firm": brief.tone is Tone.FIRM,
        "ordinal": str(brief.ordinal),
        "repeated": brief.ordinal > 1,
        "attached": brief.first_mail,
        "receipt": brief.kind == "receipt",
        "today": long_date(brief.today, language),
        "pay_by": "" if brief.pay_by is None else long_date(brief.pay_by, language),
        "pay_by_short": "" if brief.pay_by is None else short_date(brief.pay_by, language),
        "paid": "" if brief.paid is None else amount(brief.paid, language),
        "promised": amount(brief.promised[0].amount, language) if brief.promised else "",
        "rest": amount(brief.balance - brief.promised[0].amount, language) if brief.promised else "",
        "instalments": _instalments(brief),
        "offered": bool(brief.ways),
        "ways_short": "; ".join(short_ways(brief, words)[:most_ways]),
        "pay_url": link(pay_url),
    }


@dataclass(frozen=True, slots=True)
class Wording:
    """What a mail's own file says: the parts that the layout is put around. `deadline` may be empty."""

    subject: str
    label: str
    message: str
    deadline: str
    button: str


def mail_fields(
    brief: NoticeBrief,
    company: Company,
    words: Section,
    fields: Fields,
    wording: Wording,
    unsubscribe_url: str,
) -> MailFields:
    """The fields of the layout, around the `wording` that was rendered from `fields`."""
    subject, deadline = readable(wording.subject), readable(wording.deadline)
    label = words["amount_many" if fields["many"] else "amount"]
    headline = fields["total"]
    if fields["receipt"]:
        label, headline = words["received"], fields["paid"]
    elif fields["promised"]:
        label, headline = words["promised"], fields["promised"]
    transfer = any(way.method == BANK_TRANSFER for way in brief.ways)
    ending = words["settled"] if fields["settled"] else deadline or f"{words['due']} {fields['due_on']}"
    return {
        **fields,
        "invoices": [_invoice(each, brief, words) for each in brief.invoices],
        "accounts": [] if fields["settled"] or transfer else _accounts(company, words),
        "ways": [line for way in brief.ways for line in _way(way, company, words, brief.to.language)],
        "transfer": transfer,
        "offers": [] if fields["receipt"] else _offers(brief, words),
        "paragraphs": [" ".join(each.split()) for each in re.split(r"\n\s*\n", wording.message) if each.strip()],
        "words": words,
        "subject": subject,
        "preview": f"{headline} · {ending}",
        "label": readable(wording.label),
        "greeting": _greeting(brief, words),
        "questions": words["questions_receipt" if fields["receipt"] else "questions"],
        "amount_label": filled(label, count=fields["count"]),
        "amount": headline,
        "deadline": deadline,
        "button": readable(wording.button),
        "unsubscribe_url": link(unsubscribe_url),
    }


def link(url: str) -> str:
    """The URL, if it can stand in a message. Raises BriefError otherwise."""
    if not _LINK.fullmatch(url):
        raise BriefError("a link in a message is an http or https URL of visible ASCII characters")
    return url


def shape_of(fields: type, words: frozenset[str]) -> Shape:
    """What templates that get these fields (a TypedDict class) may speak of."""
    values: set[str] = set()
    records: dict[str, frozenset[str]] = {}
    lists: dict[str, frozenset[str]] = {}
    for name, kind in get_type_hints(fields).items():
        if name == "words":
            records[name] = words
        elif get_origin(kind) is list:
            (item,) = get_args(kind)
            lists[name] = _keys(item) if is_typeddict(item) else frozenset()
        elif is_typeddict(kind):
            records[name] = _keys(kind)
        else:
            values.add(name)
    return Shape(frozenset(values), records, lists)


def _keys(record: type) -> frozenset[str]:
    return frozenset(get_type_hints(record))


def _instalments(brief: NoticeBrief) -> list[InstalmentFields]:
    language = brief.to.language
    if len(brief.promised) < 2:
        return []
    return [
        {"amount": amount(one.amount, language), "pay_by": long_date(one.pay_by, language)} for one in brief.promised
    ]


def _lateness(invoice: InvoiceBrief, today: date, words: Section) -> str:
    match invoice.days_late(today):
        case 0:
            return words["today"]
        case -1:
            return words["tomorrow"]
        case 1:
            return words["late_by_one"]
        case days if days < 0:
            return filled(words["ahead"], days=str(-days))
        case days:
            return filled(words["late"], days=str(days))


def _invoice(invoice: InvoiceBrief, brief: NoticeBrief, words: Section) -> InvoiceFields:
    language = brief.to.language
    part_paid = 0 < invoice.balance.minor < invoice.total.minor
    order = readable(invoice.purchase_order or "", 60)
    return {
        "number": readable(invoice.number, 60),
        "due_on": long_date(invoice.due_on, language),
        "lateness": _lateness(invoice, brief.today, words),
        "late": invoice.days_late(brief.today) > 0,
        "balance": amount(invoice.balance, language),
        "part_paid": filled(words["part_paid"], total=amount(invoice.total, language)) if part_paid else "",
        "settled": invoice.balance.minor <= 0,
        "purchase_order": filled(words["purchase_order"], number=order) if order else "",
    }


def _accounts(company: Company, words: Section) -> list[AccountFields]:
    return [
        {
            "bank": readable(account.bank),
            "number": readable(account.number, 60),
            "holder": filled(words["holder"], holder=readable(account.holder)),
        }
        for account in company.accounts
    ]


def short_ways(brief: NoticeBrief, words: Section) -> list[str]:
    """What a text message can say of the ways to pay, a phrase each; sum and number stand in its text already."""
    language = brief.to.language
    known = {amount(brief.balance, language), readable(brief.lead.number, 60)}
    return [
        f"{readable(label, 40)} {readable(value, 120)}{until}"
        for way in brief.ways
        for until in [f" ({words['way_until']} {short_date(way.until, language)})" if way.until else ""]
        for label, value in way.instructions
        if readable(value, 60) not in known
    ]


def _way(way: PaymentWay, company: Company, words: Section, language: str) -> list[WayFields]:
    """The lines of one way to pay. The customer's own page is left out: the button leads there."""
    lines = [(label, readable(value), "") for label, value in way.instructions]
    if way.url and not way.url.startswith(f"{company.public_url}/"):
        lines.append((words["way_link"], way.url, link(way.url)))
    if way.until:
        lines.append((words["way_until"].capitalize(), long_date(way.until, language), ""))
    name = words.get(f"way_{way.method}") or readable(way.method.replace("_", " ").capitalize(), 40)
    return [
        {"heading": "" if index else name, "label": readable(label, 60), "value": value, "url": url}
        for index, (label, value, url) in enumerate(lines)
    ]


def _offers(brief: NoticeBrief, words: Section) -> list[str]:
    language = brief.to.language
    return [
        filled(
            words["early_many" if len(brief.invoices) > 1 else "early"],
            number=readable(invoice.number, 60),
            amount=amount(invoice.balance - early.amount, language),
            discount=amount(early.amount, language),
            until=long_date(early.until, language),
        )
        for invoice in brief.invoices
        if (early := invoice.early_payment) is not None
    ]


def _greeting(brief: NoticeBrief, words: Section) -> str:
    """A person by name, with a title unless the name brings one; else the customer."""
    name = readable(brief.to.contact_name or "", 80)
    if not name:
        return filled(words["greeting_as_is"], name=readable(brief.to.customer_name, 80))
    titled = name.split()[0].rstrip(".").lower() in words["titles"].lower().split()
    return filled(words["greeting_as_is" if titled else "greeting"], name=name)
