"""The embedded Temporal server: it lives through a kill, says what is wrong, dies with its parent; its clocks move."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest
from temporalio import activity, workflow
from temporalio.api.workflowservice.v1 import PauseWorkflowExecutionRequest
from temporalio.client import Client, WorkflowHandle
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from deploy.embedded.machine import (
    DataFolderInUse,
    PortTaken,
    TemporalBinaryMissing,
    TemporalServerFailed,
    find_binary,
)
from deploy.embedded.temporal_server import UI, TemporalServer
from deploy.embedded.tether import SIGNAL, WATCH, tethered
from deploy.embedded.time_skipping import (
    FastForwardStalled,
    TimeSkippingUnavailable,
    WorkflowNotRunning,
    clock,
    fast_forward,
    fast_forward_to,
)

STAGE = SearchAttributeKey.for_keyword("Stage")
HOLD = SearchAttributeKey.for_keyword("Hold")
QUEUE = "diary"


@activity.defn
async def write_line(seconds: float) -> None:
    await asyncio.sleep(seconds)


@workflow.defn
class Diary:
    """Writes a line at the same time every day, counted from its first moment, and continues as new after some days."""

    def __init__(self) -> None:
        self.days: list[datetime] = []
        self.poked_at: datetime | None = None

    @workflow.run
    async def run(self, begun: datetime | None, done: int, days: int, days_per_run: int, seconds: float) -> int:
        begun = begun or workflow.now()
        for day in range(done, days):
            due = begun + timedelta(days=day + 1)
            await workflow.sleep(max(timedelta(0), due - workflow.now()))
            self.days.append(workflow.now())
            await workflow.execute_activity(write_line, seconds, start_to_close_timeout=timedelta(seconds=30))
            if (day + 1) % days_per_run == 0 and day + 1 < days:
                workflow.continue_as_new(args=[begun, day + 1, days, days_per_run, seconds])
        return days

    @workflow.signal
    def poke(self) -> None:
        self.poked_at = workflow.now()

    @workflow.query
    def pages(self) -> list[datetime]:
        return self.days

    @workflow.query
    def poked(self) -> datetime | None:
        return self.poked_at


@pytest.fixture(scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[TemporalServer]:
    folder = tmp_path_factory.mktemp("temporal")
    async with TemporalServer(folder, namespace="lunas", search_attributes={"Stage": "Keyword"}) as running:
        yield running


@pytest.fixture
async def client(server: TemporalServer) -> AsyncIterator[Client]:
    connected = await Client.connect(server.address, namespace="lunas")
    async with Worker(
        connected,
        task_queue=QUEUE,
        workflows=[Diary],
        activities=[write_line],
        workflow_runner=UnsandboxedWorkflowRunner(),
    ):
        yield connected


async def begin(
    client: Client, name: str, *, days: int = 365, days_per_run: int = 1000, seconds: float = 0.0
) -> WorkflowHandle[Diary, int]:
    return await client.start_workflow(
        Diary.run, args=[None, 0, days, days_per_run, seconds], id=name, task_queue=QUEUE
    )


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until_dead(pid: int, *, seconds: float = 10) -> bool:
    end = time.monotonic() + seconds
    while alive(pid):
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


# --- the server ------------------------------------------------------------------------------------------------------


async def test_a_kill_loses_nothing_and_a_later_version_may_ask_for_more_search_attributes(tmp_path: Path) -> None:
    server = TemporalServer(tmp_path, namespace="lunas", search_attributes={"Stage": "Keyword"}, ui=UI())
    await server.start()
    try:
        address, ui_url, first_pid = server.address, server.ui_url, server.pid
        assert ui_url is not None
        async with httpx2.AsyncClient() as browser:
            link = await browser.get(f"{ui_url}/namespaces/lunas/workflows")
            assert link.status_code == 200, f"a deep link leads to {link.headers.get('location')}"
        client = await Client.connect(address, namespace="lunas")
        await client.start_workflow(
            "Nobody",
            id="invoice/1",
            task_queue="none",
            search_attributes=TypedSearchAttributes([SearchAttributePair(STAGE, "due")]),
        )
        await server.kill()
        assert not server.running
        await server.start()
        assert (server.address, server.ui_url) == (address, ui_url)
        second_pid = server.pid
        assert second_pid is not None
        assert second_pid != first_pid
        os.kill(second_pid, signal.SIGKILL)
        while server.running:
            await asyncio.sleep(0.01)
        await server.start()
        assert (await client.get_workflow_handle("invoice/1").describe()).typed_search_attributes[STAGE] == "due"
    finally:
        await server.stop()

    async with TemporalServer(
        tmp_path, namespace="lunas", search_attributes={"Stage": "Keyword", "Hold": "Keyword"}
    ) as later:
        client = await Client.connect(later.address, namespace="lunas")
        await client.start_workflow(
            "Nobody",
            id="invoice/2",
            task_queue="none",
            search_attributes=TypedSearchAttributes([SearchAttributePair(HOLD, "dispute")]),
        )
        assert later.ui_url is None

    with pytest.raises(TemporalServerFailed, match=r"Stage should be Int.*KEYWORD"):
        await TemporalServer(tmp_path, namespace="lunas", search_attributes={"Stage": "Int"}).start()


async def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PortTaken, match=rf"Temporal server cannot listen on 127\.0\.0\.1:{port}.*choose another"):
            await TemporalServer(tmp_path, port=port).start()
        with pytest.raises(PortTaken, match=rf"Temporal UI cannot listen on 127\.0\.0\.1:{port}"):
            await TemporalServer(tmp_path, ui=UI(port=port)).start()


async def test_two_servers_never_share_a_folder(server: TemporalServer) -> None:
    with pytest.raises(DataFolderInUse, match="stop it, or choose another data folder"):
        await TemporalServer(server.data).start()
    assert server.running


async def test_a_server_that_ends_while_starting_shows_its_log(tmp_path: Path) -> None:
    broken = TemporalServer(tmp_path)
    broken.database_path.mkdir()
    with pytest.raises(TemporalServerFailed, match="ended with code") as failure:
        await broken.start()
    assert str(broken.log_path) in str(failure.value)
    assert not broken.running


def test_an_unknown_search_attribute_type_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"Stage has type 'Keywrod'; expected one of Text, Keyword"):
        TemporalServer(tmp_path, search_attributes={"Stage": "Keywrod"})


def test_the_binary_on_the_path_wins_and_a_missing_one_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "temporal"
    own.write_text("#!/bin/sh\n")
    own.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_binary() == own
    monkeypatch.setenv("PATH", "")
    assert find_binary().name == "temporal"
    monkeypatch.setattr("deploy.embedded.machine.os.access", lambda *_: False)
    with pytest.raises(TemporalBinaryMissing, match=r"lunas\[embedded\].*TEMPORAL_ADDRESS"):
        find_binary()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("mode", [SIGNAL, WATCH])
def test_what_is_tethered_dies_with_its_parent(tmp_path: Path, mode: str) -> None:
    script = tmp_path / "parent.py"
    script.write_text(
        textwrap.dedent(
            """
            import subprocess, sys, time
            from deploy.embedded.tether import tethered
            command = [sys.executable, "-c", "import os, time; print(os.getpid(), flush=True); time.sleep(60)"]
            subprocess.Popen(tethered(command, mode=sys.argv[1]), start_new_session=True)
            time.sleep(60)
            """
        )
    )
    parent = subprocess.Popen(
        [sys.executable, str(script), mode],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    try:
        assert parent.stdout is not None
        with parent.stdout as output:
            pid = int(output.readline())
        assert alive(pid)
        parent.send_signal(signal.SIGKILL)
        assert wait_until_dead(pid)
    finally:
        parent.kill()
        parent.wait()


@pytest.mark.parametrize("mode", [SIGNAL, WATCH])
def test_a_tether_passes_on_the_exit_code(mode: str) -> None:
    if mode == SIGNAL and sys.platform != "linux":
        pytest.skip("the kernel's death signal is Linux's")
    assert (
        subprocess.run(tethered([sys.executable, "-c", "raise SystemExit(7)"], mode=mode), check=False).returncode == 7
    )


# --- its clocks ------------------------------------------------------------------------------------------------------


async def test_fourteen_days_pass_and_every_timer_fires_on_its_own_day(client: Client) -> None:
    diary = await begin(client, "fourteen-days", seconds=0.05)
    began = await clock(client, diary.id)
    started = time.monotonic()
    arrival = await fast_forward(client, diary.id, timedelta(days=14, hours=1))
    assert time.monotonic() - started < 60
    assert arrival.running
    assert timedelta(0) <= arrival.now - began - timedelta(days=14, hours=1) < timedelta(minutes=1)
    pages = await diary.query(Diary.pages)
    assert len(pages) == 14
    for number, page in enumerate(pages, 1):
        assert abs(page - began - timedelta(days=number)) < timedelta(minutes=1)

    await diary.signal(Diary.poke)
    poked = await diary.query(Diary.poked)
    assert poked is not None
    assert timedelta(0) <= poked - arrival.now < timedelta(minutes=1)


async def test_it_stops_exactly_where_asked(client: Client) -> None:
    diary = await begin(client, "exactly")
    target = await clock(client, diary.id) + timedelta(hours=30)
    arrival = await fast_forward_to(client, diary.id, target)
    assert timedelta(0) <= arrival.now - target < timedelta(seconds=30)
    assert len(await diary.query(Diary.pages)) == 1
    assert await fast_forward_to(client, diary.id, target) != arrival, "its clock runs on"
    assert len(await diary.query(Diary.pages)) == 1


async def test_the_clock_goes_on_across_continue_as_new(client: Client) -> None:
    diary = await begin(client, "chapters", days_per_run=3)
    began = await clock(client, diary.id)
    arrival = await fast_forward(client, diary.id, timedelta(days=8, hours=1))
    assert arrival.now - began >= timedelta(days=8)
    current: WorkflowHandle[Diary, int] = client.get_workflow_handle(diary.id, result_type=int)
    assert (await current.describe()).run_id != diary.first_execution_run_id
    pages = await current.query(Diary.pages)
    assert [round((page - began) / timedelta(days=1)) for page in pages] == [7, 8]


async def test_an_activity_in_flight_is_waited_for(client: Client) -> None:
    diary = await begin(client, "slow", seconds=1.5)
    began = await clock(client, diary.id)
    arrival = await fast_forward_to(client, diary.id, began + timedelta(days=1, seconds=0.5))
    assert arrival.now - began >= timedelta(days=1, seconds=1.4), "the activity runs in real time"
    assert not [e async for e in diary.fetch_history_events() if e.HasField("activity_task_failed_event_attributes")]
    assert (await diary.describe()).raw_description.pending_activities == []


async def test_a_fast_forward_may_make_many_jumps_but_not_without_end(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    diary = await begin(client, "long")
    await fast_forward(client, diary.id, timedelta(hours=25))
    info = (await diary.describe()).raw_description.workflow_extended_info.time_skipping_info
    assert info.effective_config.max_session_skip_count > 1000, "the server's own limit is 200"

    monkeypatch.setattr("deploy.embedded.time_skipping._JUMPS_PER_SESSION", 3)
    with pytest.raises(FastForwardStalled, match="made 3 jumps"):
        await fast_forward(client, diary.id, timedelta(days=14), patience=timedelta(seconds=2))
    assert len(await diary.query(Diary.pages)) == 4


async def test_a_workflow_that_ends_on_the_way_ends_the_fast_forward(client: Client) -> None:
    diary = await begin(client, "short", days=2)
    began = await clock(client, diary.id)
    arrival = await fast_forward(client, diary.id, timedelta(days=14))
    assert not arrival.running
    assert timedelta(days=2) <= arrival.now - began < timedelta(days=2, minutes=1)
    with pytest.raises(WorkflowNotRunning, match="no running workflow short"):
        await fast_forward(client, diary.id, timedelta(days=1))
    with pytest.raises(WorkflowNotRunning, match="no workflow nobody"):
        await clock(client, "nobody")

    again = await begin(client, "short", days=2)
    assert await clock(client, again.id) - datetime.now(UTC) < timedelta(minutes=1), (
        "a new workflow starts at real time"
    )


async def test_a_stalled_fast_forward_says_why_and_stops_skipping(client: Client, server: TemporalServer) -> None:
    paused = await begin(client, "paused")
    await fast_forward(client, paused.id, timedelta(days=1))
    await client.workflow_service.pause_workflow_execution(
        PauseWorkflowExecutionRequest(namespace=client.namespace, workflow_id=paused.id)
    )
    with pytest.raises(FastForwardStalled, match="it is paused; unpause it"):
        await fast_forward(client, paused.id, timedelta(days=3), patience=timedelta(seconds=1))

    unattended = await client.start_workflow("Nobody", id="unattended", task_queue="none")
    with pytest.raises(FastForwardStalled, match="no worker takes its workflow task"):
        await fast_forward(client, unattended.id, timedelta(days=3), patience=timedelta(seconds=1))
    description = await unattended.describe()
    assert not description.raw_description.workflow_extended_info.time_skipping_info.effective_config.enabled


@pytest.mark.parametrize("by", [timedelta(0), timedelta(days=-1)])
async def test_a_clock_only_moves_ahead(client: Client, by: timedelta) -> None:
    with pytest.raises(ValueError, match="only be moved ahead"):
        await fast_forward(client, "any", by)
    with pytest.raises(ValueError, match="no time zone"):
        await fast_forward_to(client, "any", datetime(2026, 1, 1))  # noqa: DTZ001


async def test_a_server_without_time_skipping_says_so(tmp_path: Path) -> None:
    off = {"frontend.WorkflowTimeSkippingEnabled": False}
    async with TemporalServer(tmp_path, dynamic_config=off) as server:
        client = await Client.connect(server.address)
        handle = await client.start_workflow("Nobody", id="any", task_queue="none")
        with pytest.raises(TimeSkippingUnavailable, match="lunas up"):
            await fast_forward(client, handle.id, timedelta(days=1))
