"""The API over a real SQLite ledger and a Temporal that lives in this process."""

from __future__ import annotations

import asyncio
import os
import shutil
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import cast

import httpx2
import pytest
import uvicorn
from fastapi import FastAPI
from temporalio.client import Client

from api.app import create_app, make_services
from api.cli import run
from api.keys import Scope
from api.pages.customer import CustomerPages
from deploy.embedded.stack import free_port
from lunas.ledger.database import Ledger
from lunas.ledger.keys import create_key
from lunas.settings import Settings
from tests.api.doubles import FakeTemporal
from tests.api.payer import NUMBER
from tests.api.payer import SETTINGS as PAGES
from tests.ledger.samples import add_customer, add_invoice

URL = "http://lunas.test"
SETTINGS = Settings(body_limit_bytes=20_000)


@pytest.fixture
async def books(tmp_path: Path, sqlite_template: Path) -> AsyncIterator[Ledger]:
    """A fresh ledger on SQLite."""
    shutil.copy(sqlite_template, tmp_path / "ledger.db")
    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    yield ledger
    await ledger.close()


@pytest.fixture
def temporal(books: Ledger) -> FakeTemporal:
    return FakeTemporal(books)


@pytest.fixture(scope="session")
def routes() -> FastAPI:
    """The application without a ledger of its own: its first request costs more than a test does."""
    return create_app(SETTINGS, Ledger("sqlite:///never-opened.db"), _nowhere)


async def _nowhere() -> Client:
    raise RuntimeError("this test has no Temporal")


@pytest.fixture
def app(routes: FastAPI, books: Ledger, temporal: FakeTemporal) -> FastAPI:
    """The application over this test's ledger and Temporal."""
    routes.state.services = make_services(SETTINGS, books, cast(Client, temporal))
    return routes


async def key_with(ledger: Ledger, *scopes: Scope, name: str = "erp") -> str:
    async with ledger.write() as session:
        return await create_key(session, name=name, scopes=scopes)


@pytest.fixture
async def admin(books: Ledger) -> str:
    """A key that opens everything."""
    return await key_with(books, Scope.ADMIN)


def browser(app: FastAPI, key: str | None) -> httpx2.AsyncClient:
    """A client of the application in this process; `key` None sends none."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
    return httpx2.AsyncClient(transport=transport, base_url=URL, headers=headers)


@pytest.fixture
async def http(app: FastAPI, admin: str) -> AsyncIterator[httpx2.AsyncClient]:
    """The API as an administrator calls it."""
    async with browser(app, admin) as client:
        yield client


# --- the customer's page -------------------------------------------------------------------------------------------


@pytest.fixture
async def customer(books: Ledger, temporal: FakeTemporal) -> AsyncIterator[httpx2.AsyncClient]:
    await add_customer(books)
    await add_invoice(books)
    app = FastAPI()
    services = app.state.services = make_services(PAGES, books, cast(Client, temporal))
    app.include_router(CustomerPages(services).router())
    await services.nudges.tell(NUMBER)
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://lunas.example") as client:
        yield client


# --- the command line -----------------------------------------------------------------------------------------------

Said = Callable[..., tuple[int, str, str]]


@pytest.fixture
def own_environment(tmp_path: Path) -> Iterator[None]:
    """No test finds what this machine's own `lunas up` left, and none leaves its environment behind."""
    before = dict(os.environ)
    for name in before:
        if name.startswith(("LUNAS_", "TEMPORAL_")):
            del os.environ[name]
    os.environ["LUNAS_DATA"] = str(tmp_path / "data")
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Said:
    """Run a command; the answer is its exit code, and what it said on standard output and error."""

    def run_it(*arguments: str) -> tuple[int, str, str]:
        code = run(arguments)
        out, err = capsys.readouterr()
        return code, out, err

    return run_it


@pytest.fixture
def api(own_environment: None, tmp_path: Path, sqlite_template: Path) -> Iterator[FakeTemporal]:
    """A running API, over a ledger and a Temporal of this test's own; the command line knows where it is."""
    shutil.copy(sqlite_template, tmp_path / "ledger.db")
    port, ready, ended = free_port(), threading.Event(), threading.Event()
    keys: list[str] = []
    temporals: list[FakeTemporal] = []
    servers: list[uvicorn.Server] = []

    async def serve() -> None:
        ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
        temporals.append(FakeTemporal(ledger))
        keys.append(await key_with(ledger, Scope.ADMIN))
        application = create_app(SETTINGS, ledger, cast(Client, temporals[0]), closes_ledger=True)
        servers.append(uvicorn.Server(uvicorn.Config(application, port=port, log_level="error")))
        serving = asyncio.create_task(servers[0].serve())
        while not servers[0].started and not serving.done():
            await asyncio.sleep(0.01)
        ready.set()
        await serving

    def in_its_own_loop() -> None:
        try:
            asyncio.run(serve())
        finally:
            ready.set()
            ended.set()

    threading.Thread(target=in_its_own_loop, daemon=True).start()
    assert ready.wait(30) and servers, "the API did not start"
    os.environ["LUNAS_API_URL"] = f"http://127.0.0.1:{port}"
    os.environ["LUNAS_API_KEY"] = keys[0]
    yield temporals[0]
    servers[0].should_exit = True
    assert ended.wait(30), "the API did not stop"
