"""A ledger for those activities that have one. The ledger's own tests run on PostgreSQL too; here SQLite is enough."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from activities.agencies import Letter
from lunas.company import BankAccount, Company
from lunas.ledger.database import Ledger
from tests.ledger.samples import add_customer, add_invoice


class Outbox:
    """A mailer that keeps what it is given, and fails as often as a test wishes first."""

    def __init__(self) -> None:
        self.letters: list[tuple[str, Letter]] = []
        self.failures = 0

    async def send(self, letter: Letter, key: str) -> None:
        if self.failures:
            self.failures -= 1
            raise ConnectionError("the relay is away")
        self.letters.append((key, letter))


@pytest.fixture
def outbox() -> Outbox:
    return Outbox()


@pytest.fixture
def company() -> Company:
    return Company(
        name="PT Contoh Niaga",
        postal_address="Jl. Melati 8",
        email="ar@contoh.example",
        phone="+62 21 555 0100",
        tax_id="",
        accounts=(BankAccount("BCA", "123 456 7890", "PT Contoh Niaga"),),
        public_url="https://lunas.example",
        mail_address="ar@contoh.example",
        mail_name="Contoh Niaga",
    )


@pytest.fixture
async def ledger(sqlite_template: Path, tmp_path: Path) -> AsyncIterator[Ledger]:
    """A fresh, migrated ledger on SQLite."""
    file = tmp_path / "ledger.db"
    shutil.copy(sqlite_template, file)
    async with Ledger(f"sqlite:///{file}") as opened:
        yield opened


@pytest.fixture
async def invoice(ledger: Ledger) -> str:
    """An invoice over Rp 10.000 of a customer with an address and a phone; its number."""
    await add_customer(ledger)
    await add_invoice(ledger)
    return "INV/2026/11/0042"
