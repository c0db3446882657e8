"""What would happen: rehearsals of a policy, with an invoice that does not exist or with one that does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time

from api.errors import Kind, Problem
from api.schemas.plans import Happens, PlannedView, RehearsalView, Supposition
from lunas.receivables import events as on
from lunas.receivables.calendar import zone
from lunas.receivables.invoice import Facts, InvoiceState
from lunas.receivables.lifecycle import NotAllowed
from lunas.receivables.money import LARGEST_MINOR, Currency, Money
from lunas.receivables.policy import Policy
from lunas.receivables.rehearsal import Happening, Planned, issue, rehearse

#: The number of an invoice that does not exist.
REHEARSED = "REHEARSAL"
_BY = "rehearsal"


def hypothetical(
    policy: Policy, total_minor: int, currency: Currency, issued_on: date, due_on: date | None
) -> InvoiceState:
    """An invoice that does not exist, issued at nine in the morning where the customer is."""
    opened_at = _moment(issued_on, time(9), policy)
    total = Money(total_minor, currency)
    return issue(REHEARSED, REHEARSED, total, issued_on, policy, opened_at=opened_at, due_on=due_on)


def rehearsal(
    state: InvoiceState, days: int, suppose: Sequence[Supposition] = (), *, since: datetime | None = None
) -> RehearsalView:
    """What would be done until `days` after the due date, from `since` on."""
    try:
        planned = rehearse(state, days=days, suppose=_happenings(state, suppose))
    except NotAllowed as refused:
        raise Problem(Kind.REFUSED, f"what is supposed cannot happen: {refused}") from None
    return RehearsalView(
        number=state.number,
        policy=state.policy.name,
        version=state.policy.version,
        due_on=state.due_on,
        planned=[_view(one) for one in planned if since is None or one.at >= since],
    )


def _happenings(state: InvoiceState, suppose: Sequence[Supposition]) -> Iterator[Happening]:
    """The suppositions in the order of their days, facts built one upon the other."""
    facts = state.facts
    for one in sorted(suppose, key=lambda one: one.on):
        at = _moment(one.on, time(12), state.policy)
        request = _request(one)
        if request is not None:
            yield Happening(at, request)
            continue
        facts = replace(_facts(facts, one), version=facts.version + 1)
        yield Happening(at, facts)


def _request(one: Supposition) -> on.Request | None:
    match one.what:
        case Happens.PROMISE:
            return on.PromiseMade(_BY, "", one.until, one.amount_minor)
        case Happens.DISPUTE:
            return on.DisputeRaised(_BY, "", one.amount_minor)
        case Happens.PAUSE:
            return on.Paused(_BY, "", one.until)
        case _:
            return None


def _facts(facts: Facts, one: Supposition) -> Facts:
    balance = facts.balance
    match one.what:
        case Happens.PAID:
            received = balance.received + (one.amount_minor or max(balance.outstanding, 0))
            if received > LARGEST_MINOR:
                raise Problem(Kind.REFUSED, f"more than {LARGEST_MINOR} minor units cannot come in: suppose less")
            return replace(facts, balance=replace(balance, received=received))
        case Happens.PAYMENT_REVERSED:
            minor = min(one.amount_minor or balance.received, balance.received - balance.reversed)
            return replace(facts, balance=replace(balance, reversed=balance.reversed + minor))
        case Happens.CONTACT_LOST:
            return replace(facts, reachable=False)
        case Happens.CONTACT_FOUND:
            return replace(facts, reachable=True)
        case Happens.ANSWERED:
            return replace(facts, answers=facts.answers + 1)
        case _:
            return replace(facts, other_way=True)


def _moment(day: date, at: time, policy: Policy) -> datetime:
    return datetime.combine(day, at, zone(policy.calendar.zone_name)).astimezone(UTC)


def _view(one: Planned) -> PlannedView:
    return PlannedView(
        at=one.at, on=one.on, days_late=one.days_late, what=one.what, stage=one.stage, held=one.held, text=str(one)
    )
