"""Telling the owner of the receivable that something waits for a person."""

from __future__ import annotations

from temporalio import activity

from activities.agencies import Letter, Mailer
from lunas.ledger.database import Ledger
from lunas.ledger.endpoints import endpoints
from lunas.ledger.progress import record_progress
from lunas.receivables.orders import Order, Report, Verdict
from lunas.webhooks import Silenced


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

    @activity.defn(name="tell_owner_of_webhook")
    async def tell_of_webhook(self, silenced: Silenced) -> None:
        """Say that an API client is told nothing any more, and how it is told again."""
        async with self._ledger.read() as session:
            found = next((one for one in await endpoints(session) if one.id == silenced.endpoint), None)
        if found is None or found.active:  # a person was quicker
            return
        words = (
            f"Lunas has stopped telling {found.url} of events: {found.disabled_why}.\n\n"
            "What arises for it meanwhile is kept. Once the receiver works again, activate it:\n"
            f"  lunas webhooks change {found.id} --active\n\n"
            "and have what was given up sent again:\n"
            f"  lunas webhooks replay {found.id} --since {found.created_at:%Y-%m-%d}\n\n"
            f"How each delivery stands:  lunas webhooks deliveries {found.id}\n"
        )
        subject = f"Lunas: webhook endpoint {found.id} is disabled"
        await self._mailer.send(Letter(self._address, "Collections", subject, words), f"owner/{silenced.key}")
