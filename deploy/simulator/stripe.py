"""Stripe, simulated: prices and payment links, their deactivation, and signed `payment_intent` events."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from deploy.simulator.settings import SimulatorSettings
from deploy.simulator.speaking import basic_user, same
from deploy.simulator.store import ENDED, OPEN, PAID, Paper, Store, now
from deploy.simulator.telling import Webhook

_INSTRUMENT, _METADATA = "payment_intent_data[metadata]", "metadata"


def stripe_router(store: Store, settings: SimulatorSettings) -> APIRouter:
    """The part of Stripe's API that makes and ends payment links."""
    router, api = APIRouter(), _Stripe(store, settings)
    routes: tuple[tuple[str, Callable[..., Awaitable[JSONResponse]], list[str]], ...] = (
        ("/v1/prices", api.price, ["POST"]),
        ("/v1/payment_links", api.link, ["POST"]),
        ("/v1/payment_links/{id_}", api.change, ["POST"]),
        ("/v1/payment_links/{id_}", api.read, ["GET"]),
        ("/v1/payment_intents/{payment}", api.intent, ["GET"]),
    )
    for path, answer, methods in routes:
        router.add_api_route(path, answer, methods=methods, response_model=None)
    return router


class _Stripe:
    def __init__(self, store: Store, settings: SimulatorSettings) -> None:
        self._store = store
        self._settings = settings
        self._prices: dict[str, tuple[str, int, str]] = {}

    def _refused(self, request: Request) -> JSONResponse | None:
        return None if same(basic_user(request), self._settings.keys.stripe_secret) else _error(401, "api_key_invalid")

    async def price(self, request: Request) -> JSONResponse:
        if (no := self._refused(request)) is not None:
            return no
        form = await _form(request)
        amount = form.get("unit_amount", "")
        if not amount.isdecimal() or int(amount) <= 0 or len(form.get("currency", "")) != 3:
            return _error(400, "parameter_invalid_integer")
        key = request.headers.get("idempotency-key") or secrets.token_hex(8)
        id_ = f"price_{hashlib.sha256(key.encode()).hexdigest()[:24]}"
        self._prices[id_] = (form["currency"].upper(), int(amount), form.get("product_data[name]", ""))
        return JSONResponse({"id": id_, "object": "price", "unit_amount": int(amount)})

    async def link(self, request: Request) -> JSONResponse:
        if (no := self._refused(request)) is not None:
            return no
        key, form = request.headers.get("idempotency-key"), await _form(request)
        if (made := self._store.made_under("stripe", key)) is not None:
            return JSONResponse(_link(made, self._settings))
        found = self._prices.get(form.get("line_items[0][price]", ""))
        if found is None:
            return _error(400, "resource_missing")
        currency, minor, label = found
        kept = {
            name.removeprefix(f"{_INSTRUMENT}[").removesuffix("]"): value
            for name, value in form.items()
            if name.startswith(f"{_INSTRUMENT}[")
        }
        paper = Paper(
            id=f"plink_{secrets.token_hex(12)}", provider="stripe", kind="card",
            reference=next(iter(kept.values()), ""), minor=minor, currency=currency, label=label, name="",
            expires_at="", channel="card", metadata=kept,
        )  # fmt: skip
        paper.payment = f"pi_{secrets.token_hex(12)}"
        return JSONResponse(_link(self._store.add(paper, key), self._settings))

    async def change(self, id_: str, request: Request) -> JSONResponse:
        if (no := self._refused(request)) is not None:
            return no
        paper, form = self._store.get(id_), await _form(request)
        if paper is None:
            return _error(404, "resource_missing")
        if form.get("active") == "false" and paper.state == OPEN:
            paper.state = ENDED
            self._store.keep()
        return JSONResponse(_link(paper, self._settings))

    async def read(self, id_: str, request: Request) -> JSONResponse:
        if (no := self._refused(request)) is not None:
            return no
        paper = self._store.get(id_)
        return JSONResponse(_link(paper, self._settings)) if paper else _error(404, "resource_missing")

    async def intent(self, payment: str, request: Request) -> JSONResponse:
        if (no := self._refused(request)) is not None:
            return no
        paper = self._store.find("stripe", payment=payment)
        return JSONResponse(_intent(paper)) if paper else _error(404, "resource_missing")


def stripe_webhooks(paper: Paper, settings: SimulatorSettings) -> tuple[Webhook, Webhook]:
    """What is told of a payment: that it was begun, and that it is there. Each is signed when it leaves."""
    begun = {**_intent(paper), "status": "processing", "amount_received": 0}
    return (
        _event("payment_intent.processing", begun, paper, settings),
        _event("payment_intent.succeeded", _intent(paper), paper, settings),
    )


def _event(name: str, about: dict[str, Any], paper: Paper, settings: SimulatorSettings) -> Webhook:
    body = json.dumps(
        {
            "id": f"evt_{hashlib.sha256(f'{paper.payment}/{name}'.encode()).hexdigest()[:24]}",
            "object": "event",
            "type": name,
            "created": int(now().timestamp()),
            "data": {"object": about},
        }
    ).encode()

    def headers() -> dict[str, str]:
        at = str(int(now().timestamp()))
        made = hmac.new(settings.keys.stripe_webhook.encode(), at.encode() + b"." + body, hashlib.sha256).hexdigest()
        return {"content-type": "application/json", "stripe-signature": f"t={at},v1={made}"}

    return Webhook("stripe", body, headers)


def _intent(paper: Paper) -> dict[str, Any]:
    is_paid = paper.state == PAID
    return {
        "id": paper.payment,
        "object": "payment_intent",
        "amount": paper.minor,
        "amount_received": paper.minor if is_paid else 0,
        "currency": paper.currency.lower(),
        "status": "succeeded" if is_paid else "requires_payment_method",
        "metadata": paper.metadata,
    }


def _link(paper: Paper, settings: SimulatorSettings) -> dict[str, Any]:
    return {
        "id": paper.id,
        "object": "payment_link",
        "active": paper.state == OPEN,
        "url": settings.page(paper.id),
        _METADATA: paper.metadata,
    }


async def _form(request: Request) -> dict[str, str]:
    return {name: str(value) for name, value in (await request.form()).items()}


def _error(status: int, code: str) -> JSONResponse:
    return JSONResponse({"error": {"code": code, "type": "invalid_request_error"}}, status)
