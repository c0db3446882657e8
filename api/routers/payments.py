"""Money in and money back. A fact is booked once, whatever happens to its messenger, and answered with 202."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, Path

from api.errors import EVERYWHERE, NAMED, SENT, documented
from api.keys import Cashier, Issuer, Reader, signed
from api.present import payment_view, reversal_view, unapplied_views
from api.quiet import until_quiet
from api.routes import KeyedRoute
from api.schemas.fields import Reference
from api.schemas.payments import (
    AllocationBody,
    CreditNoteBody,
    CreditNoteView,
    PaymentBody,
    PaymentView,
    ReversalBody,
    ReversalView,
    UnappliedList,
)
from api.services import House, Services
from lunas.ledger.credits import NewCreditNote, record_credit_note
from lunas.ledger.receipts import NewReceipt, allocate, record_receipt, unapplied_receipts
from lunas.ledger.reversals import NewReversal, record_reversal
from lunas.receivables.money import Money

router = APIRouter(tags=["payments"], route_class=KeyedRoute)


@router.post("/v1/payments", status_code=202, responses=documented(*EVERYWHERE, *SENT))
async def book_payment(body: PaymentBody, house: House, key: Cashier, later: BackgroundTasks) -> PaymentView:
    """Book money that came in, whole or in part.

    One provider's reference is booked once: the same again is harmless, another amount under it is a 409. Money for an
    invoice that is not known is kept unapplied. Once this is answered, no reminder leaves for a settled invoice.
    """
    receipt = NewReceipt(
        provider=body.provider,
        reference=body.reference,
        amount=Money(body.amount_minor, body.currency),
        paid_on=body.paid_on,
        by=signed(body.by, key),
        invoice=body.invoice,
    )
    async with house.ledger.write() as session:
        booked = await record_receipt(session, receipt)
    if booked.invoice is not None:
        await acknowledge(house, later, booked.invoice)
    return payment_view(booked, body.invoice)


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
    return payment_view(booked, body.invoice)


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


async def acknowledge(house: Services, later: BackgroundTasks, number: str) -> None:
    """Before a 2xx: wait until nothing of this invoice can still leave. After it: tell the workflow."""
    try:
        await until_quiet(house.ledger, number)
    finally:
        later.add_task(house.nudges.deliver, number)
