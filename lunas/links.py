"""Signed links for customers: what a mail's buttons lead to. Nothing is stored; the signature and a date decide.

A link names one thing (an invoice to pay, a contact to leave in peace) and ends on a date. Following one never changes
anything by itself: mail scanners follow links too.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

_TAG_BYTES = 16  # 128 bits
_EPOCH = date(2020, 1, 1)


class Purpose(StrEnum):
    """What a link is for; a link for one purpose is none for another."""

    PAY = "pay"
    UNSUBSCRIBE = "unsubscribe"


class LinkError(ValueError):
    """A link that was never ours, was altered, or has ended; which of these is nobody's business."""


@dataclass(frozen=True)
class Links:
    """Makes and reads links below `public_url`, signed with `secret` (at least 32 characters)."""

    public_url: str
    secret: str
    lasts: timedelta = timedelta(days=180)

    def __post_init__(self) -> None:
        if len(self.secret) < 32:
            raise LinkError("LUNAS_LINK_SECRET is missing or short: give at least 32 random characters")

    def url(self, purpose: Purpose, subject: str, today: date) -> str:
        """The link that lets its holder see to `subject` for `lasts` from `today`."""
        return f"{self.public_url}/{purpose}/{self._token(purpose, subject, today + self.lasts)}"

    def read(self, purpose: Purpose, token: str, today: date) -> str:
        """The subject of a token; raises LinkError."""
        try:
            raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
            tag, days, subject = (
                raw[:_TAG_BYTES],
                raw[_TAG_BYTES : _TAG_BYTES + 2],
                raw[_TAG_BYTES + 2 :].decode(),
            )
        except ValueError:
            raise LinkError("this link is not valid") from None
        genuine = hmac.compare_digest(tag, self._tag(purpose, days, subject))
        if not genuine or today > _EPOCH + timedelta(days=int.from_bytes(days)):
            raise LinkError("this link is not valid")
        return subject

    def _token(self, purpose: Purpose, subject: str, until: date) -> str:
        days = (until - _EPOCH).days.to_bytes(2)
        raw = self._tag(purpose, days, subject) + days + subject.encode()
        return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()

    def _tag(self, purpose: Purpose, days: bytes, subject: str) -> bytes:
        message = purpose.encode() + b"\0" + days + subject.encode()
        return hmac.digest(self.secret.encode(), message, hashlib.sha256)[:_TAG_BYTES]


def unsubscribe_subject(customer: str, channel: str, address: str) -> str:
    """What an unsubscribe link names: an address of a customer on a channel, without spelling the address out."""
    digest = hashlib.sha256(address.strip().lower().encode()).hexdigest()[:16]
    return f"{channel}/{digest}/{customer}"
