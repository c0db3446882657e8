"""Health, API keys, the switch, and what waits for a person: as asked for and shown."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field

from api.keys import Scope
from api.schemas.fields import Body, Person, Reason, View, line
from api.schemas.invoices import Told
from lunas.ledger.kinds import FindingKind, FindingState, NoticeState
from lunas.receivables.actions import NoticeKind
from lunas.receivables.ladder import Channel

Id = Annotated[int, Field(ge=1, le=2**63 - 1)]


class Alive(View):
    """The process answers."""

    status: str = "alive"


class Ready(View):
    """Whether requests can be served. Without Temporal everything is still booked, and workflows hear of it later."""

    ready: bool
    ledger: str
    temporal: str
    outbox_waiting: int = Field(description="Nudges that no workflow has had yet")
    outbox_age_seconds: float


class KeyBody(Body):
    """A key to the API: whose it is, and what it opens."""

    name: Annotated[str, line(100, "Whose key it is; the journal names it", examples=["erp"])]
    scopes: list[Annotated[Scope, Field(strict=False)]] = Field(min_length=1, max_length=5)
    days: int | None = Field(default=None, ge=1, le=3650, description="It expires after so many days; else never")


class KeyView(View):
    """A key, without its secret."""

    prefix: str
    name: str
    scopes: list[str]
    expires_at: datetime | None


class NewKeyView(View):
    """A new key. Nobody can read it again."""

    key: str


class KeyList(View):
    """The keys that were not revoked."""

    keys: list[KeyView]


class TurnBody(Body):
    """Who turns the switch, and why."""

    by: Person
    reason: Reason


class SwitchView(View):
    """Whether messages leave at all."""

    stopped: bool
    by: str | None = None
    reason: str | None = None
    since: datetime | None = None


class SignBody(Body):
    """Who decides."""

    by: Person


class RevocationBody(Body):
    """Who ends links, and why."""

    by: Person
    reason: Reason


class FindingView(View):
    """A contact that research found; nothing about a debt goes there until a person has approved it.

    `email` and `sms` can be written to once they are approved; `phone` is a landline for a person to call, `profile` a
    page for a person to open: nothing is ever sent to either.
    """

    id: int
    kind: FindingKind
    value: str
    evidence: dict[str, Any]
    state: FindingState
    found_at: datetime
    decided_by: str | None


class FindingList(View):
    """What research found about a customer."""

    findings: list[FindingView]


class UnsettledView(View):
    """A notice whose sending nobody knows the outcome of."""

    id: int
    invoice: str
    rung: str
    kind: NoticeKind
    channel: Channel
    state: NoticeState
    claimed_at: datetime
    message_id: str | None
    settled_by: str | None


class UnsettledList(View):
    """Notices that may or may not have been sent, oldest first."""

    notices: list[UnsettledView]


class SettlementBody(Body):
    """What the relay's log, or the customer, says about a notice."""

    was_sent: bool
    by: Person


class NudgeView(View):
    """What came of a nudge: `started` says that no workflow ran before, `closed` that none is wanted."""

    number: str
    workflow: Told


class AnswerBody(Body):
    """The customer answered: by mail, by phone, or in person."""

    about: Reason | None = None
    other_way: bool = Field(default=False, description="The customer cannot pay in the agreed way")
    by: Person | None = None


class AgencyWord(StrEnum):
    """What an agency reports."""

    ACKNOWLEDGED = "acknowledged"
    RETURNED = "returned"


class AgencyBody(Body):
    """A report of the agency that has the invoice."""

    word: Annotated[AgencyWord, Field(strict=False)]
    reference: Annotated[str, line(200, "The agency's own reference")] | None = None
    reason: Reason | None = None
    by: Person | None = None


class FactView(View):
    """A fact that was written down."""

    number: str
    facts_version: int
    outstanding_minor: int
