"""Money that is taken back: chargebacks, bounced transfers. A reversal is booked once, under its own reference."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from sqlalchemy import select

from lunas.ledger.announcing import announce_reversed
from lunas.ledger.database import WriteSession, insert_or_ignore
from lunas.ledger.documents import body_digest
from lunas.ledger.errors import NotFound, ReceiptConflict, Refused
from lunas.ledger.facts import Seen, lock_customers, look_among, note_fact
from lunas.ledger.matching import apply_waiting, lock_naming, unapplied_of
from lunas.ledger.tables import (
    AllocationRow,
    DiscountRow,
    InvoiceRow,
    ReceiptRow,
    ReversalPartRow,
    ReversalRow,
    ToleranceRow,
)
from lunas.receivables.invoice import Facts
from lunas.receivables.money import Money


@dataclass(frozen=True, slots=True)
class NewReversal:
    """Money of the receipt `receipt` (the provider's reference) went back: `amount`, or None for all that is left."""

    provider: str
    reference: str
    receipt: str
    reversed_on: date
    reason: str
    by: str
    amount: Money | None = None

    @property
    def digest(self) -> str:
        """What makes a repetition the same reversal."""
        minor = self.amount.minor if self.amount else None
        currency = self.amount.currency if self.amount else None
        return body_digest(receipt=self.receipt, minor=minor, currency=currency, on=self.reversed_on)


@dataclass(frozen=True, slots=True)
class Reversed:
    """What became of a reversal: the invoices that it opened again, with their facts; none if it was unapplied."""

    reversal_id: int
    new: bool
    amount: Money
    invoices: tuple[tuple[str, Facts], ...]


async def record_reversal(session: WriteSession, reversal: NewReversal) -> Reversed:
    """Book a reversal once: what was unapplied goes first, then what invoices took, the last one first.

    An early-payment discount that the receipt had earned is withdrawn with it. Raises NotFound for a receipt that
    is not booked (yet), ReceiptConflict for a reference that stands for something else, Refused for more money than
    is left of the receipt.
    """
    receipt = await _lock_receipt(session, reversal)
    before = await session.scalar(
        select(ReversalRow).where(
            ReversalRow.provider == reversal.provider, ReversalRow.reference == reversal.reference
        )
    )
    if before is not None:
        return await _reversed_before(session, before, reversal, receipt)
    unapplied = await unapplied_of(session, receipt.id)
    held = await _allocated(session, receipt.id)
    left = Money(unapplied + sum(minor for _, minor in held), receipt.currency)
    amount = reversal.amount or left
    if amount.currency is not left.currency or not 0 < amount.minor <= left.minor:
        raise Refused(f"{amount} of receipt {reversal.receipt!r} cannot go back: {left} of it is left")
    reversal_id = await session.scalar(
        insert_or_ignore(session, ReversalRow, "provider", "reference")
        .values(
            provider=reversal.provider,
            reference=reversal.reference,
            digest=reversal.digest,
            receipt_id=receipt.id,
            amount_minor=amount.minor,
            reversed_on=reversal.reversed_on,
            reason=reversal.reason,
            by=reversal.by,
            at=session.clock(),
        )
        .returning(ReversalRow.id)
    )
    if reversal_id is None:
        raise ReceiptConflict(
            f"reversal {reversal.reference!r} of {reversal.provider} is being booked for another receipt"
        )
    parts = _parts(held, amount.minor - min(amount.minor, unapplied))
    # Before anything is matched anew: what the invoice becomes by that is the later event.
    await announce_reversed(
        session,
        reversal_id,
        reversal.provider,
        reversal.reference,
        reversal.receipt,
        amount,
        reversal.reversed_on,
        parts,
    )
    for invoice_id, part in parts:
        seen = (await look_among(session, [invoice_id]))[invoice_id]
        await _reopen(session, seen, receipt, reversal_id, reversal, part)
        await apply_waiting(session, (await look_among(session, [invoice_id]))[invoice_id], locked=True)
    return Reversed(reversal_id, True, amount, await _facts_of(session, [invoice_id for invoice_id, _ in parts]))


def _parts(held: list[tuple[int, int]], minor: int) -> list[tuple[int, int]]:
    """How much of `minor` is taken back from which invoice, of what each holds of the receipt."""
    parts = []
    for invoice_id, taken in held:
        part = min(taken, minor)
        if part > 0:
            minor -= part
            parts.append((invoice_id, part))
    return parts


async def _reopen(
    session: WriteSession, seen: Seen, receipt: ReceiptRow, reversal_id: int, reversal: NewReversal, part: int
) -> None:
    currency, discount, tolerated = seen.invoice.currency, seen.balance.discount, seen.balance.tolerated
    detail = f"{Money(part, currency)} of {receipt.provider} {receipt.reference} went back on {reversal.reversed_on}"
    if discount:
        detail += f"; early-payment discount {Money(discount, currency)} withdrawn"
    if tolerated:
        detail += f"; the {Money(tolerated, currency)} that were tolerated are owed again"
    version = note_fact(
        session,
        seen.invoice,
        seen.now,
        "receipt_reversed",
        by=reversal.by,
        reason=reversal.reason,
        detail=detail,
    )
    session.add(
        ReversalPartRow(
            reversal_id=reversal_id,
            receipt_id=receipt.id,
            invoice_id=seen.invoice.id,
            amount_minor=part,
            facts_version=version,
        )
    )
    for kind, minor in ((DiscountRow, discount), (ToleranceRow, tolerated)):
        if minor:
            session.add(
                kind(
                    invoice_id=seen.invoice.id,
                    receipt_id=receipt.id,
                    amount_minor=-minor,
                    facts_version=version,
                    at=seen.now,
                )
            )
    await session.flush()


async def _lock_receipt(session: WriteSession, reversal: NewReversal) -> ReceiptRow:
    """The receipt, with every customer locked whose invoices it was matched to, and all that may be matched instead."""
    this_receipt = (ReceiptRow.provider == reversal.provider, ReceiptRow.reference == reversal.receipt)
    rows = await session.execute(
        select(InvoiceRow.number, InvoiceRow.customer_id)
        .join(AllocationRow, AllocationRow.invoice_id == InvoiceRow.id)
        .join(ReceiptRow, ReceiptRow.id == AllocationRow.receipt_id)
        .where(*this_receipt)
        .distinct()
    )
    owners = {row.number: row.customer_id for row in rows}
    await lock_customers(session, sorted(set(owners.values())))
    await lock_naming(session, sorted(owners))
    receipt = await session.scalar(select(ReceiptRow).where(*this_receipt).with_for_update(key_share=True))
    if receipt is None:
        raise NotFound(
            f"there is no receipt {reversal.receipt!r} of {reversal.provider} to take back: book it first, "
            "or send the reversal again once it is booked"
        )
    return receipt


async def _allocated(session: WriteSession, receipt_id: int) -> list[tuple[int, int]]:
    """What each invoice holds of the receipt, the last one matched first."""
    held: dict[int, int] = {}
    rows = await session.execute(
        select(AllocationRow.invoice_id, AllocationRow.amount_minor)
        .where(AllocationRow.receipt_id == receipt_id)
        .order_by(AllocationRow.id)
    )
    for invoice_id, minor in rows:
        held[invoice_id] = held.pop(invoice_id, 0) + minor
    parts = await session.execute(
        select(ReversalPartRow.invoice_id, ReversalPartRow.amount_minor).where(ReversalPartRow.receipt_id == receipt_id)
    )
    for invoice_id, minor in parts:
        held[invoice_id] -= minor
    return [(invoice_id, minor) for invoice_id, minor in reversed(held.items()) if minor > 0]


async def _facts_of(session: WriteSession, invoice_ids: list[int]) -> tuple[tuple[str, Facts], ...]:
    if not invoice_ids:
        return ()
    seen = await look_among(session, invoice_ids)
    return tuple((one.invoice.number, one.facts) for one in seen.values())


async def _reversed_before(
    session: WriteSession, row: ReversalRow, reversal: NewReversal, receipt: ReceiptRow
) -> Reversed:
    if row.digest != reversal.digest:
        raise ReceiptConflict(
            f"reversal {reversal.reference!r} of {reversal.provider} is booked already as "
            f"{Money(row.amount_minor, receipt.currency)} on {row.reversed_on}: a reference stands for one reversal"
        )
    parts = await session.scalars(select(ReversalPartRow.invoice_id).where(ReversalPartRow.reversal_id == row.id))
    amount = Money(row.amount_minor, receipt.currency)
    return Reversed(row.id, False, amount, await _facts_of(session, list(parts.all())))
