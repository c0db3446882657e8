"""The creditor: whose invoices these are, as messages and documents show it. Pure data; settings fill it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BankAccount:
    """An account that customers pay into; `number` is written as the bank writes it."""

    bank: str
    number: str
    holder: str


@dataclass(frozen=True, slots=True)
class Company:
    """Name, addresses and payment instructions of the creditor.

    `postal_address` may have several lines. `email` is where people answer; `mail_address` and `mail_name` are
    what messages are sent from. `public_url` is where links in messages lead, without a slash at its end. `time_zone`
    (an IANA name) is where the creditor's day ends: what is overdue in its own lists.
    """

    name: str
    postal_address: str
    email: str
    phone: str
    tax_id: str
    accounts: tuple[BankAccount, ...]
    public_url: str
    mail_address: str
    mail_name: str
    time_zone: str = "Asia/Jakarta"
