"""The storm in short: the same parts, faults and checks as `make storm`, for some seconds."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.storm.nursery import Nursery
from tests.storm.plan import Scale
from tests.storm.report import strength_of
from tests.storm.storm import storm

pytestmark = pytest.mark.asyncio(loop_scope="module")

SEED = 20_261_122
SHORT = Scale(invoices=20, rungs=3, seconds=8.0, fault_every=1.0, mails_a_fault=2, workers=2, attempt=5.0)
#: The naive design needs no fault to dun somebody who has paid; being killed makes it do so twice.
CONTROL = Scale(invoices=20, rungs=3, seconds=8.0, fault_every=0.7, mails_a_fault=2, workers=2, attempt=3.0)


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
    assert result.after > 0, "it dunned nobody who had paid: the storm proves nothing"
