"""The register of endpoints: where API clients are told of events, and with which secrets deliveries are signed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, exists, or_, select, update

from lunas.ledger.announcing import write_event
from lunas.ledger.database import LedgerSession, WriteSession
from lunas.ledger.errors import NotFound, Refused
from lunas.ledger.kinds import UNDER_WAY, DeliveryState
from lunas.ledger.tables import DeliveryRow, EndpointRow, EndpointSecretRow
from lunas.webhooks import TEST, EventType, new_secret

#: How many endpoints there may be: each is written to for every event, and has a workflow of its own.
MOST_ENDPOINTS = 50
#: For how long deliveries are also signed with the secret before, unless it is said otherwise.
BOTH_VALID_FOR = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class NewSecret:
    """A secret that nobody is shown again, and until when the one before it is valid too."""

    endpoint_id: int
    secret: str
    before_valid_until: datetime | None = None


async def add_endpoint(
    session: WriteSession, url: str, events: Sequence[EventType], *, by: str
) -> tuple[EndpointRow, NewSecret]:
    """Subscribe `url` to these types from now on; `lunas.webhooks.check_url` has seen the URL before.

    Raises Refused where there are as many endpoints as there may be.
    """
    there = (await session.scalars(select(EndpointRow.id).where(EndpointRow.removed_at.is_(None)))).all()
    if len(there) >= MOST_ENDPOINTS:
        raise Refused(f"there are {MOST_ENDPOINTS} webhook endpoints, which is the most: remove one that is not used")
    now = await session.now()
    row = EndpointRow(url=url, events=_words(events), created_at=now, created_by=by)
    session.add(row)
    await session.flush()
    return row, await _add_secret(session, row.id, now)


async def change_endpoint(
    session: WriteSession,
    endpoint_id: int,
    *,
    url: str | None = None,
    events: Sequence[EventType] | None = None,
    active: bool | None = None,
) -> EndpointRow:
    """Change what is given; raises NotFound.

    An endpoint that is not active keeps what arises for it; activated again, it gets all of that at once.
    """
    row = await _locked(session, endpoint_id)
    row.url = url or row.url
    row.events = _words(events) if events else row.events
    if active is not None and active is not row.active:
        row.active = active
        row.disabled_at = None if active else await session.now()
        row.disabled_why = None if active else "by request"
    if active:
        row.succeeded_at = None
        await session.execute(
            update(DeliveryRow)
            .where(DeliveryRow.endpoint_id == row.id, DeliveryRow.state.in_(UNDER_WAY))
            .values(next_at=None, first_at=None, attempts=0)
        )
        session.announced.add(row.id)
    await session.flush()
    return row


async def remove_endpoint(session: WriteSession, endpoint_id: int) -> None:
    """Tell it nothing any more, and forget its secrets; raises NotFound."""
    row = await _locked(session, endpoint_id)
    row.active, row.removed_at = False, await session.now()
    await session.execute(delete(EndpointSecretRow).where(EndpointSecretRow.endpoint_id == row.id))
    await session.execute(
        update(DeliveryRow)
        .where(DeliveryRow.endpoint_id == row.id, DeliveryRow.state.in_(UNDER_WAY))
        .values(state=DeliveryState.GIVEN_UP, next_at=None, last_error="the endpoint was removed")
    )
    await session.flush()


async def rotate_secret(
    session: WriteSession, endpoint_id: int, *, both_valid_for: timedelta = BOTH_VALID_FOR
) -> NewSecret:
    """Make a new secret; deliveries are signed with it and, for so long, with the one before. Raises NotFound.

    Two are valid at most: one that was before the one before ends now.
    """
    row = await _locked(session, endpoint_id)
    now = await session.now()
    until = now + both_valid_for
    newest = await session.scalar(
        select(EndpointSecretRow.id)
        .where(EndpointSecretRow.endpoint_id == row.id)
        .order_by(EndpointSecretRow.id.desc())
        .limit(1)
    )
    of_it = EndpointSecretRow.endpoint_id == row.id
    await session.execute(delete(EndpointSecretRow).where(of_it, EndpointSecretRow.id != newest))
    await session.execute(update(EndpointSecretRow).where(of_it).values(expires_at=until))
    made = await _add_secret(session, row.id, now)
    return NewSecret(row.id, made.secret, until)


async def secrets_of(session: LedgerSession, endpoint_id: int) -> list[str]:
    """The secrets that are valid now, the newest first."""
    now = await session.now()
    rows = await session.scalars(
        select(EndpointSecretRow.secret)
        .where(
            EndpointSecretRow.endpoint_id == endpoint_id,
            or_(EndpointSecretRow.expires_at.is_(None), EndpointSecretRow.expires_at > now),
        )
        .order_by(EndpointSecretRow.id.desc())
    )
    return list(rows.all())


async def endpoint(session: LedgerSession, endpoint_id: int) -> EndpointRow:
    """One endpoint; raises NotFound."""
    row = await session.scalar(
        select(EndpointRow).where(EndpointRow.id == endpoint_id, EndpointRow.removed_at.is_(None))
    )
    if row is None:
        raise _unknown(endpoint_id)
    return row


async def endpoints(session: LedgerSession) -> Sequence[EndpointRow]:
    """Every endpoint that was not removed, oldest first."""
    rows = await session.scalars(select(EndpointRow).where(EndpointRow.removed_at.is_(None)).order_by(EndpointRow.id))
    return rows.all()


async def send_test(session: WriteSession, endpoint_id: int) -> DeliveryRow:
    """Write an event down that goes to this endpoint alone; raises NotFound, or Refused where it is not active."""
    row = await active_endpoint(session, endpoint_id)
    data = {"endpoint": row.id, "note": "this is a test: nothing happened"}
    _, (delivery,) = await write_event(session, [(row.id, True)], TEST, await session.now(), data)
    return delivery


async def active_endpoint(session: WriteSession, endpoint_id: int) -> EndpointRow:
    """The endpoint, locked; raises NotFound, or Refused where it is not active."""
    row = await _locked(session, endpoint_id)
    if not row.active:
        raise Refused(f"webhook endpoint {row.id} is not active ({row.disabled_why}): activate it first")
    return row


async def endpoints_waiting(session: LedgerSession, *, older_than: timedelta) -> list[int]:
    """Active endpoints for which something has been due so long: whoever wrote it may not have woken anybody."""
    latest = await session.now() - older_than
    waiting = exists().where(
        DeliveryRow.endpoint_id == EndpointRow.id,
        DeliveryRow.state.in_(UNDER_WAY),
        DeliveryRow.created_at <= latest,
        or_(DeliveryRow.next_at.is_(None), DeliveryRow.next_at <= latest),
    )
    rows = await session.scalars(select(EndpointRow.id).where(EndpointRow.active, waiting).order_by(EndpointRow.id))
    return list(rows.all())


async def _locked(session: WriteSession, endpoint_id: int) -> EndpointRow:
    row: EndpointRow | None = await session.scalar(
        select(EndpointRow)
        .where(EndpointRow.id == endpoint_id, EndpointRow.removed_at.is_(None))
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    if row is None:
        raise _unknown(endpoint_id)
    return row


async def _add_secret(session: WriteSession, endpoint_id: int, now: datetime) -> NewSecret:
    secret = new_secret()
    session.add(EndpointSecretRow(endpoint_id=endpoint_id, secret=secret, created_at=now))
    await session.flush()
    return NewSecret(endpoint_id, secret)


def _words(events: Sequence[EventType]) -> list[str]:
    return sorted({one.value for one in events})


def _unknown(endpoint_id: int) -> NotFound:
    return NotFound(f"there is no webhook endpoint {endpoint_id}: check the id in the list of endpoints")
