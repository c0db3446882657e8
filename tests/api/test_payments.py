"""Money in, money back, credit notes: booked once, acknowledged when nothing can leave, whatever Temporal does."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from sqlalchemy import insert

from lunas.ledger.database import Ledger
from lunas.ledger.kinds import NoticeState
from lunas.ledger.outbox import undelivered
from lunas.ledger.tables import NoticeRow
from lunas.receivables.actions import NoticeKind
from lunas.receivables.invoice import Stage
from lunas.receivables.ladder import Channel, Tone
from tests.api.doubles import FakeTemporal
from tests.api.samples import NUMBER, TOTAL, at, customer, invoice, issued, payment, problem
from workflows import messages as m


async def test_a_payment_in_full_closes_the_invoice(http: httpx2.AsyncClient, temporal: FakeTemporal) -> None:
    await issued(http)
    answer = await http.post("/v1/payments", json=payment())
    assert answer.status_code == 202
    said = answer.json()
    assert (said["new"], said["allocated_minor"], said["outstanding_minor"]) == (True, TOTAL, 0)
    assert "nothing is open" in said["detail"]
    assert m.workflow_id(NUMBER) not in temporal.running
    assert (await http.get(at())).json()["stage"] == "paid"


async def test_a_repeated_payment_is_booked_once(http: httpx2.AsyncClient, temporal: FakeTemporal) -> None:
    await issued(http)
    part = payment(amount_minor=1000)
    first, second = [(await http.post("/v1/payments", json=part)).json() for _ in range(2)]
    assert (first["new"], second["new"]) == (True, False)
    assert first["receipt_id"] == second["receipt_id"]
    assert (await http.get(at())).json()["balance"]["received"] == 1000
    other = await http.post("/v1/payments", json=payment(amount_minor=2000))
    problem(other, 409, "conflict")


async def test_a_hundred_deliveries_at_once_are_one_receipt(http: httpx2.AsyncClient) -> None:
    await issued(http)
    answers = await asyncio.gather(*(http.post("/v1/payments", json=payment()) for _ in range(100)))
    assert {answer.status_code for answer in answers} == {202}
    assert sum(answer.json()["new"] for answer in answers) == 1
    assert (await http.get(at())).json()["balance"]["received"] == TOTAL


async def test_money_for_an_unknown_invoice_is_kept_and_said_so(http: httpx2.AsyncClient) -> None:
    answer = await http.post("/v1/payments", json=payment(invoice="INV-0"))
    assert answer.status_code == 202
    assert (answer.json()["invoice"], answer.json()["unapplied_minor"]) == (None, TOTAL)
    assert "kept unapplied" in answer.json()["detail"]
    assert "INV-0" in answer.json()["detail"]
    (receipt,) = (await http.get("/v1/payments/unapplied")).json()["receipts"]
    assert (receipt["named"], receipt["unapplied_minor"]) == ("INV-0", TOTAL)
    await issued(http)
    matched = await http.post("/v1/allocations", json={"receipt_id": receipt["receipt_id"], "invoice": NUMBER})
    assert matched.status_code == 202
    assert matched.json()["outstanding_minor"] == 0
    assert (await http.get("/v1/payments/unapplied")).json()["receipts"] == []
    again = await http.post("/v1/allocations", json={"receipt_id": receipt["receipt_id"], "invoice": NUMBER})
    problem(again, 409, "refused")
    problem(await http.post("/v1/allocations", json={"receipt_id": 9, "invoice": NUMBER}), 404, "not-found")


async def test_an_overpayment_is_kept_unapplied(http: httpx2.AsyncClient) -> None:
    await issued(http)
    said = (await http.post("/v1/payments", json=payment(amount_minor=TOTAL + 7))).json()
    assert (said["allocated_minor"], said["unapplied_minor"]) == (TOTAL, 7)
    assert "pay it back" in said["detail"]


async def test_money_is_booked_while_temporal_is_down_and_told_later(
    http: httpx2.AsyncClient, temporal: FakeTemporal, books: Ledger
) -> None:
    await issued(http)
    temporal.down = True
    assert (await http.post("/v1/payments", json=payment())).status_code == 202
    assert (await http.get(at())).json()["balance_minor"] == 0
    async with books.read() as session:
        assert [nudge.number for nudge in await undelivered(session)] == [NUMBER]
    calls = temporal.calls
    for reference in "abc":
        assert (await http.post("/v1/payments", json=payment(reference))).status_code == 202
    assert temporal.calls == calls, "a Temporal that was just found down is not asked again by every request"


async def under_way(books: Ledger, deadline: datetime) -> None:
    """A notice of the invoice that is committed, and may leave until `deadline`."""
    now = datetime.now(UTC)
    async with books.write() as session:
        await session.execute(
            insert(NoticeRow).values(
                customer_id=1,
                invoice_id=1,
                rung="follow_up+1",
                channel=Channel.EMAIL,
                kind=NoticeKind.FOLLOW_UP,
                tone=Tone.FRIENDLY,
                state=NoticeState.COMMITTING,
                token=1,
                covers=0,
                local_date=now.date(),
                business_at=now,
                claimed_at=now,
                deadline=deadline,
                facts_version=1,
                contact_version=1,
            )
        )


async def test_a_payment_is_acknowledged_when_nothing_can_leave_any_more(
    http: httpx2.AsyncClient, books: Ledger
) -> None:
    await issued(http)
    deadline = datetime.now(UTC) + timedelta(seconds=1)
    await under_way(books, deadline)
    answer = await http.post("/v1/payments", json=payment())
    assert answer.status_code == 202
    assert datetime.now(UTC) >= deadline


async def test_a_payment_is_not_acknowledged_while_a_message_may_leave(
    http: httpx2.AsyncClient, books: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def in_vain(ledger: Ledger, number: str) -> None:
        raise TimeoutError

    monkeypatch.setattr("api.quiet.settle", in_vain)
    await issued(http)
    said = problem(await http.post("/v1/payments", json=payment()), 503, "unavailable")
    assert "again" in said["detail"]
    assert (await http.get(at())).json()["balance_minor"] == 0, "it is booked all the same"


async def test_money_that_goes_back_reopens_the_invoice(http: httpx2.AsyncClient, temporal: FakeTemporal) -> None:
    await issued(http)
    await http.post("/v1/payments", json=payment("trx/1"))
    back = {"provider": "bca", "reference": "back-1", "reversed_on": "2026-11-25", "reason": "chargeback"}
    answer = await http.post("/v1/payments/trx%2F1/reversals", json=back)
    assert answer.status_code == 202
    assert answer.json()["invoices"] == [{"invoice": NUMBER, "outstanding_minor": TOTAL}]
    assert temporal.of(NUMBER).state.stage is Stage.ISSUED
    assert (await http.get(at())).json()["stage"] == "issued"
    assert (await http.post("/v1/payments/trx%2F1/reversals", json=back)).json()["new"] is False
    more = {**back, "reference": "back-2", "amount_minor": 1, "currency": "IDR"}
    problem(await http.post("/v1/payments/trx%2F1/reversals", json=more), 409, "refused")
    problem(await http.post("/v1/payments/unheard/reversals", json=back), 404, "not-found")
    half = {**back, "amount_minor": 1}
    problem(await http.post("/v1/payments/trx%2F1/reversals", json=half), 422, "invalid")


async def test_a_credit_note_makes_it_smaller_once(http: httpx2.AsyncClient) -> None:
    await issued(http)
    note = {
        "number": "CN/1",
        "invoice": NUMBER,
        "amount_minor": TOTAL,
        "currency": "IDR",
        "issued_on": "2026-11-05",
        "reason": "returned goods",
    }
    first, second = [await http.post("/v1/credit-notes", json=note) for _ in range(2)]
    assert [first.status_code, second.status_code] == [202, 202]
    assert [first.json()["new"], second.json()["new"]] == [True, False]
    assert (await http.get(at())).json()["stage"] == "credited"
    problem(await http.post("/v1/credit-notes", json={**note, "amount_minor": 1}), 409, "conflict")
    problem(await http.post("/v1/credit-notes", json={**note, "number": "CN/2"}), 409, "refused")
    problem(await http.post("/v1/credit-notes", json={**note, "number": "CN/3", "invoice": "X"}), 404, "not-found")


@pytest.mark.parametrize(
    "change",
    [
        {"amount_minor": 0},
        {"amount_minor": -1},
        {"amount_minor": 10**15 + 1},
        {"amount_minor": 1.5},
        {"amount_minor": "1"},
        {"currency": "idr"},
        {"reference": ""},
        {"reference": "x" * 201},
        {"provider": "BCA"},
        {"paid_on": "2026-11-20T00:00:00"},
        {"invoice": ""},
        {"extra": True},
    ],
)
async def test_a_payment_that_cannot_be_is_refused(http: httpx2.AsyncClient, change: dict[str, Any]) -> None:
    problem(await http.post("/v1/payments", json=payment(**change)), 422, "invalid")


async def test_the_journal_names_the_person_and_the_key(http: httpx2.AsyncClient) -> None:
    await issued(http)
    await http.post("/v1/payments", json=payment(by="siti"))
    entries = (await http.get(at(rest="/journal"))).json()["entries"]
    assert entries[1]["by"] == "siti, by key erp"


async def test_one_payment_tells_only_its_own_workflow(http: httpx2.AsyncClient, temporal: FakeTemporal) -> None:
    await http.post("/v1/customers", json=customer())
    for number in ("A", "B"):
        await http.post("/v1/invoices", json=invoice(number))
    await http.post("/v1/payments", json=payment(invoice="A", amount_minor=1))
    assert [len(temporal.of(number).heard) for number in "AB"] == [1, 0]
