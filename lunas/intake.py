"""From a delivery that is kept to one that is booked: ask the provider where that is needed, then book.

The API does this before it acknowledges a delivery, and the reconcile schedule for those that a crash, an outage or a
silent provider left behind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta, tzinfo

import httpx2
import structlog

from lunas.ledger.database import Ledger
from lunas.ledger.kinds import BookingState
from lunas.ledger.provider_bookings import Outcome, book_event, put_off
from lunas.ledger.provider_events import Kept, waiting_events
from lunas.providers import midtrans, xendit
from lunas.providers.asking import provider_client
from lunas.providers.dialects import DIALECTS
from lunas.providers.events import Malformed, PaymentSource, ProviderEvent, Unreachable
from lunas.providers.midtrans_client import MidtransClient
from lunas.providers.xendit_client import XenditClient
from lunas.receivables.calendar import zone as company_zone
from lunas.settings import Settings

log = structlog.get_logger(__name__)

#: A delivery that is younger is being booked at this moment by whoever took it.
YOUNG = timedelta(seconds=30)
#: For so long a provider is asked about a payment that it does not confirm; providers give up delivering sooner.
PATIENCE = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """What one turn booked: how many deliveries, and the invoices whose workflows are to be told."""

    booked: int = 0
    invoices: tuple[str, ...] = ()


def intake(settings: Settings, ledger: Ledger) -> Intake:
    """The intake by the settings; close it when done."""
    sources: dict[str, PaymentSource] = {}
    http = None
    if settings.xendit_secret_key or settings.midtrans_server_key:
        http = provider_client()
    if http and settings.xendit_secret_key:
        secret = settings.xendit_secret_key.get_secret_value()
        sources[xendit.NAME] = XenditClient(http, secret=secret, base_url=settings.xendit_url)
    if http and settings.midtrans_server_key:
        key = settings.midtrans_server_key.get_secret_value()
        sources[midtrans.NAME] = MidtransClient(http, server_key=key, base_url=settings.midtrans_url)
    return Intake(ledger, sources, company_zone(settings.company_time_zone), http)


class Intake:
    """Books deliveries. `sources` are the providers that can be asked, over `http`; `zone` is the creditor's."""

    def __init__(
        self,
        ledger: Ledger,
        sources: Mapping[str, PaymentSource],
        zone: tzinfo,
        http: httpx2.AsyncClient | None = None,
    ) -> None:
        self._ledger = ledger
        self._sources = sources
        self._zone = zone
        self._http = http

    async def close(self) -> None:
        """Close the connections to providers."""
        if self._http is not None:
            await self._http.aclose()

    async def settle(self, kept: Kept) -> Outcome:
        """Book a kept delivery, or say what became of it; harmless however often, and at once.

        Raises what the ledger raises where it does not answer: the delivery stays kept.
        """
        confirmed = None
        if kept.state is BookingState.WAITING and not kept.confirmed:
            answer = await self._ask(kept)
            if isinstance(answer, str):
                return await self._put_off(kept, answer)
            confirmed = answer
        async with self._ledger.write() as session:
            outcome = await book_event(session, kept.id, confirmed)
        if outcome.state is BookingState.REFUSED and kept.state is BookingState.WAITING:
            log.error("delivery_refused", provider=kept.said.provider, delivery=kept.id)
        return outcome

    async def catch_up(self, *, older_than: timedelta = YOUNG) -> CaughtUp:
        """Book what should have been booked by now. One that fails does not stop the others; the next turn tries it."""
        async with self._ledger.read() as session:
            waiting = await waiting_events(session, older_than=older_than)
        booked, invoices = 0, dict[str, None]()
        for kept in waiting:
            try:
                outcome = await self.settle(kept)
            except Exception as error:  # noqa: BLE001 - whatever it is, it concerns this delivery, and the rest must go on
                # No text of the error: it may quote what the delivery says.
                log.warning("delivery_waits", provider=kept.said.provider, delivery=kept.id, why=type(error).__name__)
                continue
            if outcome.state is BookingState.BOOKED:
                booked += 1
                invoices.update(dict.fromkeys(outcome.invoices))
        return CaughtUp(booked, tuple(invoices))

    async def _ask(self, kept: Kept) -> ProviderEvent | str:
        """The event as the provider has it; or why it is not known, in words."""
        said, source = kept.said, self._sources.get(kept.said.provider)
        confirm = DIALECTS[said.provider].confirm
        if confirm is None or source is None:
            return f"{said.provider} cannot be asked: set the key of its API"
        try:
            found = await confirm(said, source, self._zone)
        except Unreachable as error:
            log.warning("provider_not_asked", provider=said.provider, delivery=kept.id, why=type(error).__name__)
            return f"{said.provider} could not be asked: {error}"
        except Malformed as error:
            return f"{said.provider} answered what cannot be read: {error}"
        return found or f"{said.provider} does not confirm it"

    async def _put_off(self, kept: Kept, why: str) -> Outcome:
        async with self._ledger.write() as session:
            too_late = kept.received_at < await session.now() - PATIENCE
            outcome = await put_off(session, kept.id, why, for_good=too_late)
        if outcome.state is BookingState.REFUSED:
            log.error("delivery_refused", provider=kept.said.provider, delivery=kept.id)
        return outcome
