"""What `lunas up` runs and how its parts find each other: Temporal, ledger, inbox, worker and API."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from rich.markup import escape
from rich.table import Table
from temporalio.client import Client
from temporalio.envconfig import ClientConfig
from temporalio.service import RPCError

from api.commands.api_access import open_client
from api.commands.examination import worker_polls
from api.commands.shared import CommandError, console, data_folder
from api.commands.stack_files import keep_environment, link_secret, stack_environment
from api.keys import Scope
from deploy.embedded.stack import Child, Part, Ready, Temporal, free_port, is_free, listens, running, serves, sole_user
from deploy.embedded.temporal_server import UI, TemporalServer
from deploy.embedded.ui import PAGE, list_path
from deploy.simulator.settings import Keys
from lunas.ledger.database import Ledger
from lunas.ledger.keys import create_key, verify_key
from lunas.ledger.migrations import migrate
from workflows.visibility import REGISTRY, SAVED_VIEWS

ALL_INVOICES = "WorkflowType = 'Invoice'"
#: What the list of invoices shows in the Temporal UI, in order; after the id these are search attributes.
COLUMNS = (
    "Workflow ID",
    "Stage",
    "Hold",
    "Rung",
    "NextActionAt",
    "BalanceMinor",
    "DueDate",
    "CustomerCode",
    "Flags",
    "Status",
)

_HOST = "127.0.0.1"
# Mail goes to the inbox and nowhere else, so an agency that does not exist may be placed with.
_SANDBOX = {
    "LUNAS_AGENCY_NAME": "PT Mitra Tagih Contoh",
    "LUNAS_AGENCY_EMAIL": "penempatan@mitra-tagih.example",
    "LUNAS_AGENCY_LICENCE": "CONTOH-0001",
    "LUNAS_AGENCY_CERTIFICATE": "CONTOH-SERTIFIKAT-0001",
    "LUNAS_AGENCY_CONTRACT": "CONTOH/PKS/2026",
}


@dataclass(frozen=True, slots=True)
class Ports:
    """Where everything listens."""

    api: int
    ui: int
    temporal: int
    inbox: int
    smtp: int
    simulator: int = 0


@dataclass(frozen=True)
class Plan:
    """What runs here, what is taken from `given` (this process's environment) instead, and what each part is told."""

    data: Path
    ports: Ports
    given: Mapping[str, str]
    demo: bool = False

    @property
    def brings_temporal(self) -> bool:
        """Whether the dev server is ours."""
        return "TEMPORAL_ADDRESS" not in self.given

    @property
    def brings_inbox(self) -> bool:
        """Whether mail stays on this machine."""
        return "LUNAS_SMTP_HOST" not in self.given

    @property
    def brings_simulator(self) -> bool:
        """Whether the ways to pay that are offered are made by a gateway that moves no money."""
        return self.demo and "LUNAS_PAYMENT_METHODS" not in self.given

    @property
    def namespace(self) -> str:
        """Temporal's namespace."""
        return self.given.get("TEMPORAL_NAMESPACE", "default")

    @property
    def api_url(self) -> str:
        """Where the API is."""
        return f"http://{_HOST}:{self.ports.api}"

    @property
    def ui_url(self) -> str:
        """Where the Temporal UI is."""
        return f"http://{_HOST}:{self.ports.ui}"

    @property
    def inbox_url(self) -> str:
        """Where the inbox is."""
        return f"http://{_HOST}:{self.ports.inbox}"

    @property
    def simulator_url(self) -> str:
        """Where the simulated payment gateway is."""
        return f"http://{_HOST}:{self.ports.simulator}"

    @property
    def simulator_seed(self) -> str:
        """What both sides make their keys from: one for a data folder, because what was made outlives a restart."""
        return hashlib.sha256(f"simulator {link_secret(self.data)}".encode()).hexdigest()[:24]

    def environment(self) -> dict[str, str]:
        """What every part is told; what is given wins."""
        told = {
            "LUNAS_API_HOST": _HOST,
            "LUNAS_API_PORT": str(self.ports.api),
            "LUNAS_API_URL": self.api_url,
            "LUNAS_DATABASE_URL": f"sqlite+aiosqlite:///{self.data / 'lunas.db'}",
            "LUNAS_LINK_SECRET": link_secret(self.data),
            "LUNAS_PUBLIC_URL": self.api_url,
            "TEMPORAL_NAMESPACE": self.namespace,
        }
        if self.brings_temporal:
            told["TEMPORAL_ADDRESS"] = f"{_HOST}:{self.ports.temporal}"
        if self.brings_inbox:
            told |= {"LUNAS_SMTP_HOST": _HOST, "LUNAS_SMTP_PORT": str(self.ports.smtp), **_SANDBOX}
            if "LUNAS_SMS_GATEWAY" not in self.given:
                told |= {"LUNAS_SMS_GATEWAY": "template", "LUNAS_SMS_URL": f"{self.inbox_url}/sms"}
        if self.brings_simulator:
            told |= _simulated(self.simulator_url, Keys.of(self.simulator_seed))
        # The port is where we listen, wherever it was named; everything else that is given stays as it is.
        kept = {name: value for name, value in self.given.items() if name in told and name != "LUNAS_API_PORT"}
        return told | kept

    def log(self, name: str) -> Path:
        """A part's log file."""
        return self.data / "logs" / f"{name}.log"


async def up(plan: Plan, *, demo: bool, once: bool) -> None:
    """Run the plan until SIGINT or SIGTERM, or with `once` until all is ready; raises EmbeddedServerError."""
    _stop_on_signals()
    try:
        with sole_user(plan.data):
            environment = plan.environment()
            await migrate(environment["LUNAS_DATABASE_URL"])
            environment["LUNAS_API_KEY"] = await _key(plan.data, environment["LUNAS_DATABASE_URL"])
            keep_environment(plan.data, environment)
            console.print("Starting Temporal, the inbox, the API and a worker …")
            async with running(_parts(plan, environment), _say):
                console.print(_addresses(plan))
                if demo:
                    await _played(plan, environment, must=once)
                if not once:
                    console.print("Everything runs. Ctrl-C stops it.")
                    await asyncio.Event().wait()
                console.print("Stopping …")
    except asyncio.CancelledError:
        console.print(f"Stopped. Everything is kept in {plan.data}", soft_wrap=True)


def _stop_on_signals() -> None:
    """The first SIGINT or SIGTERM ends the stack in its order; what follows is ignored, because that is under way."""
    loop, task, asked = asyncio.get_running_loop(), asyncio.current_task(), False
    assert task is not None

    def stop() -> None:
        nonlocal asked
        if not asked:
            asked = True
            console.print("Stopping …")
            task.cancel()

    for wish in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(wish, stop)


def _say(said: str) -> None:
    console.print(f"[yellow]lunas up:[/] {escape(said)}", soft_wrap=True)


def _parts(plan: Plan, environment: Mapping[str, str]) -> list[list[Part]]:
    """What runs, in groups: the worker and the UI's page need Temporal, and the rest starts beside them."""
    first: list[Part] = []
    then: list[Part] = []
    if plan.brings_temporal:
        upstream = UI(port=free_port())
        server = TemporalServer(
            plan.data / "temporal",
            namespace=plan.namespace,
            search_attributes=REGISTRY,
            port=plan.ports.temporal,
            ui=upstream,
        )
        first.append(Temporal(server))
        then.append(_ui(plan, f"http://{_HOST}:{upstream.port}"))
    if plan.brings_inbox:
        then.append(_inbox(plan))
    if plan.brings_simulator:
        then.append(_simulator(plan))
    temporal = _Temporal(environment)
    then.append(_child(plan, "API", ["api.cli", "api"], environment, lambda: serves(f"{plan.api_url}/readyz")))
    then.append(_child(plan, "worker", ["api.cli", "worker"], environment, temporal.has_worker))
    return [first, then]


def _child(plan: Plan, name: str, module: list[str], environment: Mapping[str, str], ready: Ready) -> Child:
    # -P: a folder called `api` where the command was typed is not ours.
    command = [sys.executable, "-P", "-m", *module]
    told = {**environment, "PYTHONUNBUFFERED": "1"}
    return Child(name, command, log=plan.log(name.lower()), ready=ready, environment=told, grace=timedelta(seconds=30))


def _ui(plan: Plan, upstream: str) -> Child:
    lists = {"columns": COLUMNS, "views": {"Invoices": ALL_INVOICES, **SAVED_VIEWS}, "namespace": plan.namespace}
    module = ["deploy.embedded.ui", "--upstream", upstream, "--port", str(plan.ports.ui), "--lists", json.dumps(lists)]
    return _child(plan, "UI", module, {}, lambda: listens(plan.ports.ui))


def _inbox(plan: Plan) -> Child:
    module = [
        "deploy.embedded.inbox_server", "--data", str(plan.data / "inbox"), "--zone", "Asia/Jakarta",
        "--smtp-port", str(plan.ports.smtp), "--port", str(plan.ports.inbox),
    ]  # fmt: skip
    return _child(plan, "inbox", module, {}, lambda: listens(plan.ports.inbox))


def _simulator(plan: Plan) -> Child:
    module = [
        "deploy.simulator.server", "--data", str(plan.data / "simulator"), "--port", str(plan.ports.simulator),
        "--webhooks", f"{plan.api_url}/webhooks", "--seed", plan.simulator_seed,
    ]  # fmt: skip
    return _child(plan, "simulator", module, {}, lambda: listens(plan.ports.simulator))


def _simulated(url: str, keys: Keys) -> dict[str, str]:
    """The settings under which the simulated gateway is asked for ways to pay, and its webhooks are believed."""
    return {
        "LUNAS_PAYMENT_METHODS": "bank_transfer,xendit/virtual_account/BCA,midtrans/qris,stripe/credit_card",
        "LUNAS_XENDIT_URL": url,
        "LUNAS_XENDIT_SECRET_KEY": keys.xendit_secret,
        "LUNAS_XENDIT_WEBHOOK_TOKENS": json.dumps([keys.xendit_token]),
        "LUNAS_MIDTRANS_URL": url,
        "LUNAS_MIDTRANS_SNAP_URL": url,
        "LUNAS_MIDTRANS_SERVER_KEY": keys.midtrans_server,
        "LUNAS_MIDTRANS_WEBHOOK_KEYS": json.dumps([keys.midtrans_server]),
        "LUNAS_STRIPE_URL": url,
        "LUNAS_STRIPE_SECRET_KEY": keys.stripe_secret,
        "LUNAS_STRIPE_WEBHOOK_SECRETS": json.dumps([keys.stripe_webhook]),
    }


class _Temporal:
    """Temporal as the stack sees it: only whether a worker is at work."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._client: Client | None = None

    async def has_worker(self) -> bool:
        try:
            if self._client is None:
                options = ClientConfig.load_client_connect_config(override_env_vars={**os.environ, **self._environment})
                self._client = await Client.connect(**options)
            return await worker_polls(self._client)
        except (RPCError, RuntimeError):
            return False


async def _key(data: Path, database_url: str) -> str:
    """The CLI's own key to the API: the one it has, as long as this ledger knows it; else a new one."""
    ledger = Ledger(database_url)
    try:
        kept = stack_environment(data).get("LUNAS_API_KEY", "")
        async with ledger.read() as session:
            if kept and await verify_key(session, kept) is not None:
                return kept
        async with ledger.write() as session:
            return await create_key(session, name="lunas-up", scopes=[Scope.ADMIN])
    finally:
        await ledger.close()


def _addresses(plan: Plan) -> Table:
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    if plan.brings_temporal:
        table.add_row("Temporal UI", f"{plan.ui_url}{PAGE}  (sets up columns and lists in one click)")
        table.add_row("", f"{plan.ui_url}{list_path(plan.namespace, ALL_INVOICES)}")
    else:
        table.add_row("Temporal", f"{plan.given['TEMPORAL_ADDRESS']} (yours), namespace {plan.namespace}")
    if plan.brings_inbox:
        table.add_row("Inbox", f"{plan.inbox_url}/  (every mail and SMS that leaves)")
    else:
        table.add_row("Mail", f"leaves through {plan.given['LUNAS_SMTP_HOST']}")
    if plan.brings_simulator:
        table.add_row("Payments", f"{plan.simulator_url}/  (a gateway that moves no money: pay what was offered)")
    table.add_row("API", f"{plan.api_url}/docs")
    table.add_row("Command line", f"lunas status, lunas pay, … {_elsewhere(plan)}")
    table.add_row("Files and logs", str(plan.data))
    return table


def _elsewhere(plan: Plan) -> str:
    return "" if plan.data == data_folder().expanduser().resolve() else f"with LUNAS_DATA={plan.data}"


async def _played(plan: Plan, environment: Mapping[str, str], *, must: bool) -> None:
    """Play the demo. What fails in it is said, and ends the stack only where nobody stays to look at it."""
    try:
        await _play(plan, environment)
    except CommandError as error:
        if must:
            raise
        _say(str(error))


async def _play(plan: Plan, environment: Mapping[str, str]) -> None:
    from deploy.demo.story import play

    if not plan.brings_temporal:
        raise CommandError("the demo moves invoices' clocks, which takes the embedded Temporal: unset TEMPORAL_ADDRESS")
    os.environ.update(environment)
    async with open_client(plan.data) as lunas:
        await play(plan.data / "demo", lunas)


def usual_api_port(given: Mapping[str, str]) -> int:
    """Where the API usually listens: as the environment says, else 8080; raises CommandError."""
    stated = given.get("LUNAS_API_PORT", "8080")
    if not (stated.isdecimal() and 0 < int(stated) < 65536):
        raise CommandError(f"LUNAS_API_PORT is {stated!r}: expected a port from 1 to 65535")
    return int(stated)


def port(option: str, stated: int | None, usual: int) -> int:
    """The port to listen on: as stated, else the usual one if nobody has it; else, and for 0, a free one."""
    if stated is None:
        return usual if is_free(usual) else free_port()
    if stated == 0:
        return free_port()
    if not is_free(stated):
        raise CommandError(f"port {stated} is taken: stop what listens there, or choose another with {option}")
    return stated
