"""Money in: receipts, each booked once. Nothing that came in is ever lost; `matching` finds the invoices that it pays.

What no invoice takes stays unapplied on its receipt: an overpayment, another currency, an invoice that is not known
yet. All of it happens in one transaction under the customers' locks; `progress.settle` then waits for messages that
were already on their way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import func, select

from lunas.ledger.announcing import announce_received
from lunas.ledger.database import LedgerSession, WriteSession, insert_or_ignore
from lunas.ledger.documents import body_digest
from lunas.ledger.errors import NotFound, ReceiptConflict, Refused
from lunas.ledger.facts import lock_customer_of, lock_customers, lock_number, look_at
from lunas.ledger.matching import (
    ALLOCATED,
    UNAPPLIED,
    apply_oldest_first,
    apply_waiting,
    held_of,
    lock_naming,
    match,
)
from lunas.ledger.release import cancel_claimed
from lunas.ledger.tables import AllocationRow, CustomerRow, InvoiceRow, PayerRow, ReceiptRow, RemittanceRow
from lunas.receivables.invoice import Facts
from lunas.receivables.money import Money


@dataclass(frozen=True, slots=True)
class Remitted:
    """An invoice that a transfer for several of them names; `minor` None: as much as is open and left."""

    invoice: str
    minor: int | None = None


@dataclass(frozen=True, slots=True)
class NewReceipt:
    """Money that came in. `paid_on` is its value date; `invoice` the number that the payer named, if any.

    `lines` instead of `invoice`: one transfer for several, either all with amounts or none, and then what is due first
    is paid first. `customer` is the code of who paid, if that was named: money without an invoice is then matched as
    the invoices' policy says.
    """

    provider: str
    reference: str
    amount: Money
    paid_on: date
    by: str
    invoice: str | None = None
    event_id: int | None = None
    lines: tuple[Remitted, ...] = ()
    customer: str | None = None

    @property
    def digest(self) -> str:
        """What makes a repetition the same receipt; who delivered it, and in which event, does not count."""
        more = {
            **({"lines": sorted((line.invoice, line.minor) for line in self.lines)} if self.lines else {}),
            **({"customer": self.customer} if self.customer else {}),
        }
        return body_digest(
            invoice=self.invoice,
            minor=self.amount.minor,
            currency=self.amount.currency,
            paid_on=self.paid_on,
            **more,
        )

    @property
    def numbers(self) -> tuple[str, ...]:
        """Every invoice that it names."""
        return (self.invoice,) if self.invoice is not None else tuple(line.invoice for line in self.lines)


@dataclass(frozen=True, slots=True)
class Part:
    """What one invoice holds of a receipt, and its facts."""

    invoice: str
    amount: Money
    facts: Facts


@dataclass(frozen=True, slots=True)
class Booked:
    """What became of a receipt: `new` says whether it was booked now, or had been before.

    `parts` are what invoices hold of it. `invoice` and `facts` are of the first one that it was matched to; None where
    nothing was matched. `unapplied` waits for a match.
    """

    receipt_id: int
    new: bool
    allocated: Money
    unapplied: Money
    invoice: str | None
    facts: Facts | None
    parts: tuple[Part, ...] = ()


async def record_receipt(session: WriteSession, receipt: NewReceipt) -> Booked:
    """Book a receipt once, and match it to the invoices that it names, or to those of the customer that it names.

    Raises ReceiptConflict where the reference stands for a receipt that says something else, Refused for a remittance
    that does not add up.
    """
    _check(receipt)
    known, payer = await _lock_all(session, receipt)
    new_id = await session.scalar(
        insert_or_ignore(session, ReceiptRow, "provider", "reference")
        .values(
            provider=receipt.provider,
            reference=receipt.reference,
            digest=receipt.digest,
            named=receipt.invoice,
            currency=receipt.amount.currency,
            amount_minor=receipt.amount.minor,
            paid_on=receipt.paid_on,
            by=receipt.by,
            event_id=receipt.event_id,
            received_at=session.clock(),
        )
        .returning(ReceiptRow.id)
    )
    if new_id is None:
        return await _booked_before(session, receipt)
    session.add_all(
        RemittanceRow(receipt_id=new_id, number=line.invoice, amount_minor=line.minor) for line in receipt.lines
    )
    if receipt.customer is not None:
        session.add(PayerRow(receipt_id=new_id, customer=receipt.customer))
    await session.flush()
    seen = await look_at(session, receipt.invoice) if receipt.invoice in known else None
    await announce_received(session, new_id, receipt.provider, receipt.reference, receipt.amount, receipt.paid_on, seen)
    await lock_naming(session, known)
    for number in known:
        await apply_waiting(session, seen or await look_at(session, number), locked=True)
    if payer is not None and not receipt.numbers:
        await apply_oldest_first(session, await session.get_one(ReceiptRow, new_id), payer)
    return await booked(session, new_id, new=True)


def _check(receipt: NewReceipt) -> None:
    amount = receipt.amount
    if amount.minor <= 0:
        raise Refused(f"a receipt of {amount} cannot be: money that goes back is a reversal")
    if not receipt.lines:
        return
    if receipt.invoice is not None:
        raise Refused("a receipt names one invoice, or has lines for several: leave one of the two out")
    if len({line.invoice for line in receipt.lines}) < len(receipt.lines):
        raise Refused("an invoice stands twice in the remittance: add its amounts up in one line")
    stated = [line.minor for line in receipt.lines if line.minor is not None]
    if stated and len(stated) < len(receipt.lines):
        raise Refused("some lines of the remittance have an amount and some have none: give each one, or none")
    if any(minor <= 0 for minor in stated) or sum(stated) > amount.minor:
        said = Money(sum(stated), amount.currency)
        raise Refused(
            f"the lines of the remittance say {said} and {amount} came in: every line above 0, no more in all"
        )


async def _lock_all(session: WriteSession, receipt: NewReceipt) -> tuple[tuple[str, ...], CustomerRow | None]:
    """Lock the customers of all that the receipt names, in one order.

    Answers with the invoices that are known, in the order in which they are to be paid, and the payer.
    """
    numbers = receipt.numbers
    rows = await _invoices(session, numbers)
    unknown = sorted(set(numbers) - {number for number, *_ in rows})
    for number in unknown:
        await lock_number(session, number)  # it may be being created at this moment
    if unknown and session.locks_rows:
        rows = await _invoices(session, numbers)
    payer = None
    if receipt.customer is not None:
        payer = await session.scalar(select(CustomerRow).where(CustomerRow.code == receipt.customer))
    owners = {owner for _, owner, _ in rows} | ({payer.id} if payer else set())
    if owners:
        await lock_customers(session, sorted(owners))
    return tuple(number for number, *_ in rows), payer


async def _invoices(session: WriteSession, numbers: Sequence[str]) -> list[tuple[str, int, date]]:
    """Number, customer's id and due date of those that there are, the oldest due first."""
    if not numbers:
        return []
    rows = await session.execute(
        select(InvoiceRow.number, InvoiceRow.customer_id, InvoiceRow.due_on)
        .where(InvoiceRow.number.in_(numbers))
        .order_by(InvoiceRow.due_on, InvoiceRow.id)
    )
    return [(row.number, row.customer_id, row.due_on) for row in rows]


async def allocate(session: WriteSession, receipt_id: int, number: str, *, by: str) -> Booked:
    """Match what is unapplied of a receipt to an invoice, by a person's decision.

    Raises NotFound, or Refused where nothing is unapplied, nothing is owed or the currencies differ.
    """
    await lock_customer_of(session, number)
    receipt = await session.scalar(
        select(ReceiptRow).where(ReceiptRow.id == receipt_id).with_for_update(key_share=True)
    )
    if receipt is None:
        raise NotFound(f"there is no receipt {receipt_id}: check the id in the list of unapplied receipts")
    seen = await look_at(session, number)
    unapplied = await session.scalar(select(UNAPPLIED).where(ReceiptRow.id == receipt_id)) or 0
    if receipt.currency is not seen.invoice.currency:
        raise Refused(f"a receipt in {receipt.currency} cannot pay an invoice in {seen.invoice.currency}")
    if unapplied <= 0:
        raise Refused(f"nothing of receipt {receipt_id} is unapplied: it has been matched or reversed")
    matched = await match(session, seen, receipt, unapplied, seen.balance.outstanding, by=by)
    if not matched:
        raise Refused(f"nothing is open on invoice {number}: match the receipt to another one, or pay it back")
    if matched >= seen.balance.outstanding:
        await cancel_claimed(session, seen.invoice.id)
    await session.flush()
    return await booked(session, receipt_id, new=False)


async def booked(session: LedgerSession, receipt_id: int, *, new: bool) -> Booked:
    """How a receipt stands now."""
    row = (
        await session.execute(select(ReceiptRow.currency, ALLOCATED, UNAPPLIED).where(ReceiptRow.id == receipt_id))
    ).one()
    currency, allocated, unapplied = row
    held = await session.execute(
        select(InvoiceRow.number, func.min(AllocationRow.id))
        .join(AllocationRow, AllocationRow.invoice_id == InvoiceRow.id)
        .where(AllocationRow.receipt_id == receipt_id)
        .group_by(InvoiceRow.number)
        .order_by(func.min(AllocationRow.id))
    )
    parts = []
    for number, _ in held.all():
        seen = await look_at(session, number)
        minor = await held_of(session, receipt_id, seen.invoice.id)
        parts.append(Part(number, Money(minor, currency), seen.facts))
    first = parts[0] if parts else None
    return Booked(
        receipt_id,
        new,
        Money(allocated, currency),
        Money(unapplied, currency),
        first.invoice if first else None,
        first.facts if first else None,
        tuple(parts),
    )


async def _booked_before(session: WriteSession, receipt: NewReceipt) -> Booked:
    row = (
        await session.scalars(
            select(ReceiptRow).where(ReceiptRow.provider == receipt.provider, ReceiptRow.reference == receipt.reference)
        )
    ).one()
    if row.digest != receipt.digest:
        names = row.named or ", ".join(await _remitted(session, row.id)) or "no invoice"
        raise ReceiptConflict(
            f"receipt {receipt.reference!r} of {receipt.provider} is booked already as "
            f"{Money(row.amount_minor, row.currency)} paid on {row.paid_on} for {names}: "
            "a reference stands for one receipt for ever"
        )
    return await booked(session, row.id, new=False)


@dataclass(frozen=True, slots=True)
class Unapplied:
    """A receipt of which something waits for a match, and what its payer named: one invoice, several, a customer."""

    receipt_id: int
    provider: str
    reference: str
    named: str | None
    paid_on: date
    received_at: datetime
    amount: Money
    unapplied: Money
    lines: tuple[str, ...] = ()
    customer: str | None = None


async def unapplied_receipts(session: LedgerSession, limit: int = 200) -> Sequence[Unapplied]:
    """Receipts of which something is unapplied, oldest first."""
    found = await session.execute(
        select(ReceiptRow, UNAPPLIED, PayerRow.customer)
        .outerjoin(PayerRow, PayerRow.receipt_id == ReceiptRow.id)
        .where(UNAPPLIED > 0)
        .order_by(ReceiptRow.id)
        .limit(limit)
    )
    rows = found.all()
    lines: dict[int, list[str]] = {}
    for receipt_id, number in await session.execute(
        select(RemittanceRow.receipt_id, RemittanceRow.number)
        .where(RemittanceRow.receipt_id.in_([row.id for row, *_ in rows]))
        .order_by(RemittanceRow.id)
    ):
        lines.setdefault(receipt_id, []).append(number)
    return [
        Unapplied(
            row.id,
            row.provider,
            row.reference,
            row.named,
            row.paid_on,
            row.received_at,
            Money(row.amount_minor, row.currency),
            Money(left, row.currency),
            tuple(lines.get(row.id, ())),
            customer,
        )
        for row, left, customer in rows
    ]


async def _remitted(session: LedgerSession, receipt_id: int) -> Sequence[str]:
    statement = select(RemittanceRow.number).where(RemittanceRow.receipt_id == receipt_id).order_by(RemittanceRow.id)
    return (await session.scalars(statement)).all()
