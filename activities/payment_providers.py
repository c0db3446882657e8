"""Other ways to pay an invoice: what a provider of payments makes, and the plainest one, a transfer to our accounts.

    OfferError
    ├── NothingToPay    nothing is open on the invoice
    └── OfferNotReady   a setting is missing, named in the message

A provider's instruments follow the balance: when it changes, the old one is voided and a new one is made.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Protocol

from lunas.company import Company
from lunas.ledger.briefs import InvoiceBrief
from lunas.receivables.money import Money
from templates import ROOT
from templates.wording import LANGUAGES, amount, filled, load_words, readable


class OfferError(Exception):
    """No way to pay could be made."""


class NothingToPay(OfferError):
    """Nothing is open on the invoice: there is nothing to offer."""


class OfferNotReady(OfferError):
    """The provider lacks a setting; the message names it."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A way to pay exactly `amount` on one invoice.

    `reference` is the provider's name for it, by which a payment on it is recognised; `instructions` are labels and
    values in the customer's language, no label twice; `expires_on` is the last day on which it can be used (None: any).
    """

    method: str
    reference: str
    amount: Money
    instructions: tuple[tuple[str, str], ...]
    url: str | None = None
    expires_on: date | None = None


class PaymentOfferProvider(Protocol):
    """Makes instruments that customers can pay with."""

    async def prepare(
        self, invoice: InvoiceBrief, key: str, *, language: str = "id", pay_url: str | None = None
    ) -> Offer:
        """A way to pay what is open on the invoice; the same key and balance give the same one again.

        `pay_url` is the customer's own page for the invoice. Raises OfferError.
        """
        ...

    async def void(self, reference: str, key: str) -> None:
        """Take no more money on this one; saying so twice is harmless."""
        ...


class BankTransferOffer:
    """A transfer to one of the creditor's own accounts, with the invoice's number to quote.

    Phrases come from `templates`, or from an `override` folder laid over them.
    """

    method = "bank_transfer"

    def __init__(self, company: Company, override: Path | None = None) -> None:
        roots: Sequence[Path] = (ROOT,) if override is None else (override, ROOT)
        self._company = company
        self._words = {language: load_words(language, roots)["document"] for language in LANGUAGES}

    async def prepare(
        self, invoice: InvoiceBrief, key: str, *, language: str = "id", pay_url: str | None = None
    ) -> Offer:
        """The accounts, the amount and the number to quote. Raises NothingToPay or OfferNotReady."""
        if invoice.balance.minor <= 0:
            raise NothingToPay(f"nothing is open on invoice {invoice.number}: there is nothing to offer")
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
            (words["to_pay"], amount(invoice.balance, language)),
            (words["number"], readable(invoice.number, 64)),
        ]
        return Offer(
            method=self.method,
            reference=f"{key}/{invoice.balance.minor}",
            amount=invoice.balance,
            instructions=tuple(instructions),
            url=pay_url,
        )

    async def void(self, reference: str, key: str) -> None:
        """Nothing to do: an account stays open, and a transfer of an old amount is matched like any other."""


def _distinct(names: Sequence[str], index: int) -> str:
    """The name at `index`, numbered where it occurs more than once."""
    name = names[index]
    if Counter(names)[name] == 1:
        return name
    return f"{name} {names[: index + 1].count(name)}"
