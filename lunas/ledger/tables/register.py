"""Who owes what: customers, their contacts, the policies that invoices carry, invoices and their lines."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import Boolean, CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from lunas.ledger.kinds import AddressState, ContactSource, Language
from lunas.ledger.tables.base import Base, words
from lunas.receivables.invoice import AgencyWord, HoldKind, Stage
from lunas.receivables.money import Currency


class CustomerRow(Base):
    """A customer. Its row is the lock under which everything about its invoices is decided."""

    __tablename__ = "customers"

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    code: Mapped[str] = mapped_column(String(64), unique=True)
    name: Mapped[str] = mapped_column(String(200))
    language: Mapped[Language] = mapped_column(words(Language, "language"))
    time_zone: Mapped[str] = mapped_column(String(64))
    postal_address: Mapped[str | None] = mapped_column(Text, default=None)
    website: Mapped[str | None] = mapped_column(String(2000), default=None)
    policy_name: Mapped[str | None] = mapped_column(String(64), default=None)
    created_at: Mapped[datetime]


class ContactRow(Base):
    """A person or desk at a customer. `version` counts its changes, so that the gate sees one under way."""

    __tablename__ = "contacts"

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id"), index=True)
    name: Mapped[str | None] = mapped_column(String(200), default=None)
    role: Mapped[str | None] = mapped_column(String(100), default=None)
    email: Mapped[str | None] = mapped_column(String(254), default=None)
    phone: Mapped[str | None] = mapped_column(String(20), default=None)
    language: Mapped[Language | None] = mapped_column(words(Language, "language"), default=None)
    source: Mapped[ContactSource] = mapped_column(words(ContactSource, "source"))
    approved: Mapped[bool] = mapped_column(Boolean)
    email_state: Mapped[AddressState] = mapped_column(words(AddressState, "email_state"), default=AddressState.OK)
    phone_state: Mapped[AddressState] = mapped_column(words(AddressState, "phone_state"), default=AddressState.OK)
    priority: Mapped[int] = mapped_column(default=100)
    version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime]


class PolicyRow(Base):
    """A policy with its calendar resolved, stored once under the digest of its text."""

    __tablename__ = "policies"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(String(64))
    version: Mapped[str] = mapped_column(String(64))
    document: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]


class InvoiceRow(Base):
    """An invoice: what was billed, the facts' version, and the workflow's last projection.

    `total_minor` is the sum of the lines, fixed at issue. `stage` to `flags` are written from the workflow's standing
    for lists and reports; `sequence` is the workflow's decision that they stand for.
    """

    __tablename__ = "invoices"
    __table_args__ = (
        CheckConstraint("total_minor > 0", name="total_is_positive"),
        Index(None, "customer_id", "next_at"),
        Index(None, "stage", "due_on"),
        Index(None, "due_on", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    number: Mapped[str] = mapped_column(String(64), unique=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id"))
    body_digest: Mapped[str] = mapped_column(String(64))
    currency: Mapped[Currency] = mapped_column(words(Currency, "currency"))
    total_minor: Mapped[int]
    issued_on: Mapped[date]
    due_on: Mapped[date]
    terms: Mapped[str] = mapped_column(String(64))
    purchase_order: Mapped[str | None] = mapped_column(String(100), default=None)
    policy_digest: Mapped[str] = mapped_column(ForeignKey("policies.digest"))
    opened_at: Mapped[datetime]

    facts_version: Mapped[int] = mapped_column(default=1)
    reachable: Mapped[bool] = mapped_column(Boolean, default=True)
    answers: Mapped[int] = mapped_column(default=0)
    other_way: Mapped[bool] = mapped_column(Boolean, default=False)
    agency: Mapped[AgencyWord] = mapped_column(words(AgencyWord, "agency"), default=AgencyWord.NOTHING)

    stage: Mapped[Stage] = mapped_column(words(Stage, "stage"), default=Stage.ISSUED)
    held: Mapped[HoldKind | None] = mapped_column(words(HoldKind, "held"), default=None)
    held_until: Mapped[datetime | None] = mapped_column(default=None)
    rung: Mapped[str | None] = mapped_column(String(64), default=None)
    next_step: Mapped[str | None] = mapped_column(String(200), default=None)
    next_at: Mapped[datetime | None] = mapped_column(default=None)
    next_rung: Mapped[str | None] = mapped_column(String(64), default=None)
    next_channels: Mapped[str] = mapped_column(String(64), default="")
    flags: Mapped[str] = mapped_column(String(400), default="")
    sequence: Mapped[int] = mapped_column(default=0)
    closed_at: Mapped[datetime | None] = mapped_column(default=None)
    closed_state: Mapped[str | None] = mapped_column(Text, default=None)


class InvoiceLineRow(Base):
    """One line of an invoice. `quantity` is a plain decimal."""

    __tablename__ = "invoice_lines"
    __table_args__ = (UniqueConstraint("invoice_id", "position"),)

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    invoice_id: Mapped[int] = mapped_column(ForeignKey("invoices.id"))
    position: Mapped[int]
    description: Mapped[str] = mapped_column(Text)
    quantity: Mapped[str] = mapped_column(String(32))
    unit_price_minor: Mapped[int]
    amount_minor: Mapped[int]
