"""From two versions of the ledger's facts to what happened between them.

The workflow never adds money up: it adopts the newer facts whole, and this difference tells it the events. So a lost,
repeated or reordered signal can neither lose nor repeat one.
"""

from __future__ import annotations

from lunas.receivables.events import (
    AgencyAcknowledged,
    AgencyReturned,
    ContactFound,
    ContactLost,
    CreditedInFull,
    CreditNoteIssued,
    CustomerAnswered,
    FactEvent,
    OtherWayAskedFor,
    PaidInFull,
    PartPaymentReceived,
    PaymentReversed,
)
from lunas.receivables.invoice import AgencyWord, Facts, InvoiceState


def adopt(state: InvoiceState, facts: Facts) -> tuple[InvoiceState, tuple[FactEvent, ...]]:
    """The state with the newer facts, and what they say happened; an older or equal version changes nothing."""
    if facts.version <= state.facts.version:
        return state, ()
    return state.but(facts=facts), difference(state.facts, facts)


def difference(old: Facts, new: Facts) -> tuple[FactEvent, ...]:
    """What happened between two versions; money first, so that nothing else is done for a settled invoice."""
    return (*_money(old, new), *_people(old, new))


def _money(old: Facts, new: Facts) -> list[FactEvent]:
    before, after = old.balance, new.balance
    was_settled = before.settled and old.version > 0  # before the first version nothing was known, not nothing owed
    earlier = _is_only_earlier_money(old, new)
    if after.settled:
        if was_settled:
            return []
        return [PaidInFull(earlier) if after.net_received > 0 else CreditedInFull()]
    events: list[FactEvent] = []
    if was_settled or after.reversed > before.reversed:
        events.append(PaymentReversed())
    if after.net_received > before.net_received:
        events.append(PartPaymentReceived(earlier))
    if after.credited > before.credited:
        events.append(CreditNoteIssued())
    return events


def _is_only_earlier_money(old: Facts, new: Facts) -> bool:
    """Whether none of the money that the new version shows came to us: the customer knows it since it was paid."""
    came_to_us = new.balance.net_received - new.earlier > old.balance.net_received - old.earlier
    return not came_to_us and (new.earlier > old.earlier or new.earlier >= new.balance.net_received)


def _people(old: Facts, new: Facts) -> list[FactEvent]:
    events: list[FactEvent] = []
    if old.reachable and not new.reachable:
        events.append(ContactLost())
    elif new.reachable and not old.reachable:
        events.append(ContactFound())
    if new.other_way and not old.other_way:
        events.append(OtherWayAskedFor())  # before the answer that said so: the offer is the answer to it
    if new.answers > old.answers:
        events.append(CustomerAnswered())
    if new.agency is not old.agency:
        if new.agency is AgencyWord.ACKNOWLEDGED:
            events.append(AgencyAcknowledged())
        elif new.agency is AgencyWord.RETURNED:
            events.append(AgencyReturned())
    return events
