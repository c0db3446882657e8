"""What `lunas doctor` looks at: everything an installation needs, one finding each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum

from pydantic import ValidationError
from rich.markup import escape
from sqlalchemy.exc import SQLAlchemyError
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.service import RPCError

from api.services import PolicyShelf
from lunas.ledger.database import Ledger
from lunas.ledger.errors import LedgerError
from lunas.ledger.migrations import is_current
from lunas.links import LinkError
from lunas.receivables.policy import PolicyError
from lunas.settings import Settings
from workflows.messages import TASK_QUEUE

_PATIENCE = timedelta(seconds=5)


class State(Enum):
    """How a check came out, as it is shown."""

    WELL = "[green]well[/]   "
    NOTE = "[yellow]note[/]   "
    WRONG = "[red]wrong[/]  "


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found, and what to do about it."""

    state: State
    what: str
    found: str
    remedy: str = ""

    def line(self) -> str:
        """The finding in one line."""
        return f"{self.state.value} {self.what}: {escape(self.found)}" + (
            f"; {escape(self.remedy)}" if self.remedy else ""
        )


TemplateCheck = Callable[[Settings], None]


async def examine(templates: TemplateCheck) -> list[Finding]:
    """Every finding; `templates` raises ValueError for templates that cannot be used."""
    try:
        settings = Settings()
    except ValidationError as error:
        return [Finding(State.WRONG, "settings", *_wrong_setting(each)) for each in error.errors(include_url=False)]
    findings = [Finding(State.WELL, "settings", "read from the environment")]
    findings += _files(settings, templates)
    for asked in (_ledger(settings), _temporal(), _mail(settings)):
        findings += await asked
    findings += _notes(settings)
    return findings


def _wrong_setting(error: object) -> tuple[str, str]:
    assert isinstance(error, dict)
    name = "LUNAS_" + "_".join(str(place) for place in error["loc"]).upper()
    return f"{name}: {error['msg'].lower()}", "correct it in the environment"


def _files(settings: Settings, templates: TemplateCheck) -> Iterator[Finding]:
    yield _policies(PolicyShelf(settings.default_policy, settings.policy_folder))
    try:
        templates(settings)
    except ValueError as error:
        yield Finding(State.WRONG, "templates", str(error))
    else:
        yield Finding(State.WELL, "templates", "all of them read and rendered with samples")
    try:
        _ = settings.links
    except LinkError as error:
        yield Finding(State.WRONG, "customers' links", str(error))
    else:
        yield Finding(State.WELL, "customers' links", f"lead to {settings.public_url}")


def _policies(shelf: PolicyShelf) -> Finding:
    try:
        for name in shelf.names():
            shelf.file(name)
    except PolicyError as error:
        return Finding(State.WRONG, "policies", str(error))
    if shelf.default not in shelf.names():
        return Finding(
            State.WRONG, "policies", f"the default {shelf.default!r} is none of them: {', '.join(shelf.names())}",
            "set LUNAS_DEFAULT_POLICY",
        )  # fmt: skip
    return Finding(State.WELL, "policies", f"{', '.join(shelf.names())}; the default is {shelf.default}")


async def _ledger(settings: Settings) -> list[Finding]:
    try:
        ledger = Ledger(settings.database_url)
    except (LedgerError, SQLAlchemyError) as error:
        return [Finding(State.WRONG, "ledger", str(error).splitlines()[0], "set LUNAS_DATABASE_URL")]
    where = ledger.url.render_as_string(hide_password=True)
    try:
        async with asyncio.timeout(_PATIENCE.total_seconds()):
            current = await is_current(ledger)
    except (SQLAlchemyError, OSError, TimeoutError) as error:
        reason = str(getattr(error, "orig", None) or error).splitlines() or [type(error).__name__]
        return [
            Finding(
                State.WRONG, "ledger", f"{where} cannot be reached: {reason[0]}", "start it, or set LUNAS_DATABASE_URL"
            )
        ]
    finally:
        await ledger.close()
    if not current:
        return [Finding(State.WRONG, "ledger", f"the tables in {where} are missing or old", "run `lunas migrate`")]
    return [Finding(State.WELL, "ledger", f"{where}, on its newest schema")]


async def _temporal() -> list[Finding]:
    from workflows.worker import NotReady, check_search_attributes, connect

    try:
        async with asyncio.timeout(_PATIENCE.total_seconds()):
            client = await connect()
    except (RuntimeError, TimeoutError):
        return [
            Finding(
                State.WRONG, "Temporal", "it does not answer",
                "start it (`lunas up` has one inside), or set TEMPORAL_ADDRESS",
            )
        ]  # fmt: skip
    findings = [Finding(State.WELL, "Temporal", f"{client.service_client.config.target_host}, {client.namespace}")]
    try:
        await check_search_attributes(client)
        findings.append(Finding(State.WELL, "search attributes", "all registered"))
        findings.append(await _worker(client))
    except NotReady as error:
        findings.append(Finding(State.WRONG, "search attributes", str(error)))
    except RPCError as error:
        findings.append(Finding(State.WRONG, "Temporal", f"it refuses to say more ({error.status.name})"))
    return findings


async def _worker(client: Client) -> Finding:
    # A worker that has just started, or is in the middle of a poll, is not always listed.
    for _ in range(5):
        if polls := await worker_polls(client):
            break
        await asyncio.sleep(0.5)
    if polls:
        return Finding(State.WELL, "worker", f"at work on the queue {TASK_QUEUE}")
    return Finding(State.WRONG, "worker", f"nobody works on the queue {TASK_QUEUE}", "start `lunas worker`")


async def worker_polls(client: Client) -> bool:
    """Whether a worker has asked for invoices' tasks in the last minutes."""
    found = await client.workflow_service.describe_task_queue(
        DescribeTaskQueueRequest(
            namespace=client.namespace,
            task_queue=TaskQueue(name=TASK_QUEUE),
            task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
        ),
        timeout=_PATIENCE,
    )
    return bool(found.pollers)


async def _mail(settings: Settings) -> list[Finding]:
    where = f"{settings.smtp_host}:{settings.smtp_port}"
    try:
        async with asyncio.timeout(_PATIENCE.total_seconds()):
            reader, writer = await asyncio.open_connection(
                settings.smtp_host, settings.smtp_port, ssl=settings.smtp_security == "tls" or None
            )
            greeting = await reader.readline()
            writer.close()
    except (OSError, TimeoutError, ValueError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        remedy = "start it, or set LUNAS_SMTP_HOST and LUNAS_SMTP_PORT"
        return [Finding(State.WRONG, "mail relay", f"{where} cannot be reached ({reason})", remedy)]
    if not greeting.startswith(b"220"):
        return [Finding(State.WRONG, "mail relay", f"{where} does not greet as a mail relay does", "check the port")]
    return [Finding(State.WELL, "mail relay", f"{where} answers, security: {settings.smtp_security}")]


def _notes(settings: Settings) -> Iterator[Finding]:
    if settings.sms_gateway == "none":
        yield Finding(State.NOTE, "SMS", "no gateway: notices by SMS count as undeliverable", "set LUNAS_SMS_GATEWAY")
    else:
        yield Finding(State.WELL, "SMS", f"through {settings.sms_gateway}")
    papers = ("name", "email", "licence", "certificate", "contract")
    missing = [paper for paper in papers if not getattr(settings, f"agency_{paper}")]
    if missing:
        names = ", ".join(f"LUNAS_AGENCY_{paper.upper()}" for paper in missing)
        yield Finding(State.NOTE, "agency", "its papers are not complete, so nothing can be placed", f"set {names}")
    else:
        yield Finding(State.WELL, "agency", settings.agency_name)
