"""Taking claims back: notices that have not been committed, of an invoice that was paid, held or closed."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select

from lunas.ledger.database import WriteSession
from lunas.ledger.kinds import ANSWERS, NoticeState
from lunas.ledger.tables import NoticeRow


async def cancel_claimed(session: WriteSession, invoice_id: int) -> int:
    """Cancel what is only claimed for the invoice; needs the customer's lock. Returns how many were cancelled.

    Receipts and confirmations stay: they answer what the customer did. Invoices that one of these notices was to
    cover are released, so that their own workflows claim them; a message that was to cover this invoice is refused
    when it comes to commit, because it no longer finds all that it was made for.
    """
    rows = (
        await session.scalars(
            select(NoticeRow)
            .where(
                NoticeRow.invoice_id == invoice_id,
                NoticeRow.state == NoticeState.CLAIMED,
                NoticeRow.kind.not_in(ANSWERS),
            )
            .execution_options(populate_existing=True)
        )
    ).all()
    for notice in rows:
        cancel(notice)
    await release_covered(session, [notice.id for notice in rows])
    return len(rows)


def cancel(notice: NoticeRow) -> None:
    """Take one claim back. It may be claimed again, under a higher token."""
    notice.state = NoticeState.CANCELLED
    notice.lead_id = None
    notice.covers = 0
    notice.deadline = None


async def release_covered(session: WriteSession, lead_ids: Sequence[int]) -> None:
    """Release what these notices were to cover, so that it may be claimed by itself; flushes."""
    if lead_ids:
        covered = await session.scalars(
            select(NoticeRow)
            .where(NoticeRow.lead_id.in_(lead_ids), NoticeRow.state == NoticeState.CLAIMED)
            .execution_options(populate_existing=True)
        )
        for notice in covered:
            cancel(notice)
    await session.flush()
