"""Money under random schedules: whatever comes, goes back or is credited, the sums equal the bank's."""

from __future__ import annotations

import random
from contextlib import suppress
from datetime import date

import pytest

from lunas.ledger.credits import NewCreditNote, record_charge, record_credit_note
from lunas.ledger.database import Ledger
from lunas.ledger.errors import LedgerError
from lunas.ledger.facts import facts
from lunas.ledger.kinds import ChargeKind
from lunas.ledger.receipts import NewReceipt, allocate, record_receipt, unapplied_receipts
from lunas.ledger.reversals import NewReversal, record_reversal
from lunas.receivables.money import Currency, Money
from tests.ledger.samples import add_customer, add_invoice, new_invoice

NUMBERS = ("INV-1", "INV-2", "INV-3")
DAYS = (date(2026, 2, 5), date(2026, 2, 11), date(2026, 2, 12), date(2026, 3, 4))


class Bank:
    """What really came in and went back."""

    def __init__(self, ledger: Ledger, chance: random.Random) -> None:
        self.ledger, self.chance = ledger, chance
        self.came: dict[str, int] = {}
        self.went = 0

    async def act(self, step: int) -> None:
        chance = self.chance
        amount = Money(chance.choice((1, 98_000, 50_000, 100_000, chance.randint(1, 150_000))), Currency.IDR)
        number, day = chance.choice(NUMBERS), chance.choice(DAYS)
        async with self.ledger.write() as session:
            match chance.choices(("pay", "again", "reverse", "credit", "charge", "match"), (5, 1, 3, 1, 1, 2))[0]:
                case "pay":
                    await record_receipt(session, NewReceipt("bank", f"p{step}", amount, day, "bank", number))
                    self.came[f"p{step}"] = amount.minor
                case "again" if self.came:
                    with suppress(LedgerError):
                        again = NewReceipt("bank", chance.choice(list(self.came)), amount, day, "bank", number)
                        await record_receipt(session, again)
                case "reverse" if self.came:
                    receipt = chance.choice(list(self.came))
                    part = chance.choice((None, amount))
                    reversal = NewReversal("bank", f"r{step}", receipt, day, "bounced", "bank", part)
                    with suppress(LedgerError):
                        self.went += (await record_reversal(session, reversal)).amount.minor
                case "credit":
                    note = NewCreditNote(f"c{step}", number, amount, day, "returned", "siti")
                    with suppress(LedgerError):
                        await record_credit_note(session, note)
                case "charge":
                    await record_charge(
                        session,
                        number,
                        reference=f"{step}",
                        kind=ChargeKind.FEE,
                        amount=Money(500, Currency.IDR),
                        charged_on=day,
                        by="lunas",
                    )
                case "match":
                    for kept in await unapplied_receipts(session, limit=1):
                        with suppress(LedgerError):
                            await allocate(session, kept.receipt_id, number, by="siti")


@pytest.mark.parametrize("seed", range(4))
async def test_the_sums_equal_the_banks(ledger: Ledger, seed: int) -> None:
    await add_customer(ledger)
    await add_customer(ledger, "OTHER", email="budi@other.example")
    for place, number in enumerate(NUMBERS):
        await add_invoice(ledger, new_invoice(number, minor=100_000, customer="OTHER" if place == 2 else "ACME"))
    bank = Bank(ledger, random.Random(seed))

    for step in range(50):
        await bank.act(step)

    async with ledger.read() as session:
        balances = [(await facts(session, number)).balance for number in NUMBERS]
        unapplied = sum(kept.unapplied.minor for kept in await unapplied_receipts(session))
    assert sum(bank.came.values()) - bank.went == unapplied + sum(one.net_received for one in balances)
    assert all(one.outstanding >= 0 for one in balances)
    assert bank.went > 0
