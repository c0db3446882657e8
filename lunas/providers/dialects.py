"""Every dialect by the name that stands in its URL."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo

from lunas.providers import generic, midtrans, snap, stripe, xendit
from lunas.providers.events import PaymentSource, ProviderEvent
from lunas.providers.signing import Headers

Verify = Callable[[bytes, Headers, str, Sequence[str], datetime], None]
Read = Callable[[bytes, Headers, tzinfo], ProviderEvent]
Confirm = Callable[[ProviderEvent, PaymentSource, tzinfo], Awaitable[ProviderEvent | None]]


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a provider speaks. `verify` raises Forged, Stale or Malformed, `read` raises Malformed.

    `confirm` is there where the signature does not cover what is to be booked: then the provider is asked. It answers
    the event as the provider has it, None where the provider says otherwise, and raises Unreachable or Malformed.
    `check_key` raises BadKey for a key that can verify nothing.
    """

    name: str
    verify: Verify
    read: Read
    verification: str
    confirm: Confirm | None = None
    check_key: Callable[[str], None] | None = None


DIALECTS = {
    dialect.name: dialect
    for dialect in (
        Dialect(xendit.NAME, xendit.verify, xendit.read, xendit.VERIFICATION, xendit.confirmed),
        Dialect(midtrans.NAME, midtrans.verify, midtrans.read, midtrans.VERIFICATION, midtrans.confirmed),
        Dialect(stripe.NAME, stripe.verify, stripe.read, stripe.VERIFICATION),
        Dialect(snap.NAME, snap.verify, snap.read, snap.VERIFICATION, check_key=snap.check_key),
        Dialect(generic.NAME, generic.verify, generic.read, generic.VERIFICATION, check_key=generic.check_key),
    )
}
