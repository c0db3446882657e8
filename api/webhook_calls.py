"""What the typed client asks about webhooks: `lunas.webhooks.add(...)`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, TypeVar

import httpx2
from pydantic import BaseModel

from api.schemas import webhooks as w

_V = TypeVar("_V", bound=BaseModel)


class Wire(Protocol):
    """How a request is sent, and its answer judged."""

    async def __call__(
        self,
        method: str,
        path: str,
        *,
        body: str | None = None,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        repeats: bool = True,
    ) -> httpx2.Response: ...


class WebhookCalls:
    """The endpoints of API clients. Every method raises as those of the client do."""

    def __init__(self, send: Wire) -> None:
        self._send = send

    async def add(self, endpoint: w.EndpointBody) -> w.NewEndpointView:
        """Subscribe a URL; the secret is shown this once."""
        return await self._ask("POST", "", endpoint, w.NewEndpointView, repeats=False)

    async def endpoints(self) -> list[w.EndpointView]:
        """The endpoints that were not removed."""
        return (await self._ask("GET", "", None, w.EndpointList)).endpoints

    async def endpoint(self, id_: int) -> w.EndpointView:
        """One endpoint."""
        return await self._ask("GET", f"/{id_}", None, w.EndpointView)

    async def change(self, id_: int, change: w.EndpointChange) -> w.EndpointView:
        """Change what is given."""
        return await self._ask("PATCH", f"/{id_}", change, w.EndpointView)

    async def remove(self, id_: int) -> None:
        """Tell it nothing any more."""
        await self._send("DELETE", f"/v1/webhooks/{id_}")

    async def rotate(self, id_: int, rotation: w.RotationBody) -> w.RotationView:
        """Make a new secret; it is shown this once."""
        return await self._ask("POST", f"/{id_}/rotation", rotation, w.RotationView, repeats=False)

    async def test(self, id_: int) -> w.DeliveryView:
        """Send a test event."""
        return await self._ask("POST", f"/{id_}/test", None, w.DeliveryView, repeats=False)

    async def deliveries(
        self, id_: int, *, state: str | None = None, before: int | None = None, limit: int = 50
    ) -> w.DeliveryPage:
        """How deliveries stand, newest first."""
        query = {"state": state, "before": before, "limit": limit}
        return await self._ask("GET", f"/{id_}/deliveries", None, w.DeliveryPage, query=query)

    async def replay(self, id_: int, replay: w.ReplayBody) -> int:
        """Deliver again; returns how many."""
        return (await self._ask("POST", f"/{id_}/replay", replay, w.ReplayView)).replayed

    async def _ask(
        self,
        method: str,
        path: str,
        body: BaseModel | None,
        view: type[_V],
        *,
        query: Mapping[str, Any] | None = None,
        repeats: bool = True,
    ) -> _V:
        written = body.model_dump_json(exclude_unset=True) if body is not None else None
        given = {name: value for name, value in (query or {}).items() if value is not None}
        response = await self._send(method, f"/v1/webhooks{path}", body=written, query=given, repeats=repeats)
        return view.model_validate_json(response.content)
