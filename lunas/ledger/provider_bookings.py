"""Booking what a provider delivered: as a receipt or a reversal, in one transaction with what became of the delivery.

Everything here may be repeated, in any order and at once: a payment is one receipt, whichever events tell of it, and a
reversal that comes before its payment is booked with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select

from lunas.ledger.database import LedgerSession, WriteSession
from lunas.ledger.errors import NotFound, ReceiptConflict, Refused
from lunas.ledger.facts import lock_number
from lunas.ledger.kinds import BookingState
from lunas.ledger.offers import BANK_TRANSFER
from lunas.ledger.provider_events import kept_event, write_down
from lunas.ledger.receipts import NewReceipt, record_receipt
from lunas.ledger.reversals import NewReversal, record_reversal
from lunas.ledger.tables import AllocationRow, InvoiceRow, OfferRow, ProviderReadingRow, ReceiptRow
from lunas.providers.events import EventKind, ProviderEvent
from lunas.receivables.money import Money


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a delivery: `invoices` are those whose balance it is about, `why` what a person should know.

    `again`: it may be booked when it is tried again; what waits for another event is not tried by itself.
    """

    state: BookingState
    invoices: tuple[str, ...] = ()
    why: str | None = None
    again: bool = False


async def book_event(session: WriteSession, event_id: int, confirmed: ProviderEvent | None = None) -> Outcome:
    """Book a kept delivery, or say what became of it before. `confirmed` is what the provider itself says, where asked.

    Its outcome may be that it waits (a reversal without its payment) or is refused (it contradicts what is booked);
    neither raises.
    """
    said = confirmed or (await kept_event(session, event_id)).said
    if said.reference is not None:
        # Whatever tells of one payment is booked one after the other: so a reversal and its payment see each other.
        await lock_number(session, f"{said.provider} payment {said.reference}")
    row = await session.get_one(ProviderReadingRow, event_id, populate_existing=True)
    if row.state is not BookingState.WAITING:
        return Outcome(row.state, await invoices_of(session, row.provider, row.reference), row.why)
    if confirmed is not None:
        write_down(row, confirmed)
        row.confirmed = True
    if not row.confirmed:
        return await put_off(session, event_id, "the provider is to be asked first")
    why = await _book(session, row, said)
    invoices = await invoices_of(session, row.provider, row.reference)
    return Outcome(row.state, invoices, why)


async def put_off(session: WriteSession, event_id: int, why: str, *, for_good: bool = False) -> Outcome:
    """Nothing could be booked now, or never will be (`for_good`): note why, unless another attempt has booked it."""
    row = await session.get_one(ProviderReadingRow, event_id, populate_existing=True, with_for_update=True)
    if row.state is BookingState.WAITING:
        row.state, row.why = BookingState.REFUSED if for_good else BookingState.WAITING, why
        row.tried_at = await session.now()
        await session.flush()
    waits = row.state is BookingState.WAITING
    return Outcome(row.state, await invoices_of(session, row.provider, row.reference), row.why, again=waits)


async def invoices_of(session: LedgerSession, provider: str, reference: str | None) -> tuple[str, ...]:
    """The invoices that a payment was matched to, now or at any time."""
    if reference is None:
        return ()
    numbers = await session.scalars(
        select(InvoiceRow.number)
        .join(AllocationRow, AllocationRow.invoice_id == InvoiceRow.id)
        .join(ReceiptRow, ReceiptRow.id == AllocationRow.receipt_id)
        .where(ReceiptRow.provider == provider, ReceiptRow.reference == reference)
        .distinct()
        .order_by(InvoiceRow.number)
    )
    return tuple(numbers.all())


async def invoice_of_instruments(session: LedgerSession, names: Sequence[str]) -> str | None:
    """The invoice that a payment on a way to pay is for, void and old ones included; None where none, or not one, fits.

    A name is our reference of the offer or the provider's id of it; the first that we know decides.
    """
    for column in (OfferRow.reference, OfferRow.provider_id):
        rows = await session.execute(
            select(column, InvoiceRow.number)
            .join(InvoiceRow, InvoiceRow.id == OfferRow.invoice_id)
            .where(column.in_(names), OfferRow.method != BANK_TRANSFER)
        )
        found: dict[str | None, set[str]] = {}
        for name, number in rows.all():
            found.setdefault(name, set()).add(number)
        for name in names:
            if name in found:
                return found[name].pop() if len(found[name]) == 1 else None
    return None


async def _book(session: WriteSession, row: ProviderReadingRow, said: ProviderEvent) -> str | None:
    """Book what the row says, and settle it; returns why it is not booked, None where it is."""
    row.tried_at = await session.now()
    state, why = await (_receipt(session, row.event_id, said) if said.kind is EventKind.PAID else _back(session, said))
    row.state, row.why = state, why
    if state is BookingState.BOOKED:
        row.booked_at = row.tried_at
    await session.flush()
    if state is BookingState.BOOKED and said.kind is EventKind.PAID:
        await _book_what_waited(session, row)
    return why


async def _receipt(session: WriteSession, event_id: int, said: ProviderEvent) -> tuple[BookingState, str | None]:
    assert said.reference is not None and said.amount is not None and said.on is not None
    before = await _booked_amount(session, said)
    if before is None:
        receipt = NewReceipt(
            provider=said.provider,
            reference=said.reference,
            amount=said.amount,
            paid_on=said.on,
            by=f"webhook of {said.provider}",
            invoice=await invoice_of_instruments(session, said.instruments) or said.invoice,
            event_id=event_id,
        )
        try:
            await record_receipt(session, receipt)
        except ReceiptConflict:  # somebody booked it by hand at this moment
            before = await _booked_amount(session, said)
    if before is not None and before != said.amount:
        why = f"{before} is booked of payment {said.reference!r}, and this says {said.amount}"
        return BookingState.REFUSED, f"{why}: compare both with the provider's own list, and correct what is wrong"
    return BookingState.BOOKED, None


async def _back(session: WriteSession, said: ProviderEvent) -> tuple[BookingState, str | None]:
    assert said.reference is not None and said.reversal is not None and said.on is not None
    reversal = NewReversal(
        provider=said.provider,
        reference=said.reversal,
        receipt=said.reference,
        reversed_on=said.on,
        reason=said.reason or "reversed by the provider",
        by=f"webhook of {said.provider}",
        amount=said.amount,
    )
    try:
        await record_reversal(session, reversal)
    except NotFound:
        return BookingState.WAITING, f"payment {said.reference!r}, which it takes back, has not come yet"
    except (Refused, ReceiptConflict) as no:
        return BookingState.REFUSED, str(no)
    return BookingState.BOOKED, None


async def _book_what_waited(session: WriteSession, paid: ProviderReadingRow) -> None:
    """The reversals that came before this payment, in the order in which they came."""
    rows = await session.scalars(
        select(ProviderReadingRow)
        .where(
            ProviderReadingRow.provider == paid.provider,
            ProviderReadingRow.reference == paid.reference,
            ProviderReadingRow.kind == EventKind.REVERSED,
            ProviderReadingRow.state == BookingState.WAITING,
            ProviderReadingRow.confirmed,
        )
        .order_by(ProviderReadingRow.event_id)
    )
    for row in rows.all():
        await _book(session, row, (await kept_event(session, row.event_id)).said)


async def _booked_amount(session: LedgerSession, said: ProviderEvent) -> Money | None:
    found = (
        await session.execute(
            select(ReceiptRow.amount_minor, ReceiptRow.currency).where(
                ReceiptRow.provider == said.provider, ReceiptRow.reference == said.reference
            )
        )
    ).one_or_none()
    return Money(found.amount_minor, found.currency) if found else None
