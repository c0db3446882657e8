"""Telling the owner of the receivable that something waits for a person."""

from __future__ import annotations

from temporalio import activity

from activities.agencies import Letter, Mailer
from lunas.ledger.database import Ledger
from lunas.ledger.progress import record_progress
from lunas.receivables.orders import Order, Report, Verdict


class OwnerActivities:
    """Mails the desk at `address`."""

    def __init__(self, ledger: Ledger, mailer: Mailer, address: str) -> None:
        self._ledger = ledger
        self._mailer = mailer
        self._address = address

    @activity.defn(name="tell_owner")
    async def tell(self, order: Order) -> Report:
        """Say what waits, and how to decide it."""
        async with self._ledger.write() as session:
            facts = await record_progress(session, order.invoice, order.progress)
        words = (
            f"{order.subject}\n\n"
            f"Where it stands:  lunas status {order.invoice}\n"
            f"What happened:    lunas journal {order.invoice}\n"
            f"Why, or why not:  lunas why {order.invoice}\n"
        )
        letter = Letter(self._address, "Collections", f"Lunas: {order.subject}", words)
        await self._mailer.send(letter, f"owner/{order.key}")
        return Report(Verdict.DONE, facts)
