"""SNAP BI, Indonesia's national standard for payment APIs: virtual accounts at a bank or an aggregator.

A token is fetched with an RSA signature (`access-token/b2b`), requests carry it and an HMAC-SHA512 over method, path,
token, digest of the body and moment. The number of a virtual account is made from our reference, so that asking twice
makes the same one; an id that a provider saw today already is answered with a conflict, and the account is looked up.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx2

from lunas.providers import bodies, snap
from lunas.providers.asking import (
    Answer,
    Caller,
    Instrument,
    Refused,
    Silent,
    State,
    Taken,
    Wish,
    decimal_text,
    moment,
    rupiah_only,
    word,
)
from lunas.providers.rsa import PrivateKey

PROVIDER = "snap"
_ZONE = ZoneInfo("Asia/Jakarta")
#: Longest name of an account, and longest reference, that the standard has room for.
_NAME, _CUSTOMER_DIGITS = 40, 12
#: A token is not used in its last minute.
_SPARE = timedelta(minutes=1)
_PAID, _PENDING = "00", frozenset({"01", "02", "03"})


@dataclass(frozen=True, slots=True, repr=False)
class SnapAccount:
    """Our account with one bank or aggregator. `prefix` is its `partnerServiceId`, without the blanks before it.

    `root` is where the standard's paths begin there, such as `/snap/v1.0`; `channel` is CHANNEL-ID; `additional` goes
    with every virtual account, as some ask for (`{"channel": "VIRTUAL_ACCOUNT_BCA"}`); `delete` is the method of
    delete-va, for some POST.
    """

    base_url: str
    client_id: str
    client_secret: str
    private_key: str
    prefix: str
    channel: str = "95221"
    root: str = "/snap/v1.0"
    additional: Mapping[str, Any] | None = None
    delete: str = "DELETE"


class SnapClient:
    """Asks one provider that speaks SNAP; every method raises ProviderError."""

    def __init__(
        self, http: httpx2.AsyncClient, account: SnapAccount, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        for what in ("client_id", "client_secret", "private_key", "prefix"):
            if not getattr(account, what).strip():
                raise ValueError(f"SNAP needs the {what.replace('_', ' ')}: set LUNAS_SNAP_{what.upper()}")
        if not account.prefix.strip().isdecimal() or len(account.prefix.strip()) > 8:
            raise ValueError("the SNAP prefix is the provider's code of up to 8 digits: correct LUNAS_SNAP_PREFIX")
        self._account = account
        self._key = PrivateKey.read(account.private_key)
        self._caller = Caller(http, PROVIDER, account.base_url)
        self._now = now
        self._token: tuple[str, datetime] | None = None

    async def virtual_account(self, wish: Wish) -> Instrument:
        """A virtual account that takes exactly the amount, once."""
        rupiah_only(PROVIDER, wish.amount)
        body = {
            **self._named(wish.reference),
            "virtualAccountName": wish.name[:_NAME],
            "trxId": wish.reference,
            "totalAmount": {"value": decimal_text(wish.amount), "currency": "IDR"},
            "virtualAccountTrxType": "C",
            "expiredDate": _written(wish.expires_at),
            "additionalInfo": dict(self._account.additional or {}),
        }
        answer = await self._ask("POST", "/transfer-va/create-va", body)
        said = bodies.maybe_part(_yes(answer), "virtualAccountData")
        number = word(said, "virtualAccountNo") or self.number(wish.reference)
        number = number.strip()
        return Instrument(id=number, state=State.OPEN, number=number, expires_at=moment(said, "expiredDate"))

    async def cancel(self, reference: str) -> None:
        """Take no money on it any more; harmless where it is gone."""
        body = {**self._named(reference), "trxId": reference}
        answer = await self._ask(self._account.delete, "/transfer-va/delete-va", body)
        if _code(answer).startswith("404") or answer.status == 404:
            return
        _yes(answer)

    async def get(self, reference: str) -> Instrument:
        """The virtual account under our reference as it stands now; Refused with a code 404… where there is none."""
        body = {**self._named(reference), "inquiryRequestId": self._external_id("status", reference)}
        said = bodies.maybe_part(_yes(await self._ask("POST", "/transfer-va/status", body)), "virtualAccountData")
        flag = word(said, "paymentFlagStatus") or "01"
        state = State.PAID if flag == _PAID else State.OPEN if flag in _PENDING else State.ENDED
        number = word(said, "virtualAccountNo") or self.number(reference)
        return Instrument(id=number.strip(), state=state, number=number.strip())

    def number(self, reference: str) -> str:
        """The number of the virtual account that our reference stands for, without blanks."""
        return self._account.prefix.strip() + _customer(reference)

    def _named(self, reference: str) -> dict[str, str]:
        prefix, customer = self._account.prefix.strip().rjust(8), _customer(reference)
        return {"partnerServiceId": prefix, "customerNo": customer, "virtualAccountNo": prefix + customer}

    def _external_id(self, act: str, reference: str) -> str:
        """Digits, as X-EXTERNAL-ID is; the same for the same request on the same day."""
        digest = hashlib.sha256(f"{act}/{reference}".encode()).digest()
        return f"{int.from_bytes(digest[:15], 'big'):036d}"[-32:]

    async def _ask(self, method: str, path: str, body: Mapping[str, Any]) -> Answer:
        token = await self._access_token()
        content = json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()
        path, at = self._account.root.rstrip("/") + path, _written(self._now())
        signed = snap.to_sign(method, path, content, at, token)
        act = path.rpartition("/")[2]
        headers = {
            "Content-Type": "application/json",
            "Authorization": f"Bearer {token}",
            "X-TIMESTAMP": at,
            "X-SIGNATURE": snap.symmetric(signed, self._account.client_secret),
            "X-PARTNER-ID": self._account.client_id,
            "X-EXTERNAL-ID": self._external_id(act, str(body.get("trxId") or body.get("inquiryRequestId"))),
            "CHANNEL-ID": self._account.channel,
        }
        answer = await self._caller.call(method, path, content=content, headers=headers)
        if answer.status == 401:
            self._token = None  # it may have been withdrawn: the next attempt fetches another
        return answer

    async def _access_token(self) -> str:
        now = self._now()
        if self._token is not None and now < self._token[1]:
            return self._token[0]
        at = _written(now)
        signature = base64.b64encode(self._key.sign(snap.token_request(self._account.client_id, at))).decode()
        headers = {"X-TIMESTAMP": at, "X-CLIENT-KEY": self._account.client_id, "X-SIGNATURE": signature}
        path = f"{self._account.root.rstrip('/')}/access-token/b2b"
        said = _yes(await self._caller.call("POST", path, json={"grantType": "client_credentials"}, headers=headers))
        token, seconds = word(said, "accessToken"), word(said, "expiresIn") or "900"
        if token is None:
            raise Silent("snap answered without accessToken")
        lasts = timedelta(seconds=int(seconds) if seconds.isdecimal() else 900)
        self._token = (token, now + max(lasts - _SPARE, timedelta(0)))
        return token


def _code(answer: Answer) -> str:
    """SNAP's response code: HTTP status, service and case, such as 4092700."""
    return word(answer.said, "responseCode") or str(answer.status)


def _yes(answer: Answer) -> bodies.Document:
    code = _code(answer)
    if answer.is_success and code.startswith("2"):
        return answer.said
    if code.startswith("5"):
        raise Silent(f"snap answered {code}")
    raise (Taken if code.startswith("409") else Refused)(PROVIDER, answer.status, code)


def _customer(reference: str) -> str:
    """Digits for the reference: 40 bits of its digest, and two that catch a slip of the hand."""
    digest = hashlib.sha256(reference.encode()).digest()
    body = f"{int.from_bytes(digest[:5], 'big') % 10 ** (_CUSTOMER_DIGITS - 2):0{_CUSTOMER_DIGITS - 2}d}"
    return f"{body}{zlib.crc32(body.encode()) % 100:02d}"


def _written(at: datetime) -> str:
    return at.astimezone(_ZONE).isoformat(timespec="seconds")
