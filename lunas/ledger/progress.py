"""Progress: what the workflow decided, written down where lists, reports and the gate can see it."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import exists, select

from lunas.ledger.announcing import announce_decisions
from lunas.ledger.database import Ledger, WriteSession
from lunas.ledger.documents import state_text
from lunas.ledger.facts import Seen, lock_customer_of, look_at, note_fact
from lunas.ledger.holds import change_hold
from lunas.ledger.journal import DIVERGED, write_entries
from lunas.ledger.kinds import ANSWERS, NoticeState
from lunas.ledger.release import cancel_claimed
from lunas.ledger.tables import InvoiceRow, NoticeRow
from lunas.receivables.invoice import Facts, HoldKind, Progress, Standing

#: D of the send protocol: how long a committed notice may still leave.
COMMIT_LASTS = timedelta(seconds=4)
_POLL = 0.025  # seconds


async def record_progress(session: WriteSession, number: str, progress: Progress) -> Facts:
    """Write progress down under the gate's lock, and answer with the facts as they are now; raises NotFound.

    After a hold or the end nothing more is committed for the invoice; `settle` waits for what was committed before.
    """
    await lock_customer_of(session, number)
    seen = await look_at(session, number)
    await write_progress(session, seen, progress)
    return seen.facts


async def write_progress(session: WriteSession, seen: Seen, progress: Progress) -> HoldKind | None:
    """The same for a caller that has the lock; returns the kind of the hold in force.

    Progress that brings no new decision is a repetition, or comes from an attempt that has been overtaken: it must
    not undo what a later one wrote.
    """
    invoice = seen.invoice
    diverging = await write_entries(session, invoice, progress.entries)
    if diverging:
        numbers = ", ".join(str(entry.sequence) for entry in diverging)
        detail = f"the workflow decided again, and differently: {numbers} ({diverging[0].event} by {diverging[0].rule})"
        note_fact(session, invoice, seen.now, DIVERGED, by="lunas", detail=detail)
    newest = max((entry.sequence for entry in progress.entries), default=0)
    if newest <= invoice.sequence:
        await session.flush()
        return seen.hold
    new = [entry for entry in progress.entries if entry.sequence > invoice.sequence]
    invoice.sequence = newest
    _project(invoice, progress, seen.now)
    held = progress.hold.kind if progress.hold else None
    if progress.hold is not None or seen.hold is not None:
        await change_hold(session, invoice.id, progress.hold, seen.now, progress.entries[-1].by)
    if (held and held is not seen.hold) or invoice.stage.is_closed:
        await cancel_claimed(session, invoice.id)
    await session.flush()
    await announce_decisions(session, seen, new, progress.hold)
    return held


def _project(invoice: InvoiceRow, progress: Progress, now: datetime) -> None:
    standing = progress.standing
    was_closed = invoice.stage.is_closed
    for column, value in projected(standing).items():
        setattr(invoice, column, value)
    if standing.stage.is_closed != was_closed:
        invoice.closed_at = now if standing.stage.is_closed else None
    if progress.closed is not None:
        invoice.closed_state = state_text(progress.closed)


def projected(standing: Standing) -> dict[str, Any]:
    """The columns of an invoice that lists, reports and grouping read."""
    return {
        "stage": standing.stage,
        "held": standing.held,
        "held_until": standing.held_until,
        "rung": standing.rung,
        "next_step": standing.next_step[:200] if standing.next_step else None,
        "next_at": standing.next_at,
        "next_rung": standing.next_rung,
        "next_channels": ",".join(standing.next_channels),
        "flags": ",".join(standing.flags),
    }


async def settle(ledger: Ledger, number: str, *, at_most: timedelta = COMMIT_LASTS + timedelta(seconds=1)) -> None:
    """Wait until nothing of this invoice can still leave; then a payment, hold or dispute may be acknowledged.

    What stopped the invoice must be committed before: from then on nothing new is committed to be sent. A notice that
    was committed earlier is sent or refused within moments, or its deadline passes and its sender may not send.
    Raises TimeoutError if that takes longer than `at_most`: the ledger's clock or a sender is wrong.
    """
    async with asyncio.timeout(at_most.total_seconds()):
        while await _may_leave(ledger, number):
            await asyncio.sleep(_POLL)


async def _may_leave(ledger: Ledger, number: str) -> bool:
    async with ledger.read() as session:
        under_way = exists(NoticeRow.id).where(
            NoticeRow.invoice_id == select(InvoiceRow.id).where(InvoiceRow.number == number).scalar_subquery(),
            NoticeRow.state == NoticeState.COMMITTING,
            NoticeRow.deadline > session.clock(),
            NoticeRow.kind.not_in(ANSWERS),
        )
        return bool(await session.scalar(select(under_way)))
