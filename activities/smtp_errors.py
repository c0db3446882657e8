"""What a relay may do to a message, and whether anything was sent:

    RelayError
    ├── RelayUnreachable   nothing was sent: no connection, login or answer, or it was lost before the dot
    ├── RelayRefused       nothing was sent: the relay answered 4xx or 5xx, before the dot or to it
    ├── ReleaseTooLate     nothing was sent: the dot was asked for after its last moment
    └── RelaySilent        unknown: the dot was written and no answer came

A relay's own words often quote the recipient's address: they are an attribute, never part of an error's text.
"""

from __future__ import annotations

import re
from typing import Literal

#: Characters of a relay's answer that are worth keeping.
LONGEST_ANSWER = 500

Step = Literal["MAIL", "RCPT", "DATA", "DOT"]

_ENHANCED_CODE = re.compile(r"\b[245]\.\d{1,3}\.\d{1,3}\b")


class RelayError(Exception):
    """A message was not accepted, or is not known to be."""


class RelayUnreachable(RelayError):
    """The relay could not be spoken to. Nothing was sent, for certain: try again."""


class RelayRefused(RelayError):
    """The relay said no with `code` (4xx or 5xx) `at` this step. Nothing was sent, for certain.

    Only at RCPT does a `permanent` refusal speak of the recipient; at MAIL it speaks of us, at DATA and DOT
    of the message. `text` is the relay's answer and may hold personal data.
    """

    def __init__(self, code: int, text: str, *, at: Step) -> None:
        self.code = code
        self.text = text[:LONGEST_ANSWER]
        self.permanent = code >= 500
        self.at = at
        enhanced = _ENHANCED_CODE.search(text)
        enhanced = _ENHANCED_CODE.search(text)
        #: The enhanced status code (RFC 3463), such as `5.1.1`; empty where the relay gave none.
        self.enhanced = enhanced[0] if enhanced else ""
        super().__init__(f"the relay answered {code}{f' {self.enhanced}' if enhanced else ''} at {at}")


class ReleaseTooLate(RelayError):
    """The moment before which the dot had to be written has passed. Nothing was sent, for certain."""


class RelaySilent(RelayError):
    """The dot was written and no answer came: whether it was accepted is unknown. Never resend it blindly."""
