"""The inbox's page, and its door for SMS: `inbox_app(store)` is an ASGI application, to be served or mounted anywhere.

A mail is shown in a sandboxed frame under a policy of its own: no scripts, no forms, nothing fetched from anywhere; its
links open in a new tab. Nothing that is only looked at changes anything.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from deploy.embedded.inbox.reading import Mail, read_mail
from deploy.embedded.inbox.store import InboxStore, Kind, Message, SmsConflict

_FOLDER = Path(__file__).parent
_PAGE_SIZE = 50
_LARGEST_SMS_REQUEST_BYTES = 64 * 1024

_PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; frame-src 'self'; "
    "img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_MAIL_POLICY = (
    "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; style-src 'unsafe-inline'; "
    "img-src data:; font-src data:; base-uri 'self'; form-action 'none'; frame-ancestors 'self'"
)
_COMMON_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
# None of these can run a script of the sender's; anything else is downloaded.
_OPENS_IN_THE_BROWSER = frozenset({"application/pdf", "image/gif", "image/jpeg", "image/png", "image/webp"})
_FRAME_HEAD = '<base target="_blank"><style>:root { scrollbar-width: thin }</style>'
_ASSETS = {"inbox.css": "text/css; charset=utf-8", "inbox.js": "text/javascript; charset=utf-8"}


class Sms(BaseModel):
    """What a gateway adapter posts: one SMS. `id` is the sender's, `at` its own idea of when."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    to: Annotated[str, Field(min_length=1, max_length=40)]
    text: Annotated[str, Field(min_length=1, max_length=2000)]
    id: Annotated[str, Field(min_length=1, max_length=200)]
    at: AwareDatetime | None = None


class View(StrEnum):
    """How a mail is looked at."""

    PHONE = "phone"
    WIDE = "wide"
    TEXT = "text"
    HEADERS = "headers"


def inbox_app(store: InboxStore, *, zone: tzinfo = UTC) -> Starlette:
    """The application: `GET /` and below to read, `POST /sms` with `{to, text, id}` (and `at`) to deliver an SMS.

    `zone` is for the moments of messages that carry none of their own.
    """
    inbox = _Inbox(store, zone)
    return Starlette(
        routes=[
            Route("/", inbox.index, name="index"),
            Route("/newest", inbox.newest),
            Route("/sms", inbox.take_sms, methods=["POST"]),
            Route("/assets/{name}", inbox.asset),
            Route("/messages/{id:int}", inbox.read),
            Route("/messages/{id:int}/page", inbox.page_of_mail),
            Route("/messages/{id:int}/source", inbox.source),
            Route("/messages/{id:int}/parts/{number:int}", inbox.part),
        ],
        exception_handlers={HTTPException: _problem},
    )


class _Inbox:
    def __init__(self, store: InboxStore, zone: tzinfo) -> None:
        self._store = store
        environment = Environment(
            loader=FileSystemLoader(_FOLDER),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        filters: dict[str, Callable[[Any], object]] = {
            "moment": lambda moment: f"{_at_home(moment, zone):%-d %b %Y, %H:%M}",
            "short": lambda moment: f"{_at_home(moment, zone):%-d %b, %H:%M}",
            "day": lambda moment: f"{_at_home(moment, zone):%A, %-d %B %Y}",
            "clock": lambda moment: f"{_at_home(moment, zone):%H:%M}",
            "bytes": _bytes_in_words,
            "linked": _linked,
        }
        environment.filters.update(filters)
        self._template = environment.get_template("page.html.j2")

    async def index(self, request: Request) -> Response:
        """The list alone."""
        return await self._page(request, None)

    async def read(self, request: Request) -> Response:
        """The list, and one message beside it."""
        return await self._page(request, await self._wanted(request))

    async def page_of_mail(self, request: Request) -> Response:
        """A mail's HTML, for the frame."""
        mail = await self._mail(request)
        if mail.html is None:
            raise HTTPException(404, "this mail has no HTML part; read it as text")
        return HTMLResponse(_framed(mail.html), headers={**_COMMON_HEADERS, "Content-Security-Policy": _MAIL_POLICY})

    async def source(self, request: Request) -> Response:
        """A mail as it came, to be kept as a file."""
        message = await self._wanted(request)
        return Response(
            await self._store.raw(message),
            media_type="message/rfc822" if message.kind is Kind.MAIL else "text/plain; charset=utf-8",
            headers={**_COMMON_HEADERS, "Content-Disposition": f'attachment; filename="message-{message.id}.eml"'},
        )

    async def part(self, request: Request) -> Response:
        """An attachment: a PDF or a picture opens in the browser, anything else is downloaded."""
        mail = await self._mail(request)
        wanted = request.path_params["number"]
        found = next((attachment for attachment in mail.attachments if attachment.number == wanted), None)
        if found is None:
            raise HTTPException(404, "this mail has no such attachment")
        opens = found.content_type in _OPENS_IN_THE_BROWSER
        disposition = f"{'inline' if opens else 'attachment'}; filename*=UTF-8''{quote(found.name, safe='')}"
        return Response(
            found.content,
            media_type=found.content_type if opens else "application/octet-stream",
            headers={
                **_COMMON_HEADERS,
                "Content-Disposition": disposition,
            },
        )

    async def newest(self, request: Request) -> Response:
        """The newest message's id, for the page to ask whether there is more."""
        found = await self._store.messages(limit=1)
        return JSONResponse({"newest": found[0].id if found else 0}, headers=_COMMON_HEADERS)

    async def asset(self, request: Request) -> Response:
        """The page's style and script."""
        name = request.path_params["name"]
        if name not in _ASSETS:
            raise HTTPException(404, "there is no such file")
        return Response((_FOLDER / name).read_bytes(), media_type=_ASSETS[name], headers={"Cache-Control": "no-cache"})

    async def take_sms(self, request: Request) -> Response:
        """Stores an SMS and says so; the same id again changes nothing."""
        sms = _sms(await _limited_body(request))
        try:
            message, new = await self._store.add_sms(to=sms.to, text=sms.text, key=sms.id, sent_at=sms.at)
        except SmsConflict as conflict:
            raise HTTPException(409, str(conflict)) from None
        return JSONResponse({"id": message.key, "status": "accepted" if new else "known"}, headers=_COMMON_HEADERS)

    async def _page(self, request: Request, message: Message | None) -> Response:
        to = request.query_params.get("to", "").strip()
        before = request.query_params.get("before", "")
        listed = await self._store.messages(
            to=to, before=int(before) if before.isdecimal() else None, limit=_PAGE_SIZE + 1
        )
        newest = await self._store.messages(limit=1)
        mail = read_mail(await self._store.raw(message)) if message and message.kind is Kind.MAIL else None
        view = _view(request.query_params.get("view", ""), mail)
        thread = (
            await self._store.messages(to=message.recipients[0], kind=Kind.SMS, limit=200)
            if message and message.kind is Kind.SMS
            else ()
        )
        root = request.scope.get("root_path", "")

        def link(path: str, **query: object) -> str:
            kept = {name: value for name, value in {"to": to, **query}.items() if value}
            return f"{root}{path}" + (f"?{urlencode(kept)}" if kept else "")

        page = self._template.render(
            root=root,
            link=link,
            to=to,
            listed=listed[:_PAGE_SIZE],
            older=listed[_PAGE_SIZE - 1].id if len(listed) > _PAGE_SIZE else None,
            newest=newest[0].id if newest else 0,
            message=message,
            mail=mail,
            view=view,
            views=[one for one in View if mail and (mail.html or one not in (View.PHONE, View.WIDE))],
            thread=sorted(thread, key=lambda one: one.id),
        )
        return HTMLResponse(page, headers={**_COMMON_HEADERS, "Content-Security-Policy": _PAGE_POLICY})

    async def _wanted(self, request: Request) -> Message:
        message = await self._store.message(request.path_params["id"])
        if message is None:
            raise HTTPException(404, "there is no such message in this inbox")
        return message

    async def _mail(self, request: Request) -> Mail:
        message = await self._wanted(request)
        if message.kind is not Kind.MAIL:
            raise HTTPException(404, "this message is an SMS")
        return read_mail(await self._store.raw(message))


def _view(asked: str, mail: Mail | None) -> View:
    possible = {View.TEXT, View.HEADERS} if mail is None or mail.html is None else set(View)
    if asked in possible:
        return View(asked)
    return View.PHONE if View.PHONE in possible else View.TEXT


async def _limited_body(request: Request) -> bytes:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        # Also keeps out what another site could make a browser send.
        raise HTTPException(415, "send the SMS as application/json")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LARGEST_SMS_REQUEST_BYTES:
            raise HTTPException(413, f"an SMS request is at most {_LARGEST_SMS_REQUEST_BYTES} bytes long")
    return bytes(body)


def _sms(body: bytes) -> Sms:
    try:
        return Sms.model_validate_json(body)
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(str(place) for place in one['loc']) or 'body'}: {one['msg']}"
            for one in error.errors(include_input=False, include_url=False, include_context=False)
        )
        raise HTTPException(422, f'expected {{"to": "+62…", "text": "…", "id": "…"}}, but {wrong}') from None


def _framed(page: str) -> str:
    """A mail's page, with its links opening in a new tab, and a scroll bar as thin as a phone's."""
    changed, count = re.subn(r"(?i)<head(\s[^>]*)?>", lambda head: head[0] + _FRAME_HEAD, page, count=1)
    return changed if count else _FRAME_HEAD + page


def _linked(text: str) -> Markup:
    """Text with its web addresses as links that open in a new tab."""
    pieces = re.split(r"(https?://[^\s<>\"']+)", text)
    return Markup("").join(
        Markup('<a href="{0}" target="_blank" rel="noopener noreferrer">{0}</a>').format(piece) if place % 2 else piece
        for place, piece in enumerate(pieces)
    )


def _at_home(moment: datetime, zone: tzinfo) -> datetime:
    """A mail's date stays in the zone that its sender wrote; UTC, which is nobody's wish, becomes the inbox's zone."""
    return moment.astimezone(zone) if moment.utcoffset() == timedelta(0) else moment


def _bytes_in_words(size: int) -> str:
    return f"{size} B" if size < 1000 else f"{size / 1000:.0f} kB" if size < 1_000_000 else f"{size / 1_000_000:.1f} MB"


async def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse(
        {"status": error.status_code, "title": error.detail},
        status_code=error.status_code,
        media_type="application/problem+json",
        headers=_COMMON_HEADERS,
    )
