"""The last wall: what nobody handled becomes a 500 that tells the client nothing, and a line in our log."""

from __future__ import annotations

import traceback
import uuid
from pathlib import Path

import structlog
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import Kind, Problem
from api.metrics import route_of

log = structlog.get_logger(__name__)


class Faults:
    """Middleware: answers and logs what nobody handled.

    The log has the error's type and where it was raised, never its words: a database's error quotes the row.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except ClientDisconnect:
            return  # nobody is there to be answered
        except Exception as error:
            if scope["type"] != "http":
                raise
            instance = f"urn:uuid:{uuid.uuid4()}"
            log.error(
                "request_failed",
                instance=instance,
                method=scope["method"],
                route=route_of(scope),
                error=type(error).__qualname__,
                raised_at=_places(error),
            )
            if not started:
                await _answer(instance)(scope, receive, send)


def _answer(instance: str) -> ASGIApp:
    detail = (
        "a fault of ours, which is in our log under this instance: the request may be sent again; nothing is done twice"
    )
    return Problem(Kind.FAULT, detail, instance=instance).response()


def _places(error: BaseException) -> list[str]:
    """Where the error and its causes were raised: file, line and function, the innermost last."""
    frames = [
        f"{Path(frame.filename).name}:{frame.lineno} {frame.name}"
        for frame in traceback.extract_tb(error.__traceback__)[-8:]
    ]
    cause = error.__cause__
    return [*frames, f"because of {type(cause).__qualname__}", *_places(cause)] if cause else frames
