"""What a file of open invoices says, and what a person says about the file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from api.importing.amounts import Decimals
from api.importing.columns import Columns, Field
from api.importing.dates import DateFormat
from lunas.receivables.money import Currency, Money
from lunas.receivables.terms import Terms


@dataclass(frozen=True, slots=True)
class Options:
    """What a person states about the file; None is for the file itself to show.

    `lenient` leaves an email or a phone number that cannot be used out, instead of rejecting the row.
    """

    mapping: Mapping[Field, str] = field(default_factory=dict)
    encoding: str | None = None
    delimiter: str | None = None
    dates: DateFormat | None = None
    decimals: Decimals | None = None
    currency: Currency = Currency.IDR
    region: str = "ID"
    terms: Terms | None = None
    policy: str | None = None
    language: str = "id"
    time_zone: str = "Asia/Jakarta"
    lenient: bool = False


@dataclass(frozen=True, slots=True)
class Customer:
    """Who owes; without email and phone it is a customer that nobody can reach yet."""

    code: str
    name: str
    language: str
    time_zone: str
    email: str | None = None
    phone: str | None = None
    contact_name: str | None = None
    address: str | None = None
    website: str | None = None

    @property
    def has_contact(self) -> bool:
        """Whether anything can be sent to it."""
        return bool(self.email or self.phone)


@dataclass(frozen=True, slots=True)
class OpenInvoice:
    """One invoice of the file: `total` is what was invoiced, `outstanding` what is still open of it.

    `due_on` None leaves the due date to the terms, and `terms` None those to the policy.
    """

    line: int
    number: str
    customer: Customer
    issued_on: date
    due_on: date | None
    total: Money
    outstanding: Money
    terms: Terms | None = None
    policy: str | None = None
    description: str | None = None
    purchase_order: str | None = None


@dataclass(frozen=True, slots=True)
class Rejection:
    """A row that was not taken. `shape` shows what stood there without saying it: `99/99/9999`, `Aaaa Aaaa`."""

    line: int
    column: str
    shape: str
    reason: str
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Parsed:
    """All of a file: what can be issued, what was rejected, what asks for nothing, and what a person should know.

    `cells` has the rows that can be issued as they stand in the file, by line.
    """

    columns: Columns
    invoices: tuple[OpenInvoice, ...]
    rejections: tuple[Rejection, ...]
    passed_over: Mapping[str, int]
    notes: tuple[str, ...]
    dates: DateFormat
    decimals: Decimals
    cells: Mapping[int, tuple[str, ...]]

    @property
    def customers(self) -> tuple[Customer, ...]:
        """Each customer once."""
        return tuple({invoice.customer.code: invoice.customer for invoice in self.invoices}.values())
