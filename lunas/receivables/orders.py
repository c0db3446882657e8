"""What a workflow hands to an activity, and what comes back: references and decisions, no personal data.

One concrete dataclass each: converting a union costs a hundred times as much.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from lunas.receivables.actions import (
    Action,
    PlaceWithAgency,
    PrepareOffer,
    RecallFromAgency,
    ResearchContact,
    SendNotice,
    TellOwner,
)
from lunas.receivables.events import (
    ContactResearched,
    NoticePostponed,
    NoticeSent,
    NoticeUndeliverable,
    NoticeUnsettled,
    NoticeWithheld,
    OfferPrepared,
    OutcomeEvent,
    PlacementConfirmed,
    PlacementFailed,
)
from lunas.receivables.invoice import Facts, Progress


@dataclass(frozen=True, slots=True)
class NoticeOrder:
    """Send this notice. `at` is the workflow's own now, which a skipped clock may have moved.

    `progress` is written down with the claim, `if_sent` with the relay's acceptance: one activity a notice, not two.
    """

    invoice: str
    notice: SendNotice
    at: datetime
    progress: Progress
    if_sent: Progress | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """Do one thing that is not a notice, whatever the activity's name says; write `progress` down first.

    `subject` is the action's own argument: the rung of an offer, who approved a placement, why it is recalled, what
    the owner is told. `key` makes the effect happen once.
    """

    invoice: str
    at: datetime
    progress: Progress
    subject: str = ""
    key: str = ""


class Verdict(StrEnum):
    """How an order turned out."""

    SENT = "sent"
    COVERED = "covered"
    UNSETTLED = "unsettled"
    POSTPONED = "postponed"
    WITHHELD = "withheld"
    UNDELIVERABLE = "undeliverable"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Report:
    """What an activity says: its verdict, and the ledger's facts as it saw them last."""

    verdict: Verdict
    facts: Facts | None = None
    until: datetime | None = None  # postponed: ask again then
    covered_by: str | None = None  # covered: the invoice whose message carried it
    candidates: int = 0  # research: contacts that wait for approval
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What one turn of the reconcile schedule found and mended; `ledger_open` and `running` should agree.

    `failed` counts the invoices that could not be nudged: the worker's log names them, and the next turn tries again.
    """

    nudged: int = 0
    started: int = 0
    unsettled: int = 0  # commits past their deadline that are now honestly unknown
    ledger_open: int = 0
    running: int = 0
    failed: int = 0
    woken: int = 0  # endpoints of API clients for which something was due and late
    booked: int = 0  # deliveries of payment providers that had been left unbooked
    followed: int = 0  # invoices whose ways to pay did not fit what is open


def outcome(action: Action, report: Report) -> OutcomeEvent | None:
    """What the lifecycle hears of it; None where nothing depends on it."""
    match action:
        case SendNotice(rung=rung, channel=channel):
            match report.verdict:
                case Verdict.SENT:
                    return NoticeSent(rung, channel)
                case Verdict.COVERED:
                    return NoticeSent(rung, channel, covered_by=report.covered_by)
                case Verdict.UNSETTLED:
                    return NoticeUnsettled(rung, channel)
                case Verdict.POSTPONED:
                    return NoticePostponed(rung, channel, until=report.until)
                case Verdict.UNDELIVERABLE:
                    return NoticeUndeliverable(rung, channel)
                case _:
                    return NoticeWithheld(rung, channel)
        case ResearchContact():
            return ContactResearched(report.candidates)
        case PrepareOffer(rung=rung):
            return OfferPrepared(rung)
        case PlaceWithAgency():
            return PlacementConfirmed() if report.verdict is Verdict.DONE else PlacementFailed(report.reason)
        case RecallFromAgency() | TellOwner():
            return None
