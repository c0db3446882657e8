"""SNAP BI, Indonesia's national standard: the notification that a virtual account was paid, and its signatures.

Providers sign either with a secret that both sides have (HMAC-SHA512) or with their RSA key (RSA-SHA256). A key that is
a PEM can verify the second alone, and any other text the first alone, so that neither can be taken for the other.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Sequence
from datetime import datetime, tzinfo
from functools import partial

from lunas.providers import bodies
from lunas.providers.bodies import Document
from lunas.providers.events import EventKind, Forged, Malformed, ProviderEvent
from lunas.providers.rsa import BadKey, PrivateKey, PublicKey
from lunas.providers.signing import Headers, base64_bytes, check_moment, header, is_any_of, iso_moment

NAME = "snap"
VERIFICATION = "snap signature"
PAYMENT_PATH = "/v1.0/transfer-va/payment"
#: The service code of payment notifications, which stands in the middle of every response code.
_SERVICE = "25"
_STRING_OR_BLANK = re.compile(rb'("(?:[^"\\]|\\.)*+")|[ \t\r\n]+')
_ECHOED = ("partnerServiceId", "customerNo", "virtualAccountNo", "virtualAccountName", "paymentRequestId", "paidAmount")


def minified(raw: bytes) -> bytes:
    """The JSON without blanks between its parts; numbers, escapes and the order of keys stay as they were sent."""
    return _STRING_OR_BLANK.sub(rb"\1", raw)


def to_sign(method: str, path: str, raw: bytes, timestamp: str, token: str | None = None) -> bytes:
    """What is signed: `token` is the access token where the signature is symmetric, None where there is none."""
    digest = hashlib.sha256(minified(raw)).hexdigest()
    parts = [method, path, digest, timestamp] if token is None else [method, path, token, digest, timestamp]
    return ":".join(parts).encode()


def symmetric(message: bytes, secret: str) -> str:
    """The X-SIGNATURE of a message by a client secret: HMAC-SHA512 in base64."""
    return base64.b64encode(_mac(message, secret)).decode()


def asymmetric(message: bytes, private_key: str) -> str:
    """The X-SIGNATURE of a message by a private key in PEM: RSA-SHA256 in base64. Raises BadKey."""
    return base64.b64encode(PrivateKey.read(private_key).sign(message)).decode()


def token_request(client_id: str, timestamp: str) -> bytes:
    """What is signed, asymmetrically, to be given an access token."""
    return f"{client_id}|{timestamp}".encode()


def is_signed(message: bytes, signature: str, public_key: str) -> bool:
    """Whether the private half of a public key in PEM made that X-SIGNATURE. Raises Forged for what is no base64."""
    return PublicKey.read(public_key).made(base64_bytes(signature), message)


def verify(raw: bytes, headers: Headers, path: str, keys: Sequence[str], now: datetime) -> None:
    """Raises Forged unless one of the keys made the signature, Stale outside the window.

    `path` is the whole path of the URL that the provider was given. Raises BadKey for a PEM that is no RSA key.
    """
    given = base64_bytes(header(headers, "x-signature"))
    timestamp = header(headers, "x-timestamp", 64)
    bearer, _, token = headers.get("authorization", "").partition(" ")
    plain = to_sign("POST", path, raw, timestamp)
    tokens = [token.strip()] if bearer.lower() == "bearer" else [""]
    messages = [plain, *(to_sign("POST", path, raw, timestamp, one) for one in tokens)]
    secrets = [key for key in keys if not is_pem(key)]
    found = False
    for message in messages:
        found |= is_any_of([given], secrets, partial(_mac, message))
    for key in keys:
        if is_pem(key):
            found |= PublicKey.read(key).made(given, plain)
    if not found:
        raise Forged("no key of ours made the signature")
    check_moment(iso_moment(timestamp, "x-timestamp"), now)


def is_pem(key: str) -> bool:
    """Whether a key of the list is an RSA key."""
    return "-----BEGIN" in key


def check_key(key: str) -> None:
    """Raises BadKey for one that can verify nothing."""
    if is_pem(key):
        PublicKey.read(key)
    elif len(key) < 16:
        raise BadKey("a client secret of SNAP has 16 characters at least")


def read(raw: bytes, headers: Headers, zone: tzinfo) -> ProviderEvent:
    """What it says; raises Malformed."""
    body = bodies.read(raw)
    signed_at = iso_moment(headers.get("x-timestamp", ""), "x-timestamp")
    heads: Document = {name: headers.get(name) for name in ("x-external-id", "x-partner-id", "x-client-key")}
    external = bodies.text(heads, "x-external-id", 64)
    partner = bodies.maybe(heads, "x-partner-id", 64) or bodies.maybe(heads, "x-client-key", 64) or "-"
    amount = bodies.part(body, "paidAmount")
    unit = bodies.currency(amount)
    account, transaction = bodies.text(body, "virtualAccountNo", 40), bodies.maybe(body, "trxId", 100)
    service = bodies.maybe(body, "partnerServiceId", 20) or "-"
    paid_at = "trxDateTime" if body.get("trxDateTime") else None
    return ProviderEvent(
        NAME,
        # An X-EXTERNAL-ID is unique for a day, which is one in Jakarta.
        f"{partner}/{signed_at.astimezone(bodies.jakarta()).date()}/{external}",
        EventKind.PAID,
        reference=f"{service}/{bodies.text(body, 'paymentRequestId', 128)}",
        amount=bodies.major(amount, "value", unit),
        on=bodies.day(body, paid_at, zone, bodies.jakarta()) if paid_at else signed_at.astimezone(zone).date(),
        instruments=bodies.among([transaction, account, account.replace(" ", "")]),
        invoice=bodies.number(bodies.maybe_part(body, "additionalInfo"), "invoiceNo") or bodies.number(body, "trxId"),
    )


def accepted(raw: bytes) -> dict[str, object]:
    """The answer to a notification that was booked, or had been."""
    body = bodies.read(raw)
    account: dict[str, object] = {name: body[name] for name in _ECHOED if isinstance(body.get(name), (str, dict))}
    account["paymentFlagStatus"] = "00"
    account["paymentFlagReason"] = {"english": "Success", "indonesia": "Sukses"}
    return {**refused(200, "00", "Successful"), "virtualAccountData": account}


def refused(status: int, case: str, message: str) -> dict[str, object]:
    """An answer that is nothing but its code: the HTTP status, the service, the case."""
    return {"responseCode": f"{status}{_SERVICE}{case}", "responseMessage": message}


def faulty(error: Malformed) -> dict[str, object]:
    """The answer to a notification that cannot be read."""
    words = str(error)
    return refused(400, "02" if words.endswith("is missing") else "01", f"Invalid request: {words}")


def _mac(message: bytes, secret: str) -> bytes:
    return hmac.digest(secret.encode(), message, hashlib.sha512)
