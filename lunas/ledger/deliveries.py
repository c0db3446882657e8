"""Deliveries: what is due to which endpoint, what came of each attempt, and what is to be sent again.

The endpoint's workflow decides when; this is what it reads and where it writes down, so that a workflow that was lost
goes on where it was, and people see how each delivery stands.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import func, or_, select, update

from lunas.ledger.database import LedgerSession, WriteSession
from lunas.ledger.endpoints import active_endpoint, secrets_of
from lunas.ledger.errors import NotFound
from lunas.ledger.kinds import UNDER_WAY, DeliveryState
from lunas.ledger.tables import DeliveryRow, EndpointRow, InvoiceRow, OutgoingEventRow
from lunas.webhooks import Attempt, Batch, Due, Outcome

#: The receiver says that it is gone for good (RFC 9110).
_GONE = 410


@dataclass(frozen=True, slots=True)
class Parcel:
    """What is posted: the same id and body at every attempt."""

    endpoint_id: int
    url: str
    secrets: tuple[str, ...]
    event_id: str
    body: bytes


@dataclass(frozen=True, slots=True)
class DeliveryView:
    """How an event stands on its way to an endpoint; `last_error` is ours, never the receiver's words."""

    id: int
    event: str
    type: str
    sequence: int
    invoice: str | None
    at: datetime
    state: DeliveryState
    attempts: int
    last_status: int | None
    last_error: str | None
    next_at: datetime | None
    delivered_at: datetime | None


async def due(session: LedgerSession, endpoint_id: int, at: datetime, limit: int) -> Batch:
    """What is due to an active endpoint at `at`, oldest first; nothing for one that is not active."""
    under_way = (
        DeliveryRow.endpoint_id == endpoint_id,
        DeliveryRow.state.in_(UNDER_WAY),
        EndpointRow.id == DeliveryRow.endpoint_id,
        EndpointRow.active,
    )
    rows = await session.execute(
        select(DeliveryRow.id, OutgoingEventRow.event_id, OutgoingEventRow.type, DeliveryRow.attempts)
        .join(OutgoingEventRow, OutgoingEventRow.id == DeliveryRow.outgoing_event_id)
        .where(*under_way, or_(DeliveryRow.next_at.is_(None), DeliveryRow.next_at <= at))
        .order_by(DeliveryRow.id)
        .limit(limit)
    )
    found = tuple(Due(id_, event, kind, attempts) for id_, event, kind, attempts in rows)
    if found:
        return Batch(found)
    return Batch((), await session.scalar(select(func.min(DeliveryRow.next_at)).where(*under_way)))


async def parcel(session: LedgerSession, delivery_id: int) -> Parcel | None:
    """What is to be posted; None where the delivery is over, or its endpoint is not active."""
    found = (
        await session.execute(
            select(DeliveryRow.state, EndpointRow, OutgoingEventRow)
            .join(EndpointRow, EndpointRow.id == DeliveryRow.endpoint_id)
            .join(OutgoingEventRow, OutgoingEventRow.id == DeliveryRow.outgoing_event_id)
            .where(DeliveryRow.id == delivery_id)
        )
    ).one_or_none()
    if found is None:
        return None
    state, to, event = found
    if state not in UNDER_WAY or not to.active:
        return None
    said = {
        "id": event.event_id,
        "type": event.type,
        "timestamp": event.at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "sequence": event.id,
        "data": event.payload,
    }
    body = json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()
    return Parcel(to.id, to.url, tuple(await secrets_of(session, to.id)), event.event_id, body)


async def record_attempt(session: WriteSession, attempt: Attempt, status: int | None, error: str | None) -> Outcome:
    """Write down what came of an attempt: the receiver's `status`, or why none came.

    The endpoint is disabled when it says that it is gone (410), or when a delivery is given up and nothing has
    succeeded there since its first attempt.
    """
    row = await _locked(session, attempt.delivery)
    if row.state not in UNDER_WAY:  # an attempt that was overtaken
        return Outcome(row.state is DeliveryState.DELIVERED)
    row.attempts += 1
    row.first_at = row.first_at or attempt.at
    row.last_status, row.last_error, row.next_at = status, error, None
    if status is not None and 200 <= status < 300:
        row.state, row.delivered_at, row.last_error = DeliveryState.DELIVERED, attempt.at, None
        await session.execute(
            update(EndpointRow).where(EndpointRow.id == row.endpoint_id).values(succeeded_at=attempt.at)
        )
        await session.flush()
        return Outcome(True)
    row.last_error = error or f"the receiver answered {status}"
    disabled = False
    if status == _GONE:
        row.state = DeliveryState.GIVEN_UP
        disabled = await _disable(session, row, attempt.at, "the receiver says that it is gone (410)")
    elif attempt.again_at is None:
        row.state = DeliveryState.GIVEN_UP
        disabled = await _disable(session, row, attempt.at, "nothing was delivered for days", row.first_at)
    else:
        row.state, row.next_at = DeliveryState.FAILED, attempt.again_at
    await session.flush()
    return Outcome(False, disabled)


async def _disable(
    session: WriteSession, row: DeliveryRow, at: datetime, why: str, since: datetime | None = None
) -> bool:
    """Disable the endpoint unless something succeeded there after `since`; True where this has done it."""
    quiet = [or_(EndpointRow.succeeded_at.is_(None), EndpointRow.succeeded_at < since)] if since else []
    changed = await session.scalar(
        update(EndpointRow)
        .where(EndpointRow.id == row.endpoint_id, EndpointRow.active, *quiet)
        .values(active=False, disabled_at=at, disabled_why=why)
        .returning(EndpointRow.id)
        .execution_options(synchronize_session=False)
    )
    return changed is not None


async def deliveries(
    session: LedgerSession,
    endpoint_id: int,
    *,
    state: DeliveryState | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[DeliveryView]:
    """An endpoint's deliveries, newest first; `before` is the last id of the page before."""
    only = [DeliveryRow.endpoint_id == endpoint_id]
    only += [DeliveryRow.state == state] if state else []
    only += [DeliveryRow.id < before] if before else []
    rows = await session.execute(
        select(DeliveryRow, OutgoingEventRow, InvoiceRow.number)
        .join(OutgoingEventRow, OutgoingEventRow.id == DeliveryRow.outgoing_event_id)
        .outerjoin(InvoiceRow, InvoiceRow.id == OutgoingEventRow.invoice_id)
        .where(*only)
        .order_by(DeliveryRow.id.desc())
        .limit(limit)
    )
    return [
        DeliveryView(
            id=row.id,
            event=event.event_id,
            type=event.type,
            sequence=event.id,
            invoice=number,
            at=event.at,
            state=row.state,
            attempts=row.attempts,
            last_status=row.last_status,
            last_error=row.last_error,
            next_at=row.next_at,
            delivered_at=row.delivered_at,
        )
        for row, event, number in rows
    ]


async def replay_event(session: WriteSession, endpoint_id: int, event_id: str) -> int:
    """Deliver one event again, whatever came of it before. Raises NotFound, or Refused for an endpoint not active."""
    await active_endpoint(session, endpoint_id)
    ids = await session.scalars(
        select(DeliveryRow.id)
        .join(OutgoingEventRow, OutgoingEventRow.id == DeliveryRow.outgoing_event_id)
        .where(DeliveryRow.endpoint_id == endpoint_id, OutgoingEventRow.event_id == event_id)
    )
    found = ids.all()
    if not found:
        raise NotFound(
            f"no event {event_id!r} was ever for webhook endpoint {endpoint_id}: check the id in its deliveries; "
            "what arose before it subscribed is not kept for it"
        )
    return await _again(session, endpoint_id, found)


async def replay_failed(session: WriteSession, endpoint_id: int, since: datetime) -> int:
    """Deliver again, at once, all events since that moment that did not arrive; returns how many.

    Raises NotFound, or Refused for an endpoint that is not active.
    """
    await active_endpoint(session, endpoint_id)
    ids = await session.scalars(
        select(DeliveryRow.id).where(
            DeliveryRow.endpoint_id == endpoint_id,
            DeliveryRow.created_at >= since,
            DeliveryRow.state.in_((DeliveryState.FAILED, DeliveryState.GIVEN_UP)),
        )
    )
    return await _again(session, endpoint_id, ids.all())


async def _again(session: WriteSession, endpoint_id: int, ids: Sequence[int]) -> int:
    for start in range(0, len(ids), 500):  # a statement takes only so many parameters
        await session.execute(
            update(DeliveryRow)
            .where(DeliveryRow.id.in_(ids[start : start + 500]))
            .values(state=DeliveryState.PENDING, attempts=0, first_at=None, next_at=None, delivered_at=None)
        )
    session.announced.add(endpoint_id)
    return len(ids)


async def _locked(session: WriteSession, delivery_id: int) -> DeliveryRow:
    """The delivery, under its endpoint's lock: all that changes deliveries takes that one first."""
    await session.execute(
        select(EndpointRow.id)
        .where(EndpointRow.id == select(DeliveryRow.endpoint_id).where(DeliveryRow.id == delivery_id).scalar_subquery())
        .with_for_update(key_share=True)
    )
    row = await session.scalar(select(DeliveryRow).where(DeliveryRow.id == delivery_id))
    if row is None:
        raise NotFound(f"there is no delivery {delivery_id}: the ledger is not the one that it was written in")
    return row
