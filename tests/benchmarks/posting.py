"""POST /v1/invoices: through uvicorn, the ledger and Temporal, beside the bare start of a workflow; no worker runs.

The API is a process of its own with one event loop, as it is deployed. Both sides are asked from here, with as many
requests in flight; the client is a few lines over a socket, because a real one would cost half as much as the API. No
Idempotency-Key: an invoice's number is one already.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from temporalio.client import Client

from lunas.ledger.customers import NewContact, NewCustomer, create_customer
from lunas.ledger.database import Ledger
from lunas.ledger.keys import create_key
from lunas.ledger.migrations import migrate
from tests.benchmarks.bare import EmptyWorkflow
from tests.benchmarks.house import BILLED, ZONE, free_port, postgres, temporal
from tests.benchmarks.measure import Figure, in_turns

_IN_FLIGHT = 16
_POSTS, _STARTS, _TURNS = 80, 160, 3
_AT_LEAST = 0.8
_CUSTOMERS = 50


async def posting(data: Path) -> list[Figure]:
    """On both ledgers."""
    sqlite = await _against(data / "sqlite", "SQLite", f"sqlite:///{data / 'posted.db'}")
    with postgres() as url:
        return [sqlite, await _against(data / "postgresql", "PostgreSQL", url)]


async def _against(data: Path, name: str, url: str) -> Figure:
    key = await _prepared(url)
    numbers = count(1)
    async with temporal(data) as client, _api(client, url) as port:

        async def posts() -> float:
            # New connections for each turn: uvicorn closes one that is idle for five seconds.
            asking = [await _Asking.connected(port, key) for _ in range(_IN_FLIGHT)]
            rate = await _rate(_POSTS, [each.post for each in asking], numbers)
            for each in asking:
                each.close()
            return rate

        async def start(number: int) -> None:
            await client.start_workflow(EmptyWorkflow.run, id=f"empty/{number}", task_queue="nobody")

        async def starts() -> float:
            return await _rate(_STARTS, [start] * _IN_FLIGHT, numbers)

        await posts()  # once, so that caches are warm and connections open
        await starts()
        rates = await in_turns(posts, starts, _TURNS)
    return rates.figure(f"POST /v1/invoices, {name}", "/s", _AT_LEAST)


async def _rate(how_many: int, askers: Sequence[Callable[[int], Awaitable[None]]], numbers: count[int]) -> float:
    """Each asker asks one thing after another, all of them at once, until it is done so often; how often a second."""
    todo = iter(range(how_many))

    async def ask(one: Callable[[int], Awaitable[None]]) -> None:
        for _ in todo:
            await one(next(numbers))

    began = time.perf_counter()
    await asyncio.gather(*map(ask, askers))
    return how_many / (time.perf_counter() - began)


async def _prepared(url: str) -> str:
    """Customers to bill, and a key that may."""
    await migrate(url)
    ledger = Ledger(url)
    async with ledger.write() as session:
        for number in range(_CUSTOMERS):
            contact = NewContact(email=f"c{number}@customer.example")
            new = NewCustomer(code=f"C{number}", name=f"PT {number}", time_zone=ZONE, contacts=(contact,))
            await create_customer(session, new)
        key = await create_key(session, name="benchmark", scopes=["write:invoices"])
    await ledger.close()
    return key


@asynccontextmanager
async def _api(client: Client, url: str) -> AsyncIterator[int]:
    """The API as it is served, on this port."""
    port = free_port()
    environment = {
        **os.environ,
        "LUNAS_DATABASE_URL": url,
        "LUNAS_LINK_SECRET": "a-secret-for-benchmarks-of-32-chars!",
        "TEMPORAL_ADDRESS": client.service_client.config.target_host,
    }
    arguments = ("-m", "uvicorn", "--factory", "api.app:app", "--port", str(port), "--log-level", "warning")
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments, env=environment)
    try:
        async with asyncio.timeout(60):
            while not await _listens(port):
                if process.returncode is not None:
                    raise RuntimeError(f"the API ended with {process.returncode} while starting")
                await asyncio.sleep(0.05)
        yield port
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


class _Asking:
    """One kept connection to the API."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, key: str) -> None:
        self._reader = reader
        self._writer = writer
        self._head = f"POST /v1/invoices HTTP/1.1\r\nHost: lunas\r\nAuthorization: Bearer {key}\r\n"
        self._today = datetime.now(UTC).date().isoformat()

    @classmethod
    async def connected(cls, port: int, key: str) -> _Asking:
        return cls(*await asyncio.open_connection("127.0.0.1", port), key)

    async def post(self, number: int) -> None:
        """One invoice; anything but a 201 with a started workflow is an error."""
        body = json.dumps(
            {
                "number": f"P{number:06}",
                "customer": f"C{number % _CUSTOMERS}",
                "currency": "IDR",
                "issued_on": self._today,
                "terms": "net 30",
                "lines": [{"description": "Jasa konsultasi", "unit_price_minor": BILLED}],
            }
        )
        head = f"{self._head}Content-Type: application/json\r\n"
        self._writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
        answer = await self._reader.readuntil(b"\r\n\r\n")
        length = int(answer.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0])
        said = await self._reader.readexactly(length)
        if b" 201 " not in answer[:20] or json.loads(said)["workflow"] != "started":
            raise RuntimeError(f"the API answered {answer[:20].decode()} {said[:500].decode()}")

    def close(self) -> None:
        self._writer.close()
