"""Money in, money back, and credit notes, as they are sent and shown. Amounts are in minor units."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated

from pydantic import Field, model_validator

from api.schemas.fields import Amount, Body, Code, Day, Money, Number, Person, Provider, Reason, Reference, View, line
from lunas.receivables.money import Currency


class RemittanceLine(Body):
    """One of the invoices that a transfer is for."""

    invoice: Number
    amount_minor: Amount | None = Field(default=None, description="Left out on every line: the oldest due first")


class PaymentBody(Body):
    """Money that came in: for an invoice that the payer named, for several (`lines`), for a customer, or for none."""

    provider: Provider = "manual"
    reference: Reference
    invoice: Number | None = Field(
        default=None, description="The invoice that the payer named, whether we know it or not"
    )
    lines: list[RemittanceLine] | None = Field(
        default=None,
        min_length=1,
        max_length=200,
        description="One transfer for several invoices: all with amounts, or none",
    )
    customer: Code | None = Field(
        default=None, description="Who paid: without an invoice, the money goes where the invoices' policy says"
    )
    amount_minor: Amount
    currency: Money
    paid_on: Day = Field(description="The value date: it decides about an early-payment discount")
    by: Person | None = None

    @model_validator(mode="after")
    def _remittance_adds_up(self) -> PaymentBody:
        lines = self.lines or []
        if lines and self.invoice is not None:
            raise ValueError("invoice and lines: name one invoice, or several in lines")
        if len({one.invoice for one in lines}) < len(lines):
            raise ValueError("lines: an invoice stands there twice; add its amounts up")
        stated = [one.amount_minor for one in lines if one.amount_minor is not None]
        if stated and len(stated) < len(lines):
            raise ValueError("lines: give every line an amount_minor, or none")
        if sum(stated) > self.amount_minor:
            raise ValueError("lines: they come to more than amount_minor")
        return self


class ReversalBody(Body):
    """Money of a payment that went back: `amount_minor` with its currency, or all that is left."""

    provider: Provider = "manual"
    reference: Reference
    amount_minor: Amount | None = None
    currency: Money | None = None
    reversed_on: Day
    reason: Reason
    by: Person | None = None

    @model_validator(mode="after")
    def _amount_has_a_currency(self) -> ReversalBody:
        if (self.amount_minor is None) is not (self.currency is None):
            raise ValueError("amount_minor and currency belong together: give both, or neither for all that is left")
        return self


class RefundBody(Body):
    """Money that we pay back: `amount_minor` with its currency, or all that is unapplied of the payment."""

    provider: Provider = "manual"
    reference: Reference
    amount_minor: Amount | None = None
    currency: Money | None = None
    refunded_on: Day
    reason: Reason
    by: Person | None = None

    @model_validator(mode="after")
    def _amount_has_a_currency(self) -> RefundBody:
        if (self.amount_minor is None) is not (self.currency is None):
            raise ValueError("amount_minor and currency belong together: give both, or neither for all that is left")
        return self


class CreditNoteBody(Body):
    """A credit note: less is owed on an invoice."""

    number: Annotated[str, line(64, "The credit note's own number", examples=["CN/2026/11/0007"])]
    invoice: Number
    amount_minor: Amount
    currency: Money
    issued_on: Day
    reason: Reason
    by: Person | None = None


class AllocationBody(Body):
    """A receipt that waits for a match, and the invoice that it pays."""

    receipt_id: int = Field(ge=1, le=2**63 - 1)
    invoice: Number
    by: Person | None = None


class PaidInvoice(View):
    """What an invoice holds of a payment, and what is open on it now."""

    invoice: str
    allocated_minor: int
    outstanding_minor: int


class PaymentView(View):
    """What became of a payment. `unapplied_minor` waits for a match; nothing that came in is lost."""

    receipt_id: int
    new: bool = Field(description="False for a repetition: it was booked before, and is not booked twice")
    currency: Currency
    allocated_minor: int
    unapplied_minor: int
    invoice: str | None = Field(description="The invoice that it was matched to; of several, the first")
    outstanding_minor: int | None = Field(description="What is open on that invoice now")
    invoices: list[PaidInvoice] = Field(description="Every invoice that it was matched to")
    detail: str = Field(description="The same in a sentence")


class OpenedInvoice(View):
    """An invoice that a reversal took money back from."""

    invoice: str
    outstanding_minor: int


class ReversalView(View):
    """What became of a reversal."""

    reversal_id: int
    new: bool
    currency: Currency
    amount_minor: int
    invoices: list[OpenedInvoice]


class RefundView(View):
    """What became of a refund. `unapplied_minor` is left on the payment."""

    refund_id: int
    new: bool
    currency: Currency
    amount_minor: int
    unapplied_minor: int


class CreditNoteView(View):
    """What became of a credit note."""

    number: str
    new: bool
    invoice: str
    currency: Currency
    outstanding_minor: int


class UnappliedView(View):
    """A receipt of which something waits for a match."""

    receipt_id: int
    provider: str
    reference: str
    named: str | None = Field(description="The invoice number that the payer gave")
    lines: list[str] = Field(description="The numbers that a transfer for several invoices gave")
    customer: str | None = Field(description="The customer's code that was given")
    paid_on: date
    received_at: datetime
    currency: Currency
    amount_minor: int
    unapplied_minor: int


class UnappliedList(View):
    """Receipts that wait for a match, oldest first."""

    receipts: list[UnappliedView]
