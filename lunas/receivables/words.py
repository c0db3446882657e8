"""How operations staff read a step: one set of words for the Temporal UI, the rehearsal, the journal and the lists."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import cache

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
    AgencyFellSilent,
    AgencyReturned,
    ApprovalLapsed,
    Cancelled,
    ContactCorrected,
    CreditClockRanOut,
    CreditHeld,
    CreditReleased,
    CustomerAnswered,
    DisputeClockRanOut,
    DisputeRaised,
    DisputeResolved,
    Event,
    InstalmentsAgreed,
    OtherWayAskedFor,
    Paused,
    PauseEnded,
    PaymentReversed,
    PlacementApproved,
    PlacementFellDue,
    PlacementRefused,
    PolicyChanged,
    PromiseBroken,
    PromiseMade,
    Recalled,
    Request,
    ResearchRanOut,
    Resumed,
    RungFellDue,
    WrittenOff,
)
from lunas.receivables.invoice import HoldKind, InvoiceState, Stage
from lunas.receivables.ladder import Channel, Do, Rung

_CHANNEL_WORDS = {Channel.EMAIL: "email", Channel.SMS: "SMS"}
_DO_WORDS = {
    Do.SEND_INVOICE: "send the invoice",
    Do.REMIND: "reminder",
    Do.DUE_NOTICE: "due notice",
    Do.RESEARCH_CONTACT: "research the contact",
    Do.OFFER_ALTERNATE_PAYMENT: "offer another way to pay",
    Do.FINAL_DEMAND: "final demand",
    Do.PLACE_WITH_AGENCY: "place with the agency",
}
_TIME_WORDS: dict[type[Event], str] = {
    PlacementFellDue: "place with the agency, once that is approved",
    PromiseBroken: "the promise counts as broken and dunning resumes",
    PauseEnded: "the pause ends and dunning resumes",
    DisputeClockRanOut: "remind the owner of the open dispute",
    ApprovalLapsed: "the approval lapses and the monthly follow-ups go on",
    CreditClockRanOut: "remind the owner of the credit decision",
    ResearchRanOut: "give up the search for a contact and go on",
    AgencyFellSilent: "ask the agency for a report",
}
_REQUEST_WORDS: dict[type[Request], str] = {
    PromiseMade: "take a promise",
    InstalmentsAgreed: "take an instalment plan",
    DisputeRaised: "be disputed",
    DisputeResolved: "have a dispute resolved",
    Paused: "be paused",
    Resumed: "be resumed",
    PlacementApproved: "be approved for the agency",
    PlacementRefused: "be refused to the agency",
    Recalled: "be recalled",
    WrittenOff: "be written off",
    Cancelled: "be cancelled",
    ContactCorrected: "have its contact corrected",
    PolicyChanged: "follow another policy",
    CreditHeld: "be held for credit",
    CreditReleased: "be released by credit",
}
_OWNER_WORDS: dict[type[Event], str] = {
    PlacementFellDue: "the final demand ran out: approve the placement with the agency, or keep it",
    PromiseBroken: "a promise was broken, the follow-ups go on",
    DisputeClockRanOut: "the dispute still waits for a decision",
    CreditClockRanOut: "credit still waits for a decision",
    ApprovalLapsed: "nobody approved the placement in time: the follow-ups go on, and it may still be approved",
    ResearchRanOut: "no contact was found in time, the ladder goes on",
    AgencyFellSilent: "the agency has not reported: ask it",
    AgencyReturned: "the agency gave it back",
    PaymentReversed: "a payment was reversed",
    CustomerAnswered: "the customer answered: please reply",
    OtherWayAskedFor: "the customer asks for another way to pay",
    DisputeRaised: "a dispute was raised: decide it",
    CreditHeld: "credit is to be decided before anything is sent",
}
_STAGE_WORDS = {
    Stage.FOLLOW_UP: "in follow-up",
    Stage.RESEARCH_CONTACT: "in research contact",
    Stage.ALTERNATE_PAYMENT: "in alternate payment",
    Stage.AGENCY: "with the agency",
    Stage.WRITTEN_OFF: "written off",
}
_HOLD_WORDS = {
    HoldKind.DISPUTE: "disputed",
    HoldKind.PROMISE: "on hold for a promise",
    HoldKind.PAUSE: "paused",
    HoldKind.APPROVAL: "waiting for approval",
    HoldKind.CREDIT: "on hold for credit",
}


def channel_words(channels: Iterable[Channel]) -> str:
    """`email and SMS`."""
    return " and ".join(_CHANNEL_WORDS[channel] for channel in channels)


def rung_words(rung: Rung, follow_ups: int) -> str:
    """`follow-up 3 by email and SMS`, where two follow-ups have gone before."""
    name = f"follow-up {follow_ups + 1}" if rung.do is Do.FOLLOW_UP else _DO_WORDS[rung.do]
    return f"{name} by {channel_words(rung.by)}" if rung.by else name


def late_words(days_late: int) -> str:
    """`7 days late`, `due today`, `5 days before due`."""
    if days_late == 0:
        return "due today"
    days = "1 day" if abs(days_late) == 1 else f"{abs(days_late)} days"
    return f"{days} late" if days_late > 0 else f"{days} before due"


def step_words(event: Event, follow_ups: int) -> str:
    """What time will bring next, in words."""
    if isinstance(event, RungFellDue):
        return rung_words(event.rung, follow_ups)
    return _TIME_WORDS[type(event)]


def action_words(action: Action) -> str:
    """One action, as an activity's summary says it."""
    match action:
        case SendNotice(kind=kind, channel=channel, ordinal=ordinal):
            count = f" {ordinal}" if ordinal else ""
            return f"{name_words(kind.value).replace('follow up', 'follow-up')}{count} by {_CHANNEL_WORDS[channel]}"
        case ResearchContact():
            return "research the contact"
        case PrepareOffer():
            return "prepare other ways to pay"
        case PlaceWithAgency(approved_by=by):
            return f"place with the agency, approved by {by}" if by else "place with the agency"
        case RecallFromAgency(reason=reason):
            return f"recall from the agency: {reason}"
        case TellOwner(about=about):
            return f"tell the owner: {about}"


def request_words(request: Request | type[Request]) -> str:
    """What is asked of an invoice, after "it can": `take a promise`, `be recalled`."""
    return _REQUEST_WORDS[request if isinstance(request, type) else type(request)]


def stage_words(stage: Stage) -> str:
    """A stage after "it is": `in follow-up`, `with the agency`, `paid`."""
    return _STAGE_WORDS.get(stage, stage.value)


def state_words(state: InvoiceState) -> str:
    """Where an invoice stands, after "it is": `in follow-up and disputed`."""
    stage = stage_words(state.stage)
    return f"{stage} and {_HOLD_WORDS[state.hold.kind]}" if state.hold else stage


def doc_words(of: Callable[..., object]) -> str:
    """What the table says of one of its conditions or verbs: its docstring, on one line."""
    return " ".join((of.__doc__ or "").split())


def event_name(event: Event | type[Event]) -> str:
    """The event's name as the journal stores it: `paid_in_full`."""
    return _snake_case((event if isinstance(event, type) else type(event)).__name__)


@cache
def _snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def owner_words(event: Event) -> str:
    """What the owner is told: what happened, and what is to be done."""
    return _OWNER_WORDS.get(type(event), name_words(event_name(event)))


def last_step_words(step: str) -> str:
    """`follow up, 14 days late` for the rung `follow_up+14`; other steps are words already."""
    name, sign, days = step.replace("-", "+-").partition("+")
    return f"{name_words(name)}, {late_words(int(days))}" if sign else name_words(name)


def name_words(name: str) -> str:
    """`paid in full` for `paid_in_full`."""
    return name.replace("_", " ")
