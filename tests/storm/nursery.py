"""Processes that can be killed and replaced in milliseconds: one that has imported everything, and forks.

A worker takes seconds to import and a storm kills dozens. So one process imports all that any role needs, stays
single-threaded, and forks a child for each line on its standard input. Everything is tied together: the children die
with it, and it dies with the test.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import signal
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from deploy.embedded.machine import tail
from deploy.embedded.tether import tethered
from tests.storm.program import die_with_parent

#: Each role is a module with `def main(options: dict[str, Any]) -> None`.
ROLES = {
    "worker": "tests.storm.worker",
    "api": "tests.storm.api",
    "sink": "tests.storm.sink",
    "program": "tests.storm.program",
}

_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Child:
    """A forked process. It is reaped by the nursery, so its id is gone as soon as it has ended."""

    role: str
    pid: int
    log: Path

    @property
    def alive(self) -> bool:
        return alive(self.pid)

    def said(self, words: str) -> bool:
        """Whether its log has these words."""
        return self.log.exists() and words in self.log.read_text()

    def send(self, number: signal.Signals) -> bool:
        """Send it a signal; False where it has ended already."""
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            return False
        return True

    async def kill(self) -> None:
        """SIGKILL; returns when it is gone."""
        self.send(signal.SIGKILL)
        while self.alive:
            await asyncio.sleep(0.005)


def alive(pid: int) -> bool:
    """Whether there is such a process, and it is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Nursery:
    """`async with Nursery(folder) as nursery: worker = await nursery.spawn("worker", {...})`; logs go to the folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._process: asyncio.subprocess.Process | None = None
        self._asking = asyncio.Lock()
        self._count = 0

    async def spawn(self, role: str, options: dict[str, Any]) -> Child:
        """Fork a child that plays the role."""
        assert self._process is not None and self._process.stdin is not None and self._process.stdout is not None
        async with self._asking:
            self._count += 1
            log = self.folder / f"{role}-{self._count}.log"
            order = {"role": role, "options": options, "log": str(log)}
            try:
                self._process.stdin.write(json.dumps(order).encode() + b"\n")
                await self._process.stdin.drain()
                pid = await self._process.stdout.readline()
            except ConnectionError:
                pid = b""
            if not pid:
                raise RuntimeError(f"the nursery has died:\n{tail(self.folder / 'nursery.log')}")
        return Child(role, int(pid), log)

    async def __aenter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "nursery.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *tethered([sys.executable, "-m", "tests.storm.nursery"]),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                cwd=_ROOT,
            )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None and self._process.stdin is not None
        self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), 5)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()


def main() -> None:
    """Fork until standard input ends."""
    for module in ROLES.values():
        importlib.import_module(module)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = os.getpid()
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _grow_up(order, parent)
        print(pid, flush=True)


def _grow_up(order: dict[str, Any], parent: int) -> None:
    code = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        die_with_parent()
        if os.getppid() != parent:
            os._exit(1)
        log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        importlib.import_module(ROLES[order["role"]]).main(order["options"])
        code = 0
    except BaseException:  # noqa: BLE001 - nothing of the parent's stack may run in the child
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
