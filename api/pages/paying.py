"""What the pay page says: an invoice's rows turned into words, with nothing in them that could be called."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from markupsafe import Markup

from api.pages.visit import Visit
from lunas.briefs import EarlyPayment, InvoiceBrief, PaymentWay
from lunas.company import Company
from lunas.ledger.movements import Movement
from lunas.ledger.offers import BANK_TRANSFER
from lunas.providers.qris import Qris, QrisError, qr_svg
from lunas.receivables.invoice import HoldKind, Instalment, Stage
from lunas.receivables.money import Money
from templates.wording import Section, Words, amount, filled, long_date, quantity, readable

_LINK = re.compile(r"https?://[!-~]+")
_SEPARATORS = re.compile(r"[\s.\u2010-\u2013-]+")


def pay_fields(
    visit: Visit, company: Company, words: Words, language: str, part: Money | None = None, static: Qris | None = None
) -> dict[str, Any]:
    """The fields of `pay.html`; `part` is what the customer wants to pay now, if not all of it.

    `static` is the creditor's own printed QRIS code, which can be made out over any part.
    """
    page, forms, brief = words["page"], words["forms"], visit.brief
    settled, late = visit.is_settled, brief.days_late(visit.today)
    return {
        **_ending(visit, page),
        "title": filled(page["title"], number=readable(brief.number, 60)),
        "number": readable(brief.number, 60),
        "settled": settled,
        "balance": amount(brief.balance, language),
        "due": filled(page["due"], date=long_date(brief.due_on, language)),
        "lateness": _lateness(late, words["mail"]),
        "late": late > 0,
        "early": "" if settled else _early(brief.early_payment, brief.balance, words, language),
        "note": "" if settled else _note(visit, page, language),
        "plan": [] if settled else _plan(visit, forms, language),
        "late_interest": "" if settled else _late_interest(visit, page, language),
        "transfer": amount(part or _transfer(visit), language),
        "part": "" if part is None else filled(forms["part_shown"], amount=amount(brief.balance - part, language)),
        "accounts": [
            {
                "bank": readable(account.bank, 60),
                "groups": groups(readable(account.number, 60)),
                "holder": filled(page["holder"], holder=readable(account.holder)),
            }
            for account in company.accounts
        ],
        "ways": [
            _way(one, visit, company, words, language)
            for way in visit.ways
            if way.method != BANK_TRANSFER and (one := _over(way, part, static)) is not None
        ],
        "facts": _facts(brief, page, language),
        "lines": [
            {
                "description": readable(line.description),
                "times": ""
                if line.quantity == "1"
                else f"{quantity(line.quantity, language)} × {amount(line.unit_price, language)}",
                "amount": amount(line.amount, language),
            }
            for line in brief.lines
        ],
        "total": amount(brief.total, language),
        "sums": _sums(visit, words, language),
        "subject": filled(page["ask_subject"], number=readable(brief.number, 60)),
    }


def groups(number: str) -> list[str]:
    """The parts of an account number, shown apart and copied as one: banks' forms take no spaces."""
    return [part for part in _SEPARATORS.split(number) if part]


def masked(address: str) -> str:
    """Enough of an address or a number for its owner to know it by."""
    name, at, domain = address.partition("@")
    return f"{name[:1]}•••@{domain}" if at else f"•••{address[-3:]}"


def _ending(visit: Visit, page: Section) -> dict[str, str]:
    """What stands in the place of an amount once nothing is asked for."""
    credited = visit.stage is Stage.CANCELLED or (visit.balance.net_received <= 0 and visit.brief.balance.minor <= 0)
    more = "credited_more" if credited else "settled_more"
    return {
        "settled_title": page["settled" if visit.stage is Stage.PAID or not credited else "nothing"],
        "settled_more": page["withdrawn" if visit.stage is Stage.CANCELLED else more],
    }


def _lateness(days: int, words: Section) -> str:
    match days:
        case 0:
            return words["today"]
        case 1:
            return words["late_by_one"]
        case -1:
            return words["tomorrow"]
        case _ if days > 0:
            return filled(words["late"], days=str(days))
        case _:
            return filled(words["ahead"], days=str(-days))


def _early(early: EarlyPayment | None, balance: Money, words: Words, language: str) -> str:
    if early is None:
        return ""
    return filled(
        words["mail"]["early"],
        amount=amount(balance - early.amount, language),
        until=long_date(early.until, language),
        discount=amount(early.amount, language),
    )


def _note(visit: Visit, page: Section, language: str) -> str:
    """What the customer has told us and we have heard."""
    hold = visit.hold
    if hold is not None and hold.kind is HoldKind.DISPUTE:
        return page["disputed"]
    if hold is not None and hold.kind is HoldKind.PROMISE and hold.promised_for is not None and not hold.instalments:
        minor = visit.brief.balance.minor if hold.amount_minor is None else hold.amount_minor
        promised = amount(Money(minor, visit.brief.balance.currency), language)
        return filled(page["promised"], amount=promised, date=long_date(hold.promised_for, language))
    return ""


def _plan(visit: Visit, words: Section, language: str) -> list[dict[str, str]]:
    """The instalments that are still to come."""
    hold = visit.hold
    if hold is None or not hold.instalments or hold.promised_for is None:
        return []
    minor = visit.brief.balance.minor if hold.amount_minor is None else hold.amount_minor
    return [
        {
            "label": filled(words["plan_by"], date=long_date(one.pay_by, language)),
            "amount": amount(Money(one.amount_minor, visit.brief.balance.currency), language),
        }
        for one in (Instalment(hold.promised_for, minor), *hold.instalments)
    ]


def _late_interest(visit: Visit, page: Section, language: str) -> str:
    """What being late could cost, where it is shown."""
    if visit.late is None or visit.late.minor <= 0:
        return ""
    return filled(page["late_interest"], amount=amount(visit.late, language))


def _transfer(visit: Visit) -> Money:
    """What a transfer to our accounts is to be: an offer may ask for an amount that stands for this invoice alone."""
    balance = visit.brief.balance
    asked = (way.minor for way in visit.ways if way.method == BANK_TRANSFER and way.minor is not None)
    return Money(next(asked, balance.minor), balance.currency)


def _over(way: PaymentWay, part: Money | None, static: Qris | None) -> PaymentWay | None:
    """The way to pay, over a part if there is one; None where it can only be used for all that is open.

    A code of our own, without a provider behind it, keeps its reference: so a payment on it finds the invoice.
    """
    if part is None:
        return way
    if way.qr is None or static is None:
        return None
    try:
        code = Qris.read(way.qr)
        if code.reference is None or static.made_dynamic(code.amount or part, code.reference) != code:
            return None
        return replace(way, qr=static.made_dynamic(part, code.reference).payload, minor=part.minor, instructions=())
    except QrisError:  # an amount with cents
        return None


def _way(way: PaymentWay, visit: Visit, company: Company, words: Words, language: str) -> dict[str, Any]:
    balance = visit.brief.balance
    asked = amount(balance if way.minor is None else Money(way.minor, balance.currency), language)
    name = words["mail"].get(f"way_{way.method}") or readable(way.method.replace("_", " ").capitalize(), 40)
    return {
        "name": name,
        "amount": asked,
        "rows": [
            {"label": readable(label, 60), "value": readable(value)}
            for label, value in way.instructions or ((words["forms"]["way_amount"], asked),)
            if not (way.qr and label == words["offer"]["scan"])  # the code stands right above it
        ],
        "url": way.url if way.url and _leads_elsewhere(way.url, company) else "",
        "until": filled(words["page"]["until"], date=long_date(way.until, language)) if way.until else "",
        "qr": Markup(qr_svg(way.qr)) if way.qr else "",  # noqa: S704 - drawn by us, of black and white squares
        "qr_label": filled(words["forms"]["qr_label"], amount=asked),
    }


def _leads_elsewhere(url: str, company: Company) -> bool:
    return bool(_LINK.fullmatch(url)) and not url.startswith(f"{company.public_url}/")


def _facts(brief: InvoiceBrief, page: Section, language: str) -> list[str]:
    facts = [filled(page["issued_on"], date=long_date(brief.issued_on, language))]
    if brief.purchase_order:
        facts.append(filled(page["order"], number=readable(brief.purchase_order, 60)))
    return facts


def _sums(visit: Visit, words: Words, language: str) -> list[dict[str, str]]:
    """What was added to the total and taken off it, and what that leaves; nothing where it is the total itself."""
    currency = visit.brief.balance.currency
    rows = [_sum(one, visit, words["forms"], language) for one in visit.movements]
    if not rows:
        return []
    left = Money(max(visit.balance.outstanding, 0), currency)
    return [*rows, {"label": words["page"]["left"], "more": "", "amount": amount(left, language)}]


def _sum(one: Movement, visit: Visit, words: Section, language: str) -> dict[str, str]:
    sign = "+" if one.minor > 0 else "−"
    when = long_date(one.on, language) if one.on else ""
    return {
        "label": words[one.kind.value],
        "more": " · ".join(part for part in (readable(one.named or "", 60), when) if part),
        "amount": f"{sign} {amount(Money(abs(one.minor), visit.brief.balance.currency), language)}",
    }
