"""Midtrans: virtual accounts and QRIS over the Core API, payment links over Snap, in whole rupiah.

Our reference is Midtrans' `order_id`, for ever: a second charge under it is refused with 406, and what became of the
first is asked for by that id. Midtrans often answers HTTP 200 and says no in the body's `status_code`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

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
    rupiah_only,
    whole_units,
    word,
)
from lunas.providers.events import Unreachable

PROVIDER = "midtrans"
_ZONE = ZoneInfo("Asia/Jakarta")
#: Written by the Snap client where Midtrans knows no transaction yet: nobody has opened the page.
_UNKNOWN, _OVER, _TAKEN = "404", "412", "406"
_STATES = {
    "pending": State.OPEN,
    "authorize": State.OPEN,
    "settlement": State.PAID,
    "capture": State.PAID,
}


class MidtransClient:
    """Asks Midtrans, with the account's server key; every method raises ProviderError.

    `snap_url` is Snap's own address, where payment links are made.
    """

    def __init__(
        self,
        http: httpx2.AsyncClient,
        *,
        server_key: str,
        base_url: str = "https://api.midtrans.com",
        snap_url: str = "https://app.midtrans.com",
    ) -> None:
        if not server_key.strip():
            raise ValueError("Midtrans needs the server key: set LUNAS_MIDTRANS_SERVER_KEY")
        auth = httpx2.BasicAuth(server_key, "")
        self._core = Caller(http, PROVIDER, base_url, auth)
        self._snap = Caller(http, PROVIDER, snap_url, auth)

    async def virtual_account(self, wish: Wish, bank: str) -> Instrument:
        """A virtual account at `bank` (`bca`, `bni`, `bri`, `permata`, `cimb`) for exactly the amount."""
        return await self._charge(wish, {"payment_type": "bank_transfer", "bank_transfer": {"bank": bank.lower()}})

    async def qris(self, wish: Wish) -> Instrument:
        """A dynamic QRIS code for exactly the amount."""
        return await self._charge(wish, {"payment_type": "qris", "qris": {"acquirer": "gopay"}})

    async def payment_link(self, wish: Wish) -> Instrument:
        """A page of Snap's where the payer chooses how to pay. Midtrans knows no transaction until it is opened."""
        body: dict[str, Any] = {
            "transaction_details": _details(wish),
            "page_expiry": {"duration": _minutes_left(wish), "unit": "minutes"},
            "custom_field1": wish.label[:255],
        }
        answer = await self._snap.call(
            "POST", "/snap/v1/transactions", json=body, headers={"Idempotency-Key": wish.reference}
        )
        if not answer.is_success:
            code = _snap_code(answer)
            raise (Taken if code == "ORDER_ID_TAKEN" else Refused)(PROVIDER, answer.status, code)
        url = word(answer.said, "redirect_url")
        if url is None:
            raise Silent("midtrans answered without redirect_url")
        return Instrument(id=wish.reference, state=State.OPEN, url=url, expires_at=wish.expires_at)

    async def cancel(self, reference: str) -> None:
        """Take no money on it any more; harmless where it took some, has ended, or was never begun."""
        for act in ("expire", "cancel"):
            answer = await self._core.call("POST", f"{_path(reference)}/{act}")
            code = _code(answer)
            if code in ("200", "407", _UNKNOWN):
                return
            if code != _OVER:
                raise Refused(PROVIDER, answer.status, code)
        # 412 to both: it has come to its end by itself.

    async def get(self, reference: str) -> Instrument:
        """The transaction under our reference as it stands now; Refused with code 404 where there is none."""
        answer = await self._core.call("GET", f"{_path(reference)}/status")
        _yes(answer, "200", "201", "202", "407")
        return _instrument(answer.said, reference)

    async def payment(self, payment_id: str) -> bodies.Document | None:
        """A transaction by its id or ours, to be believed where the webhook's unsigned status is not.

        Raises `lunas.providers.events.Unreachable`; None for one that Midtrans does not know.
        """
        said = await found_at(self._core, f"{_path(payment_id)}/status")
        if said is None or word(said, "status_code") == _UNKNOWN:
            return None
        if (word(said, "status_code") or "").startswith("5"):
            raise Unreachable(f"midtrans answered {word(said, 'status_code')} to the question for a payment")
        return said

    async def refund(self, refund_id: str) -> bodies.Document | None:
        """Nothing: refunds stand in their transaction, which is asked for instead."""
        return None

    async def _charge(self, wish: Wish, how: dict[str, Any]) -> Instrument:
        rupiah_only(PROVIDER, wish.amount)
        body = {
            **how,
            "transaction_details": _details(wish),
            "custom_expiry": {"expiry_duration": _minutes_left(wish), "unit": "minute"},
            "custom_field1": wish.label[:255],
        }
        answer = await self._core.call("POST", "/v2/charge", json=body, headers={"Idempotency-Key": wish.reference})
        _yes(answer, "200", "201")
        return _instrument(answer.said, wish.reference)


def _code(answer: Answer) -> str:
    """What the body says; a yes without it says nothing."""
    code = word(answer.said, "status_code")
    if code is None and answer.is_success:
        raise Silent("midtrans answered without status_code")
    return code or str(answer.status)


def _yes(answer: Answer, *yes: str) -> None:
    code = _code(answer)
    if code in yes:
        return
    if code.startswith("5"):
        raise Silent(f"midtrans answered {code}")
    raise (Taken if code == _TAKEN else Refused)(PROVIDER, answer.status, code)


def _snap_code(answer: Answer) -> str:
    """Snap says why in sentences alone; only the one about an order id that is taken means something to us."""
    said = answer.said.get("error_messages")
    sentences = " ".join(each for each in said if isinstance(each, str)) if isinstance(said, list) else ""
    taken = "order_id" in sentences and ("taken" in sentences or "digunakan" in sentences)
    return "ORDER_ID_TAKEN" if taken else str(answer.status)


def _instrument(said: bodies.Document, reference: str) -> Instrument:
    accounts = said.get("va_numbers")
    first = accounts[0] if isinstance(accounts, list) and accounts and isinstance(accounts[0], dict) else {}
    return Instrument(
        id=reference,
        state=_state(said),
        number=word(first, "va_number") or word(said, "permata_va_number"),
        qr=word(said, "qr_string"),
        expires_at=_local(said, "expiry_time"),
    )


def _state(said: bodies.Document) -> State:
    """A card payment that the fraud check has not accepted is not paid yet."""
    state = _STATES.get(word(said, "transaction_status") or "", State.ENDED)
    if word(said, "transaction_status") == "capture" and word(said, "fraud_status") != "accept":
        return State.OPEN
    return state


def _local(said: bodies.Document, name: str) -> datetime | None:
    """Midtrans writes moments without an offset, in Jakarta's time."""
    try:
        return datetime.fromisoformat(word(said, name) or "").replace(tzinfo=_ZONE)
    except ValueError:
        return None


def _details(wish: Wish) -> dict[str, str | int]:
    rupiah_only(PROVIDER, wish.amount)
    return {"order_id": wish.reference, "gross_amount": whole_units(PROVIDER, wish.amount)}


def _minutes_left(wish: Wish) -> int:
    left = wish.expires_at - datetime.now(wish.expires_at.tzinfo)
    return max(1, int(left.total_seconds() // 60))


def _path(reference: str) -> str:
    return f"/v2/{quote(reference, safe='')}"
