"""The running record: journal, holds, nudges to workflows, and one switch that stops all sending."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import JSON, Boolean, ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from lunas.ledger.kinds import HoldAct, JournalSource, NudgeKind
from lunas.ledger.tables.base import Base, words
from lunas.receivables.invoice import HoldKind, Stage


class JournalRow(Base):
    """One line of an invoice's journal.

    A workflow's line is numbered by its decision; a ledger's line by the version of the facts that it brought.
    """

    __tablename__ = "journal"
    __table_args__ = (UniqueConstraint("invoice_id", "source", "sequence"),)

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    invoice_id: Mapped[int] = mapped_column(ForeignKey("invoices.id"))
    source: Mapped[JournalSource] = mapped_column(words(JournalSource, "source"))
    sequence: Mapped[int]
    at: Mapped[datetime]
    event: Mapped[str] = mapped_column(String(64))
    rule: Mapped[str] = mapped_column(String(128), default="")
    was: Mapped[Stage | None] = mapped_column(words(Stage, "was"), default=None)
    becomes: Mapped[Stage | None] = mapped_column(words(Stage, "becomes"), default=None)
    was_held: Mapped[HoldKind | None] = mapped_column(words(HoldKind, "was_held"), default=None)
    held: Mapped[HoldKind | None] = mapped_column(words(HoldKind, "held"), default=None)
    by: Mapped[str] = mapped_column(String(200))
    reason: Mapped[str] = mapped_column(Text, default="")
    detail: Mapped[str] = mapped_column(Text, default="")
    policy: Mapped[str] = mapped_column(String(130), default="")


class HoldRow(Base):
    """A hold that was set, or lifted. The last row of an invoice says whether one is open."""

    __tablename__ = "holds"
    __table_args__ = (Index(None, "invoice_id", "id"),)

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    invoice_id: Mapped[int] = mapped_column(ForeignKey("invoices.id"))
    act: Mapped[HoldAct] = mapped_column(words(HoldAct, "act"))
    kind: Mapped[HoldKind] = mapped_column(words(HoldKind, "kind"))
    since: Mapped[datetime]
    until: Mapped[datetime]
    by: Mapped[str] = mapped_column(String(200))
    reason: Mapped[str] = mapped_column(Text)
    amount_minor: Mapped[int | None] = mapped_column(default=None)
    promised_for: Mapped[date | None] = mapped_column(default=None)
    at: Mapped[datetime]
    instalments: Mapped[list[Any] | None] = mapped_column(JSON, default=None)  # after this one: [day, minor units]


class NudgeRow(Base):
    """A workflow is to be started, or told that the facts have changed."""

    __tablename__ = "nudges"
    __table_args__ = (
        Index(
            "ix_nudges_undelivered",
            "created_at",
            postgresql_where=text("delivered_at IS NULL"),
            sqlite_where=text("delivered_at IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    invoice_id: Mapped[int] = mapped_column(ForeignKey("invoices.id"), index=True)
    kind: Mapped[NudgeKind] = mapped_column(words(NudgeKind, "kind"))
    created_at: Mapped[datetime]
    delivered_at: Mapped[datetime | None] = mapped_column(default=None)


class LinkRevocationRow(Base):
    """An end of every pay link made before it: of one invoice, or (`invoice_id` None) of all of a customer's."""

    __tablename__ = "link_revocations"
    __table_args__ = (Index(None, "customer_id", "invoice_id"),)

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id"))
    invoice_id: Mapped[int | None] = mapped_column(ForeignKey("invoices.id"), default=None)
    by: Mapped[str] = mapped_column(String(200))
    reason: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime]


class SwitchRow(Base):
    """A turn of the switch that stops all sending; the last row says how it stands."""

    __tablename__ = "switches"

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    stopped: Mapped[bool] = mapped_column(Boolean)
    by: Mapped[str] = mapped_column(String(200))
    reason: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime]
