"""Why was, or wasn't, something said? Every answer of the gate, with the gates it passed and failed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from sqlalchemy import select

from lunas.ledger.database import LedgerSession
from lunas.ledger.facts import unknown_invoice
from lunas.ledger.kinds import NoticeState, Verdict
from lunas.ledger.tables import CustomerRow, DecisionRow, InvoiceRow, NoticeRow
from lunas.receivables.calendar import zone
from lunas.receivables.ladder import Channel
from lunas.receivables.money import Money


@dataclass(frozen=True, slots=True)
class Gate:
    """One question that the gate asked, and the answer."""

    name: str
    passed: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Decision:
    """One answer of the gate: `at` is the business moment; `state` is how the notice stands today."""

    at: datetime
    verdict: Verdict
    why: str
    rung: str
    channel: Channel
    policy: str
    balance: Money
    gates: tuple[Gate, ...]
    until: datetime | None
    contact_id: int | None
    notice_id: int | None
    state: NoticeState | None
    sent_at: datetime | None
    template_digest: str | None


async def why(session: LedgerSession, number: str, on: date | None = None) -> tuple[Decision, ...]:
    """Every decision about the invoice, oldest first; `on` restricts it to one day of the customer's calendar.

    Raises NotFound.
    """
    found = (
        await session.execute(
            select(InvoiceRow.id, InvoiceRow.currency, CustomerRow.time_zone)
            .join(CustomerRow, CustomerRow.id == InvoiceRow.customer_id)
            .where(InvoiceRow.number == number)
        )
    ).one_or_none()
    if found is None:
        raise unknown_invoice(number)
    invoice_id, currency, zone_name = found
    statement = (
        select(DecisionRow, NoticeRow.state, NoticeRow.sent_at, NoticeRow.template_digest)
        .outerjoin(NoticeRow, NoticeRow.id == DecisionRow.notice_id)
        .where(DecisionRow.invoice_id == invoice_id)
        .order_by(DecisionRow.at, DecisionRow.id)
    )
    if on is not None:
        start, end = (datetime.combine(day, time(0), zone(zone_name)) for day in (on, on + timedelta(days=1)))
        statement = statement.where(DecisionRow.at >= start, DecisionRow.at < end)
    return tuple(
        Decision(
            row.at,
            row.verdict,
            row.why,
            row.rung,
            row.channel,
            row.policy,
            Money(row.balance_minor, currency),
            tuple(Gate(*gate) for gate in row.gates),
            row.until,
            row.contact_id,
            row.notice_id,
            state,
            sent_at,
            template,
        )
        for row, state, sent_at, template in await session.execute(statement)
    )
