"""Matching: which invoice takes how much of which receipt, with the discount and the tolerance that this earns.

What an invoice does not take stays unapplied on the receipt. Everything here needs the customer's lock, and the locks
of the receipts, which are taken in the order of their ids: one transfer may pay invoices of several customers.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from sqlalchemy import (
    BigInteger,
    BindParameter,
    ColumnElement,
    ScalarSelect,
    Select,
    and_,
    bindparam,
    cast,
    exists,
    func,
    or_,
    select,
)
from sqlalchemy.orm import InstrumentedAttribute

from lunas.ledger.announcing import announce_paid
from lunas.ledger.database import LedgerSession, WriteSession
from lunas.ledger.facts import OUTSTANDING, Seen, look_at, note_fact
from lunas.ledger.policies import policy_under
from lunas.ledger.release import cancel_claimed
from lunas.ledger.tables import (
    AllocationRow,
    CustomerRow,
    DiscountRow,
    InvoiceRow,
    PayerRow,
    ReceiptRow,
    RefundRow,
    RemittanceRow,
    ReversalPartRow,
    ReversalRow,
    ToleranceRow,
)
from lunas.receivables.invoice import CLOSED
from lunas.receivables.leeway import Unnamed
from lunas.receivables.money import Money
from lunas.receivables.terms import Terms


def _of_receipt(
    amount: InstrumentedAttribute[int], receipt_id: InstrumentedAttribute[int], *only: ColumnElement[bool]
) -> ScalarSelect[int]:
    total = cast(func.coalesce(func.sum(amount), 0), BigInteger)
    return select(total).where(receipt_id == ReceiptRow.id, *only).correlate(ReceiptRow).scalar_subquery()


ALLOCATED = _of_receipt(AllocationRow.amount_minor, AllocationRow.receipt_id) - _of_receipt(
    ReversalPartRow.amount_minor, ReversalPartRow.receipt_id
)
#: What is left of a receipt after what invoices took, what went back and what was paid back.
UNAPPLIED: ColumnElement[int] = (
    ReceiptRow.amount_minor
    - ALLOCATED
    - _of_receipt(ReversalRow.amount_minor, ReversalRow.receipt_id)
    - _of_receipt(RefundRow.amount_minor, RefundRow.receipt_id)
)

_NUMBERS: BindParameter[str] = bindparam("numbers", expanding=True)
_NAMES = (
    select(ReceiptRow.id)
    .where(ReceiptRow.named.in_(_NUMBERS))
    .union(select(RemittanceRow.receipt_id).where(RemittanceRow.number.in_(_NUMBERS)))
)
_LOCK = select(ReceiptRow.id).order_by(ReceiptRow.id).with_for_update(of=ReceiptRow, key_share=True)
_LOCK_NAMING = _LOCK.where(ReceiptRow.id.in_(_NAMES))

_INVOICE = bindparam("invoice", type_=InvoiceRow.id.type)
_HELD = _of_receipt(
    AllocationRow.amount_minor, AllocationRow.receipt_id, AllocationRow.invoice_id == _INVOICE
) - _of_receipt(ReversalPartRow.amount_minor, ReversalPartRow.receipt_id, ReversalPartRow.invoice_id == _INVOICE)
#: What waits for one invoice: the receipt, what is unapplied of it, and what its remittance says beyond what it holds.
_WAITING = (
    select(ReceiptRow, UNAPPLIED, RemittanceRow.id, RemittanceRow.amount_minor - _HELD)
    .outerjoin(
        RemittanceRow,
        and_(RemittanceRow.receipt_id == ReceiptRow.id, RemittanceRow.number == bindparam("number")),
    )
    .where(ReceiptRow.id.in_(_NAMES), ReceiptRow.currency == bindparam("currency"), UNAPPLIED > 0)
    .order_by(ReceiptRow.id)
)


def _credit() -> Select[int]:
    """Ids of receipts of which a customer has paid too much: all that they name or pay is the customer's and known."""
    customer: BindParameter[int] = bindparam("customer", type_=CustomerRow.id.type)
    code: BindParameter[str] = bindparam("code")
    its = InvoiceRow.customer_id == customer
    others = InvoiceRow.customer_id != customer
    at_all = (
        select(PayerRow.receipt_id).where(PayerRow.customer == code)
        .union(
            select(ReceiptRow.id).join(InvoiceRow, InvoiceRow.number == ReceiptRow.named).where(its),
            select(RemittanceRow.receipt_id).join(InvoiceRow, InvoiceRow.number == RemittanceRow.number).where(its),
            select(AllocationRow.receipt_id).join(InvoiceRow, InvoiceRow.id == AllocationRow.invoice_id).where(its),
        )
    )  # fmt: skip
    known = exists().where(its, InvoiceRow.number == ReceiptRow.named).correlate(ReceiptRow)
    stray = (
        exists()
        .where(
            RemittanceRow.receipt_id == ReceiptRow.id,
            RemittanceRow.number.not_in(select(InvoiceRow.number).where(its)),
        )
        .correlate(ReceiptRow)
    )
    elsewhere = (
        exists()
        .where(AllocationRow.receipt_id == ReceiptRow.id, AllocationRow.invoice_id == InvoiceRow.id, others)
        .correlate(ReceiptRow)
    )
    payer = exists().where(PayerRow.receipt_id == ReceiptRow.id, PayerRow.customer != code).correlate(ReceiptRow)
    return select(ReceiptRow.id).where(
        ReceiptRow.id.in_(at_all), or_(ReceiptRow.named.is_(None), known), ~stray, ~elsewhere, ~payer
    )


_CREDIT = (
    select(ReceiptRow, UNAPPLIED)
    .where(ReceiptRow.id.in_(_credit()), ReceiptRow.currency == bindparam("currency"), UNAPPLIED > 0)
    .order_by(ReceiptRow.id)
)
_LOCK_WITH_CREDIT = _LOCK.where(or_(ReceiptRow.id.in_(_NAMES), ReceiptRow.id.in_(_credit())))


async def lock_naming(session: WriteSession, numbers: Sequence[str]) -> None:
    """Take the locks of all receipts that name these invoices, in one order for everybody."""
    if session.locks_rows and numbers:
        await session.execute(_LOCK_NAMING, {"numbers": list(numbers)})


async def apply_waiting(
    session: WriteSession, seen: Seen, *, credit_of: CustomerRow | None = None, locked: bool = False
) -> bool:
    """Match to the invoice what was paid for it and is unapplied, oldest first; needs the customer's lock.

    True where anything was. `credit_of` its customer: then also what that one paid too much on others. `locked`: the
    receipts' locks are taken already.

    This is how a receipt finds its invoice: when it is booked, when the invoice comes after its money, and when a
    reversal opens an invoice that was paid twice.
    """
    number, currency = seen.invoice.number, seen.invoice.currency
    owner = {"customer": credit_of.id, "code": credit_of.code} if credit_of else {}
    if session.locks_rows and not locked:
        await session.execute(_LOCK_WITH_CREDIT if credit_of else _LOCK_NAMING, {"numbers": [number], **owner})
    asked = {"numbers": [number], "number": number, "currency": currency, "invoice": seen.invoice.id}
    outstanding = seen.balance.outstanding
    for receipt, unapplied, remittance, said in (await session.execute(_WAITING, asked)).all():
        most = unapplied if said is None else min(unapplied, said)
        outstanding -= await match(session, seen, receipt, most, outstanding, shared=remittance is not None)
    if credit_of is not None and outstanding > 0:
        for receipt, unapplied in (await session.execute(_CREDIT, {"currency": currency, **owner})).all():
            outstanding -= await match(session, seen, receipt, unapplied, outstanding)
    return await _settled(session, seen, outstanding)


async def apply_oldest_first(session: WriteSession, receipt: ReceiptRow, customer: CustomerRow) -> None:
    """Match a new receipt, which names no invoice, to what is due first of those invoices whose policy says so."""
    numbers = await session.scalars(
        select(InvoiceRow.number)
        .where(
            InvoiceRow.customer_id == customer.id,
            InvoiceRow.currency == receipt.currency,
            InvoiceRow.stage.not_in(CLOSED),
            OUTSTANDING > 0,
        )
        .order_by(InvoiceRow.due_on, InvoiceRow.id)
    )
    left = receipt.amount_minor
    for number in numbers.all():
        seen = await look_at(session, number)
        rules = (await policy_under(session, seen.invoice.policy_digest)).money
        if rules.unnamed is not Unnamed.OLDEST_FIRST:
            continue
        before = seen.balance.outstanding
        taken = await match(session, seen, receipt, left, before, shared=True)
        await _settled(session, seen, before - taken)
        left = await unapplied_of(session, receipt.id)
        if left <= 0:
            return


async def unapplied_of(session: WriteSession, receipt_id: int) -> int:
    """What is unapplied of a receipt, in minor units."""
    return (await session.scalars(select(UNAPPLIED).where(ReceiptRow.id == receipt_id))).one()


async def held_of(session: LedgerSession, receipt_id: int, invoice_id: int) -> int:
    """What the invoice holds of the receipt, in minor units."""
    held = await session.scalars(select(_HELD).where(ReceiptRow.id == receipt_id), {"invoice": invoice_id})
    return held.one()


async def _settled(session: WriteSession, seen: Seen, outstanding: int) -> bool:
    if outstanding == seen.balance.outstanding:
        return False
    if outstanding <= 0:
        await cancel_claimed(session, seen.invoice.id)
    await session.flush()
    return True


async def match(
    session: WriteSession,
    seen: Seen,
    receipt: ReceiptRow,
    unapplied: int,
    outstanding: int,
    *,
    by: str | None = None,
    shared: bool = False,
) -> int:
    """Allocate as much of `unapplied` as is open; returns by how much less is owed, discount and tolerance included.

    `shared`: what is left is not too much, but for other invoices.
    """
    if outstanding <= 0 or unapplied <= 0:
        return 0
    slack = await _slack(session, seen, unapplied)
    discount = await _discount_earned(session, seen, receipt.paid_on, unapplied + slack, outstanding)
    amount = min(unapplied, outstanding - discount)
    short = outstanding - discount - amount
    tolerated = short if short <= slack else 0
    currency = seen.invoice.currency
    detail = f"{Money(amount, currency)} of {receipt.provider} {receipt.reference}, paid on {receipt.paid_on}"
    if discount:
        detail += f"; early-payment discount {Money(discount, currency)}"
    if tolerated:
        detail += f"; {Money(tolerated, currency)} short, within the tolerance"
    if unapplied > amount and not shared:
        detail += f"; unapplied {Money(unapplied - amount, currency)}"
    version = note_fact(session, seen.invoice, seen.now, "receipt_allocated", by=by or receipt.by, detail=detail)
    row = AllocationRow(
        receipt_id=receipt.id, invoice_id=seen.invoice.id, amount_minor=amount, facts_version=version, at=seen.now
    )
    session.add(row)
    for kind, minor in ((DiscountRow, discount), (ToleranceRow, tolerated)):
        if minor:
            session.add(
                kind(
                    invoice_id=seen.invoice.id,
                    receipt_id=receipt.id,
                    amount_minor=minor,
                    facts_version=version,
                    at=seen.now,
                )
            )
    await session.flush()
    await announce_paid(session, seen, amount, short - tolerated)
    return amount + discount + tolerated


async def _slack(session: WriteSession, seen: Seen, amount: int) -> int:
    """How much a payment of `amount` may fall short: once, and less than what was paid."""
    if seen.balance.tolerated:
        return 0
    tolerance = (await policy_under(session, seen.invoice.policy_digest)).money.tolerance
    balance = seen.balance
    billed = Money(balance.lines + balance.charges - balance.credited, seen.invoice.currency)
    return max(min(tolerance.allowed(billed), balance.net_received + amount - 1), 0)


async def _discount_earned(session: WriteSession, seen: Seen, paid_on: date, amount: int, outstanding: int) -> int:
    """The early-payment discount that this payment earns, in minor units.

    It is earned when the payment and the discount settle the invoice, and everything that settles it carries a value
    date inside the window; the day of booking does not count. Its base is what was billed less credit notes.
    """
    invoice = seen.invoice
    terms = Terms.parse(invoice.terms)
    if terms.discount is None or seen.balance.discount:
        return 0
    latest = await session.scalar(
        select(func.max(ReceiptRow.paid_on))
        .join(AllocationRow, AllocationRow.receipt_id == ReceiptRow.id)
        .where(AllocationRow.invoice_id == invoice.id)
    )
    base = Money(seen.balance.lines - seen.balance.credited, invoice.currency)
    last_value_date = max(paid_on, latest) if latest else paid_on
    discount = terms.discount_on(base, invoice.issued_on, last_value_date).minor
    return discount if amount + discount >= outstanding > discount else 0
