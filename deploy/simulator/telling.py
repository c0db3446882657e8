"""Webhooks on their way: once, twice, late, in the wrong order, or not at all, as whoever pays wishes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum


class How(StrEnum):
    """How a payment is told."""

    ONCE = "once"
    TWICE = "twice"
    LATE = "late"
    OUT_OF_ORDER = "out_of_order"  # that it was begun comes after that it is there
    NOT_AT_ALL = "not_at_all"


@dataclass(frozen=True, slots=True)
class Webhook:
    """One notification for the endpoint of `provider`; its headers are made when it leaves, for they hold moments."""

    provider: str
    body: bytes
    headers: Callable[[], Mapping[str, str]]


#: Brings a webhook to its endpoint; the answer is the HTTP status, 0 where nobody answered.
Post = Callable[[Webhook], Awaitable[int]]


def json_webhook(provider: str, body: Mapping[str, object], headers: Mapping[str, str] | None = None) -> Webhook:
    """A notification in JSON whose headers are always the same."""
    fixed = {"content-type": "application/json", **(headers or {})}
    return Webhook(provider, json.dumps(body).encode(), lambda: fixed)


class Teller:
    """Sends what is told of payments. What came back is kept in `answers`, newest last."""

    def __init__(self, post: Post, late: float) -> None:
        self._post = post
        self._late = late
        self._under_way: set[asyncio.Task[None]] = set()
        self.answers: list[tuple[str, int]] = []

    async def tell(self, begun: Webhook, paid: Webhook, how: How, late: float | None = None) -> None:
        """Tell of one payment; returns when that is done, at once where it is to be late."""
        match how:
            case How.ONCE:
                await self._send([paid])
            case How.TWICE:
                await self._send([paid, paid])
            case How.OUT_OF_ORDER:
                await self._send([paid, begun])
            case How.LATE:
                task = asyncio.create_task(self._send_later(paid, self._late if late is None else late))
                self._under_way.add(task)
                task.add_done_callback(self._under_way.discard)
            case How.NOT_AT_ALL:
                return

    async def close(self) -> None:
        """Wait for what is on its way."""
        await asyncio.gather(*self._under_way)

    async def _send(self, webhooks: Sequence[Webhook]) -> None:
        for webhook in webhooks:
            self.answers.append((webhook.provider, await self._post(webhook)))

    async def _send_later(self, webhook: Webhook, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self._send([webhook])
