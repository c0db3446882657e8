"""What the ledger has to tell an invoice's workflow, and where it notes that it was told."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from lunas.ledger.database import Ledger
from lunas.ledger.facts import facts
from lunas.ledger.invoices import opening_state
from lunas.ledger.offers import needs_other_offers
from lunas.ledger.outbox import told
from lunas.receivables.invoice import Facts, InvoiceState


class LedgerNews:
    """The ledger as whoever nudges workflows needs it; each call is a transaction of its own."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._to_mark: dict[str, int] = {}
        self._marking = asyncio.Lock()

    async def facts_of(self, number: str) -> Facts:
        """The facts as they are now; raises NotFound."""
        async with self._ledger.read() as session:
            return await facts(session, number)

    async def state_of(self, number: str) -> InvoiceState:
        """The state that a workflow would start from; raises NotFound."""
        async with self._ledger.read() as session:
            return await opening_state(session, number)

    async def needs_other_offers(self, number: str) -> bool:
        """Whether the ways to pay that were made for the invoice do not fit its balance any more."""
        async with self._ledger.read() as session:
            return await needs_other_offers(session, number)

    async def mark(self, number: str, version: int) -> None:
        """The workflow has been told the facts of this version.

        What is told while one transaction is under way shares the next. If that fails, the one who began it raises, and
        the others are told once more by the reconcile schedule.
        """
        self._to_mark[number] = max(version, self._to_mark.get(number, 0))
        async with self._marking:
            versions, self._to_mark = self._to_mark, {}
            if versions:
                async with self._ledger.write() as session:
                    await told(session, versions)

    def now(self) -> datetime:
        """The wall clock."""
        return datetime.now(UTC)
