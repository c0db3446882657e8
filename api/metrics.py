"""Figures about the API for Prometheus: requests by route, and what waits in the outbox."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lunas.ledger import outbox
from lunas.ledger.database import Ledger

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_MOST = 1_000


class Metrics:
    """One registry an application; labels are route templates, never what stands in a path."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "lunas_http_requests", "Requests answered", ["method", "route", "status"], registry=self.registry
        )
        self._seconds = Histogram(
            "lunas_http_request_seconds",
            "Seconds until a request was answered",
            ["method", "route"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._waiting = Gauge("lunas_outbox_waiting", "Nudges that no workflow has had yet", registry=self.registry)
        self._age = Gauge("lunas_outbox_age_seconds", "How long the oldest of them waits", registry=self.registry)

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """A request was answered."""
        self._requests.labels(method, route, status).inc()
        self._seconds.labels(method, route).observe(seconds)

    async def render(self, ledger: Ledger) -> bytes:
        """Everything as Prometheus reads it."""
        waiting, age = await outbox_age(ledger)
        self._waiting.set(waiting)
        self._age.set(age.total_seconds())
        return generate_latest(self.registry)


async def outbox_age(ledger: Ledger) -> tuple[int, timedelta]:
    """How many nudges wait (counted up to 1,000), and how long the oldest has waited."""
    async with ledger.read() as session:
        waiting = await outbox.undelivered(session, limit=_MOST)
        now = await session.now()
    return len(waiting), now - waiting[0].created_at if waiting else timedelta(0)


class Measured:
    """Middleware: counts and times every request."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 500

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            seconds = time.perf_counter() - started
            metrics: Metrics = scope["app"].state.services.metrics
            metrics.answered(_method(scope), route_of(scope), status, seconds)


def route_of(scope: Scope) -> str:
    """The template of the route that took the request; `unmatched` where none did."""
    route: Any = scope.get("route")
    return getattr(route, "path_format", "unmatched")


def _method(scope: Scope) -> str:
    known = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
    return scope["method"] if scope["method"] in known else "other"
