"""What the reconcile schedule asks of the ledger: which invoices should have a running workflow."""

from __future__ import annotations

from sqlalchemy import func, select

from lunas.ledger.database import LedgerSession
from lunas.ledger.tables import InvoiceRow
from lunas.receivables.invoice import CLOSED


async def count_open(session: LedgerSession) -> int:
    """How many invoices should have a running workflow."""
    count = await session.scalar(select(func.count()).select_from(InvoiceRow).where(InvoiceRow.stage.not_in(CLOSED)))
    return count or 0


async def open_numbers(session: LedgerSession, *, after: int = 0, limit: int = 500) -> list[tuple[int, str]]:
    """Id and number of open invoices, in pages by id."""
    rows = await session.execute(
        select(InvoiceRow.id, InvoiceRow.number)
        .where(InvoiceRow.stage.not_in(CLOSED), InvoiceRow.id > after)
        .order_by(InvoiceRow.id)
        .limit(limit)
    )
    return [(id_, number) for id_, number in rows]
