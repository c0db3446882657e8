"""Deliveries by payment providers, kept as they came: booked once, however often they are delivered."""

from __future__ import annotations

from sqlalchemy import select

from lunas.ledger.database import LedgerSession, WriteSession, insert_or_ignore
from lunas.ledger.tables import ProviderEventRow


async def keep_event(
    session: WriteSession, *, provider: str, event: str, raw: bytes, verification: str
) -> tuple[int, bool]:
    """Keep a delivery under the provider's id of the event; returns our id, and whether it is new.

    `verification` says how it was verified (`hmac-sha256`, `fetched by id`). The first delivery stays as it is.
    """
    new_id = await session.scalar(
        insert_or_ignore(session, ProviderEventRow, "provider", "event")
        .values(provider=provider, event=event, raw=raw, verification=verification, received_at=session.clock())
        .returning(ProviderEventRow.id)
    )
    if new_id is not None:
        return new_id, True
    this_event = (ProviderEventRow.provider == provider, ProviderEventRow.event == event)
    return (await session.scalars(select(ProviderEventRow.id).where(*this_event))).one(), False


async def event_of(session: LedgerSession, event_id: int) -> ProviderEventRow | None:
    """A delivery as it came; None where there is none of that id."""
    return await session.get(ProviderEventRow, event_id)
