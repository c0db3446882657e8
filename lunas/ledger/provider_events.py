"""Deliveries by payment providers, kept as they came: booked once, however often they are delivered."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import and_, exists, func, or_, select

from lunas.ledger.database import LedgerSession, WriteSession, insert_or_ignore
from lunas.ledger.kinds import BookingState
from lunas.ledger.tables import ProviderEventRow, ProviderReadingRow, ReceiptRow
from lunas.providers.events import EventKind, ProviderEvent
from lunas.receivables.money import Money


@dataclass(frozen=True, slots=True)
class Kept:
    """A delivery in the ledger: what it says, what became of it, and whether this was its first one.

    `same` is False where what was kept under the id says something else than what was delivered now.
    """

    id: int
    said: ProviderEvent
    state: BookingState
    confirmed: bool
    received_at: datetime
    why: str | None = None
    new: bool = False
    same: bool = True


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


async def keep_reading(
    session: WriteSession, said: ProviderEvent, *, raw: bytes, verification: str, confirmed: bool
) -> Kept:
    """Keep a delivery together with what it says; a repetition finds what became of the first.

    `confirmed`: how it was verified covers what it says. Where it does not, the provider is to be asked before booking.
    """
    event_id, new = await keep_event(
        session, provider=said.provider, event=said.event, raw=raw, verification=verification
    )
    if new:
        state = BookingState.WAITING if said.kind.moves_money else BookingState.NOTED
        row = ProviderReadingRow(
            event_id=event_id, provider=said.provider, kind=said.kind, state=state, confirmed=confirmed
        )
        write_down(row, said)
        session.add(row)
        await session.flush()
    kept = await kept_event(session, event_id)
    return replace(kept, new=new, same=_meaning(kept.said) == _meaning(said))


def write_down(row: ProviderReadingRow, said: ProviderEvent) -> None:
    """What the event says, in the row's columns."""
    row.kind = said.kind
    row.reference = said.reference
    row.currency = said.amount.currency if said.amount else None
    row.amount_minor = said.amount.minor if said.amount else None
    row.moved_on = said.on
    row.instruments = list(said.instruments)
    row.invoice = said.invoice
    row.reversal = said.reversal
    row.reason = said.reason


async def kept_event(session: LedgerSession, event_id: int) -> Kept:
    """A delivery that was kept; raises NoResultFound where there is none of that id."""
    rows = await session.execute(_KEPT.where(ProviderReadingRow.event_id == event_id))
    return _kept(*rows.one())


async def waiting_events(session: LedgerSession, *, older_than: timedelta, limit: int = 200) -> list[Kept]:
    """Deliveries that should have been booked by now, those that were tried longest ago first.

    A reversal whose payment has not come is not among them: it is booked with its payment.
    """
    before = await session.now() - older_than
    rows = await session.execute(
        _KEPT.where(
            ProviderReadingRow.state == BookingState.WAITING,
            ProviderEventRow.received_at <= before,
            or_(ProviderReadingRow.kind == EventKind.PAID, _PAYMENT_IS_BOOKED),
        )
        .order_by(ProviderReadingRow.tried_at.asc().nulls_first(), ProviderReadingRow.event_id)
        .limit(limit)
    )
    return [_kept(*row) for row in rows.all()]


async def unsettled_events(session: LedgerSession, limit: int = 200) -> list[Kept]:
    """Deliveries that wait or were refused, oldest first: for a person to look at."""
    rows = await session.execute(
        _KEPT.where(ProviderReadingRow.state.in_((BookingState.WAITING, BookingState.REFUSED)))
        .order_by(ProviderReadingRow.event_id)
        .limit(limit)
    )
    return [_kept(*row) for row in rows.all()]


async def count_by_state(session: LedgerSession) -> dict[BookingState, int]:
    """How many deliveries are in each state."""
    state = ProviderReadingRow.state
    rows = await session.execute(select(state, func.count()).group_by(state))
    return dict(rows.all())


async def event_of(session: LedgerSession, event_id: int) -> ProviderEventRow | None:
    """A delivery as it came; None where there is none of that id."""
    return await session.get(ProviderEventRow, event_id)


_KEPT = select(ProviderReadingRow, ProviderEventRow.event, ProviderEventRow.received_at).join(
    ProviderEventRow, ProviderEventRow.id == ProviderReadingRow.event_id
)
_PAYMENT_IS_BOOKED = exists().where(
    and_(ReceiptRow.provider == ProviderReadingRow.provider, ReceiptRow.reference == ProviderReadingRow.reference)
)


def _kept(row: ProviderReadingRow, event: str, received_at: datetime) -> Kept:
    said = ProviderEvent(
        row.provider,
        event,
        row.kind,
        reference=row.reference,
        amount=Money(row.amount_minor, row.currency) if row.amount_minor is not None and row.currency else None,
        on=row.moved_on,
        instruments=tuple(row.instruments),
        invoice=row.invoice,
        reversal=row.reversal,
        reason=row.reason,
    )
    return Kept(row.event_id, said, row.state, row.confirmed, received_at, row.why)


def _meaning(said: ProviderEvent) -> tuple[object, ...]:
    """What two deliveries under one id must agree on: all that is booked."""
    return said.kind, said.reference, said.amount, said.on, said.reversal
