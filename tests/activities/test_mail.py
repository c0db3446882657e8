"""Mails as bytes: whatever the data, one recipient, the headers that were meant, and the words that were written."""

from __future__ import annotations

import email
import email.policy
from datetime import UTC, datetime, timedelta, timezone
from email.message import EmailMessage
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from activities.mail import HEADERS, LEAVING, Attachment, MailError, build_mail, mail_address
from activities.texts import MailText
from lunas.company import Company

COMPANY = Company(
    name="PT Nusantara Teknologi",
    postal_address="Jakarta",
    email="piutang@nusantara.example",
    phone="+62 21 5098 7700",
    tax_id="",
    accounts=(),
    public_url="https://tagihan.nusantara.example",
    mail_address="tagihan@nusantara.example",
    mail_name="Tagihan Nusantara",
)
TEXT = MailText("Pengingat: faktur INV/2026/11/0042", "<p>Rp 12.500.000 – besok</p>", "Rp 12.500.000 – besok\n.\nx\n")
WHEN = datetime(2026, 11, 20, 9, 0, tzinfo=timezone(timedelta(hours=7)))


def built(text: MailText = TEXT, **changes: Any) -> bytes:
    arguments: dict[str, Any] = {
        "to_address": "sari@sinar.example",
        "to_name": "Sari Wulandari",
        "sender": COMPANY,
        "message_id": "<n-42.email@lunas.example>",
        "unsubscribe_url": "https://tagihan.nusantara.example/stop/Zk3v?a=1",
        "date": WHEN,
    }
    return build_mail(text, **{**arguments, **changes})


def parsed(raw: bytes) -> EmailMessage:
    return email.message_from_bytes(raw, policy=email.policy.default)


def test_a_mail_has_the_headers_that_a_notice_needs() -> None:
    mail = parsed(built())
    assert {name: str(mail[name]) for name in HEADERS if name != "Content-Type"} == {
        "From": "Tagihan Nusantara <tagihan@nusantara.example>",
        "To": "Sari Wulandari <sari@sinar.example>",
        "Reply-To": "piutang@nusantara.example",
        "Subject": TEXT.subject,
        "Date": "Fri, 20 Nov 2026 09:00:00 +0700",
        "Message-ID": "<n-42.email@lunas.example>",
        "List-Unsubscribe": "<https://tagihan.nusantara.example/stop/Zk3v?a=1>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        "Auto-Submitted": "auto-generated",
        "MIME-Version": "1.0",
    }
    assert mail.get_content_type() == "multipart/alternative"
    assert not mail.defects


def test_words_and_files_arrive_as_they_were() -> None:
    content = b"%PDF-1.7\r\n" + bytes(range(256)) * 300
    raw = built(attachments=[Attachment("INV-2026-11-0042.pdf", content)])
    mail = parsed(raw)
    plain, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert plain is not None
    assert html is not None
    assert plain.get_content().replace("\r\n", "\n") == TEXT.text
    assert html.get_content().strip() == TEXT.html
    (attachment,) = mail.iter_attachments()
    assert attachment.get_filename() == "INV-2026-11-0042.pdf"
    assert attachment.get_content_type() == "application/pdf"
    assert attachment.get_content() == content
    assert not any(part.defects for part in mail.walk())


def test_the_bytes_suit_every_relay_and_are_stable() -> None:
    raw = built(
        attachments=[Attachment("a.pdf", b"x" * 100_000)], text=MailText("s – s", "<p>" + "y" * 9000, "z" * 9000)
    )
    assert raw.isascii()
    assert raw.count(b"\n") == raw.count(b"\r\n") == raw.count(b"\r")
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    assert raw == built(
        attachments=[Attachment("a.pdf", b"x" * 100_000)], text=MailText("s – s", "<p>" + "y" * 9000, "z" * 9000)
    )


HOSTILE_NAMES = [
    "Sari\r\nBcc: evil@evil.example",
    "Sari\nTo: evil@evil.example",
    "=?utf-8?q?Sari=0ABcc:_evil=40evil.example?=",
    "=?utf-8?b?U2FyaQpCY2M6IGV2aWxAZXZpbC5leGFtcGxl?= é",
    "evil@evil.example, Sari",
    "Sari <evil@evil.example>",
    'Sari" <evil@evil.example>, "x',
    "Sari\\",
    '\\"',
    "Sari\u2028Bcc: evil@evil.example",
    "Sari\x00\x0b\x0c\x1b[2J",
    "(comment) Sari; group: evil@evil.example;",
    "\u202eSari",
    "\ud800 Sari",
    "S" * 10_000,
    "é" * 10_000,
    "",
]


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_a_hostile_name_makes_no_header_and_no_recipient(name: str) -> None:
    raw = built(to_name=name, text=MailText(name or "s", TEXT.html, TEXT.text), sender=COMPANY)
    for policy in (email.policy.default, email.policy.SMTP, email.policy.compat32):
        mail = email.message_from_bytes(raw, policy=policy)
        assert tuple(mail.keys()) == HEADERS
        again = email.message_from_bytes(mail.as_bytes(), policy=email.policy.default)
        assert tuple(again.keys()) == HEADERS
    (address,) = parsed(raw)["To"].addresses
    assert address.addr_spec == "sari@sinar.example"
    assert len(address.display_name) <= 85
    assert "\n" not in address.display_name


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=120), st.text(min_size=1, max_size=250))
def test_no_text_at_all_breaks_the_head(name: str, subject: str) -> None:
    mail = parsed(built(to_name=name, text=MailText(subject, "h", "t")))
    assert tuple(mail.keys()) == HEADERS
    assert [address.addr_spec for address in mail["To"].addresses] == ["sari@sinar.example"]


@pytest.mark.parametrize("subject", ["Faktur INV/2026/11/0042 jatuh tempo – besok " * 3, "a " * 70 + "end", "é😀" * 60])
def test_a_long_subject_is_folded_and_reads_the_same(subject: str) -> None:
    raw = built(text=MailText(subject, "h", "t"))
    assert parsed(raw)["Subject"] == subject.strip()
    assert max(map(len, raw.split(b"\r\n\r\n")[0].split(b"\r\n"))) <= 110


@pytest.mark.parametrize(
    "address",
    [
        "",
        "sari",
        "sari@",
        "sari@sinar.example, evil@evil.example",
        "sari@sinar.example\r\nBcc: evil@evil.example",
        "Sari <sari@sinar.example>",
        "sari@sinar.example>\r\nRCPT TO:<evil@evil.example",
        "säri@sinar.example",
        '"a b"@sinar.example',
        "sari@[127.0.0.1]",
        "sari@localhost",
        "s" * 65 + "@sinar.example",
    ],
)
def test_an_address_is_one_address(address: str) -> None:
    with pytest.raises(MailError) as refused:
        built(to_address=address)
    assert "sari" not in str(refused.value)


def test_an_address_is_brought_into_the_form_that_relays_take() -> None:
    assert mail_address(" Sari@SINAR.example ") == "Sari@sinar.example"
    assert mail_address("sari@bücher.example") == "sari@xn--bcher-kva.example"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"message_id": "n 42"}, "message id"),
        ({"message_id": "<a@b>\r\nBcc: x"}, "message id"),
        ({"unsubscribe_url": "https://x.example/\r\nBcc: y"}, "unsubscribe"),
        ({"unsubscribe_url": "https://x.example/>, <mailto:x"}, "unsubscribe"),
        ({"unsubscribe_url": "mailto:x@y.example"}, "unsubscribe"),
        ({"date": datetime(2026, 11, 20)}, "time zone"),  # noqa: DTZ001
        ({"attachments": [Attachment('x".pdf', b"")]}, "file name"),
        ({"attachments": [Attachment("x.pdf", b"", "application/pdf\r\nX: y")]}, "media type"),
        ({"attachments": [Attachment("x.pdf", bytes(10_000_001))]}, "larger than"),
        ({"text": MailText("s", "x" * 500_001, "")}, "longer than"),
    ],
)
def test_what_cannot_stand_in_a_mail_is_refused(change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(MailError, match=complaint):
        built(**change)


def test_content_cannot_end_its_part() -> None:
    boundary = parsed(built()).get_boundary()
    mail = parsed(built(text=MailText("s", f"<p>--{boundary}--", f"--{boundary}\nContent-Type: text/html\n\nevil\n")))
    assert [part.get_content_type() for part in mail.walk()] == ["multipart/alternative", "text/plain", "text/html"]


def test_utc_is_a_zone() -> None:
    assert b"\r\nDate: Fri, 20 Nov 2026 02:00:00 +0000\r\n" in built(date=WHEN.astimezone(UTC))


def test_a_letter_has_no_link_to_leave_by() -> None:
    mail = parsed(built(unsubscribe_url=None))
    assert tuple(mail.keys()) == tuple(name for name in HEADERS if name not in LEAVING)
