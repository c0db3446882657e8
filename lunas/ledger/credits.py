"""Credit notes: they make an invoice smaller after it was issued."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from sqlalchemy import BigInteger, cast, func, select

from lunas.ledger.announcing import announce_paid
from lunas.ledger.database import WriteSession, insert_or_ignore
from lunas.ledger.documents import body_digest
from lunas.ledger.errors import ReceiptConflict, Refused
from lunas.ledger.facts import Seen, lock_customer_of, look_at, note_fact
from lunas.ledger.release import cancel_claimed
from lunas.ledger.tables import AllocationRow, CreditNoteRow, DiscountRow, ReversalPartRow, ToleranceRow
from lunas.receivables.invoice import Facts
from lunas.receivables.money import Money


@dataclass(frozen=True, slots=True)
class NewCreditNote:
    """A credit note: `amount` less is owed on `invoice`."""

    number: str
    invoice: str
    amount: Money
    issued_on: date
    reason: str
    by: str

    @property
    def digest(self) -> str:
        """What makes a repetition the same credit note."""
        return body_digest(
            invoice=self.invoice, minor=self.amount.minor, currency=self.amount.currency, on=self.issued_on
        )


async def record_credit_note(session: WriteSession, note: NewCreditNote) -> tuple[Facts, bool]:
    """Book a credit note once; answers with the facts, and whether it is new.

    What was paid and is no longer owed becomes unapplied on its receipt, so that a balance never turns negative.
    Raises NotFound, ReceiptConflict for a number that says something else, Refused for more than was billed.
    """
    await lock_customer_of(session, note.invoice)
    seen = await look_at(session, note.invoice)
    before = await session.scalar(select(CreditNoteRow).where(CreditNoteRow.number == note.number))
    if before is not None:
        if before.digest != note.digest:
            raise _taken(note)
        return seen.facts, False
    owed = Money(seen.balance.lines + seen.balance.charges - seen.balance.credited, seen.invoice.currency)
    if note.amount.currency is not owed.currency or not 0 < note.amount.minor <= owed.minor:
        raise Refused(f"a credit note of {note.amount} on invoice {note.invoice} cannot be: {owed} is left to credit")
    new_id = await session.scalar(
        insert_or_ignore(session, CreditNoteRow, "number")
        .values(
            number=note.number,
            digest=note.digest,
            invoice_id=seen.invoice.id,
            amount_minor=note.amount.minor,
            issued_on=note.issued_on,
            reason=note.reason,
            by=note.by,
            at=seen.now,
        )
        .returning(CreditNoteRow.id)
    )
    if new_id is None:
        raise _taken(note)
    detail = f"credit note {note.number} of {note.amount}"
    version = note_fact(
        session, seen.invoice, seen.now, "credit_note_issued", by=note.by, reason=note.reason, detail=detail
    )
    outstanding = seen.balance.outstanding - note.amount.minor
    if outstanding < 0:
        await _free(session, seen, -outstanding, version)
    await session.flush()
    if outstanding <= 0:
        await cancel_claimed(session, seen.invoice.id)
    after = await look_at(session, note.invoice)
    if after.balance.settled and not seen.balance.settled and after.balance.net_received > 0:
        await announce_paid(session, after, 0, 0)  # the credit note met the rest of what money had begun
    return after.facts, True


async def _free(session: WriteSession, seen: Seen, minor: int, version: int) -> None:
    """Take `minor` off what settles it: what was tolerated, then receipts, the last one first, then the discount."""
    invoice_id = seen.invoice.id
    if tolerated := min(seen.balance.tolerated, minor):
        minor -= tolerated
        session.add(ToleranceRow(invoice_id=invoice_id, amount_minor=-tolerated, facts_version=version, at=seen.now))
    taken = (
        select(AllocationRow.receipt_id, func.sum(AllocationRow.amount_minor).label("minor"))
        .where(AllocationRow.invoice_id == invoice_id)
        .group_by(AllocationRow.receipt_id)
        .subquery()
    )
    back = (
        select(ReversalPartRow.receipt_id, func.sum(ReversalPartRow.amount_minor).label("minor"))
        .where(ReversalPartRow.invoice_id == invoice_id)
        .group_by(ReversalPartRow.receipt_id)
        .subquery()
    )
    held = cast(taken.c.minor - func.coalesce(back.c.minor, 0), BigInteger)
    rows = await session.execute(
        select(taken.c.receipt_id, held)
        .outerjoin(back, back.c.receipt_id == taken.c.receipt_id)
        .where(held > 0)
        .order_by(taken.c.receipt_id.desc())
    )
    for receipt_id, amount in rows.all():
        part = min(amount, minor)
        if part <= 0:
            break
        minor -= part
        session.add(
            AllocationRow(
                receipt_id=receipt_id,
                invoice_id=invoice_id,
                amount_minor=-part,
                facts_version=version,
                at=seen.now,
            )
        )
    if minor > 0:
        session.add(DiscountRow(invoice_id=invoice_id, amount_minor=-minor, facts_version=version, at=seen.now))


def _taken(note: NewCreditNote) -> ReceiptConflict:
    return ReceiptConflict(
        f"credit note {note.number!r} is booked already and says something else: a number stands for one credit note"
    )
