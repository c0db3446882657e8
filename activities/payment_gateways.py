"""Ways to pay that a payment provider makes: virtual accounts, QRIS codes and pages to pay on.

Each is one method of one provider, named in the setting LUNAS_PAYMENT_METHODS. Which client can do what is in
`lunas.providers`; here it becomes words for the customer.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

from activities.payment_providers import Offer, OfferLost, OfferNotReady, to_pay
from lunas.briefs import InvoiceBrief
from lunas.providers.asking import Instrument, Refused, State, Taken, Wish
from lunas.providers.qris import Qris, QrisError
from lunas.receivables.money import Money
from templates.wording import LANGUAGES, Section, load_words, readable, roots_of
from templates.wording import amount as amount_words

VIRTUAL_ACCOUNT, QRIS, PAYMENT_LINK, CREDIT_CARD = "virtual_account", "qris", "payment_link", "credit_card"
#: A provider needs a moment to make an instrument, and a customer to read about it.
_SHORTEST = timedelta(minutes=10)
#: Where nobody says until when.
_USUALLY = timedelta(days=14)


class Client(Protocol):
    """What all clients of providers can do besides making instruments."""

    async def cancel(self, id_: str, /) -> None:
        """Take no more money on it."""
        ...

    async def get(self, id_: str, /) -> Instrument:
        """The instrument as it stands now."""
        ...


@dataclass(frozen=True, slots=True)
class Recipe:
    """One method of one provider: `make` asks for it.

    `knows_ours` says that the provider finds an instrument by our own reference, so that one whose answer was lost can
    be asked for and voided. `bank` is shown with a virtual account's number.
    """

    maker: str
    method: str
    client: Client
    make: Callable[[Wish], Awaitable[Instrument]]
    knows_ours: bool
    bank: str = ""


class GatewayOffer:
    """A way to pay at a provider, in the name of `name`. Phrases come from `templates`, or an `override` folder."""

    spread = 0

    def __init__(self, recipe: Recipe, name: str, override: Path | None = None) -> None:
        self._recipe = recipe
        self._name = name
        self._words = {language: load_words(language, roots_of(override)) for language in LANGUAGES}
        self.maker = recipe.maker
        self.method = recipe.method

    async def prepare(
        self,
        invoice: InvoiceBrief,
        key: str,
        *,
        language: str = "id",
        pay_url: str | None = None,
        amount: Money | None = None,
        until: datetime | None = None,
    ) -> Offer:
        """Ask the provider, or ask again for what it made before. Raises OfferError or ProviderError."""
        wanted = to_pay(invoice, amount)
        now = datetime.now(UTC)
        expires_at = max(until or now + _USUALLY, now + _SHORTEST)
        wish = Wish(key, wanted, expires_at, readable(invoice.number, 64), readable(self._name, 60))
        made = await self._made(wish)
        self._check(made)
        last = made.expires_at.astimezone((until or now).tzinfo) if made.expires_at else None
        return Offer(
            method=self.method,
            reference=made.id,
            amount=wanted,
            instructions=self._instructions(made, wanted, language),
            url=made.url,
            expires_on=(last - timedelta(microseconds=1)).date() if last else None,
            qr=made.qr,
        )

    async def void(self, reference: str, key: str) -> None:
        """Take no more money on it. One whose name was never told stays until its time is over."""
        if self._recipe.knows_ours:
            await self._recipe.client.cancel(key)
        elif reference != key:
            await self._recipe.client.cancel(reference)

    async def _made(self, wish: Wish) -> Instrument:
        try:
            return await self._recipe.make(wish)
        except Taken:
            if not self._recipe.knows_ours:
                raise OfferLost(f"{self.maker} has {wish.reference} already and cannot show it") from None
        try:
            return await self._recipe.client.get(wish.reference)
        except Refused as refused:
            raise OfferLost(f"{self.maker} has {wish.reference} already and does not show it") from refused

    def _check(self, made: Instrument) -> None:
        shown = {VIRTUAL_ACCOUNT: made.number, QRIS: made.qr}.get(self.method, made.url)
        if made.state is not State.OPEN or not shown:
            raise OfferLost(f"{self.maker} made what nobody can pay on: {made.state}")

    def _instructions(self, made: Instrument, wanted: Money, language: str) -> tuple[tuple[str, str], ...]:
        words = self._words[language]
        to_pay_line = (words["document"]["to_pay"], amount_words(wanted, language))
        return (*_how(self.method, self._recipe.bank, made.number, words["offer"]), to_pay_line)


class StaticQrisOffer:
    """The merchant's own printed QRIS code, made dynamic: with the amount and our reference, and no provider to ask.

    The code itself does not expire and cannot be voided; a payment on an old one names its reference.
    """

    maker, method, spread = QRIS, QRIS, 0

    def __init__(self, payload: str, override: Path | None = None) -> None:
        try:
            self._code = Qris.read(payload)
        except QrisError as error:
            raise OfferNotReady(f"LUNAS_QRIS_PAYLOAD cannot be used: {error}") from error
        self._words = {language: load_words(language, roots_of(override)) for language in LANGUAGES}

    async def prepare(
        self,
        invoice: InvoiceBrief,
        key: str,
        *,
        language: str = "id",
        pay_url: str | None = None,
        amount: Money | None = None,
        until: datetime | None = None,
    ) -> Offer:
        """The code for this amount. Raises NothingToPay, or Refused for an amount that a code cannot hold."""
        wanted, words = to_pay(invoice, amount), self._words[language]
        try:
            code = self._code.made_dynamic(wanted, key)
        except QrisError as error:
            raise Refused(self.maker, 0, "AMOUNT_NOT_FOR_QRIS") from error
        return Offer(
            method=self.method,
            reference=key,
            amount=wanted,
            instructions=(
                *_how(self.method, "", None, words["offer"]),
                (words["offer"]["merchant"], readable(code.merchant, 25)),
                (words["document"]["to_pay"], amount_words(wanted, language)),
            ),
            url=pay_url,
            qr=code.payload,
        )

    async def void(self, reference: str, key: str) -> None:
        """Nothing to do: nobody but the payer holds the code."""


def _how(method: str, bank: str, number: str | None, words: Section) -> tuple[tuple[str, str], ...]:
    if method == VIRTUAL_ACCOUNT and number:
        return ((bank or words["virtual_account"], _grouped(number)),)
    return ((words["scan"], words["scan_how"]),) if method == QRIS else ()


def _grouped(number: str) -> str:
    """A number in fours, as people copy it from a letter."""
    digits = number.strip()
    return " ".join(digits[at : at + 4] for at in range(0, len(digits), 4))
