"""Signed links for customers: what a mail's buttons lead to. No link is stored; a signature, a date and epochs decide.

A link names one thing (an invoice to pay, a contact to leave in peace) and ends on a date. Following one never changes
anything by itself: mail scanners follow links too.

A pay link also says how often links to its invoice or its customer had been revoked when it was made (its epoch), and
which address it was made for. The ledger keeps each revocation and counts them with the invoice, which the page reads
anyway: a link is good as long as the count is still the same, so that a revocation ends every link made before it, on
every machine at once, and no link has to be remembered. It is good as long as that address is still one of the
customer's, so that changing or erasing it ends the links that were sent there. Links that were made for nobody in
particular, such as the one in an offer, only end by a revocation and with their date.

What a revocation does not reach: the page that someone has open or has printed, and links to stop messages. These show
no debt, only ever stop something, and the law wants them to work; they end with their date.
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


@dataclass(frozen=True, slots=True)
class PayLink:
    """What a pay link names: an invoice, and the epochs that it belongs to.

    `epoch` counts the revocations that it came after; `mark` stands for the address that it was made for (empty: for
    nobody in particular), see `mark_of`.
    """

    number: str
    epoch: int = 0
    mark: str = ""

    @property
    def subject(self) -> str:
        """It as the subject of a link; what is nothing is left out, because text messages are short."""
        rest = f"{self.epoch or ''}.{self.mark}".rstrip(".")
        return f"{self.number}\n{rest}" if rest else self.number

    @classmethod
    def of(cls, subject: str) -> PayLink:
        """The link of a subject, which was signed, and so is one of ours."""
        number, _, rest = subject.partition("\n")
        epoch, _, mark = rest.partition(".")
        return cls(number, int(epoch or 0), mark)


def mark_of(address: str) -> str:
    """Four characters by which a link tells whether an address is still the one that it was made for."""
    digest = hashlib.sha256(address.strip().lower().encode()).digest()
    return base64.urlsafe_b64encode(digest[:3]).decode()


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

    def seal(self, text: str) -> str:
        """A tag that only we can make for this text: a form carries it, so that nobody else's form is taken."""
        tag = hmac.digest(self.secret.encode(), b"seal\0" + text.encode(), hashlib.sha256)[:_TAG_BYTES]
        return base64.urlsafe_b64encode(tag).rstrip(b"=").decode()

    def is_sealed(self, text: str, tag: str) -> bool:
        """Whether the tag is ours for this text; in constant time."""
        return hmac.compare_digest(self.seal(text).encode(), tag.encode())

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
