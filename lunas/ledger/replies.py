"""What customers say, as facts: that they answered, and that they cannot pay in the agreed way."""

from __future__ import annotations

from sqlalchemy import select

from lunas.ledger.database import WriteSession
from lunas.ledger.facts import lock_customer_of, look_at, note_fact
from lunas.ledger.tables import JournalRow
from lunas.receivables.invoice import Facts

#: How the journal names what a customer says against a bill.
OBJECTION = "objection_explained"


async def record_answer(session: WriteSession, number: str, *, by: str, about: str = "") -> Facts:
    """The customer answered a notice about the invoice; `about` is for people. Raises NotFound."""
    await lock_customer_of(session, number)
    seen = await look_at(session, number)
    seen.invoice.answers += 1
    note_fact(session, seen.invoice, seen.now, "customer_answered", by=by, detail=about)
    await session.flush()
    return seen.facts


async def ask_for_other_way(session: WriteSession, number: str, *, by: str, about: str = "") -> Facts:
    """The customer asks for another way to pay; asking again changes nothing. Raises NotFound."""
    await lock_customer_of(session, number)
    seen = await look_at(session, number)
    if not seen.invoice.other_way:
        seen.invoice.other_way = True
        note_fact(session, seen.invoice, seen.now, "other_way_asked_for", by=by, detail=about)
        await session.flush()
    return seen.facts


async def record_objection(session: WriteSession, number: str, words: str, *, by: str, about: str) -> None:
    """Keep what the customer says against the bill, in their own words; `about` says against what of it.

    They stand in the journal alone: a dispute's own reason travels through the workflow's history, where nothing
    personal belongs. The same words said again are written once. Raises NotFound.
    """
    await lock_customer_of(session, number)
    seen = await look_at(session, number)
    last = await session.scalar(
        select(JournalRow)
        .where(JournalRow.invoice_id == seen.invoice.id, JournalRow.event == OBJECTION)
        .order_by(JournalRow.id.desc())
        .limit(1)
    )
    if last is None or (last.reason, last.detail) != (words, about):
        note_fact(session, seen.invoice, seen.now, OBJECTION, by=by, reason=words, detail=about)
        await session.flush()
