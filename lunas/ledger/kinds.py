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


#: The provider of receipts that an import brings: paid before the invoice came to us, and so not answered.
IMPORTED = "import"


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


class FindingKind(StrEnum):
    """What a person may do with a finding: write to it by mail or text, call it, or open the page and look.

    Only what can be written to ever becomes a contact; a landline and a profile never hear from the machine.
    """

    EMAIL = "email"
    SMS = "sms"
    PHONE = "phone"
    PROFILE = "profile"

    @property
    def can_be_written_to(self) -> bool:
        """Whether approving it makes a contact that notices are sent to."""
        return self in (FindingKind.EMAIL, FindingKind.SMS)


class BookingState(StrEnum):
    """What became of a provider's delivery."""

    WAITING = "waiting"  # it moves money, and is not booked yet
    BOOKED = "booked"
    NOTED = "noted"  # it moves no money
    REFUSED = "refused"  # it contradicts what is booked, or was never confirmed: a person decides


class FindingState(StrEnum):
    """What a person made of a contact that research found."""

    PROPOSED = "proposed"
    APPROVED = "approved"
    REJECTED = "rejected"


class PlacementEnd(StrEnum):
    """How a placement with an agency ended."""

    RECALLED = "recalled"
    RETURNED = "returned"


class DeliveryState(StrEnum):
    """How far an event has come on its way to an endpoint; `failed` is tried again, `given_up` only on request."""

    PENDING = "pending"
    FAILED = "failed"
    DELIVERED = "delivered"
    GIVEN_UP = "given_up"


#: States in which a delivery is still under way.
UNDER_WAY = (DeliveryState.PENDING, DeliveryState.FAILED)


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
