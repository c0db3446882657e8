"""Every mail that leaves is built here, from data that may be hostile.

The standard library's EmailMessage takes ten milliseconds for a mail with a document, and some of its versions turn
an encoded word with an encoded line break into a header of its own. So the few headers that we send are written
out here, in ASCII, from values that cannot hold a line break; and the finished bytes are read back and must have
exactly those headers.
"""

from __future__ import annotations

import binascii
import hashlib
import re
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.message import Message
from email.parser import BytesHeaderParser
from email.policy import compat32
from email.utils import format_datetime, getaddresses

from email_validator import EmailNotValidError, validate_email

from activities.texts import MailText
from lunas.company import Company
from templates.wording import readable

LONGEST_NAME = 80
LONGEST_SUBJECT = 160
LONGEST_TEXT = 500_000
LARGEST_ATTACHMENTS = 10_000_000

#: The headers of every mail, in their order.
HEADERS = (
    "From",
    "To",
    "Reply-To",
    "Subject",
    "Date",
    "Message-ID",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "Auto-Submitted",
    "MIME-Version",
    "Content-Type",
)
#: Those that say how to leave: a letter to a business partner has none, for it is no mailing.
LEAVING = ("List-Unsubscribe", "List-Unsubscribe-Post")

_ENCODED_WORD = re.compile(r"=\?")
_PLAIN = re.compile(r"[ -~]+")
_MESSAGE_ID = re.compile(r"<?([A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,120}@[A-Za-z0-9.-]{1,120})>?")
_LINK = re.compile(r"https?://[!-;=?-~]{1,900}")
_FILE_NAME = re.compile(r"[A-Za-z0-9._-]{1,100}")
_MEDIA_TYPE = re.compile(r"[a-z]+/[a-z0-9.+-]+")
_OCTETS_A_WORD = 45


class MailError(ValueError):
    """A mail that must not be sent: says which part is wrong and what was expected, never whose it is."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that travels along; `name` in letters, digits, dots, hyphens and underscores."""

    name: str
    content: bytes
    media_type: str = "application/pdf"


def mail_address(text: str) -> str:
    """The one bare address in `text`, as SMTP and headers take it: ASCII, an international domain in its own code.

    Raises MailError for anything else. Whether anybody reads there is not asked.
    """
    try:
        found = validate_email(
            text.strip(), check_deliverability=False, allow_smtputf8=False, strict=True, test_environment=True
        )
    except EmailNotValidError:
        raise MailError("the address is not one valid email address such as name@example.com") from None
    if found.ascii_email is None:
        raise MailError("the address needs characters that not every relay takes: only ASCII before the @")
    return found.ascii_email


def build_mail(
    text: MailText,
    *,
    to_address: str,
    to_name: str,
    sender: Company,
    message_id: str,
    unsubscribe_url: str | None,
    attachments: Sequence[Attachment] = (),
    date: datetime,
) -> bytes:
    """One mail to one recipient, ready for DATA: CRLF line ends, ASCII only. Same arguments, same bytes.

    `unsubscribe_url` is None for a mail that is not of the kind that one leaves.

    Raises MailError where an argument cannot stand in a mail, or the result is not what was meant.
    """
    recipient = mail_address(to_address)
    identity = _MESSAGE_ID.fullmatch(message_id.strip())
    if identity is None:
        raise MailError(f"{message_id!r} is not a message id: write <unique@domain>")
    if unsubscribe_url is not None and not _LINK.fullmatch(unsubscribe_url):
        raise MailError("the unsubscribe link is not an http or https URL of visible ASCII characters")
    if date.tzinfo is None:
        raise MailError(f"{date.isoformat()} has no time zone: pass an aware datetime")
    content_type, body = _body(text, attachments, boundary=hashlib.sha256(identity[1].encode()).hexdigest()[:24])
    values = (
        _mailbox(sender.mail_name, mail_address(sender.mail_address)),
        _mailbox(to_name, recipient),
        mail_address(sender.email),
        _words(_inert(text.subject, LONGEST_SUBJECT)),
        format_datetime(date),
        f"<{identity[1]}>",
        f"<{unsubscribe_url}>",
        "List-Unsubscribe=One-Click",
        "auto-generated",
        "1.0",
        content_type,
    )
    meant = [
        (name, value)
        for name, value in zip(HEADERS, values, strict=True)
        if unsubscribe_url is not None or name not in LEAVING
    ]
    head = "".join(f"{name}: {value}\r\n" for name, value in meant).encode("ascii")
    _verify(head, recipient, tuple(name for name, _ in meant))
    return head + b"\r\n" + body


def _inert(text: str, longest: int) -> str:
    """The text on one line, without control characters, and with nothing in it that a reader would decode."""
    return _ENCODED_WORD.sub("= ?", readable(text, longest))


def _words(text: str) -> str:
    """Unstructured text as a header has it: itself where it is ASCII, else encoded words; folded."""
    if _PLAIN.fullmatch(text):
        return "\r\n ".join(textwrap.wrap(text, 66, break_long_words=False, break_on_hyphens=False))
    words: list[bytes] = [b""]
    for character in text:
        octets = character.encode()
        if len(words[-1]) + len(octets) > _OCTETS_A_WORD:
            words.append(b"")
        words[-1] += octets
    return "\r\n ".join(f"=?utf-8?b?{binascii.b2a_base64(word, newline=False).decode()}?=" for word in words)


def _mailbox(name: str, address: str) -> str:
    """`"Name" <address>`, or the bare address where there is no name."""
    inert = _inert(name, LONGEST_NAME)
    if not inert:
        return address
    if _PLAIN.fullmatch(inert):
        quoted = inert.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{quoted}" <{address}>'
    return f"{_words(inert)}\r\n <{address}>"


def _body(text: MailText, attachments: Sequence[Attachment], *, boundary: str) -> tuple[str, bytes]:
    """Content type and content. Neither encoding can produce `=_`, so that no content can hold a boundary."""
    if len(text.html) + len(text.text) > LONGEST_TEXT:
        raise MailError(f"the mail is longer than {LONGEST_TEXT} characters")
    if sum(len(each.content) for each in attachments) > LARGEST_ATTACHMENTS:
        raise MailError(f"the attachments are larger than {LARGEST_ATTACHMENTS} bytes together")
    alternative = _multipart(f"=_a{boundary}", [_text_part("plain", text.text), _text_part("html", text.html)])
    if not attachments:
        return f'multipart/alternative;\r\n boundary="=_a{boundary}"', alternative
    first = b"Content-Type: multipart/alternative;\r\n" + f' boundary="=_a{boundary}"\r\n\r\n'.encode() + alternative
    mixed = _multipart(f"=_m{boundary}", [first, *map(_file_part, attachments)])
    return f'multipart/mixed;\r\n boundary="=_m{boundary}"', mixed


def _multipart(boundary: str, parts: Iterable[bytes]) -> bytes:
    mark = b"--" + boundary.encode()
    return b"".join(mark + b"\r\n" + part + b"\r\n" for part in parts) + mark + b"--\r\n"


def _text_part(subtype: str, text: str) -> bytes:
    lines = "\r\n".join(text.splitlines()) + "\r\n"
    # The C encoder: the standard library's own in Python costs more than all the rest of a mail.
    encoded = binascii.b2a_qp(lines.encode("utf-8", "replace"), istext=True)
    head = f"Content-Type: text/{subtype}; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    return head.encode() + encoded


def _file_part(attachment: Attachment) -> bytes:
    if not _FILE_NAME.fullmatch(attachment.name) or not _MEDIA_TYPE.fullmatch(attachment.media_type):
        raise MailError(f"{attachment.name!r} ({attachment.media_type}) is not a plain file name and media type")
    encoded = binascii.b2a_base64(attachment.content, newline=False)
    lines = b"\r\n".join(encoded[at : at + 76] for at in range(0, len(encoded), 76))
    head = (
        f'Content-Type: {attachment.media_type}; name="{attachment.name}"\r\n'
        f'Content-Disposition: attachment; filename="{attachment.name}"\r\n'
        "Content-Transfer-Encoding: base64\r\n\r\n"
    )
    return head.encode() + lines


def _verify(head: bytes, recipient: str, headers: tuple[str, ...]) -> None:
    """Read the head back as a mail program would: exactly these headers, and exactly one recipient."""
    parsed: Message = BytesHeaderParser(policy=compat32).parsebytes(head + b"\r\n")
    if parsed.defects or tuple(parsed.keys()) != headers:
        raise MailError("the mail would not have the headers that were meant: it is not sent")
    if [address for _, address in getaddresses([parsed["To"]])] != [recipient]:
        raise MailError("the mail would not have exactly one recipient: it is not sent")
