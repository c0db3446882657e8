"""Policies, the lifecycle's table and rehearsals."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from lunas.receivables.lifecycle import IGNORED, REFUSED, TABLE
from tests.api.samples import at, issued, payment, problem

ISSUED = {"issued_on": "2026-11-02"}


async def rehearse(http: httpx2.AsyncClient, *suppose: dict[str, Any], **other: Any) -> list[dict[str, Any]]:
    answer = await http.post("/v1/rehearsals", json={**ISSUED, **other, "suppose": suppose})
    assert answer.status_code == 200, answer.text
    planned: list[dict[str, Any]] = answer.json()["planned"]
    return planned


async def test_the_default_policy_speaks_on_the_days_of_the_source(http: httpx2.AsyncClient) -> None:
    answer = (await http.get("/v1/rehearsals?issued_on=2026-11-02&days=100")).json()
    assert (answer["policy"], answer["due_on"]) == ("standard", "2026-12-02")
    follow_ups = {one["days_late"] for one in answer["planned"] if one["what"].startswith("follow-up")}
    # 58 days late is Saturday the 30th; day 88 falls on a Sunday that is put off.
    assert {1, 3, 7, 14, 28} < follow_ups


async def test_both_ways_of_asking_give_the_same(http: httpx2.AsyncClient) -> None:
    asked: dict[str, str | int] = {**ISSUED, "policy": "gentle", "total_minor": 500, "currency": "USD", "days": 60}
    by_query = await http.get("/v1/rehearsals", params=asked)
    by_body = await http.post("/v1/rehearsals", json=asked)
    assert by_query.json() == by_body.json()
    assert by_query.json()["policy"] == "gentle"


async def test_suppositions_change_what_follows(http: httpx2.AsyncClient) -> None:
    alone = await rehearse(http)
    paid = await rehearse(http, {"on": "2026-12-05", "what": "paid"})
    assert max(one["on"] for one in paid) == "2026-12-05"
    assert len(paid) < len(alone)
    assert paid[-1]["stage"] == "paid"
    back = await rehearse(http, {"on": "2026-12-08", "what": "payment_reversed"}, {"on": "2026-12-05", "what": "paid"})
    assert back[-1]["stage"] != "paid"
    promised = await rehearse(http, {"on": "2026-12-05", "what": "promise", "until": "2026-12-20"})
    assert not [one for one in promised if "2026-12-05" < one["on"] < "2026-12-22" and "follow-up" in one["what"]]
    lost = await rehearse(http, {"on": "2026-12-05", "what": "contact_lost"})
    assert any("research" in one["what"] for one in lost if one["on"] == "2026-12-05")
    for what in ("dispute", "pause", "answered", "other_way", "contact_found"):
        assert await rehearse(http, {"on": "2026-12-05", "what": what})


async def test_what_cannot_happen_cannot_be_supposed(http: httpx2.AsyncClient) -> None:
    far = {"on": "2026-12-05", "what": "promise", "until": "2027-12-20"}
    answer = await http.post("/v1/rehearsals", json={**ISSUED, "suppose": [far]})
    assert "no more than is open" in problem(answer, 409, "refused")["detail"]
    too_much = {"on": "2026-12-05", "what": "paid", "amount_minor": 10**15}
    answer = await http.post("/v1/rehearsals", json={**ISSUED, "suppose": [too_much, too_much]})
    problem(answer, 409, "refused")
    nothing = {"on": "2026-12-05", "what": "promise"}
    problem(await http.post("/v1/rehearsals", json={**ISSUED, "suppose": [nothing]}), 422, "invalid")


@pytest.mark.parametrize(
    "query",
    ["", "issued_on=2026-11-02&days=0", "issued_on=2026-11-02&days=1501", "issued_on=2026-11-02&policy=x",
     "issued_on=2026-11-02&due_on=2026-11-01", "issued_on=2026-11-02&time_zone=WIB", "issued_on=1999-12-31"],
)  # fmt: skip
async def test_a_rehearsal_of_nothing_is_refused(http: httpx2.AsyncClient, query: str) -> None:
    problem(await http.get(f"/v1/rehearsals?{query}"), 422, "invalid")


async def test_another_policy_is_previewed_for_an_invoice(http: httpx2.AsyncClient) -> None:
    made = await issued(http)
    answer = (await http.get(at(rest="/rehearsal?policy=gentle"))).json()
    assert (answer["policy"], answer["due_on"]) == ("gentle", "2026-12-01")
    assert answer["planned"]
    assert all(one["at"] >= made["opened_at"] for one in answer["planned"])
    await http.post("/v1/payments", json=payment())
    assert (await http.get(at(rest="/rehearsal?policy=gentle"))).json()["planned"] == []
    said = problem(await http.get(at(rest="/rehearsal?policy=unheard-of")), 422, "invalid")
    assert (said["errors"][0]["in"], said["errors"][0]["pointer"]) == ("query", "/policy")
    problem(await http.get(at("INV-0", "/rehearsal?policy=gentle")), 404, "not-found")


async def test_policies_are_shown_as_they_are_written(http: httpx2.AsyncClient) -> None:
    listed = (await http.get("/v1/policies")).json()
    assert listed["default"] == "standard"
    standard = (await http.get("/v1/policies/standard")).json()
    assert standard in listed["policies"]
    assert standard["terms"] == "net 30"
    assert [one["day"] for one in standard["ladder"] if one["do"] == "follow_up"] == [1, 3, 7, 14, 28, 58]
    assert standard["then"]["every"] == 30
    assert (standard["window"]["opens"], standard["window"]["closes"]) == ("08:00", "20:00")
    assert standard["ladder"][0]["day"] is None
    assert standard["window"]["weekdays"] == ["mon", "tue", "wed", "thu", "fri", "sat"]
    problem(await http.get("/v1/policies/unheard-of"), 404, "not-found")


async def test_the_table_is_shown_whole(http: httpx2.AsyncClient) -> None:
    shown = (await http.get("/v1/lifecycle")).json()
    assert [len(shown[part]) for part in ("rules", "ignored", "refused")] == [len(TABLE), len(IGNORED), len(REFUSED)]
    paid = next(rule for rule in shown["rules"] if rule["event"] == "paid_in_full")
    assert paid["becomes"] == "paid"
    assert all(rule["we"] is not None and "_" not in "".join(rule["we"]) for rule in shown["rules"])
