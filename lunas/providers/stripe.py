"""Stripe's webhooks. Amounts are in minor units, and the rupiah has two places there as it has with us."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from datetime import datetime, tzinfo

from lunas.providers import bodies
from lunas.providers.bodies import Document
from lunas.providers.events import INSTRUMENT_KEY, INVOICE_KEY, EventKind, Forged, Malformed, ProviderEvent
from lunas.providers.signing import Headers, check_moment, header, is_any_of, unix_moment
from lunas.receivables.money import Money

NAME = "stripe"
VERIFICATION = "hmac-sha256"
_BEGINS = ("payment_intent.processing", "payment_intent.requires_action", "payment_intent.created")
_ENDS = ("payment_intent.canceled", "checkout.session.expired")


def verify(raw: bytes, headers: Headers, path: str, keys: Sequence[str], now: datetime) -> None:
    """Raises Forged unless one of the endpoint's secrets made a `v1`, Stale outside the window."""
    parts = [part.partition("=") for part in header(headers, "stripe-signature").split(",")]
    moments = [value for name, _, value in parts if name.strip() == "t"]
    given = [value.strip().encode() for name, _, value in parts if name.strip() == "v1"]
    if len(moments) != 1 or not given:
        raise Forged("the header stripe-signature has not one t and a v1")
    if not is_any_of(given[:10], keys, lambda key: signature(raw, key, moments[0]).encode()):
        raise Forged("no secret of ours made the signature")
    check_moment(unix_moment(moments[0], "moment of stripe-signature"), now)


def signature(raw: bytes, key: str, moment: str) -> str:
    """The `v1` of a body at a moment, written in seconds since 1970."""
    return hmac.new(key.encode(), moment.encode() + b"." + raw, hashlib.sha256).hexdigest()


def read(raw: bytes, headers: Headers, zone: tzinfo) -> ProviderEvent:
    """What it says; raises Malformed."""
    body = bodies.read(raw)
    event, name = bodies.text(body, "id"), bodies.text(body, "type", 80)
    data = bodies.part(body, "data")
    about = bodies.part(data, "object")
    match name:
        case "payment_intent.succeeded":
            return ProviderEvent(
                NAME,
                event,
                EventKind.PAID,
                reference=bodies.text(about, "id"),
                amount=bodies.minor(about, "amount_received", bodies.currency(about)),
                on=bodies.unix_day(body, "created", zone),
                instruments=_instruments(about),
                invoice=bodies.number(bodies.maybe_part(about, "metadata"), INVOICE_KEY),
            )
        case "charge.refunded":
            return _refunded(event, body, about, bodies.maybe_part(data, "previous_attributes"), zone)
        case "charge.dispute.funds_withdrawn":
            return ProviderEvent(
                NAME,
                event,
                EventKind.REVERSED,
                reference=_payment_of(about),
                amount=bodies.minor(about, "amount", bodies.currency(about)),
                on=bodies.unix_day(body, "created", zone),
                reversal=bodies.text(about, "id"),
                reason=f"dispute: {bodies.reason(about, 'reason') or 'no reason given'}",
            )
        case "charge.dispute.funds_reinstated":
            # Money that comes back is a receipt of its own: the reversal stays on the record.
            return ProviderEvent(
                NAME,
                event,
                EventKind.PAID,
                reference=f"{bodies.text(about, 'id', 150)}/reinstated",
                amount=bodies.minor(about, "amount", bodies.currency(about)),
                on=bodies.unix_day(body, "created", zone),
                instruments=_instruments(about),
                invoice=bodies.number(bodies.maybe_part(about, "metadata"), INVOICE_KEY),
            )
    kind = EventKind.PENDING if name in _BEGINS else EventKind.EXPIRED if name in _ENDS else EventKind.OTHER
    return ProviderEvent(NAME, event, kind, instruments=_instruments(about))


def _refunded(event: str, body: Document, charge: Document, before: Document, zone: tzinfo) -> ProviderEvent:
    """A charge says how much of it was refunded in all, and how much had been before this one."""
    unit = bodies.currency(charge)
    total = bodies.minor(charge, "amount_refunded", unit)
    earlier = before.get("amount_refunded", 0)
    if type(earlier) is not int or not 0 <= earlier < total.minor:
        raise Malformed("previous_attributes.amount_refunded is not less than what was refunded in all")
    return ProviderEvent(
        NAME,
        event,
        EventKind.REVERSED,
        reference=_payment_of(charge),
        amount=Money(total.minor - earlier, unit),
        on=bodies.unix_day(body, "created", zone),
        reversal=f"{bodies.text(charge, 'id', 150)}/{total.minor}",
        reason="refund",
    )


def _payment_of(about: Document) -> str:
    """Receipts are booked under the payment intent; a charge without one goes by its own name."""
    return bodies.maybe(about, "payment_intent") or bodies.text(about, "charge" if "charge" in about else "id")


def _instruments(about: Document) -> tuple[str, ...]:
    return bodies.among([bodies.maybe(bodies.maybe_part(about, "metadata"), INSTRUMENT_KEY), bodies.maybe(about, "id")])
