"""Deliveries of payment providers that are not booked: what waits, and what a person has to look at."""

from __future__ import annotations

from fastapi import APIRouter

from api.errors import EVERYWHERE, documented
from api.keys import Reader
from api.routes import KeyedRoute
from api.schemas.provider_events import UnsettledDelivery, UnsettledDeliveryList
from api.services import House
from lunas.ledger.provider_events import Kept, unsettled_events

router = APIRouter(tags=["payments"], route_class=KeyedRoute)


@router.get("/v1/payments/deliveries", responses=documented(*EVERYWHERE))
async def list_unbooked_deliveries(house: House, key: Reader) -> UnsettledDeliveryList:
    """Webhooks of payment providers that wait to be booked or were refused, oldest first (at most 200).

    What waits is tried again by itself. What was refused contradicts the books, or was never confirmed: compare it with
    the provider's own list, and book what is missing by hand.
    """
    async with house.ledger.read() as session:
        return UnsettledDeliveryList(deliveries=[_view(kept) for kept in await unsettled_events(session)])


def _view(kept: Kept) -> UnsettledDelivery:
    said = kept.said
    return UnsettledDelivery(
        id=kept.id,
        provider=said.provider,
        event=said.event,
        kind=said.kind,
        state=kept.state,
        why=kept.why,
        payment=said.reference,
        currency=said.amount.currency if said.amount else None,
        amount_minor=said.amount.minor if said.amount else None,
        moved_on=said.on,
        invoice=said.invoice,
        received_at=kept.received_at,
    )
