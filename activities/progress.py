"""Writing progress down: what the workflow decided, where lists, reports and the gate can see it."""

from __future__ import annotations

from temporalio import activity

from lunas.ledger.database import Ledger
from lunas.ledger.progress import record_progress, settle
from lunas.receivables.orders import Order, Report, Verdict


class ProgressActivities:
    """Records decisions that no other activity carries along."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    @activity.defn(name="record_progress")
    async def record(self, order: Order) -> Report:
        """Write it down, and wait until nothing that was committed before it can still leave."""
        async with self._ledger.write() as session:
            facts = await record_progress(session, order.invoice, order.progress)
        if order.progress.hold is not None or order.progress.closed is not None:
            await settle(self._ledger, order.invoice)
        return Report(Verdict.DONE, facts)
