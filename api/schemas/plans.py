"""Policies, the lifecycle and rehearsals, as they are asked for and shown."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, Field, model_validator

from api.schemas.fields import Amount, Body, Day, Filter, Money, Number, PolicyName, View, ZoneName
from lunas.receivables.interest import Mode
from lunas.receivables.invoice import HoldKind, Stage
from lunas.receivables.ladder import Channel, Do, Tone, When
from lunas.receivables.leeway import Overpayment, Unnamed
from lunas.receivables.money import Currency


class RungView(View):
    """One rung of a ladder: so many days after the due date (before it: negative), do this, through these channels."""

    key: str
    day: int | None = Field(description="Null: when the invoice is issued")
    do: Do
    by: list[Channel]
    tone: Tone
    when: When
    approval: bool


class TailView(View):
    """What follows the last rung: every so many days, again and again."""

    every: int
    do: Do
    by: list[Channel]
    tone: Tone


class WindowView(View):
    """When a customer may be contacted, in the customer's own zone."""

    opens: str = Field(examples=["08:00"])
    closes: str = Field(examples=["20:00"])
    weekdays: list[str]
    holidays: str | None = Field(description="The country whose holidays are kept")


class BudgetView(View):
    """On how many days a customer may hear from us, over all invoices."""

    per_day: int
    in_7_days: int


class PatienceView(View):
    """How many days we wait for people before silence means something."""

    promise_grace: int
    promise_at_most: int
    promises: int
    instalments: int
    plan_at_most: int
    dispute: int
    pause: int
    approval: int
    research: int
    answer: int
    agency_report: int


class MoneyView(View):
    """What is done with money that names no invoice, is too much, or falls short a little."""

    unnamed: Unnamed
    overpayment: Overpayment
    tolerance: dict[Currency, int] = Field(description="Minor units by currency; one that is not named has none")
    tolerance_percent: str | None


class LatePaymentView(View):
    """Late interest and the late fee: by which rules, and what is done about them."""

    pack: str
    interest: Mode
    fee: Mode
    rates: list[RateView] = Field(description="The policy's own, in force from its first day in place of the pack's")


class RateView(View):
    """So many percent a year from that day on."""

    since: date
    percent: str


class PolicyView(View):
    """A policy: the plan that an invoice gets a copy of when it is issued."""

    name: str
    title: str
    version: str
    terms: str
    window: WindowView
    budget: BudgetView
    patience: PatienceView
    ladder: list[RungView]
    then: TailView
    money: MoneyView
    late_payment: LatePaymentView | None


class PolicyList(View):
    """The policies that invoices may be given."""

    default: str
    policies: list[PolicyView]


class RuleView(View):
    """One line of the lifecycle's table: when it is in one of these stages, and this happens, it becomes …, and we …"""

    when: list[Stage]
    event: str
    only_when: str | None
    becomes: str | None = Field(description="Null: it stays what it is")
    we: list[str]


class ExceptionView(View):
    """Events that are ignored, or refused, in these stages, and why."""

    when: list[Stage]
    events: list[str]
    why: str


class LifecycleView(View):
    """The whole table. The first rule that fits decides."""

    rules: list[RuleView]
    ignored: list[ExceptionView]
    refused: list[ExceptionView]


class Happens(StrEnum):
    """What a rehearsal may suppose."""

    PAID = "paid"
    PAYMENT_REVERSED = "payment_reversed"
    CONTACT_LOST = "contact_lost"
    CONTACT_FOUND = "contact_found"
    ANSWERED = "answered"
    OTHER_WAY = "other_way"
    PROMISE = "promise"
    DISPUTE = "dispute"
    PAUSE = "pause"


class Supposition(Body):
    """On that day, at noon where the customer is, this happens.

    `amount_minor` belongs to money, promises and disputes (left out: all of it), `until` to a promise and a pause.
    """

    on: Day
    what: Annotated[Happens, Field(strict=False)]
    amount_minor: Amount | None = None
    until: Day | None = None

    @model_validator(mode="after")
    def _is_complete(self) -> Supposition:
        if self.what is Happens.PROMISE and self.until is None:
            raise ValueError("a promise needs `until`, the promised date")
        return self


class _Hypothesis(BaseModel):
    policy: PolicyName | None = Field(default=None, description="Else the default policy")
    total_minor: Amount = 1_000_000_00
    currency: Money = Currency.IDR
    issued_on: Day
    due_on: Day | None = Field(default=None, description="Else by the policy's terms")
    time_zone: ZoneName = "Asia/Jakarta"
    days: int = Field(default=365, ge=1, le=1500, description="How many days after the due date the rehearsal goes on")

    @model_validator(mode="after")
    def _is_due_after_issue(self) -> _Hypothesis:
        if self.due_on is not None and self.due_on < self.issued_on:
            raise ValueError("due_on lies before issued_on: an invoice is due on the day it is issued, or later")
        return self


class RehearsalFilter(Filter, _Hypothesis):
    """An invoice that does not exist, and the policy to rehearse with it."""


class RehearsalBody(Body, _Hypothesis):
    """The same, and what is supposed to happen meanwhile."""

    suppose: list[Supposition] = Field(default=[], max_length=50)


class PreviewFilter(Filter):
    """Another policy for an invoice that exists."""

    policy: PolicyName
    days: int = Field(default=365, ge=1, le=1500)


class PlannedView(View):
    """One line of a rehearsal."""

    at: datetime
    on: date
    days_late: int
    what: str
    stage: Stage
    held: HoldKind | None
    text: str = Field(description="The line as operations staff read it")


class RehearsalView(View):
    """What would be done and when, if nothing else happened."""

    number: Number
    policy: str
    version: str
    due_on: date
    planned: list[PlannedView]
