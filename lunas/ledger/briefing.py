"""Briefs for the writers of messages: made from the rows that the claim has just seen, under the same lock."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from datetime import date, timedelta

from sqlalchemy import bindparam, select

from lunas.briefs import EarlyPayment, InvoiceBrief, Line, NoticeBrief, PaymentWay, Promised, Recipient
from lunas.ledger.customers import Reachable
from lunas.ledger.database import LedgerSession
from lunas.ledger.facts import Seen
from lunas.ledger.holds import promise_for
from lunas.ledger.offers import usable_offers
from lunas.ledger.tables import AllocationRow, CustomerRow, InvoiceLineRow, ReceiptRow
from lunas.links import PayLink, mark_of
from lunas.receivables.actions import NoticeKind, SendNotice
from lunas.receivables.calendar import zone
from lunas.receivables.invoice import Instalment
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
        promised=await _promised(session, seen[0], notice),
        ways=(
            await ways_to_pay(session, seen[0].invoice.number, customer.time_zone)
            if notice.kind is NoticeKind.OFFER_ALTERNATE_PAYMENT
            else ()
        ),
        link=PayLink(seen[0].invoice.number, seen[0].link_epoch, mark_of(to.address)),
    )


async def ways_to_pay(session: LedgerSession, number: str, time_zone: str) -> tuple[PaymentWay, ...]:
    """What was made ready for exactly what is open now, oldest first; dates are the time zone's. Raises NotFound."""
    local, moment = zone(time_zone), timedelta(microseconds=1)
    return tuple(
        PaymentWay(
            offer.method,
            tuple((str(label), str(value)) for label, value in offer.instructions.items()),
            offer.url,
            (offer.expires_at - moment).astimezone(local).date() if offer.expires_at else None,
            offer.qr,
            offer.amount_minor,
        )
        for offer in await usable_offers(session, number)
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


async def _promised(session: LedgerSession, seen: Seen, notice: SendNotice) -> tuple[Promised, ...]:
    """The instalments that were promised, or the part; nothing where the promise is about all that is open."""
    if notice.kind is not NoticeKind.PROMISE_CONFIRMED or notice.pay_by is None:
        return ()
    promise = await promise_for(session, seen.invoice.id, notice.pay_by)
    if promise is None or not promise.amount_minor or promise.amount_minor >= seen.balance.outstanding:
        return ()
    parts = (Instalment(notice.pay_by, promise.amount_minor), *promise.instalments)
    return tuple(Promised(one.pay_by, Money(one.amount_minor, seen.invoice.currency)) for one in parts)


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
