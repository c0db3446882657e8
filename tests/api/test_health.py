"""What load balancers and monitoring ask."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import httpx2
from fastapi import FastAPI
from temporalio.client import Client

from api.app import make_services
from lunas.ledger.database import Ledger
from lunas.ledger.kinds import NoticeState
from lunas.ledger.tables import NoticeRow
from lunas.receivables.actions import NoticeKind
from lunas.receivables.ladder import Channel, Tone
from tests.api.conftest import SETTINGS, browser
from tests.api.doubles import FakeTemporal
from tests.api.samples import issued, problem


async def test_it_is_ready_while_the_ledger_is(http: httpx2.AsyncClient, temporal: FakeTemporal) -> None:
    answer = await http.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {
        "ready": True,
        "ledger": "ok",
        "temporal": "ok",
        "outbox_waiting": 0,
        "outbox_age_seconds": 0.0,
    }
    temporal.down = True
    await issued(http)
    answer = await http.get("/readyz")
    assert answer.status_code == 200
    assert answer.json()["temporal"].startswith("does not answer")
    assert answer.json()["outbox_waiting"] == 1
    assert answer.json()["outbox_age_seconds"] > 0


async def test_without_its_ledger_it_is_alive_and_not_ready(app: FastAPI, tmp_path: Path) -> None:
    for url, said in (
        (f"sqlite:///{tmp_path / 'new.db'}", "lunas migrate"),
        ("postgresql://x@127.0.0.1:9/x", "does not"),
    ):
        ledger = Ledger(url)
        app.state.services = make_services(SETTINGS, ledger, cast(Client, FakeTemporal(ledger)))
        async with browser(app, "lunas_0_x") as http:
            assert (await http.get("/healthz")).status_code == 200
            answer = await http.get("/readyz")
            assert answer.status_code == 503
            assert answer.json()["ready"] is False
            assert said in answer.json()["ledger"]
            if url.startswith("postgresql"):
                refused = await http.get("/v1/invoices")
                problem(refused, 503, "unavailable")
                assert refused.headers["retry-after"]
        await ledger.close()


async def test_metrics_count_by_route_and_show_the_outbox(http: httpx2.AsyncClient, temporal: FakeTemporal) -> None:
    temporal.down = True
    await issued(http)
    await http.get("/v1/customers/NOBODY")
    await http.get("/not/a/route/of/ours")
    answer = await http.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = answer.text.splitlines()
    assert 'lunas_http_requests_total{method="POST",route="/v1/invoices",status="201"} 1.0' in lines
    assert 'lunas_http_requests_total{method="GET",route="/v1/customers/{code}",status="404"} 1.0' in lines
    assert 'lunas_http_requests_total{method="GET",route="unmatched",status="404"} 1.0' in lines
    assert "lunas_outbox_waiting 1.0" in lines
    assert "NOBODY" not in answer.text


async def test_metrics_show_what_was_said_and_what_stands_still(
    http: httpx2.AsyncClient, temporal: FakeTemporal, books: Ledger
) -> None:
    await issued(http)
    async with books.write() as session:
        for place, state in enumerate((NoticeState.SENT, NoticeState.SENT, NoticeState.UNKNOWN)):
            session.add(notice(f"follow_up+{place}", state, await session.now()))
    await http.post("/v1/sending/stop", json={"by": "budi", "reason": "wrong template"})
    temporal.reconciled_at = datetime.now(UTC) - timedelta(seconds=90)
    lines = (await http.get("/metrics")).text.splitlines()
    assert 'lunas_notices{state="sent"} 2.0' in lines
    assert 'lunas_notices{state="failed"} 0.0' in lines
    assert "lunas_notices_unknown 1.0" in lines
    assert "lunas_sending_stopped 1.0" in lines
    assert "lunas_reconcile_failed 2.0" in lines
    (age,) = [float(line.split()[1]) for line in lines if line.startswith("lunas_reconcile_age_seconds ")]
    assert 90 <= age < 120


async def test_metrics_come_without_temporal_too(http: httpx2.AsyncClient, temporal: FakeTemporal) -> None:
    temporal.down = True
    lines = (await http.get("/metrics")).text.splitlines()
    assert "lunas_reconcile_age_seconds NaN" in lines
    assert "lunas_sending_stopped 0.0" in lines


def notice(rung: str, state: NoticeState, at: datetime) -> NoticeRow:
    return NoticeRow(
        customer_id=1,
        invoice_id=1,
        rung=rung,
        channel=Channel.EMAIL,
        kind=NoticeKind.FOLLOW_UP,
        tone=Tone.FRIENDLY,
        state=state,
        local_date=at.date(),
        business_at=at,
        claimed_at=at,
        facts_version=1,
    )


async def test_the_documentation_needs_no_other_host(http: httpx2.AsyncClient) -> None:
    assert (await http.get("/")).headers["location"] == "/docs"
    page = (await http.get("/docs")).text
    assert "https://" not in page
    assert (await http.get("/static-offline-docs/swagger-ui-bundle.js")).status_code == 200


async def test_the_switch_stops_all_sending(http: httpx2.AsyncClient) -> None:
    assert (await http.get("/v1/sending")).json()["stopped"] is False
    turn = {"by": "budi", "reason": "wrong template"}
    stopped = (await http.post("/v1/sending/stop", json=turn)).json()
    assert (stopped["stopped"], stopped["by"], stopped["reason"]) == (True, "budi, by key erp", "wrong template")
    assert (await http.post("/v1/sending/resume", json=turn)).json()["stopped"] is False
    problem(await http.post("/v1/sending/stop", json={"by": "budi"}), 422, "invalid")
