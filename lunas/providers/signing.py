"""What the dialects' signatures have in common: comparing in constant time, with each key, and the window of time."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime

from lunas.providers.events import WINDOW, Forged, Malformed, Stale

#: Headers as `verify` takes them: their names in small letters.
Headers = Mapping[str, str]


def header(headers: Headers, name: str, most: int = 4096) -> str:
    """What a header says; raises Forged where it is missing: without it, nothing is signed."""
    found = headers.get(name, "").strip()
    if not found:
        raise Forged(f"the header {name} is missing")
    if len(found) > most:
        raise Malformed(f"the header {name} is too long")
    return found


def is_any_of(given: Iterable[bytes], keys: Sequence[str], made: Callable[[str], bytes]) -> bool:
    """Whether a signature that was given is what some key makes; how long it takes tells nothing of which."""
    offered, found = list(given), False
    for key in keys:
        expected = made(key)
        for one in offered:
            found |= hmac.compare_digest(expected, one)
    return found


def base64_bytes(written: str) -> bytes:
    """The bytes of a text in base64; raises Forged: what is no signature was made by no key."""
    try:
        return base64.b64decode(written, validate=True)
    except (binascii.Error, ValueError):
        raise Forged("the signature is not base64") from None


def check_moment(signed_at: datetime, now: datetime) -> None:
    """Raises Stale for a moment outside the window."""
    if abs(now - signed_at) > WINDOW:
        raise Stale(f"signed at a moment more than {int(WINDOW.total_seconds())} seconds from now")


def unix_moment(written: str, name: str) -> datetime:
    """A moment in whole seconds since 1970, as a header has it; raises Malformed."""
    if not written.isascii() or not written.isdigit() or len(written) > 11:
        raise Malformed(f"the {name} is not a moment in seconds since 1970")
    return datetime.fromtimestamp(int(written), UTC)


def iso_moment(written: str, name: str) -> datetime:
    """A moment in ISO 8601 with its offset, as a header has it; raises Malformed."""
    try:
        moment = datetime.fromisoformat(written)
        return moment.astimezone(UTC) if moment.tzinfo else _no_offset(name)
    except (ValueError, OverflowError):
        raise Malformed(f"the {name} is not a moment such as 2026-11-30T09:00:00+07:00") from None


def _no_offset(name: str) -> datetime:
    raise Malformed(f"the {name} has no offset from UTC")
