"""`lunas up --demo`, as anybody would run it: every stage to be seen, nothing repeated, nothing left behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

import httpx2
import pytest
from sqlalchemy import create_engine, text

from api.importing.model import Options
from api.importing.rows import parse
from deploy.demo.scenes import SCENES, LiveUntil
from deploy.demo.story import moved

REPOSITORY = Path(__file__).parents[2]
DEMO = REPOSITORY / "deploy" / "demo" / "invoices.csv"
#: The story takes a minute on a quiet machine with two cores.
PATIENCE = 290.0


class TestTheFile:
    def test_it_is_read_without_a_question(self) -> None:
        parsed = parse(DEMO.read_bytes(), Options())
        assert parsed.rejections == ()
        assert [invoice.number for invoice in parsed.invoices] == sorted(SCENES)
        zones = {customer.time_zone for customer in parsed.customers}
        assert {"Asia/Jakarta", "Asia/Makassar", "Asia/Jayapura"} <= zones
        assert {customer.language for customer in parsed.customers} == {"id", "en"}
        assert sum(not customer.has_contact for customer in parsed.customers) == 1
        assert max(Counter(invoice.customer.code for invoice in parsed.invoices).values()) >= 3

    def test_nobody_in_it_exists(self) -> None:
        parsed = parse(DEMO.read_bytes(), Options())
        assert all(customer.email is None or customer.email.endswith(".example") for customer in parsed.customers)
        assert all(customer.website is None or customer.website.endswith(".example") for customer in parsed.customers)

    def test_its_dates_move_together(self) -> None:
        before = parse(DEMO.read_bytes(), Options()).invoices
        after = parse(moved(DEMO.read_text("utf-8"), timedelta(days=400)).encode(), Options()).invoices
        assert max(invoice.issued_on for invoice in before) == date(2026, 11, 20)
        assert [one.issued_on - other.issued_on for one, other in zip(after, before, strict=True)] == [
            timedelta(days=400)
        ] * len(before)
        assert [one.due_on for one in after] != [one.due_on for one in before]

    @pytest.mark.parametrize("number", sorted(SCENES))
    def test_time_only_goes_forward_in_a_scene(self, number: str) -> None:
        days = [step.day for step in SCENES[number] if isinstance(step, LiveUntil)]
        assert days == sorted(set(days))


@dataclass
class Up:
    """`lunas up` as a process of its own, on free ports."""

    data: Path
    arguments: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = None
    started_at: float = field(default_factory=time.monotonic)

    @property
    def output(self) -> str:
        return (self.data.parent / "out.txt").read_text()

    def start(self) -> None:
        ports = [f"--{name}-port=0" for name in ("api", "ui", "temporal", "inbox", "smtp")]
        command = [sys.executable, "-m", "api.cli", "up", "--data", str(self.data), *ports, *self.arguments]
        given = {name: value for name, value in os.environ.items() if not name.startswith(("LUNAS_", "TEMPORAL_"))}
        with (self.data.parent / "out.txt").open("wb") as out:
            self.process = subprocess.Popen(command, cwd=REPOSITORY, env=given, stdout=out, stderr=out)

    @property
    def runs(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def until(self, true: Callable[[], bool], within: float = 60.0) -> None:
        ends = time.monotonic() + within
        while not true():
            assert time.monotonic() < ends, self.output
            time.sleep(0.1)

    def url(self, what: str) -> str:
        found = re.search(rf"^{what}\s+(http://\S+?)(?:/docs|/lunas|/)?\s", self.output, re.MULTILINE)
        assert found, self.output
        return found[1]

    def children(self) -> list[int]:
        """Every process that names this data folder, this test's own apart."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                environment = (entry / "environ").read_bytes() + (entry / "cmdline").read_bytes()
                state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
            except OSError:
                continue
            if str(self.data).encode() in environment and state != "Z" and int(entry.name) != os.getpid():
                found.append(int(entry.name))
        return found

    def ask(self, question: str) -> list[tuple[object, ...]]:
        """What the ledger answers."""
        engine = create_engine(f"sqlite:///{self.data / 'lunas.db'}")
        try:
            with engine.connect() as connection:
                return [tuple(row) for row in connection.execute(text(question))]
        finally:
            engine.dispose()


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Up:
    """A data folder in which the demo was played to its end."""
    up = Up(tmp_path_factory.mktemp("demo") / "data", ("--demo", "--once"))
    up.start()
    assert up.process is not None
    try:
        code = up.process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        up.process.kill()
        up.process.wait()
        raise AssertionError(f"the demo was not played within {PATIENCE:.0f} s:\n{up.output}") from None
    assert code == 0, up.output
    return up


class TestPlayed:
    def test_every_stage_and_hold_is_to_be_seen(self, played: Up) -> None:
        stages = Counter(stage for (stage,) in played.ask("SELECT stage FROM invoices"))
        holds = {held for (held,) in played.ask("SELECT held FROM invoices WHERE held IS NOT NULL")}
        flags = {
            flag for (flags,) in played.ask("SELECT flags FROM invoices") for flag in str(flags).split(",") if flag
        }
        assert sum(stages.values()) == len(SCENES) == 36
        assert set(stages) == {
            "issued", "due", "follow_up", "research_contact", "alternate_payment", "agency", "paid", "credited",
            "written_off", "cancelled",
        }  # fmt: skip
        assert holds == {"promise", "dispute", "pause", "approval", "credit"}
        assert {"needs_approval", "approval_lapsed", "unreachable", "broken_promise"} <= flags

    def test_each_invoice_lived_its_own_true_calendar(self, played: Up) -> None:
        rows = played.ask(
            "SELECT i.due_on, j.at FROM journal j JOIN invoices i ON i.id = j.invoice_id "
            "WHERE i.number = 'FJ-1017' AND j.event = 'placement_fell_due'"
        )
        ((due_on, at),) = rows
        days = (date.fromisoformat(str(at)[:10]) - date.fromisoformat(str(due_on))).days
        assert 105 <= days <= 112, "asked for approval ten days after the final demand of day 95"

    def test_mail_went_to_the_inbox_and_a_mailbox_that_is_none_was_found_out(self, played: Up) -> None:
        mails = list((played.data / "inbox" / "mail").glob("*.eml"))
        assert len(mails) > 100
        lost = played.ask(
            "SELECT i.number FROM invoices i JOIN customers c ON c.id = i.customer_id "
            "WHERE c.code = 'SAMUDRA-MDO' AND i.reachable = 0 ORDER BY 1"
        )
        assert lost == [("FJ-1021",), ("FJ-1022",)]

    def test_no_notice_was_sent_twice_or_is_left_half_sent(self, played: Up) -> None:
        states = Counter(state for (state,) in played.ask("SELECT state FROM notices"))
        assert set(states) <= {"sent", "failed", "cancelled"}, states
        assert (
            played.ask(
                "SELECT 1 FROM notices WHERE state = 'sent' GROUP BY invoice_id, rung, channel HAVING count(*) > 1"
            )
            == []
        )

    def test_nothing_was_left_running(self, played: Up) -> None:
        assert played.children() == []


Again = tuple[Up, list[tuple[object, ...]]]


@pytest.fixture(scope="module")
def again(played: Up) -> Iterator[Again]:
    """The same folder, started a second time and left running; and what the journal said before."""
    before = played.ask("SELECT count(*), max(id) FROM journal")
    up = Up(played.data, ("--demo",))
    up.start()
    try:
        up.until(
            lambda: "Everything runs" in up.output or up.process is None or up.process.poll() is not None, PATIENCE
        )
        yield up, before
    finally:
        assert up.process is not None
        up.process.kill()
        up.process.wait()


class TestAgain:
    def test_the_story_is_not_repeated(self, again: Again) -> None:
        up, before = again
        assert "0 issued, 36 there already." in up.output
        assert "nothing of it is repeated" in up.output
        assert up.ask("SELECT count(*), max(id) FROM journal") == before

    def test_the_temporal_ui_has_a_page_that_sets_a_browser_up(self, again: Again) -> None:
        ui = again[0].url("Temporal UI")
        page = httpx2.get(f"{ui}/lunas")
        assert page.status_code == 200
        assert '"label": "NextActionAt"' in page.text and "Needs approval" in page.text
        deep = httpx2.get(f"{ui}/namespaces/default/workflows?query=WorkflowType%20%3D%20%27Invoice%27")
        assert deep.status_code == 200 and "_app/immutable" in deep.text, "a deep link is the UI, not a way elsewhere"
        found = httpx2.get(
            f"{ui}/api/v1/namespaces/default/workflow-count",
            params={"query": "Stage = 'agency' AND ExecutionStatus = 'Running'"},
        ).json()
        assert found["count"] == "1"
        described = httpx2.get(f"{ui}/api/v1/namespaces/default/workflows/invoice%2FFJ-1017")
        assert described.status_code == 200, "a slash in a name stays a part of the name"
        refused = httpx2.post(f"{ui}/api/v1/namespaces/default/workflows/invoice%2FFJ-1017/signal/x", json={})
        assert refused.status_code in (400, 403), "the UI's own guard against other sites still stands"

    def test_inbox_and_api_answer(self, again: Again) -> None:
        up = again[0]
        assert "Lunas inbox" in httpx2.get(f"{up.url('Inbox')}/").text
        assert httpx2.get(f"{up.url('API')}/readyz").json()["ready"] is True

    def test_a_killed_worker_is_started_again(self, again: Again) -> None:
        up = again[0]
        (worker,) = [pid for pid in up.children() if _is(pid, "api.cli", "worker")]
        os.kill(worker, signal.SIGKILL)
        up.until(lambda: "worker runs again." in up.output)
        assert "worker was killed by SIGKILL" in up.output
        (other,) = [pid for pid in up.children() if _is(pid, "api.cli", "worker")]
        assert other != worker

    def test_nothing_outlives_it_even_when_it_is_killed(self, again: Again) -> None:
        up = again[0]
        assert up.process is not None
        up.process.kill()
        up.process.wait()
        up.until(lambda: up.children() == [])


def _is(pid: int, *words: str) -> bool:
    command = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
    return all(word in command for word in words)
