"""The embedded inbox: nothing acknowledged is lost, nobody dawdles past the margin, hostile mail stays in its frame."""

from __future__ import annotations

import asyncio
import re
import socket
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta, timezone
from email.message import EmailMessage
from pathlib import Path

import aiosmtplib
import pytest
from httpx2 import ASGITransport, AsyncClient

from deploy.embedded.inbox import InboxStore, Kind, MailSink, SmsConflict, inbox_app
from deploy.embedded.inbox.reading import read_mail
from deploy.embedded.machine import PortTaken

JAKARTA = timezone(timedelta(hours=7))
PIXEL = bytes.fromhex("89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[InboxStore]:
    opened = InboxStore(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
async def sink(store: InboxStore) -> AsyncIterator[MailSink]:
    def refusal(address: str) -> str | None:
        return "550 5.1.1 no such mailbox" if address.startswith("nobody@") else None

    async with MailSink(store, refusal=refusal) as running:
        yield running


@pytest.fixture
async def browser(store: InboxStore) -> AsyncIterator[AsyncClient]:
    app = inbox_app(store, zone=JAKARTA)
    async with AsyncClient(transport=ASGITransport(app), base_url="http://inbox") as client:
        yield client


def a_mail(
    subject: str = "Invoice 7 is due", *, to: str = "siti@customer.example", html: str | None = None
) -> EmailMessage:
    mail = EmailMessage()
    mail["From"] = "Contoh Niaga, Finance <finance@contoh.example>"
    mail["To"] = to
    mail["Subject"] = subject
    mail["Date"] = "Tue, 03 Mar 2026 09:15:00 +0700"
    mail["Message-ID"] = "<7.1@contoh.example>"
    mail.set_content("Dear Siti,\nplease pay at https://pay.example/7?a=1&b=2 by Friday.\n")
    if html is not None:
        mail.add_alternative(html, subtype="html")
    return mail


async def send(sink: MailSink, mail: EmailMessage, *recipients: str) -> None:
    await aiosmtplib.send(
        mail,
        sender="bounce@contoh.example",
        recipients=list(recipients) or ["siti@customer.example"],
        hostname="127.0.0.1",
        port=sink.port,
        start_tls=False,
    )


# --- mail in ---------------------------------------------------------------------------------------------------------


async def test_an_accepted_mail_outlives_the_process_and_is_kept_for_its_envelope(
    sink: MailSink, store: InboxStore, tmp_path: Path
) -> None:
    await send(sink, a_mail(), "siti@customer.example", "boss@customer.example")
    (message,) = await store.wait_for("BOSS@customer.example")
    store.close()

    again = InboxStore(tmp_path)
    assert await again.received("siti@customer.example") == (message,)
    assert (message.kind, message.key, message.sender) == (Kind.MAIL, "<7.1@contoh.example>", "bounce@contoh.example")
    assert message.subject == "Invoice 7 is due"
    assert message.moment == datetime(2026, 3, 3, 9, 15, tzinfo=JAKARTA)
    assert message.excerpt.startswith("Dear Siti, please pay")
    assert b"Subject: Invoice 7 is due\r\n" in await again.raw(message)
    assert list((tmp_path / "mail").glob("*.part")) == []
    again.close()


async def test_a_mail_that_comes_twice_is_seen_twice(sink: MailSink, store: InboxStore) -> None:
    await send(sink, a_mail())
    await send(sink, a_mail())
    assert len(await store.wait_for("siti@customer.example", 2)) == 2
    with pytest.raises(TimeoutError, match=r"should have 3 messages within 0\.05 s, but has \['Invoice 7 is due'"):
        await store.wait_for("siti@customer.example", 3, patience=timedelta(milliseconds=50))


async def test_a_mail_that_cannot_be_stored_is_not_acknowledged(
    sink: MailSink, store: InboxStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(store, "_insert", full)
    with pytest.raises(aiosmtplib.SMTPDataError, match="could not be stored") as refusal:
        await send(sink, a_mail())
    assert refusal.value.code == 451


async def test_a_mailbox_that_does_not_exist_is_refused_and_the_others_are_served(
    sink: MailSink, store: InboxStore
) -> None:
    await send(sink, a_mail(), "nobody@customer.example", "siti@customer.example")
    (message,) = await store.wait_for("siti@customer.example")
    assert message.recipients == ("siti@customer.example",)
    with pytest.raises(aiosmtplib.SMTPRecipientsRefused) as refusal:
        await send(sink, a_mail(), "nobody@customer.example")
    assert refusal.value.recipients[0].code == 550


async def test_a_sender_that_pauses_before_the_final_dot_finds_the_connection_gone(
    sink: MailSink, store: InboxStore
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", sink.port)
    await reader.readline()
    for command in ("EHLO me", "MAIL FROM:<a@b.example>", "RCPT TO:<siti@customer.example>", "DATA"):
        writer.write(f"{command}\r\n".encode())
        while (await reader.readline())[3:4] == b"-":
            pass
    writer.write(b"Subject: late\r\n\r\nhello\r\n")
    started = time.monotonic()
    assert await reader.read() == b"", "the connection is closed without a word"
    assert 1.5 < time.monotonic() - started < 3
    with pytest.raises(ConnectionError):
        for _ in range(50):
            writer.write(b".\r\n")
            await writer.drain()
            await asyncio.sleep(0.01)
    writer.close()
    assert await store.messages() == ()


async def test_the_port_of_another_is_named(store: InboxStore) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PortTaken, match=rf"for mail on 127\.0\.0\.1:{port}.*choose another SMTP port"):
            await MailSink(store, port=port).start()


async def test_a_stop_does_not_wait_for_those_who_are_connected(store: InboxStore) -> None:
    sink = MailSink(store)
    await sink.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", sink.port)
    await reader.readline()
    async with asyncio.timeout(1):
        await sink.stop()
        assert await reader.read() == b""
    writer.close()


# --- SMS in ----------------------------------------------------------------------------------------------------------


async def test_an_sms_is_kept_once_however_often_it_is_posted(store: InboxStore, browser: AsyncClient) -> None:
    sms = {"to": "+628111234", "text": "Faktur 7 jatuh tempo hari ini.", "id": "notice-1"}
    assert (await browser.post("/sms", json=sms)).json() == {"id": "notice-1", "status": "accepted"}
    assert (await browser.post("/sms", json=sms)).json() == {"id": "notice-1", "status": "known"}
    (message,) = await store.wait_for("+628111234")
    assert (message.kind, message.excerpt) == (Kind.SMS, sms["text"])

    other = await browser.post("/sms", json={**sms, "text": "another text"})
    assert other.status_code == 409
    assert "an id of its own" in other.json()["title"]
    with pytest.raises(SmsConflict):
        await store.add_sms(to="+62999", text=sms["text"], key="notice-1")


async def test_an_sms_carries_its_senders_time(store: InboxStore, browser: AsyncClient) -> None:
    at = "2027-01-05T10:00:00+07:00"
    await browser.post("/sms", json={"to": "+62811", "text": "halo", "id": "2", "at": at})
    (message,) = await store.received("+62811")
    assert message.moment == datetime(2027, 1, 5, 3, tzinfo=UTC)


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        (b"not json", 422, "expected"),
        (b"[]", 422, "expected"),
        (b'{"to": "+62811", "text": "x"}', 422, "id: Field required"),
        (b'{"to": "+62811", "text": "", "id": "1"}', 422, "text"),
        (b'{"to": "+62811", "text": 7, "id": "1"}', 422, "text"),
        (b'{"to": "+62811", "text": "x", "id": "1", "from": "me"}', 422, "from: Extra"),
        (b'{"to": "+62811", "text": "x", "id": "1", "at": "2026-01-01T00:00:00"}', 422, "at"),
        (b'{"to": "+62811", "text": "\\ud800", "id": "1"}', 422, "expected"),
        (b'{"to": "+62811", "text": "' + b"x" * 70_000 + b'", "id": "1"}', 413, "at most"),
    ],
)
async def test_a_request_that_is_no_sms_is_refused_with_a_reason(
    store: InboxStore, browser: AsyncClient, body: bytes, status: int, says: str
) -> None:
    answer = await browser.post("/sms", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert says in answer.json()["title"]
    assert "+62811" not in answer.text
    assert await store.messages() == ()


async def test_another_site_cannot_make_a_browser_post_an_sms(store: InboxStore, browser: AsyncClient) -> None:
    form = await browser.post(
        "/sms", content=b'{"to": "1", "text": "x", "id": "1"}', headers={"content-type": "text/plain"}
    )
    assert form.status_code == 415
    assert await store.messages() == ()


# --- reading ---------------------------------------------------------------------------------------------------------


async def test_the_list_shows_the_newest_first_and_finds_a_recipient(store: InboxStore, browser: AsyncClient) -> None:
    for number in range(55):
        await store.add_mail(
            a_mail(f"Number {number}").as_bytes(), sender="a@b.example", recipients=[f"c{number % 5}_x@d.example"]
        )
    page = (await browser.get("/")).text
    shown = re.findall(r"Number (\d+)", page)
    assert shown == [str(number) for number in range(54, 4, -1)]
    older = re.search(r'class="older" href="([^"]+)"', page)
    assert older is not None
    assert re.findall(r"Number (\d+)", (await browser.get(older[1])).text) == ["4", "3", "2", "1", "0"]

    found = re.findall(r"Number (\d+)", (await browser.get("/", params={"to": "C3_"})).text)
    assert found == [str(number) for number in range(53, 0, -5)]
    assert "Nothing was sent to" in (await browser.get("/", params={"to": "%"})).text
    assert (await browser.get("/newest")).json() == {"newest": 55}


async def test_a_hostile_mail_stays_in_its_frame(store: InboxStore, browser: AsyncClient) -> None:
    html = '<html><head><title>x</title></head><body><script>alert(1)</script><img src="https://spy.example/x.png">'
    mail = a_mail('<script>alert("subject")</script>', html=html)
    message = await store.add_mail(mail.as_bytes(), sender="<img src=x>", recipients=['"<b>"@x.example'])

    for view in ("", "?view=text", "?view=headers", "?view=nonsense&to=<script>"):
        page = await browser.get(f"/messages/{message.id}{view}")
        assert page.status_code == 200
        assert "<script>alert" not in page.text
        assert "<img src=x" not in page.text
        assert "<b>" not in page.text
        assert "script-src 'self'" in page.headers["content-security-policy"]
        assert "unsafe" not in page.headers["content-security-policy"]
    assert re.search(
        r'<iframe [^>]*sandbox="allow-popups allow-popups-to-escape-sandbox"',
        (await browser.get(f"/messages/{message.id}")).text,
    )

    frame = await browser.get(f"/messages/{message.id}/page")
    assert '<head><base target="_blank">' in frame.text
    policy = frame.headers["content-security-policy"]
    assert policy.startswith("sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none';")
    assert "script-src" not in policy
    assert "img-src data:;" in policy
    assert frame.headers["x-content-type-options"] == "nosniff"
    assert frame.headers["referrer-policy"] == "no-referrer"


async def test_attachments_open_or_download_and_pictures_inside_are_shown(
    store: InboxStore, browser: AsyncClient
) -> None:
    mail = a_mail(html='<p>Hello <img src="cid:seal"></p>')
    html = mail.get_body(("html",))
    assert html is not None
    html.add_related(PIXEL, "image", "png", cid="<seal>")
    mail.add_attachment(b"%PDF-1.7 faktur", maintype="application", subtype="pdf", filename="faktur é.pdf")
    mail.add_attachment("<script>alert(1)</script>", subtype="html", filename='evil".html')
    message = await store.add_mail(mail.as_bytes(), sender="a@b.example", recipients=["siti@customer.example"])
    assert message.attachments == 2

    page = (await browser.get(f"/messages/{message.id}")).text
    pdf, evil = re.findall(r'href="(/messages/\d+/parts/\d+)"', page)
    opened = await browser.get(pdf)
    assert opened.content == b"%PDF-1.7 faktur"
    assert opened.headers["content-type"] == "application/pdf"
    assert opened.headers["content-disposition"] == "inline; filename*=UTF-8''faktur%20%C3%A9.pdf"
    kept = await browser.get(evil)
    assert kept.headers["content-type"] == "application/octet-stream"
    assert kept.headers["content-disposition"].startswith("attachment; filename*=UTF-8''evil%22.html")
    assert 'src="data:image/png;base64,' in (await browser.get(f"/messages/{message.id}/page")).text
    assert (await browser.get(f"/messages/{message.id}/parts/99")).status_code == 404


async def test_text_links_headers_and_source_are_shown(store: InboxStore, browser: AsyncClient) -> None:
    message = await store.add_mail(
        a_mail().as_bytes(), sender="bounce@contoh.example", recipients=["siti@customer.example"]
    )
    page = (await browser.get(f"/messages/{message.id}")).text
    assert '<a href="https://pay.example/7?a=1&amp;b=2" target="_blank" rel="noopener noreferrer">' in page
    assert "view=phone" not in page, "a mail without HTML has no phone view"
    assert "3 Mar 2026, 09:15" in page
    headers = (await browser.get(f"/messages/{message.id}?view=headers")).text
    assert "&lt;7.1@contoh.example&gt;" in headers
    assert "bounce@contoh.example" in headers
    source = await browser.get(f"/messages/{message.id}/source")
    assert source.content == a_mail().as_bytes()
    assert source.headers["content-type"] == "message/rfc822"


async def test_an_sms_shows_the_conversation_with_its_number(store: InboxStore, browser: AsyncClient) -> None:
    for day, text in enumerate(("first", "second <b>", "third https://pay.example/7"), 1):
        at = datetime(2026, 3, day, 2, tzinfo=UTC)
        await store.add_sms(to="+62811", text=text, key=text, sent_at=at)
    message, _ = await store.add_sms(to="+62899", text="for another", key="x")
    page = (await browser.get("/messages/2")).text
    thread = page[page.index('class="thread"') :]
    assert [text for text in ("first", "second &lt;b&gt;", "third <a ") if text in thread] == [
        "first",
        "second &lt;b&gt;",
        "third <a ",
    ]
    assert "for another" not in thread
    assert "Sunday, 1 March 2026" in thread
    assert "09:00" in thread, "in the inbox's own zone"
    assert (await browser.get(f"/messages/{message.id}/page")).status_code == 404
    assert (await browser.get("/messages/999")).status_code == 404


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xff\xfe\x00",
        b"no header at all",
        b"Subject: =?utf-8?q?=ZZ?=\r\nTo: <<<>>>,,@\r\nDate: 99 Foo 99999\r\nFrom: \xe9\r\n\r\nx",
        b"Content-Type: text/html; charset=no-such\r\n\r\n<p>hi \xe9",
        b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Transfer-Encoding: base64\r\n\r\n%%%\r\n",
        b"Content-Type: multipart/mixed\r\nMessage-ID: [\r\nContent-Disposition: attachment; filename*=x'y\r\n\r\n--x",
        b"To: " + b"=?utf-8?b?" * 200 + b"\r\nDate: Tue, 03 Mar 2026 09:15:00 -0000\r\n\r\n",
    ],
)
async def test_a_broken_mail_is_shown_as_well_as_can_be(store: InboxStore, browser: AsyncClient, raw: bytes) -> None:
    read_mail(raw)
    message = await store.add_mail(raw, sender="", recipients=["siti@customer.example"])
    for view in ("phone", "text", "headers"):
        assert (await browser.get(f"/messages/{message.id}?view={view}")).status_code == 200
