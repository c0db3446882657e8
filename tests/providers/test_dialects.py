"""What each provider's deliveries mean, in the one language of all of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from lunas.providers import midtrans, xendit
from lunas.providers.dialects import DIALECTS
from lunas.providers.events import EventKind, Malformed, ProviderEvent, Unreachable
from lunas.receivables.money import Currency, Money
from tests.providers.samples import paid, signed, stripe_event, transaction, xendit_payment, xendit_refund

ZONE = ZoneInfo("Asia/Jakarta")
PRICE = Money(1_250_000_000, Currency.IDR)


def read(provider: str, body: Mapping[str, Any]) -> ProviderEvent:
    sent = signed(provider, body)
    return sent.dialect.read(sent.raw, sent.headers, ZONE)


@pytest.mark.parametrize("provider", DIALECTS)
def test_money_that_came_in(provider: str) -> None:
    """Every provider writes an amount, a day and our names differently; what they mean is the same."""
    event = read(provider, paid(provider))
    assert (event.provider, event.kind) == (provider, EventKind.PAID)
    assert event.amount == PRICE
    assert event.on == date(2026, 11, 20)
    assert event.invoice == "INV-1"
    assert "way-p1" in event.instruments
    assert event.reference == ("088899/p1" if provider == "snap" else "p1")
    assert event == read(provider, paid(provider))
    assert event.event != read(provider, paid(provider, "p2")).event


@pytest.mark.parametrize(
    ("provider", "body", "kind"),
    [
        ("xendit", {"event": "payment.authorization", "data": xendit_payment(status="AUTHORIZED")}, EventKind.PENDING),
        ("xendit", {"event": "payment.failure", "data": xendit_payment(status="FAILED")}, EventKind.EXPIRED),
        ("xendit", {"event": "payment.capture", "data": xendit_payment(status="PENDING")}, EventKind.OTHER),
        ("xendit", {"event": "payment_session.expired", "data": {"payment_session_id": "ps-1"}}, EventKind.EXPIRED),
        ("xendit", {"event": "refund.failed", "data": {**xendit_refund(), "status": "FAILED"}}, EventKind.OTHER),
        ("xendit", {"event": "something.new", "data": {"id": "x"}}, EventKind.OTHER),
        ("midtrans", transaction("t", "pending"), EventKind.PENDING),
        ("midtrans", transaction("t", "expire"), EventKind.EXPIRED),
        ("midtrans", transaction("t", "deny"), EventKind.EXPIRED),
        ("midtrans", transaction("t", "capture", fraud_status="challenge"), EventKind.PENDING),
        ("midtrans", transaction("t", "capture", fraud_status="accept"), EventKind.PAID),
        ("midtrans", transaction("t", "something_new"), EventKind.OTHER),
        ("stripe", stripe_event("payment_intent.processing", {"id": "pi"}), EventKind.PENDING),
        ("stripe", stripe_event("checkout.session.expired", {"id": "cs"}), EventKind.EXPIRED),
        ("stripe", stripe_event("customer.created", {"id": "cus"}), EventKind.OTHER),
        ("generic", {"type": "payment.pending"}, EventKind.PENDING),
        ("generic", {"type": "payment.expired"}, EventKind.EXPIRED),
        ("generic", {"type": "something.new", "data": 1}, EventKind.OTHER),
    ],
)
def test_what_moves_no_money(provider: str, body: Mapping[str, Any], kind: EventKind) -> None:
    assert read(provider, body).kind is kind


def test_refunds_of_xendit_come_as_they_are_and_in_an_envelope() -> None:
    plain = read("xendit", {"event": "refund.succeeded", "data": xendit_refund()})
    wrapped = read("xendit", {"event": "refund.succeeded", "data": {"data": xendit_refund()}})
    assert plain == wrapped
    assert (plain.kind, plain.reference, plain.reversal) == (EventKind.REVERSED, "p1", "rfd-1")
    assert (plain.amount, plain.on, plain.reason) == (
        Money(100_000_000, Currency.IDR), date(2026, 11, 21), "CANCELLATION"
    )  # fmt: skip


def test_each_refund_of_midtrans_is_a_reversal_of_its_own() -> None:
    first = {"refund_chargeback_id": 9, "refund_amount": "1000.00", "created_at": "2026-11-20 23:30:00", "reason": "a"}
    second = {**first, "refund_chargeback_id": 10, "refund_amount": "500.50"}
    one = read("midtrans", transaction("t", "partial_refund", refunds=[first]))
    both = read("midtrans", transaction("t", "partial_refund", refunds=[second, first]))
    assert (one.reversal, one.amount) == ("9", Money(100_000, Currency.IDR))
    assert (both.reversal, both.amount) == ("10", Money(50_050, Currency.IDR))
    assert one.on == both.on == date(2026, 11, 20)
    assert one.event != both.event
    whole = read("midtrans", transaction("t", "refund"))
    assert (whole.amount, whole.reversal) == (None, "t:refund")
    with pytest.raises(Malformed):
        read("midtrans", transaction("t", "partial_refund"))


def test_a_card_is_paid_when_it_is_captured() -> None:
    """So that capture and settlement, in whichever order, are the same receipt."""
    captured = read("midtrans", transaction("t", "capture", payment_type="credit_card", fraud_status="accept"))
    settled = read("midtrans", transaction("t", "settlement", payment_type="credit_card"))
    assert captured.on == settled.on == date(2026, 11, 19)
    assert captured.event != settled.event
    assert captured.reference == settled.reference


def test_refunds_of_stripe_are_what_was_added_to_the_sum() -> None:
    charge = {"id": "ch_1", "payment_intent": "pi_1", "currency": "idr", "amount_refunded": 700}
    first = read("stripe", stripe_event("charge.refunded", {**charge, "amount_refunded": 300}))
    second = read("stripe", stripe_event("charge.refunded", charge, previous_attributes={"amount_refunded": 300}))
    assert (first.amount, second.amount) == (Money(300, Currency.IDR), Money(400, Currency.IDR))
    assert (first.reversal, second.reversal) == ("ch_1/300", "ch_1/700")
    assert first.reference == second.reference == "pi_1"
    with pytest.raises(Malformed):
        read("stripe", stripe_event("charge.refunded", charge, previous_attributes={"amount_refunded": 700}))


def test_a_dispute_takes_money_back_and_may_bring_it_again() -> None:
    dispute = {
        "id": "du_1",
        "charge": "ch_1",
        "payment_intent": "pi_1",
        "amount": 500,
        "currency": "usd",
        "reason": "x",
    }
    lost = read("stripe", stripe_event("charge.dispute.funds_withdrawn", dispute))
    assert (lost.kind, lost.reference, lost.reversal) == (EventKind.REVERSED, "pi_1", "du_1")
    assert lost.amount == Money(500, Currency.USD)
    won = read("stripe", stripe_event("charge.dispute.funds_reinstated", dispute, event="evt_2"))
    assert (won.kind, won.reference, won.amount) == (EventKind.PAID, "du_1/reinstated", lost.amount)
    assert read("stripe", stripe_event("charge.dispute.created", dispute)).kind is EventKind.OTHER


def test_a_reversal_by_standard_webhooks() -> None:
    data = {"reference": "r1", "payment": "p1", "reversed_on": "2026-11-25", "reason": "bounced"}
    whole = read("generic", {"type": "payment.reversed", "data": data})
    part = read("generic", {"type": "payment.reversed", "data": {**data, "amount_minor": 5, "currency": "IDR"}})
    assert (whole.reference, whole.reversal, whole.amount, whole.on) == ("p1", "r1", None, date(2026, 11, 25))
    assert part.amount == Money(5, Currency.IDR)


def test_yen_have_no_places() -> None:
    intent = {"id": "pi", "amount_received": 500, "currency": "jpy"}
    assert read("stripe", stripe_event("payment_intent.succeeded", intent)).amount == Money(500, Currency.JPY)


BAD: list[tuple[str, tuple[str | int, ...], Any]] = [
    ("xendit", ("data", "captures"), [{}, {}]),
    ("xendit", ("data", "captures", 0, "capture_amount"), -1),
    ("xendit", ("data", "captures", 0, "capture_timestamp"), "yesterday"),
    ("xendit", ("data", "currency"), "THB"),
    ("xendit", ("data",), []),
    ("xendit", ("data", "payment_id"), "x" * 151),
    ("xendit", ("event",), None),
    ("midtrans", ("gross_amount",), "1e3"),
    ("midtrans", ("gross_amount",), "0.00"),
    ("midtrans", ("gross_amount",), "1.005"),
    ("midtrans", ("settlement_time",), "9999-12-31 23:59:59"),
    ("midtrans", ("transaction_id",), None),
    ("midtrans", ("transaction_id",), "a\0b"),
    ("stripe", ("data", "object", "amount_received"), 1.5),
    ("stripe", ("data", "object", "amount_received"), 10**16),
    ("stripe", ("data", "object", "id"), {}),
    ("stripe", ("created",), 2**40),
    ("stripe", ("id",), ""),
    ("snap", ("paidAmount", "value"), "-5.00"),
    ("snap", ("paidAmount", "currency"), None),
    ("snap", ("paymentRequestId",), None),
    ("snap", ("virtualAccountNo",), None),
    ("snap", ("trxDateTime",), "2026-11-31T00:00:00+07:00"),
    ("generic", ("data", "paid_on"), "2026-13-01"),
    ("generic", ("data", "amount_minor"), "100"),
    ("generic", ("data", "amount_minor"), True),
    ("generic", ("data", "reference"), "\ud800"),
    ("generic", ("type",), 7.5),
]


@pytest.mark.parametrize(("provider", "path", "value"), BAD)
def test_what_cannot_be_is_named_and_not_repeated(provider: str, path: tuple[Any, ...], value: Any) -> None:
    body: Any = paid(provider)
    *parents, last = path
    spot = body
    for name in parents:
        spot = spot[name]
    spot[last] = value
    with pytest.raises(Malformed) as caught:
        read(provider, body)
    assert str(value) not in str(caught.value) or value in (None, "", 7.5, True, [], {}, -1, 1.5)
    assert str(last) in str(caught.value) or "captures" in str(caught.value)


class Source:
    """A provider that can be asked."""

    def __init__(self, payment: Any = None, refund: Any = None) -> None:
        self._payment, self._refund = payment, refund

    async def payment(self, payment_id: str) -> Mapping[str, Any] | None:
        return self._answer(self._payment)

    async def refund(self, refund_id: str) -> Mapping[str, Any] | None:
        return self._answer(self._refund)

    def _answer(self, found: Any) -> Mapping[str, Any] | None:
        if isinstance(found, Exception):
            raise found
        answer: Mapping[str, Any] | None = found
        return answer


async def test_xendit_is_believed_when_it_is_asked() -> None:
    said = read("xendit", paid("xendit"))
    assert await xendit.confirmed(said, Source(xendit_payment()), ZONE) == said
    less = await xendit.confirmed(said, Source(xendit_payment(rupiah=5)), ZONE)
    assert less is not None and less.amount == Money(500, Currency.IDR), "what Xendit has counts, not what was sent"
    for other in (None, xendit_payment(status="PENDING"), xendit_payment("p2")):
        assert await xendit.confirmed(said, Source(other), ZONE) is None
    with pytest.raises(Unreachable):
        await xendit.confirmed(said, Source(Unreachable("down")), ZONE)
    back = read("xendit", {"event": "refund.succeeded", "data": xendit_refund()})
    assert await xendit.confirmed(back, Source(refund=xendit_refund()), ZONE) == back
    for refund in (None, {**xendit_refund(), "status": "PENDING"}, xendit_refund("p2"), xendit_refund(refund="rfd-2")):
        assert await xendit.confirmed(back, Source(refund=refund), ZONE) is None


async def test_midtrans_is_believed_when_it_is_asked() -> None:
    said = read("midtrans", transaction("t", "settlement"))
    for status in ("settlement", "refund", "partial_refund"):
        found = await midtrans.confirmed(said, Source(transaction("t", status)), ZONE)
        assert found == said, "what was refunded since had been paid"
    for other in (None, transaction("t", "pending"), transaction("t2", "settlement")):
        assert await midtrans.confirmed(said, Source(other), ZONE) is None
    refund = {"refund_chargeback_id": 9, "refund_amount": "1000.00", "created_at": "2026-11-20 23:30:00"}
    body = transaction("t", "refund", refunds=[refund])
    back = read("midtrans", body)
    assert await midtrans.confirmed(back, Source(body), ZONE) == back
    later = transaction("t", "refund", refunds=[refund, {**refund, "refund_chargeback_id": 10}])
    assert await midtrans.confirmed(back, Source(later), ZONE) == back
    assert await midtrans.confirmed(back, Source(transaction("t", "settlement")), ZONE) is None
    whole = read("midtrans", transaction("t", "refund"))
    assert await midtrans.confirmed(whole, Source(transaction("t", "refund")), ZONE) == whole
    assert await midtrans.confirmed(whole, Source(transaction("t", "settlement")), ZONE) is None
