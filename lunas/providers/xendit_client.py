"""Xendit's Payments API, version 3: virtual accounts, QRIS and payment links, in whole rupiah.

Payment requests and sessions are made under our `reference_id`, which every payment on them names again, and with an
idempotency key; Xendit has no way to look one up by our reference, so a lost answer is asked for again with that key.
"""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import quote

import httpx2

from lunas.providers import bodies
from lunas.providers.asking import (
    Answer,
    Caller,
    Instrument,
    Refused,
    Silent,
    State,
    Taken,
    Wish,
    found_at,
    moment,
    rupiah_only,
    whole_units,
    word,
)
from lunas.providers.events import INSTRUMENT_KEY, INVOICE_KEY

PROVIDER = "xendit"
_VERSION = {"api-version": "2024-11-11"}
_TAKEN = frozenset({"DUPLICATE_ERROR", "IDEMPOTENCY_ERROR"})
#: What a cancel of something that cannot be paid any more is refused with.
_OVER = frozenset({"INVALID_STATUS", "DATA_NOT_FOUND", "SESSION_NOT_ACTIVE", "PAYMENT_REQUEST_NOT_ACTIVE"})
_STATES = {
    "ACCEPTING_PAYMENTS": State.OPEN,
    "REQUIRES_ACTION": State.OPEN,
    "ACTIVE": State.OPEN,
    "AUTHORIZED": State.OPEN,
    "PENDING": State.OPEN,
    "SUCCEEDED": State.PAID,
    "COMPLETED": State.PAID,
}


class XenditClient:
    """Asks Xendit, with the account's secret key; every method raises ProviderError."""

    def __init__(self, http: httpx2.AsyncClient, *, secret: str, base_url: str = "https://api.xendit.co") -> None:
        if not secret.strip():
            raise ValueError("Xendit needs the secret key: set LUNAS_XENDIT_SECRET_KEY")
        self._caller = Caller(http, PROVIDER, base_url, httpx2.BasicAuth(secret, ""))

    async def virtual_account(self, wish: Wish, bank: str) -> Instrument:
        """A virtual account at `bank` (`BCA`, `MANDIRI`, …) that takes exactly the amount, once."""
        return await self._payment_request(
            wish, f"{bank.upper()}_VIRTUAL_ACCOUNT", {"display_name": _letters(wish.name)}
        )

    async def qris(self, wish: Wish) -> Instrument:
        """A dynamic QRIS code for exactly the amount."""
        return await self._payment_request(wish, "QRIS", {})

    async def payment_link(self, wish: Wish) -> Instrument:
        """A page of Xendit's where the payer chooses how to pay: cards and e-wallets, as the account allows."""
        rupiah_only(PROVIDER, wish.amount)
        body = {
            "reference_id": wish.reference,
            "session_type": "PAY",
            "mode": "PAYMENT_LINK",
            "amount": whole_units(PROVIDER, wish.amount),
            "currency": "IDR",
            "country": "ID",
            "description": wish.label,
            "expires_at": _written(wish.expires_at),
            "metadata": _metadata(wish),
        }
        answer = await self._caller.call("POST", "/sessions", json=body, headers={"idempotency-key": wish.reference})
        return _session(_yes(answer))

    async def cancel(self, id_: str) -> None:
        """Take no money on it any more; harmless where it took some, was cancelled or has expired."""
        is_session = id_.startswith("ps-")
        path = f"/sessions/{quote(id_, safe='')}/cancel" if is_session else f"{_request_path(id_)}/cancel"
        answer = await self._caller.call("POST", path, headers={} if is_session else _VERSION)
        if answer.status == 404 or (not answer.is_success and word(answer.said, "error_code") in _OVER):
            return
        _yes(answer)

    async def get(self, id_: str) -> Instrument:
        """A payment request or session as it stands now."""
        if id_.startswith("ps-"):
            return _session(_yes(await self._caller.call("GET", f"/sessions/{quote(id_, safe='')}")))
        return _request(_yes(await self._caller.call("GET", _request_path(id_), headers=_VERSION)))

    async def payment(self, payment_id: str) -> bodies.Document | None:
        """A payment, to be believed where its webhook is not: a callback token says nothing about the body.

        Raises `lunas.providers.events.Unreachable`; None for one that Xendit does not know.
        """
        return await found_at(self._caller, f"/v3/payments/{quote(payment_id, safe='')}", _VERSION)

    async def refund(self, refund_id: str) -> bodies.Document | None:
        """A refund, in the same way."""
        return await found_at(self._caller, f"/refunds/{quote(refund_id, safe='')}")

    async def _payment_request(self, wish: Wish, channel: str, properties: dict[str, str]) -> Instrument:
        rupiah_only(PROVIDER, wish.amount)
        body = {
            "reference_id": wish.reference,
            "type": "PAY",
            "country": "ID",
            "currency": "IDR",
            "request_amount": whole_units(PROVIDER, wish.amount),
            "capture_method": "AUTOMATIC",
            "channel_code": channel,
            "channel_properties": {**properties, "expires_at": _written(wish.expires_at)},
            "description": wish.label,
            "metadata": _metadata(wish),
        }
        headers = {**_VERSION, "idempotency-key": wish.reference}
        return _request(_yes(await self._caller.call("POST", "/v3/payment_requests", json=body, headers=headers)))


def _yes(answer: Answer) -> bodies.Document:
    if answer.is_success:
        return answer.said
    code = word(answer.said, "error_code") or str(answer.status)
    raise (Taken if code in _TAKEN else Refused)(PROVIDER, answer.status, code)


def _request(said: bodies.Document) -> Instrument:
    shown = {
        str(action.get("descriptor")): action.get("value")
        for action in said.get("actions") or ()
        if isinstance(action, dict) and isinstance(action.get("value"), str)
    }
    return Instrument(
        id=_named(said, "payment_request_id"),
        state=_state(said),
        number=shown.get("VIRTUAL_ACCOUNT_NUMBER"),
        qr=shown.get("QR_STRING"),
        url=shown.get("WEB_URL"),
        expires_at=moment(bodies.maybe_part(said, "channel_properties"), "expires_at"),
    )


def _session(said: bodies.Document) -> Instrument:
    return Instrument(
        id=_named(said, "payment_session_id"),
        state=_state(said),
        url=word(said, "payment_link_url"),
        expires_at=moment(said, "expires_at"),
    )


def _named(said: bodies.Document, name: str) -> str:
    found = word(said, name)
    if found is None:
        raise Silent(f"xendit answered without {name}")
    return found


def _state(said: bodies.Document) -> State:
    return _STATES.get(word(said, "status") or "", State.ENDED)


def _request_path(id_: str) -> str:
    return f"/v3/payment_requests/{quote(id_, safe='')}"


def _metadata(wish: Wish) -> dict[str, str]:
    return {INSTRUMENT_KEY: wish.reference, INVOICE_KEY: wish.label}


def _written(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _letters(name: str) -> str:
    """A name as banks show it: letters and spaces."""
    kept = "".join(c if c.isascii() and (c.isalpha() or c == " ") else " " for c in name)
    return " ".join(kept.split())[:40] or "Lunas"
