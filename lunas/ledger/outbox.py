"""The outbox: what workflows are still to be told. A nudge carries nothing but the invoice's number.

It is written in the transaction of the fact. Whoever wrote the fact delivers it at once; what is left behind by a crash
or an outage is delivered by the reconcile schedule.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import bindparam, select, update

from lunas.ledger.database import LedgerSession, WriteSession
from lunas.ledger.kinds import NudgeKind
from lunas.ledger.tables import InvoiceRow, NudgeRow


@dataclass(frozen=True, slots=True)
class Nudge:
    """Tell the workflow of `number`: start, or look at the facts again."""

    id: int
    number: str
    kind: NudgeKind
    created_at: datetime


async def undelivered(
    session: LedgerSession, *, older_than: timedelta = timedelta(0), limit: int = 1000
) -> list[Nudge]:
    """Nudges that nobody has delivered for so long, oldest first."""
    latest = await session.now() - older_than
    rows = await session.execute(
        select(NudgeRow.id, InvoiceRow.number, NudgeRow.kind, NudgeRow.created_at)
        .join(InvoiceRow, InvoiceRow.id == NudgeRow.invoice_id)
        .where(NudgeRow.delivered_at.is_(None), NudgeRow.created_at <= latest)
        .order_by(NudgeRow.created_at, NudgeRow.id)
        .limit(limit)
    )
    return [Nudge(id_, number, kind, created_at) for id_, number, kind, created_at in rows]


async def delivered(session: WriteSession, ids: Sequence[int]) -> None:
    """These nudges have been delivered; saying so twice is harmless."""
    now = await session.now()
    await session.execute(
        update(NudgeRow).where(NudgeRow.id.in_(ids), NudgeRow.delivered_at.is_(None)).values(delivered_at=now)
    )


async def told(session: WriteSession, versions: Mapping[str, int]) -> None:
    """The workflows of these invoices have been told the facts of these versions: nudges up to now are delivered.

    Facts that came in since then have a nudge of their own, which stays.
    """
    current = select(InvoiceRow.id).where(
        InvoiceRow.number == bindparam("number"), InvoiceRow.facts_version <= bindparam("version")
    )
    statement = (
        update(NudgeRow)
        .where(NudgeRow.invoice_id.in_(current), NudgeRow.delivered_at.is_(None))
        .values(delivered_at=session.clock())
    )
    await (await session.connection()).execute(
        statement, [{"number": number, "version": version} for number, version in versions.items()]
    )
