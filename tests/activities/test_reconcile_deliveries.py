"""A turn of reconcile books what payment providers delivered and nobody booked, and tells the workflows of it."""

from __future__ import annotations

from datetime import UTC, date, timedelta
from functools import partial

import pytest
import structlog
from temporalio.testing import ActivityEnvironment

from activities.reconcile import ReconcileActivities
from lunas.intake import Intake
from lunas.ledger.database import Ledger
from lunas.ledger.facts import facts
from lunas.ledger.kinds import BookingState
from lunas.ledger.provider_events import count_by_state, keep_reading
from lunas.providers.events import EventKind, PaymentSource, ProviderEvent, Unreachable
from lunas.receivables.money import Currency, Money
from lunas.receivables.orders import Reconciled
from tests.ledger.samples import add_customer, add_invoice, new_invoice


class Silent(PaymentSource):
    """A provider that does not answer."""

    async def payment(self, payment_id: str) -> None:
        raise Unreachable("HTTP 503")

    async def refund(self, refund_id: str) -> None:
        raise Unreachable("HTTP 503")


@pytest.fixture
async def books(ledger: Ledger) -> Ledger:
    """Three deliveries that nobody booked: one signed, one to be confirmed, one of a provider that nobody knows."""
    await add_customer(ledger)
    for number, provider in (("A", "stripe"), ("B", "xendit"), ("C", "unheard-of")):
        await add_invoice(ledger, new_invoice(number))
        amount = Money(1_000_000, Currency.IDR)
        said = ProviderEvent(provider, "e1", EventKind.PAID, "p1", amount, date(2026, 3, 4), invoice=number)
        async with ledger.write() as session:
            await keep_reading(session, said, raw=b"{}", verification="test", confirmed=provider == "stripe")
    return ledger


async def test_what_was_left_unbooked_is_booked_and_told(books: Ledger) -> None:
    told: list[str] = []

    async def nudge(number: str) -> str:
        told.append(number)
        return "told"

    async def count() -> int:
        return 3

    intake = Intake(books, {"xendit": Silent()}, UTC)
    catch_up = partial(intake.catch_up, older_than=timedelta(0))
    activities = ReconcileActivities(books, nudge, count, catch_up=catch_up)
    with structlog.testing.capture_logs() as logged:
        found: Reconciled = await ActivityEnvironment().run(activities.reconcile)

    assert (found.booked, told[:1]) == (1, ["A"])
    async with books.read() as session:
        assert [(await facts(session, number)).balance.received for number in "ABC"] == [1_000_000, 0, 0]
        assert await count_by_state(session) == {BookingState.BOOKED: 1, BookingState.WAITING: 2}
    waits = {line["provider"]: line["why"] for line in logged}
    assert waits == {"xendit": "Unreachable", "unheard-of": "KeyError"}, "one that fails does not stop the others"

    again: Reconciled = await ActivityEnvironment().run(activities.reconcile)
    assert again.booked == 0
