"""The closed sets of words that the ledger stores, beside those of the receivables themselves."""

from __future__ import annotations

from enum import StrEnum

from lunas.receivables.actions import NoticeKind


class Language(StrEnum):
    """A language that customers are written to in."""

    INDONESIAN = "id"
    ENGLISH = "en"


class ContactSource(StrEnum):
    """Where a contact came from; what research found needs a person's approval before it hears of a debt."""

    REGISTER = "register"
    STAFF = "staff"
    RESEARCH = "research"


class AddressState(StrEnum):
    """Whether an address or a number may be used."""

    OK = "ok"
    BOUNCED = "bounced"
    OPTED_OUT = "opted_out"


class NoticeState(StrEnum):
    """How far a notice has come; `unknown` means that the relay's answer was lost."""

    CLAIMED = "claimed"
    COMMITTING = "committing"
    SENT = "sent"
    FAILED = "failed"
    UNKNOWN = "unknown"
    CANCELLED = "cancelled"


#: States in which the customer has heard from us, may have, or is about to: these count on the contact budget.
HEARD = (NoticeState.CLAIMED, NoticeState.COMMITTING, NoticeState.SENT, NoticeState.UNKNOWN)

#: Notices that answer what the customer just did: allowed for settled and held invoices, and at any hour.
ANSWERS = (NoticeKind.RECEIPT, NoticeKind.PROMISE_CONFIRMED)


class JournalSource(StrEnum):
    """Who wrote a line of the journal: the workflow (a decision) or the ledger (a fact)."""

    WORKFLOW = "workflow"
    LEDGER = "ledger"


class HoldAct(StrEnum):
    """What a row of the holds register says."""

    SET = "set"
    LIFTED = "lifted"


class NudgeKind(StrEnum):
    """What a workflow is to be told."""

    START = "start"
    FACTS_CHANGED = "facts_changed"


class ChargeKind(StrEnum):
    """What is claimed on top of the lines."""

    INTEREST = "interest"
    FEE = "fee"


class FindingState(StrEnum):
    """What a person made of a contact that research found."""

    PROPOSED = "proposed"
    APPROVED = "approved"
    REJECTED = "rejected"


class PlacementEnd(StrEnum):
    """How a placement with an agency ended."""

    RECALLED = "recalled"
    RETURNED = "returned"


class Verdict(StrEnum):
    """What the gate said to a notice."""

    CLAIMED = "claimed"
    SETTLED = "settled"
    HELD = "held"
    COVERED = "covered"
    WAIT = "wait"
    NO_CONTACT = "no_contact"
    ALREADY_SENT = "already_sent"
    UNSETTLED = "unsettled"
    REFUSED = "refused"
