"""The API as an import sees it: customers, earlier payments and invoices, through the typed client."""

from __future__ import annotations

from collections.abc import Awaitable
from http import HTTPStatus
from typing import TypeVar

from pydantic import ValidationError

from api import client
from api.errors import Kind
from api.importing.load import Declined, Unavailable
from api.importing.model import Customer, OpenInvoice
from api.schemas.customers import ContactBody, CustomerBody
from api.schemas.invoices import InvoiceBody, LineBody
from api.schemas.payments import PaymentBody
from lunas.ledger.kinds import IMPORTED, Language
from lunas.receivables.money import Money

_T = TypeVar("_T")

_BY = "import"


class ApiRegister:
    """See `load.Register`."""

    def __init__(self, lunas: client.LunasClient) -> None:
        self._lunas = lunas

    async def keep_customer(self, customer: Customer) -> None:
        """Write the customer down; one that is known stays as it is."""
        try:
            await _asked(self._lunas.create_customer(_customer(customer)))
        except _Taken:
            return

    async def open_balance(self, number: str) -> Money | None:
        """What is open on that invoice; None where there is none."""
        try:
            invoice = await _asked(self._lunas.invoice(number))
        except _Unknown:
            return None
        return Money(invoice.balance_minor, invoice.currency)

    async def book_earlier_payment(self, invoice: OpenInvoice) -> None:
        """Book it under a reference of its own, with the invoice date: no file says when it came in."""
        paid = invoice.total - invoice.outstanding
        body = PaymentBody(
            provider=IMPORTED,
            reference=f"paid before import: {invoice.number}",
            invoice=invoice.number,
            amount_minor=paid.minor,
            currency=paid.currency,
            paid_on=invoice.issued_on,
            by=_BY,
        )
        await _asked(self._lunas.pay(body))

    async def issue(self, invoice: OpenInvoice) -> None:
        """Issue it with one line for all that was billed."""
        await _asked(self._lunas.issue(_invoice(invoice)))


class _Unknown(Declined):
    """There is no such thing."""


class _Taken(Declined):
    """The name is taken."""


async def _asked(question: Awaitable[_T]) -> _T:
    try:
        return await question
    except client.Unreachable as error:
        raise Unavailable(str(error)) from error
    except client.Declined as error:
        # It may be sent again, and then is done once: everything here has a reference of its own.
        if error.problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise Unavailable(str(error)) from error
        if error.is_about(Kind.NOT_FOUND):
            raise _Unknown(str(error)) from error
        if error.is_about(Kind.CONFLICT):
            raise _Taken(str(error)) from error
        raise Declined(str(error)) from error


def _customer(customer: Customer) -> CustomerBody:
    try:
        return CustomerBody(
            code=customer.code,
            name=customer.name,
            language=Language(customer.language),
            time_zone=customer.time_zone,
            postal_address=customer.address,
            website=customer.website,
            contacts=_contacts(customer),
        )
    except ValidationError as error:
        raise Declined(_first(error)) from error


def _contacts(customer: Customer) -> list[ContactBody]:
    if not customer.has_contact:
        return []
    return [ContactBody(name=customer.contact_name, email=customer.email, phone=customer.phone)]


def _invoice(invoice: OpenInvoice) -> InvoiceBody:
    described = (
        invoice.description or ("Faktur" if invoice.customer.language == "id" else "Invoice") + f" {invoice.number}"
    )
    try:
        return InvoiceBody(
            number=invoice.number,
            customer=invoice.customer.code,
            currency=invoice.total.currency,
            issued_on=invoice.issued_on,
            terms=str(invoice.terms) if invoice.terms else None,
            due_on=invoice.due_on,
            policy=invoice.policy,
            purchase_order=invoice.purchase_order,
            lines=[LineBody(description=described, unit_price_minor=invoice.total.minor)],
        )
    except ValidationError as error:
        raise Declined(_first(error)) from error


def _first(error: ValidationError) -> str:
    found = error.errors(include_url=False, include_input=False)[0]
    said = found["msg"].removeprefix("Value error, ")
    return f"{'/'.join(str(place) for place in found['loc'])}: {said}"
