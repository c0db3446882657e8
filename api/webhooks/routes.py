"""The URLs that are registered at payment providers. None needs an API key, and none is in the API's documentation."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime

from fastapi import APIRouter, BackgroundTasks, Request, Response
from fastapi.responses import JSONResponse

from api.errors import Kind, Problem
from api.services import House, Services
from api.webhooks.answers import answer
from api.webhooks.receiving import dialect_of, receive
from lunas.providers import snap
from lunas.providers.events import Forged, Malformed, Stale
from lunas.providers.signing import check_moment, header, iso_moment

router = APIRouter(include_in_schema=False)

_ACCESS = "73"  # the service code of access tokens
_TOKEN_LASTS = 900  # seconds


@router.post("/webhooks/{provider}")
async def take_delivery(provider: str, request: Request, house: House, later: BackgroundTasks) -> Response:
    """Take a provider's notification in."""
    return await _take(provider, request, house, later)


@router.post(f"/webhooks/snap{snap.PAYMENT_PATH}")
async def take_snap_payment(request: Request, house: House, later: BackgroundTasks) -> Response:
    """The same under the path of the SNAP standard, which banks put after the address that they are given."""
    return await _take(snap.NAME, request, house, later)


@router.post("/webhooks/snap/v1.0/access-token/b2b")
async def give_snap_token(request: Request, house: House) -> Response:
    """An access token for a provider that wants one before it notifies.

    It becomes a part of what is signed and opens nothing by itself: the signature of the notification is what counts.
    """
    keys = [key for key in _keys(house) if snap.is_pem(key)]
    headers = {name.lower(): value for name, value in request.headers.items()}
    try:
        timestamp = header(headers, "x-timestamp", 64)
        message = snap.token_request(header(headers, "x-client-key", 200), timestamp)
        signature = header(headers, "x-signature")
        if not any(snap.is_signed(message, signature, key) for key in keys):
            raise Forged("no key of ours made the signature")
        check_moment(iso_moment(timestamp, "x-timestamp"), datetime.now(UTC))
    except (Forged, Stale):
        return JSONResponse(_token_answer(401, "Unauthorized. Signature"), 401)
    except Malformed:
        return JSONResponse(_token_answer(400, "Invalid timestamp format [X-TIMESTAMP]"), 400)
    token = {"accessToken": secrets.token_urlsafe(32), "tokenType": "BearerToken", "expiresIn": str(_TOKEN_LASTS)}
    return JSONResponse({**_token_answer(200, "Successful"), **token})


async def _take(provider: str, request: Request, house: Services, later: BackgroundTasks) -> Response:
    dialect = dialect_of(house, provider)
    if dialect is None:
        raise _off()
    received = await receive(house, dialect, request, later)
    response = answer(provider, received)
    response.background = later
    return response


def _keys(house: Services) -> tuple[str, ...]:
    keys = house.settings.webhook_keys(snap.NAME)
    if not keys:
        raise _off()
    return keys


def _off() -> Problem:
    return Problem(Kind.NOT_FOUND, "no payment provider of that name is set up here")


def _token_answer(status: int, message: str) -> dict[str, str]:
    return {"responseCode": f"{status}{_ACCESS}00", "responseMessage": message}
