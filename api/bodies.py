"""Bodies: never more than the limit is taken in, only JSON is read, and only as `strictjson` understands it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from email.message import Message as Header
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import strictjson
from api.errors import Kind, Problem

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class BodyLimit:
    """Middleware: counts a body while it streams in, whatever its Content-Length says, and stops at the limit."""

    def __init__(self, app: ASGIApp, *, limit: int) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if declared.isdigit() and int(declared[:20]) > self._limit:
            await self._too_large().response()(scope, receive, send)
            return
        taken = 0

        async def counted() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > self._limit:
                raise self._too_large()
            return message

        await self._app(scope, counted, send)

    def _too_large(self) -> Problem:
        # The connection is closed: the rest of such a body is of no interest, and must not be waited for.
        return Problem(
            Kind.TOO_LARGE,
            f"a body has at most {self._limit} bytes: send less at a time",
            headers={"Connection": "close"},
        )


class StrictRequest(Request):
    """A request whose JSON is read by `strictjson`."""

    async def json(self) -> Any:
        try:
            return strictjson.loads(await self.body())
        except strictjson.BadJson as error:
            raise Problem(Kind.MALFORMED, f"the body cannot be read: {error}") from None


class StrictRoute(APIRoute):
    """A route that takes JSON, and says so when it is sent something else."""

    def get_route_handler(self) -> Handler:
        handle = super().get_route_handler()
        takes_a_body = self.body_field is not None

        async def strictly(request: Request) -> Response:
            if not isinstance(request, StrictRequest):
                request = StrictRequest(request.scope, request.receive)
            if takes_a_body and await request.body():
                _check_media_type(request.headers.get("content-type", ""))
            return await handle(request)

        return strictly


def _check_media_type(written: str) -> None:
    header = Header()
    header["content-type"] = written or "none/none"
    charset = header.get_content_charset("utf-8")
    kind = header.get_content_type()
    is_json = kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))
    if not is_json or charset not in ("utf-8", "utf8"):
        raise Problem(Kind.MEDIA, "the body is not declared as JSON: send it with Content-Type: application/json")
