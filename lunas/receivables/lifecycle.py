"""THE TABLE: what an invoice does about everything that can happen to it.

Read a line as: *when the invoice is* …, *and* this happens (*only when* …), *it becomes* … *and we* … . The first line
that fits decides. `lunas lifecycle` prints the same table for operations staff; a test proves that every pair of a
stage and an event is decided on purpose: by a line, or in IGNORED or REFUSED.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from lunas.receivables import conditions as only_when
from lunas.receivables import effects as we
from lunas.receivables import events as on
from lunas.receivables.actions import Action, NoticeKind, PlaceWithAgency, PrepareOffer, SendNotice
from lunas.receivables.invoice import CLOSED, OPEN, OWN_CHASING, Entry, InvoiceState, Placement, Stage
from lunas.receivables.standstill import tidy
from lunas.receivables.step import Step
from lunas.receivables.words import doc_words, event_name, request_words, state_words

Stages = frozenset[Stage]


class NotAllowed(ValueError):
    """A request that is refused now; the message says why and what would be needed."""


@dataclass(frozen=True, slots=True)
class Back:
    """`becomes`: the stage that the invoice had before."""

    field: str

    def stage(self, state: InvoiceState) -> Stage:
        """The remembered stage."""
        remembered: Stage | None = getattr(state, self.field)
        return remembered or Stage.ISSUED


@dataclass(frozen=True)
class Rule:
    """One line of the table. `becomes` None means that it stays what it is."""

    when: Stages
    event: type[on.Event]
    given: only_when.Condition | None
    becomes: Stage | Back | None
    we: tuple[Callable[[Step], Step], ...]

    @cached_property
    def name(self) -> str:
        """How the journal names the line: `promise_made/with_us/the_promise_is_within_limits`."""
        parts = [event_name(self.event), GROUPS[self.when], *([self.given.__name__] if self.given else [])]
        return "/".join(part.replace(" ", "_") for part in parts)


ISSUED, DUE, FOLLOW_UP, RESEARCH, ALTERNATE, AGENCY, PAID, CREDITED, WRITTEN_OFF, CANCELLED = Stage
issued = frozenset({ISSUED})
until_due = frozenset({ISSUED, DUE})
until_follow_up = until_due | {FOLLOW_UP}
in_research = frozenset({RESEARCH})
with_us = OWN_CHASING
at_agency = frozenset({AGENCY})
settled = frozenset({PAID, CREDITED})

#: How the table's first column is read.
GROUPS: dict[Stages, str] = {
    issued: "issued",
    until_due: "issued or due",
    until_follow_up: "up to follow-up",
    in_research: "in research contact",
    with_us: "with us",
    at_agency: "with the agency",
    OPEN: "open",
    settled: "paid or credited",
    CLOSED: "closed",
}
BEFORE_RESEARCH, BEFORE_AGENCY, BEFORE_CLOSE = (
    Back("before_research"),
    Back("before_agency"),
    Back("before_close"),
)

# fmt: off
TABLE: tuple[Rule, ...] = tuple(Rule(*row) for row in (
    # when it is        and                          only when                            it becomes       and we
    # -- time: the ladder ------------------------------------------------------------------------------------------
    (with_us,         on.InvoiceReadyToSend,    None,                                  None,            (we.send_the_notice,)),
    (with_us,         on.ReminderFellDue,       only_when.it_leaves_room,              None,            (we.send_the_notice,)),
    (with_us,         on.ReminderFellDue,       None,                                  None,            (we.pass_over_the_rung,)),
    (issued,          on.DueNoticeFellDue,      None,                                  DUE,             (we.send_the_notice,)),
    (with_us,         on.DueNoticeFellDue,      None,                                  None,            (we.send_the_notice,)),
    (until_due,       on.FollowUpFellDue,       None,                                  FOLLOW_UP,       (we.send_the_notice,)),
    (with_us,         on.FollowUpFellDue,       None,                                  None,            (we.send_the_notice,)),
    (until_follow_up, on.ResearchFellDue,       only_when.it_is_worth_a_search,        RESEARCH,        (we.search_for_a_contact,)),
    (with_us,         on.ResearchFellDue,       None,                                  None,            (we.pass_over_the_rung,)),
    (with_us,         on.OfferFellDue,          only_when.it_was_not_offered,          ALTERNATE,       (we.prepare_the_offer,)),
    (with_us,         on.OfferFellDue,          None,                                  None,            (we.pass_over_the_rung,)),
    (until_due,       on.FinalDemandFellDue,    None,                                  FOLLOW_UP,       (we.send_the_notice,)),
    (with_us,         on.FinalDemandFellDue,    None,                                  None,            (we.send_the_notice,)),
    (with_us,         on.PlacementFellDue,      only_when.it_was_approved,             None,            (we.order_the_placement,)),
    (with_us,         on.PlacementFellDue,      only_when.an_approval_is_required,     None,            (we.hold_for_approval, we.tell_the_owner)),
    (with_us,         on.PlacementFellDue,      None,                                  None,            (we.approve_the_placement,)),
    # -- time: patience --------------------------------------------------------------------------------------------
    (with_us,         on.PromiseBroken,         only_when.a_promise_holds_it,          None,            (we.count_the_broken_promise, we.lift_the_hold, we.tell_the_owner)),
    (with_us,         on.PauseEnded,            only_when.a_pause_holds_it,            None,            (we.lift_the_hold,)),
    (with_us,         on.DisputeClockRanOut,    only_when.a_dispute_holds_it,          None,            (we.renew_the_hold, we.tell_the_owner)),
    (with_us,         on.CreditClockRanOut,     only_when.a_credit_hold_holds_it,      None,            (we.renew_the_hold, we.tell_the_owner)),
    (with_us,         on.ApprovalLapsed,        only_when.an_approval_is_awaited,      None,            (we.let_the_approval_lapse, we.lift_the_hold, we.tell_the_owner)),
    (with_us,         on.ResearchRanOut,        only_when.it_was_unreachable,          None,            (we.resume_the_rung, we.give_up_the_search, we.tell_the_owner)),
    (with_us,         on.ResearchRanOut,        None,                                  None,            (we.give_up_the_search,)),
    (at_agency,       on.AgencyFellSilent,      None,                                  None,            (we.start_the_agency_clock, we.tell_the_owner)),
    # -- facts -----------------------------------------------------------------------------------------------------
    (with_us,         on.PaidInFull,            only_when.it_was_paid_before_it_came,  PAID,            ()),
    (with_us,         on.PaidInFull,            None,                                  PAID,            (we.thank_the_customer,)),
    (at_agency,       on.PaidInFull,            only_when.it_was_paid_before_it_came,  PAID,            (we.recall_it,)),
    (at_agency,       on.PaidInFull,            None,                                  PAID,            (we.recall_it, we.thank_the_customer)),
    (OPEN,            on.PartPaymentReceived,   only_when.it_was_paid_before_it_came,  None,            (we.lift_a_kept_promise,)),
    (OPEN,            on.PartPaymentReceived,   None,                                  None,            (we.thank_the_customer, we.lift_a_kept_promise)),
    (OPEN,            on.PaymentReversed,       None,                                  None,            (we.tell_the_owner,)),
    (settled,         on.PaymentReversed,       None,                                  BEFORE_CLOSE,    (we.reopen, we.tell_the_owner)),
    (with_us,         on.CreditedInFull,        None,                                  CREDITED,        ()),
    (at_agency,       on.CreditedInFull,        None,                                  CREDITED,        (we.recall_it,)),
    (OPEN,            on.CreditNoteIssued,      None,                                  None,            ()),
    (until_follow_up, on.ContactLost,           None,                                  RESEARCH,        (we.lose_the_contact, we.search_for_a_contact)),
    (with_us,         on.ContactLost,           None,                                  None,            (we.lose_the_contact, we.search_for_a_contact)),
    (in_research,     on.ContactFound,          only_when.it_was_unreachable,          BEFORE_RESEARCH, (we.resume_the_rung,)),
    (OPEN,            on.ContactFound,          None,                                  None,            (we.resume_the_rung,)),
    (with_us,         on.CustomerAnswered,      only_when.a_person_is_to_answer,       None,            (we.hold_for_the_answer, we.tell_the_owner)),
    (OPEN,            on.CustomerAnswered,      None,                                  None,            (we.tell_the_owner,)),
    (with_us,         on.OtherWayAskedFor,      only_when.there_is_an_offer_to_make,   ALTERNATE,       (we.bring_the_offer_forward,)),
    (OPEN,            on.OtherWayAskedFor,      None,                                  None,            (we.tell_the_owner,)),
    (at_agency,       on.AgencyAcknowledged,    None,                                  None,            (we.start_the_agency_clock,)),
    (at_agency,       on.AgencyReturned,        None,                                  BEFORE_AGENCY,   (we.end_the_placement, we.tell_the_owner)),
    # -- requests --------------------------------------------------------------------------------------------------
    (with_us,         on.PromiseMade,           only_when.the_promise_is_within_limits, None,           (we.hold_for_the_promise,)),
    (with_us,         on.InstalmentsAgreed,     only_when.the_plan_is_within_limits,   None,            (we.hold_for_the_first_instalment,)),
    (with_us,         on.DisputeRaised,         only_when.the_disputed_amount_is_open, None,            (we.hold_for_the_dispute, we.tell_the_owner)),
    (at_agency,       on.DisputeRaised,         only_when.the_disputed_amount_is_open, BEFORE_AGENCY,   (we.recall_it, we.hold_for_the_dispute, we.tell_the_owner)),
    (with_us,         on.DisputeResolved,       only_when.a_dispute_holds_it,          None,            (we.lift_the_hold,)),
    (with_us,         on.Paused,                only_when.it_may_be_paused,            None,            (we.hold_for_the_pause,)),
    (with_us,         on.Resumed,               only_when.a_pause_holds_it,            None,            (we.lift_the_hold,)),
    (with_us,         on.PlacementApproved,     only_when.it_may_be_placed,            None,            (we.lift_the_hold, we.approve_the_placement)),
    (with_us,         on.PlacementRefused,      only_when.it_was_asked,                None,            (we.lift_the_approval, we.refuse_the_placement)),
    (at_agency,       on.Recalled,              None,                                  BEFORE_AGENCY,   (we.recall_it,)),
    (with_us,         on.WrittenOff,            None,                                  WRITTEN_OFF,     ()),
    (at_agency,       on.WrittenOff,            None,                                  WRITTEN_OFF,     (we.recall_it,)),
    (with_us,         on.Cancelled,             None,                                  CANCELLED,       ()),
    (at_agency,       on.Cancelled,             None,                                  CANCELLED,       (we.recall_it,)),
    (in_research,     on.ContactCorrected,      only_when.it_was_unreachable,          BEFORE_RESEARCH, (we.resume_the_rung,)),
    (OPEN,            on.ContactCorrected,      None,                                  None,            (we.resume_the_rung,)),
    (with_us,         on.PolicyChanged,         only_when.a_policy_is_given,           None,            (we.follow_the_new_policy,)),
    (issued,          on.CreditHeld,            only_when.nothing_was_sent,            None,            (we.hold_for_credit, we.tell_the_owner)),
    (with_us,         on.CreditReleased,        only_when.a_credit_hold_holds_it,      None,            (we.lift_the_hold,)),
    # -- how our actions turned out ----------------------------------------------------------------------------------
    (with_us,         on.NoticeSent,            None,                                  None,            (we.climb_on,)),
    (with_us,         on.NoticeUnsettled,       None,                                  None,            (we.climb_on,)),
    (with_us,         on.NoticePostponed,       None,                                  None,            (we.wait_as_asked,)),
    (with_us,         on.NoticeWithheld,        None,                                  None,            (we.wait_as_asked,)),
    (until_follow_up, on.NoticeUndeliverable,   only_when.the_last_way_is_lost,        RESEARCH,        (we.try_the_next_channel,)),
    (with_us,         on.NoticeUndeliverable,   None,                                  None,            (we.try_the_next_channel,)),
    (with_us,         on.ContactResearched,     only_when.there_are_candidates,        None,            (we.note_the_candidates, we.tell_the_owner)),
    (with_us,         on.ContactResearched,     None,                                  None,            (we.note_the_candidates,)),
    (with_us,         on.OfferPrepared,         only_when.the_offer_is_under_way,      None,            (we.send_the_offer,)),
    (with_us,         on.OfferPrepared,         None,                                  None,            ()),
    (with_us,         on.PlacementConfirmed,    only_when.a_hold_came_between,         None,            (we.recall_it, we.tell_the_owner)),
    (with_us,         on.PlacementConfirmed,    None,                                  AGENCY,          (we.start_the_agency_clock,)),
    (CLOSED,          on.PlacementConfirmed,    None,                                  None,            (we.recall_it,)),
    (with_us,         on.PlacementFailed,       None,                                  None,            (we.keep_the_placement_back, we.tell_the_owner)),
))

OUR_OUTCOMES = (on.NoticeSent, on.NoticeUnsettled, on.NoticePostponed, on.NoticeWithheld, on.NoticeUndeliverable,
                on.ContactResearched, on.OfferPrepared, on.PlacementFailed)
LADDER_TIME = (*on.FELL_DUE.values(), on.PlacementFellDue)
HOLD_TIME = (on.PromiseBroken, on.PauseEnded, on.DisputeClockRanOut, on.CreditClockRanOut, on.ApprovalLapsed, on.ResearchRanOut)

#: What needs nothing from us in these stages, on purpose, and why.
IGNORED: tuple[tuple[Stages, tuple[type[on.Event], ...], str], ...] = (
    (at_agency,          LADDER_TIME,                                         "our own chasing is frozen while the agency has it"),
    (at_agency,          HOLD_TIME,                                           "no hold survives a placement"),
    (CLOSED,             (*LADDER_TIME, *HOLD_TIME, on.AgencyFellSilent),     "after the end no clock runs"),
    (with_us,            (on.AgencyFellSilent, on.AgencyAcknowledged, on.AgencyReturned), "no agency has it: the word came too late"),
    (at_agency,          (on.ContactLost,),                                   "the agency has its own contacts"),
    (at_agency,          (*OUR_OUTCOMES, on.PlacementConfirmed),              "a receipt's outcome, or an order that was repeated"),
    (CLOSED,             OUR_OUTCOMES,                                        "a receipt's outcome, or an order that the end overtook"),
    (CLOSED,             (on.PaidInFull, on.PartPaymentReceived, on.CreditedInFull, on.CreditNoteIssued), "the ledger books it; nothing is left to do"),
    (CLOSED - settled,   (on.PaymentReversed,),                               "the claim was given up; the ledger keeps the balance"),
    (CLOSED,             (on.ContactLost, on.ContactFound, on.CustomerAnswered, on.OtherWayAskedFor, on.AgencyAcknowledged, on.AgencyReturned), "collecting has ended"),
)

REQUESTS = (on.PromiseMade, on.InstalmentsAgreed, on.DisputeRaised, on.DisputeResolved, on.Paused, on.Resumed, on.PlacementApproved, on.PlacementRefused, on.Recalled,
            on.WrittenOff, on.Cancelled, on.ContactCorrected, on.PolicyChanged, on.CreditHeld, on.CreditReleased)

#: What is not allowed in these stages, and the sentence that says so.
REFUSED: tuple[tuple[Stages, tuple[type[on.Event], ...], str], ...] = (
    (CLOSED,             REQUESTS,                                            "it is closed"),
    (at_agency,          (on.PromiseMade, on.InstalmentsAgreed, on.Paused, on.Resumed, on.DisputeResolved, on.PolicyChanged, on.CreditHeld, on.CreditReleased),
                                                                              "the agency has it: recall it first"),
    (at_agency,          (on.PlacementApproved, on.PlacementRefused),         "the agency has it already"),
    (with_us,            (on.Recalled,),                                      "no agency has it"),
    (with_us - issued,   (on.CreditHeld,),                                    "credit is decided before anything is sent"),
)
# fmt: on

_RULES: dict[tuple[Stage, type[on.Event]], tuple[Rule, ...]] = {}
for _rule in TABLE:
    for _stage in _rule.when:
        _RULES[_stage, _rule.event] = (*_RULES.get((_stage, _rule.event), ()), _rule)


@dataclass(frozen=True, slots=True)
class Decision:
    """What became of the invoice, what is to be done now, in order, and the journal's line (None: nothing happened)."""

    state: InvoiceState
    actions: tuple[Action, ...]
    entry: Entry | None


def decide(state: InvoiceState, event: on.Event, at: datetime) -> Decision:
    """Apply `event`, which happened at `at`.

    Raises NotAllowed for a request that is refused; anything else that fits no line changes nothing.
    """
    rule = _rule_for(state, event, at)
    if rule is None:
        if isinstance(event, on.Request):
            raise NotAllowed(_refusal(state, event))
        return Decision(state, (), None)
    step = Step(_moved(state, rule), event, at)
    for effect in rule.we:
        step = effect(step)
    step = tidy(step, state)
    after = step.state
    by, reason = (event.by, event.reason) if isinstance(event, on.Request) else ("lunas", "")
    entry = Entry(
        sequence=after.sequence,
        at=at,
        event=event_name(rule.event),
        rule=rule.name,
        was=state.stage,
        becomes=after.stage,
        was_held=state.hold.kind if state.hold else None,
        held=after.hold.kind if after.hold else None,
        by=by,
        reason=reason,
        detail="; ".join(step.detail),
        policy=f"{after.policy.name}@{after.policy.version}",
    )
    return Decision(after, step.actions, entry)


def allows(state: InvoiceState, request: on.Request, at: datetime) -> str | None:
    """Why the request is refused now, in a sentence; None when it is allowed."""
    return None if _rule_for(state, request, at) is not None else _refusal(state, request)


def wanted(state: InvoiceState, action: Action) -> bool:
    """Whether an action that was ordered is still to be performed, after what happened meanwhile."""
    match action:
        case SendNotice(kind=kind, rung=rung, channel=channel) if kind is not NoticeKind.RECEIPT:
            if kind is NoticeKind.PROMISE_CONFIRMED:
                return state.is_open
            climb = state.climb
            return state.is_free and climb is not None and climb.rung.key == rung and channel in climb.remaining
        case PrepareOffer():
            return state.is_free
        case PlaceWithAgency():
            return state.is_free and state.placement is Placement.APPROVED
        case _:
            return True


def _rule_for(state: InvoiceState, event: on.Event, at: datetime) -> Rule | None:
    if isinstance(event, (on.RungFellDue, on.PlacementFellDue)) and not state.is_free:
        return None  # a hold stops the ladder's clock: such an event is a straggler
    for rule in _RULES.get((state.stage, type(event)), ()):
        if rule.given is None or rule.given(state, event, at):
            return rule
    return None


def _moved(state: InvoiceState, rule: Rule) -> InvoiceState:
    """The state in its new stage, with the stage to come back to remembered."""
    sequence, was, becomes = state.sequence + 1, state.stage, rule.becomes
    if becomes is None or becomes is was:
        return state.but(sequence=sequence)
    if isinstance(becomes, Back):
        return state.but(sequence=sequence, stage=becomes.stage(state))
    if becomes.is_closed:
        # The end recalls it from the agency, so that a reversal finds it with us.
        ours = state.before_agency if was is AGENCY else was
        return state.but(sequence=sequence, stage=becomes, before_close=ours)
    if becomes is AGENCY:
        return state.but(sequence=sequence, stage=becomes, before_agency=was)
    if becomes is RESEARCH:
        return state.but(sequence=sequence, stage=becomes, before_research=was)
    return state.but(sequence=sequence, stage=becomes)


def _refusal(state: InvoiceState, request: on.Request) -> str:
    asked, kind = request_words(request), type(request)
    now = f"Invoice {state.number} is {state_words(state)}: it"
    for stages, kinds, why in REFUSED:
        if state.stage in stages and kind in kinds:
            return f"{now} cannot {asked}, because {why}"
    needs = " or ".join(doc_words(rule.given) for rule in _RULES.get((state.stage, kind), ()) if rule.given)
    return f"{now} can {asked} only when {needs}"
