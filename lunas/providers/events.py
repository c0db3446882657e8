"""What a payment provider tells us, in one language for all of them; and why a delivery is not believed.

    DeliveryError
    ├── Forged      no key of ours made the signature, or there is none
    ├── Stale       well signed, but too long ago or too far ahead: a replay, or a clock that is wrong
    └── Malformed   it cannot be read; the message says which field, never what stands in it

A dialect's `verify` looks at the raw bytes alone, and its `read` is called only with what `verify` let pass.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Any, Protocol

from lunas.receivables.money import Money

#: How far a signed moment may be from ours, either way.
WINDOW = timedelta(seconds=300)

#: Keys under which our own names travel in a provider's metadata, where it keeps any.
INVOICE_KEY, INSTRUMENT_KEY = "invoice", "reference"


class DeliveryError(ValueError):
    """A delivery that is not acted upon."""


class Forged(DeliveryError):
    """No key of ours made its signature."""


class Stale(DeliveryError):
    """Signed by a key of ours, at a moment outside the window."""


class Malformed(DeliveryError):
    """Its body or a header does not say what the dialect asks for."""


class Unreachable(Exception):
    """The provider did not answer, or not with what was asked: ask again later. Says nothing of the payment."""


class EventKind(StrEnum):
    """What a delivery says about a payment."""

    PAID = "paid"  # the money is there, or certain to come
    REVERSED = "reversed"  # money that was there went back: refund, chargeback, bounced transfer
    PENDING = "pending"  # somebody has begun to pay
    EXPIRED = "expired"  # an instrument, or an attempt on it, came to its end unpaid
    OTHER = "other"  # kept, and nothing follows

    @property
    def moves_money(self) -> bool:
        """Whether something is to be booked."""
        return self in (EventKind.PAID, EventKind.REVERSED)


@dataclass(frozen=True, slots=True)
class ProviderEvent:
    """One delivery, read.

    `provider` is the dialect's name, `event` the id that repetitions share. `reference` is the provider's name for the
    payment, the same in every event about it: receipts are booked under it. `instruments` are names of the way to pay,
    any of which its offer may be kept under; `invoice` is an invoice number that the event names. `on` is the day in
    the creditor's zone on which, as the provider says, the money moved. PAID has reference, amount and day; REVERSED
    has reference, day and `reversal`, the provider's own name for it; without an amount it takes back all that is left.
    """

    provider: str
    event: str
    kind: EventKind
    reference: str | None = None
    amount: Money | None = None
    on: date | None = None
    instruments: tuple[str, ...] = ()
    invoice: str | None = None
    reversal: str | None = None
    reason: str | None = None


class PaymentSource(Protocol):
    """Reads a payment or a refund at the provider, by its id: the body of its answer, as JSON with exact decimals.

    Both raise Unreachable where there is no such answer, and say None where the provider knows nothing of that id.
    """

    async def payment(self, payment_id: str) -> Mapping[str, Any] | None:
        """The payment of that id."""
        ...

    async def refund(self, refund_id: str) -> Mapping[str, Any] | None:
        """The refund of that id."""
        ...
