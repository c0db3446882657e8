"""A worker of the storm: the real composition root, with less patience, and with what a test puts in a part's place.

A worker that was killed is missed after a minute in production; a storm of minutes cannot wait for it. So attempts and
sticky tasks end sooner here. That is harder on the protocol, not easier: an attempt that its time ran out on goes on
beside the one that replaces it.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from functools import partial
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, Self

from pydantic import SecretStr
from temporalio import activity
from temporalio.client import Client
from temporalio.worker import Worker

from activities.delivery import Accepted, Carrier, Prepared
from activities.email import EmailCarrier
from activities.reconcile import ReconcileActivities
from lunas.briefs import NoticeBrief
from lunas.ledger.database import Ledger
from lunas.ledger.progress import record_progress
from lunas.receivables.orders import Order, Report, Verdict
from lunas.settings import Settings
from tests.storm.naive import NaiveDelivery
from workflows import options as workflow_options
from workflows import worker as composition

STICKY_TIMEOUT = timedelta(seconds=2)
RECONCILE_EVERY = timedelta(seconds=5)
NUDGE_IS_LATE_AFTER = timedelta(seconds=3)


class Place(StrEnum):
    """Where a worker can be stopped on its way through the send protocol."""

    CLAIMED = "after the claim, before anything is sent"
    PREPARED = "all but the dot is with the relay, before the commit"
    COMMITTED = "after the commit, before the dot"
    ACCEPTED = "after the relay's yes, before it is recorded"


def first(marker: Path) -> bool:
    """Whether this process is the first to leave its mark there."""
    try:
        marker.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Halt:
    """Stop once, at this place, by this signal, and write a file so that nobody stops there again."""

    place: Place
    number: signal.Signals
    marker: Path

    def reach(self, place: Place) -> None:
        if place is self.place and first(self.marker):
            os.kill(os.getpid(), self.number)


class HaltingCarrier:
    """A carrier that comes to grief where it is told to."""

    def __init__(self, carrier: Carrier, halt: Halt) -> None:
        self.channel = carrier.channel
        self._carrier = carrier
        self._halt = halt

    def template_digest(self, brief: NoticeBrief) -> str:
        self._halt.reach(Place.PREPARED)  # asked for inside the commit's transaction, which then never ends
        return self._carrier.template_digest(brief)

    async def prepare(self, brief: NoticeBrief) -> HaltingPrepared:
        self._halt.reach(Place.CLAIMED)
        return HaltingPrepared(await self._carrier.prepare(brief), self._halt)


class HaltingPrepared:
    def __init__(self, prepared: Prepared, halt: Halt) -> None:
        self._prepared = prepared
        self._halt = halt

    async def release(self, before: float) -> Accepted:
        self._halt.reach(Place.COMMITTED)
        accepted = await self._prepared.release(before)
        self._halt.reach(Place.ACCEPTED)
        return accepted

    async def __aenter__(self) -> Self:
        await self._prepared.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._prepared.__aexit__(kind, error, trace)


class Search:
    """A search that finds nobody: websites are no part of the storm."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    @activity.defn(name="research_contact")
    async def find_nobody(self, order: Order) -> Report:
        async with self._ledger.write() as session:
            facts = await record_progress(session, order.invoice, order.progress)
        return Report(Verdict.DONE, facts)


def make_impatient(attempt: timedelta) -> None:
    """Let nothing wait for minutes."""
    short = partial(
        workflow_options.Options,
        attempt=attempt,
        first_wait=timedelta(seconds=0.3),
        longest_wait=timedelta(seconds=2),
        reason="a storm lasts minutes",
    )
    put(workflow_options, _NOTICE=short())
    workflow_options._TABLE.update({name: short() for name in workflow_options._TABLE})
    put(
        composition,
        STICKY_TIMEOUT=STICKY_TIMEOUT,
        ReconcileActivities=partial(ReconcileActivities, late_after=NUDGE_IS_LATE_AFTER),
        check=_was_checked,
    )


async def _was_checked(settings: Settings, client: Client, ledger: Ledger) -> None:
    """Templates, policies and tables are those of this storm, and a killed worker is to be back soon."""


def halt_at(halt: Halt) -> None:
    """Give the composition root a carrier that stops there."""

    def carrier(*parts: Any) -> HaltingCarrier:
        return HaltingCarrier(EmailCarrier(*parts), halt)

    put(composition, EmailCarrier=carrier)


def search_for_nobody() -> None:
    """Register a search for contacts that finds none, in the place of the one that fetches websites."""
    make_worker = composition.make_worker

    def without_websites(
        settings: Settings, client: Client, performed: Sequence[Callable[..., Any]], **options: Any
    ) -> Worker:
        kept = [each for each in performed if _name(each) != "research_contact"]
        search = Search(Ledger(settings.database_url, pool_size=1))
        return make_worker(settings, client, [*kept, search.find_nobody], **options)

    put(composition, make_worker=without_websites)


def _name(performed: Callable[..., Any]) -> str | None:
    return activity._Definition.must_from_callable(performed).name


def put(module: ModuleType, **names: object) -> None:
    """Put these in the place of the module's own, in this process."""
    vars(module).update(names)


def settings_for(database_url: str, smtp_port: int) -> Settings:
    """The settings of a storm's processes."""
    return Settings(
        database_url=database_url,
        smtp_port=smtp_port,
        link_secret=SecretStr("a-secret-for-storms-of-32-characters!"),
        reconcile_every=RECONCILE_EVERY,
    )


def main(options: dict[str, Any]) -> None:
    """Work until killed.

    `naive` sends as people do who have not thought about it; `halt` is a place, see `Halt`; an attempt may take
    `attempt` seconds.
    """
    os.environ["TEMPORAL_ADDRESS"] = options["temporal"]
    make_impatient(timedelta(seconds=options["attempt"]))
    search_for_nobody()
    if options.get("naive"):
        put(composition, Delivery=NaiveDelivery)
    if halt := options.get("halt"):
        halt_at(Halt(Place(halt["place"]), signal.Signals(halt["signal"]), Path(halt["marker"])))
    asyncio.run(composition.run(settings_for(options["database_url"], options["smtp_port"])))
