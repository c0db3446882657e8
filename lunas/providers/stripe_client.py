"""Stripe: a payment link for one payment by card, in minor units (the rupiah has two places there as with us).

A Checkout session ends after a day at most, so a link is made that opens a fresh one whenever it is visited. Its price
and itself are made under idempotency keys, which Stripe keeps for a day or more; the reference travels in the metadata
of every payment made on it.
"""

from __future__ import annotations

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
    Wish,
    found_at,
    word,
)
from lunas.providers.events import INSTRUMENT_KEY, INVOICE_KEY

PROVIDER = "stripe"


class StripeClient:
    """Asks Stripe, with the account's secret key; every method raises ProviderError."""

    def __init__(self, http: httpx2.AsyncClient, *, secret: str, base_url: str = "https://api.stripe.com") -> None:
        if not secret.strip():
            raise ValueError("Stripe needs the secret key: set LUNAS_STRIPE_SECRET_KEY")
        self._caller = Caller(http, PROVIDER, base_url, httpx2.BasicAuth(secret, ""))

    async def payment_link(self, wish: Wish) -> Instrument:
        """A page of Stripe's to pay on by card, once. It has no end of its own: cancel it when its time is over."""
        price = await self._post(
            "/v1/prices",
            {
                "currency": wish.amount.currency.lower(),
                "unit_amount": str(wish.amount.minor),
                "product_data[name]": wish.label,
            },
            key=f"{wish.reference}-price",
        )
        form = {
            "line_items[0][price]": _named(price, "id"),
            "line_items[0][quantity]": "1",
            "payment_method_types[0]": "card",
            "restrictions[completed_sessions][limit]": "1",
            f"metadata[{INSTRUMENT_KEY}]": wish.reference,
            f"payment_intent_data[metadata][{INSTRUMENT_KEY}]": wish.reference,
            f"payment_intent_data[metadata][{INVOICE_KEY}]": wish.label,
            "payment_intent_data[description]": wish.label,
        }
        made = await self._post("/v1/payment_links", form, key=f"{wish.reference}-link")
        return _link(made)

    async def cancel(self, id_: str) -> None:
        """Take no money on it any more; saying so twice is harmless."""
        await self._post(f"/v1/payment_links/{quote(id_, safe='')}", {"active": "false"}, key=None)

    async def get(self, id_: str) -> Instrument:
        """The link as it stands now: OPEN or ENDED (what was paid on it is asked for by the payment's id)."""
        return _link(_yes(await self._caller.call("GET", f"/v1/payment_links/{quote(id_, safe='')}")))

    async def payment(self, payment_id: str) -> bodies.Document | None:
        """A payment intent. Raises `lunas.providers.events.Unreachable`; None for one that Stripe does not know."""
        return await found_at(self._caller, f"/v1/payment_intents/{quote(payment_id, safe='')}")

    async def _post(self, path: str, form: dict[str, str], *, key: str | None) -> bodies.Document:
        headers = {"Idempotency-Key": key} if key else {}
        return _yes(await self._caller.call("POST", path, form=form, headers=headers))


def _yes(answer: Answer) -> bodies.Document:
    if answer.is_success:
        return answer.said
    error = bodies.maybe_part(answer.said, "error")
    code = word(error, "code", "type") or str(answer.status)
    if answer.status == 409:
        raise Silent("stripe is still at work on the same request")
    raise Refused(PROVIDER, answer.status, code)


def _link(said: bodies.Document) -> Instrument:
    state = State.OPEN if said.get("active") is True else State.ENDED
    return Instrument(id=_named(said, "id"), state=state, url=word(said, "url"))


def _named(said: bodies.Document, name: str) -> str:
    found = word(said, name)
    if found is None:
        raise Silent(f"stripe answered without {name}")
    return found
