"""What can happen to an invoice, in the past tense. Time is an event like any other.

Four families: what *time* brings, what the ledger's *facts* show, what people *request* (and may be refused), and how
our own actions *turned out*.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from lunas.receivables.invoice import Instalment
from lunas.receivables.ladder import Channel, Do, Rung
from lunas.receivables.policy import Policy


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened."""


# --- time ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TimeEvent(Event):
    """What time alone brings."""


@dataclass(frozen=True, slots=True)
class RungFellDue(TimeEvent):
    """A rung is to be climbed; `reach` is the highest day earned by now (more than the rung's after an outage)."""

    rung: Rung
    reach: int


class InvoiceReadyToSend(RungFellDue):
    """The invoice itself is to be sent."""


class ReminderFellDue(RungFellDue):
    """A reminder falls due."""


class DueNoticeFellDue(RungFellDue):
    """The due date is here."""


class FollowUpFellDue(RungFellDue):
    """A follow-up falls due."""


class ResearchFellDue(RungFellDue):
    """It is time to look for another contact."""


class OfferFellDue(RungFellDue):
    """It is time to offer another way to pay."""


class FinalDemandFellDue(RungFellDue):
    """The last notice before an agency falls due."""


@dataclass(frozen=True, slots=True)
class PlacementFellDue(TimeEvent):
    """The final demand's date is over."""


class PromiseBroken(TimeEvent):
    """The promised date and its grace are over, and the promised money is not here."""


class PauseEnded(TimeEvent):
    """A pause is over."""


class DisputeClockRanOut(TimeEvent):
    """A dispute has waited for its owner long enough."""


class ApprovalLapsed(TimeEvent):
    """Nobody gave the approval that was asked for."""


class CreditClockRanOut(TimeEvent):
    """A credit hold has waited for its owner long enough."""


class ResearchRanOut(TimeEvent):
    """No contact was found in time."""


class AgencyFellSilent(TimeEvent):
    """The agency has not reported for too long."""


FELL_DUE: dict[Do, type[RungFellDue]] = {
    Do.SEND_INVOICE: InvoiceReadyToSend,
    Do.REMIND: ReminderFellDue,
    Do.DUE_NOTICE: DueNoticeFellDue,
    Do.FOLLOW_UP: FollowUpFellDue,
    Do.RESEARCH_CONTACT: ResearchFellDue,
    Do.OFFER_ALTERNATE_PAYMENT: OfferFellDue,
    Do.FINAL_DEMAND: FinalDemandFellDue,
}


# --- facts from the ledger -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FactEvent(Event):
    """A fact that the ledger shows; it cannot be refused."""


@dataclass(frozen=True, slots=True)
class MoneyEvent(FactEvent):
    """Money came in; `earlier` money was paid before the invoice came to us, and the customer was told of it then."""

    earlier: bool = False


class PaidInFull(MoneyEvent):
    """Nothing is open any more, because money came in."""


class PartPaymentReceived(MoneyEvent):
    """Some money came in, and some is open."""


class PaymentReversed(FactEvent):
    """Money went back, or what was settled is open again."""


class CreditedInFull(FactEvent):
    """Nothing is open any more, because of credit notes alone."""


class CreditNoteIssued(FactEvent):
    """Less is owed, and some is open."""


class ContactLost(FactEvent):
    """No contact is left that can be reached."""


class ContactFound(FactEvent):
    """There is a contact again that can be reached."""


class CustomerAnswered(FactEvent):
    """The customer answered a notice."""


class OtherWayAskedFor(FactEvent):
    """The customer cannot pay in the agreed way."""


class AgencyAcknowledged(FactEvent):
    """The agency has the placement, or reported on it."""


class AgencyReturned(FactEvent):
    """The agency gave the placement back."""


# --- requests ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Request(Event):
    """What a person or a system asks for: `by` whom and for what `reason`. It may be refused."""

    by: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class PromiseMade(Request):
    """The customer promises to pay `amount_minor` (None: all of it) by `pay_by`."""

    pay_by: date | None = None
    amount_minor: int | None = None


@dataclass(frozen=True, slots=True)
class InstalmentsAgreed(Request):
    """The customer is to pay all that is open in these instalments: each is a promise of its own."""

    instalments: tuple[Instalment, ...] = ()


@dataclass(frozen=True, slots=True)
class DisputeRaised(Request):
    """The customer says that the bill is wrong, by `amount_minor` (None: wholly)."""

    amount_minor: int | None = None


class DisputeOutcome(StrEnum):
    """How a dispute ended."""

    UPHELD = "upheld"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class DisputeResolved(Request):
    """A dispute is decided; what the customer is right about comes as a credit note."""

    outcome: DisputeOutcome = DisputeOutcome.REJECTED


@dataclass(frozen=True, slots=True)
class Paused(Request):
    """Stop dunning until the end of the day before `until` (None: as long as the policy lets a pause last)."""

    until: date | None = None


class Resumed(Request):
    """Go on with dunning."""


class PlacementApproved(Request):
    """An agency may have it."""


class PlacementRefused(Request):
    """An agency shall not have it."""


class Recalled(Request):
    """Take it back from the agency."""


class WrittenOff(Request):
    """Book it as a loss."""


class Cancelled(Request):
    """The invoice should never have been."""


class ContactCorrected(Request):
    """A person has put the contact right in the ledger."""


@dataclass(frozen=True, slots=True)
class PolicyChanged(Request):
    """Follow another policy from here on."""

    policy: Policy | None = None


class CreditHeld(Request):
    """Credit must be approved before anything is sent."""


class CreditReleased(Request):
    """Credit is approved."""


# --- how our actions turned out ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OutcomeEvent(Event):
    """How something that we did turned out."""


@dataclass(frozen=True, slots=True)
class NoticeOutcome(OutcomeEvent):
    """How the notice of `rung` through `channel` turned out."""

    rung: str
    channel: Channel


@dataclass(frozen=True, slots=True)
class NoticeSent(NoticeOutcome):
    """The relay took it, or a message about another invoice carried it. `covered_by` is that invoice."""

    covered_by: str | None = None


class NoticeUnsettled(NoticeOutcome):
    """The relay's answer was lost: it may have been sent. Never sent again by itself."""


@dataclass(frozen=True, slots=True)
class NoticePostponed(NoticeOutcome):
    """The gate asks to wait. It says why: window, budget, or another notice of this customer under way."""

    until: datetime | None = None


class NoticeWithheld(NoticeOutcome):
    """The gate did not let it pass, settled or held. The facts that say why are on their way."""


class NoticeUndeliverable(NoticeOutcome):
    """No address, or the relay refused it for good."""


@dataclass(frozen=True, slots=True)
class ContactResearched(OutcomeEvent):
    """The search is over. This many candidates wait for a person's approval."""

    candidates: int = 0


@dataclass(frozen=True, slots=True)
class OfferPrepared(OutcomeEvent):
    """The other ways to pay are ready."""

    rung: str = ""


class PlacementConfirmed(OutcomeEvent):
    """The agency has been sent the placement."""


@dataclass(frozen=True, slots=True)
class PlacementFailed(OutcomeEvent):
    """The ledger or the agency did not take the placement. `reason` says why."""

    reason: str = ""
