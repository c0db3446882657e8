"""Midtrans' HTTP notifications.

The signature is over the order, the status code and the amount, not over the status itself. So a status has to go with
its signed code, and `confirmed` reads the transaction again from what a GET at Midtrans answers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime, tzinfo

from lunas.providers import bodies
from lunas.providers.bodies import Document
from lunas.providers.events import EventKind, Forged, Malformed, PaymentSource, ProviderEvent
from lunas.providers.signing import Headers, is_any_of
from lunas.receivables.money import Currency

NAME = "midtrans"
VERIFICATION = "sha512 over order, code and amount; fetched by id"
_SETTLED, _CAPTURED, _ACCEPTED = "settlement", "capture", "accept"
_BACK = ("refund", "partial_refund", "chargeback", "partial_chargeback")
_ENDS = ("expire", "cancel", "deny", "failure")
_SUCCESS = "200"


def verify(raw: bytes, headers: Headers, path: str, keys: Sequence[str], now: datetime) -> None:
    """Raises Forged unless one of the server keys made the signature; Malformed where its parts cannot be read."""
    body = bodies.read(raw)
    given = bodies.maybe(body, "signature_key")
    if given is None:
        raise Forged("signature_key is missing")
    signed = "".join(_as_sent(body, name) for name in ("order_id", "status_code", "gross_amount"))
    if not is_any_of([given.lower().encode()], keys, lambda key: signature(signed, key).encode()):
        raise Forged("no server key of ours made the signature")
    status = bodies.text(body, "transaction_status", 40)
    moves = status in (_SETTLED, *_BACK) or _is_captured(body)
    if moves and body.get("status_code") != _SUCCESS:
        raise Forged("the status does not go with the status code that was signed")


def signature(signed: str, key: str) -> str:
    """The signature of order, status code and amount, written one after another, by a server key."""
    return hashlib.sha512((signed + key).encode()).hexdigest()


def read(raw: bytes, headers: Headers, zone: tzinfo) -> ProviderEvent:
    """What it says; raises Malformed."""
    return _event(bodies.read(raw), zone)


async def confirmed(event: ProviderEvent, source: PaymentSource, zone: tzinfo) -> ProviderEvent | None:
    """The event as Midtrans itself has it now; None where Midtrans says otherwise. Raises Unreachable, Malformed."""
    found = await source.payment(event.reference or "")
    if found is None or bodies.maybe(found, "transaction_id") != event.reference:
        return None
    status = bodies.text(found, "transaction_status", 40)
    if event.kind is EventKind.REVERSED:
        named = [one for one in _refunds(found) if _refund_id(one) == event.reversal]
        if not named and (status not in _BACK or event.reversal != f"{event.reference}:{status}"):
            return None
        return _reversed(found, named[-1] if named else {}, event.event, zone)
    # What was refunded since had been paid.
    return _paid(found, event.event, zone) if status in (_SETTLED, *_BACK) or _is_captured(found) else None


def _event(body: Document, zone: tzinfo) -> ProviderEvent:
    transaction = bodies.text(body, "transaction_id", 100)
    status = bodies.text(body, "transaction_status", 40)
    event = f"{transaction}:{status}"
    if status == _SETTLED or _is_captured(body):
        return _paid(body, event, zone)
    if status in _BACK:
        refunds = _refunds(body)
        if not refunds:
            return _reversed(body, {}, event, zone)
        last = max(refunds, key=_order)
        return _reversed(body, last, f"{event}:{_refund_id(last)}"[: bodies.LONGEST], zone)
    kind = EventKind.PENDING if status in ("pending", "authorize", _CAPTURED) else EventKind.OTHER
    if status in _ENDS:
        kind = EventKind.EXPIRED
    return ProviderEvent(NAME, f"{event}:review" if status == _CAPTURED else event, kind, reference=transaction)


def _paid(body: Document, event: str, zone: tzinfo) -> ProviderEvent:
    # A card is paid when it is captured, and is settled with us a day later: both events name the first of the two.
    paid_at = "transaction_time" if body.get("payment_type") == "credit_card" else "settlement_time"
    return ProviderEvent(
        NAME,
        event,
        EventKind.PAID,
        reference=bodies.text(body, "transaction_id", 100),
        amount=bodies.major(body, "gross_amount", _currency(body)),
        on=bodies.day(body, paid_at if body.get(paid_at) else "transaction_time", zone, bodies.jakarta()),
        instruments=bodies.among([bodies.maybe(body, "order_id")]),
        invoice=bodies.number(body, "custom_field1") or bodies.number(body, "order_id"),
    )


def _reversed(body: Document, refund: Document, event: str, zone: tzinfo) -> ProviderEvent:
    """`refund` is one of the transaction's refunds; an empty one stands for all that is left of it."""
    transaction, status = bodies.text(body, "transaction_id", 100), bodies.text(body, "transaction_status", 40)
    if not refund and status.startswith("partial"):
        raise Malformed("refunds is missing: it is not said how much went back")
    on = bodies.day(refund or body, "created_at" if refund else "transaction_time", zone, bodies.jakarta())
    return ProviderEvent(
        NAME,
        event,
        EventKind.REVERSED,
        reference=transaction,
        amount=bodies.major(refund, "refund_amount", _currency(body)) if refund else None,
        on=on,
        instruments=bodies.among([bodies.maybe(body, "order_id")]),
        reversal=_refund_id(refund) if refund else f"{transaction}:{status}",
        reason=bodies.reason(refund, "reason") or status.replace("_", " "),
    )


def _is_captured(body: Document) -> bool:
    return body.get("transaction_status") == _CAPTURED and body.get("fraud_status", _ACCEPTED) == _ACCEPTED


def _refunds(body: Document) -> list[Document]:
    found = body.get("refunds")
    if found is None:
        return []
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise Malformed("refunds is not a list of objects")
    return found


def _refund_id(refund: Document) -> str:
    """The name of a refund; one that we asked for by its key has the key as well."""
    return bodies.maybe(refund, "refund_chargeback_id", 80) or bodies.text(refund, "refund_key", 80)


def _order(refund: Document) -> tuple[int, str]:
    written = _refund_id(refund)
    return (int(written), "") if written.isascii() and written.isdigit() else (0, bodies.text(refund, "created_at", 40))


def _currency(body: Document) -> Currency:
    return bodies.currency(body, default=Currency.IDR)


def _as_sent(body: Document, name: str) -> str:
    found = body.get(name)
    if not isinstance(found, str):
        raise Malformed(f"{name} is not a text, as it must be to be signed")
    return found
