"""The facts of an invoice: arithmetic over rows, read together with all that the gate asks about it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, ScalarSelect, Select, bindparam, cast, exists, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute

from lunas.ledger.database import DatabaseClock, LedgerSession, WriteSession
from lunas.ledger.errors import NotFound
from lunas.ledger.kinds import IMPORTED, HoldAct, JournalSource, NudgeKind
from lunas.ledger.tables import (
    AllocationRow,
    ChargeRow,
    CreditNoteRow,
    CustomerRow,
    DiscountRow,
    HoldRow,
    InvoiceRow,
    JournalRow,
    LinkRevocationRow,
    NudgeRow,
    PlacementRow,
    ReceiptRow,
    ReversalPartRow,
    SwitchRow,
    ToleranceRow,
)
from lunas.receivables.invoice import Balance, Facts, HoldKind


@dataclass(frozen=True, slots=True)
class Seen:
    """One invoice as the ledger has it at the database's moment `now`."""

    invoice: InvoiceRow
    balance: Balance
    hold: HoldKind | None
    placed: bool
    stopped: bool
    now: datetime
    earlier: int = 0  # of what was received and stayed: what was paid before the invoice came to us
    link_epoch: int = 0  # how often links to it, or all of its customer's, were revoked

    @property
    def facts(self) -> Facts:
        """The versioned snapshot for the workflow."""
        row = self.invoice
        return Facts(
            row.facts_version, self.balance, row.reachable, row.answers, row.other_way, row.agency, self.earlier
        )


def _sum(
    amount: InstrumentedAttribute[int], invoice_id: InstrumentedAttribute[int], *only: ColumnElement[bool]
) -> ScalarSelect[int]:
    total = cast(func.coalesce(func.sum(amount), 0), BigInteger)
    return select(total).where(invoice_id == InvoiceRow.id, *only).correlate(InvoiceRow).scalar_subquery()


CHARGES = _sum(ChargeRow.amount_minor, ChargeRow.invoice_id)
RECEIVED = _sum(AllocationRow.amount_minor, AllocationRow.invoice_id)
REVERSED = _sum(ReversalPartRow.amount_minor, ReversalPartRow.invoice_id)
CREDITED = _sum(CreditNoteRow.amount_minor, CreditNoteRow.invoice_id)
DISCOUNT = _sum(DiscountRow.amount_minor, DiscountRow.invoice_id)
TOLERATED = _sum(ToleranceRow.amount_minor, ToleranceRow.invoice_id)

_IS_IMPORTED = ReceiptRow.provider == IMPORTED
EARLIER = _sum(
    AllocationRow.amount_minor, AllocationRow.invoice_id, ReceiptRow.id == AllocationRow.receipt_id, _IS_IMPORTED
) - _sum(
    ReversalPartRow.amount_minor, ReversalPartRow.invoice_id, ReceiptRow.id == ReversalPartRow.receipt_id, _IS_IMPORTED
)

#: What is open on an invoice, as one expression for lists and reports; `Balance.outstanding` says the same in the core.
OUTSTANDING: ColumnElement[int] = (
    InvoiceRow.total_minor + CHARGES - RECEIVED + REVERSED - CREDITED - DISCOUNT - TOLERATED
)

#: Keeps the locks of invoice numbers apart from other advisory locks.
_NUMBERS = 0x1A5A

_LAST_HOLD = (
    select(func.max(HoldRow.id)).where(HoldRow.invoice_id == InvoiceRow.id).correlate(InvoiceRow).scalar_subquery()
)
OPEN_HOLD: ScalarSelect[HoldKind | None] = (
    select(HoldRow.kind)
    .where(HoldRow.id == _LAST_HOLD, HoldRow.act == HoldAct.SET)
    .correlate(InvoiceRow)
    .scalar_subquery()
)
PLACED = exists().where(PlacementRow.invoice_id == InvoiceRow.id, PlacementRow.ended_at.is_(None))
STOPPED = select(SwitchRow.stopped).order_by(SwitchRow.id.desc()).limit(1).scalar_subquery()
LINK_EPOCH = (
    select(func.count())
    .where(
        LinkRevocationRow.customer_id == InvoiceRow.customer_id,
        or_(LinkRevocationRow.invoice_id.is_(None), LinkRevocationRow.invoice_id == InvoiceRow.id),
    )
    .correlate(InvoiceRow)
    .scalar_subquery()
)


# Statements that every notice needs are built once: building one costs as much as running it.
LOOK = (
    select(
        InvoiceRow,
        CHARGES,
        RECEIVED,
        REVERSED,
        CREDITED,
        DISCOUNT,
        TOLERATED,
        EARLIER,
        OPEN_HOLD,
        PLACED,
        STOPPED,
        LINK_EPOCH,
        DatabaseClock(),
    )
    .order_by(InvoiceRow.next_at, InvoiceRow.id)
    .execution_options(populate_existing=True)
)
_LOOK_AT = LOOK.where(InvoiceRow.number == bindparam("number"))
_LOOK_AMONG = LOOK.where(InvoiceRow.id.in_(bindparam("ids", expanding=True)))
_LOCK = (
    select(CustomerRow)
    .join(InvoiceRow, InvoiceRow.customer_id == CustomerRow.id)
    .where(InvoiceRow.number == bindparam("number"))
    .with_for_update(of=CustomerRow, key_share=True)
)


async def look(session: LedgerSession, statement: Select[*tuple[Any, ...]], values: Mapping[str, Any]) -> list[Seen]:
    """Every invoice that a variant of `LOOK` finds, with its balance, hold and placement; soonest next step first."""
    rows = await session.execute(statement, values)
    return [
        Seen(
            invoice=row,
            balance=Balance(row.total_minor, *sums),
            hold=hold,
            placed=placed,
            stopped=bool(stopped),
            now=session.moment(now),
            earlier=earlier,
            link_epoch=epoch,
        )
        for row, *sums, earlier, hold, placed, stopped, epoch, now in rows
    ]


async def look_among(session: LedgerSession, ids: Collection[int]) -> dict[int, Seen]:
    """These invoices, by their ids."""
    return {seen.invoice.id: seen for seen in await look(session, _LOOK_AMONG, {"ids": list(ids)})}


async def look_at(session: LedgerSession, number: str) -> Seen:
    """One invoice; raises NotFound."""
    found = await look(session, _LOOK_AT, {"number": number})
    if not found:
        raise unknown_invoice(number)
    return found[0]


async def facts(session: LedgerSession, number: str) -> Facts:
    """What the ledger knows of one invoice; raises NotFound."""
    return (await look_at(session, number)).facts


def unknown_invoice(number: str) -> NotFound:
    """The error for a number that no invoice has."""
    return NotFound(f"there is no invoice {number!r}: check the number, or create the invoice first")


async def lock_customer_of(session: WriteSession, number: str) -> CustomerRow:
    """Take the lock under which everything about the invoice's customer is decided; raises NotFound.

    Take it before reading anything that the decision depends on. (FOR NO KEY UPDATE: adding an invoice, which only
    refers to the customer, need not wait.) On SQLite the transaction holds the only write lock already.
    """
    customer: CustomerRow | None = await session.scalar(_LOCK, {"number": number})
    if customer is None:
        raise unknown_invoice(number)
    return customer


async def lock_number(session: WriteSession, number: str) -> None:
    """Take the lock of an invoice number that may not be there yet, before any customer's.

    Money for an unknown invoice and the invoice itself may come at the same moment: one of them must see the other.
    """
    if session.locks_rows:
        await session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(number, _NUMBERS))))


async def lock_customers(session: WriteSession, ids: Sequence[int]) -> None:
    """Take the locks of several customers, always in the same order, so that nobody waits in a circle."""
    await session.execute(
        select(CustomerRow.id)
        .where(CustomerRow.id.in_(ids))
        .order_by(CustomerRow.id)
        .with_for_update(of=CustomerRow, key_share=True)
    )


def note_fact(
    session: WriteSession,
    invoice: InvoiceRow,
    at: datetime,
    event: str,
    *,
    by: str,
    reason: str = "",
    detail: str = "",
) -> int:
    """Write down that a fact of this invoice changed: next version, a line in the journal, a nudge to its workflow.

    Needs the customer's lock. Returns the new version, which also numbers the line.
    """
    invoice.facts_version += 1
    session.add(
        JournalRow(
            invoice_id=invoice.id,
            source=JournalSource.LEDGER,
            sequence=invoice.facts_version,
            at=at,
            event=event,
            by=by,
            reason=reason,
            detail=detail,
        )
    )
    session.add(NudgeRow(invoice_id=invoice.id, kind=NudgeKind.FACTS_CHANGED, created_at=at))
    return invoice.facts_version
