"""Xendit's webhooks, of its Payments API v3 and its unified refunds.

Xendit signs nothing: a webhook carries the account's token, which proves who sent it as far as the token is a secret,
and nothing about the body. So `confirmed` reads the payment again from what a GET at Xendit answers.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from datetime import datetime, tzinfo

from lunas.providers import bodies
from lunas.providers.bodies import Document
from lunas.providers.events import (
    INSTRUMENT_KEY,
    INVOICE_KEY,
    EventKind,
    Forged,
    Malformed,
    PaymentSource,
    ProviderEvent,
)
from lunas.providers.signing import Headers, header
from lunas.receivables.money import Currency

NAME = "xendit"
VERIFICATION = "callback token; fetched by id"
_ENDS = ("payment.failure", "payment_request.expiry", "payment_session.expired", "payment.expiry")
_BEGINS = ("payment.authorization", "payment.pending", "payment_session.created")


def verify(raw: bytes, headers: Headers, path: str, keys: Sequence[str], now: datetime) -> None:
    """Raises Forged unless the token is one of ours. Nothing tells a replay: Xendit signs no moment."""
    given = header(headers, "x-callback-token").encode()
    found = False
    for key in keys:
        found |= hmac.compare_digest(given, key.encode())
    if not found:
        raise Forged("the callback token is none of ours")


def read(raw: bytes, headers: Headers, zone: tzinfo) -> ProviderEvent:
    """What it says; raises Malformed."""
    body = bodies.read(raw)
    name = bodies.text(body, "event", 80)
    data = bodies.part(body, "data")
    if name.startswith("refund."):
        return _refund(name, bodies.maybe_part(data, "data") or data, zone)
    if name.startswith("payment.") and data.get("payment_id"):
        return _payment(name, data, zone)
    about = bodies.maybe(data, "payment_session_id") or bodies.maybe(data, "payment_request_id") or _id(data)
    return ProviderEvent(NAME, f"{about[:110]}/{name}", _kind_of(name), instruments=_instruments(data))


async def confirmed(event: ProviderEvent, source: PaymentSource, zone: tzinfo) -> ProviderEvent | None:
    """The event as Xendit itself has it now; None where Xendit says otherwise. Raises Unreachable, Malformed."""
    if event.kind is EventKind.REVERSED:
        found = await source.refund(event.reversal or "")
        seen = _refund("refund.succeeded", found, zone) if found else None
        same = seen is not None and (seen.reversal, seen.reference) == (event.reversal, event.reference)
    else:
        found = await source.payment(event.reference or "")
        seen = _payment("payment.capture", found, zone) if found else None
        same = seen is not None and seen.reference == event.reference
    return seen if seen is not None and same and seen.kind is event.kind else None


def _payment(name: str, data: Document, zone: tzinfo) -> ProviderEvent:
    payment = bodies.text(data, "payment_id", 150)
    if name != "payment.capture" or data.get("status") != "SUCCEEDED":
        # Under another id than the payment's own: whoever has the token alone must not stand in its way.
        status = bodies.maybe(data, "status", 20) or "-"
        return ProviderEvent(
            NAME, f"{payment}/{name[:25]}/{status}", _kind_of(name), reference=payment, instruments=_instruments(data)
        )
    unit = bodies.currency(data, default=Currency.IDR)
    captured = _capture(data)
    amount = bodies.major(captured, "capture_amount", unit) if captured else bodies.major(data, "request_amount", unit)
    on = bodies.day(captured, "capture_timestamp", zone) if captured else bodies.day(data, "created", zone)
    return ProviderEvent(
        NAME,
        payment,
        EventKind.PAID,
        reference=payment,
        amount=amount,
        on=on,
        instruments=_instruments(data),
        invoice=bodies.number(bodies.maybe_part(data, "metadata"), INVOICE_KEY) or bodies.number(data, "reference_id"),
    )


def _capture(data: Document) -> Document:
    """The one capture of the payment; none where it is only named as a whole."""
    captures = data.get("captures")
    if not captures:
        return {}
    if not isinstance(captures, list) or len(captures) != 1 or not isinstance(captures[0], dict):
        raise Malformed("captures is not a list of one object: a payment captured in parts is booked by hand")
    return captures[0]


def _refund(name: str, data: Document, zone: tzinfo) -> ProviderEvent:
    refund = bodies.text(data, "id", 150)
    payment = bodies.maybe(data, "payment_id") or bodies.maybe(data, "payment_request_id")
    if name != "refund.succeeded" or data.get("status") != "SUCCEEDED":
        status = bodies.maybe(data, "status", 20) or "-"
        return ProviderEvent(
            NAME, f"{refund}/{name[:25]}/{status}", EventKind.OTHER, reference=payment, reversal=refund
        )
    if payment is None:
        raise Malformed("payment_id is missing")
    return ProviderEvent(
        NAME,
        refund,
        EventKind.REVERSED,
        reference=payment,
        amount=bodies.major(data, "amount", bodies.currency(data, default=Currency.IDR)),
        on=bodies.day(data, "updated" if data.get("updated") else "created", zone),
        reversal=refund,
        reason=bodies.reason(data, "reason") or "refund",
    )


def _kind_of(name: str) -> EventKind:
    if name in _BEGINS:
        return EventKind.PENDING
    return EventKind.EXPIRED if name in _ENDS else EventKind.OTHER


def _id(data: Document) -> str:
    """Whatever the thing that a webhook of another product is about calls itself."""
    return bodies.maybe(data, "id") or bodies.text(data, "reference_id")


def _instruments(data: Document) -> tuple[str, ...]:
    metadata = bodies.maybe_part(data, "metadata")
    named = [bodies.maybe(data, name) for name in ("payment_request_id", "payment_session_id", "reference_id")]
    return bodies.among([bodies.maybe(metadata, INSTRUMENT_KEY), *named])
