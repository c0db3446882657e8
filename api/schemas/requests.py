"""What people ask of a running invoice. Each may be refused, in a sentence, with a 409."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field, model_validator

from api.schemas.customers import Name
from api.schemas.fields import Amount, Body, Day, Email, Person, Phone, PolicyName, Reason, View
from lunas.receivables.events import DisputeOutcome
from lunas.receivables.instalments import Every
from lunas.receivables.invoice import HoldKind, Stage


class RequestBody(Body):
    """Who asks, and why: for the journal."""

    by: Person | None = None
    reason: Reason | None = None


class PromiseBody(RequestBody):
    """The customer promises to pay by a date: all of it, or `amount_minor`."""

    pay_by: Day
    amount_minor: Amount | None = None


class InstalmentBody(Body):
    """A part of what is open, and the day by which it is promised."""

    pay_by: Day
    amount_minor: Amount


class PlanBody(RequestBody):
    """All that is open in instalments: each by name, or `count` equal ones from `first_on` on."""

    instalments: list[InstalmentBody] | None = Field(default=None, min_length=2, max_length=60)
    count: int | None = Field(default=None, ge=2, le=60)
    first_on: Day | None = None
    every: Annotated[Every, Field(strict=False)] = Every.MONTH

    @model_validator(mode="after")
    def _one_way(self) -> PlanBody:
        by_count = self.count is not None and self.first_on is not None
        if by_count == (self.instalments is not None):
            raise ValueError("give either `instalments`, or `count` and `first_on`")
        return self


class DisputeBody(RequestBody):
    """The customer says that the bill is wrong: wholly, or by `amount_minor`."""

    reason: Reason
    amount_minor: Amount | None = None


class ResolutionBody(RequestBody):
    """How the dispute ended; what the customer is right about comes as a credit note."""

    outcome: Annotated[DisputeOutcome, Field(strict=False)]


class PauseBody(RequestBody):
    """Send nothing until `until`, or for as long as the policy lets a pause last."""

    reason: Reason
    until: Day | None = None


class PlacementBody(RequestBody):
    """Let the agency have it, or keep it."""

    by: Person
    approve: bool


class DecisionBody(RequestBody):
    """A decision that carries a name and a reason."""

    by: Person
    reason: Reason


class CreditBody(RequestBody):
    """Hold the invoice before anything is sent, or let it go."""

    by: Person
    release: bool


class PolicyBody(RequestBody):
    """The policy that is followed from here on; no notice is repeated."""

    policy: PolicyName
    by: Person


class InvoiceContactBody(RequestBody):
    """The right contact of the invoice's customer: `contact_id` is corrected, or a new one is written down."""

    contact_id: int | None = Field(default=None, ge=1, le=2**63 - 1)
    name: Name | None = None
    email: Email | None = None
    phone: Phone | None = None

    @model_validator(mode="after")
    def _reaches_somebody(self) -> InvoiceContactBody:
        if self.email is None and self.phone is None and (self.contact_id is None or self.name is None):
            raise ValueError("give an email address or a telephone number")
        return self


class RequestView(View):
    """Where the invoice stands after the request."""

    number: str
    stage: Stage
    held: HoldKind | None
    held_until: datetime | None
    outstanding_minor: int
    currency: str
    last_step: str
    next_step: str | None
    next_at: datetime | None
    follow_ups: int
    sequence: int
