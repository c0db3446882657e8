"""Money that we pay back, by a person's decision: of what is unapplied on a receipt, once under each reference."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from sqlalchemy import ColumnElement, select

from lunas.ledger.database import WriteSession, insert_or_ignore
from lunas.ledger.documents import body_digest
from lunas.ledger.errors import NotFound, ReceiptConflict, Refused
from lunas.ledger.facts import lock_customer_of, look_at, note_fact
from lunas.ledger.matching import unapplied_of
from lunas.ledger.tables import AllocationRow, InvoiceRow, ReceiptRow, RefundRow
from lunas.receivables.money import Money


@dataclass(frozen=True, slots=True)
class NewRefund:
    """We pay `amount` (None: all that is unapplied) of the receipt `receipt` back, under a reference of its own."""

    provider: str
    reference: str
    receipt: str
    refunded_on: date
    reason: str
    by: str
    amount: Money | None = None

    @property
    def digest(self) -> str:
        """What makes a repetition the same refund."""
        minor = self.amount.minor if self.amount else None
        currency = self.amount.currency if self.amount else None
        return body_digest(refund_of=self.receipt, minor=minor, currency=currency, on=self.refunded_on)


@dataclass(frozen=True, slots=True)
class Refunded:
    """What became of a refund, and what is unapplied of the receipt after it; `invoice` has it in its journal."""

    refund_id: int
    new: bool
    amount: Money
    unapplied: Money
    invoice: str | None


async def record_refund(session: WriteSession, refund: NewRefund) -> Refunded:
    """Book a refund once. What invoices hold of the receipt is not touched: free it first, with a credit note.

    Raises NotFound for a receipt that is not booked, ReceiptConflict for a reference that stands for something else,
    Refused for more than is unapplied.
    """
    this_receipt = (ReceiptRow.provider == refund.provider, ReceiptRow.reference == refund.receipt)
    invoice = await _paid_with(session, *this_receipt)
    if invoice is not None:
        await lock_customer_of(session, invoice)
    receipt = await session.scalar(select(ReceiptRow).where(*this_receipt).with_for_update(key_share=True))
    if receipt is None:
        raise NotFound(f"there is no receipt {refund.receipt!r} of {refund.provider} to pay back: book it first")
    unapplied = Money(await unapplied_of(session, receipt.id), receipt.currency)
    before = await session.scalar(
        select(RefundRow).where(RefundRow.provider == refund.provider, RefundRow.reference == refund.reference)
    )
    if before is not None:
        if before.digest != refund.digest:
            raise _taken(refund)
        return Refunded(before.id, False, Money(before.amount_minor, receipt.currency), unapplied, invoice)
    amount = refund.amount or unapplied
    if amount.currency is not unapplied.currency or not 0 < amount.minor <= unapplied.minor:
        raise Refused(f"{amount} of receipt {refund.receipt!r} cannot be paid back: {unapplied} of it is unapplied")
    refund_id = await session.scalar(
        insert_or_ignore(session, RefundRow, "provider", "reference")
        .values(
            provider=refund.provider,
            reference=refund.reference,
            digest=refund.digest,
            receipt_id=receipt.id,
            amount_minor=amount.minor,
            refunded_on=refund.refunded_on,
            reason=refund.reason,
            by=refund.by,
            at=session.clock(),
        )
        .returning(RefundRow.id)
    )
    if refund_id is None:
        raise _taken(refund)
    if invoice is not None:
        seen = await look_at(session, invoice)
        detail = f"{amount} of {receipt.provider} {receipt.reference} paid back on {refund.refunded_on}"
        note_fact(
            session, seen.invoice, seen.now, "receipt_refunded", by=refund.by, reason=refund.reason, detail=detail
        )
        await session.flush()
    return Refunded(refund_id, True, amount, unapplied - amount, invoice)


async def _paid_with(session: WriteSession, *this_receipt: ColumnElement[bool]) -> str | None:
    """The invoice that the receipt was matched to first, or else the one that it names; None where there is neither."""
    matched: str | None = await session.scalar(
        select(InvoiceRow.number)
        .join(AllocationRow, AllocationRow.invoice_id == InvoiceRow.id)
        .join(ReceiptRow, ReceiptRow.id == AllocationRow.receipt_id)
        .where(*this_receipt)
        .order_by(AllocationRow.id)
        .limit(1)
    )
    if matched is not None:
        return matched
    named: str | None = await session.scalar(
        select(InvoiceRow.number).join(ReceiptRow, ReceiptRow.named == InvoiceRow.number).where(*this_receipt)
    )
    return named


def _taken(refund: NewRefund) -> ReceiptConflict:
    return ReceiptConflict(
        f"refund {refund.reference!r} of {refund.provider} is booked already and says something else: "
        "a reference stands for one refund"
    )
