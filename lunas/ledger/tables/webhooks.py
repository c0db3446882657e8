"""What API clients are told: their endpoints with secrets, the events, and how each was delivered to each."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Boolean, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from lunas.ledger.kinds import DeliveryState
from lunas.ledger.tables.base import Base, words


class EndpointRow(Base):
    """Where an API client is told of events, and of which types. A removed one stays, for the record, without secrets.

    `succeeded_at` is when a delivery last succeeded: an endpoint with which nothing succeeds for long is disabled.
    """

    __tablename__ = "webhook_endpoints"

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    url: Mapped[str] = mapped_column(String(2000))
    events: Mapped[list[str]] = mapped_column(JSON)
    active: Mapped[bool] = mapped_column(Boolean, default=True)
    created_at: Mapped[datetime]
    created_by: Mapped[str] = mapped_column(String(200))
    succeeded_at: Mapped[datetime | None] = mapped_column(default=None)
    disabled_at: Mapped[datetime | None] = mapped_column(default=None)
    disabled_why: Mapped[str | None] = mapped_column(String(200), default=None)
    removed_at: Mapped[datetime | None] = mapped_column(default=None)


class EndpointSecretRow(Base):
    """A secret that deliveries to an endpoint are signed with; after a rotation the one before ends at `expires_at`.

    It is kept as it is, not as a digest: whoever signs needs the secret itself. So who can read this table can forge
    deliveries to that endpoint, and nothing else: a secret opens nothing here. Encrypting it with a key from the
    environment would only move the question to every process that has that key, which are the same ones that may read
    the table; guard backups of the ledger, and rotate after one is lost.
    """

    __tablename__ = "webhook_secrets"

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    endpoint_id: Mapped[int] = mapped_column(ForeignKey("webhook_endpoints.id"), index=True)
    secret: Mapped[str] = mapped_column(String(100))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None] = mapped_column(default=None)


class OutgoingEventRow(Base):
    """Something that API clients are told, written in the transaction of the fact it tells of.

    `id` is its sequence: among events of one invoice a later fact has the greater number.
    """

    __tablename__ = "outgoing_events"

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    event_id: Mapped[str] = mapped_column(String(40), unique=True)
    type: Mapped[str] = mapped_column(String(40))
    invoice_id: Mapped[int | None] = mapped_column(ForeignKey("invoices.id"), index=True, default=None)
    at: Mapped[datetime]
    payload: Mapped[dict[str, Any]] = mapped_column(JSON)


class DeliveryRow(Base):
    """One event on its way to one endpoint. `next_at` None: due at once, or over."""

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        UniqueConstraint("endpoint_id", "outgoing_event_id"),
        Index(None, "endpoint_id", "state", "next_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    endpoint_id: Mapped[int] = mapped_column(ForeignKey("webhook_endpoints.id"))
    outgoing_event_id: Mapped[int] = mapped_column(ForeignKey("outgoing_events.id"))
    state: Mapped[DeliveryState] = mapped_column(words(DeliveryState, "state"), default=DeliveryState.PENDING)
    attempts: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime]
    first_at: Mapped[datetime | None] = mapped_column(default=None)
    next_at: Mapped[datetime | None] = mapped_column(default=None)
    delivered_at: Mapped[datetime | None] = mapped_column(default=None)
    last_status: Mapped[int | None] = mapped_column(default=None)
    last_error: Mapped[str | None] = mapped_column(String(200), default=None)
