"""Interest and fees on top of the lines: claimed, which makes them owed, or waived, which is written down as well."""

from __future__ import annotations

from datetime import date
from typing import TypeVar

from sqlalchemy import select

from lunas.ledger.database import WriteSession
from lunas.ledger.errors import Conflict, Refused
from lunas.ledger.facts import Seen, lock_customer_of, look_at, note_fact
from lunas.ledger.kinds import ChargeKind
from lunas.ledger.matching import apply_waiting
from lunas.ledger.tables import ChargeRow, WaiverRow
from lunas.receivables.invoice import Facts, Stage
from lunas.receivables.money import Money

_Row = TypeVar("_Row", ChargeRow, WaiverRow)

#: What was given up, or should never have been, is charged no more.
_GIVEN_UP = (Stage.WRITTEN_OFF, Stage.CANCELLED)


async def record_charge(
    session: WriteSession,
    number: str,
    *,
    reference: str,
    kind: ChargeKind,
    amount: Money,
    charged_on: date,
    by: str,
    reason: str = "",
) -> tuple[Facts, bool]:
    """Claim interest or a fee on an invoice once per reference; answers with the facts, and whether it is new.

    What is unapplied of the invoice's own receipts pays it at once. Raises NotFound, Conflict for a reference that
    stands for something else or was waived, Refused for another currency or an invoice that was given up.
    """
    await lock_customer_of(session, number)
    seen = await look_at(session, number)
    if await _is_booked(session, seen, ChargeRow, reference, kind, amount):
        return seen.facts, False
    if await _under(session, seen, WaiverRow, reference) is not None:
        raise Conflict(f"{reference!r} was waived on invoice {number}: what was given up is not claimed")
    _check(seen, amount, "charge")
    await book_charge(
        session, seen, reference=reference, kind=kind, amount=amount, charged_on=charged_on, by=by, reason=reason
    )
    charged = await look_at(session, number)
    if await apply_waiting(session, charged):
        charged = await look_at(session, number)
    return charged.facts, True


async def record_waiver(
    session: WriteSession,
    number: str,
    *,
    reference: str,
    kind: ChargeKind,
    amount: Money,
    waived_on: date,
    by: str,
    reason: str,
) -> tuple[Facts, bool]:
    """Give up interest or a fee that was not claimed; answers with the facts, and whether it is new.

    It was never owed, so the balance does not change. Raises as `record_charge` does; what was claimed already is taken
    back with a credit note.
    """
    await lock_customer_of(session, number)
    seen = await look_at(session, number)
    if await _is_booked(session, seen, WaiverRow, reference, kind, amount):
        return seen.facts, False
    if await _under(session, seen, ChargeRow, reference) is not None:
        raise Conflict(f"{reference!r} is claimed on invoice {number} already: take it back with a credit note")
    _check(seen, amount, "waiver")
    await book_waiver(
        session, seen, reference=reference, kind=kind, amount=amount, waived_on=waived_on, by=by, reason=reason
    )
    return (await look_at(session, number)).facts, True


async def book_charge(
    session: WriteSession,
    seen: Seen,
    *,
    reference: str,
    kind: ChargeKind,
    amount: Money,
    charged_on: date,
    by: str,
    reason: str = "",
) -> None:
    """The row and its journal line, for a caller that has the lock and has checked."""
    detail = f"{reference}: {amount}"
    note_fact(session, seen.invoice, seen.now, f"{kind}_charged", by=by, reason=reason, detail=detail)
    session.add(
        ChargeRow(
            invoice_id=seen.invoice.id,
            reference=reference,
            kind=kind,
            amount_minor=amount.minor,
            charged_on=charged_on,
            by=by,
            at=seen.now,
        )
    )
    await session.flush()


async def book_waiver(
    session: WriteSession,
    seen: Seen,
    *,
    reference: str,
    kind: ChargeKind,
    amount: Money,
    waived_on: date,
    by: str,
    reason: str,
) -> None:
    """The row and its journal line, for a caller that has the lock and has checked."""
    detail = f"{reference}: {amount}"
    note_fact(session, seen.invoice, seen.now, f"{kind}_waived", by=by, reason=reason, detail=detail)
    session.add(
        WaiverRow(
            invoice_id=seen.invoice.id,
            reference=reference,
            kind=kind,
            amount_minor=amount.minor,
            waived_on=waived_on,
            reason=reason,
            by=by,
            at=seen.now,
        )
    )
    await session.flush()


async def charge_under(session: WriteSession, seen: Seen, reference: str) -> ChargeRow | WaiverRow | None:
    """What was charged or waived under the reference, if anything."""
    return await _under(session, seen, ChargeRow, reference) or await _under(session, seen, WaiverRow, reference)


def _check(seen: Seen, amount: Money, what: str) -> None:
    if amount.currency is not seen.invoice.currency or amount.minor <= 0:
        raise Refused(f"a {what} of {amount} on an invoice in {seen.invoice.currency} cannot be")
    if seen.invoice.stage in _GIVEN_UP:
        raise Refused(f"invoice {seen.invoice.number} is {seen.invoice.stage}: nothing is charged or waived on it")


async def _is_booked(
    session: WriteSession, seen: Seen, table: type[_Row], reference: str, kind: ChargeKind, amount: Money
) -> bool:
    """Whether the same is booked already; raises Conflict where the reference stands for something else."""
    before = await _under(session, seen, table, reference)
    if before is None:
        return False
    if (before.kind, before.amount_minor) != (kind, amount.minor):
        what = "charge" if table is ChargeRow else "waiver"
        raise Conflict(f"{what} {reference!r} on invoice {seen.invoice.number} exists already and says something else")
    return True


async def _under(session: WriteSession, seen: Seen, table: type[_Row], reference: str) -> _Row | None:
    row: _Row | None = await session.scalar(
        select(table).where(table.invoice_id == seen.invoice.id, table.reference == reference)
    )
    return row
