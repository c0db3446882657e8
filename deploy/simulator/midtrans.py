"""Midtrans, simulated: charges by virtual account and QRIS, Snap pages, status, expire and cancel, notifications."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from deploy.simulator.settings import SimulatorSettings
from deploy.simulator.speaking import basic_user, digits, hundredths, object_of, qris, same
from deploy.simulator.store import ENDED, OPEN, PAID, Paper, Store, now
from deploy.simulator.telling import Webhook, json_webhook

_ZONE = ZoneInfo("Asia/Jakarta")
_BANKS = {"bca": "12345", "bni": "9888", "bri": "26215", "permata": "8625", "cimb": "5919"}


def midtrans_router(store: Store, settings: SimulatorSettings) -> APIRouter:
    """The part of Midtrans' APIs that makes and ends instruments, and says how they stand."""
    router, api = APIRouter(), _Midtrans(store, settings)
    routes: tuple[tuple[str, Callable[..., Awaitable[JSONResponse]], list[str]], ...] = (
        ("/v2/charge", api.charge, ["POST"]),
        ("/snap/v1/transactions", api.snap_page, ["POST"]),
        ("/v2/{order}/status", api.status, ["GET"]),
        ("/v2/{order}/{act}", api.end, ["POST"]),
    )
    for path, answer, methods in routes:
        router.add_api_route(path, answer, methods=methods, response_model=None)
    return router


class _Midtrans:
    def __init__(self, store: Store, settings: SimulatorSettings) -> None:
        self._store = store
        self._settings = settings

    def _known(self, request: Request) -> bool:
        return same(basic_user(request), self._settings.keys.midtrans_server)

    async def charge(self, request: Request) -> JSONResponse:
        if not self._known(request):
            return _said("401", "Unknown Merchant server_key/id")
        body = await object_of(request)
        try:
            details, kind = body["transaction_details"], body["payment_type"]
            order, minor = str(details["order_id"]), hundredths(details["gross_amount"])
            minutes = int(body.get("custom_expiry", {}).get("expiry_duration", 1440))
        except (KeyError, TypeError, ValueError):
            return _said("400", "One or more parameters in the payload is invalid")
        if self._store.find("midtrans", reference=order) is not None:
            return _said("406", "The request could not be completed due to a conflict: order_id was used")
        bank = str(body.get("bank_transfer", {}).get("bank", ""))
        if kind not in ("bank_transfer", "qris") or (kind == "bank_transfer" and bank not in _BANKS):
            return _said("402", "Payment channel is not activated.")
        is_account = kind == "bank_transfer"
        paper = Paper(
            id=secrets.token_hex(16), provider="midtrans", kind="virtual_account" if is_account else "qris",
            reference=order, minor=minor, currency="IDR", label=str(body.get("custom_field1", "")), name="",
            expires_at=(now() + timedelta(minutes=minutes)).isoformat(), bank=bank.upper(),
            number=_BANKS[bank] + digits(11) if is_account else "", qr="" if is_account else qris(minor, order),
            channel=kind,
        )  # fmt: skip
        paper.payment = paper.id
        return JSONResponse(_status(self._store.add(paper), self._settings, "201"))

    async def snap_page(self, request: Request) -> JSONResponse:
        if not self._known(request):
            return JSONResponse({"error_messages": ["Access denied, please check client or server key"]}, 401)
        body, key = await object_of(request), request.headers.get("idempotency-key")
        try:
            details = body["transaction_details"]
            order, minor = str(details["order_id"]), hundredths(details["gross_amount"])
            minutes = int(body.get("page_expiry", {}).get("duration", 1440))
        except (KeyError, TypeError, ValueError):
            return JSONResponse({"error_messages": ["transaction_details is not valid"]}, 400)
        paper = self._store.made_under("midtrans", key)
        if paper is None and self._store.find("midtrans", reference=order) is not None:
            return JSONResponse({"error_messages": ["transaction_details.order_id has already been taken"]}, 400)
        if paper is None:
            paper = Paper(
                id=secrets.token_hex(16), provider="midtrans", kind="link", reference=order, minor=minor,
                currency="IDR", label=str(body.get("custom_field1", "")), name="",
                expires_at=(now() + timedelta(minutes=minutes)).isoformat(), channel="credit_card",
            )  # fmt: skip
            paper.payment = paper.id
            self._store.add(paper, key)
        return JSONResponse({"token": paper.id, "redirect_url": self._settings.page(paper.id)}, 201)

    async def status(self, order: str, request: Request) -> JSONResponse:
        if not self._known(request):
            return _said("401", "Unknown Merchant server_key/id")
        paper = _of(self._store, order)
        if paper is None:
            return _said("404", "Transaction doesn't exist.")
        return JSONResponse(_status(paper, self._settings, _code(paper)))

    async def end(self, order: str, act: str, request: Request) -> JSONResponse:
        if not self._known(request):
            return _said("401", "Unknown Merchant server_key/id")
        paper = _of(self._store, order)
        if paper is None or act not in ("expire", "cancel"):
            return _said("404", "Transaction doesn't exist.")
        if paper.standing(now()) != OPEN:
            return _said("412", "Transaction status cannot be updated.")
        paper.state = ENDED
        self._store.keep()
        return JSONResponse(_status(paper, self._settings, "407" if act == "expire" else "200"))


def midtrans_webhooks(paper: Paper, settings: SimulatorSettings) -> tuple[Webhook, Webhook]:
    """What is told of a payment: that it is awaited, and that it is there."""
    begun = {**_status(paper, settings, "201"), "transaction_status": "pending"}
    paid = _status(paper, settings, "200")
    key = settings.keys.midtrans_server
    first, last = ({**each, "signature_key": _signature(each, key)} for each in (begun, paid))
    return json_webhook("midtrans", first), json_webhook("midtrans", last)


def _signature(said: dict[str, Any], server_key: str) -> str:
    signed = said["order_id"] + said["status_code"] + said["gross_amount"] + server_key
    return hashlib.sha512(signed.encode()).hexdigest()


def _status(paper: Paper, settings: SimulatorSettings, code: str) -> dict[str, Any]:
    standing = paper.standing(now())
    card = paper.channel == "credit_card"
    said: dict[str, Any] = {
        "status_code": code,
        "status_message": "Success, transaction is found",
        "transaction_id": paper.id,
        "order_id": paper.reference,
        "gross_amount": paper.major,
        "currency": paper.currency,
        "payment_type": paper.channel,
        "transaction_time": _local(paper.paid_at or now().isoformat()),
        "transaction_status": {OPEN: "pending", PAID: "capture" if card else "settlement", ENDED: "expire"}[standing],
        "fraud_status": "accept",
        "expiry_time": _local(paper.expires_at),
        "custom_field1": paper.label,
        "redirect_url": settings.page(paper.id),
    }
    if paper.number:
        said["va_numbers"] = [{"bank": paper.bank.lower(), "va_number": paper.number}]
    if paper.qr:
        said["qr_string"] = paper.qr
    if standing == PAID:
        said["settlement_time"] = _local(paper.paid_at)
    return said


def _code(paper: Paper) -> str:
    return {OPEN: "201", PAID: "200", ENDED: "407"}[paper.standing(now())]


def _of(store: Store, order: str) -> Paper | None:
    paper = store.get(order)
    return paper if paper and paper.provider == "midtrans" else store.find("midtrans", reference=order)


def _local(at: str) -> str:
    return f"{datetime.fromisoformat(at).astimezone(_ZONE):%Y-%m-%d %H:%M:%S}"


def _said(code: str, message: str) -> JSONResponse:
    """As Midtrans does it: the HTTP status says yes to most things, and the body says no."""
    return JSONResponse({"status_code": code, "status_message": message}, 401 if code == "401" else 200)
