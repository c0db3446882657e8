"""Webhooks to API clients: which events there are, how a delivery is signed, and what is said about delivering one.

A delivery follows Standard Webhooks: `webhook-id`, `webhook-timestamp` and `webhook-signature` (`v1,` and the base64 of
HMAC-SHA256 over `id.timestamp.body`, one for each secret that is valid, divided by blanks).
"""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets as random_source
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

_MARK = "whsec_"
_SECRET_BYTES = 32
#: How far a delivery's timestamp may be from the receiver's clock.
TOLERANCE = timedelta(minutes=5)
#: Ports that receivers on the public web are reached at.
PORTS = frozenset({443, 8443})
LONGEST_URL = 2000


class EventType(StrEnum):
    """What an API client can be told of."""

    INVOICE_ISSUED = "invoice.issued"
    INVOICE_PAID = "invoice.paid"
    INVOICE_PARTIALLY_PAID = "invoice.partially_paid"
    INVOICE_PROMISED = "invoice.promised"
    INVOICE_DISPUTED = "invoice.disputed"
    INVOICE_PLACED = "invoice.placed"
    INVOICE_CLOSED = "invoice.closed"
    PAYMENT_RECEIVED = "payment.received"
    PAYMENT_REVERSED = "payment.reversed"


#: The type of a test event, which goes to one endpoint, whatever it subscribes to.
TEST = "webhook.test"


class WebhookError(ValueError):
    """A URL, a secret or a delivery is not as it must be; the message says what was expected."""


def new_secret() -> str:
    """A new secret of 256 bits, as receivers' libraries take it: `whsec_` and base64."""
    return _MARK + base64.b64encode(random_source.token_bytes(_SECRET_BYTES)).decode()


def new_event_id() -> str:
    """A new id for an event: receivers do nothing for one that they know."""
    return f"evt_{random_source.token_hex(16)}"


def signed_headers(secrets: Sequence[str], event_id: str, at: datetime, body: bytes) -> dict[str, str]:
    """The three headers of a delivery that leaves at `at`; raises WebhookError for what is no secret."""
    timestamp = str(int(at.timestamp()))
    return {
        "webhook-id": event_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(_signature(secret, event_id, timestamp, body) for secret in secrets),
    }


def verify(secret: str, headers: Mapping[str, str], body: bytes, now: datetime) -> None:
    """Raise WebhookError unless the delivery was signed with the secret, not long before or after `now`.

    What a receiver does; `lunas` itself needs it for tests. Header names are in lower case.
    """
    try:
        event_id, timestamp = headers["webhook-id"], headers["webhook-timestamp"]
        age = abs(now.timestamp() - int(timestamp))
        given = headers["webhook-signature"].split()
    except (KeyError, ValueError) as error:
        raise WebhookError("the delivery is not signed: expected webhook-id, -timestamp and -signature") from error
    if age > TOLERANCE.total_seconds():
        raise WebhookError(f"the delivery's timestamp is {age:.0f} s away: refuse it, it may be an old one sent again")
    expected = _signature(secret, event_id, timestamp, body).encode()
    if not any(hmac.compare_digest(expected, one.encode()) for one in given):
        raise WebhookError("no signature of the delivery is this secret's: check the secret, and use the raw body")


def _signature(secret: str, event_id: str, timestamp: str, body: bytes) -> str:
    digest = hmac.digest(_key(secret), f"{event_id}.{timestamp}.".encode() + body, "sha256")
    return f"v1,{base64.b64encode(digest).decode()}"


def _key(secret: str) -> bytes:
    try:
        return base64.b64decode(secret.removeprefix(_MARK), validate=True)
    except binascii.Error as error:
        raise WebhookError("a webhook's secret is whsec_ and base64") from error


def check_url(url: str, *, private: bool = False) -> str:
    """The URL, if deliveries may be posted there; raises WebhookError.

    `private` allows plain HTTP, any port and addresses of our own network, for development. What a name leads to is
    judged again whenever something is sent.
    """
    parts = _split(url)
    try:
        port = parts.port
    except ValueError as error:
        raise WebhookError("a webhook's URL has a port between 1 and 65535") from error
    if parts.scheme != "https" and not (private and parts.scheme == "http"):
        raise WebhookError("a webhook's URL begins with https://")
    if not parts.hostname or parts.username is not None or parts.password is not None:
        raise WebhookError("a webhook's URL names a host, and holds neither a user nor a password")
    if "#" in url:
        raise WebhookError("a webhook's URL has no fragment (#)")
    if private:
        return url
    if port is not None and port not in PORTS:
        raise WebhookError(f"a webhook's URL uses one of the ports {', '.join(str(one) for one in sorted(PORTS))}")
    if _is_private_literal(parts.hostname):
        raise WebhookError("a webhook's URL names a host of the public web")
    return url


def _split(url: str) -> SplitResult:
    if not url.isascii() or any(each.isspace() or not each.isprintable() for each in url) or len(url) > LONGEST_URL:
        raise WebhookError(f"a webhook's URL is at most {LONGEST_URL} visible ASCII characters; encode others with %")
    try:
        return urlsplit(url)
    except ValueError as error:
        raise WebhookError("a webhook's URL looks like https://erp.example.com/lunas") from error


def _is_private_literal(host: str) -> bool:
    try:
        return not ip_address(host).is_global
    except ValueError:
        return host == "localhost" or "." not in host


# --- between the workflow of an endpoint and its activities -----------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Start:
    """What an endpoint's workflow begins with.

    `events_per_run` bounds its history; `failed` counts the attempts that have failed one after the other.
    """

    endpoint: int
    events_per_run: int = 2_000
    failed: int = 0


@dataclass(frozen=True, slots=True)
class Look:
    """Look for what is to be delivered to the endpoint at `at`, at most `limit` of it."""

    endpoint: int
    at: datetime
    limit: int


@dataclass(frozen=True, slots=True)
class Due:
    """A delivery that is due; `attempts` have failed before."""

    delivery: int
    event: str
    type: str
    attempts: int


@dataclass(frozen=True, slots=True)
class Batch:
    """What is due now, oldest first; where nothing is, `next_at` says when something will be (None: never)."""

    due: tuple[Due, ...] = ()
    next_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """Try one delivery at `at`; where it fails it is tried again at `again_at`, or (None) never by itself."""

    delivery: int
    at: datetime
    again_at: datetime | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an attempt. `disabled` says that its endpoint was disabled over it, and the owner is to be told."""

    delivered: bool
    disabled: bool = False


@dataclass(frozen=True, slots=True)
class Silenced:
    """Tell the owner that the endpoint was disabled; `key` keeps it from being said twice."""

    endpoint: int
    key: str
