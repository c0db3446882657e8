"""Xendit, simulated: payment requests and sessions, their cancelling, payments, and `payment.capture` webhooks."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from deploy.simulator.settings import SimulatorSettings
from deploy.simulator.speaking import basic_user, digits, hundredths, object_of, qris, same
from deploy.simulator.store import ENDED, OPEN, PAID, Paper, Store, now
from deploy.simulator.telling import Webhook, json_webhook

_BANKS = {"BCA": "10766", "MANDIRI": "88908", "BNI": "8808", "BRI": "13282", "PERMATA": "7293"}


def xendit_router(store: Store, settings: SimulatorSettings) -> APIRouter:
    """The part of Xendit's API that makes and voids instruments, and confirms payments."""
    router, api = APIRouter(), _Xendit(store, settings)
    routes: tuple[tuple[str, Callable[..., Awaitable[JSONResponse]], list[str]], ...] = (
        ("/v3/payment_requests", api.create, ["POST"]),
        ("/v3/payment_requests/{id_}", api.read, ["GET"]),
        ("/v3/payment_requests/{id_}/cancel", api.cancel, ["POST"]),
        ("/sessions", api.session, ["POST"]),
        ("/sessions/{id_}", api.read_session, ["GET"]),
        ("/sessions/{id_}/cancel", api.cancel_session, ["POST"]),
        ("/v3/payments/{payment}", api.payment, ["GET"]),
    )
    for path, answer, methods in routes:
        router.add_api_route(path, answer, methods=methods, response_model=None)
    return router


class _Xendit:
    def __init__(self, store: Store, settings: SimulatorSettings) -> None:
        self._store = store
        self._settings = settings

    def _refused(self, request: Request) -> JSONResponse | None:
        if same(basic_user(request), self._settings.keys.xendit_secret):
            return None
        return _error(401, "INVALID_API_KEY")

    async def create(self, request: Request) -> JSONResponse:
        if (no := self._refused(request)) is not None:
            return no
        key, body = request.headers.get("idempotency-key"), await object_of(request)
        if (made := self._store.made_under("xendit", key)) is not None:
            return JSONResponse(_request(made, self._settings), 201)
        try:
            minor, reference = hundredths(body["request_amount"]), str(body["reference_id"])
            channel, properties = str(body["channel_code"]), body["channel_properties"]
        except (KeyError, ValueError):
            return _error(400, "API_VALIDATION_ERROR")
        bank = channel.removesuffix("_VIRTUAL_ACCOUNT")
        is_account = bank != channel
        if (is_account and bank not in _BANKS) or (not is_account and channel != "QRIS"):
            return _error(400, "CHANNEL_UNAVAILABLE")
        paper = Paper(
            id=f"pr-{secrets.token_hex(18)}", provider="xendit", kind="virtual_account" if is_account else "qris",
            reference=reference, minor=minor, currency="IDR", label=str(body.get("description", "")),
            name=str(properties.get("display_name", "")), expires_at=_iso(properties.get("expires_at")),
            bank=bank if is_account else "", number=_BANKS[bank] + digits(11) if is_account else "",
            qr="" if is_account else qris(minor, reference), channel=channel, metadata=body.get("metadata") or {},
        )  # fmt: skip
        return JSONResponse(_request(self._store.add(paper, key), self._settings), 201)

    async def read(self, id_: str, request: Request) -> JSONResponse:
        if (no := self._refused(request)) is not None:
            return no
        paper = self._store.get(id_)
        return JSONResponse(_request(paper, self._settings)) if paper else _error(404, "DATA_NOT_FOUND")

    async def cancel(self, id_: str, request: Request) -> JSONResponse:
        return self._refused(request) or _cancelled(self._store, self._settings, id_)

    async def session(self, request: Request) -> JSONResponse:
        if (no := self._refused(request)) is not None:
            return no
        key, body = request.headers.get("idempotency-key"), await object_of(request)
        if (made := self._store.made_under("xendit", key)) is not None:
            return JSONResponse(_session(made, self._settings), 201)
        try:
            minor, reference = hundredths(body["amount"]), str(body["reference_id"])
        except (KeyError, ValueError):
            return _error(400, "API_VALIDATION_ERROR")
        paper = Paper(
            id=f"ps-{secrets.token_hex(12)}", provider="xendit", kind="link", reference=reference, minor=minor,
            currency="IDR", label=str(body.get("description", "")), name="", expires_at=_iso(body.get("expires_at")),
            channel="CARDS", metadata=body.get("metadata") or {},
        )  # fmt: skip
        return JSONResponse(_session(self._store.add(paper, key), self._settings), 201)

    async def read_session(self, id_: str, request: Request) -> JSONResponse:
        if (no := self._refused(request)) is not None:
            return no
        paper = self._store.get(id_)
        return JSONResponse(_session(paper, self._settings)) if paper else _error(404, "DATA_NOT_FOUND")

    async def cancel_session(self, id_: str, request: Request) -> JSONResponse:
        return self._refused(request) or _cancelled(self._store, self._settings, id_)

    async def payment(self, payment: str, request: Request) -> JSONResponse:
        if (no := self._refused(request)) is not None:
            return no
        paper = self._store.find("xendit", payment=payment)
        return JSONResponse(_payment(paper)) if paper and paper.state == PAID else _error(404, "DATA_NOT_FOUND")


def xendit_webhooks(paper: Paper, settings: SimulatorSettings) -> tuple[Webhook, Webhook]:
    """What is told of a payment: that it was begun, and that it is there."""
    headers = {"x-callback-token": settings.keys.xendit_token}
    begun = {"event": "payment.pending", "created": paper.paid_at, "data": {**_payment(paper), "status": "PENDING"}}
    paid = {"event": "payment.capture", "created": paper.paid_at, "data": _payment(paper)}
    return json_webhook("xendit", begun, headers), json_webhook("xendit", paid, headers)


def _request(paper: Paper, settings: SimulatorSettings) -> dict[str, Any]:
    shown = [("VIRTUAL_ACCOUNT_NUMBER", paper.number), ("QR_STRING", paper.qr), ("WEB_URL", settings.page(paper.id))]
    return {
        "payment_request_id": paper.id,
        "reference_id": paper.reference,
        "type": "PAY",
        "country": "ID",
        "currency": paper.currency,
        "request_amount": paper.minor / 100 if paper.minor % 100 else paper.minor // 100,
        "channel_code": paper.channel,
        "channel_properties": {"display_name": paper.name, "expires_at": paper.expires_at},
        "actions": [
            {"type": "PRESENT_TO_CUSTOMER", "descriptor": what, "value": value} for what, value in shown if value
        ],
        "status": {OPEN: "REQUIRES_ACTION", PAID: "SUCCEEDED", ENDED: "CANCELED"}[paper.standing(now())],
        "metadata": paper.metadata,
    }


def _session(paper: Paper, settings: SimulatorSettings) -> dict[str, Any]:
    return {
        "payment_session_id": paper.id,
        "reference_id": paper.reference,
        "status": {OPEN: "ACTIVE", PAID: "COMPLETED", ENDED: "CANCELED"}[paper.standing(now())],
        "expires_at": paper.expires_at,
        "payment_link_url": settings.page(paper.id),
    }


def _payment(paper: Paper) -> dict[str, Any]:
    about = "payment_session_id" if paper.kind == "link" else "payment_request_id"
    return {
        "payment_id": paper.payment,
        about: paper.id,
        "reference_id": paper.reference,
        "type": "PAY",
        "status": "SUCCEEDED",
        "currency": paper.currency,
        "country": "ID",
        "request_amount": paper.minor // 100,
        "channel_code": paper.channel,
        "captures": [
            {
                "capture_id": f"cptr-{paper.payment}",
                "capture_amount": paper.minor // 100,
                "capture_timestamp": paper.paid_at,
            }
        ],
        "metadata": paper.metadata,
        "created": paper.paid_at,
        "updated": paper.paid_at,
    }


def _cancelled(store: Store, settings: SimulatorSettings, id_: str) -> JSONResponse:
    paper = store.get(id_)
    if paper is None:
        return _error(404, "DATA_NOT_FOUND")
    if paper.standing(now()) != OPEN:
        return _error(400, "INVALID_STATUS")
    paper.state = ENDED
    store.keep()
    return JSONResponse(_session(paper, settings) if paper.kind == "link" else _request(paper, settings))


def _iso(at: object) -> str:
    return str(at).replace("Z", "+00:00") if at else ""


def _error(status: int, code: str) -> JSONResponse:
    return JSONResponse({"error_code": code, "message": code.replace("_", " ").lower()}, status)
