"""What operations do by hand, and what they see when a workflow cannot be asked."""

from __future__ import annotations

from datetime import datetime
from typing import cast

import httpx2
import pytest
from fastapi import FastAPI
from pydantic import ValidationError
from temporalio.client import Client
from temporalio.service import RPCStatusCode

from api.app import make_services
from lunas.ledger.database import Ledger
from lunas.ledger.outbox import undelivered
from lunas.settings import Settings
from tests.api.doubles import FakeTemporal
from tests.api.samples import NUMBER, at, issued, payment, problem


async def nudged(http: httpx2.AsyncClient) -> str:
    answer = await http.post(at(rest="/nudge"))
    assert answer.status_code == 200, answer.text
    assert answer.json()["number"] == NUMBER
    return str(answer.json()["workflow"])


async def test_a_nudge_says_what_came_of_it(
    http: httpx2.AsyncClient, temporal: FakeTemporal, books: Ledger, app: FastAPI
) -> None:
    await issued(http)
    assert await nudged(http) == "running"
    temporal.running.clear()  # as if an operator had terminated it
    assert await nudged(http) == "started"
    temporal.down = True
    await http.post("/v1/payments", json=payment())
    assert await nudged(http) == "pending"
    temporal.down = False
    app.state.services = make_services(Settings(), books, cast(Client, temporal))  # which has not found it down
    assert await nudged(http) == "running"
    assert await nudged(http) == "closed"
    async with books.read() as session:
        assert await undelivered(session) == []
    problem(await http.post(at("NOBODY", "/nudge")), 404, "not-found")


async def test_a_paused_workflow_is_said_to_be_paused(http: httpx2.AsyncClient, temporal: FakeTemporal) -> None:
    await issued(http)
    temporal.paused = True
    assert "paused" in problem(await http.get(at() + "?live=true"), 503, "unavailable")["detail"]
    assert (await http.get(at())).status_code == 200
    temporal.fails_with = RPCStatusCode.FAILED_PRECONDITION
    answer = await http.post(at(rest="/pause"), json={"reason": "x"})
    assert "paused" in problem(answer, 503, "unavailable")["detail"]


async def test_overdue_is_what_the_company_s_midnight_says(
    http: httpx2.AsyncClient, temporal: FakeTemporal, books: Ledger, app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At 22:00 in Kiribati's east it is still yesterday at the other side of the date line."""
    await issued(http, due_on="2026-11-10")
    east, west = "Pacific/Kiritimati", "Pacific/Pago_Pago"  # 25 hours apart: never the same day
    found = {}
    for day in ("2026-11-10", "2026-11-11"):
        instant = datetime.fromisoformat(
            f"{day}T09:59:00+00:00"
        )  # 23:59 in the east, 22:59 of the day before in the west
        monkeypatch.setattr(books, "_clock", lambda instant=instant: instant)
        for zone in (east, west):
            app.state.services = make_services(Settings(company_time_zone=zone), books, cast(Client, temporal))
            page = (await http.get("/v1/invoices?overdue=true")).json()
            found[day, zone] = len(page["invoices"])
    assert found == {
        ("2026-11-10", east): 0,
        ("2026-11-10", west): 0,
        ("2026-11-11", east): 1,
        ("2026-11-11", west): 0,
    }


def test_a_company_lives_in_a_zone_that_exists() -> None:
    assert Settings(company_time_zone="Asia/Makassar").company.time_zone == "Asia/Makassar"
    with pytest.raises(ValidationError, match="not a time zone"):
        Settings(company_time_zone="WIB")
