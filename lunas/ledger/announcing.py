"""Announcing: facts and decisions become events for API clients, in the transaction that writes them down.

Each event arises in one place and once: a fact is booked once, a decision is new once. Where no endpoint subscribes to
the type nothing is written; to know that costs one small statement a transaction, and none where nothing happened that
has a type. Events hold ids, amounts in minor units and stages, never personal data beyond the customer's code.

`invoice.paid` and `invoice.partially_paid` follow the money, and so come at once, even with every worker down;
promises, disputes, placements and the end follow the workflow's decisions. `invoice.closed` comes at every end, also of
a paid one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import select

from lunas.ledger.database import WriteSession
from lunas.ledger.facts import Seen
from lunas.ledger.tables import CustomerRow, DeliveryRow, EndpointRow, InvoiceRow, OutgoingEventRow
from lunas.receivables.invoice import Entry, Hold, HoldKind, Stage
from lunas.receivables.money import Money
from lunas.webhooks import EventType, new_event_id

_SUBSCRIPTIONS = select(EndpointRow.id, EndpointRow.active, EndpointRow.events).where(EndpointRow.removed_at.is_(None))
_HOLDS = {HoldKind.PROMISE: EventType.INVOICE_PROMISED, HoldKind.DISPUTE: EventType.INVOICE_DISPUTED}
_SET_BY = {HoldKind.PROMISE: ("promise_made", "instalments_agreed"), HoldKind.DISPUTE: ("dispute_raised",)}


async def announce_issued(session: WriteSession, seen: Seen, customer: str) -> None:
    """The invoice was written down."""
    if endpoints := await _subscribers(session, EventType.INVOICE_ISSUED):
        row = seen.invoice
        data = {**_of_invoice(row, customer, seen.balance.outstanding), "issued_on": row.issued_on.isoformat()}
        await _write(session, endpoints, EventType.INVOICE_ISSUED, seen.now, data, row.id)


async def announce_paid(session: WriteSession, seen: Seen, paid_minor: int, outstanding_minor: int) -> None:
    """Money was matched to the invoice: `paid_minor` now, which leaves `outstanding_minor` open."""
    kind = EventType.INVOICE_PARTIALLY_PAID if outstanding_minor > 0 else EventType.INVOICE_PAID
    if endpoints := await _subscribers(session, kind):
        data = await _about(session, seen.invoice, outstanding_minor)
        await _write(session, endpoints, kind, seen.now, {**data, "paid_minor": paid_minor}, seen.invoice.id)


async def announce_received(
    session: WriteSession,
    receipt_id: int,
    provider: str,
    reference: str,
    amount: Money,
    paid_on: date,
    seen: Seen | None,
) -> None:
    """Money came in; `seen` is the invoice that its payer named, if there is one.

    `payment.received` stands before the `invoice.paid` that it leads to. What of it was matched, that one says.
    """
    if endpoints := await _subscribers(session, EventType.PAYMENT_RECEIVED):
        row = seen.invoice if seen else None
        data = {
            "receipt_id": receipt_id,
            "provider": provider,
            "reference": reference,
            "amount_minor": amount.minor,
            "currency": amount.currency.value,
            "paid_on": paid_on.isoformat(),
            "invoice": row.number if row else None,
            "customer": await _customer_of(session, row) if row else None,
        }
        at = seen.now if seen else await session.now()
        await _write(session, endpoints, EventType.PAYMENT_RECEIVED, at, data, row.id if row else None)


async def announce_reversed(
    session: WriteSession,
    reversal_id: int,
    provider: str,
    reference: str,
    receipt: str,
    amount: Money,
    reversed_on: date,
    parts: Sequence[tuple[int, int]],
) -> None:
    """Money went back; `parts` are the ids of the invoices that it is taken from, each with how much."""
    if endpoints := await _subscribers(session, EventType.PAYMENT_REVERSED):
        rows = await session.execute(
            select(InvoiceRow.id, InvoiceRow.number).where(InvoiceRow.id.in_([invoice_id for invoice_id, _ in parts]))
        )
        numbers = {row.id: row.number for row in rows}
        data = {
            "reversal_id": reversal_id,
            "provider": provider,
            "reference": reference,
            "receipt": receipt,
            "amount_minor": amount.minor,
            "currency": amount.currency.value,
            "reversed_on": reversed_on.isoformat(),
            "invoices": [{"invoice": numbers[id_], "amount_minor": minor} for id_, minor in parts],
        }
        one = parts[0][0] if len(parts) == 1 else None
        await _write(session, endpoints, EventType.PAYMENT_REVERSED, await session.now(), data, one)


async def announce_decisions(session: WriteSession, seen: Seen, entries: Sequence[Entry], hold: Hold | None) -> None:
    """The workflow's new decisions; `hold` is what holds the invoice after the last of them."""
    for entry in entries:
        for kind in _types_of(entry):
            if endpoints := await _subscribers(session, kind):
                data = await _about(session, seen.invoice, seen.balance.outstanding)
                data = {**data, "stage": entry.becomes.value, **_of_hold(kind, hold)}
                await _write(session, endpoints, kind, seen.now, data, seen.invoice.id)


def _types_of(entry: Entry) -> list[EventType]:
    found = []
    for held, kind in _HOLDS.items():
        # A hold of the same kind that only lasts longer is no news; one that was asked for anew is.
        if entry.held is held and (entry.was_held is not held or entry.event in _SET_BY[held]):
            found.append(kind)
    if entry.becomes is Stage.AGENCY and entry.was is not Stage.AGENCY:
        found.append(EventType.INVOICE_PLACED)
    if entry.becomes.is_closed and not entry.was.is_closed:
        found.append(EventType.INVOICE_CLOSED)
    return found


def _of_hold(kind: EventType, hold: Hold | None) -> Mapping[str, Any]:
    """What was promised or disputed; nothing given: all that is open."""
    if hold is None or _HOLDS.get(hold.kind) is not kind:
        return {}
    said: dict[str, Any] = {"amount_minor": hold.amount_minor, "until": hold.until.isoformat()}
    if kind is EventType.INVOICE_PROMISED:
        said["promised_for"] = hold.promised_for.isoformat() if hold.promised_for else None
    return said


async def _subscribers(session: WriteSession, kind: EventType) -> list[tuple[int, bool]]:
    """Id of every endpoint that subscribes to the type, and whether it is active; read once a transaction."""
    if session.subscriptions is None:
        rows = await session.execute(_SUBSCRIPTIONS)
        session.subscriptions = [(id_, active, frozenset(events)) for id_, active, events in rows]
    return [(id_, active) for id_, active, events in session.subscriptions if kind in events]


async def _about(session: WriteSession, row: InvoiceRow, outstanding_minor: int) -> dict[str, Any]:
    return _of_invoice(row, await _customer_of(session, row), outstanding_minor)


def _of_invoice(row: InvoiceRow, customer: str, outstanding_minor: int) -> dict[str, Any]:
    return {
        "invoice": row.number,
        "customer": customer,
        "currency": row.currency.value,
        "total_minor": row.total_minor,
        "outstanding_minor": outstanding_minor,
        "stage": row.stage.value,
        "due_on": row.due_on.isoformat(),
    }


async def _customer_of(session: WriteSession, row: InvoiceRow) -> str:
    code: str = (await session.scalars(select(CustomerRow.code).where(CustomerRow.id == row.customer_id))).one()
    return code


async def _write(
    session: WriteSession,
    endpoints: Sequence[tuple[int, bool]],
    kind: EventType,
    at: datetime,
    data: Mapping[str, Any],
    invoice_id: int | None,
) -> None:
    await write_event(session, endpoints, kind.value, at, data, invoice_id)


async def write_event(
    session: WriteSession,
    endpoints: Sequence[tuple[int, bool]],
    kind: str,
    at: datetime,
    data: Mapping[str, Any],
    invoice_id: int | None = None,
) -> tuple[OutgoingEventRow, list[DeliveryRow]]:
    """Write an event down with a delivery to each endpoint; once committed, those that are active are woken."""
    event = OutgoingEventRow(event_id=new_event_id(), type=kind, invoice_id=invoice_id, at=at, payload=dict(data))
    session.add(event)
    await session.flush()
    deliveries = [DeliveryRow(endpoint_id=id_, outgoing_event_id=event.id, created_at=at) for id_, _ in endpoints]
    session.add_all(deliveries)
    await session.flush()
    session.announced.update(id_ for id_, active in endpoints if active)
    return event, deliveries
