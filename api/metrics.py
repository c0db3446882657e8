"""Figures for Prometheus: requests by route, what was said, what waits, and the last turn of the reconcile schedule."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.temporal import Temporal, WorkflowTrouble
from lunas.ledger import outbox
from lunas.ledger.database import Ledger
from lunas.ledger.kinds import BookingState, NoticeState
from lunas.ledger.notices import count_by_state
from lunas.ledger.provider_events import count_by_state as count_events_by_state
from lunas.ledger.switches import sending_stopped

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_MOST = 1_000
#: For so many seconds a figure that takes a look at every notice, or at Temporal, is not asked for again.
_KEPT_FOR = 30.0
_UNKNOWN = float("nan")


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
        self._deliveries = Counter(
            "lunas_provider_deliveries",
            "Deliveries by payment providers, and what became of them",
            ["provider", "result"],
            registry=self.registry,
        )
        self._events = Gauge(
            "lunas_provider_events", "Kept deliveries by what became of them", ["state"], registry=self.registry
        )
        self._waiting = Gauge("lunas_outbox_waiting", "Nudges that no workflow has had yet", registry=self.registry)
        self._age = Gauge("lunas_outbox_age_seconds", "How long the oldest of them waits", registry=self.registry)
        self._stopped = Gauge("lunas_sending_stopped", "1 while all sending is stopped", registry=self.registry)
        self._notices = Gauge("lunas_notices", "Notices by what came of them", ["state"], registry=self.registry)
        self._unknown = Gauge(
            "lunas_notices_unknown", "Notices that may or may not have been sent", registry=self.registry
        )
        self._reconciled = Gauge(
            "lunas_reconcile_age_seconds",
            "How long ago the last turn of reconcile ended; NaN where Temporal does not say",
            registry=self.registry,
        )
        self._failed = Gauge(
            "lunas_reconcile_failed", "Invoices that its last turn could not nudge", registry=self.registry
        )
        self._looking = asyncio.Lock()
        self._looked_at = -_KEPT_FOR

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """A request was answered."""
        self._requests.labels(method, route, status).inc()
        self._seconds.labels(method, route).observe(seconds)

    def delivered(self, provider: str, result: str) -> None:
        """A payment provider delivered something, and this became of it."""
        self._deliveries.labels(provider, result).inc()

    async def render(self, ledger: Ledger, temporal: Temporal) -> bytes:
        """Everything as Prometheus reads it. Figures about notices and reconcile may be half a minute old."""
        waiting, age = await outbox_age(ledger)
        self._waiting.set(waiting)
        self._age.set(age.total_seconds())
        async with ledger.read() as session:
            self._stopped.set(await sending_stopped(session) is not None)
        async with self._looking:
            if time.monotonic() - self._looked_at >= _KEPT_FOR:
                await self._look(ledger, temporal)
                self._looked_at = time.monotonic()
        return generate_latest(self.registry)

    async def _look(self, ledger: Ledger, temporal: Temporal) -> None:
        async with ledger.read() as session:
            counts = await count_by_state(session)
            events = await count_events_by_state(session)
        for booking in BookingState:
            self._events.labels(booking.value).set(events.get(booking, 0))
        for state in NoticeState:
            self._notices.labels(state.value).set(counts.get(state, 0))
        self._unknown.set(counts.get(NoticeState.UNKNOWN, 0))
        try:
            last = await temporal.last_reconcile()
        except WorkflowTrouble:
            last = None
        self._reconciled.set(_UNKNOWN if last is None else last.age.total_seconds())
        self._failed.set(_UNKNOWN if last is None else last.found.failed)


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
