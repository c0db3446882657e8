"""What came in, what went back and what is no longer owed. Append-only: a balance is arithmetic over these rows."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import (
    JSON,
    Boolean,
    CheckConstraint,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from lunas.ledger.kinds import BookingState, ChargeKind
from lunas.ledger.tables.base import Base, words
from lunas.providers.events import EventKind
from lunas.receivables.money import Currency


class ProviderEventRow(Base):
    """A delivery by a payment provider, as it came, and how it was verified."""

    __tablename__ = "provider_events"
    __table_args__ = (UniqueConstraint("provider", "event"),)

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    provider: Mapped[str] = mapped_column(String(40))
    event: Mapped[str] = mapped_column(String(200))
    raw: Mapped[bytes] = mapped_column(LargeBinary)
    verification: Mapped[str] = mapped_column(String(200))
    received_at: Mapped[datetime]


class ProviderReadingRow(Base):
    """What a delivery says, in the language of all providers, and what became of it.

    `confirmed`: its signature covers what it says, or the provider itself was asked; before that nothing is booked.
    `why` says what it waits for, or why it was refused; `tried_at` is when booking it was last tried.
    """

    __tablename__ = "provider_readings"
    __table_args__ = (
        Index("ix_provider_readings_provider_reference", "provider", "reference"),
        Index(
            "ix_provider_readings_waiting",
            "event_id",
            postgresql_where=text("state = 'waiting'"),
            sqlite_where=text("state = 'waiting'"),
        ),
    )

    event_id: Mapped[int] = mapped_column(ForeignKey("provider_events.id"), primary_key=True)
    provider: Mapped[str] = mapped_column(String(40))
    kind: Mapped[EventKind] = mapped_column(words(EventKind, "kind"))
    state: Mapped[BookingState] = mapped_column(words(BookingState, "state"))
    confirmed: Mapped[bool] = mapped_column(Boolean)
    reference: Mapped[str | None] = mapped_column(String(200), default=None)
    currency: Mapped[Currency | None] = mapped_column(words(Currency, "currency"), default=None)
    amount_minor: Mapped[int | None] = mapped_column(default=None)
    moved_on: Mapped[date | None] = mapped_column(default=None)
    instruments: Mapped[list[str]] = mapped_column(JSON, default_factory=list)
    invoice: Mapped[str | None] = mapped_column(String(64), default=None)
    reversal: Mapped[str | None] = mapped_column(String(200), default=None)
    reason: Mapped[str | None] = mapped_column(Text, default=None)
    why: Mapped[str | None] = mapped_column(Text, default=None)
    tried_at: Mapped[datetime | None] = mapped_column(default=None)
    booked_at: Mapped[datetime | None] = mapped_column(default=None)


class ReceiptRow(Base):
    """Money in. `named` is the invoice number that the payer gave; what is not allocated is unapplied."""

    __tablename__ = "receipts"
    __table_args__ = (
        UniqueConstraint("provider", "reference"),
        CheckConstraint("amount_minor > 0", name="amount_is_positive"),
    )

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    provider: Mapped[str] = mapped_column(String(40))
    reference: Mapped[str] = mapped_column(String(200))
    digest: Mapped[str] = mapped_column(String(64))
    named: Mapped[str | None] = mapped_column(String(64), index=True, default=None)
    currency: Mapped[Currency] = mapped_column(words(Currency, "currency"))
    amount_minor: Mapped[int]
    paid_on: Mapped[date]
    by: Mapped[str] = mapped_column(String(200))
    event_id: Mapped[int | None] = mapped_column(ForeignKey("provider_events.id"), default=None)
    received_at: Mapped[datetime]


class RemittanceRow(Base):
    """An invoice that a transfer for several of them names; `amount_minor` None: as much as is open and left."""

    __tablename__ = "remittances"
    __table_args__ = (
        UniqueConstraint("receipt_id", "number"),
        CheckConstraint("amount_minor > 0", name="amount_is_positive"),
    )

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    receipt_id: Mapped[int] = mapped_column(ForeignKey("receipts.id"))
    number: Mapped[str] = mapped_column(String(64), index=True)
    amount_minor: Mapped[int | None] = mapped_column(default=None)


class PayerRow(Base):
    """The customer's code that a receipt names, whether we know it or not."""

    __tablename__ = "payers"

    receipt_id: Mapped[int] = mapped_column(ForeignKey("receipts.id"), primary_key=True)
    customer: Mapped[str] = mapped_column(String(64), index=True)


class AllocationRow(Base):
    """A receipt, or a part of it, matched to an invoice; a negative one frees it again."""

    __tablename__ = "allocations"
    __table_args__ = (CheckConstraint("amount_minor <> 0", name="amount_is_not_zero"),)

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    receipt_id: Mapped[int] = mapped_column(ForeignKey("receipts.id"), index=True)
    invoice_id: Mapped[int] = mapped_column(ForeignKey("invoices.id"), index=True)
    amount_minor: Mapped[int]
    facts_version: Mapped[int]
    at: Mapped[datetime]


class ReversalRow(Base):
    """Money that went back: of `amount_minor`, what the reversal's parts do not take from invoices was unapplied."""

    __tablename__ = "reversals"
    __table_args__ = (
        UniqueConstraint("provider", "reference"),
        CheckConstraint("amount_minor > 0", name="amount_is_positive"),
    )

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    provider: Mapped[str] = mapped_column(String(40))
    reference: Mapped[str] = mapped_column(String(200))
    digest: Mapped[str] = mapped_column(String(64))
    receipt_id: Mapped[int] = mapped_column(ForeignKey("receipts.id"), index=True)
    amount_minor: Mapped[int]
    reversed_on: Mapped[date]
    reason: Mapped[str] = mapped_column(Text)
    by: Mapped[str] = mapped_column(String(200))
    at: Mapped[datetime]


class ReversalPartRow(Base):
    """What a reversal takes back from one invoice."""

    __tablename__ = "reversal_parts"
    __table_args__ = (
        UniqueConstraint("reversal_id", "invoice_id"),
        CheckConstraint("amount_minor > 0", name="amount_is_positive"),
    )

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    reversal_id: Mapped[int] = mapped_column(ForeignKey("reversals.id"))
    receipt_id: Mapped[int] = mapped_column(ForeignKey("receipts.id"), index=True)
    invoice_id: Mapped[int] = mapped_column(ForeignKey("invoices.id"), index=True)
    amount_minor: Mapped[int]
    facts_version: Mapped[int]


class RefundRow(Base):
    """What we paid back, by a person's decision, of what was unapplied on a receipt."""

    __tablename__ = "refunds"
    __table_args__ = (
        UniqueConstraint("provider", "reference"),
        CheckConstraint("amount_minor > 0", name="amount_is_positive"),
    )

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    provider: Mapped[str] = mapped_column(String(40))
    reference: Mapped[str] = mapped_column(String(200))
    digest: Mapped[str] = mapped_column(String(64))
    receipt_id: Mapped[int] = mapped_column(ForeignKey("receipts.id"), index=True)
    amount_minor: Mapped[int]
    refunded_on: Mapped[date]
    reason: Mapped[str] = mapped_column(Text)
    by: Mapped[str] = mapped_column(String(200))
    at: Mapped[datetime]


class DiscountRow(Base):
    """An early-payment discount that a receipt earned; a negative one withdraws it."""

    __tablename__ = "discounts"
    __table_args__ = (CheckConstraint("amount_minor <> 0", name="amount_is_not_zero"),)

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    invoice_id: Mapped[int] = mapped_column(ForeignKey("invoices.id"), index=True)
    receipt_id: Mapped[int | None] = mapped_column(ForeignKey("receipts.id"), default=None)
    amount_minor: Mapped[int]
    facts_version: Mapped[int]
    at: Mapped[datetime]


class CreditNoteRow(Base):
    """A credit note: less is owed."""

    __tablename__ = "credit_notes"
    __table_args__ = (CheckConstraint("amount_minor > 0", name="amount_is_positive"),)

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    number: Mapped[str] = mapped_column(String(64), unique=True)
    digest: Mapped[str] = mapped_column(String(64))
    invoice_id: Mapped[int] = mapped_column(ForeignKey("invoices.id"), index=True)
    amount_minor: Mapped[int]
    issued_on: Mapped[date]
    reason: Mapped[str] = mapped_column(Text)
    by: Mapped[str] = mapped_column(String(200))
    at: Mapped[datetime]


class ChargeRow(Base):
    """Interest or a fee that is claimed on top of the lines."""

    __tablename__ = "charges"
    __table_args__ = (
        UniqueConstraint("invoice_id", "reference"),
        CheckConstraint("amount_minor > 0", name="amount_is_positive"),
    )

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    invoice_id: Mapped[int] = mapped_column(ForeignKey("invoices.id"))
    reference: Mapped[str] = mapped_column(String(200))
    kind: Mapped[ChargeKind] = mapped_column(words(ChargeKind, "kind"))
    amount_minor: Mapped[int]
    charged_on: Mapped[date]
    by: Mapped[str] = mapped_column(String(200))
    at: Mapped[datetime]


class ToleranceRow(Base):
    """What a payment fell short by and was let off, within the policy's tolerance; a negative one withdraws it."""

    __tablename__ = "tolerances"
    __table_args__ = (CheckConstraint("amount_minor <> 0", name="amount_is_not_zero"),)

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    invoice_id: Mapped[int] = mapped_column(ForeignKey("invoices.id"), index=True)
    receipt_id: Mapped[int | None] = mapped_column(ForeignKey("receipts.id"), default=None)
    amount_minor: Mapped[int]
    facts_version: Mapped[int]
    at: Mapped[datetime]


class WaiverRow(Base):
    """Interest or a fee that was given up: it was never owed, and is not claimed any more."""

    __tablename__ = "waivers"
    __table_args__ = (
        UniqueConstraint("invoice_id", "reference"),
        CheckConstraint("amount_minor > 0", name="amount_is_positive"),
    )

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    invoice_id: Mapped[int] = mapped_column(ForeignKey("invoices.id"))
    reference: Mapped[str] = mapped_column(String(200))
    kind: Mapped[ChargeKind] = mapped_column(words(ChargeKind, "kind"))
    amount_minor: Mapped[int]
    waived_on: Mapped[date]
    reason: Mapped[str] = mapped_column(Text)
    by: Mapped[str] = mapped_column(String(200))
    at: Mapped[datetime]
