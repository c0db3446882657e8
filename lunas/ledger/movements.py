"""What happened to an invoice's balance after its lines were written, one row each, as the customer may read it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any

from sqlalchemy import Select, String, cast, literal, null, select, union_all

from lunas.ledger.database import LedgerSession
from lunas.ledger.kinds import ChargeKind
from lunas.ledger.tables import (
    AllocationRow,
    ChargeRow,
    CreditNoteRow,
    DiscountRow,
    ReceiptRow,
    ReversalPartRow,
    ReversalRow,
    ToleranceRow,
)


class MovementKind(StrEnum):
    """Why more or less is owed."""

    INTEREST = "interest"
    FEE = "fee"
    PAID = "paid"
    REVERSED = "reversed"
    CREDITED = "credited"
    DISCOUNT = "discount"
    TOLERATED = "tolerated"


@dataclass(frozen=True, slots=True)
class Movement:
    """More (`minor` > 0) or less (< 0) is owed since `on`, if the day is known; `named` is a credit note's number."""

    kind: MovementKind
    on: date | None
    minor: int
    named: str | None = None


async def movements(session: LedgerSession, invoice_id: int) -> Sequence[Movement]:
    """Everything between an invoice's lines and its balance, in the order of days; one statement.

    What was waived was never owed, and is not among it.
    """
    rows = await session.execute(union_all(*_parts(invoice_id)))
    found = [Movement(MovementKind(kind), on, minor, named) for kind, on, minor, named in rows if minor]
    return sorted(found, key=lambda one: (one.on or date.max, one.minor < 0))


def _parts(invoice_id: int) -> list[Select[*tuple[Any, ...]]]:
    nameless = cast(null(), String)
    charges = [
        select(literal(kind.value), ChargeRow.charged_on, ChargeRow.amount_minor, nameless).where(
            ChargeRow.invoice_id == invoice_id, ChargeRow.kind == kind
        )
        for kind in ChargeKind
    ]
    received = select(literal("paid"), ReceiptRow.paid_on, -AllocationRow.amount_minor, nameless)
    reversed_ = select(literal("reversed"), ReversalRow.reversed_on, ReversalPartRow.amount_minor, nameless)
    earned = select(literal("discount"), ReceiptRow.paid_on, -DiscountRow.amount_minor, nameless)
    let_off = select(literal("tolerated"), ReceiptRow.paid_on, -ToleranceRow.amount_minor, nameless)
    return [
        *charges,
        received.select_from(AllocationRow)
        .join(ReceiptRow, ReceiptRow.id == AllocationRow.receipt_id)
        .where(AllocationRow.invoice_id == invoice_id),
        reversed_.select_from(ReversalPartRow)
        .join(ReversalRow, ReversalRow.id == ReversalPartRow.reversal_id)
        .where(ReversalPartRow.invoice_id == invoice_id),
        select(literal("credited"), CreditNoteRow.issued_on, -CreditNoteRow.amount_minor, CreditNoteRow.number).where(
            CreditNoteRow.invoice_id == invoice_id
        ),
        earned.select_from(DiscountRow)
        .outerjoin(ReceiptRow, ReceiptRow.id == DiscountRow.receipt_id)
        .where(DiscountRow.invoice_id == invoice_id),
        let_off.select_from(ToleranceRow)
        .outerjoin(ReceiptRow, ReceiptRow.id == ToleranceRow.receipt_id)
        .where(ToleranceRow.invoice_id == invoice_id),
    ]
