"""Offers follow the balance in a workflow of their own, begun by whoever tells an invoice's workflow of new facts."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from temporalio import activity
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from lunas.receivables.invoice import Balance, Facts, InvoiceState
from workflows import messages as m
from workflows import options
from workflows.nudging import Courier, Told
from workflows.offers import FollowOffersWorkflow, follow_offers
from workflows.options import options_for
from workflows.sandbox import workflow_runner

NUMBER = "INV/2026/11/0042"


class Providers:
    """The activity: fails as often as a test wishes first, and can be held up."""

    def __init__(self) -> None:
        self.followed: list[str] = []
        self.failures = 0
        self.may_end = asyncio.Event()
        self.may_end.set()
        self.begun = asyncio.Event()

    @activity.defn(name="follow_offers")
    async def follow(self, number: str) -> None:
        self.followed.append(number)
        self.begun.set()
        await self.may_end.wait()
        if self.failures:
            self.failures -= 1
            raise ApplicationError("the provider is away")


@pytest.fixture
def providers() -> Providers:
    return Providers()


def worker(env: WorkflowEnvironment, providers: Providers) -> Worker:
    return Worker(
        env.client,
        task_queue=m.TASK_QUEUE,
        workflows=[FollowOffersWorkflow],
        activities=[providers.follow],
        workflow_runner=workflow_runner(),
    )


async def test_a_provider_that_is_away_is_asked_again(
    env: WorkflowEnvironment, providers: Providers, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = options_for("follow_offers")
    monkeypatch.setitem(options._TABLE, "follow_offers", replace(row, first_wait=timedelta(milliseconds=10)))
    providers.failures = 2
    async with worker(env, providers):
        with env.auto_time_skipping_disabled():
            await follow_offers(env.client, NUMBER)
            await env.client.get_workflow_handle(m.offers_id(NUMBER)).result()
    assert providers.followed == [NUMBER] * 3


async def test_a_change_in_the_middle_is_followed_too_and_one_workflow_does_it(
    env: WorkflowEnvironment, providers: Providers
) -> None:
    providers.may_end.clear()
    async with worker(env, providers):
        await follow_offers(env.client, NUMBER)
        handle = env.client.get_workflow_handle(m.offers_id(NUMBER))
        await providers.begun.wait()
        run = (await handle.describe()).run_id
        for _ in range(3):
            await follow_offers(env.client, NUMBER)
        providers.may_end.set()
        await handle.result()
        assert (await handle.describe()).run_id == run
    assert providers.followed == [NUMBER] * 2


async def test_it_can_be_begun_again_later(env: WorkflowEnvironment, providers: Providers) -> None:
    async with worker(env, providers):
        for _ in range(2):
            await follow_offers(env.client, NUMBER)
            await env.client.get_workflow_handle(m.offers_id(NUMBER)).result()
    assert providers.followed == [NUMBER] * 2


class Desk:
    """A ledger and a Temporal that only remember what they were told."""

    def __init__(self, *, outdated: bool) -> None:
        self.outdated = outdated
        self.started: list[str] = []
        self.marked: list[int] = []
        self.down = False

    async def facts_of(self, number: str) -> Facts:
        return Facts(3, Balance(100, 0, 40, 0, 0, 0))

    async def state_of(self, number: str) -> InvoiceState:
        raise AssertionError("the workflow runs: nobody asks for a state to start from")

    async def needs_other_offers(self, number: str) -> bool:
        return self.outdated

    async def mark(self, number: str, version: int) -> None:
        self.marked.append(version)

    def now(self) -> datetime:
        return datetime.now(UTC)

    def get_workflow_handle(self, id_: str) -> Desk:
        return self

    async def signal(self, *told: Any, **given: Any) -> None:
        return None

    async def start_workflow(self, name: str, number: str, **given: Any) -> None:
        if self.down:
            raise RPCError("away", RPCStatusCode.UNAVAILABLE, b"")
        self.started.append(f"{name} {number} {given['id']}")


@pytest.mark.parametrize("outdated", [True, False])
async def test_whoever_brings_news_has_the_offers_follow_where_they_do_not_fit(outdated: bool) -> None:
    desk = Desk(outdated=outdated)
    assert await Courier(desk).deliver(cast(Client, desk), NUMBER) is Told.SIGNALLED
    assert desk.started == ([f"FollowOffers {NUMBER} offers/{NUMBER}"] if outdated else [])
    assert desk.marked == [3]


async def test_news_are_not_marked_as_told_where_the_offers_could_not_be_begun_with() -> None:
    desk = Desk(outdated=True)
    desk.down = True
    with pytest.raises(RPCError):
        await Courier(desk).deliver(cast(Client, desk), NUMBER)
    assert desk.marked == [], "the reconcile schedule brings them again"
