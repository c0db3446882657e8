"""The storm's parts, each of which can be killed and comes back by itself: nothing in here is gentle."""

from __future__ import annotations

import asyncio
import signal
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.runtime import LoggingConfig, Runtime, TelemetryConfig, TelemetryFilter

from deploy.embedded.temporal_server import TemporalServer
from lunas.ledger.database import Ledger
from lunas.ledger.keys import create_key
from lunas.ledger.migrations import migrate
from tests.storm.nursery import Child, Nursery
from tests.storm.plan import Fault, FaultKind, Scale
from tests.storm.postgres import PostgresServer
from tests.storm.sink import SinkOptions
from workflows.visibility import REGISTRY

#: How soon a part that died is started again, as an orchestrator would.
_RESTART_AFTER = 0.2


@dataclass
class Post:
    """One process of a role, which is started again whenever it has died."""

    role: str
    options: dict[str, Any]
    child: Child | None = None
    wanted: bool = True
    was_killed: bool = False  # by us

    def kill(self) -> bool:
        """SIGKILL; False where it was not alive."""
        self.was_killed = self.child is not None and self.child.send(signal.SIGKILL)
        return self.was_killed


@dataclass
class World:
    """Everything that is up, and what happened to it: faults of ours, and deaths that were nobody's doing."""

    folder: Path
    client: Client
    temporal: TemporalServer
    ledger: Ledger
    database_url: str
    notices: socket.socket
    workers: list[Post]
    apis: list[Post]
    key: str
    sink: Post
    postgres: PostgresServer | None
    nursery: Nursery
    happened: Counter[FaultKind] = field(default_factory=Counter)
    deaths: Counter[str] = field(default_factory=Counter)
    _busy: set[FaultKind] = field(default_factory=set)

    @property
    def posts(self) -> list[Post]:
        return [self.sink, *self.apis, *self.workers]

    async def start(self, post: Post) -> None:
        post.child = await self.nursery.spawn(post.role, post.options)

    async def look_after(self) -> None:
        """Start again whatever has died, for ever."""
        while True:
            await asyncio.sleep(0.05)
            for post in self.posts:
                if post.wanted and (post.child is None or not post.child.alive):
                    if not post.was_killed:
                        self.deaths[post.role] += 1
                    post.was_killed = False
                    await asyncio.sleep(_RESTART_AFTER)
                    await self.start(post)

    async def clear_up(self) -> None:
        """Fair weather: the relay is replaced by a good one, and our own connections are new."""
        await self.ledger.close()
        self.sink.options["stormy"] = False
        self.sink.kill()

    async def silence(self) -> None:
        """End every process that could still change anything, so that the evidence stands still."""
        for post in self.posts:
            post.wanted = False
            if post.child is not None:
                await post.child.kill()

    async def suffer(self, fault: Fault) -> None:
        """Let one fault happen; a part that is just being restarted is left alone."""
        match fault.kind:
            case FaultKind.KILL_WORKER:
                await self._kill(self.workers[fault.whom % len(self.workers)], fault)
            case FaultKind.KILL_API:
                await self._kill(self.apis[fault.whom % len(self.apis)], fault)
            case FaultKind.KILL_SINK:
                await self._kill(self.sink, fault)
            case FaultKind.FREEZE_WORKER:
                await self._freeze(self.workers[fault.whom % len(self.workers)], fault)
            case FaultKind.KILL_TEMPORAL | FaultKind.KILL_DATABASE if fault.kind not in self._busy:
                self._busy.add(fault.kind)
                try:
                    await self._cut_the_power(fault)
                finally:
                    self._busy.discard(fault.kind)

    async def _kill(self, post: Post, fault: Fault) -> None:
        if post.kill():
            self.happened[fault.kind] += 1

    async def _freeze(self, post: Post, fault: Fault) -> None:
        if post.child is not None and post.child.send(signal.SIGSTOP):
            self.happened[fault.kind] += 1
            child = post.child
            try:
                await asyncio.sleep(fault.lasts)
            finally:
                child.send(signal.SIGCONT)

    async def _cut_the_power(self, fault: Fault) -> None:
        part = self.temporal if fault.kind is FaultKind.KILL_TEMPORAL else self.postgres
        if part is None:
            return
        self.happened[fault.kind] += 1
        await part.kill()
        await asyncio.sleep(fault.lasts)
        await part.start()


def free_port() -> int:
    """A port that nobody had a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def world(
    folder: Path, scale: Scale, seed: int, nursery: Nursery, *, postgresql: bool, naive: bool
) -> AsyncIterator[World]:
    """Everything up and looked after; logs go to the nursery's folder."""
    async with AsyncExitStack() as stack:
        postgres = None
        url = f"sqlite:///{folder / 'ledger.db'}"
        if postgresql:
            postgres = await asyncio.to_thread(PostgresServer, nursery)
            stack.push_async_callback(postgres.close)
            await postgres.start()
            url = postgres.url
        await migrate(url)
        temporal = await stack.enter_async_context(TemporalServer(folder / "temporal", search_attributes=REGISTRY))
        ledger = Ledger(url)
        stack.push_async_callback(ledger.close)
        notices = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        notices.setblocking(False)
        notify = str(folder / "rcpt.sock")
        notices.bind(notify)
        smtp_port = free_port()
        (folder / "mail").mkdir()
        sink = SinkOptions(smtp_port, str(folder / "mail"), notify, seed, scale.stormy, scale.sluggish)
        shared = {"database_url": url, "temporal": temporal.address, "smtp_port": smtp_port}
        of_worker = {"naive": naive, "attempt": scale.attempt}
        async with ledger.write() as session:
            key = await create_key(session, name="storm", scopes=["write:payments", "decide"])
        made = World(
            folder=folder,
            client=await _quiet_client(temporal.address),
            temporal=temporal,
            ledger=ledger,
            database_url=url,
            notices=notices,
            workers=[Post("worker", {**shared, **of_worker}) for _ in range(scale.workers)],
            apis=[Post("api", {**shared, "port": free_port()}) for _ in range(scale.apis)],
            key=key,
            sink=Post("sink", asdict(sink)),
            postgres=postgres,
            nursery=nursery,
        )
        for post in made.posts:
            await made.start(post)
        await _until_ready(made)
        async with asyncio.TaskGroup() as group:  # nothing goes on once nobody looks after it
            guard = group.create_task(made.look_after())
            yield made
            guard.cancel()


async def _quiet_client(address: str) -> Client:
    """A client that does not report every call that a dead server did not take."""
    quiet = TelemetryFilter(core_level="ERROR", other_level="ERROR")
    runtime = Runtime(telemetry=TelemetryConfig(logging=LoggingConfig(filter=quiet)))
    return await Client.connect(address, data_converter=pydantic_data_converter, runtime=runtime)


async def _until_ready(made: World) -> None:
    """Wait until every worker polls and every port answers."""
    end = time.monotonic() + 60
    ports = [post.options["port"] for post in (made.sink, *made.apis)]
    while True:
        started = all(post.child is not None and post.child.said("worker_started") for post in made.workers)
        if started and all([await listens(port) for port in ports]):
            return
        dead = [post for post in made.posts if post.child is not None and not post.child.alive]
        if dead or time.monotonic() > end:
            what = ", ".join(str(post.child.log) for post in dead if post.child) or made.nursery.folder
            raise RuntimeError(f"a part of the storm did not start; see {what}")
        await asyncio.sleep(0.05)


async def listens(port: int) -> bool:
    """Whether anybody takes connections there."""
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True
