"""Endpoints of API clients, their secrets, and deliveries, as they are sent and shown."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import BeforeValidator, Field, StringConstraints, model_validator
from pydantic.json_schema import WithJsonSchema

from api.schemas.fields import Body, View
from lunas.ledger.kinds import DeliveryState
from lunas.webhooks import LONGEST_URL, EventType

_YEARS = range(2000, 2200)


def _moment(value: object) -> object:
    if isinstance(value, datetime):
        return value
    words = "a moment is written as a text with its time zone, like 2026-11-30T08:00:00Z"
    if not isinstance(value, str):
        raise ValueError(words)
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise ValueError(words) from None
    if moment.tzinfo is None:
        raise ValueError(words)
    if moment.year not in _YEARS:
        raise ValueError(f"a moment lies between the years {_YEARS.start} and {_YEARS.stop - 1}")
    return moment.astimezone(UTC)


Moment = Annotated[
    datetime,
    BeforeValidator(_moment),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-11-30T08:00:00Z"]}),
]
Url = Annotated[
    str,
    Field(
        min_length=8,
        max_length=LONGEST_URL,
        description="Where events are posted: https, on the public web, at port 443 or 8443",
        examples=["https://erp.example.com/lunas"],
    ),
]
Types = Annotated[
    list[Annotated[EventType, Field(strict=False)]],
    Field(min_length=1, max_length=len(EventType), description="Which events", examples=[["invoice.paid"]]),
]
EventId = Annotated[str, StringConstraints(pattern=r"^evt_[0-9a-f]{32}$"), Field(description="An event's id")]


class EndpointBody(Body):
    """A subscription: these types, posted there from now on."""

    url: Url
    events: Types


class EndpointChange(Body):
    """What is to change; what is not given stays."""

    url: Url | None = None
    events: Types | None = None
    active: bool | None = Field(
        default=None, description="false: keep what arises until it is activated again; true: deliver that at once"
    )

    @model_validator(mode="after")
    def _changes_something(self) -> EndpointChange:
        if self.url is None and self.events is None and self.active is None:
            raise ValueError("nothing would change: give a url, events, or active")
        return self


class EndpointView(View):
    """An endpoint, without its secrets."""

    id: int
    url: str
    events: list[EventType]
    active: bool
    created_at: datetime
    created_by: str
    succeeded_at: datetime | None = Field(description="When a delivery last succeeded, since it was last activated")
    disabled_at: datetime | None
    disabled_why: str | None


class NewEndpointView(View):
    """A new endpoint with its secret. Nobody can read that again."""

    endpoint: EndpointView
    secret: str


class EndpointList(View):
    """The endpoints that were not removed, oldest first."""

    endpoints: list[EndpointView]


class RotationBody(Body):
    """For how long the secret before stays valid: deliveries carry a signature by each."""

    hours: int = Field(default=24, ge=0, le=168, description="0 ends it at once, as after a leak")


class RotationView(View):
    """A new secret. Nobody can read it again."""

    secret: str
    before_valid_until: datetime | None


class DeliveryView(View):
    """An event on its way to an endpoint. Among events of one invoice, `sequence` is greater for what came later."""

    id: int
    event: str
    type: str
    sequence: int
    invoice: str | None
    at: datetime
    state: DeliveryState
    attempts: int
    last_status: int | None
    last_error: str | None
    next_at: datetime | None
    delivered_at: datetime | None


class DeliveryPage(View):
    """Deliveries, newest first."""

    deliveries: list[DeliveryView]
    next_before: int | None = Field(description="Pass it as `before` for the next page; null on the last")


class ReplayBody(Body):
    """One event, whatever came of it; or all since a moment that did not arrive."""

    event: EventId | None = None
    since: Moment | None = None

    @model_validator(mode="after")
    def _says_which(self) -> ReplayBody:
        if (self.event is None) is (self.since is None):
            raise ValueError("give either an event or since")
        return self


class ReplayView(View):
    """How many deliveries are made again."""

    replayed: int
