"""Webhooks to API clients: endpoints, their secrets, and how deliveries stand."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Path, Query

from api.errors import EVERYWHERE, NAMED, SENT, FieldError, Kind, Problem, documented
from api.keys import Admin, signed
from api.routes import SecretRoute
from api.schemas.fields import Filter
from api.schemas.upkeep import Id
from api.schemas.webhooks import (
    DeliveryPage,
    DeliveryView,
    EndpointBody,
    EndpointChange,
    EndpointList,
    EndpointView,
    NewEndpointView,
    ReplayBody,
    ReplayView,
    RotationBody,
    RotationView,
)
from api.services import House, Services
from lunas.ledger import deliveries as register
from lunas.ledger import endpoints
from lunas.ledger.kinds import DeliveryState
from lunas.webhooks import WebhookError, check_url

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"], route_class=SecretRoute)

EndpointId = Annotated[Id, Path(description="The endpoint's id")]


class DeliveryFilter(Filter):
    """Which deliveries."""

    state: DeliveryState | None = None
    before: Annotated[Id, Query(description="The `next_before` of the page before")] | None = None
    limit: Annotated[int, Query(ge=1, le=200)] = 50


@router.post("", status_code=201, responses=documented(*EVERYWHERE, *SENT))
async def add_endpoint(body: EndpointBody, house: House, key: Admin) -> NewEndpointView:
    """Subscribe a URL to events from now on. The secret is shown this once. An Idempotency-Key has no effect here.

    Deliveries follow Standard Webhooks: verify `webhook-signature` over the raw body, answer 2xx within 15 seconds, and
    do nothing for a `webhook-id` that you know. What is not answered so is tried again for about three days.
    """
    _check(house, body.url)
    async with house.ledger.write() as session:
        row, made = await endpoints.add_endpoint(session, body.url, body.events, by=signed(None, key))
    return NewEndpointView(endpoint=EndpointView.model_validate(row), secret=made.secret)


@router.get("", responses=documented(*EVERYWHERE))
async def list_endpoints(house: House, key: Admin) -> EndpointList:
    """The endpoints, without their secrets."""
    async with house.ledger.read() as session:
        found = await endpoints.endpoints(session)
    return EndpointList(endpoints=[EndpointView.model_validate(one) for one in found])


@router.get("/{endpoint_id}", responses=documented(*NAMED))
async def get_endpoint(endpoint_id: EndpointId, house: House, key: Admin) -> EndpointView:
    """One endpoint, without its secrets."""
    async with house.ledger.read() as session:
        return EndpointView.model_validate(await endpoints.endpoint(session, endpoint_id))


@router.patch("/{endpoint_id}", responses=documented(*NAMED, *SENT))
async def change_endpoint(endpoint_id: EndpointId, body: EndpointChange, house: House, key: Admin) -> EndpointView:
    """Change its URL or its events, or (de)activate it; what arises meanwhile is kept for it."""
    if body.url is not None:
        _check(house, body.url)
    async with house.ledger.write() as session:
        row = await endpoints.change_endpoint(
            session, endpoint_id, url=body.url, events=body.events, active=body.active
        )
    return EndpointView.model_validate(row)


@router.delete("/{endpoint_id}", status_code=204, responses=documented(*NAMED))
async def remove_endpoint(endpoint_id: EndpointId, house: House, key: Admin) -> None:
    """Tell it nothing any more, and forget its secrets."""
    async with house.ledger.write() as session:
        await endpoints.remove_endpoint(session, endpoint_id)


@router.post("/{endpoint_id}/rotation", status_code=201, responses=documented(*NAMED, *SENT))
async def rotate_secret(endpoint_id: EndpointId, body: RotationBody, house: House, key: Admin) -> RotationView:
    """Make a new secret, shown this once. For `hours` deliveries are signed with both, so that none is refused."""
    async with house.ledger.write() as session:
        made = await endpoints.rotate_secret(session, endpoint_id, both_valid_for=timedelta(hours=body.hours))
    return RotationView(secret=made.secret, before_valid_until=made.before_valid_until)


@router.post("/{endpoint_id}/test", status_code=202, responses=documented(*NAMED, *SENT))
async def send_test_event(endpoint_id: EndpointId, house: House, key: Admin) -> DeliveryView:
    """Send a `webhook.test` event to this endpoint alone, whatever it subscribes to; see its deliveries for the end."""
    async with house.ledger.write() as session:
        made = await endpoints.send_test(session, endpoint_id)
        (newest,) = await register.deliveries(session, endpoint_id, before=made.id + 1, limit=1)
    return DeliveryView.model_validate(newest)


@router.get("/{endpoint_id}/deliveries", responses=documented(*NAMED))
async def list_deliveries(
    endpoint_id: EndpointId, house: House, key: Admin, asked: Annotated[DeliveryFilter, Query()]
) -> DeliveryPage:
    """How its deliveries stand, newest first."""
    async with house.ledger.read() as session:
        await endpoints.endpoint(session, endpoint_id)
        found = await register.deliveries(
            session, endpoint_id, state=asked.state, before=asked.before, limit=asked.limit
        )
    following = found[-1].id if len(found) == asked.limit else None
    return DeliveryPage(deliveries=[DeliveryView.model_validate(one) for one in found], next_before=following)


@router.post("/{endpoint_id}/replay", status_code=202, responses=documented(*NAMED, *SENT))
async def replay(endpoint_id: EndpointId, body: ReplayBody, house: House, key: Admin) -> ReplayView:
    """Deliver one event again, or all since a moment that did not arrive; ids and contents stay the same."""
    async with house.ledger.write() as session:
        if body.event is not None:
            count = await register.replay_event(session, endpoint_id, body.event)
        else:
            assert body.since is not None
            count = await register.replay_failed(session, endpoint_id, body.since)
    return ReplayView(replayed=count)


def _check(house: Services, url: str) -> None:
    try:
        check_url(url, private=house.settings.webhook_private_addresses)
    except WebhookError as error:
        raise Problem(
            Kind.INVALID, str(error), errors=[FieldError(where="body", pointer="/url", detail=str(error))]
        ) from None
