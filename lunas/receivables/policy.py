"""The grammar of a policy: what a credit manager may write, and what is said when it cannot be.

A policy is data. Each invoice carries a copy of the one it was issued under, with its calendar resolved, so that
changing a day in a YAML file changes new invoices only.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, time
from itertools import pairwise
from typing import Any, TypeVar

from lunas.receivables.calendar import Calendar
from lunas.receivables.interest import LatePayment, Mode, Rate
from lunas.receivables.ladder import FIRST_DAY, Channel, Do, Ladder, Rung, Tail, Tone, When
from lunas.receivables.leeway import EXACT, MoneyRules, Overpayment, Tolerance, Unnamed
from lunas.receivables.money import LARGEST_MINOR, Currency
from lunas.receivables.terms import Terms, TermsError, percent

_T = TypeVar("_T")

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_PERCENT = re.compile(r"[0-9]{1,2}(?:\.[0-9]{1,3})?")
_TIME = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")
#: What a policy that grants no instalments beyond the usual need not say.
_OPTIONAL = ("instalments", "plan_at_most")
#: What an invoice meets as often as the policy likes; everything else once.
_REPEATABLE = (Do.REMIND, Do.FOLLOW_UP)


class PolicyError(ValueError):
    """A policy that cannot be followed: names the place in the file, what was found and what was expected."""


@dataclass(frozen=True, slots=True)
class ContactBudget:
    """How often a customer may hear from us, over all invoices: days with a message, not copies of one message.

    A rung that speaks by email and SMS on the same day is one contact.
    """

    per_day: int = 1
    in_7_days: int = 3


@dataclass(frozen=True, slots=True)
class Patience:
    """How long we wait for people, in days, before silence means something."""

    promise_grace: int = 2
    promise_at_most: int = 30
    promises: int = 2
    instalments: int = 6
    plan_at_most: int = 180
    dispute: int = 14
    pause: int = 30
    approval: int = 10
    research: int = 14
    answer: int = 3
    agency_report: int = 30


@dataclass(frozen=True, slots=True)
class Policy:
    """The plan for one invoice: terms, conduct, patience and the ladder, with the customer's calendar.

    `version` is the hash of everything that the file says: two files that say the same are the same version.
    """

    name: str
    version: str
    terms: Terms
    calendar: Calendar
    budget: ContactBudget
    patience: Patience
    ladder: Ladder
    spread_minutes: int = 45
    minimum_gap: int = 1
    money: MoneyRules = EXACT
    late_payment: LatePayment | None = None


@dataclass(frozen=True, slots=True)
class PolicyFile:
    """A policy as written, before a customer's zone and the dates of the holidays are put in."""

    name: str
    title: str
    version: str
    terms: Terms
    opens: time
    closes: time
    weekdays: tuple[int, ...]
    holidays: str | None
    budget: ContactBudget
    patience: Patience
    ladder: Ladder
    spread_minutes: int
    minimum_gap: int
    money: MoneyRules = EXACT
    late_payment: LatePayment | None = None

    def for_customer(self, zone_name: str, holidays: Sequence[date] = ()) -> Policy:
        """The copy that an invoice of a customer in that zone carries."""
        days = tuple(sorted(set(holidays)))
        calendar = Calendar(zone_name, self.opens, self.closes, self.weekdays, days)
        return Policy(
            self.name, self.version, self.terms, calendar, self.budget, self.patience, self.ladder,
            self.spread_minutes, self.minimum_gap, self.money, self.late_payment,
        )  # fmt: skip


def parse_policy(document: object) -> PolicyFile:
    """Read a policy from plain data (as YAML gives it); raises PolicyError at the first thing that cannot be."""
    top = _Node("policy", document).mapping(
        "name", "title", "terms", "conduct", "patience", "ladder", "then", "money", "late_payment",
    )  # fmt: skip
    conduct = top.get("conduct").mapping(
        "window", "holidays", "contact_budget", "spread_minutes", "minimum_gap_days",
    )  # fmt: skip
    window = conduct.get("window").mapping("from", "to", "days")
    opens, closes = window.get("from").time(), window.get("to").time()
    if opens >= closes:
        raise PolicyError(f"policy.conduct.window: opens at {opens:%H:%M} and closes at {closes:%H:%M}: close later")
    weekdays = tuple(WEEKDAYS.index(day.choice(WEEKDAYS)) for day in window.get("days").items())
    if not weekdays:
        raise PolicyError("policy.conduct.window.days: no day is open: name at least one of " + ", ".join(WEEKDAYS))
    budget = conduct.get("contact_budget").mapping("per_day", "in_7_days")
    terms = top.get("terms")
    try:
        parsed_terms = Terms.parse(terms.text())
    except TermsError as error:
        raise PolicyError(f"policy.terms: {error}") from None
    return PolicyFile(
        name=top.get("name").text(),
        title=top.get("title").text(),
        version=_digest(document),
        terms=parsed_terms,
        opens=opens,
        closes=closes,
        weekdays=tuple(sorted(set(weekdays))),
        holidays=conduct.get("holidays").optional(_Node.text),
        budget=ContactBudget(budget.get("per_day").integer(1, 24), budget.get("in_7_days").integer(1, 100)),
        patience=_patience(top.get("patience")),
        ladder=_ladder(top.get("ladder"), top.get("then")),
        spread_minutes=conduct.get("spread_minutes").integer(0, 600),
        minimum_gap=conduct.get("minimum_gap_days").integer(1, 30),
        money=top.get("money").optional(_money) or EXACT,
        late_payment=top.get("late_payment").optional(_late_payment),
    )


def _patience(node: _Node) -> Patience:
    names = tuple(Patience.__dataclass_fields__)
    fields = node.mapping(*names)
    given = [name for name in names if name not in _OPTIONAL or fields.get(name).value is not None]
    return Patience(**{name: fields.get(name).integer(0 if name == "promise_grace" else 1, 366) for name in given})


def _money(node: _Node) -> MoneyRules:
    fields = node.mapping("unnamed", "overpayment", "tolerance_minor", "tolerance_percent")
    return MoneyRules(
        unnamed=Unnamed(fields.get("unnamed").optional(lambda n: n.choice(tuple(Unnamed))) or Unnamed.KEEP),
        overpayment=Overpayment(
            fields.get("overpayment").optional(lambda n: n.choice(tuple(Overpayment))) or Overpayment.KEEP
        ),
        tolerance=Tolerance(
            minor=fields.get("tolerance_minor").optional(_minor_by_currency) or (),
            rate=fields.get("tolerance_percent").optional(_Node.percent),
        ),
    )


def _minor_by_currency(node: _Node) -> tuple[tuple[Currency, int], ...]:
    fields = node.mapping(*Currency)
    named = [(currency, fields.get(currency)) for currency in Currency if currency in fields.value]
    return tuple((currency, limit.integer(0, LARGEST_MINOR)) for currency, limit in named)


def _late_payment(node: _Node) -> LatePayment:
    fields = node.mapping("pack", "interest", "fee", "rates")
    rates = fields.get("rates").optional(lambda n: tuple(_rate(item) for item in n.items())) or ()
    for before, after in pairwise(rates):
        if after.since <= before.since:
            raise PolicyError(f"{node.path}.rates: {after.since} comes after {before.since}: days must ascend")
    interest = fields.get("interest").optional(lambda n: n.choice(tuple(Mode)))
    fee = fields.get("fee").optional(lambda n: n.choice((Mode.SHOW, Mode.CLAIM, Mode.WAIVE)))
    return LatePayment(fields.get("pack").text(), Mode(interest or Mode.SHOW), Mode(fee or Mode.SHOW), rates)


def _rate(node: _Node) -> Rate:
    fields = node.mapping("from", "percent")
    return Rate(fields.get("from").day(), fields.get("percent").percent())


def _ladder(node: _Node, then: _Node) -> Ladder:
    rungs = tuple(_rung(item) for item in node.items())
    if not rungs:
        raise PolicyError("policy.ladder: it is empty: write at least the due notice of day 0")
    _check_order(rungs)
    fields = then.mapping("every", "do", "by", "tone")
    tail = Tail(
        every=fields.get("every").integer(1, 366),
        do=Do(fields.get("do").choice((Do.FOLLOW_UP,))),
        by=_channels(fields.get("by")),
        tone=Tone(fields.get("tone").choice(tuple(Tone))),
    )
    return Ladder(rungs, tail)


def _check_order(rungs: Sequence[Rung]) -> None:
    for do, times in Counter(rung.do for rung in rungs).items():
        if times > 1 and do not in _REPEATABLE:
            raise PolicyError(f"policy.ladder: {do} stands {times} times: write it once")
    for rung in rungs:
        before_due = rung.do in (Do.SEND_INVOICE, Do.REMIND)
        where = f"policy.ladder: {rung.do} on day {rung.day}"
        if rung.do is Do.DUE_NOTICE and rung.day != 0:
            raise PolicyError(f"{where}: it belongs on the due date (day 0)")
        if before_due and rung.day >= 0:
            raise PolicyError(f"{where}: it belongs before the due date (a day below 0)")
        if not before_due and rung.do is not Do.DUE_NOTICE and rung.day <= 0:
            raise PolicyError(f"{where}: it belongs after the due date (day 1 or later)")
    for before, after in pairwise(rungs):
        if after.do is Do.SEND_INVOICE:
            raise PolicyError("policy.ladder: send_invoice comes first: write it above every other rung")
        if after.day <= before.day:
            raise PolicyError(
                f"policy.ladder: day {after.day} ({after.do}) comes after day {before.day} ({before.do}): "
                "days must ascend, one rung a day"
            )
    found = {rung.do: rung for rung in rungs}
    if Do.DUE_NOTICE not in found:
        raise PolicyError("policy.ladder: the due notice is missing: write {day: 0, do: due_notice, by: [email]}")
    agency, demand = found.get(Do.PLACE_WITH_AGENCY), found.get(Do.FINAL_DEMAND)
    if agency and (demand is None or demand.day >= agency.day):
        raise PolicyError(
            f"policy.ladder: place_with_agency on day {agency.day} has no final_demand before it: "
            "no agency step without a final notice"
        )


def _rung(node: _Node) -> Rung:
    fields = node.mapping("day", "do", "by", "tone", "when", "approval")
    do = Do(fields.get("do").choice(tuple(Do)))
    first = do is Do.SEND_INVOICE
    rung = Rung(
        day=FIRST_DAY if first else fields.get("day").integer(-365, 3650),
        do=do,
        by=_channels(fields.get("by")) if do.is_notice else (),
        tone=Tone(fields.get("tone").optional(lambda n: n.choice(tuple(Tone))) or Tone.FRIENDLY),
        when=When(fields.get("when").optional(lambda n: n.choice(tuple(When))) or When.ALWAYS),
        approval=fields.get("approval").optional(lambda n: n.choice(("required",))) is not None,
    )
    if first and fields.get("day").value != "issue":
        raise PolicyError(f"{fields.get('day').path}: send_invoice goes out at once: write `day: issue`")
    for name, fits, why in (
        ("by", do.is_notice, f"{do} speaks to nobody"),
        ("tone", do.is_notice, f"{do} speaks to nobody"),
        ("when", do is Do.RESEARCH_CONTACT, "only research_contact has a condition"),
        ("approval", do is Do.PLACE_WITH_AGENCY, "only place_with_agency asks for an approval"),
    ):
        if fields.get(name).value is not None and not fits:
            raise PolicyError(f"{fields.get(name).path}: {why}: leave `{name}` out")
    return rung


def _channels(node: _Node) -> tuple[Channel, ...]:
    channels = tuple(Channel(item.choice(tuple(Channel))) for item in node.items())
    if not channels:
        raise PolicyError(f"{node.path}: no channel: name at least one of " + ", ".join(Channel))
    if len(set(channels)) != len(channels):
        raise PolicyError(f"{node.path}: a channel stands twice: name each once")
    return channels


def _digest(document: object) -> str:
    return hashlib.sha256(repr(_canonical(document)).encode()).hexdigest()[:12]


def _canonical(value: object) -> object:
    match value:
        case Mapping():
            return sorted((str(key), _canonical(item)) for key, item in value.items())
        case list() | tuple():
            return [_canonical(item) for item in value]
        case _:
            return value


@dataclass(frozen=True, slots=True)
class _Node:
    """A value of the document and the path to it, so that every complaint says where."""

    path: str
    value: Any

    def mapping(self, *names: str) -> _Node:
        if not isinstance(self.value, Mapping):
            raise self._wrong(f"a mapping with {', '.join(names)}")
        unknown = [str(key) for key in self.value if key not in names]
        if unknown:
            raise PolicyError(f"{self.path}: unknown {', '.join(unknown)}: known here are {', '.join(names)}")
        return self

    def get(self, name: str) -> _Node:
        return _Node(f"{self.path}.{name}", self.value.get(name))

    def items(self) -> tuple[_Node, ...]:
        if not isinstance(self.value, list | tuple):
            raise self._wrong("a list")
        return tuple(_Node(f"{self.path}[{index}]", item) for index, item in enumerate(self.value))

    def optional(self, read: Callable[[_Node], _T]) -> _T | None:
        return None if self.value is None else read(self)

    def text(self) -> str:
        if not isinstance(self.value, str) or not self.value.strip():
            raise self._wrong("a text")
        return self.value

    def integer(self, least: int, most: int) -> int:
        if type(self.value) is not int or not least <= self.value <= most:
            raise self._wrong(f"a whole number from {least} to {most}")
        return self.value

    def choice(self, known: Sequence[str]) -> str:
        if self.value not in known:
            raise self._wrong(f"one of {', '.join(known)}")
        return str(self.value)

    def time(self) -> time:
        if not isinstance(self.value, str) or not _TIME.fullmatch(self.value):
            raise self._wrong('a time of day, such as "08:00" in quotes')
        return time.fromisoformat(self.value)

    def percent(self) -> int:
        """In hundred-thousandths."""
        if not isinstance(self.value, str) or not _PERCENT.fullmatch(self.value):
            raise self._wrong('a percentage below 100 in quotes, such as "8.25"')
        return percent(self.value)

    def day(self) -> date:
        if type(self.value) is not date:
            raise self._wrong("a day, such as 2026-07-01 without quotes")
        return self.value

    def _wrong(self, expected: str) -> PolicyError:
        found = "it is missing: write" if self.value is None else f"{self.value!r} is not"
        return PolicyError(f"{self.path}: {found} {expected}")
