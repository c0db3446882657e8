"""The embedded stack: parts started in order, watched, started again when they break, and stopped in reverse order.

A part is a child process of ours (`Child`) or Temporal's dev server (`Temporal`). Children are tethered: they end when
this process does, however that happens. Each writes into a log file of its own below the data folder.

Errors (`EmbeddedServerError`): `PartFailed` (a part ended or never became ready while starting), `FolderInUse`.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Protocol

import httpx2

from deploy.embedded.machine import EmbeddedServerError, rotate, tail
from deploy.embedded.temporal_server import TemporalServer
from deploy.embedded.tether import tethered

Ready = Callable[[], Awaitable[bool]]
Say = Callable[[str], None]

_LOOK_EVERY = 0.05
_FIRST_WAIT, _LONGEST_WAIT = 1.0, 30.0
#: A part that has run for so long was well: its next end is answered quickly again.
_WELL_AFTER = 60.0


class PartFailed(EmbeddedServerError):
    """A part ended by itself, or was not ready in time, while the stack was starting."""


class FolderInUse(EmbeddedServerError):
    """Another stack works on the same data folder."""


class Part(Protocol):
    """What the stack starts, watches and stops."""

    name: str

    async def start(self) -> None:
        """Return once it is ready; raises an EmbeddedServerError, and leaves nothing running then."""
        ...

    async def ended(self) -> str:
        """Wait until it ends by itself; the answer says how, for people."""
        ...

    async def stop(self) -> None:
        """End it; does nothing where it has ended."""
        ...


class Child:
    """One process of ours. `command` begins with an absolute path; `environment` is added to this process's own.

    `ready` is asked until it says yes. `grace` is how long the process may take to end after SIGTERM.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        log: Path,
        ready: Ready,
        environment: Mapping[str, str] | None = None,
        ready_within: timedelta = timedelta(seconds=60),
        grace: timedelta = timedelta(seconds=25),
    ) -> None:
        self.name = name
        self._command = list(command)
        self._log = log
        self._ready = ready
        self._environment = {**os.environ, **(environment or {})}
        self._ready_within = ready_within
        self._grace = grace
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    async def start(self) -> None:
        """Start it; see `Part.start`."""
        self._log.parent.mkdir(parents=True, exist_ok=True)
        rotate(self._log)
        with self._log.open("ab") as log:
            # A session of its own: Ctrl-C reaches this process alone, which ends its parts in their order.
            self._process = await asyncio.create_subprocess_exec(
                *tethered(self._command),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                start_new_session=True,
            )
        try:
            async with asyncio.timeout(self._ready_within.total_seconds()):
                while not await self._ready():
                    if self._process.returncode is not None:
                        raise PartFailed(
                            f"{self.name} ended with code {self._process.returncode} while starting; {self._tail()}"
                        )
                    await asyncio.sleep(_LOOK_EVERY)
        except TimeoutError:
            await self.stop()
            raise PartFailed(
                f"{self.name} was not ready within {self._ready_within.total_seconds():.0f} s; {self._tail()}"
            ) from None
        except BaseException:
            await self.stop()
            raise

    async def ended(self) -> str:
        """See `Part.ended`."""
        assert self._process is not None
        code = await self._process.wait()
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
        return f"{how}; see {self._log}"

    async def stop(self) -> None:
        """End it: SIGTERM, then after the grace SIGKILL."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        self._send(process, signal.SIGTERM)
        try:
            async with asyncio.timeout(self._grace.total_seconds()):
                await process.wait()
        except TimeoutError:
            self._send(process, signal.SIGKILL)
            await process.wait()

    @staticmethod
    def _send(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
        # The whole group: what the process has started itself goes with it.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)

    def _tail(self) -> str:
        return f"see {self._log}, which ends with:\n{tail(self._log)}"


class Temporal:
    """Temporal's dev server as a part of the stack."""

    name = "Temporal"

    def __init__(self, server: TemporalServer) -> None:
        self.server = server

    async def start(self) -> None:
        """Start it; see `Part.start`."""
        await self.server.start()

    async def ended(self) -> str:
        """See `Part.ended`."""
        while self.server.running:
            await asyncio.sleep(0.5)
        return f"ended; see {self.server.log_path}"

    async def stop(self) -> None:
        """End it."""
        await self.server.stop()


@asynccontextmanager
async def running(groups: Sequence[Sequence[Part]], say: Say) -> AsyncIterator[None]:
    """Start the groups in order, the parts of one at the same time, and keep all running until the context is left.

    Then they are stopped in reverse order. `say` hears what happens, a sentence at a time. Raises an
    EmbeddedServerError where a part does not start; a part that breaks later is started again, after a wait that grows
    while it keeps breaking.
    """
    started: list[Part] = []
    keepers: list[asyncio.Task[None]] = []
    try:
        for group in groups:
            started += group
            await _start_together(group)
            keepers += (asyncio.create_task(_keep(part, say), name=f"keep {part.name}") for part in group)
        yield
    finally:
        for keeper in keepers:
            keeper.cancel()
        await asyncio.gather(*keepers, return_exceptions=True)
        for part in reversed(started):
            await part.stop()


async def _start_together(parts: Sequence[Part]) -> None:
    starts = [asyncio.ensure_future(part.start()) for part in parts]
    try:
        await asyncio.gather(*starts)
    except BaseException:
        for start in starts:
            start.cancel()
        await asyncio.gather(*starts, return_exceptions=True)
        raise


async def _keep(part: Part, say: Say) -> None:
    clock, wait = asyncio.get_running_loop().time, _FIRST_WAIT
    while True:
        since = clock()
        how = await part.ended()
        wait = _FIRST_WAIT if clock() - since > _WELL_AFTER else wait
        while True:
            say(f"{part.name} {how}. Starting it again in {wait:.0f} s.")
            await asyncio.sleep(wait)
            wait = min(wait * 2, _LONGEST_WAIT)
            try:
                await part.start()
            except EmbeddedServerError as error:
                how = f"did not start: {error}"
                continue
            say(f"{part.name} runs again.")
            break


@contextmanager
def sole_user(data: Path) -> Iterator[None]:
    """Hold the data folder for as long as the context lasts; raises FolderInUse where another stack holds it."""
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (data / "stack.lock").open("wb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise FolderInUse(
                f"another `lunas up` works in {data}; stop that one, or choose another folder with --data"
            ) from None
        yield


def free_port(host: str = "127.0.0.1") -> int:
    """A port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server could listen on that port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


async def listens(port: int, host: str = "127.0.0.1") -> bool:
    """Whether somebody takes connections there: the plainest sign that a server is ready."""
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True


async def serves(url: str) -> bool:
    """Whether that page answers with a success."""
    try:
        # Asked many times a second: without certificates to load, which cost more than everything else here.
        async with httpx2.AsyncClient(verify=False, trust_env=False) as http:
            return (await http.get(url, timeout=5)).is_success
    except httpx2.TransportError:
        return False
