"""Delivering events to API clients: posts one, signed by Standard Webhooks, and writes down what came of it.

What a receiver says beyond its status is read, so that the connection can be used again, and thrown away. Deliveries
go to the public web only (`web_guard`), follow no redirects, and leave no URL and no body in logs or histories.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

import httpcore2
import httpx2
from temporalio import activity

from activities.web_guard import GuardedBackend
from activities.website_errors import AddressForbidden
from lunas.ledger.database import Ledger
from lunas.ledger.deliveries import due, parcel, record_attempt
from lunas.webhooks import PORTS, Attempt, Batch, Look, Outcome, WebhookError, check_url, signed_headers

#: How long a receiver may take for all of it, and how much of its answer is read.
SECONDS = 15.0
LARGEST_ANSWER = 64 * 1024
_CONNECTIONS = 50


class _Answer(httpx2.AsyncByteStream):
    def __init__(self, response: httpcore2.Response) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._response.aiter_stream():
            yield part

    async def aclose(self) -> None:
        await self._response.aclose()


class GuardedTransport(httpx2.AsyncBaseTransport):
    """The network of an httpx2 client, through a backend of ours. Raises httpcore2's errors, and AddressForbidden."""

    def __init__(self, backend: httpcore2.AsyncNetworkBackend) -> None:
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=httpcore2.default_ssl_context(), max_connections=_CONNECTIONS, network_backend=backend
        )

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send the request over a checked connection."""
        url = request.url
        target = httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
        assert isinstance(request.stream, httpx2.AsyncByteStream)
        sent = httpcore2.Request(
            request.method, target, headers=request.headers.raw, content=request.stream, extensions=request.extensions
        )
        response = await self._pool.handle_async_request(sent)
        return httpx2.Response(response.status, headers=response.headers, stream=_Answer(response))

    async def aclose(self) -> None:
        """Close every connection."""
        await self._pool.aclose()


class Poster:
    """Posts deliveries. `private` lets them go to our own network and over plain HTTP, for development.

    `transport` replaces the network, for tests.
    """

    def __init__(self, *, private: bool = False, transport: httpx2.AsyncBaseTransport | None = None) -> None:
        self._private = private
        backend = httpcore2.AnyIOBackend() if private else GuardedBackend(ports=PORTS)
        self._http = httpx2.AsyncClient(
            transport=transport or GuardedTransport(backend),
            timeout=SECONDS,
            follow_redirects=False,
            trust_env=False,  # a proxy of ours would connect to what we may not
            headers={
                "User-Agent": "Lunas-Webhooks/1.0",
                "Content-Type": "application/json",
                "Accept-Encoding": "identity",
            },
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def post(self, url: str, headers: dict[str, str], body: bytes) -> tuple[int | None, str | None]:
        """The receiver's status, or why there is none, in words of ours."""
        try:
            check_url(url, private=self._private)
            async with asyncio.timeout(SECONDS):
                return await self._post(url, headers, body), None
        except WebhookError as refusal:
            return None, f"not sent: {refusal}"
        except httpx2.InvalidURL:
            return None, "not sent: its URL is not one"
        except AddressForbidden:
            return None, "not sent: its address is not on the public web"
        except (TimeoutError, httpcore2.TimeoutException, httpx2.TimeoutException):
            return None, f"no answer within {SECONDS:.0f} s"
        except (httpcore2.NetworkError, httpcore2.ProtocolError, httpx2.TransportError) as failure:
            return None, f"no connection, or it broke ({type(failure).__name__})"

    async def _post(self, url: str, headers: dict[str, str], body: bytes) -> int:
        async with self._http.stream("POST", url, headers=headers, content=body) as response:
            read = 0
            async for part in response.aiter_raw():
                read += len(part)
                if read > LARGEST_ANSWER:
                    break
            return response.status_code


class WebhookActivities:
    """What the workflow of an endpoint has done for it."""

    def __init__(self, ledger: Ledger, poster: Poster) -> None:
        self._ledger = ledger
        self._poster = poster

    @activity.defn(name="due_webhooks")
    async def due(self, look: Look) -> Batch:
        """What is to be delivered now, or when something is."""
        async with self._ledger.read() as session:
            return await due(session, look.endpoint, look.at, look.limit)

    @activity.defn(name="deliver_webhook")
    async def deliver(self, attempt: Attempt) -> Outcome:
        """Try one delivery, and write down what came of it. That it failed is an outcome, not an error."""
        async with self._ledger.read() as session:
            what = await parcel(session, attempt.delivery)
        if what is None:  # delivered before a crash that lost the word of it, removed, or disabled meanwhile
            return Outcome(delivered=True)
        # Receivers compare the timestamp with their own clock: the wall's, not the workflow's, which may be skipped.
        headers = signed_headers(what.secrets, what.event_id, datetime.now(UTC), what.body)
        status, error = await self._poster.post(what.url, headers, what.body)
        async with self._ledger.write() as session:
            return await record_attempt(session, attempt, status, error)
