"""The API over a real SQLite ledger and a Temporal that lives in this process."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import httpx2
import pytest
from fastapi import FastAPI
from temporalio.client import Client

from api.app import create_app, make_services
from api.keys import Scope
from lunas.ledger.database import Ledger
from lunas.ledger.keys import create_key
from lunas.settings import Settings
from tests.api.doubles import FakeTemporal

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
