"""The journal: every decision of the workflow and every fact of the ledger, once each, in the order they came."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select

from lunas.ledger.database import LedgerSession, WriteSession
from lunas.ledger.kinds import JournalSource
from lunas.ledger.tables import InvoiceRow, JournalRow
from lunas.receivables.invoice import Entry

#: The ledger's own line where a workflow's decision differs from the one that stands under the same number.
DIVERGED = "journal_diverged"


async def write_entries(session: WriteSession, invoice: InvoiceRow, entries: Sequence[Entry]) -> list[Entry]:
    """Write the workflow's decisions down; those that stand there already are left alone.

    Returns the entries that do not say what stands in the journal under their number: an operator has reset the
    workflow to an earlier point, and it now decides differently. The caller notes that; the gate still guards.
    """
    if not entries:
        return []
    known = {}
    if entries[0].sequence <= invoice.sequence:  # the customer's lock is ours: nothing can come in between
        rows = await session.scalars(
            select(JournalRow).where(
                JournalRow.invoice_id == invoice.id,
                JournalRow.source == JournalSource.WORKFLOW,
                JournalRow.sequence.in_([entry.sequence for entry in entries]),
            )
        )
        known = {row.sequence: row for row in rows}
    session.add_all(_row(invoice.id, entry) for entry in entries if entry.sequence not in known)
    return [entry for entry in entries if (row := known.get(entry.sequence)) and _differs(row, entry)]


def _differs(row: JournalRow, entry: Entry) -> bool:
    return (row.event, row.rule, row.becomes) != (entry.event, entry.rule, entry.becomes)


def _row(invoice_id: int, entry: Entry) -> JournalRow:
    return JournalRow(
        invoice_id=invoice_id,
        source=JournalSource.WORKFLOW,
        sequence=entry.sequence,
        at=entry.at,
        event=entry.event,
        rule=entry.rule,
        was=entry.was,
        becomes=entry.becomes,
        was_held=entry.was_held,
        held=entry.held,
        by=entry.by,
        reason=entry.reason,
        detail=entry.detail,
        policy=entry.policy,
    )


async def journal_of(
    session: LedgerSession, number: str, *, after: int = 0, limit: int = 200
) -> tuple[Sequence[JournalRow], int | None]:
    """The invoice's journal, oldest first, and the cursor (`after`) of the next page; None on the last."""
    rows = (
        await session.scalars(
            select(JournalRow)
            .join(InvoiceRow, InvoiceRow.id == JournalRow.invoice_id)
            .where(InvoiceRow.number == number, JournalRow.id > after)
            .order_by(JournalRow.id)
            .limit(limit + 1)
        )
    ).all()
    page = rows[:limit]
    return page, page[-1].id if len(rows) > limit else None


async def last_decided_at(session: LedgerSession, invoice_id: int) -> datetime | None:
    """The moment of the workflow's last decision, by its own clock: ahead of ours where its time is skipped."""
    moment: datetime | None = await session.scalar(
        select(JournalRow.at)
        .where(JournalRow.invoice_id == invoice_id, JournalRow.source == JournalSource.WORKFLOW)
        .order_by(JournalRow.sequence.desc())
        .limit(1)
    )
    return moment
