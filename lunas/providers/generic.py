"""Any other source of payments: Standard Webhooks (webhook-id, webhook-timestamp, webhook-signature), and our own body.

{"type": "payment.received", "data": {"reference": "TRX-1", "amount_minor": 125000000, "currency": "IDR",
 "paid_on": "2026-11-20", "invoice": "INV/2026/11/0042"}}
{"type": "payment.reversed", "data": {"reference": "REV-1", "payment": "TRX-1", "reversed_on": "2026-11-25",
 "amount_minor": 125000000, "currency": "IDR", "reason": "bounced transfer"}}
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from datetime import datetime, tzinfo

from lunas.providers import bodies
from lunas.providers.events import EventKind, Forged, ProviderEvent
from lunas.providers.rsa import BadKey
from lunas.providers.signing import Headers, base64_bytes, check_moment, header, is_any_of, unix_moment

NAME = "generic"
VERIFICATION = "hmac-sha256"
_PREFIX = "whsec_"
_KINDS = {
    "payment.received": EventKind.PAID,
    "payment.reversed": EventKind.REVERSED,
    "payment.pending": EventKind.PENDING,
    "payment.expired": EventKind.EXPIRED,
}


def verify(raw: bytes, headers: Headers, path: str, keys: Sequence[str], now: datetime) -> None:
    """Raises Forged unless one of the secrets made a `v1` signature, Stale outside the window."""
    event, moment = header(headers, "webhook-id", bodies.LONGEST), header(headers, "webhook-timestamp", 20)
    versions = [one.partition(",") for one in header(headers, "webhook-signature").split()]
    given = [value.encode() for version, _, value in versions if version == "v1"]
    if not is_any_of(given[:10], keys, lambda key: signature(raw, key, event, moment).encode()):
        raise Forged("no secret of ours made the signature")
    check_moment(unix_moment(moment, "webhook-timestamp"), now)


def signature(raw: bytes, key: str, event: str, moment: str) -> str:
    """The signature of a body under its id and moment (seconds since 1970), without the `v1,` before it."""
    message = f"{event}.{moment}.".encode() + raw
    return base64.b64encode(hmac.digest(_secret(key), message, hashlib.sha256)).decode()


def check_key(key: str) -> None:
    """Raises BadKey for a secret that is none."""
    try:
        secret = _secret(key)
    except Forged:
        raise BadKey("a secret that begins with whsec_ goes on in base64: copy it again from where it came") from None
    if len(secret) < 16:
        raise BadKey(
            "a secret has 16 bytes at least: make one with `openssl rand -base64 32`, and put whsec_ before it"
        )


def read(raw: bytes, headers: Headers, zone: tzinfo) -> ProviderEvent:
    """What it says; raises Malformed."""
    body = bodies.read(raw)
    event = bodies.text({"webhook-id": headers.get("webhook-id")}, "webhook-id")
    kind = _KINDS.get(bodies.text(body, "type", 80), EventKind.OTHER)
    if not kind.moves_money:
        return ProviderEvent(NAME, event, kind)
    data = bodies.part(body, "data")
    reference = bodies.text(data, "reference")
    if kind is EventKind.PAID:
        return ProviderEvent(
            NAME,
            event,
            kind,
            reference=reference,
            amount=bodies.minor(data, "amount_minor", bodies.currency(data)),
            on=bodies.plain_day(data, "paid_on"),
            instruments=bodies.among([bodies.maybe(data, "instrument")]),
            invoice=bodies.number(data, "invoice"),
        )
    whole = data.get("amount_minor") is None
    return ProviderEvent(
        NAME,
        event,
        kind,
        reference=bodies.text(data, "payment"),
        amount=None if whole else bodies.minor(data, "amount_minor", bodies.currency(data)),
        on=bodies.plain_day(data, "reversed_on"),
        reversal=reference,
        reason=bodies.reason(data, "reason"),
    )


def _secret(key: str) -> bytes:
    return base64_bytes(key.removeprefix(_PREFIX)) if key.startswith(_PREFIX) else key.encode()
