"""Every test of the ledger runs on SQLite and on PostgreSQL, and leaves it sound.

All of them share one loop, and one open ledger a database that is emptied before each: opening one, and having it learn
its statements, costs more than most tests.
"""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy import delete

from lunas.ledger.database import Ledger
from lunas.ledger.invariants import violations
from lunas.ledger.tables import Base
from tests.conftest import DATABASES, Postgres
from tests.ledger.samples import Hands


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Have the tests of this folder share the session's loop."""
    for item in items:
        if Path(__file__).parent in item.path.parents and item.get_closest_marker("asyncio"):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest.fixture(scope="session", params=DATABASES)
def shared_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The ledger that the tests of this folder share."""
    if request.param == "sqlite":
        file = tmp_path_factory.mktemp("shared") / "ledger.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), file)
        return f"sqlite:///{file}"
    server: Postgres = request.getfixturevalue("postgres")
    return server.url("ledger")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared_ledger(shared_url: str) -> AsyncIterator[Ledger]:
    async with Ledger(shared_url) as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="session")
async def ledger(shared_ledger: Ledger, request: pytest.FixtureRequest) -> AsyncIterator[Ledger]:
    """An empty ledger; after the test it is asked for violations, unless one was made on purpose (`broken`)."""
    await forget_everything(shared_ledger)
    yield shared_ledger
    if "broken" not in request.fixturenames:
        await assert_sound(shared_ledger)


@pytest.fixture
def broken() -> None:
    """This test breaks the ledger on purpose."""


@pytest.fixture
def hands() -> Hands:
    """A clock that stands still until it is moved."""
    return Hands()


@pytest_asyncio.fixture(loop_scope="session")
async def still(shared_ledger: Ledger, hands: Hands) -> AsyncIterator[Ledger]:
    """An empty ledger under that clock, for deadlines."""
    await forget_everything(shared_ledger)
    shared_ledger._clock = hands
    yield shared_ledger
    await assert_sound(shared_ledger)
    shared_ledger._clock = None


async def forget_everything(ledger: Ledger) -> None:
    async with ledger.write() as session:
        for table in reversed(Base.metadata.sorted_tables):
            await session.execute(delete(table))


async def assert_sound(ledger: Ledger) -> None:
    async with ledger.read() as session:
        assert await violations(session) == []
