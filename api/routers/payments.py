"""Money in and money back. A fact is booked once, whatever happens to its messenger, and answered with 202."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, Path

from api.errors import EVERYWHERE, NAMED, SENT, documented
from api.keys import Cashier, Decider, Issuer, Reader, signed
from api.present import payment_view, refund_view, reversal_view, unapplied_views
from api.quiet import until_quiet
from api.routes import KeyedRoute
from api.schemas.fields import Reference
from api.schemas.payments import (
    AllocationBody,
    CreditNoteBody,
    CreditNoteView,
    PaymentBody,
    PaymentView,
    RefundBody,
    RefundView,
    ReversalBody,
    ReversalView,
    UnappliedList,
)
from api.services import House, Services
from lunas.ledger.credits import NewCreditNote, record_credit_note
from lunas.ledger.receipts import NewReceipt, Remitted, allocate, unapplied_receipts
from lunas.ledger.refunds import NewRefund, record_refund
from lunas.ledger.reversals import NewReversal, record_reversal
from lunas.ledger.unique_amounts import record_by_amount
from lunas.receivables.money import Money

router = APIRouter(tags=["payments"], route_class=KeyedRoute)


@router.post("/v1/payments", status_code=202, responses=documented(*EVERYWHERE, *SENT))
async def book_payment(body: PaymentBody, house: House, key: Cashier, later: BackgroundTasks) -> PaymentView:
    """Book money that came in, whole or in part.

    One provider's reference is booked once: the same again is harmless, another amount under it is a 409. Money for
    invoices that are not known is kept unapplied, and matched when they come. Once this is answered, no reminder leaves
    for a settled invoice.
    """
    receipt = NewReceipt(
        provider=body.provider,
        reference=body.reference,
        amount=Money(body.amount_minor, body.currency),
        paid_on=body.paid_on,
        by=signed(body.by, key),
        invoice=body.invoice,
        lines=tuple(Remitted(one.invoice, one.amount_minor) for one in body.lines or ()),
        customer=body.customer,
    )
    async with house.ledger.write() as session:
        booked = await record_by_amount(session, receipt)
    await acknowledge(house, later, *(part.invoice for part in booked.parts))
    return payment_view(booked, receipt.numbers)


@router.get("/v1/payments/unapplied", responses=documented(*EVERYWHERE))
async def list_unapplied(house: House, key: Reader) -> UnappliedList:
    """Receipts of which something waits for a match, oldest first."""
    async with house.ledger.read() as session:
        return UnappliedList(receipts=unapplied_views(await unapplied_receipts(session)))


@router.post("/v1/allocations", status_code=202, responses=documented(*NAMED, *SENT))
async def match_receipt(body: AllocationBody, house: House, key: Cashier, later: BackgroundTasks) -> PaymentView:
    """Match what is unapplied of a receipt to an invoice, by a person's decision."""
    async with house.ledger.write() as session:
        booked = await allocate(session, body.receipt_id, body.invoice, by=signed(body.by, key))
    await acknowledge(house, later, body.invoice)
    return payment_view(booked, (body.invoice,))


@router.post("/v1/payments/{reference:name}/reversals", status_code=202, responses=documented(*NAMED, *SENT))
async def book_reversal(
    reference: Annotated[Reference, Path(description="The provider's reference of the payment")],
    body: ReversalBody,
    house: House,
    key: Cashier,
    later: BackgroundTasks,
) -> ReversalView:
    """Book money of a payment that went back. An invoice that it had settled is open again."""
    amount = Money(body.amount_minor, body.currency) if body.amount_minor and body.currency else None
    reversal = NewReversal(
        provider=body.provider,
        reference=body.reference,
        receipt=reference,
        reversed_on=body.reversed_on,
        reason=body.reason,
        by=signed(body.by, key),
        amount=amount,
    )
    async with house.ledger.write() as session:
        booked = await record_reversal(session, reversal)
    later.add_task(house.nudges.deliver, *(number for number, _ in booked.invoices))
    return reversal_view(booked)


@router.post("/v1/payments/{reference:name}/refunds", status_code=202, responses=documented(*NAMED, *SENT))
async def book_refund(
    reference: Annotated[Reference, Path(description="The provider's reference of the payment")],
    body: RefundBody,
    house: House,
    key: Decider,
    later: BackgroundTasks,
) -> RefundView:
    """Book money of a payment that we pay back, by a person's decision: what is unapplied, never more.

    One reference is booked once. What an invoice holds is freed by a credit note first.
    """
    refund = NewRefund(
        provider=body.provider,
        reference=body.reference,
        receipt=reference,
        refunded_on=body.refunded_on,
        reason=body.reason,
        by=signed(body.by, key),
        amount=Money(body.amount_minor, body.currency) if body.amount_minor and body.currency else None,
    )
    async with house.ledger.write() as session:
        refunded = await record_refund(session, refund)
    if refunded.invoice is not None:
        later.add_task(house.nudges.deliver, refunded.invoice)
    return refund_view(refunded)


@router.post("/v1/credit-notes", status_code=202, tags=["credit notes"], responses=documented(*NAMED, *SENT))
async def book_credit_note(body: CreditNoteBody, house: House, key: Issuer, later: BackgroundTasks) -> CreditNoteView:
    """Book a credit note: less is owed on the invoice. One number is booked once."""
    note = NewCreditNote(
        number=body.number,
        invoice=body.invoice,
        amount=Money(body.amount_minor, body.currency),
        issued_on=body.issued_on,
        reason=body.reason,
        by=signed(body.by, key),
    )
    async with house.ledger.write() as session:
        facts, new = await record_credit_note(session, note)
    await acknowledge(house, later, body.invoice)
    return CreditNoteView(
        number=body.number,
        new=new,
        invoice=body.invoice,
        currency=body.currency,
        outstanding_minor=facts.balance.outstanding,
    )


async def acknowledge(house: Services, later: BackgroundTasks, *numbers: str) -> None:
    """Before a 2xx: wait until nothing of these invoices can still leave. After it: tell their workflows."""
    try:
        for number in numbers:
            await until_quiet(house.ledger, number)
    finally:
        later.add_task(house.nudges.deliver, *numbers)
