"""A bank that speaks SNAP, simulated: tokens, virtual accounts, and payment notifications signed with the secret.

Whoever asks for a token is known by the client's name; the RSA signature of that one request is not looked at. Every
other request has to carry the right HMAC.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from deploy.simulator.settings import SimulatorSettings
from deploy.simulator.speaking import hundredths, object_of, same
from deploy.simulator.store import ENDED, OPEN, PAID, Paper, Store, now
from deploy.simulator.telling import Webhook

_ZONE = ZoneInfo("Asia/Jakarta")
_ROOT = "/snap/v1.0"


def snap_router(store: Store, settings: SimulatorSettings) -> APIRouter:
    """The part of the standard that makes, deletes and looks up virtual accounts."""
    router, api = APIRouter(), _Snap(store, settings)
    routes: tuple[tuple[str, Callable[..., Awaitable[JSONResponse]], list[str]], ...] = (
        (f"{_ROOT}/access-token/b2b", api.token, ["POST"]),
        (f"{_ROOT}/transfer-va/create-va", api.create, ["POST"]),
        (f"{_ROOT}/transfer-va/delete-va", api.delete, ["DELETE", "POST"]),
        (f"{_ROOT}/transfer-va/status", api.status, ["POST"]),
    )
    for path, answer, methods in routes:
        router.add_api_route(path, answer, methods=methods, response_model=None)
    return router


class _Snap:
    def __init__(self, store: Store, settings: SimulatorSettings) -> None:
        self._store = store
        self._settings = settings
        self._tokens: set[str] = set()

    async def token(self, request: Request) -> JSONResponse:
        if not same(request.headers.get("x-client-key", ""), self._settings.keys.snap_client):
            return _said("4017300", "Unauthorized. Unknown client")
        made = secrets.token_urlsafe(24)
        self._tokens.add(made)
        said = {"accessToken": made, "tokenType": "BearerToken", "expiresIn": "900"}
        return JSONResponse({"responseCode": "2007300", "responseMessage": "Successful", **said})

    async def _refused(self, request: Request, service: str) -> JSONResponse | None:
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        signed = _to_sign(
            request.method, request.url.path, given, await request.body(), request.headers.get("x-timestamp", "")
        )
        if given in self._tokens and same(
            request.headers.get("x-signature", ""), _mac(signed, self._settings.keys.snap_secret)
        ):
            return None
        return _said(f"401{service}00", "Unauthorized. Signature")

    async def create(self, request: Request) -> JSONResponse:
        if (no := await self._refused(request, "27")) is not None:
            return no
        body = await object_of(request)
        try:
            transaction, number = str(body["trxId"]), str(body["virtualAccountNo"]).strip()
            minor = hundredths(body["totalAmount"]["value"])
            expires_at = str(datetime.fromisoformat(body["expiredDate"]))
        except (KeyError, TypeError, ValueError):
            return _said("4002701", "Invalid Field Format")
        if self._store.find("snap", reference=transaction) is not None:
            return _said("4092701", "Conflict. trxId was used")
        paper = Paper(
            id=f"va-{secrets.token_hex(12)}", provider="snap", kind="virtual_account", reference=transaction,
            minor=minor, currency="IDR", label=transaction, name=str(body.get("virtualAccountName", "")),
            expires_at=expires_at, bank="Bank Simulasi", number=number, channel="virtual_account",
        )  # fmt: skip
        return JSONResponse(_account("2002700", self._store.add(paper), self._settings))

    async def delete(self, request: Request) -> JSONResponse:
        if (no := await self._refused(request, "31")) is not None:
            return no
        paper = self._store.find("snap", reference=str((await object_of(request)).get("trxId", "")))
        if paper is None or paper.standing(now()) != OPEN:
            return _said("4043112", "Invalid Bill/Virtual Account")
        paper.state = ENDED
        self._store.keep()
        return JSONResponse(_account("2003100", paper, self._settings))

    async def status(self, request: Request) -> JSONResponse:
        if (no := await self._refused(request, "26")) is not None:
            return no
        number = str((await object_of(request)).get("virtualAccountNo", "")).strip()
        paper = self._store.find("snap", number=number)
        if paper is None:
            return _said("4042612", "Invalid Bill/Virtual Account")
        said = _account("2002600", paper, self._settings)
        flag = {OPEN: "01", PAID: "00", ENDED: "06"}[paper.standing(now())]
        said["virtualAccountData"]["paymentFlagStatus"] = flag
        return JSONResponse(said)


def snap_webhooks(paper: Paper, settings: SimulatorSettings) -> tuple[Webhook, Webhook]:
    """What is told of a payment. The standard knows no word for one that was begun: the same is told twice."""
    body = json.dumps(
        {
            "partnerServiceId": paper.number[:-12].rjust(8),
            "customerNo": paper.number[-12:],
            "virtualAccountNo": paper.number[:-12].rjust(8) + paper.number[-12:],
            "virtualAccountName": paper.name,
            "trxId": paper.reference,
            "paymentRequestId": paper.payment,
            "paidAmount": {"value": paper.major, "currency": paper.currency},
            "trxDateTime": f"{datetime.fromisoformat(paper.paid_at).astimezone(_ZONE):%Y-%m-%dT%H:%M:%S%z}",
        },
        separators=(",", ":"),
    ).encode()
    external = str(int(hashlib.sha256(paper.payment.encode()).hexdigest()[:24], 16))

    def headers() -> dict[str, str]:
        at = now().astimezone(_ZONE).isoformat(timespec="seconds")
        token = secrets.token_urlsafe(12)
        signed = _to_sign("POST", settings.webhook_path("snap"), token, body, at)
        return {
            "content-type": "application/json",
            "authorization": f"Bearer {token}",
            "x-timestamp": at,
            "x-signature": _mac(signed, settings.keys.snap_secret),
            "x-partner-id": settings.keys.snap_client,
            "x-external-id": external,
            "channel-id": "95221",
        }

    told = Webhook("snap", body, headers)
    return told, told


def _to_sign(method: str, path: str, token: str, body: bytes, at: str) -> str:
    return f"{method}:{path}:{token}:{hashlib.sha256(body).hexdigest()}:{at}"


def _mac(signed: str, secret: str) -> str:
    return base64.b64encode(hmac.new(secret.encode(), signed.encode(), hashlib.sha512).digest()).decode()


def _account(code: str, paper: Paper, settings: SimulatorSettings) -> dict[str, Any]:
    expires = datetime.fromisoformat(paper.expires_at) if paper.expires_at else now() + timedelta(days=1)
    return {
        "responseCode": code,
        "responseMessage": "Successful",
        "virtualAccountData": {
            "virtualAccountNo": paper.number[:-12].rjust(8) + paper.number[-12:],
            "virtualAccountName": paper.name,
            "trxId": paper.reference,
            "totalAmount": {"value": paper.major, "currency": paper.currency},
            "expiredDate": expires.astimezone(_ZONE).isoformat(timespec="seconds"),
            "additionalInfo": {"howToPayPage": settings.page(paper.id)},
        },
    }


def _said(code: str, message: str) -> JSONResponse:
    return JSONResponse({"responseCode": code, "responseMessage": message}, int(code[:3]))
