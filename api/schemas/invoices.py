"""Invoices as they are sent and shown. Every amount is in minor units of the invoice's currency."""

from __future__ import annotations

from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from typing import Annotated

from pydantic import Field, model_validator

from api.schemas.fields import (
    Amount,
    Body,
    Code,
    Day,
    Money,
    Number,
    PolicyName,
    Quantity,
    TermsText,
    View,
    line,
    lines,
)
from lunas.ledger.kinds import JournalSource, NoticeState, Verdict
from lunas.receivables.actions import NoticeKind
from lunas.receivables.invoice import HoldKind, Stage
from lunas.receivables.ladder import Channel
from lunas.receivables.money import LARGEST_MINOR, Currency


class LineBody(Body):
    """A line to be billed: quantity × unit price, rounded half up to the minor unit."""

    description: Annotated[str, lines(500, "What is billed", examples=["Beras 25 kg"])]
    quantity: Quantity = "1"
    unit_price_minor: Amount
    amount_minor: Amount | None = Field(default=None, description="To be checked against quantity × unit price")

    @property
    def amount(self) -> int:
        """Quantity × unit price in minor units."""
        exact = Decimal(self.quantity) * self.unit_price_minor
        return int(exact.quantize(Decimal(1), rounding=ROUND_HALF_UP))

    @model_validator(mode="after")
    def _adds_up(self) -> LineBody:
        if not 0 < self.amount <= LARGEST_MINOR:
            raise ValueError(f"quantity × unit price must come to 1 to {LARGEST_MINOR} minor units")
        if self.amount_minor not in (None, self.amount):
            raise ValueError(
                "amount_minor is not quantity × unit price, rounded half up: correct one of them, or leave it out"
            )
        return self


class InvoiceBody(Body):
    """An invoice to be collected. Due by its terms, or on `due_on`; with neither, by the terms of its policy."""

    number: Number
    customer: Code
    currency: Money
    issued_on: Day
    terms: TermsText | None = None
    due_on: Day | None = Field(
        default=None, description="The last day on which paying is paying on time; wins over the terms"
    )
    policy: PolicyName | None = Field(default=None, description="Else the customer's policy, else the default one")
    purchase_order: Annotated[str, line(100, "The customer's order number")] | None = None
    lines: list[LineBody] = Field(min_length=1, max_length=500)
    total_minor: Amount | None = Field(default=None, description="To be checked against the sum of the lines")

    @property
    def total(self) -> int:
        """The sum of the lines in minor units."""
        return sum(one.amount for one in self.lines)

    @model_validator(mode="after")
    def _holds_together(self) -> InvoiceBody:
        if self.due_on is not None and self.due_on < self.issued_on:
            raise ValueError("due_on lies before issued_on: an invoice is due on the day it is issued, or later")
        if self.total > LARGEST_MINOR:
            raise ValueError(f"the lines come to more than {LARGEST_MINOR} minor units")
        if self.total_minor not in (None, self.total):
            raise ValueError("total_minor is not the sum of the lines: correct one of them, or leave it out")
        return self


class Told(StrEnum):
    """Whether the workflow knows already; `pending` means that it will within minutes."""

    STARTED = "started"
    RUNNING = "running"
    CLOSED = "closed"
    PENDING = "pending"


class InvoiceLine(View):
    """An invoice in a list: what is owed now, and where its collection stands by the workflow's last word."""

    number: str
    customer: str
    customer_name: str
    currency: Currency
    total_minor: int
    balance_minor: int
    issued_on: date
    due_on: date
    terms: str
    purchase_order: str | None
    stage: Stage
    held: HoldKind | None
    held_until: datetime | None
    last_step: str | None = Field(description="The last rung that was climbed")
    next_step: str | None = Field(description="What time alone will bring next, in words")
    next_at: datetime | None
    flags: list[str] = Field(description="What waits for a person")
    reachable: bool
    opened_at: datetime
    closed_at: datetime | None


class InvoicePage(View):
    """A page of invoices by due date."""

    invoices: list[InvoiceLine]
    next_cursor: str | None = Field(description="Pass it as `cursor` for the next page; null on the last")


class BalanceView(View):
    """What is owed: arithmetic over facts, in minor units."""

    lines: int
    charges: int
    received: int
    reversed: int
    credited: int
    discount: int
    tolerated: int = Field(description="What payments fell short by, within the policy's tolerance")
    outstanding: int


class InstalmentView(View):
    """A part of what is owed, and the day by which it is promised."""

    pay_by: date
    amount_minor: int


class HoldView(View):
    """Why the dunning clock stands still."""

    kind: HoldKind
    since: datetime
    until: datetime
    by: str
    reason: str
    amount_minor: int | None
    promised_for: date | None
    instalments: list[InstalmentView] = Field(description="Of a plan, after the one that is promised now")


class BilledLine(View):
    """A line that was billed."""

    description: str
    quantity: str
    unit_price_minor: int
    amount_minor: int


class NoticeLine(View):
    """A notice and how far it has come; `unknown` means that the relay's answer was lost."""

    rung: str
    kind: NoticeKind
    channel: Channel
    state: NoticeState
    covered_by: str | None = Field(description="The invoice whose message carried it")
    claimed_at: datetime
    sent_at: datetime | None


class LiveView(View):
    """What the workflow itself says now."""

    stage: Stage
    held: HoldKind | None
    held_until: datetime | None
    outstanding_minor: int
    last_step: str
    next_step: str | None
    next_at: datetime | None
    follow_ups: int
    facts_version: int
    sequence: int


class InvoiceView(InvoiceLine):
    """One invoice: the facts, where its collection stands, and what was said last."""

    facts_version: int
    balance: BalanceView
    hold: HoldView | None
    lines: list[BilledLine]
    last_notices: list[NoticeLine] = Field(description="The last ten, newest first")
    workflow: Told | None = Field(default=None, description="Only in the answer to a POST")
    live: LiveView | None = Field(default=None, description="Only with `?live=true`")


class JournalLine(View):
    """One line of the journal: a decision of the workflow, or a fact of the ledger."""

    source: JournalSource
    sequence: int
    at: datetime
    event: str
    rule: str
    was: Stage | None
    becomes: Stage | None
    was_held: HoldKind | None
    held: HoldKind | None
    by: str
    reason: str
    detail: str
    policy: str


class JournalPage(View):
    """A page of the journal, oldest first."""

    entries: list[JournalLine]
    next_after: int | None = Field(description="Pass it as `after` for the next page; null on the last")


class GateView(View):
    """One question that was asked before a message, and the answer."""

    name: str
    passed: bool
    detail: str


class DecisionView(View):
    """Why a message was, or was not, sent: one answer of the gate."""

    at: datetime
    verdict: Verdict
    why: str
    rung: str
    channel: Channel
    policy: str
    balance_minor: int
    gates: list[GateView]
    until: datetime | None
    state: NoticeState | None = Field(description="How the notice stands today")
    sent_at: datetime | None
    template_digest: str | None


class Decisions(View):
    """Every decision about an invoice, or about one day of it, oldest first."""

    decisions: list[DecisionView]
