"""How an invoice looks from outside: the projection that the ledger keeps, and the flags that ask for a person."""

from __future__ import annotations

from datetime import datetime

from lunas.receivables.deadlines import fell_due, next_deadline
from lunas.receivables.invoice import HoldKind, InvoiceState, Placement, Research, Standing
from lunas.receivables.ladder import Channel, Rung
from lunas.receivables.words import step_words


def standing(state: InvoiceState, at: datetime) -> Standing:
    """Where the invoice stands at `at`, and what time alone will bring next."""
    deadline = next_deadline(state, at)
    rung = fell_due(deadline) if deadline else None
    return Standing(
        stage=state.stage,
        held=state.hold.kind if state.hold else None,
        held_until=state.hold.until if state.hold else None,
        rung=state.last_step or None,
        next_step=step_words(deadline.event, state.follow_ups) if deadline else None,
        next_at=deadline.moment if deadline else None,
        next_rung=rung.key if rung and rung.do.is_notice else None,
        next_channels=_channels(state, rung) if rung else (),
        flags=flags(state),
    )


def _channels(state: InvoiceState, rung: Rung) -> tuple[Channel, ...]:
    return state.climb.remaining if state.climb is not None and state.climb.rung == rung else rung.by


def flags(state: InvoiceState) -> tuple[str, ...]:
    """What waits for a person, in a fixed order: the Temporal UI and the lists filter by these."""
    found = []
    if state.hold is not None and state.hold.kind is HoldKind.APPROVAL:
        found.append("needs_approval")
    if state.placement is Placement.LAPSED and state.is_open:
        found.append("approval_lapsed")
    if state.research is Research.PROPOSED and state.is_open:
        found.append("contact_to_approve")
    if state.unreachable and state.is_open:
        found.append("unreachable")
    if state.broken_promises and state.is_open:
        found.append("broken_promise")
    return tuple(found)
