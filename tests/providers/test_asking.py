"""What is asked of providers, in their own units, and what each way of failing lets us be sure of."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

import httpx2
import pytest

from lunas.providers import events, snap
from lunas.providers.asking import Refused, Silent, State, Taken, Unreachable, Wish
from lunas.providers.midtrans_client import MidtransClient
from lunas.providers.snap_client import SnapAccount, SnapClient
from lunas.providers.stripe_client import StripeClient
from lunas.providers.xendit_client import XenditClient
from lunas.receivables.money import Currency, Money
from tests.providers.samples import PRIVATE_KEY

UNTIL = datetime.now(UTC).replace(microsecond=0) + timedelta(days=3)
WISH = Wish("LN-0123456789abcdef0123", Money(1_250_000_00, Currency.IDR), UNTIL, "INV/2026/11/0042", "PT Contoh & Co.")
VA = {
    "payment_request_id": "pr-1",
    "status": "REQUIRES_ACTION",
    "actions": [{"type": "PRESENT_TO_CUSTOMER", "descriptor": "VIRTUAL_ACCOUNT_NUMBER", "value": "1076612345"}],
    "channel_properties": {"expires_at": "2026-12-01T00:00:00Z"},
}
CHARGED = {
    "status_code": "201",
    "transaction_status": "pending",
    "va_numbers": [{"bank": "bca", "va_number": "9888123"}],
    "expiry_time": "2026-12-01 07:00:00",
}

Answer = httpx2.Response | Exception


class Wire:
    """A provider that gives these answers, the last one for ever, and keeps what it was asked."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.asked: list[httpx2.Request] = []

    @property
    def http(self) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(transport=httpx2.MockTransport(self._answer))

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return httpx2.Response(answer.status_code, content=answer.content)

    def body(self, at: int = -1) -> Any:
        return json.loads(self.asked[at].content)

    def form(self, at: int = -1) -> dict[str, list[str]]:
        return parse_qs(self.asked[at].content.decode())


def ok(body: dict[str, Any], status: int = 200) -> httpx2.Response:
    return httpx2.Response(status, json=body)


def xendit(wire: Wire) -> XenditClient:
    return XenditClient(wire.http, secret="xnd_secret", base_url="https://xendit.example")


def midtrans(wire: Wire) -> MidtransClient:
    return MidtransClient(
        wire.http, server_key="SB-key", base_url="https://core.example", snap_url="https://snap.example"
    )


def stripe(wire: Wire) -> StripeClient:
    return StripeClient(wire.http, secret="sk_secret", base_url="https://stripe.example")


def bank(wire: Wire) -> SnapClient:
    account = SnapAccount("https://bank.example", "client-1", "a-secret-of-16-chars", PRIVATE_KEY, "8088")
    return SnapClient(wire.http, account)


TOKEN = ok({"responseCode": "2007300", "accessToken": "tok", "expiresIn": "900"})
MADE = {"responseCode": "2002700", "virtualAccountData": {"virtualAccountNo": "    8088000012345678"}}

ASKING: list[tuple[Callable[[Wire], Awaitable[Any]], str]] = [
    (lambda wire: xendit(wire).virtual_account(WISH, "bca"), "xendit"),
    (lambda wire: midtrans(wire).virtual_account(WISH, "bca"), "midtrans"),
    (lambda wire: stripe(wire).payment_link(WISH), "stripe"),
    (lambda wire: bank(wire).virtual_account(WISH), "snap"),
]
EVERY = pytest.mark.parametrize("ask", [ask for ask, _ in ASKING], ids=[name for _, name in ASKING])


# --- what is asked ------------------------------------------------------------------------------------------------


async def test_xendit_is_asked_in_whole_rupiah_under_our_reference_and_a_key() -> None:
    wire = Wire(ok(VA, 201))
    made = await xendit(wire).virtual_account(WISH, "bca")
    request, body = wire.asked[0], wire.body()
    assert (request.method, str(request.url)) == ("POST", "https://xendit.example/v3/payment_requests")
    assert request.headers["api-version"] == "2024-11-11"
    assert request.headers["idempotency-key"] == WISH.reference
    assert request.headers["authorization"].startswith("Basic ")
    assert (body["request_amount"], body["currency"], body["reference_id"]) == (1_250_000, "IDR", WISH.reference)
    assert body["channel_code"] == "BCA_VIRTUAL_ACCOUNT"
    assert body["channel_properties"] == {
        "display_name": "PT Contoh Co",
        "expires_at": f"{UNTIL:%Y-%m-%dT%H:%M:%SZ}",
    }
    assert body["metadata"] == {events.INSTRUMENT_KEY: WISH.reference, events.INVOICE_KEY: WISH.label}
    assert (made.id, made.number, made.state) == ("pr-1", "1076612345", State.OPEN)
    assert made.expires_at == datetime(2026, 12, 1, tzinfo=UTC)


async def test_midtrans_is_asked_under_our_reference_as_the_order() -> None:
    wire = Wire(ok(CHARGED))
    made = await midtrans(wire).virtual_account(WISH, "BCA")
    body = wire.body()
    assert str(wire.asked[0].url) == "https://core.example/v2/charge"
    assert body["transaction_details"] == {"order_id": WISH.reference, "gross_amount": 1_250_000}
    assert body["bank_transfer"] == {"bank": "bca"}
    assert 3 * 24 * 60 - 2 <= body["custom_expiry"]["expiry_duration"] <= 3 * 24 * 60
    assert (made.id, made.number) == (WISH.reference, "9888123")
    assert made.expires_at == datetime(2026, 12, 1, tzinfo=UTC), "Midtrans writes Jakarta's time without saying so"


async def test_stripe_is_asked_in_minor_units_with_a_key_for_each_step() -> None:
    wire = Wire(ok({"id": "price_1"}), ok({"id": "plink_1", "active": True, "url": "https://pay.example/1"}))
    made = await stripe(wire).payment_link(WISH)
    price, link = wire.form(0), wire.form(1)
    assert (price["unit_amount"], price["currency"]) == (["125000000"], ["idr"])
    assert link["line_items[0][price]"] == ["price_1"]
    assert link[f"payment_intent_data[metadata][{events.INSTRUMENT_KEY}]"] == [WISH.reference]
    assert link["restrictions[completed_sessions][limit]"] == ["1"]
    keys = [request.headers["idempotency-key"] for request in wire.asked]
    assert keys == [f"{WISH.reference}-price", f"{WISH.reference}-link"]
    assert (made.id, made.url) == ("plink_1", "https://pay.example/1")


async def test_snap_is_asked_in_decimal_text_and_signed_twice_over() -> None:
    wire = Wire(TOKEN, ok(MADE))
    client = bank(wire)
    made = await client.virtual_account(WISH)
    token, request = wire.asked
    assert token.url.path == "/snap/v1.0/access-token/b2b"
    signed = snap.token_request("client-1", token.headers["x-timestamp"])
    assert snap.asymmetric(signed, PRIVATE_KEY) == token.headers["x-signature"]
    body = wire.body()
    assert body["totalAmount"] == {"value": "1250000.00", "currency": "IDR"}
    assert body["trxId"] == WISH.reference
    assert body["virtualAccountNo"] == body["partnerServiceId"] + body["customerNo"]
    assert body["partnerServiceId"] == "    8088"
    assert request.headers["authorization"] == "Bearer tok"
    message = snap.to_sign("POST", request.url.path, request.content, request.headers["x-timestamp"], "tok")
    assert request.headers["x-signature"] == snap.symmetric(message, "a-secret-of-16-chars")
    assert request.headers["x-external-id"].isdecimal()
    assert made.number == "8088000012345678"
    await client.cancel(WISH.reference)
    assert [each.url.path.rpartition("/")[2] for each in wire.asked] == ["b2b", "create-va", "delete-va"], "one token"
    assert wire.asked[-1].method == "DELETE"


async def test_the_number_of_a_snap_account_depends_on_our_reference_alone() -> None:
    client = bank(Wire(TOKEN))
    assert client.number(WISH.reference) == client.number(WISH.reference)
    assert client.number(WISH.reference) != client.number("LN-other")
    assert len(client.number(WISH.reference)) == 4 + 12


@EVERY
async def test_the_same_wish_is_asked_for_in_the_same_words(ask: Callable[[Wire], Awaitable[Any]]) -> None:
    said = []
    for _ in range(2):
        wire = Wire(TOKEN, ok(MADE)) if ask is ASKING[3][0] else Wire(ok({**VA, **CHARGED, "id": "x", "active": True}))
        await ask(wire)
        said.append([(each.method, each.url.path, each.content) for each in wire.asked if "b2b" not in each.url.path])
    if ask is not ASKING[1][0]:  # Midtrans takes minutes from now, and goes by the order's id alone
        assert said[0] == said[1]


# --- what may become of it ------------------------------------------------------------------------------------------


@EVERY
@pytest.mark.parametrize("trouble", [httpx2.ConnectError("no"), httpx2.ConnectTimeout("no"), httpx2.PoolTimeout("no")])
async def test_nothing_was_written(ask: Callable[[Wire], Awaitable[Any]], trouble: Exception) -> None:
    with pytest.raises(Unreachable):
        await ask(Wire(trouble))


@EVERY
@pytest.mark.parametrize(
    "trouble",
    [
        httpx2.ReadTimeout("no"),
        httpx2.ReadError("no"),
        httpx2.WriteError("no"),
        httpx2.RemoteProtocolError("no"),
        httpx2.Response(500, text="oops"),
        httpx2.Response(503, json={"status_code": "503"}),
        httpx2.Response(200, text="<html>"),
        httpx2.Response(200, json={}),
    ],
    ids=lambda each: getattr(each, "text", None) or type(each).__name__,
)
async def test_nobody_knows(ask: Callable[[Wire], Awaitable[Any]], trouble: Answer) -> None:
    with pytest.raises(Silent) as caught:
        await ask(Wire(trouble))
    assert "oops" not in str(caught.value), "a provider's words may quote the payer"


@EVERY
async def test_a_limit_on_requests_is_no_refusal(ask: Callable[[Wire], Awaitable[Any]]) -> None:
    with pytest.raises(Unreachable, match="429"):
        await ask(Wire(httpx2.Response(429, text="slow down")))


@EVERY
@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"error_code": "AMOUNT_LIMIT", "message": "budi@acme.example"}, "AMOUNT_LIMIT"),
        ({"status_code": "402", "status_message": "budi@acme.example"}, "402"),
        ({"error": {"code": "amount_too_large", "message": "budi@acme.example"}}, "amount_too_large"),
        ({"responseCode": "4002701", "responseMessage": "budi@acme.example"}, "4002701"),
    ],
    ids=["xendit", "midtrans", "stripe", "snap"],
)
async def test_a_refusal_has_a_code_and_no_words(
    ask: Callable[[Wire], Awaitable[Any]], body: dict[str, Any], code: str
) -> None:
    with pytest.raises(Refused) as caught:
        await ask(Wire(ok(body, 400)))
    assert caught.value.status == 400
    assert caught.value.code in (code, "400")
    assert "budi" not in str(caught.value)


async def test_what_is_taken_is_told_apart() -> None:
    for ask, wire in (
        (ASKING[0][0], Wire(ok({"error_code": "DUPLICATE_ERROR"}, 409))),
        (ASKING[1][0], Wire(ok({"status_code": "406"}))),
        (ASKING[3][0], Wire(TOKEN, ok({"responseCode": "4092700"}, 409))),
    ):
        with pytest.raises(Taken):
            await ask(wire)
    with pytest.raises(Taken):
        taken = {"error_messages": ["transaction_details.order_id has already been taken"]}
        await midtrans(Wire(ok(taken, 400))).payment_link(WISH)


async def test_midtrans_says_no_in_the_body_of_a_yes() -> None:
    with pytest.raises(Refused, match="402"):
        await midtrans(Wire(ok({"status_code": "402"}))).qris(WISH)


@pytest.mark.parametrize(
    "amount", [Money(150, Currency.IDR), Money(10_000, Currency.USD)], ids=["a half rupiah", "dollars"]
)
async def test_what_a_provider_cannot_take_is_not_asked_for(amount: Money) -> None:
    wish = Wish(WISH.reference, amount, UNTIL, "x", "x")
    wire = Wire(ok(VA))
    for ask in (xendit(wire).qris, xendit(wire).payment_link, midtrans(wire).qris, midtrans(wire).payment_link):
        with pytest.raises(Refused):
            await ask(wish)
    assert wire.asked == []


# --- voiding and confirming -----------------------------------------------------------------------------------------


async def test_voiding_what_is_over_is_harmless() -> None:
    await xendit(Wire(ok({"error_code": "INVALID_STATUS"}, 400))).cancel("pr-1")
    await xendit(Wire(ok({"error_code": "DATA_NOT_FOUND"}, 404))).cancel("ps-1")
    await midtrans(Wire(ok({"status_code": "412"}))).cancel("LN-1")
    await midtrans(Wire(ok({"status_code": "404"}))).cancel("LN-1")
    await stripe(Wire(ok({"id": "plink_1", "active": False}))).cancel("plink_1")
    await bank(Wire(TOKEN, ok({"responseCode": "4043112"}, 404))).cancel("LN-1")


async def test_voiding_goes_where_the_instrument_is() -> None:
    wire = Wire(ok(VA))
    await xendit(wire).cancel("pr-1")
    await xendit(wire).cancel("ps-1")
    assert [each.url.path for each in wire.asked] == ["/v3/payment_requests/pr-1/cancel", "/sessions/ps-1/cancel"]


async def test_a_voiding_that_was_refused_is_said() -> None:
    with pytest.raises(Refused):
        await xendit(Wire(ok({"error_code": "REQUEST_FORBIDDEN_ERROR"}, 403))).cancel("pr-1")
    with pytest.raises(Refused):
        await midtrans(Wire(ok({"status_code": "401"}, 401))).cancel("LN-1")


async def test_a_payment_is_confirmed_by_its_id() -> None:
    found = {"payment_id": "py-1", "status": "SUCCEEDED"}
    assert await xendit(Wire(ok(found))).payment("py-1") == found
    assert await xendit(Wire(ok({}, 404))).payment("py-1") is None
    assert await midtrans(Wire(ok({"status_code": "404"}))).payment("t-1") is None
    for trouble in (httpx2.ConnectError("no"), httpx2.ReadTimeout("no"), httpx2.Response(403), httpx2.Response(500)):
        with pytest.raises(events.Unreachable):
            await xendit(Wire(trouble)).payment("py-1")


def test_a_missing_key_names_the_setting() -> None:
    http = Wire(ok({})).http
    for make, name in (
        (lambda: XenditClient(http, secret=" "), "LUNAS_XENDIT_SECRET_KEY"),
        (lambda: MidtransClient(http, server_key=""), "LUNAS_MIDTRANS_SERVER_KEY"),
        (lambda: StripeClient(http, secret=""), "LUNAS_STRIPE_SECRET_KEY"),
        (lambda: SnapClient(http, SnapAccount("https://b.example", "", "s", "k", "1")), "LUNAS_SNAP_CLIENT_ID"),
    ):
        with pytest.raises(ValueError, match=name):
            make()
