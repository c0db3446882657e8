"""What we may do: imperatives that the lifecycle orders and the activities perform."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from lunas.receivables.ladder import Channel, Do, Tone


class NoticeKind(StrEnum):
    """What a notice is about."""

    SEND_INVOICE = "send_invoice"
    REMIND = "remind"
    DUE_NOTICE = "due_notice"
    FOLLOW_UP = "follow_up"
    OFFER_ALTERNATE_PAYMENT = "offer_alternate_payment"
    FINAL_DEMAND = "final_demand"
    RECEIPT = "receipt"
    PROMISE_CONFIRMED = "promise_confirmed"

    @classmethod
    def of(cls, do: Do) -> NoticeKind:
        """The notice that this rung's action sends."""
        return cls(do.value)

    @property
    def is_dunning(self) -> bool:
        """Whether it asks for money: the window, the caps and every hold apply.

        A receipt or a confirmation answers what the customer just did, and sending the invoice itself is not
        collecting: these count on no budget.
        """
        return self not in (NoticeKind.RECEIPT, NoticeKind.PROMISE_CONFIRMED, NoticeKind.SEND_INVOICE)

    @property
    def may_share_a_message(self) -> bool:
        """Whether notices of several invoices may travel as one message; a final demand stands alone."""
        return self in (NoticeKind.REMIND, NoticeKind.DUE_NOTICE, NoticeKind.FOLLOW_UP)


@dataclass(frozen=True, slots=True)
class SendNotice:
    """Say this to the customer through one channel. `rung` is the key that it is claimed under, once for ever."""

    rung: str
    kind: NoticeKind
    channel: Channel
    tone: Tone = Tone.FRIENDLY
    ordinal: int = 0
    pay_by: date | None = None


@dataclass(frozen=True, slots=True)
class ResearchContact:
    """Look for another way to reach the customer."""


@dataclass(frozen=True, slots=True)
class PrepareOffer:
    """Make the other ways to pay ready, so that the offer's notice can name them."""

    rung: str


@dataclass(frozen=True, slots=True)
class PlaceWithAgency:
    """Hand the invoice to the collection agency."""

    approved_by: str


@dataclass(frozen=True, slots=True)
class RecallFromAgency:
    """Take it back from the agency at once."""

    reason: str


@dataclass(frozen=True, slots=True)
class TellOwner:
    """Tell the owner of the receivable that something waits for a person. `key` makes it once per occasion."""

    key: str
    about: str


Action = SendNotice | ResearchContact | PrepareOffer | PlaceWithAgency | RecallFromAgency | TellOwner
