"""The public face of an invoice's workflow: its id, its queue and every message that it understands.

Facts (payments, bounces, answers) go to the ledger first; the one signal `facts_changed` only says that there is news.
Requests are updates: they may be refused, and answer with the new view. Personal data belongs in the ledger, not here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import ClassVar, Protocol

from lunas.receivables import events as on
from lunas.receivables.invoice import Facts, HoldKind, Instalment, InvoiceState, Stage
from lunas.receivables.policy import Policy

TASK_QUEUE = "lunas"
INVOICE_WORKFLOW = "Invoice"
RECONCILE_WORKFLOW = "Reconcile"
RECONCILE_ID = "reconcile"
FOLLOW_OFFERS_WORKFLOW = "FollowOffers"
BALANCE_CHANGED = "balance_changed"
WEBHOOK_WORKFLOW = "Webhook"
WAKE = "wake"

FACTS_CHANGED = "facts_changed"
STATUS = "status"
STATE = "state"
#: The type of the application error that a refused request raises; its message is the sentence for people.
NOT_ALLOWED = "NotAllowed"


def webhook_id(endpoint: int) -> str:
    """The id of an endpoint's workflow: at most one delivers to an endpoint."""
    return f"webhook/{endpoint}"


def offers_id(number: str) -> str:
    """The id of the workflow that has an invoice's payment offers follow its balance."""
    return f"offers/{number}"


def workflow_id(number: str) -> str:
    """The id of the invoice's workflow: one open workflow per invoice number."""
    return f"invoice/{number}"


@dataclass(frozen=True)
class Start:
    """Collect this invoice from this state on: a new one, one that is reopened, or one that continues as new.

    `events_per_run` is how long a history may grow before the workflow continues as new with its whole state.
    """

    state: InvoiceState
    events_per_run: int = 4_000


@dataclass(frozen=True)
class View:
    """What the workflow shows of itself. Amounts in minor units, moments in UTC."""

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
    facts_version: int
    sequence: int


@dataclass(frozen=True)
class FactsChanged:
    """The ledger's facts as of their version; older ones than the workflow has are of no interest."""

    facts: Facts


class Ask(Protocol):
    """A request: `UPDATE` names the update that takes it."""

    UPDATE: ClassVar[str]

    def event(self) -> on.Request:
        """What it proposes to the lifecycle."""


@dataclass(frozen=True)
class RecordPromise:
    """The customer promises to pay `amount_minor` (nothing given: all of it) by `pay_by`."""

    UPDATE: ClassVar[str] = "record_promise"

    pay_by: date
    by: str = "operations"
    reason: str = ""
    amount_minor: int | None = None

    def event(self) -> on.PromiseMade:
        return on.PromiseMade(self.by, self.reason, self.pay_by, self.amount_minor)


@dataclass(frozen=True)
class RaiseDispute:
    """The customer says the bill is wrong, by `amount_minor` (nothing given: wholly)."""

    UPDATE: ClassVar[str] = "raise_dispute"

    reason: str
    by: str = "operations"
    amount_minor: int | None = None

    def event(self) -> on.DisputeRaised:
        return on.DisputeRaised(self.by, self.reason, self.amount_minor)


@dataclass(frozen=True)
class AgreeInstalments:
    """The customer is to pay all that is open in instalments, each by its day."""

    UPDATE: ClassVar[str] = "agree_instalments"

    instalments: tuple[Instalment, ...]
    by: str = "operations"
    reason: str = ""

    def event(self) -> on.InstalmentsAgreed:
        return on.InstalmentsAgreed(self.by, self.reason, self.instalments)


@dataclass(frozen=True)
class ResolveDispute:
    """The dispute is decided: `upheld` (the credit note comes separately) or `rejected`."""

    UPDATE: ClassVar[str] = "resolve_dispute"

    outcome: on.DisputeOutcome
    by: str = "operations"
    reason: str = ""

    def event(self) -> on.DisputeResolved:
        return on.DisputeResolved(self.by, self.reason, self.outcome)


@dataclass(frozen=True)
class Pause:
    """Send nothing until `until` (nothing given: as long as the policy lets a pause last)."""

    UPDATE: ClassVar[str] = "pause"

    reason: str
    by: str = "operations"
    until: date | None = None

    def event(self) -> on.Paused:
        return on.Paused(self.by, self.reason, self.until)


@dataclass(frozen=True)
class Resume:
    """End the pause."""

    UPDATE: ClassVar[str] = "resume"

    by: str = "operations"
    reason: str = ""

    def event(self) -> on.Resumed:
        return on.Resumed(self.by, self.reason)


@dataclass(frozen=True)
class ApprovePlacement:
    """Hand it to the agency, or with `approve` false keep it."""

    UPDATE: ClassVar[str] = "approve_placement"

    by: str
    reason: str = ""
    approve: bool = True

    def event(self) -> on.PlacementApproved | on.PlacementRefused:
        kind = on.PlacementApproved if self.approve else on.PlacementRefused
        return kind(self.by, self.reason)


@dataclass(frozen=True)
class Recall:
    """Take it back from the agency."""

    UPDATE: ClassVar[str] = "recall"

    by: str
    reason: str = ""

    def event(self) -> on.Recalled:
        return on.Recalled(self.by, self.reason)


@dataclass(frozen=True)
class WriteOff:
    """Book the balance as a loss; the claim may live on and be recovered later."""

    UPDATE: ClassVar[str] = "write_off"

    by: str
    reason: str

    def event(self) -> on.WrittenOff:
        return on.WrittenOff(self.by, self.reason)


@dataclass(frozen=True)
class Cancel:
    """The invoice should never have been: stop collecting it."""

    UPDATE: ClassVar[str] = "cancel"

    by: str
    reason: str

    def event(self) -> on.Cancelled:
        return on.Cancelled(self.by, self.reason)


@dataclass(frozen=True)
class CorrectContact:
    """The contact was put right in the ledger: go on at the same rung."""

    UPDATE: ClassVar[str] = "correct_contact"

    by: str = "operations"
    reason: str = ""

    def event(self) -> on.ContactCorrected:
        return on.ContactCorrected(self.by, self.reason)


@dataclass(frozen=True)
class ChangePolicy:
    """Follow this policy from here on; no notice is repeated."""

    UPDATE: ClassVar[str] = "change_policy"

    policy: Policy
    by: str
    reason: str = ""

    def event(self) -> on.PolicyChanged:
        return on.PolicyChanged(self.by, self.reason, self.policy)


@dataclass(frozen=True)
class DecideCredit:
    """Hold the invoice before anything is sent, or with `release` true let it go."""

    UPDATE: ClassVar[str] = "decide_credit"

    by: str
    reason: str = ""
    release: bool = False

    def event(self) -> on.CreditHeld | on.CreditReleased:
        kind = on.CreditReleased if self.release else on.CreditHeld
        return kind(self.by, self.reason)
