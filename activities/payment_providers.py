"""Other ways to pay an invoice: what a provider of payments makes, and the plainest one, a transfer to our accounts.

    OfferError
    ├── NothingToPay    nothing is open on the invoice
    ├── OfferNotReady   a setting is missing, named in the message
    ├── OfferRefused    the provider said no to this amount a short while ago
    └── OfferLost       the provider has it, and cannot show it again: void it, and ask under another key

A provider's instruments follow the balance: when it changes, the old one is voided and a new one is made. What a
provider's client raises (`lunas.providers.asking`) goes through as it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Protocol

from lunas.briefs import InvoiceBrief
from lunas.company import Company
from lunas.ledger.offers import BANK_TRANSFER
from lunas.receivables.money import Money
from templates.wording import LANGUAGES, filled, load_words, readable, roots_of
from templates.wording import amount as amount_words


class OfferError(Exception):
    """No way to pay could be made."""


class NothingToPay(OfferError):
    """Nothing is open on the invoice: there is nothing to offer."""


class OfferNotReady(OfferError):
    """The provider lacks a setting; the message names it."""


class OfferRefused(OfferError):
    """The provider said no, and is not asked for the same again for now."""


class OfferLost(OfferError):
    """The provider made it in answer to an earlier call, whose answer was lost, and cannot show it again."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A way to pay exactly `amount` on one invoice.

    `reference` is the provider's name for it, by which a payment on it is recognised; `instructions` are labels and
    values in the customer's language, no label twice; `expires_on` is the last day on which it can be used (None: any).
    `qr` is what a QR code to be shown with it says.
    """

    method: str
    reference: str
    amount: Money
    instructions: tuple[tuple[str, str], ...]
    url: str | None = None
    expires_on: date | None = None
    qr: str | None = None


class PaymentOfferProvider(Protocol):
    """Makes instruments that customers can pay with."""

    @property
    def maker(self) -> str:
        """Its name in the ledger, for ever: who can void what it made. One invoice has one usable offer of a maker."""
        ...

    @property
    def method(self) -> str:
        """What customers see it as: `virtual_account`, `qris`, `credit_card`, …"""
        ...

    @property
    def spread(self) -> int:
        """How many whole units it may ask for less than is open, for an amount of its own; usually 0."""
        ...

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
        """A way to pay `amount`, or what is open on the invoice; the same key and amount give the same one again.

        `pay_url` is the customer's own page for the invoice; from the moment `until` on it takes no more money, if the
        provider can do that. Raises OfferError, or ProviderError.
        """
        ...

    async def void(self, reference: str, key: str) -> None:
        """Take no more money on this one; saying so twice is harmless. Raises ProviderError.

        `reference` is the provider's name for it; the key itself where the provider never told its name.
        """
        ...


class BankTransferOffer:
    """A transfer to one of the creditor's own accounts, with the invoice's number to quote.

    Phrases come from `templates`, or from an `override` folder laid over them. With a `spread`, amounts are such as
    stand for one invoice alone (see `lunas.ledger.unique_amounts`).
    """

    maker = method = BANK_TRANSFER

    def __init__(self, company: Company, override: Path | None = None, *, spread: int = 0) -> None:
        self._company = company
        self._words = {language: load_words(language, roots_of(override))["document"] for language in LANGUAGES}
        self.spread = spread

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
        """The accounts, the amount and the number to quote. Raises NothingToPay or OfferNotReady."""
        wanted = to_pay(invoice, amount)
        accounts = self._company.accounts
        if not accounts:
            raise OfferNotReady("there is no account to pay into: set LUNAS_COMPANY_ACCOUNTS")
        words = self._words[language]
        names = [readable(account.bank, 60) for account in accounts]
        instructions = [
            (_distinct(names, index), f"{readable(account.number, 60)}, {filled(words['holder'], holder=holder)}")
            for index, account in enumerate(accounts)
            for holder in [readable(account.holder)]
        ]
        instructions += [
            (words["to_pay"], amount_words(wanted, language)),
            (words["number"], readable(invoice.number, 64)),
        ]
        return Offer(
            method=self.method,
            reference=f"{key}/{wanted.minor}",
            amount=wanted,
            instructions=tuple(instructions),
            url=pay_url,
        )

    async def void(self, reference: str, key: str) -> None:
        """Nothing to do: an account stays open, and a transfer of an old amount is matched like any other."""


def to_pay(invoice: InvoiceBrief, amount: Money | None) -> Money:
    """The amount that an instrument is to be for; raises NothingToPay."""
    wanted = invoice.balance if amount is None else amount
    if wanted.minor <= 0:
        raise NothingToPay(f"nothing is open on invoice {invoice.number}: there is nothing to offer")
    return wanted


def _distinct(names: Sequence[str], index: int) -> str:
    """The name at `index`, numbered where it occurs more than once."""
    name = names[index]
    if Counter(names)[name] == 1:
        return name
    return f"{name} {names[: index + 1].count(name)}"
