"""Invoices, policies and facts for the tests of the core."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from lunas.receivables.invoice import Balance, Facts, Hold, HoldKind, InvoiceState, Placement, Stage
from lunas.receivables.money import Currency, Money
from lunas.receivables.policy import Policy, parse_policy
from lunas.receivables.rehearsal import issue

POLICIES = Path(__file__).parents[2] / "lunas" / "policies"
TOTAL = Money(1_250_000_000, Currency.IDR)
NUMBER = "INV/2026/11/0042"
ISSUED_ON = date(2026, 11, 2)  # a Monday
OPENED_AT = datetime(2026, 11, 2, 3, tzinfo=UTC)  # 10:00 in Jakarta
DUE_ON = date(2026, 12, 2)

#: Closed days around the year's end, and a long closure such as the one around Idul Fitri.
HOLIDAYS = (
    date(2026, 12, 25), date(2027, 1, 1), date(2027, 3, 9), date(2027, 3, 10), date(2027, 3, 11), date(2027, 3, 12),
    date(2027, 3, 15), date(2027, 3, 16), date(2027, 5, 1), date(2027, 6, 1), date(2027, 8, 17),
)  # fmt: skip


#: A policy in a hurry: with the agency after three weeks, and nobody is asked.
BRISK = [
    {"day": "issue", "do": "send_invoice", "by": ["email"]},
    {"day": -2, "do": "remind", "by": ["email"]},
    {"day": 0, "do": "due_notice", "by": ["email"]},
    {"day": 2, "do": "follow_up", "by": ["email", "sms"]},
    {"day": 5, "do": "research_contact"},
    {"day": 8, "do": "final_demand", "by": ["email", "sms"]},
    {"day": 12, "do": "place_with_agency"},
    {"day": 16, "do": "offer_alternate_payment", "by": ["sms", "email"]},
]


def document(name: str = "standard") -> Any:
    """A shipped policy as plain data, or the one in a hurry."""
    shipped = yaml.safe_load((POLICIES / f"{'standard' if name == 'brisk' else name}.yaml").read_text())
    return {**shipped, "name": name, "ladder": BRISK} if name == "brisk" else shipped


@cache
def policy(name: str = "standard", zone: str = "Asia/Jakarta") -> Policy:
    """That policy for a customer in that zone."""
    return parse_policy(document(name)).for_customer(zone, HOLIDAYS)


def invoice(of: Policy | None = None, **changes: Any) -> InvoiceState:
    """A new invoice of Monday 2 November 2026; under the default policy it is due on Wednesday 2 December."""
    state = issue(NUMBER, "C-7", TOTAL, ISSUED_ON, of or policy(), opened_at=OPENED_AT)
    return replace(state, **changes)


def jakarta(on: date, hour: int = 10, minute: int = 0) -> datetime:
    """That moment of the customer's clock, in UTC."""
    return datetime(on.year, on.month, on.day, hour, minute, tzinfo=UTC) - timedelta(hours=7)


def days_late(days: int, hour: int = 10) -> datetime:
    """A moment so many days after the due date."""
    return jakarta(DUE_ON + timedelta(days=days), hour)


def facts(before: Facts, **changes: Any) -> Facts:
    """The next version of the facts; names of the balance's fields change the balance."""
    money = {name: changes.pop(name) for name in tuple(changes) if name in Balance.__dataclass_fields__}
    return replace(before, version=before.version + 1, balance=replace(before.balance, **money), **changes)


def paid(before: Facts) -> Facts:
    """The next version, with all that was open paid."""
    return facts(before, received=before.balance.received + max(before.balance.outstanding, 0))


def held(kind: HoldKind, at: datetime = OPENED_AT, days: int = 10) -> Hold:
    """A hold of that kind."""
    return Hold(kind, at, at + timedelta(days=days), "ana")


def at_stage(stage: Stage) -> InvoiceState:
    """An invoice as it may be found in that stage, 40 days late."""
    state = invoice(stage=stage, climbed=35, last_step_on=DUE_ON + timedelta(days=35))
    if stage is Stage.AGENCY:
        return state.but(agency_until=days_late(70), placement=Placement.PLACED, before_agency=Stage.FOLLOW_UP)
    return state.but(before_close=Stage.FOLLOW_UP, stopped_on=DUE_ON + timedelta(days=38)) if stage.is_closed else state
