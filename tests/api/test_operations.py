"""What operations do from the command line, on a running API."""

from __future__ import annotations

import asyncio

from lunas.ledger.database import Ledger
from lunas.ledger.kinds import NoticeState
from tests.api.conftest import Said
from tests.api.doubles import FakeTemporal
from tests.api.test_health import notice

ISSUE = ("issue", "INV/1", "--customer", "ACME", "--amount", "125", "--description", "Beras", "--issued", "2026-11-01")


def issue(said: Said) -> None:
    code, _, err = said(*ISSUE, "--name", "PT Acme", "--email", "ap@acme.example")
    assert code == 0, err


def test_a_nudge_says_what_came_of_it(api: FakeTemporal, said: Said) -> None:
    issue(said)
    assert "INV/1: its workflow runs, and has the ledger's news." in said("nudge", "INV/1")[1]
    api.running.clear()
    assert "INV/1: no workflow ran: one is started." in said("nudge", "--open")[1]
    code, _, err = said("nudge", "INV/2")
    assert code == 1 and "there is no invoice" in err
    for wrong in (("nudge",), ("nudge", "INV/1", "--open")):
        assert said(*wrong)[0] == 1
    api.down = True
    code, out, err = said("nudge", "INV/1")
    assert code == 3 and "was not reached" in out and "reconcile" in err


def test_all_sending_is_stopped_and_goes_on(api: FakeTemporal, said: Said) -> None:
    assert "Messages leave." in said("sending", "status")[1]
    _, out, _ = said("sending", "stop", "--reason", "wrong account", "--by", "dewi")
    assert "stopped" in out and "dewi" in out and "wrong account" in out
    assert "wrong account" in said("sending", "status")[1]
    assert "Messages leave." in said("sending", "go", "--reason", "corrected")[1]
    assert said("sending", "stop")[0] == 2, "why must be said"


def test_what_nobody_knows_is_listed_and_settled(api: FakeTemporal, said: Said) -> None:
    assert "it is known" in said("notices", "unsettled")[1]
    issue(said)
    asyncio.run(lose_the_answer(Ledger(api.ledger.url.render_as_string())))
    _, out, _ = said("notices", "unsettled")
    assert "INV/1" in out and "inv-1@example.com" in out
    code, _, err = said("notices", "settle", "1")
    assert code == 1 and "--sent or --not-sent" in err
    _, out, _ = said("notices", "settle", "1", "--not-sent", "--by", "dewi")
    assert "was not sent, says dewi" in out
    code, _, err = said("notices", "settle", "1", "--sent")
    assert code == 1 and "only an unknown one" in err


async def lose_the_answer(ledger: Ledger) -> None:
    async with ledger, ledger.write() as session:
        lost = notice("follow_up+1", NoticeState.UNKNOWN, await session.now())
        lost.message_id = "inv-1@example.com"
        session.add(lost)


def test_customers_are_found_and_a_person_is_erased(api: FakeTemporal, said: Said) -> None:
    issue(said)
    assert "PT Acme" in said("customers", "find", "acm")[1]
    assert "No customer" in said("customers", "find", "%")[1]
    assert "ap@acme.example" in said("customers", "show", "ACME")[1]
    code, out, err = said("customers", "erase-contact", "ACME", "1", "--by", "dewi", "--yes")
    assert code == 0 and "dewi" in out, err
    assert "ap@acme.example" not in said("customers", "show", "ACME")[1]
    _, out, _ = said("journal", "INV/1")
    assert "contact erased" in out and "ap@acme.example" not in out


def test_a_paused_invoice_is_shown_by_the_ledger(api: FakeTemporal, said: Said) -> None:
    issue(said)
    api.paused = True
    code, out, _ = said("status", "INV/1")
    assert code == 0 and "paused" in out and "IDR 125" in out
