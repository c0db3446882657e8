"""What was said: notices, which are claimed before they are sent, and the gate's decisions about them."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from lunas.ledger.kinds import Language, NoticeState, Verdict
from lunas.ledger.tables.base import Base, words
from lunas.receivables.actions import NoticeKind
from lunas.receivables.ladder import Channel, Tone


class NoticeRow(Base):
    """One notice, claimed once per (invoice, rung, channel) for ever.

    `token` fences attempts: only the last claimant may go on. `deadline` (database's clock) ends `committing`.
    `lead_id` is the notice whose message covers this one; `covers` says how many this one's message took along at its
    claim. `outreach_id` is the notice whose contact with the customer this one is part of (None: it is one of its own),
    for the budget; `local_date` is the customer's date of it. `facts_version` and `contact_version` are what the
    message is made of.
    """

    __tablename__ = "notices"
    __table_args__ = (
        UniqueConstraint("invoice_id", "rung", "channel"),
        Index(None, "customer_id", "local_date"),
        Index(
            "ix_notices_under_way",
            "invoice_id",
            postgresql_where=text("state IN ('claimed', 'committing', 'unknown')"),
            sqlite_where=text("state IN ('claimed', 'committing', 'unknown')"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id"))
    invoice_id: Mapped[int] = mapped_column(ForeignKey("invoices.id"))
    rung: Mapped[str] = mapped_column(String(64))
    channel: Mapped[Channel] = mapped_column(words(Channel, "channel"))
    kind: Mapped[NoticeKind] = mapped_column(words(NoticeKind, "kind"))
    tone: Mapped[Tone] = mapped_column(words(Tone, "tone"))
    state: Mapped[NoticeState] = mapped_column(words(NoticeState, "state"))
    token: Mapped[int] = mapped_column(default=1)
    lead_id: Mapped[int | None] = mapped_column(ForeignKey("notices.id"), index=True, default=None)
    covers: Mapped[int] = mapped_column(default=0)
    outreach_id: Mapped[int | None] = mapped_column(ForeignKey("notices.id"), default=None)
    local_date: Mapped[date]
    business_at: Mapped[datetime]
    claimed_at: Mapped[datetime]
    deadline: Mapped[datetime | None] = mapped_column(default=None)
    sent_at: Mapped[datetime | None] = mapped_column(default=None)
    facts_version: Mapped[int]
    contact_id: Mapped[int | None] = mapped_column(ForeignKey("contacts.id"), default=None)
    contact_version: Mapped[int] = mapped_column(default=0)
    language: Mapped[Language | None] = mapped_column(words(Language, "language"), default=None)
    message_id: Mapped[str | None] = mapped_column(String(255), unique=True, default=None)
    template_digest: Mapped[str | None] = mapped_column(String(64), default=None)
    code: Mapped[int | None] = mapped_column(default=None)
    answer: Mapped[str | None] = mapped_column(String(500), default=None)
    settled_by: Mapped[str | None] = mapped_column(String(200), default=None)
    unsettled_at: Mapped[datetime | None] = mapped_column(default=None)  # when it became `unknown`, whatever came later


class DecisionRow(Base):
    """Why a message was, or was not, sent: one row for every answer of the gate.

    `at` is the business moment; `gates` is a list of [gate, ok, detail] in the order of asking.
    """

    __tablename__ = "decisions"
    __table_args__ = (Index(None, "invoice_id", "at"),)

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    invoice_id: Mapped[int] = mapped_column(ForeignKey("invoices.id"))
    at: Mapped[datetime]
    recorded_at: Mapped[datetime]
    verdict: Mapped[Verdict] = mapped_column(words(Verdict, "verdict"))
    rung: Mapped[str] = mapped_column(String(64))
    channel: Mapped[Channel] = mapped_column(words(Channel, "channel"))
    policy: Mapped[str] = mapped_column(String(130))
    facts_version: Mapped[int]
    balance_minor: Mapped[int]
    gates: Mapped[list[list[Any]]] = mapped_column(JSON)
    why: Mapped[str] = mapped_column(Text)
    until: Mapped[datetime | None] = mapped_column(default=None)
    contact_id: Mapped[int | None] = mapped_column(ForeignKey("contacts.id"), default=None)
    notice_id: Mapped[int | None] = mapped_column(ForeignKey("notices.id"), index=True, default=None)
