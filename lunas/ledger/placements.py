"""Invoices with an agency. The ledger refuses a placement that must not be, whoever asks for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import exists, select

from lunas.ledger.database import LedgerSession, WriteSession
from lunas.ledger.errors import NotFound, Refused
from lunas.ledger.facts import Seen, lock_customer_of, look_at, note_fact
from lunas.ledger.kinds import NoticeState, PlacementEnd
from lunas.ledger.release import cancel_claimed
from lunas.ledger.tables import InvoiceRow, NoticeRow, PlacementRow
from lunas.receivables.actions import NoticeKind
from lunas.receivables.invoice import AgencyWord, Facts


@dataclass(frozen=True, slots=True)
class Placed:
    """A placement: `new` says whether it was made now, or had been before."""

    placement_id: int
    new: bool
    facts: Facts


async def place(session: WriteSession, number: str, *, agency: str, approved_by: str) -> Placed:
    """Write the placement down before the agency is told; with the same agency again it is the same placement.

    Raises NotFound, or Refused for an invoice that is settled, closed, held for whatever reason, with another agency,
    or whose final demand has not been delivered for certain.
    """
    await lock_customer_of(session, number)
    seen = await look_at(session, number)
    before = await _open_placement(session, seen.invoice.id)
    if before is not None and before.agency == agency:
        return Placed(before.id, False, seen.facts)
    why_not = await _objection(session, seen, before)
    if why_not:
        raise Refused(f"invoice {number} cannot be placed with {agency}: {why_not}")
    placement = PlacementRow(
        invoice_id=seen.invoice.id,
        agency=agency,
        amount_minor=seen.balance.outstanding,
        approved_by=approved_by,
        placed_at=seen.now,
    )
    session.add(placement)
    seen.invoice.agency = AgencyWord.NOTHING
    note_fact(session, seen.invoice, seen.now, "placed", by=approved_by or "policy", detail=f"with {agency}")
    await session.flush()
    await cancel_claimed(session, seen.invoice.id)
    return Placed(placement.id, True, seen.facts)


async def _objection(session: WriteSession, seen: Seen, before: PlacementRow | None) -> str | None:
    if seen.balance.settled:
        return "nothing is open on it"
    if seen.invoice.stage.is_closed:
        return f"it is {seen.invoice.stage}"
    if seen.hold is not None:
        return f"it is on hold ({seen.hold}): lift the hold first"
    if before is not None:
        return f"{before.agency} has it: recall it first"
    delivered = exists(NoticeRow.id).where(
        NoticeRow.invoice_id == seen.invoice.id,
        NoticeRow.kind == NoticeKind.FINAL_DEMAND,
        NoticeRow.state == NoticeState.SENT,
    )
    if not await session.scalar(select(delivered)):
        return "no final demand has been delivered for certain: send one, or settle the one that is unknown"
    return None


async def agency_acknowledged(session: WriteSession, number: str, *, by: str, reference: str | None = None) -> Facts:
    """The agency has taken it on, or reports about it. Raises NotFound where no agency has it."""
    seen, placement = await _open(session, number)
    placement.confirmed_at = placement.confirmed_at or seen.now
    placement.agency_reference = reference or placement.agency_reference
    seen.invoice.agency = AgencyWord.ACKNOWLEDGED
    note_fact(session, seen.invoice, seen.now, "agency_acknowledged", by=by, detail=reference or "")
    await session.flush()
    return seen.facts


async def agency_returned(session: WriteSession, number: str, *, by: str, reason: str = "") -> Facts:
    """The agency gives it back. Raises NotFound where no agency has it."""
    return await _end(session, number, PlacementEnd.RETURNED, by=by, reason=reason)


async def recall(session: WriteSession, number: str, *, by: str, reason: str) -> Facts:
    """Take it back from the agency; harmless where none has it. Raises NotFound for an unknown invoice."""
    try:
        return await _end(session, number, PlacementEnd.RECALLED, by=by, reason=reason)
    except _NotPlaced:
        return (await look_at(session, number)).facts


async def placements_of(session: LedgerSession, number: str) -> Sequence[PlacementRow]:
    """Every placement of the invoice, oldest first."""
    rows = await session.scalars(
        select(PlacementRow)
        .join(InvoiceRow, InvoiceRow.id == PlacementRow.invoice_id)
        .where(InvoiceRow.number == number)
        .order_by(PlacementRow.id)
    )
    return rows.all()


class _NotPlaced(NotFound):
    """No agency has the invoice."""


async def _end(session: WriteSession, number: str, end: PlacementEnd, *, by: str, reason: str) -> Facts:
    seen, placement = await _open(session, number)
    placement.ended_at = seen.now
    placement.end, placement.end_reason = end, reason
    returned = end is PlacementEnd.RETURNED
    seen.invoice.agency = AgencyWord.RETURNED if returned else AgencyWord.NOTHING
    event = "agency_returned" if returned else "recalled"
    note_fact(session, seen.invoice, seen.now, event, by=by, reason=reason, detail=f"from {placement.agency}")
    await session.flush()
    return seen.facts


async def _open(session: WriteSession, number: str) -> tuple[Seen, PlacementRow]:
    await lock_customer_of(session, number)
    seen = await look_at(session, number)
    placement = await _open_placement(session, seen.invoice.id)
    if placement is None:
        raise _NotPlaced(f"no agency has invoice {number}: the word came too late, or for the wrong invoice")
    return seen, placement


async def _open_placement(session: WriteSession, invoice_id: int) -> PlacementRow | None:
    open_one: PlacementRow | None = await session.scalar(
        select(PlacementRow).where(PlacementRow.invoice_id == invoice_id, PlacementRow.ended_at.is_(None))
    )
    return open_one
