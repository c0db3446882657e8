"""The grammar of a policy: what can be written, and that every complaint names its place and the way out."""

from __future__ import annotations

import copy
from collections.abc import Callable
from datetime import date, time
from typing import Any

import pytest

from lunas.receivables.interest import LatePayment, Mode, Rate
from lunas.receivables.ladder import Do, Tone, When
from lunas.receivables.leeway import EXACT, Overpayment, Tolerance, Unnamed
from lunas.receivables.money import Currency
from lunas.receivables.policy import PolicyError, parse_policy
from tests.receivables.samples import document

#: The places of the rungs in the default policy.
REMIND, DUE, FIRST, RESEARCH, OFFER, DEMAND, AGENCY = 1, 3, 4, 8, 10, 12, 13


def complaint(change: Callable[[Any], object]) -> str:
    """What is said of the default policy after this change."""
    changed = copy.deepcopy(document())
    change(changed)
    with pytest.raises(PolicyError) as refused:
        parse_policy(changed)
    return str(refused.value)


def put(value: object, *path: str | int) -> Callable[[Any], None]:
    """A change that writes a value at a place."""

    def change(node: Any) -> None:
        for step in path[:-1]:
            node = node[step]
        node[path[-1]] = value

    return change


def leave_out(*path: str | int) -> Callable[[Any], None]:
    """A change that removes what stands at a place."""

    def change(node: Any) -> None:
        for step in path[:-1]:
            node = node[step]
        del node[path[-1]]

    return change


def insert(index: int, **rung: object) -> Callable[[Any], None]:
    """A change that puts one more rung into the ladder."""
    return lambda node: node["ladder"].insert(index, rung)


def test_the_shipped_policies_say_what_they_should() -> None:
    standard, gentle = parse_policy(document("standard")), parse_policy(document("gentle"))
    assert (standard.name, gentle.name) == ("standard", "gentle")
    assert (standard.terms.net_days, gentle.terms.net_days) == (30, 90)
    assert (standard.opens, standard.closes, standard.weekdays) == (time(8), time(20), (0, 1, 2, 3, 4, 5))
    kinds = {rung.do: rung for rung in standard.ladder.rungs}
    assert kinds[Do.RESEARCH_CONTACT].when is When.UNANSWERED
    assert kinds[Do.PLACE_WITH_AGENCY].approval
    assert standard.ladder.tail.tone is Tone.FIRM
    assert Do.PLACE_WITH_AGENCY not in {rung.do for rung in gentle.ladder.rungs}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda node: node.clear(), "policy.conduct: it is missing: write a mapping with window, holidays,"),
        (put(None, "ladder"), "policy.ladder: it is missing: write a list"),
        (put([], "ladder"), "policy.ladder: it is empty: write at least the due notice of day 0"),
        (put(1, "colour"), "policy: unknown colour: known here are name, title, terms,"),
        (put(1, "ladder", FIRST, "do_it"), "policy.ladder[4]: unknown do_it: known here are day, do, by,"),
        (put("", "name"), "policy.name: '' is not a text"),
        (put("30 days", "terms"), "policy.terms: '30 days' are not terms: write `net 30`"),
        (put("2/45 net 30", "terms"), "policy.terms: a discount within 45 days of net 30 rewards paying late"),
        (put(1200, "conduct", "window", "to"), 'policy.conduct.window.to: 1200 is not a time of day, such as "08:00"'),
        (put("08:00+07:00", "conduct", "window", "from"), "policy.conduct.window.from: '08:00+07:00' is not a time"),
        (put("24:00", "conduct", "window", "to"), "policy.conduct.window.to: '24:00' is not a time of day"),
        (put("08:00", "conduct", "window", "to"), "opens at 08:00 and closes at 08:00: close later"),
        (put([], "conduct", "window", "days"), "policy.conduct.window.days: no day is open: name at least one of mon"),
        (put(["Mon"], "conduct", "window", "days"), "policy.conduct.window.days[0]: 'Mon' is not one of mon, tue"),
        (put("mon", "conduct", "window", "days"), "policy.conduct.window.days: 'mon' is not a list"),
        (put(0, "conduct", "contact_budget", "per_day"), "contact_budget.per_day: 0 is not a whole number from 1"),
        (put(True, "conduct", "spread_minutes"), "policy.conduct.spread_minutes: True is not a whole number"),
        (put(0, "conduct", "minimum_gap_days"), "policy.conduct.minimum_gap_days: 0 is not a whole number from 1"),
        (put("a fortnight", "patience", "dispute"), "policy.patience.dispute: 'a fortnight' is not a whole number"),
        (leave_out("patience", "pause"), "policy.patience.pause: it is missing: write a whole number from 1 to 366"),
        (put("nag", "ladder", FIRST, "do"), "policy.ladder[4].do: 'nag' is not one of send_invoice, remind,"),
        (leave_out("ladder", FIRST, "do"), "policy.ladder[4].do: it is missing: write one of send_invoice"),
        (put("tomorrow", "ladder", FIRST, "day"), "policy.ladder[4].day: 'tomorrow' is not a whole number from -365"),
        (put(["email", "email"], "ladder", FIRST, "by"), "policy.ladder[4].by: a channel stands twice: name each once"),
        (put(["fax"], "ladder", FIRST, "by"), "policy.ladder[4].by[0]: 'fax' is not one of email, sms"),
        (put([], "ladder", FIRST, "by"), "policy.ladder[4].by: no channel: name at least one of email, sms"),
        (leave_out("ladder", FIRST, "by"), "policy.ladder[4].by: it is missing: write a list"),
        (put("rude", "ladder", FIRST, "tone"), "policy.ladder[4].tone: 'rude' is not one of friendly, firm"),
        (leave_out("then", "tone"), "policy.then.tone: it is missing: write one of friendly, firm"),
        (put(0, "then", "every"), "policy.then.every: 0 is not a whole number from 1 to 366"),
        (put("final_demand", "then", "do"), "policy.then.do: 'final_demand' is not one of follow_up"),
        (put(["email"], "ladder", RESEARCH, "by"), "research_contact speaks to nobody: leave `by` out"),
        (put("firm", "ladder", AGENCY, "tone"), "place_with_agency speaks to nobody: leave `tone` out"),
        (put("unanswered", "ladder", FIRST, "when"), "ladder[4].when: only research_contact has a condition: leave"),
        (put("required", "ladder", FIRST, "approval"), "ladder[4].approval: only place_with_agency asks for an app"),
        (put(-30, "ladder", 0, "day"), "policy.ladder[0].day: send_invoice goes out at once: write `day: issue`"),
    ],
)  # fmt: skip
def test_a_value_that_cannot_be_is_named_with_its_place(change: Callable[[Any], object], says: str) -> None:
    assert says in complaint(change)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (put(3, "ladder", FIRST, "day"), "day 3 (follow_up) comes after day 3 (follow_up): days must ascend, one rung"),
        (put(50, "ladder", FIRST, "day"), "policy.ladder: day 3 (follow_up) comes after day 50 (follow_up): days must"),
        (leave_out("ladder", DUE), "the due notice is missing: write {day: 0, do: due_notice, by: [email]}"),
        (put(2, "ladder", DUE, "day"), "policy.ladder: due_notice on day 2: it belongs on the due date (day 0)"),
        (insert(3, day=-2, do="due_notice", by=["email"]), "policy.ladder: due_notice stands 2 times: write it once"),
        (insert(3, day=-2, do="follow_up", by=["email"]), "follow_up on day -2: it belongs after the due date (day 1"),
        (insert(5, day=2, do="remind", by=["email"]), "remind on day 2: it belongs before the due date (a day below"),
        (insert(1, day="issue", do="send_invoice", by=["email"]), "policy.ladder: send_invoice stands 2 times"),
        (lambda node: node["ladder"].insert(2, node["ladder"].pop(0)), "policy.ladder: send_invoice comes first"),
        (insert(12, day=80, do="final_demand", by=["email"]), "policy.ladder: final_demand stands 2 times: write it"),
        (leave_out("ladder", DEMAND), "place_with_agency on day 105 has no final_demand before it: no agency step"),
        (put(106, "ladder", DEMAND, "day"), "day 105 (place_with_agency) comes after day 106 (final_demand)"),
    ],
)  # fmt: skip
def test_a_ladder_that_cannot_be_climbed_is_refused(change: Callable[[Any], object], says: str) -> None:
    assert says in complaint(change)


@pytest.mark.parametrize("nothing", [None, [], "standard", 7])
def test_a_policy_is_a_mapping(nothing: object) -> None:
    with pytest.raises(PolicyError, match=r"^policy: .* a mapping with name, title, terms"):
        parse_policy(nothing)


def test_the_version_says_whether_two_files_say_the_same() -> None:
    one, reordered, changed = document(), dict(reversed(document().items())), document()
    changed["ladder"][FIRST]["day"] = 2
    assert parse_policy(reordered).version == parse_policy(one).version
    assert parse_policy(changed).version != parse_policy(one).version


@pytest.mark.parametrize("name", ["standard", "gentle"])
def test_a_customers_copy_has_its_own_zone_and_sorted_holidays(name: str) -> None:
    file = parse_policy(document(name))
    days = [day for year in (2027, 2026) for day in (date(year, 8, 17), date(year, 1, 1), date(year, 8, 17))]
    copied = file.for_customer("Asia/Makassar", days)
    assert copied.calendar.zone_name == "Asia/Makassar"
    assert copied.calendar.holidays == tuple(sorted(set(days)))
    assert (copied.version, copied.ladder, copied.patience) == (file.version, file.ladder, file.patience)


def test_what_is_said_of_money_and_of_late_payment() -> None:
    money = {"unnamed": "oldest_first", "overpayment": "next_invoice", "tolerance_minor": {"EUR": 50, "IDR": 100_000}}
    late = {"pack": "eu", "interest": "claim", "rates": [{"from": date(2026, 7, 1), "percent": "10.15"}]}
    said = parse_policy({**document(), "money": {**money, "tolerance_percent": "0.5"}, "late_payment": late})

    assert said.money.unnamed is Unnamed.OLDEST_FIRST and said.money.overpayment is Overpayment.NEXT_INVOICE
    assert said.money.tolerance == Tolerance(((Currency.IDR, 100_000), (Currency.EUR, 50)), 500)
    assert said.late_payment == LatePayment("eu", Mode.CLAIM, Mode.SHOW, (Rate(date(2026, 7, 1), 10_150),))
    copied = said.for_customer("Asia/Jakarta")
    assert (copied.money, copied.late_payment) == (said.money, said.late_payment)


@pytest.mark.parametrize("name", ["standard", "gentle"])
def test_the_shipped_policies_take_money_as_it_comes_and_claim_nothing(name: str) -> None:
    said = parse_policy(document(name))
    assert (said.money, said.late_payment) == (EXACT, None)


@pytest.mark.parametrize(
    ("section", "value", "says"),
    [
        ("money", {"unnamed": "newest"}, "policy.money.unnamed: 'newest' is not one of keep, oldest_first"),
        ("money", {"overpayment": "refund"}, "policy.money.overpayment: 'refund' is not one of keep, next_invoice"),
        ("money", {"tolerance_minor": {"XXX": 1}}, "policy.money.tolerance_minor: unknown XXX: known here are IDR,"),
        ("money", {"tolerance_minor": {"IDR": -1}}, "tolerance_minor.IDR: -1 is not a whole number from 0"),
        ("money", {"tolerance_percent": 0.5}, "policy.money.tolerance_percent: 0.5 is not a percentage below"),
        ("money", {"tolerance": 5}, "policy.money: unknown tolerance: known here are unnamed, overpayment,"),
        ("late_payment", {}, "policy.late_payment.pack: it is missing: write a text"),
        ("late_payment", {"pack": "eu", "interest": "free"}, "late_payment.interest: 'free' is not one of show"),
        ("late_payment", {"pack": "eu", "fee": "accrue"}, "late_payment.fee: 'accrue' is not one of show"),
        ("late_payment", {"pack": "eu", "rates": [{"percent": "8"}]}, "rates[0].from: it is missing: write a day"),
        (
            "late_payment",
            {"pack": "eu", "rates": [{"from": date(2026, 7, 1), "percent": "8"}] * 2},
            "policy.late_payment.rates: 2026-07-01 comes after 2026-07-01: days must ascend",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_said_of_money_is_named(section: str, value: object, says: str) -> None:
    assert says in complaint(put(value, section))
