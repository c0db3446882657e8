"""The answers that providers expect: by them they decide whether to deliver again."""

from __future__ import annotations

from fastapi import Response
from fastapi.responses import JSONResponse

from api.errors import Kind, Problem
from api.webhooks.receiving import MOST_BYTES, Received, Result
from lunas.providers import snap
from lunas.providers.events import Malformed

_AGAIN = {"Retry-After": "30"}
_NOT_DONE = "it is kept, and not done with yet: deliver it again"
_ANOTHER = "an event of this id was delivered before, and said something else: give every event an id of its own"
_TOO_LARGE = f"a notification has at most {MOST_BYTES} bytes"


def answer(provider: str, received: Received) -> Response:
    """200 for what is done with, 4xx for what will never be believed, 5xx for what is to be delivered again."""
    return _snap(received) if provider == snap.NAME else _plain(received)


def _plain(received: Received) -> Response:
    if received.result.is_acknowledged:
        return JSONResponse({"received": True})
    match received.result:
        case Result.FORGED | Result.STALE:
            return Problem(Kind.FORGED, f"{received.error}: nothing was kept or booked").response()
        case Result.MALFORMED:
            return Problem(Kind.MALFORMED, f"the notification cannot be read: {received.error}").response()
        case Result.CONFLICT:
            return Problem(Kind.CONFLICT, _ANOTHER).response()
        case Result.TOO_LARGE:
            return Problem(Kind.TOO_LARGE, _TOO_LARGE, headers={"Connection": "close"}).response()
        case _:
            return Problem(Kind.UNAVAILABLE, _NOT_DONE, headers=_AGAIN).response()


def _snap(received: Received) -> Response:
    """SNAP: the HTTP status stands once more in the code, with the service and the case."""
    if received.result.is_acknowledged:
        return JSONResponse(snap.accepted(received.raw))
    match received.result:
        case Result.FORGED:
            return JSONResponse(snap.refused(401, "00", "Unauthorized. Signature"), 401)
        case Result.STALE:
            return JSONResponse(snap.refused(401, "00", "Unauthorized. X-TIMESTAMP"), 401)
        case Result.MALFORMED:
            assert isinstance(received.error, Malformed)
            return JSONResponse(snap.faulty(received.error), 400)
        case Result.CONFLICT:
            return JSONResponse(snap.refused(409, "00", "Conflict"), 409)
        case Result.TOO_LARGE:
            return JSONResponse(snap.refused(413, "00", _TOO_LARGE), 413, {"Connection": "close"})
        case _:
            return JSONResponse(snap.refused(500, "00", "General Error"), 500, _AGAIN)
