"""The real parts in one process: Temporal's dev server, a ledger, an SMTP inbox, an SMS sink, and the worker."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import uvicorn
from pydantic import SecretStr
from temporalio.client import Client, WorkflowHandle
from temporalio.contrib.pydantic import pydantic_data_converter

from deploy.embedded.inbox import InboxStore, MailSink, inbox_app
from deploy.embedded.temporal_server import UI, TemporalServer
from deploy.embedded.time_skipping import fast_forward
from lunas.ledger.customers import NewContact, NewCustomer, create_customer
from lunas.ledger.database import Ledger
from lunas.ledger.facts import facts
from lunas.ledger.invoices import NewInvoice, NewLine, create_invoice
from lunas.ledger.kinds import Language
from lunas.ledger.migrations import migrate
from lunas.ledger.news import LedgerNews
from lunas.ledger.outbox import told
from lunas.ledger.progress import settle
from lunas.ledger.receipts import NewReceipt, record_receipt
from lunas.policies import policy_for
from lunas.receivables.money import Currency, Money
from lunas.receivables.terms import Terms
from lunas.settings import Settings
from workflows import messages as m
from workflows.nudging import Courier
from workflows.visibility import REGISTRY
from workflows.worker import activities, make_worker


@dataclass
class Stack:
    """What a test holds: the parts, and a few verbs."""

    client: Client
    ledger: Ledger
    inbox: InboxStore
    settings: Settings

    async def customer(
        self, code: str, *, email: str | None, phone: str | None = None, language: Language = Language.INDONESIAN
    ) -> None:
        contact = NewContact(name="Ibu Sari", email=email, phone=phone)
        new = NewCustomer(
            code=code, name=f"PT {code}", language=language, time_zone="Asia/Jakarta", contacts=(contact,)
        )
        async with self.ledger.write() as session:
            await create_customer(session, new)

    async def issue(self, number: str, customer: str, minor: int = 1_250_000_000, days: int = 30) -> None:
        today = datetime.now(UTC).date()
        line = NewLine("Jasa konsultasi", "1", minor, minor)
        new = NewInvoice(number, customer, Currency.IDR, today, Terms(days), (line,))
        async with self.ledger.write() as session:
            await create_invoice(session, new, policy_for("standard", "Asia/Jakarta", today.year))
        await Courier(LedgerNews(self.ledger)).deliver(self.client, number)

    async def pay(self, number: str, minor: int, reference: str) -> None:
        """As the API does: book, wait until nothing can leave, acknowledge, nudge."""
        receipt = NewReceipt("bank", reference, Money(minor, Currency.IDR), datetime.now(UTC).date(), "test", number)
        async with self.ledger.write() as session:
            await record_receipt(session, receipt)
        await settle(self.ledger, number)
        await Courier(LedgerNews(self.ledger)).deliver(self.client, number)

    async def skip(self, number: str, days: float) -> None:
        await fast_forward(self.client, m.workflow_id(number), timedelta(days=days))

    def handle(self, number: str) -> WorkflowHandle[object, m.View]:
        return self.client.get_workflow_handle(m.workflow_id(number), result_type=m.View)

    async def view(self, number: str) -> m.View:
        view: m.View = await self.handle(number).query(m.STATUS, result_type=m.View)
        return view

    async def version(self, number: str) -> int:
        async with self.ledger.write() as session:
            seen = await facts(session, number)
            await told(session, {number: seen.version})
            return seen.version


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def serving_inbox(store: InboxStore) -> AsyncIterator[str]:
    """The inbox's web side, with the SMS sink; gives its address."""
    port = free_port()
    config = uvicorn.Config(inbox_app(store), host="127.0.0.1", port=port, log_level="warning", lifespan="off")
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    running = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.02)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await running


@asynccontextmanager
async def stack(data: Path, database_url: str | None = None, ui: UI | None = None) -> AsyncIterator[Stack]:
    """Everything up, with a worker; a database URL of one's own is used instead of a SQLite file."""
    url = database_url or f"sqlite:///{data / 'ledger.db'}"
    await migrate(url)
    store = InboxStore(data / "inbox")
    async with (
        TemporalServer(data / "temporal", search_attributes=REGISTRY, ui=ui) as server,
        MailSink(store) as mail,
        serving_inbox(store) as inbox_url,
    ):
        settings = Settings(
            database_url=url,
            smtp_port=mail.port,
            sms_gateway="template",
            sms_url=f"{inbox_url}/sms",
            link_secret=SecretStr("a-secret-for-tests-of-32-characters!"),
            agency_name="PT Penagih Resmi",
            agency_email="placements@agency.example",
            agency_licence="KEP-1/2024",
            agency_certificate="SERT-1/2024",
            agency_contract="PKS-7/2026",
        )
        client = await Client.connect(server.address, data_converter=pydantic_data_converter)
        ledger = Ledger(url)
        try:
            async with activities(settings, client, ledger) as performed, make_worker(settings, client, performed):
                yield Stack(client, ledger, store, settings)
        finally:
            await ledger.close()
            store.close()
