"""What the API says of payment providers' deliveries."""

from __future__ import annotations

from datetime import date, datetime

from pydantic import Field

from api.schemas.fields import View
from lunas.ledger.kinds import BookingState
from lunas.providers.events import EventKind
from lunas.receivables.money import Currency


class UnsettledDelivery(View):
    """A delivery of a payment provider that is not booked."""

    id: int
    provider: str
    event: str = Field(description="The provider's id of the event")
    kind: EventKind
    state: BookingState
    why: str | None = Field(description="What it waits for, or why it was refused")
    payment: str | None = Field(description="The provider's reference of the payment, under which it is booked")
    currency: Currency | None
    amount_minor: int | None
    moved_on: date | None = Field(description="The day on which the money moved")
    invoice: str | None = Field(description="The invoice number that it names")
    received_at: datetime


class UnsettledDeliveryList(View):
    """Deliveries that wait or were refused, oldest first."""

    deliveries: list[UnsettledDelivery]
