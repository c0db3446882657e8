"""Every scheme: what is accepted, what is not, and that not a byte can be changed."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import UTC, timedelta

import pytest

from lunas.providers import generic, snap
from lunas.providers.dialects import DIALECTS
from lunas.providers.events import WINDOW, DeliveryError, Forged, Malformed, Stale
from tests.providers.samples import KEYS, NOW, PATH, PUBLIC_KEY, Delivery, paid, signed, transaction

EVERY = tuple(DIALECTS)
#: A token is all that Xendit sends: nothing of its body is signed, and no moment.
SIGNS = tuple(name for name in EVERY if name != "xendit")
TIMED = ("stripe", "snap", "generic")
HEADERS = {
    "xendit": ("x-callback-token",),
    "stripe": ("stripe-signature",),
    "snap": ("x-signature", "x-timestamp"),
    "generic": ("webhook-id", "webhook-timestamp", "webhook-signature"),
}


def delivery(provider: str, key: str | None = None) -> Delivery:
    return signed(provider, paid(provider), key=key)


@pytest.mark.parametrize("provider", EVERY)
def test_what_any_of_the_keys_signed_is_accepted(provider: str) -> None:
    for key in KEYS[provider]:
        delivery(provider, key).verify()


@pytest.mark.parametrize("provider", EVERY)
def test_what_no_key_signed_is_forged(provider: str) -> None:
    for keys in (("another-key-000000000000",), ("whsec_YW5vdGhlciBrZXkgYWx0b2dldGhlcg==",), ()):
        with pytest.raises(Forged):
            delivery(provider).verify(keys)


@pytest.mark.parametrize("provider", SIGNS)
def test_a_changed_body_is_forged(provider: str) -> None:
    sent = delivery(provider)
    raw = sent.raw.replace(b"12500000", b"12500001")
    assert raw != sent.raw
    with pytest.raises(Forged):
        replace(sent, raw=raw).verify()


@pytest.mark.parametrize("provider", ["stripe", "generic"])
def test_no_byte_of_the_body_can_be_changed(provider: str) -> None:
    sent = delivery(provider)
    for at in range(len(sent.raw)):
        raw = bytearray(sent.raw)
        raw[at] ^= 1
        with pytest.raises(Forged):
            replace(sent, raw=bytes(raw)).verify()


def test_snap_signs_all_but_the_blanks_between_the_parts() -> None:
    sent = delivery("snap")
    replace(sent, raw=json.dumps(json.loads(sent.raw), indent=4).encode()).verify()
    for was, becomes in ((b"PT ACME", b"PT  ACME"), (b'"001"', b'"1"'), (b"PT ACME", b"PTACME")):
        with pytest.raises(Forged):
            replace(sent, raw=sent.raw.replace(was, becomes)).verify()


@pytest.mark.parametrize(("provider", "name"), [(one, name) for one, names in HEADERS.items() for name in names])
def test_a_missing_or_changed_header_is_forged(provider: str, name: str) -> None:
    sent = delivery(provider)
    without = {key: value for key, value in sent.headers.items() if key != name}
    for headers in (without, {**sent.headers, name: ""}, {**sent.headers, name: sent.headers[name][::-1]}):
        with pytest.raises((Forged, Malformed)) as caught:
            replace(sent, headers=headers).verify()
        assert not isinstance(caught.value, Stale)


def test_a_midtrans_notification_without_a_signature_is_forged() -> None:
    body = paid("midtrans")
    with pytest.raises(Forged):
        Delivery("midtrans", json.dumps(body).encode(), {}).verify()


@pytest.mark.parametrize("provider", TIMED)
@pytest.mark.parametrize("sign", [1, -1])
def test_the_window_is_300_seconds_either_way(provider: str, sign: int) -> None:
    sent = delivery(provider)
    sent.verify(now=NOW + sign * WINDOW)
    with pytest.raises(Stale):
        sent.verify(now=NOW + sign * (WINDOW + timedelta(seconds=1)))


@pytest.mark.parametrize("provider", TIMED)
def test_a_moment_cannot_be_moved(provider: str) -> None:
    """A replay of an old delivery with today's moment in its header."""
    sent, fresh = delivery(provider), signed(provider, {"other": 1}, now=NOW + timedelta(days=1))
    moved = {name: value for name, value in fresh.headers.items() if name in ("x-timestamp", "webhook-timestamp")}
    if provider == "stripe":
        moment = fresh.headers["stripe-signature"].partition(",")[0]
        moved = {"stripe-signature": f"{moment},{sent.headers['stripe-signature'].partition(',')[2]}"}
    with pytest.raises(Forged):
        replace(sent, headers={**sent.headers, **moved}).verify(now=NOW + timedelta(days=1))


def test_stripe_takes_one_moment_and_any_of_several_signatures() -> None:
    sent = delivery("stripe")
    whole = sent.headers["stripe-signature"]
    several = whole.replace("v1=", "v1=" + "0" * 64 + ",v1=")
    replace(sent, headers={"stripe-signature": several}).verify()
    for bad in (f"t=1,{whole}", whole.replace("t=", "u="), whole.replace("v1=", "v2="), "nonsense"):
        with pytest.raises(Forged):
            replace(sent, headers={"stripe-signature": bad}).verify()


def test_the_published_example_of_standard_webhooks() -> None:
    made = generic.signature(
        b'{"test": 2432232314}', "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330"
    )
    assert made == "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_published_example_of_a_minified_body() -> None:
    body = {
        "partnerServiceId": "  088899",
        "customerNo": "12345678901234567890",
        "virtualAccountNo": "  08889912345678901234567890",
        "virtualAccountName": "Jokul Doe",
        "virtualAccountEmail": "jokul@email.com",
        "virtualAccountPhone": "6281828384858",
        "trxId": "abcdefgh1234",
        "totalAmount": {"value": "12345678.00", "currency": "IDR"},
    }
    minified = snap.minified(json.dumps(body, indent=3).encode())
    digest = "3274fab8dac896837b106a16da2a974e7e65142dcecb4b768ef0294102838977"
    assert hashlib.sha256(minified).hexdigest() == digest


def test_minifying_leaves_texts_numbers_and_escapes_alone() -> None:
    raw = b'{ "a b" : "c \\" , d\\\\" ,\r\n\t"n" : [ 1.50 , 2 ], "u": "\\u00e9 " }'
    assert snap.minified(raw) == b'{"a b":"c \\" , d\\\\","n":[1.50,2],"u":"\\u00e9 "}'


def test_snap_with_rsa() -> None:
    sent = delivery("snap", PUBLIC_KEY)
    sent.verify((KEYS["snap"][0], PUBLIC_KEY))
    with pytest.raises(Forged):
        sent.verify()
    with pytest.raises(Forged):
        replace(sent, raw=sent.raw.replace(b"12500000", b"12500001")).verify((PUBLIC_KEY,))


def test_a_public_key_is_no_secret() -> None:
    """Whoever knows the public key must not be able to sign with it as if it were the shared secret."""
    sent = delivery("snap")
    message = snap.to_sign("POST", PATH, sent.raw, sent.headers["x-timestamp"])
    headers = {**sent.headers, "x-signature": snap.symmetric(message, PUBLIC_KEY)}
    with pytest.raises(Forged):
        replace(sent, headers=headers).verify((PUBLIC_KEY,))


@pytest.mark.parametrize("token", ["abc", ""])
def test_snap_with_an_access_token(token: str) -> None:
    sent = delivery("snap")
    message = snap.to_sign("POST", PATH, sent.raw, sent.headers["x-timestamp"], token)
    headers = {**sent.headers, "x-signature": snap.symmetric(message, KEYS["snap"][0])}
    if token:
        headers["authorization"] = f"Bearer {token}"
    replace(sent, headers=headers).verify()
    with pytest.raises(Forged):
        replace(sent, headers={**headers, "authorization": "Bearer another"}).verify()


def test_snap_signs_the_path() -> None:
    with pytest.raises(Forged):
        signed("snap", paid("snap"), path="/webhooks/other").verify()


@pytest.mark.parametrize("status", ["settlement", "capture", "refund", "partial_refund", "chargeback"])
def test_a_status_of_midtrans_has_to_go_with_the_code_that_is_signed(status: str) -> None:
    """The status is not signed: a signed `pending` must not become money."""
    signed("midtrans", transaction("t", status)).verify()
    with pytest.raises(Forged):
        signed("midtrans", {**transaction("t", status), "status_code": "201"}).verify()


@pytest.mark.parametrize("provider", EVERY)
@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff",
        b'{"a": NaN}',
        b'{"a": 1, "a": 2}',
        b"[" * 60_000,
        b'{"n": ' + b"9" * 5000 + b"}",
    ],
)
def test_what_cannot_be_read_is_refused_and_not_repeated(provider: str, raw: bytes) -> None:
    sent = signed(provider, raw)
    with pytest.raises(DeliveryError) as caught:
        sent.verify()
        sent.dialect.read(sent.raw, sent.headers, UTC)
    assert isinstance(caught.value, Malformed)
    assert len(str(caught.value)) < 120
