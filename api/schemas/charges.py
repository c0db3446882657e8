"""Late interest and fees, as they are asked for, claimed, waived and shown. Amounts are in minor units."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from pydantic import Field, model_validator

from api.schemas.fields import Amount, Body, Day, Filter, Money, Person, Reason, Reference, View
from lunas.ledger.kinds import ChargeKind
from lunas.receivables.interest import Mode
from lunas.receivables.money import Currency


class InterestFilter(Filter):
    """As of which day."""

    as_of: Day | None = Field(default=None, description="The last day that counts; left out: today")


class InterestView(View):
    """Late interest and the late fee by the invoice's policy. Until they are claimed, nobody owes them.

    `accrued_minor` is the whole, of which parts were claimed (they are in the balance) or waived.
    """

    invoice: str
    as_of: date
    currency: Currency
    pack: str | None = Field(description="The rules that the policy names; null: it says nothing of late payment")
    interest_mode: Mode | None
    fee_mode: Mode | None
    days: int = Field(description="Late days on which something was open of the bill")
    accrued_minor: int
    claimed_minor: int
    waived_minor: int
    unclaimed_minor: int
    fee_minor: int = Field(description="Once per late invoice")
    fee_claimed_minor: int
    fee_waived_minor: int
    fee_unclaimed_minor: int
    unknown_from: date | None = Field(description="From this day on no rate is known, and nothing is counted")
    detail: str = Field(description="The same in a sentence")


class ChargeBody(Body):
    """Interest or the fee to be claimed, or given up: as it has accrued, or so much."""

    kind: Annotated[ChargeKind, Field(strict=False)]
    amount_minor: Amount | None = Field(default=None, description="Left out: what has accrued and is open")
    currency: Money | None = None
    on: Day | None = Field(default=None, description="The last day that counts; left out: today")
    reference: Reference | None = Field(default=None, description="Left out: `interest to <day>`, or `late fee`")
    reason: Reason
    by: Person | None = None

    @model_validator(mode="after")
    def _amount_has_a_currency(self) -> ChargeBody:
        if (self.amount_minor is None) is not (self.currency is None):
            raise ValueError("amount_minor and currency belong together: give both, or neither for what has accrued")
        return self


class ChargeView(View):
    """What was claimed or waived, and what is open on the invoice after it."""

    invoice: str
    kind: ChargeKind
    reference: str
    new: bool = Field(description="False for a repetition")
    currency: Currency
    amount_minor: int
    outstanding_minor: int


class AccruedView(View):
    """Interest that was neither claimed nor waived, on open invoices in one currency."""

    currency: Currency
    invoices: int
    minor: int


class AccruedList(View):
    """Interest that has accrued by the end of `as_of`, where the policy counts it (accrue or claim)."""

    as_of: date
    totals: list[AccruedView]
