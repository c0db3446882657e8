"""Briefs for the writers of messages: made from the rows that the claim has just seen, under the same lock."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from datetime import date

from sqlalchemy import bindparam, select

from lunas.ledger.briefs import EarlyPayment, InvoiceBrief, Line, NoticeBrief, Recipient
from lunas.ledger.customers import Reachable
from lunas.ledger.database import LedgerSession
from lunas.ledger.facts import Seen
from lunas.ledger.tables import AllocationRow, CustomerRow, InvoiceLineRow, ReceiptRow
from lunas.receivables.actions import NoticeKind, SendNotice
from lunas.receivables.ladder import Channel
from lunas.receivables.money import Money
from lunas.receivables.terms import Terms

_SAFE = re.compile(r"[^A-Za-z0-9_+-]")
_LINES = (
    select(InvoiceLineRow)
    .where(InvoiceLineRow.invoice_id.in_(bindparam("invoices", expanding=True)))
    .order_by(InvoiceLineRow.invoice_id, InvoiceLineRow.position)
)


def message_id(number: str, rung: str, channel: Channel, sender_domain: str) -> str:
    """The Message-ID of a notice: the same for every attempt, so that the relay's log can settle an unknown one."""
    digest = hashlib.sha256(f"{number}\n{rung}\n{channel}".encode()).hexdigest()[:24]
    return f"<{_SAFE.sub('-', rung)}.{channel}.{digest}@{sender_domain}>"


async def brief_for(
    session: LedgerSession,
    notice: SendNotice,
    *,
    customer: CustomerRow,
    to: Reachable,
    seen: Sequence[Seen],
    today: date,
    message: str,
    first_mail: bool,
) -> NoticeBrief:
    """The brief of one message about these invoices, the leading one first."""
    lines: dict[int, list[InvoiceLineRow]] = {}
    rows = await session.scalars(_LINES, {"invoices": [one.invoice.id for one in seen]})
    for row in rows:
        lines.setdefault(row.invoice_id, []).append(row)
    return NoticeBrief(
        kind=notice.kind.value,
        channel=notice.channel,
        tone=notice.tone,
        ordinal=notice.ordinal,
        today=today,
        to=Recipient(
            customer_code=customer.code,
            customer_name=customer.name,
            contact_name=to.name,
            address=to.address,
            language=to.language.value,
            postal_address=customer.postal_address,
        ),
        invoices=tuple(invoice_brief(one, lines.get(one.invoice.id, ()), today) for one in seen),
        message_id=message,
        first_mail=first_mail,
        pay_by=notice.pay_by,
        paid=await _last_paid(session, seen[0], notice) if notice.kind is NoticeKind.RECEIPT else None,
    )


def invoice_brief(seen: Seen, lines: Sequence[InvoiceLineRow], today: date) -> InvoiceBrief:
    """One invoice as its reader needs it on that day."""
    row = seen.invoice
    return InvoiceBrief(
        number=row.number,
        issued_on=row.issued_on,
        due_on=row.due_on,
        total=Money(row.total_minor, row.currency),
        balance=Money(seen.balance.outstanding, row.currency),
        lines=tuple(
            Line(
                line.description,
                line.quantity,
                Money(line.unit_price_minor, row.currency),
                Money(line.amount_minor, row.currency),
            )
            for line in lines
        ),
        purchase_order=row.purchase_order,
        early_payment=_early_payment(seen, today),
    )


def _early_payment(seen: Seen, today: date) -> EarlyPayment | None:
    row, terms = seen.invoice, Terms.parse(seen.invoice.terms)
    until = terms.discount_until(row.issued_on)
    if until is None or today > until or seen.balance.discount:
        return None
    amount = terms.discount_on(Money(seen.balance.lines - seen.balance.credited, row.currency), row.issued_on, today)
    return EarlyPayment(amount, until) if 0 < amount.minor < seen.balance.outstanding else None


async def _last_paid(session: LedgerSession, seen: Seen, notice: SendNotice) -> Money | None:
    """What came in last, as of the version of the facts that the receipt is named after."""
    _, _, version = notice.rung.partition("+")
    statement = (
        select(ReceiptRow.amount_minor, ReceiptRow.currency)
        .join(AllocationRow, AllocationRow.receipt_id == ReceiptRow.id)
        .where(AllocationRow.invoice_id == seen.invoice.id, AllocationRow.amount_minor > 0)
        .order_by(AllocationRow.facts_version.desc())
        .limit(1)
    )
    if version.isdecimal():
        statement = statement.where(AllocationRow.facts_version <= int(version))
    row = (await session.execute(statement)).one_or_none()
    return Money(row[0], row[1]) if row else None
