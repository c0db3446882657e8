"""Reads a mail as its recipient would see it. Never fails: a mail that is broken is shown as well as it can be."""

from __future__ import annotations

import base64
import email
import email.policy
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import parsedate_to_datetime

_NEVER_ATTACHED = ("multipart/", "message/")


@dataclass(frozen=True, slots=True)
class Attachment:
    """A part that is neither the text nor a picture inside it. `number` is its place among the parts."""

    number: int
    name: str
    content_type: str
    content: bytes

    @property
    def size(self) -> int:
        """Bytes, decoded."""
        return len(self.content)


@dataclass(frozen=True, slots=True)
class Mail:
    """What a mail says. `html` carries the pictures that belong to it inside itself; `date` is the sender's."""

    message_id: str
    subject: str
    sender: str
    to: str
    date: datetime | None
    text: str
    html: str | None
    headers: tuple[tuple[str, str], ...]
    attachments: tuple[Attachment, ...]


def read_mail(raw: bytes) -> Mail:
    """The mail in `raw`, as it came over the wire."""
    message = email.message_from_bytes(raw, EmailMessage, policy=email.policy.default)
    headers = tuple(_headers(message))
    parts = [part for part in message.walk() if not part.get_content_type().startswith(_NEVER_ATTACHED)]
    text = next((part for part in parts if _is_body(part, "text/plain")), None)
    html = next((part for part in parts if _is_body(part, "text/html")), None)
    others = [(number, part) for number, part in enumerate(parts) if part is not text and part is not html]
    page = _decoded(html) if html is not None else None
    inside = {number: part for number, part in others if page is not None and f"cid:{_content_id(part)}" in page}
    for part in inside.values():
        page = (page or "").replace(f"cid:{_content_id(part)}", _data_uri(part))
    return Mail(
        message_id=_first(headers, "message-id"),
        subject=_first(headers, "subject"),
        sender=_first(headers, "from"),
        to=_first(headers, "to"),
        date=_date(_first(headers, "date")),
        text=_decoded(text) if text is not None else _without_markup(page or ""),
        html=page,
        headers=headers,
        attachments=tuple(
            Attachment(number, part.get_filename() or f"part-{number}", part.get_content_type(), _bytes(part))
            for number, part in others
            if number not in inside
        ),
    )


def _headers(message: EmailMessage) -> Iterator[tuple[str, str]]:
    for name, raw_value in message.raw_items():
        try:
            value = str(message.policy.header_fetch_parse(name, raw_value))
        except (ValueError, IndexError, TypeError, AttributeError, LookupError):
            # The standard library's header parser raises many things on hostile input; the raw line is shown then.
            value = str(raw_value)
        yield name, " ".join(value.encode("utf-8", "replace").decode().split())


def _first(headers: tuple[tuple[str, str], ...], wanted: str) -> str:
    return next((value for name, value in headers if name.lower() == wanted), "")


def _date(value: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return date if date.tzinfo is not None else date.replace(tzinfo=UTC)


def _is_body(part: EmailMessage, content_type: str) -> bool:
    return part.get_content_type() == content_type and part.get_content_disposition() != "attachment"


def _content_id(part: EmailMessage) -> str:
    return str(part.get("content-id", "")).strip().strip("<>") or "-"


def _bytes(part: EmailMessage) -> bytes:
    content = part.get_payload(decode=True)
    return content if isinstance(content, bytes) else b""


def _decoded(part: EmailMessage) -> str:
    charset = part.get_content_charset("utf-8")
    try:
        return _bytes(part).decode(charset, "replace")
    except LookupError:
        return _bytes(part).decode("utf-8", "replace")


def _data_uri(part: EmailMessage) -> str:
    return f"data:{part.get_content_type()};base64,{base64.b64encode(_bytes(part)).decode()}"


def _without_markup(page: str) -> str:
    page = re.sub(r"(?is)<(head|style|script|title)\b.*?</\1>", " ", page)
    return " ".join(re.sub(r"<[^>]*>", " ", page).split())
