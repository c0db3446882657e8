"""Making other ways to pay ready, so that the offer's notice and the customer's page can name them."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

from temporalio import activity

from activities.clock import business_now
from activities.payment_providers import NothingToPay, Offer, PaymentOfferProvider
from lunas.ledger.database import Ledger
from lunas.ledger.offers import NewOffer, record_offer
from lunas.ledger.progress import record_progress
from lunas.ledger.statements import account_of
from lunas.links import Links, Purpose
from lunas.receivables.orders import Order, Report, Verdict


class PaymentOffers:
    """Asks one provider for a way to pay what is open now."""

    def __init__(self, ledger: Ledger, provider: PaymentOfferProvider, links: Links) -> None:
        self._ledger = ledger
        self._provider = provider
        self._links = links

    @activity.defn(name="prepare_offer")
    async def prepare(self, order: Order) -> Report:
        """Make the offer once per balance; an invoice that was settled meanwhile needs none."""
        today = business_now(order.at).date()
        async with self._ledger.write() as session:
            facts = await record_progress(session, order.invoice, order.progress)
        async with self._ledger.read() as session:
            account = await account_of(session, order.invoice, today)
        try:
            offer = await self._provider.prepare(
                account.invoice,
                f"{order.invoice}/{order.subject}",
                language=account.to.language,
                pay_url=self._links.url(Purpose.PAY, order.invoice, today),
            )
        except NothingToPay as nothing:
            return Report(Verdict.DONE, facts, reason=str(nothing))
        async with self._ledger.write() as session:
            await record_offer(session, _new(order.invoice, offer))
        return Report(Verdict.DONE, facts)


def _new(number: str, offer: Offer) -> NewOffer:
    expires_at = None
    if offer.expires_on is not None:
        expires_at = datetime.combine(offer.expires_on + timedelta(days=1), time(0), UTC)
    return NewOffer(
        number, offer.method, offer.reference, offer.amount, dict(offer.instructions), offer.url, expires_at
    )
