"""What customers say, as facts: that they answered, and that they cannot pay in the agreed way."""

from __future__ import annotations

from lunas.ledger.database import WriteSession
from lunas.ledger.facts import lock_customer_of, look_at, note_fact
from lunas.receivables.invoice import Facts


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
