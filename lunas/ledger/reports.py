"""Small sums over the register: how many invoices stand where, and how much is overdue."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from sqlalchemy import BigInteger, case, cast, func, select

from lunas.ledger.database import LedgerSession
from lunas.ledger.facts import OUTSTANDING
from lunas.ledger.tables import InvoiceRow
from lunas.receivables.invoice import CLOSED, HoldKind, Stage
from lunas.receivables.money import Currency


@dataclass(frozen=True, slots=True)
class StageCount:
    """How many invoices are in a stage, and held for which reason."""

    stage: Stage
    held: HoldKind | None
    invoices: int


async def counts_by_stage(session: LedgerSession) -> tuple[StageCount, ...]:
    """How many invoices stand where, in the order of escalation."""
    rows = await session.execute(
        select(InvoiceRow.stage, InvoiceRow.held, func.count()).group_by(InvoiceRow.stage, InvoiceRow.held)
    )
    counts = [StageCount(stage, held, number) for stage, held, number in rows]
    return tuple(sorted(counts, key=lambda one: (one.stage.rank, one.held or "")))


@dataclass(frozen=True, slots=True)
class OpenTotal:
    """What is open in one currency, and how much of it is past due, in minor units (sums may outgrow a Money)."""

    currency: Currency
    invoices: int
    balance_minor: int
    overdue_invoices: int
    overdue_minor: int


async def open_totals(session: LedgerSession, as_of: date) -> tuple[OpenTotal, ...]:
    """What is open on open invoices, and past due on `as_of`, by currency."""
    open_ones = (
        select(InvoiceRow.currency, InvoiceRow.due_on, OUTSTANDING.label("minor"))
        .where(InvoiceRow.stage.not_in(CLOSED))
        .subquery()
    )
    late = open_ones.c.due_on < as_of
    rows = await session.execute(
        select(
            open_ones.c.currency,
            func.count(),
            cast(func.sum(open_ones.c.minor), BigInteger),
            cast(func.sum(case((late, 1), else_=0)), BigInteger),
            cast(func.sum(case((late, open_ones.c.minor), else_=0)), BigInteger),
        )
        .group_by(open_ones.c.currency)
        .order_by(open_ones.c.currency)
    )
    return tuple(OpenTotal(*row) for row in rows)
