"""The register of holds: what was set and lifted, by whom and why. The last row of an invoice is what holds now."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

from sqlalchemy import select

from lunas.ledger.database import LedgerSession, WriteSession
from lunas.ledger.kinds import HoldAct
from lunas.ledger.tables import HoldRow, InvoiceRow
from lunas.receivables.invoice import Hold, HoldKind, Instalment


async def open_hold(session: LedgerSession, invoice_id: int) -> Hold | None:
    """What holds the invoice now, as the gate reads it."""
    row = await session.scalar(
        select(HoldRow).where(HoldRow.invoice_id == invoice_id).order_by(HoldRow.id.desc()).limit(1)
    )
    if row is None or row.act is HoldAct.LIFTED:
        return None
    return _hold(row)


def _hold(row: HoldRow) -> Hold:
    return Hold(
        row.kind, row.since, row.until, row.by, row.reason, row.amount_minor, row.promised_for,
        tuple(Instalment(date.fromisoformat(day), minor) for day, minor in row.instalments or ()),
    )  # fmt: skip


async def promise_for(session: LedgerSession, invoice_id: int, promised_for: date) -> Hold | None:
    """What was promised last for that date, also where the promise holds no more."""
    row = await session.scalar(
        select(HoldRow)
        .where(
            HoldRow.invoice_id == invoice_id,
            HoldRow.kind == HoldKind.PROMISE,
            HoldRow.act == HoldAct.SET,
            HoldRow.promised_for == promised_for,
        )
        .order_by(HoldRow.id.desc())
        .limit(1)
    )
    return _hold(row) if row else None


async def change_hold(session: WriteSession, invoice_id: int, hold: Hold | None, at: datetime, by: str) -> None:
    """Write down that `hold` is in force from now on (None: nothing is); needs the customer's lock.

    Nothing is written where that is so already.
    """
    before = await open_hold(session, invoice_id)
    if before == hold:
        return
    if hold is not None:
        session.add(_row(invoice_id, HoldAct.SET, hold, at, hold.by))
    elif before is not None:
        session.add(_row(invoice_id, HoldAct.LIFTED, before, at, by))
    await session.flush()


async def holds_of(session: LedgerSession, number: str) -> Sequence[HoldRow]:
    """Every hold of the invoice that was set or lifted, oldest first."""
    statement = select(HoldRow).join(InvoiceRow, InvoiceRow.id == HoldRow.invoice_id).where(InvoiceRow.number == number)
    return (await session.scalars(statement.order_by(HoldRow.id))).all()


def _row(invoice_id: int, act: HoldAct, hold: Hold, at: datetime, by: str) -> HoldRow:
    return HoldRow(
        invoice_id=invoice_id,
        act=act,
        kind=hold.kind,
        since=hold.since,
        until=hold.until,
        by=by,
        reason=hold.reason,
        amount_minor=hold.amount_minor,
        promised_for=hold.promised_for,
        at=at,
        instalments=[[one.pay_by.isoformat(), one.amount_minor] for one in hold.instalments] or None,
    )
