"""The typed client: what it sends, what it repeats, and what it says when it cannot."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import UTC, date, datetime, timedelta

import httpx2
import pytest
from fastapi import FastAPI

from api.client import Declined, LunasClient, Unreachable
from api.errors import Kind
from api.keys import Scope
from api.schemas.customers import ContactBody, ContactChange, CustomerBody, CustomerChange
from api.schemas.invoices import InvoiceBody
from api.schemas.payments import PaymentBody, ReversalBody
from api.schemas.plans import RehearsalBody
from api.schemas.requests import PauseBody, PromiseBody, RequestBody
from api.schemas.upkeep import AnswerBody, KeyBody, TurnBody
from lunas.receivables.invoice import HoldKind, Stage
from lunas.receivables.ladder import Channel
from tests.api.conftest import URL
from tests.api.doubles import FakeTemporal
from tests.api.samples import NUMBER, TOTAL, customer, invoice, payment


@pytest.fixture
async def lunas(app: FastAPI, admin: str) -> AsyncIterator[LunasClient]:
    async with LunasClient(URL, admin, transport=httpx2.ASGITransport(app=app)) as client:
        yield client


async def with_invoice(lunas: LunasClient) -> None:
    await lunas.create_customer(CustomerBody.model_validate_json(_json(customer())))
    made = await lunas.issue(InvoiceBody.model_validate_json(_json(invoice())))
    assert made.balance_minor == TOTAL


def _json(body: dict[str, object]) -> str:
    return httpx2.Request("POST", "http://x", json=body).content.decode()


async def test_a_whole_life(lunas: LunasClient, temporal: FakeTemporal) -> None:
    await with_invoice(lunas)
    assert (await lunas.invoice(NUMBER, live=True)).live is not None
    assert (await lunas.promise(NUMBER, PromiseBody(pay_by=_soon()))).held is HoldKind.PROMISE
    assert [one.number async for one in lunas.find_invoices(hold="promise", stage=["issued", "due"])] == [NUMBER]
    assert (await lunas.answered(NUMBER, AnswerBody(about="will pay"))).facts_version == 2
    part = PaymentBody.model_validate_json(_json(payment("a/b", amount_minor=5)))
    assert (await lunas.pay(part)).outstanding_minor == TOTAL - 5
    back = ReversalBody(provider="bca", reference="back", reversed_on=date(2026, 11, 22), reason="bounced")
    assert (await lunas.reverse("a/b", back)).amount_minor == 5
    rest = PaymentBody.model_validate_json(_json(payment("c")))
    assert (await lunas.pay(rest)).outstanding_minor == 0
    assert (await lunas.invoice(NUMBER)).stage is Stage.PAID
    assert [line.event for line in await lunas.journal(NUMBER)][-1] == "paid_in_full"
    assert await lunas.decisions(NUMBER, date(2026, 11, 22)) == []
    assert await lunas.unapplied() == []
    with pytest.raises(Declined, match="is paid") as declined:
        await lunas.pause(NUMBER, PauseBody(reason="x"))
    assert declined.value.is_about(Kind.REFUSED)


async def test_everything_else_it_can_ask(lunas: LunasClient) -> None:
    await with_invoice(lunas)
    assert (await lunas.customer("ACME")).name == "PT ACME"
    assert [one.code for one in await lunas.find_customers("acm")] == ["ACME"]
    assert (await lunas.change_customer("ACME", CustomerChange(name="PT Baru"))).name == "PT Baru"
    contact = await lunas.add_contact("ACME", ContactBody(phone="+6281234567899"))
    assert (await lunas.change_contact("ACME", contact.id, ContactChange(name="Budi"))).name == "Budi"
    assert (await lunas.opt_out("ACME", contact.id, Channel.SMS)).phone_state == "opted_out"
    assert await lunas.findings("ACME") == []
    assert await lunas.unsettled() == []
    assert (await lunas.policies()).default == "standard"
    assert (await lunas.lifecycle()).rules
    assert (await lunas.rehearse(RehearsalBody(issued_on=date(2026, 11, 1)))).planned
    assert (await lunas.preview(NUMBER, "gentle")).policy == "gentle"
    assert (await lunas.pause(NUMBER, PauseBody(reason="x"))).held is HoldKind.PAUSE
    assert (await lunas.resume(NUMBER, RequestBody())).held is None
    turn = TurnBody(by="budi", reason="x")
    assert (await lunas.stop_sending(turn)).stopped
    assert not (await lunas.resume_sending(turn)).stopped
    assert not (await lunas.sending()).stopped
    key = await lunas.create_key(KeyBody(name="shop", scopes=[Scope.READ]))
    assert [one.name for one in await lunas.keys()] == ["erp", "shop"]
    await lunas.revoke_key(key.split("_")[1])
    assert (await lunas.ready()).ready


async def test_all_pages_of_a_list_are_walked(lunas: LunasClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.client._PAGE", 2)
    await with_invoice(lunas)
    for number in range(4):
        await lunas.issue(InvoiceBody.model_validate_json(_json(invoice(f"I-{number}"))))
    assert len([one async for one in lunas.find_invoices()]) == 5
    assert len([one async for one in lunas.find_invoices(limit=3)]) == 3
    assert [one async for one in lunas.find_invoices(overdue=True, as_of=date(2026, 11, 2))] == []


def replying(*answers: httpx2.Response | Exception) -> tuple[LunasClient, list[httpx2.Request]]:
    """A client whose server answers so, one after the other."""
    seen: list[httpx2.Request] = []
    left = iter(answers)

    def handle(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        answer = next(left)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return LunasClient(URL, "k", transport=httpx2.MockTransport(handle)), seen


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.client._WAITS", (0.0, 0.0))


READY = {"stopped": False}


async def test_it_asks_again_when_no_answer_came() -> None:
    lunas, seen = replying(httpx2.ReadTimeout("x"), httpx2.Response(503), httpx2.Response(200, json=READY))
    assert not (await lunas.sending()).stopped
    assert len(seen) == 3


async def test_it_gives_up_in_words() -> None:
    lunas, seen = replying(*[httpx2.ConnectError("x")] * 3)
    with pytest.raises(Unreachable, match=r"lunas\.test does not answer"):
        await lunas.sending()
    assert len(seen) == 3


async def test_a_repeated_request_has_one_idempotency_key() -> None:
    lunas, seen = replying(*[httpx2.ConnectError("x")] * 3)
    with pytest.raises(Unreachable):
        await lunas.pause("A/B", PauseBody(reason="x"))
    assert len({request.headers["idempotency-key"] for request in seen}) == 1
    assert seen[0].url.raw_path == b"/v1/invoices/A%2FB/pause"


async def test_a_key_is_never_made_twice() -> None:
    lunas, seen = replying(*[httpx2.ReadTimeout("x")] * 3)
    with pytest.raises(Unreachable):
        await lunas.create_key(KeyBody(name="x", scopes=[Scope.READ]))
    assert len(seen) == 1


@pytest.mark.parametrize("make", [lambda: httpx2.Response(502, text="<html>Bad gateway"), lambda: httpx2.Response(500)])
async def test_an_answer_that_is_not_ours_is_said_so(make: Callable[[], httpx2.Response]) -> None:
    lunas, _ = replying(make())
    with pytest.raises(Declined, match="check the address"):
        await lunas.sending()


def _soon() -> date:
    return (datetime.now(UTC) + timedelta(days=5)).date()
