"""Deliveries as each provider signs them, and an RSA key that was made for these tests alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from lunas.providers import generic, midtrans, snap, stripe
from lunas.providers.dialects import DIALECTS, Dialect

NOW = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)
PATH = "/webhooks/snap"
#: Two keys a provider: the new one and the one before it.
KEYS = {
    "xendit": ("xnd-token-new-0000000000000000", "xnd-token-old-0000000000000000"),
    "midtrans": ("SB-Mid-server-new-00000000", "SB-Mid-server-old-00000000"),
    "stripe": ("whsec_new_00000000000000000000", "whsec_old_00000000000000000000"),
    "snap": ("snap-secret-new-000000000000", "snap-secret-old-000000000000"),
    "generic": ("whsec_bmV3LW5ldy1uZXctbmV3LW5ldw==", "whsec_b2xkLW9sZC1vbGQtb2xkLW9sZA=="),
}


@dataclass(frozen=True)
class Delivery:
    """What a provider sends: the body and the headers, their names in small letters."""

    provider: str
    raw: bytes
    headers: dict[str, str]

    @property
    def dialect(self) -> Dialect:
        return DIALECTS[self.provider]

    def verify(self, keys: tuple[str, ...] | None = None, now: datetime = NOW) -> None:
        self.dialect.verify(self.raw, self.headers, PATH, KEYS[self.provider] if keys is None else keys, now)


def signed(
    provider: str, body: Mapping[str, Any] | bytes, *, key: str | None = None, now: datetime = NOW, path: str = PATH
) -> Delivery:
    """The body as that provider would send it at that moment; a `webhook-id` or X-EXTERNAL-ID is made from the body."""
    key = key or KEYS[provider][0]
    moment = str(int(now.timestamp()))
    if provider == "midtrans" and not isinstance(body, bytes):
        parts = "".join(str(body[name]) for name in ("order_id", "status_code", "gross_amount"))
        body = {**body, "signature_key": midtrans.signature(parts, key)}
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    name = hashlib.sha256(raw).hexdigest()[:20]
    match provider:
        case "xendit":
            headers = {"x-callback-token": key}
        case "stripe":
            headers = {"stripe-signature": f"t={moment},v1={stripe.signature(raw, key, moment)},v0=abc"}
        case "snap":
            timestamp = now.isoformat(timespec="seconds")
            message = snap.to_sign("POST", path, raw, timestamp)
            made = snap.asymmetric(message, PRIVATE_KEY) if key == PUBLIC_KEY else snap.symmetric(message, key)
            headers = {
                "x-signature": made,
                "x-timestamp": timestamp,
                "x-partner-id": "BANK",
                "x-external-id": str(int(name[:9], 16)),
            }
        case "generic":
            made = generic.signature(raw, key, f"evt-{name}", moment)
            headers = {
                "webhook-id": f"evt-{name}",
                "webhook-timestamp": moment,
                "webhook-signature": f"v1,c29tZXRoaW5nIGVsc2U= v1,{made}",
            }
        case _:
            headers = {}
    return Delivery(provider, raw, headers)


def paid(provider: str, reference: str = "p1", *, rupiah: int = 12_500_000, invoice: str = "INV-1") -> dict[str, Any]:
    """The body with which that provider tells that so many rupiah were paid, on 20 November in Jakarta."""
    match provider:
        case "xendit":
            return {"event": "payment.capture", "data": xendit_payment(reference, rupiah=rupiah, invoice=invoice)}
        case "midtrans":
            return transaction(reference, "settlement", rupiah=rupiah, invoice=invoice)
        case "stripe":
            intent = {
                "id": reference,
                "object": "payment_intent",
                "amount": rupiah * 100,
                "amount_received": rupiah * 100,
                "currency": "idr",
                "metadata": {"invoice": invoice, "reference": f"way-{reference}"},
            }
            return stripe_event("payment_intent.succeeded", intent, event=f"evt_{reference}")
        case "snap":
            return {
                "partnerServiceId": "  088899",
                "customerNo": "001",
                "virtualAccountNo": "  088899001",
                "virtualAccountName": "PT ACME",
                "trxId": f"way-{reference}",
                "paymentRequestId": reference,
                "paidAmount": {"value": f"{rupiah}.00", "currency": "IDR"},
                "trxDateTime": "2026-11-20T09:59:00+07:00",
                "additionalInfo": {"invoiceNo": invoice},
            }
        case _:
            data = {
                "reference": reference,
                "amount_minor": rupiah * 100,
                "currency": "IDR",
                "paid_on": "2026-11-20",
                "invoice": invoice,
                "instrument": f"way-{reference}",
            }
            return {"type": "payment.received", "data": data}


def xendit_payment(
    reference: str = "p1", *, status: str = "SUCCEEDED", rupiah: int = 12_500_000, invoice: str = "INV-1"
) -> dict[str, Any]:
    """A payment as Xendit has it, in its webhook and when asked."""
    return {
        "payment_id": reference,
        "status": status,
        "payment_request_id": f"pr-{reference}",
        "reference_id": f"way-{reference}",
        "request_amount": rupiah,
        "currency": "IDR",
        "captures": [{"capture_id": "c", "capture_amount": rupiah, "capture_timestamp": "2026-11-19T18:00:00.1Z"}],
        "metadata": {"invoice": invoice},
        "created": "2026-11-19T10:00:00Z",
    }


def xendit_refund(reference: str = "p1", refund: str = "rfd-1", *, rupiah: int = 1_000_000) -> dict[str, Any]:
    """A refund as Xendit has it, in its webhook and when asked."""
    return {
        "id": refund,
        "payment_id": reference,
        "amount": rupiah,
        "currency": "IDR",
        "status": "SUCCEEDED",
        "reason": "CANCELLATION",
        "updated": "2026-11-21T01:00:00Z",
    }


def transaction(
    reference: str, status: str, *, rupiah: int = 12_500_000, invoice: str = "INV-1", **more: Any
) -> dict[str, Any]:
    """A transaction as Midtrans has it, without its signature."""
    code = {"pending": "201", "expire": "407"}.get(status, "200")
    return {
        "transaction_id": reference,
        "order_id": f"way-{reference}",
        "transaction_status": status,
        "status_code": code,
        "gross_amount": f"{rupiah}.00",
        "currency": "IDR",
        "payment_type": "bank_transfer",
        "transaction_time": "2026-11-19 10:00:00",
        "settlement_time": "2026-11-20 00:30:00",
        "custom_field1": invoice,
        **more,
    }


def stripe_event(name: str, about: Mapping[str, Any], *, event: str = "evt_1", **data: Any) -> dict[str, Any]:
    """An event of Stripe's."""
    created = int(datetime(2026, 11, 19, 18, 0, tzinfo=UTC).timestamp())  # already the 20th in Jakarta
    return {"id": event, "object": "event", "type": name, "created": created, "data": {"object": dict(about), **data}}


PRIVATE_KEY = """-----BEGIN PRIVATE KEY-----
MIIEvAIBADANBgkqhkiG9w0BAQEFAASCBKYwggSiAgEAAoIBAQC5RsQuSKPTWYJB
e0695R10wHIzbe6Ab+RiXyMytf+ab7gIAYLS9aQoYBI+6dMS/u0Z72Xfip8ZXBGI
78I64ZxaHkjGReLkqBbSf3Tet73eyo2NZfIuBa0fR8vIlPxN2fkHo5p7LaUzGrEZ
pcHRZ03SXA0wqRF4aXOnVVJHkYXozv4Fo4fMznCR27zNuHakGAPUFE6ofnuFPTLL
XwsKKsYiX1ViGq4XP9+kugWLSoxDYjHhraIdencDKK03PgCEDCfLlrfY1kCiuwIu
zh9uF+dfU1wPnSLObp1dthp9I8THxRrA4nzjwTNJbYy1YR4Nj2WAZ7rnJh/Nj947
9bVRvVCpAgMBAAECggEAAPDBwieAS+xV61ww7AtvsTwvpl4zPoDxqmaqPwaQfpfV
rZFDjMkkg1abbRpFHCOQnCLyndi5UPZb4ShrtU+r4bRql0lJ+I+QhPA6KvpcnXld
o/sIz+kWmag2DYz4vk/sBc8bH+9sD9/RQ0K6kV8hr4/8nPYDgbyNEFLVCgUifuyS
EypNzSqpxhJpEu80N9bOYtfXHwQ7ifMWp7sEs/jCDKa1/GLPQdiW2PqEJ/PrM9cd
KWFUq+sKsJ2WSvpKL3m9AM//gUJRLzaGH2dzG7Gg26PxgSoHysh387EXKmj2Dd4m
q0JPxUHNSrA7EPQRRH9hYPQnTtjV5t/pC+3w4qIccQKBgQDd1Ncgflv8PZHZDYiX
RcBe7Ua05V9a1Gf/9jEQTAwHaCUWbjJV3+pPW9BaRNYiz3/sFB15eho+F/ir1v33
KkT6mAm54RR60sINMeheSyE03cozVyt/l3O5gfANssEscZ3PXqpXAYYNErmf8cVK
pq6gt0nJNTfDpkiuGHV17cD70QKBgQDV0IGL4Al41QvDJkz0GxHZXg58D1DPQoT7
RMc8qFJVMR1RxOSs3Wh1/JS1R+vj6iLAE5zNN+lqGbO+BTmCqxNe4wdR/apcHf7A
X60/+qd7n9dwCvGE/aP+odrVdtfy6X81hVKX22Hv09fcUF6tNR0UtZZLjdCSDWQm
qjIrk6u1WQKBgGEbeCUIS5orFbqPmxildyXW9tnfgxOO4gwBqM66i5V+eKXODYjc
IYUl6xppAdhxP02ILLLtyake80O+NKTLQzDz92YAauetdTczfsYwW1P6NzasVSVg
lk9B22UTuE6NWgjaJvU5fIYiiVHEE5qvRsiiE9HZ0xR5qV1U5a5/KrjRAoGAWM/Q
357hkFU+G4NPN53+3gEZlyJteImy3wQElgd8m3JZMVvNeJhHCasuwdXr/7GDWbFL
0lpFFBM0+9sDtmkFFMbMhZwOJVE4PgP/3LFq3Aja3elNxOXuNphYY46HyJiAhGSq
l/VCSvH9mb+wc9W6DJ4Yna18Uw5I6V6MlFk0W5ECgYAzxPTHGmHBJw3R9xEHS7n9
GXoHMRKPcd2tpxePnDg3hDSS4JXY9Bf7TmBIO6gtDcXm99/RD5s6a+GPupZ7RSXt
y9GM9F91BB2lOvQ5zUZV/s5iBCllDgUDO2FBVvavgWiX6mzBBQI59k227J+43E7u
lgDTYCf8vrxA/pF6W12/Kw==
-----END PRIVATE KEY-----
"""

PUBLIC_KEY = """-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAuUbELkij01mCQXtOveUd
dMByM23ugG/kYl8jMrX/mm+4CAGC0vWkKGASPunTEv7tGe9l34qfGVwRiO/COuGc
Wh5IxkXi5KgW0n903re93sqNjWXyLgWtH0fLyJT8Tdn5B6Oaey2lMxqxGaXB0WdN
0lwNMKkReGlzp1VSR5GF6M7+BaOHzM5wkdu8zbh2pBgD1BROqH57hT0yy18LCirG
Il9VYhquFz/fpLoFi0qMQ2Ix4a2iHXp3AyitNz4AhAwny5a32NZAorsCLs4fbhfn
X1NcD50izm6dXbYafSPEx8UawOJ848EzSW2MtWEeDY9lgGe65yYfzY/eO/W1Ub1Q
qQIDAQAB
-----END PUBLIC KEY-----
"""

OLD_PRIVATE_KEY = """-----BEGIN RSA PRIVATE KEY-----
MIIEogIBAAKCAQEAuUbELkij01mCQXtOveUddMByM23ugG/kYl8jMrX/mm+4CAGC
0vWkKGASPunTEv7tGe9l34qfGVwRiO/COuGcWh5IxkXi5KgW0n903re93sqNjWXy
LgWtH0fLyJT8Tdn5B6Oaey2lMxqxGaXB0WdN0lwNMKkReGlzp1VSR5GF6M7+BaOH
zM5wkdu8zbh2pBgD1BROqH57hT0yy18LCirGIl9VYhquFz/fpLoFi0qMQ2Ix4a2i
HXp3AyitNz4AhAwny5a32NZAorsCLs4fbhfnX1NcD50izm6dXbYafSPEx8UawOJ8
48EzSW2MtWEeDY9lgGe65yYfzY/eO/W1Ub1QqQIDAQABAoIBAADwwcIngEvsVetc
MOwLb7E8L6ZeMz6A8apmqj8GkH6X1a2RQ4zJJINWm20aRRwjkJwi8p3YuVD2W+Eo
a7VPq+G0apdJSfiPkITwOir6XJ15XaP7CM/pFpmoNg2M+L5P7AXPGx/vbA/f0UNC
upFfIa+P/Jz2A4G8jRBS1QoFIn7skhMqTc0qqcYSaRLvNDfWzmLX1x8EO4nzFqe7
BLP4wgymtfxiz0HYltj6hCfz6zPXHSlhVKvrCrCdlkr6Si95vQDP/4FCUS82hh9n
cxuxoNuj8YEqB8rId/OxFypo9g3eJqtCT8VBzUqwOxD0EUR/YWD0J07Y1ebf6Qvt
8OKiHHECgYEA3dTXIH5b/D2R2Q2Il0XAXu1GtOVfWtRn//YxEEwMB2glFm4yVd/q
T1vQWkTWIs9/7BQdeXoaPhf4q9b99ypE+pgJueEUetLCDTHoXkshNN3KM1crf5dz
uYHwDbLBLHGdz16qVwGGDRK5n/HFSqauoLdJyTU3w6ZIrhh1de3A+9ECgYEA1dCB
i+AJeNULwyZM9BsR2V4OfA9Qz0KE+0THPKhSVTEdUcTkrN1odfyUtUfr4+oiwBOc
zTfpahmzvgU5gqsTXuMHUf2qXB3+wF+tP/qne5/XcArxhP2j/qHa1XbX8ul/NYVS
l9th79PX3FBerTUdFLWWS43Qkg1kJqoyK5OrtVkCgYBhG3glCEuaKxW6j5sYpXcl
1vbZ34MTjuIMAajOuouVfnilzg2I3CGFJesaaQHYcT9NiCyy7cmpHvNDvjSky0Mw
8/dmAGrnrXU3M37GMFtT+jc2rFUlYJZPQdtlE7hOjVoI2ib1OXyGIolRxBOar0bI
ohPR2dMUealdVOWufyq40QKBgFjP0N+e4ZBVPhuDTzed/t4BGZcibXiJst8EBJYH
fJtyWTFbzXiYRwmrLsHV6/+xg1mxS9JaRRQTNPvbA7ZpBRTGzIWcDiVROD4D/9yx
atwI2t3pTcTl7jaYWGOOh8iYgIRkqpf1Qkrx/Zm/sHPVugyeGJ2tfFMOSOlejJRZ
NFuRAoGAM8T0xxphwScN0fcRB0u5/Rl6BzESj3HdracXj5w4N4Q0kuCV2PQX+05g
SDuoLQ3F5vff0Q+bOmvhj7qWe0Ul7cvRjPRfdQQdpTr0Oc1GVf7OYgQpZQ4FAzth
QVb2r4Fol+pswQUCOfZNtuyfuNxO7pYA02An/L68QP6Reltdvys=
-----END RSA PRIVATE KEY-----
"""

OLD_PUBLIC_KEY = """-----BEGIN RSA PUBLIC KEY-----
MIIBCgKCAQEAuUbELkij01mCQXtOveUddMByM23ugG/kYl8jMrX/mm+4CAGC0vWk
KGASPunTEv7tGe9l34qfGVwRiO/COuGcWh5IxkXi5KgW0n903re93sqNjWXyLgWt
H0fLyJT8Tdn5B6Oaey2lMxqxGaXB0WdN0lwNMKkReGlzp1VSR5GF6M7+BaOHzM5w
kdu8zbh2pBgD1BROqH57hT0yy18LCirGIl9VYhquFz/fpLoFi0qMQ2Ix4a2iHXp3
AyitNz4AhAwny5a32NZAorsCLs4fbhfnX1NcD50izm6dXbYafSPEx8UawOJ848Ez
SW2MtWEeDY9lgGe65yYfzY/eO/W1Ub1QqQIDAQAB
-----END RSA PUBLIC KEY-----
"""

#: What `openssl dgst -sha256 -sign` made of `SIGNED` with that key.
SIGNED = b"POST:/webhooks/snap:abc"
SIGNATURE = (
    "QO3mLQLqHYWrgInXKfiCfDn3wt7DtF6xOqZe/dafp/aEk2FaUsjunGHCqUPAbHcDS+1d+sQVcjf4v4nBmRpvJ5wQ9DZvRTXJlRqK"
    "Gk5QIc9Qhxwn9oek3L08q72QfL/JSyV+x0xokSMnxqouCiSJobwQQul9gStPt2Ca2cc5Gw1IAK7Ca7nflQCsW9cJ+i+J1aJLeqeA"
    "/8Gp6nw/21YSGA5lvMLWYo1XeccOCdPYxbk570a/9bmzsN2wmHTAWpEFFtXI0WGiwoKhnL2aO7O0K4gcaFCxi68T5go+IudzF/uT"
    "AYFWuoZr0MfCh3jsrDY+b+Jpi4TgKutbGXCIqvkXeg=="
)
