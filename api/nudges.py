"""Nudges after a commit: the workflow hears at once what the outbox would otherwise tell it within minutes.

A nudge that fails is not an error of the request: its row stays in the outbox, for the reconcile schedule.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import structlog
from temporalio.client import Client

from api.temporal import Temporal, WorkflowTrouble
from lunas.ledger import outbox
from lunas.ledger.database import Ledger
from lunas.ledger.news import LedgerNews
from lunas.receivables.invoice import Facts, InvoiceState
from workflows.nudging import Courier, Told

log = structlog.get_logger(__name__)

#: How many waiting nudges one request delivers; more than that is the reconcile schedule's.
_AT_ONCE = 100


class Nudges:
    """Tells workflows what was just written; None where Temporal is away and the outbox has to wait."""

    def __init__(self, ledger: Ledger, temporal: Temporal) -> None:
        self._ledger = ledger
        self._temporal = temporal
        self._courier = Courier(LedgerNews(ledger))

    async def start(self, opening: InvoiceState, facts: Facts) -> Told | None:
        """Start the workflow of an invoice that was just issued."""
        return await self._try(lambda client: self._courier.start(client, opening, facts), opening.number)

    async def tell(self, number: str) -> Told | None:
        """Tell the workflow of an invoice that the facts have changed, or start it where it should run and does not."""
        return await self._try(lambda client: self._courier.deliver(client, number), number)

    async def deliver(self, *numbers: str) -> None:
        """The same for several, for when nobody waits for what comes of it."""
        for number in numbers:
            await self.tell(number)

    async def deliver_waiting(self) -> None:
        """Deliver what waits in the outbox: after a fact about a customer, which may concern many invoices."""
        async with self._ledger.read() as session:
            waiting = await outbox.undelivered(session, limit=_AT_ONCE)
        await self.deliver(*dict.fromkeys(nudge.number for nudge in waiting))

    async def _try(self, tell: Callable[[Client], Awaitable[Told]], number: str) -> Told | None:
        try:
            return await self._temporal.reach(number, tell)
        except WorkflowTrouble as trouble:
            log.warning("nudge_waits", invoice=number, why=type(trouble).__name__)
            return None
