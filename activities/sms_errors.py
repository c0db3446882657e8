"""What a gateway may do to a text message, and whether anything was sent:

    SmsError
    ├── SmsRefused       not sent: the gateway said no
    ├── SmsUnreachable   not sent: nothing of the message was written to the gateway
    │   └── SmsTooLate   not sent: the moment before which it had to leave has passed
    └── SmsSilent        unknown: it was written, and no answer tells what became of it

A gateway's own words often quote the recipient's number: they are an attribute, never part of an error's text.
"""

from __future__ import annotations

from enum import StrEnum

#: Characters of a gateway's answer that are worth keeping.
LONGEST_ANSWER = 500


class About(StrEnum):
    """What a refusal is about; only the first two say something of the customer."""

    RECIPIENT = "recipient"  # this number cannot receive text messages
    OPT_OUT = "opt_out"  # its owner asked for no more of them
    MESSAGE = "message"  # this text or request, or nobody knows what
    ACCOUNT = "account"  # our account, sender, balance or rate: a person has to look


class SmsError(Exception):
    """A message was not accepted, or is not known to be."""


class SmsRefused(SmsError):
    """The gateway said no; nothing was sent, for certain.

    `code` is the gateway's own code where it gave one, else the HTTP status. `permanent`: the same message to the
    same number will be refused again. `text` is the gateway's answer and may hold personal data.
    """

    def __init__(self, code: int, text: str, permanent: bool, about: About = About.MESSAGE) -> None:
        self.code = code
        self.text = text[:LONGEST_ANSWER]
        self.permanent = permanent
        self.about = about
        super().__init__(f"the gateway refused it for {'good' if permanent else 'now'}: {code}, about the {about}")


class SmsUnreachable(SmsError):
    """The gateway could not be spoken to. Nothing was sent, for certain: try again."""


class SmsTooLate(SmsUnreachable):
    """The moment before which it had to leave has passed. Nothing was sent, for certain: claim anew."""


class SmsSilent(SmsError):
    """The message was written and no answer tells what became of it. Never resend it blindly."""
