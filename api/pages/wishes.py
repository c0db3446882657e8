"""What a customer can ask for on the page of an invoice: read from its form, shown for a yes, then done.

Each wish is checked here for what can be known, in the customer's own words; the workflow decides all the same, and a
refusal of its becomes one kind sentence. What is written freely stays in the ledger: workflows hear only what to do.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial

import structlog
from email_validator import EmailNotValidError, validate_email
from phonenumbers import NumberParseException, PhoneNumberFormat, format_number, is_possible_number
from phonenumbers import parse as parse_phone

from api import asking
from api.pages.forms import Form, Unfit, read_amount, read_day, read_words
from api.pages.visit import Visit
from api.services import Services
from api.temporal import TemporalDown
from lunas.ledger.findings import NewFinding, propose
from lunas.ledger.kinds import FindingKind
from lunas.ledger.replies import ask_for_other_way, record_answer, record_objection
from lunas.receivables.instalments import Every, equal_instalments
from lunas.receivables.invoice import Instalment
from lunas.receivables.money import Currency, Money
from templates.wording import Section, amount, long_date, readable
from workflows import messages as m
from workflows.offers import follow_offers

log = structlog.get_logger(__name__)

CUSTOMER = "customer"
LONGEST_REASON = 1_000
_PAGE = "through the invoice's page"

Perform = Callable[[Services, str], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Wish:
    """A wish that can be granted: what the customer is shown of it, and how it is done under the form's name.

    `fields` are what its form said, made plain, to be sent again with the yes.
    """

    rows: tuple[tuple[str, str], ...]
    fields: Mapping[str, str]
    perform: Perform
    more: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a form is read with."""

    visit: Visit
    language: str
    words: Section
    country: str = "ID"

    def money(self, minor: int) -> str:
        """An amount in the customer's words."""
        return amount(Money(minor, self.visit.brief.balance.currency), self.language)

    def day(self, day: date) -> str:
        """A date in the customer's words."""
        return long_date(day, self.language)


# --- another way to pay --------------------------------------------------------------------------------------------


def read_way(form: Form, with_: Reading) -> Wish:
    """Have ways to pay made for what is open."""
    if with_.visit.is_settled:
        raise Unfit("nothing_open", 409)
    rows = ((with_.words["row_amount"], with_.money(with_.visit.brief.balance.minor)),)
    return Wish(rows, {}, partial(_make_ways, with_.visit.number))


async def _make_ways(number: str, house: Services, key: str) -> None:
    """The ledger keeps that it was asked for: where Temporal is away now, the reconcile schedule has it made later."""
    async with house.ledger.write() as session:
        await ask_for_other_way(session, number, by=CUSTOMER, about=_PAGE)
    await house.nudges.tell(number)
    try:  # the nudge has asked already where no offer fits; this is for one that fits, and another that is missing
        await house.temporal.reach(number, lambda client: follow_offers(client, number))
    except TemporalDown as down:
        log.warning("ways_wait", invoice=number, why=str(down))


# --- a promise, a plan ---------------------------------------------------------------------------------------------


def last_promise(visit: Visit) -> date:
    """The last day that can be promised."""
    return visit.today + timedelta(days=visit.patience.promise_at_most)


def read_promise(form: Form, with_: Reading) -> Wish:
    """A day by which all of it, or a part, will be paid."""
    visit, last = with_.visit, last_promise(with_.visit)
    if not visit.may_promise:
        raise Unfit("refused_promise", 409)
    pay_by, part = read_day(form.text("date")), _part(form, with_)
    if not visit.today <= pay_by <= last:
        raise Unfit("date_out", first=with_.day(visit.today), last=with_.day(last))
    words = with_.words
    rows = (
        (words["row_amount"], with_.money(part or visit.brief.balance.minor)),
        (words["row_by"], with_.day(pay_by)),
    )
    fields = {"date": pay_by.isoformat(), "amount": form.text("amount")}
    return Wish(rows, fields, partial(_ask, visit.number, m.RecordPromise(pay_by, CUSTOMER, _PAGE, part)))


def most_instalments(visit: Visit) -> int:
    """How many instalments can be asked for; below two there is no plan."""
    return min(visit.patience.instalments, visit.brief.balance.minor)


def last_first(visit: Visit) -> date:
    """The last day that the first of two monthly instalments can have."""
    return visit.today + timedelta(days=max(0, visit.patience.plan_at_most - 31))


def read_instalments(form: Form, with_: Reading) -> Wish:
    """All that is open, in equal parts a month apart."""
    visit = with_.visit
    if not visit.may_promise or most_instalments(visit) < 2:
        raise Unfit("refused_instalments", 409)
    count, first = form.text("count"), read_day(form.text("first"))
    if not (count.isascii() and count.isdecimal() and len(count) <= 3 and 2 <= int(count) <= most_instalments(visit)):
        raise Unfit("count_out", most=str(most_instalments(visit)))
    if not visit.today <= first <= last_first(visit):
        raise Unfit("date_out", first=with_.day(visit.today), last=with_.day(last_first(visit)))
    days = equal_instalments(visit.brief.balance, int(count), first, Every.MONTH)
    parts = shares(visit.brief.balance, int(count))
    plan = tuple(Instalment(one.pay_by, part.minor) for one, part in zip(days, parts, strict=True))
    last = visit.today + timedelta(days=visit.patience.plan_at_most)
    if plan[-1].pay_by > last:
        raise Unfit("plan_too_long", last=with_.day(last))
    fields = {"count": count, "first": first.isoformat(), "open": str(visit.brief.balance.minor)}
    if form.is_confirmed and form.text("open") != fields["open"]:
        raise Unfit("balance_moved", 409)
    return Wish(plan_rows(plan, with_), fields, partial(_ask, visit.number, m.AgreeInstalments(plan, CUSTOMER, _PAGE)))


def shares(balance: Money, count: int) -> tuple[Money, ...]:
    """Equal parts, the greater ones first; of whole rupiah where the balance is, because nobody pays cents of these."""
    unit = 100 if balance.currency is Currency.IDR and balance.minor % 100 == 0 and balance.minor >= 100 * count else 1
    return tuple(
        Money(one.minor * unit, one.currency) for one in Money(balance.minor // unit, balance.currency).split(count)
    )


def plan_rows(plan: tuple[Instalment, ...], with_: Reading) -> tuple[tuple[str, str], ...]:
    """Each instalment's day and amount."""
    return tuple((with_.day(one.pay_by), with_.money(one.amount_minor)) for one in plan)


# --- a dispute -----------------------------------------------------------------------------------------------------


def read_dispute(form: Form, with_: Reading) -> Wish:
    """The bill is wrong: all of it, one of its lines, or an amount."""
    visit, words, what = with_.visit, with_.words, form.text("what") or "whole"
    if not visit.may_dispute:
        raise Unfit("refused_dispute", 409)
    disputed: int | None = None
    if what == "whole":
        about, shown = "all of it", words["what_whole"]
    elif what == "amount":
        disputed = _part(form, with_)
        if disputed is None:
            raise Unfit("amount_unread")
        about, shown = "an amount", words["what_amount"]
    elif what.isascii() and what.isdecimal() and len(what) <= 4 and 1 <= int(what) <= len(visit.brief.lines):
        line = visit.brief.lines[int(what) - 1]
        disputed = min(line.amount.minor, visit.brief.balance.minor)
        about, shown = f"line {int(what)}", readable(line.description, 120)
        if disputed <= 0:
            raise Unfit("refused_dispute", 409)
    else:
        raise Unfit("what_unread")
    reason = read_words(form.text("reason"), LONGEST_REASON)
    rows = (
        (words["row_what"], shown),
        (words["row_disputed"], with_.money(visit.brief.balance.minor if disputed is None else disputed)),
        (words["row_reason"], reason),
    )
    fields = {"what": what, "amount": form.text("amount"), "reason": reason}
    return Wish(rows, fields, partial(_dispute, visit.number, disputed, reason, about))


async def _dispute(number: str, disputed: int | None, reason: str, about: str, house: Services, key: str) -> None:
    """The customer's own words go to the ledger first: they are kept even where the workflow cannot be asked."""
    async with house.ledger.write() as session:
        await record_objection(session, number, reason, by=CUSTOMER, about=about)
    in_short = f"{about}, {_PAGE}; the customer's words are in the journal"
    await _ask(number, m.RaiseDispute(in_short, CUSTOMER, disputed), house, key)


# --- another contact -----------------------------------------------------------------------------------------------


def read_contact(form: Form, with_: Reading) -> Wish:
    """An address that is to be written to from now on. Nothing goes there before a person has approved it.

    Whoever holds a link may have got it from somebody: it proves nothing about the address that is given with it.
    """
    email, phone = _email(form.text("email")), _phone(form.text("phone"), with_.country)
    found = [
        *([NewFinding(FindingKind.EMAIL, email, {"from": CUSTOMER, "invoice": with_.visit.number})] if email else []),
        *([NewFinding(FindingKind.SMS, phone, {"from": CUSTOMER, "invoice": with_.visit.number})] if phone else []),
    ]
    if not found:
        raise Unfit("contact_missing")
    names = (with_.words["email"], email), (with_.words["phone"], phone)
    rows = tuple((label, value) for label, value in names if value)
    code = with_.visit.follower.customer.code
    return Wish(rows, {"email": email, "phone": phone}, partial(_propose, with_.visit.number, code, found))


async def _propose(number: str, code: str, found: list[NewFinding], house: Services, key: str) -> None:
    async with house.ledger.write() as session:
        await propose(session, code, found)
        about = f"gave another contact {_PAGE}: a finding, and nothing goes there until it is approved"
        await record_answer(session, number, by=CUSTOMER, about=about)
    await house.nudges.tell(number)


def _email(written: str) -> str:
    if not written:
        return ""
    try:
        return validate_email(written[:254], check_deliverability=False, test_environment=True).normalized
    except EmailNotValidError:
        raise Unfit("email_unread") from None


def _phone(written: str, country: str) -> str:
    """In E.164; a number without its country's code is one of the customer's own country."""
    if not written:
        return ""
    try:
        number = parse_phone(written[:40], country)
    except NumberParseException:
        raise Unfit("phone_unread") from None
    if not is_possible_number(number):
        raise Unfit("phone_unread")
    return format_number(number, PhoneNumberFormat.E164)


# --- what they share -----------------------------------------------------------------------------------------------

#: Every wish, by its name in the page's address.
WISHES: dict[str, Callable[[Form, Reading], Wish]] = {
    "way": read_way,
    "promise": read_promise,
    "instalments": read_instalments,
    "dispute": read_dispute,
    "contact": read_contact,
}


def _part(form: Form, with_: Reading) -> int | None:
    """The amount in minor units; None where none is given. Raises Unfit for more than is open."""
    written = form.text("amount")
    if not written:
        return None
    part = read_amount(written, with_.visit.brief.balance.currency)
    if part.minor > with_.visit.brief.balance.minor:
        raise Unfit("amount_out", most=with_.money(with_.visit.brief.balance.minor))
    return part.minor


async def _ask(number: str, message: m.Ask, house: Services, key: str) -> None:
    """Raises WorkflowTrouble or Problem."""
    await asking.ask(house, number, message.UPDATE, message, key=key)
