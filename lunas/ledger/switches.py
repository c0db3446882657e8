"""The one switch that stops all sending. Every turn of it is kept, with a name and a reason."""

from __future__ import annotations

from sqlalchemy import select

from lunas.ledger.database import LedgerSession, WriteSession
from lunas.ledger.tables import SwitchRow


async def stop_sending(session: WriteSession, *, by: str, reason: str) -> None:
    """From the commit of this transaction on, no claim and no commit passes: nothing new leaves, to anybody."""
    session.add(SwitchRow(stopped=True, by=by, reason=reason, at=await session.now()))
    await session.flush()


async def resume_sending(session: WriteSession, *, by: str, reason: str) -> None:
    """Sending goes on; what waited asks again within a quarter of an hour."""
    session.add(SwitchRow(stopped=False, by=by, reason=reason, at=await session.now()))
    await session.flush()


async def sending_stopped(session: LedgerSession) -> SwitchRow | None:
    """Who stopped all sending, when and why; None where it goes on."""
    last = await session.scalar(select(SwitchRow).order_by(SwitchRow.id.desc()).limit(1))
    return last if last is not None and last.stopped else None
