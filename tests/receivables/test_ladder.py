"""The ladder: rungs strictly ascending without end, and the source's days in the default policy."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lunas.receivables.ladder import FIRST_DAY, Channel, Do, Ladder, Rung, Tail
from tests.receivables.samples import policy

EMAIL = (Channel.EMAIL,)


def climb(ladder: Ladder, day: int = FIRST_DAY - 1) -> list[Rung]:
    """The ladder's first 60 rungs after that day."""
    rungs: list[Rung] = []
    while len(rungs) < 60:
        rungs.append(ladder.after(rungs[-1].day if rungs else day))
    return rungs


@st.composite
def ladders(draw: st.DrawFn) -> Ladder:
    days = draw(st.lists(st.integers(-60, 400), unique=True, max_size=20))
    kinds = st.sampled_from([Do.FOLLOW_UP, Do.RESEARCH_CONTACT, Do.FINAL_DEMAND])
    return Ladder(tuple(Rung(day, draw(kinds), EMAIL) for day in sorted(days)), Tail(draw(st.integers(1, 90))))


@given(ladders(), st.integers(-500, 2000))
def test_the_next_rung_is_always_later_and_none_is_left_out(ladder: Ladder, day: int) -> None:
    rungs = climb(ladder, day)
    days = [rung.day for rung in rungs]
    assert days[0] > day
    assert days == sorted(set(days))
    every_rung = [rung for at in range(day + 1, days[-1] + 1) if (rung := ladder.at(at)) is not None]
    assert rungs == every_rung


@given(ladders())
def test_every_listed_rung_is_climbed_and_the_tail_follows_the_last_follow_up(ladder: Ladder) -> None:
    rungs = climb(ladder, -500)
    listed = [rung for rung in ladder.rungs if rung.day <= rungs[-1].day]
    assert [rung for rung in rungs if rung in ladder.rungs] == listed
    last = max((rung.day for rung in ladder.rungs if rung.do is Do.FOLLOW_UP), default=0)
    assert ladder.anchor == last
    assert all((rung.day - last) % ladder.tail.every == 0 for rung in rungs if rung not in ladder.rungs)


@given(ladders())
def test_no_two_rungs_share_a_key(ladder: Ladder) -> None:
    keys = [rung.key for rung in climb(ladder, -500)]
    assert len(set(keys)) == len(keys)


def test_the_default_policy_follows_up_on_the_days_of_its_source() -> None:
    follow_ups = [rung.day for rung in climb(policy().ladder) if rung.do is Do.FOLLOW_UP]
    assert follow_ups[:10] == [1, 3, 7, 14, 28, 58, 88, 118, 148, 178]


def test_the_default_policy_in_one_line() -> None:
    first = [rung.key for rung in climb(policy().ladder)[:18]]
    assert first == [
        "send_invoice", "remind-14", "remind-5", "due_notice+0", "follow_up+1", "follow_up+3", "follow_up+7",
        "follow_up+14", "research_contact+21", "follow_up+28", "offer_alternate_payment+35", "follow_up+58",
        "follow_up+88", "final_demand+95", "place_with_agency+105", "follow_up+118", "follow_up+148", "follow_up+178",
    ]  # fmt: skip
