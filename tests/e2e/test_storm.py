"""The storm in short: the same parts, faults and checks as `make storm`, for some seconds."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio

from tests.storm.nursery import Nursery
from tests.storm.plan import Scale
from tests.storm.report import strength_of
from tests.storm.storm import storm

pytestmark = pytest.mark.asyncio(loop_scope="module")

SEED = 20_261_122
SHORT = Scale(
    invoices=16, rungs=3, seconds=6.0, fault_every=0.8, mails_a_fault=2, workers=2, apis=1,
    attempt=4.0, sluggish=1.0, slack_days=2,
)  # fmt: skip
CONTROL = replace(SHORT, rungs=2, seconds=4.0, sluggish=1.5, slack_days=0)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def nursery(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Nursery]:
    async with Nursery(tmp_path_factory.mktemp("storm") / "logs") as running:
        yield running


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
async def test_nothing_is_said_twice_or_after_a_payment(nursery: Nursery, database: str) -> None:
    result = await storm(SEED, SHORT, nursery, postgresql=database == "postgresql")
    result.print()
    assert result.violations == ()
    assert result.weakness(strength_of(SHORT)) == []


async def test_the_storm_bites_a_naive_design(nursery: Nursery) -> None:
    result = await storm(SEED, CONTROL, nursery, postgresql=False, naive=True)
    result.print()
    assert result.twice + result.after > 0, "the naive design came off unharmed: the storm proves nothing"
