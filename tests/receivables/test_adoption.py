"""Facts: whatever is lost, repeated or out of order, the end is the same, and money comes first."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lunas.receivables import events as on
from lunas.receivables.adoption import adopt, difference
from lunas.receivables.invoice import AgencyWord, Balance, Facts, InvoiceState, Stage
from lunas.receivables.lifecycle import decide
from tests.receivables.samples import TOTAL, days_late, facts, invoice, paid

LATER = days_late(5)
UNPAID = invoice().facts


@st.composite
def stories(draw: st.DrawFn) -> list[Facts]:
    """What the ledger showed, version after version, from a new invoice on."""
    story = [UNPAID]
    for _ in range(draw(st.integers(1, 8))):
        last, balance = story[-1], story[-1].balance
        change = draw(st.sampled_from(["pay", "settle", "reverse", "credit", "contact", "answer", "agency", "charge"]))
        match change:
            case "pay":
                story.append(facts(last, received=balance.received + draw(st.integers(1, TOTAL.minor))))
            case "settle":
                story.append(paid(last))
            case "reverse":
                story.append(facts(last, reversed=balance.received))
            case "credit":
                story.append(facts(last, credited=balance.credited + draw(st.integers(1, TOTAL.minor))))
            case "contact":
                story.append(facts(last, reachable=not last.reachable))
            case "answer":
                story.append(facts(last, answers=last.answers + 1, other_way=draw(st.booleans()) or last.other_way))
            case "agency":
                story.append(facts(last, agency=draw(st.sampled_from(AgencyWord))))
            case _:
                story.append(facts(last, charges=balance.charges + 1000))
    return story


def live(state: InvoiceState, arrivals: list[Facts]) -> InvoiceState:
    """Adopt what arrives, and decide about all that it says."""
    for arrived in arrivals:
        state, events = adopt(state, arrived)
        for event in events:
            state = decide(state, event, LATER).state
    return state


@given(stories(), st.data())
def test_any_order_and_any_repetition_ends_the_same(story: list[Facts], data: st.DataObject) -> None:
    some = st.lists(st.sampled_from(story), max_size=12)
    ended = live(invoice(), [*data.draw(some), story[-1], *data.draw(some)])
    assert ended.facts == story[-1]
    assert ended.stage.is_closed is story[-1].balance.settled
    assert ended.stage.is_closed or ended.unreachable is not story[-1].reachable


@given(stories())
def test_an_old_or_repeated_version_says_nothing(story: list[Facts]) -> None:
    state = live(invoice(), story)
    for old in story:
        assert adopt(state, old) == (state, ())


@given(stories())
def test_what_settles_comes_alone_among_the_money_and_before_the_people(story: list[Facts]) -> None:
    for before, after in pairwise(story):
        events = difference(before, after)
        kinds = [type(event) for event in events]
        settling = [kind for kind in kinds if kind in (on.PaidInFull, on.CreditedInFull)]
        assert bool(settling) is (after.balance.settled and not before.balance.settled)
        if settling:
            assert kinds[0] in settling
            assert not {on.PartPaymentReceived, on.PaymentReversed, on.CreditNoteIssued} & set(kinds)
        assert (on.PaymentReversed in kinds) or not (before.balance.settled and not after.balance.settled)


@given(stories(), st.data())
def test_a_payment_that_was_missed_on_the_way_is_not_missed(story: list[Facts], data: st.DataObject) -> None:
    seen = live(invoice(), data.draw(st.lists(st.sampled_from(story), max_size=6)))
    final = paid(replace(story[-1], version=100))
    ended = live(seen, [final])
    assert ended.stage.is_closed
    if seen.is_open:
        assert ended.stage is (Stage.PAID if final.balance.net_received else Stage.CREDITED)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"received": TOTAL.minor}, [on.PaidInFull]),
        ({"received": TOTAL.minor + 1}, [on.PaidInFull]),
        ({"received": TOTAL.minor - 1}, [on.PartPaymentReceived]),
        ({"received": TOTAL.minor - 100, "discount": 100}, [on.PaidInFull]),
        ({"credited": TOTAL.minor}, [on.CreditedInFull]),
        ({"credited": TOTAL.minor - 1, "received": 1}, [on.PaidInFull]),
        ({"credited": 1}, [on.CreditNoteIssued]),
        ({"credited": 1, "received": 1}, [on.PartPaymentReceived, on.CreditNoteIssued]),
        ({"received": 500, "reversed": 500}, [on.PaymentReversed]),
        ({"received": 500, "reversed": 200}, [on.PaymentReversed, on.PartPaymentReceived]),
        ({"charges": 500}, []),
        ({"reachable": False}, [on.ContactLost]),
        ({"answers": 1}, [on.CustomerAnswered]),
        ({"answers": 1, "other_way": True}, [on.OtherWayAskedFor, on.CustomerAnswered]),
        ({"agency": AgencyWord.ACKNOWLEDGED}, [on.AgencyAcknowledged]),
        ({"agency": AgencyWord.RETURNED}, [on.AgencyReturned]),
        ({"received": TOTAL.minor, "reachable": False}, [on.PaidInFull, on.ContactLost]),
    ],
)
def test_what_a_difference_says(change: dict[str, object], says: list[type[on.Event]]) -> None:
    assert [type(event) for event in difference(UNPAID, facts(UNPAID, **change))] == says


def test_what_was_settled_and_is_open_again_is_a_reversal_whatever_opened_it() -> None:
    settled = paid(UNPAID)
    for opened in (facts(settled, reversed=1), facts(settled, charges=1), facts(settled, received=0)):
        assert difference(settled, opened) == (on.PaymentReversed(),)


def test_before_the_first_version_nothing_was_known_rather_than_nothing_owed() -> None:
    owed, settled = Balance(lines=100), Balance(lines=100, received=100)
    assert difference(Facts(), Facts(version=1, balance=owed)) == ()
    assert difference(Facts(), Facts(version=1, balance=settled)) == (on.PaidInFull(),)


@pytest.mark.parametrize(
    ("before", "change", "says"),
    [
        ({}, {"received": 500, "earlier": 500}, (on.PartPaymentReceived(earlier=True),)),
        ({}, {"received": 500, "earlier": 400}, (on.PartPaymentReceived(),)),
        ({}, {"received": TOTAL.minor, "earlier": TOTAL.minor}, (on.PaidInFull(earlier=True),)),
        ({"received": 500, "earlier": 500}, {"received": TOTAL.minor}, (on.PaidInFull(),)),
        ({"received": 500}, {"received": TOTAL.minor, "earlier": TOTAL.minor - 500}, (on.PaidInFull(earlier=True),)),
        ({"received": 500, "earlier": 500}, {"credited": TOTAL.minor - 500}, (on.PaidInFull(earlier=True),)),
        ({"received": 500}, {"credited": TOTAL.minor - 500}, (on.PaidInFull(),)),
    ],
)
def test_money_from_before_the_invoice_came_is_told_from_what_came_to_us(
    before: dict[str, object], change: dict[str, object], says: tuple[on.Event, ...]
) -> None:
    old = facts(UNPAID, **before)
    assert difference(old, facts(old, **change)) == says
