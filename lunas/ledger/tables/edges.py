"""What the edges keep: payment offers, findings of research, placements, API keys and idempotent answers."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from lunas.ledger.kinds import FindingState, PlacementEnd
from lunas.ledger.tables.base import Base, words


class OfferRow(Base):
    """A way to pay one invoice: a virtual account, a link, a QR code. A new balance needs a new one.

    It is written before its provider is asked: `ready_at` says when the provider answered, `provider_id` what it calls
    it, `failure` why it said no. `covers_minor` is the balance that `amount_minor` settles. `claim` holds an amount for
    this offer alone.
    """

    __tablename__ = "offers"
    __table_args__ = (
        UniqueConstraint("method", "reference"),
        UniqueConstraint("claim"),
        CheckConstraint("amount_minor > 0", name="amount_is_positive"),
    )

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    invoice_id: Mapped[int] = mapped_column(ForeignKey("invoices.id"), index=True)
    method: Mapped[str] = mapped_column(String(40))
    reference: Mapped[str] = mapped_column(String(200))
    amount_minor: Mapped[int]
    instructions: Mapped[dict[str, Any]] = mapped_column(JSON)
    url: Mapped[str | None] = mapped_column(String(2000), default=None)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None] = mapped_column(default=None)
    voided_at: Mapped[datetime | None] = mapped_column(default=None)
    maker: Mapped[str] = mapped_column(String(80))
    covers_minor: Mapped[int]
    ready_at: Mapped[datetime | None] = mapped_column(default=None)
    provider_id: Mapped[str | None] = mapped_column(String(200), index=True, default=None)
    qr: Mapped[str | None] = mapped_column(Text, default=None)
    failure: Mapped[str | None] = mapped_column(String(80), default=None)
    claim: Mapped[str | None] = mapped_column(String(60), default=None)


class FindingRow(Base):
    """What research found: an address or number, where, and what a person decided about it."""

    __tablename__ = "findings"
    __table_args__ = (UniqueConstraint("customer_id", "kind", "value"),)

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id"))
    kind: Mapped[str] = mapped_column(String(24))
    value: Mapped[str] = mapped_column(String(254))
    evidence: Mapped[dict[str, Any]] = mapped_column(JSON)
    state: Mapped[FindingState] = mapped_column(words(FindingState, "state"), default=FindingState.PROPOSED)
    found_at: Mapped[datetime]
    decided_at: Mapped[datetime | None] = mapped_column(default=None)
    decided_by: Mapped[str | None] = mapped_column(String(200), default=None)
    contact_id: Mapped[int | None] = mapped_column(ForeignKey("contacts.id"), default=None)


class PlacementRow(Base):
    """An invoice with an agency; at most one open per invoice."""

    __tablename__ = "placements"
    __table_args__ = (
        Index(
            "uq_placements_open",
            "invoice_id",
            unique=True,
            postgresql_where=text("ended_at IS NULL"),
            sqlite_where=text("ended_at IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    invoice_id: Mapped[int] = mapped_column(ForeignKey("invoices.id"), index=True)
    agency: Mapped[str] = mapped_column(String(80))
    amount_minor: Mapped[int]
    approved_by: Mapped[str] = mapped_column(String(200))
    placed_at: Mapped[datetime]
    confirmed_at: Mapped[datetime | None] = mapped_column(default=None)
    agency_reference: Mapped[str | None] = mapped_column(String(200), default=None)
    ended_at: Mapped[datetime | None] = mapped_column(default=None)
    end: Mapped[PlacementEnd | None] = mapped_column(words(PlacementEnd, "end"), default=None)
    end_reason: Mapped[str | None] = mapped_column(Text, default=None)


class ApiKeyRow(Base):
    """A key to the API: only its prefix and the digest of the whole are kept."""

    __tablename__ = "api_keys"

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    prefix: Mapped[str] = mapped_column(String(16), unique=True)
    digest: Mapped[str] = mapped_column(String(64))
    name: Mapped[str] = mapped_column(String(100))
    scopes: Mapped[str] = mapped_column(String(400))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None] = mapped_column(default=None)
    revoked_at: Mapped[datetime | None] = mapped_column(default=None)


class IdempotencyRow(Base):
    """The answer to a request that carried an Idempotency-Key; `status` None while it is being worked out."""

    __tablename__ = "idempotency_keys"

    owner: Mapped[str] = mapped_column(String(64), primary_key=True)
    route: Mapped[str] = mapped_column(String(200), primary_key=True)
    key: Mapped[str] = mapped_column(String(200), primary_key=True)
    body_digest: Mapped[str] = mapped_column(String(64))
    status: Mapped[int | None] = mapped_column(default=None)
    body: Mapped[str | None] = mapped_column(Text, default=None)
    created_at: Mapped[datetime] = mapped_column(index=True)
