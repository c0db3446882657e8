"""Making other ways to pay ready, so that the offer's notice and the customer's page can name them.

They follow the balance: whenever it changes, by a part payment, a fee or a discount that lapsed, and when their time is
over, the old ones are voided at their providers and new ones are made.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta

import structlog
from temporalio import activity

from activities.clock import business_now
from activities.payment_providers import (
    NothingToPay,
    Offer,
    OfferError,
    OfferLost,
    OfferNotReady,
    OfferRefused,
    PaymentOfferProvider,
)
from lunas.ledger.database import Ledger, WriteSession
from lunas.ledger.offers import (
    are_wanted,
    begin_offer,
    is_to_be_offered,
    offer_is_ready,
    offer_was_refused,
    outdated_offers,
    void_offer,
)
from lunas.ledger.progress import record_progress
from lunas.ledger.statements import Account, account_of
from lunas.ledger.tables import OfferRow
from lunas.ledger.unique_amounts import forgive_difference, reserve_amount
from lunas.links import Links, Purpose
from lunas.providers.asking import ProviderError, Refused, Silent, Unreachable
from lunas.receivables.calendar import zone
from lunas.receivables.money import Money
from lunas.receivables.orders import Order, Report, Verdict

log = structlog.get_logger(__name__)

#: For how many days a way to pay is made, where its provider lets it end; then another is made.
VALID_DAYS = 14


class PaymentOffers:
    """Asks each provider for a way to pay what is open now.

    One provider that cannot be reached holds up neither the others nor the notice: what is missing is made later. Only
    where nothing at all could be made is the order tried again.
    """

    def __init__(
        self,
        ledger: Ledger,
        providers: PaymentOfferProvider | Sequence[PaymentOfferProvider],
        links: Links,
        valid_days: int = VALID_DAYS,
    ) -> None:
        chosen = list(providers) if isinstance(providers, Sequence) else [providers]
        self._ledger = ledger
        self._providers = {provider.maker: provider for provider in chosen}
        self._links = links
        self._valid_days = valid_days

    @activity.defn(name="prepare_offer")
    async def prepare(self, order: Order) -> Report:
        """Make the offers once per balance; an invoice that was settled meanwhile needs none."""
        today = business_now(order.at).date()
        async with self._ledger.write() as session:
            facts = await record_progress(session, order.invoice, order.progress)
        try:
            failures = await self._make_all(order.invoice, today)
        except NothingToPay as nothing:
            return Report(Verdict.DONE, facts, reason=str(nothing))
        lasting = [each for each in failures if not isinstance(each, Refused | OfferRefused)]
        if lasting and len(failures) == len(self._providers):
            raise lasting[0]
        return Report(Verdict.DONE, facts)

    @activity.defn(name="follow_offers")
    async def follow(self, number: str) -> None:
        """Void what does not fit the balance any more, and make anew what was offered once, or what was asked for.

        Done twice it does nothing the second time. What fails at a provider is raised at the end, to be tried again.
        """
        today = datetime.now(UTC).date()
        async with self._ledger.write() as session:  # before the offer, and with it its amount, is void
            await forgive_difference(session, number, on=today, by="lunas")
        failures = await self._void_outdated(number)
        async with self._ledger.read() as session:
            wanted = await are_wanted(session, number) and await is_to_be_offered(session, number)
        if wanted:
            failures += await self._make_all(number, today)
        passing = [each for each in failures if isinstance(each, Unreachable | Silent)]
        if passing:
            raise passing[0]

    async def _make_all(self, number: str, today: date) -> list[Exception]:
        """One offer of each provider; the answer says what failed. Raises NothingToPay."""
        async with self._ledger.read() as session:
            account = await account_of(session, number, today)
        if account.invoice.balance.minor <= 0:
            raise NothingToPay(f"nothing is open on invoice {number}: there is nothing to offer")
        failures: list[Exception] = []
        for provider in self._providers.values():
            try:
                await self._make(provider, account, today)
            except (ProviderError, OfferError) as error:
                log.warning("offer_failed", invoice=number, maker=provider.maker, why=str(error))
                failures.append(error)
        return failures

    async def _make(self, provider: PaymentOfferProvider, account: Account, today: date) -> None:
        number, (amount, until, lapses_at) = account.invoice.number, self._due(account)
        for is_last in (False, True):
            async with self._ledger.write() as session:
                row = await begin_offer(
                    session, number, maker=provider.maker, method=provider.method, amount=amount, expires_at=until
                )
                if row.ready_at is not None:
                    return
                if row.failure is not None:
                    raise OfferRefused(f"{provider.maker} said no before: {row.failure}")
                asked = Money(row.amount_minor, amount.currency)
                if provider.spread and lapses_at is None:  # a discount is earned by its amount, to the last unit
                    asked = await reserve_amount(session, row.id, provider.spread)
            try:
                offer = await provider.prepare(
                    account.invoice,
                    row.reference,
                    language=account.to.language,
                    pay_url=self._links.url(Purpose.PAY, account.link.subject, today),
                    amount=asked,
                    until=row.expires_at.astimezone(zone(account.time_zone)) if row.expires_at else until,
                )
            except OfferLost:
                await provider.void(row.reference, row.reference)
                async with self._ledger.write() as session:
                    await void_offer(session, row.id)
                if is_last:
                    raise
                continue
            except Refused as refused:
                async with self._ledger.write() as session:
                    await offer_was_refused(session, row.id, refused.code)
                raise
            except OfferNotReady:
                async with self._ledger.write() as session:
                    await void_offer(session, row.id)
                raise
            async with self._ledger.write() as session:
                still_wanted = await _keep(session, row, offer, account.time_zone, lapses_at)
            if not still_wanted:
                await provider.void(offer.reference, row.reference)
            return

    def _due(self, account: Account) -> tuple[Money, datetime, datetime | None]:
        """What settles the invoice now, until when an instrument over it is wanted, and when that amount lapses.

        While an early-payment discount can be earned, the amount is less, and lapses when the last day for it is over.
        """
        local = zone(account.time_zone)
        today = datetime.now(local).date()

        def end_of(day: date) -> datetime:
            return datetime.combine(day + timedelta(days=1), time(0), local)

        until, early = end_of(today + timedelta(days=self._valid_days)), account.invoice.early_payment
        if early is None:
            return account.invoice.balance, until, None
        lapses_at = end_of(max(early.until, today))
        return account.invoice.balance - early.amount, min(until, lapses_at), lapses_at

    async def _void_outdated(self, number: str) -> list[Exception]:
        async with self._ledger.read() as session:
            outdated, now = await outdated_offers(session, number), await session.now()
        failures: list[Exception] = []
        for row in outdated:
            try:
                if row.failure is None:  # one that was refused was never made
                    await self._void(number, row, now)
            except (ProviderError, OfferError) as error:
                log.warning("offer_not_voided", invoice=number, maker=row.maker, why=str(error))
                failures.append(error)
                continue
            async with self._ledger.write() as session:
                await void_offer(session, row.id)
        return failures

    async def _void(self, number: str, row: OfferRow, now: datetime) -> None:
        provider = self._providers.get(row.maker)
        if provider is None:
            log.warning("offer_has_no_provider", invoice=number, maker=row.maker, reference=row.reference)
            return
        name = row.provider_id
        if row.ready_at is None and (row.expires_at is None or row.expires_at > now):
            name = await self._name_of(provider, number, row)
        await provider.void(name or row.reference, row.reference)

    async def _name_of(self, provider: PaymentOfferProvider, number: str, row: OfferRow) -> str | None:
        """What the provider calls one whose answer we never had: asked under the same key it tells, or makes it now."""
        async with self._ledger.read() as session:
            account = await account_of(session, number, row.created_at.date())
        amount = Money(row.amount_minor, account.invoice.balance.currency)
        try:
            offer = await provider.prepare(
                account.invoice, row.reference, language=account.to.language, amount=amount, until=row.expires_at
            )
        except (Refused, OfferError):
            return None
        return offer.reference


async def _keep(session: WriteSession, row: OfferRow, offer: Offer, time_zone: str, lapses_at: datetime | None) -> bool:
    """Write down what the provider made; its last day ends where the customer is. False where it is not wanted now."""
    expires_at = lapses_at
    if offer.expires_on is not None:
        expires_at = datetime.combine(offer.expires_on + timedelta(days=1), time(0), zone(time_zone))
    return await offer_is_ready(
        session,
        row.id,
        instructions=dict(offer.instructions),
        provider_id=offer.reference,
        url=offer.url,
        qr=offer.qr,
        expires_at=expires_at,
    )
