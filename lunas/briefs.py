"""Briefs: what the ledger hands to those who write to customers. Personal data; never an activity's input or result.

Plain data: who typesets or words them needs to know no ledger.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from lunas.links import PayLink
from lunas.receivables.ladder import Channel, Tone
from lunas.receivables.money import Money


class BriefError(ValueError):
    """A brief lacks what its message has to say, or asks for a language that there is not."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of an invoice; `quantity` is a plain decimal such as `2` or `1.5`."""

    description: str
    quantity: str
    unit_price: Money
    amount: Money


@dataclass(frozen=True, slots=True)
class EarlyPayment:
    """The early-payment discount that is still to be had, and the last value date that earns it."""

    amount: Money
    until: date


@dataclass(frozen=True, slots=True)
class InvoiceBrief:
    """One invoice as its reader needs it. `balance` is what is open now; `total` what was invoiced."""

    number: str
    issued_on: date
    due_on: date
    total: Money
    balance: Money
    lines: tuple[Line, ...]
    purchase_order: str | None = None
    early_payment: EarlyPayment | None = None

    def days_late(self, today: date) -> int:
        """Days past due on `today`; negative before the due date."""
        return (today - self.due_on).days


@dataclass(frozen=True, slots=True)
class Recipient:
    """Who reads it: `address` is an email address or a phone number in E.164, as the channel needs."""

    customer_code: str
    customer_name: str
    contact_name: str | None
    address: str
    language: str  # "id" or "en"
    postal_address: str | None = None


@dataclass(frozen=True, slots=True)
class PaymentWay:
    """A way to pay that was made for the leading invoice: labels and values in the customer's language.

    `url` is where it can be paid; `until` is the last day, by the customer's calendar, on which it can be used; `qr` is
    what a QR code to be shown with it says; `minor` is what is to be paid with it, in minor units of the invoice.
    """

    method: str
    instructions: tuple[tuple[str, str], ...]
    url: str | None = None
    until: date | None = None
    qr: str | None = None
    minor: int | None = None


@dataclass(frozen=True, slots=True)
class Promised:
    """What is promised by a day."""

    pay_by: date
    amount: Money


@dataclass(frozen=True, slots=True)
class NoticeBrief:
    """Everything that one message says.

    `kind` is a rung's action (`remind`, `follow_up`, …) or `receipt`; `invoices` has the leading one first;
    `ordinal` counts the follow-ups (1 is the first); `today` is the customer's date; `first_mail` says that the
    customer has had no mail about the leading invoice yet, so its PDF travels along.
    """

    kind: str
    channel: Channel
    tone: Tone
    ordinal: int
    today: date
    to: Recipient
    invoices: tuple[InvoiceBrief, ...]
    message_id: str
    first_mail: bool = False
    pay_by: date | None = None  # final demand: the day before the agency; promise: the promised date
    paid: Money | None = None  # receipt: what came in
    promised: tuple[Promised, ...] = ()  # promise: where it is of a part of what is open, or in instalments
    ways: tuple[PaymentWay, ...] = ()  # offer: what was made ready
    link: PayLink | None = None  # the customer's page of the leading invoice, for this reader

    @property
    def lead(self) -> InvoiceBrief:
        """The invoice that the message is about first of all."""
        return self.invoices[0]

    @property
    def pay_subject(self) -> str:
        """What the link to the leading invoice's page names."""
        return (self.link or PayLink(self.lead.number)).subject

    @property
    def balance(self) -> Money:
        """What is open on all of its invoices together."""
        total = Money(0, self.lead.balance.currency)
        for invoice in self.invoices:
            total += invoice.balance
        return total
