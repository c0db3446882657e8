"""The API against its own documentation: generated requests, valid and not; every answer must be a documented one.

And never a 5xx, whatever is sent. Served by uvicorn on a real socket, as in production.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import httpx2
import pytest
import schemathesis
import uvicorn
from hypothesis import HealthCheck, settings
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    allow_header_conformance,
    content_type_conformance,
    ignored_auth,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)
from temporalio.client import Client

from api.app import create_app
from api.keys import Scope
from lunas.ledger.database import Ledger
from lunas.settings import Settings
from tests.api.conftest import key_with
from tests.api.doubles import FakeTemporal
from tests.api.samples import NUMBER, at, customer, invoice

EXAMPLES = int(os.environ.get("LUNAS_CONTRACT_EXAMPLES", "5"))
CHECKS = [
    allow_header_conformance,
    content_type_conformance,
    ignored_auth,
    not_a_server_error,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
]


async def _no_temporal() -> Client:
    raise RuntimeError("only the documentation is asked for here")


_documented = create_app(Settings(), Ledger("sqlite:///never-opened.db"), _no_temporal).openapi()
schema = schemathesis.openapi.from_dict(_documented)


@schema.hook
def map_path_parameters(context: Any, path_parameters: dict[str, Any] | None) -> dict[str, Any] | None:
    """Most generated names stand for nothing: every other one becomes one that exists."""
    if not path_parameters:
        return path_parameters
    real = {"number": NUMBER, "code": "ACME", "contact_id": 1, "name": "standard", "endpoint_id": 1}
    return {
        name: real[name] if name in real and len(str(value)) % 2 else value for name, value in path_parameters.items()
    }


@dataclass(frozen=True)
class Served:
    """Where the API is, and a key that opens everything."""

    url: str
    key: str


@pytest.fixture(scope="module")
def served(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The API on a free port, in a thread and a loop of its own."""
    file = tmp_path_factory.mktemp("contract") / "ledger.db"
    shutil.copy(sqlite_template, file)
    listening = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    started, keys, servers = threading.Event(), list[str](), list[uvicorn.Server]()

    async def serve() -> None:
        ledger = Ledger(f"sqlite:///{file}")
        keys.append(await key_with(ledger, Scope.ADMIN))
        app = create_app(Settings(), ledger, cast(Client, FakeTemporal(ledger)), closes_ledger=True)
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="on"))
        servers.append(server)
        started.set()
        await server.serve([listening])

    thread = threading.Thread(target=asyncio.run, args=[serve()])
    thread.start()
    try:
        assert started.wait(30)
        with httpx2.Client(base_url=url, headers={"Authorization": f"Bearer {keys[0]}"}, timeout=30) as http:
            assert http.post("/v1/customers", json=customer()).status_code == 201
            hook = {"url": "https://erp.example.com/lunas", "events": ["invoice.issued"]}
            assert http.post("/v1/webhooks", json=hook).status_code == 201
            assert http.post("/v1/invoices", json=invoice()).status_code == 201
            assert http.get(at()).status_code == 200
        yield Served(url, keys[0])
    finally:
        for server in servers:
            server.should_exit = True
        thread.join(30)


def _test_of(operation_id: str) -> Callable[..., None]:
    @schema.include(operation_id=operation_id).parametrize()
    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
    def every_answer_is_a_documented_one(case: Case[Any], served: Served) -> None:
        headers = {"Authorization": f"Bearer {served.key}"}
        case.call_and_validate(base_url=served.url, headers=headers, checks=CHECKS, timeout=30)

    return cast(Callable[..., None], every_answer_is_a_documented_one)


# One test function an operation, because schemathesis gives all tests of one function the same id: xdist would take
# them for one.
OPERATIONS = [one["operationId"] for path in _documented["paths"].values() for one in path.values()]
globals().update({f"test_{operation_id}": _test_of(operation_id) for operation_id in OPERATIONS})
