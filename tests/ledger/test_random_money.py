"""Money under random schedules: whatever comes, goes back, is paid back, credited, charged, waived or let off, in any
order and repeatedly, every receipt and every invoice adds up, and the sums equal the bank's.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date

import pytest
from sqlalchemy import select

from lunas.ledger.charges import record_charge, record_waiver
from lunas.ledger.credits import NewCreditNote, record_credit_note
from lunas.ledger.database import Ledger, WriteSession
from lunas.ledger.errors import LedgerError, ReceiptConflict
from lunas.ledger.facts import OUTSTANDING, facts
from lunas.ledger.invariants import violations
from lunas.ledger.invoices import create_invoice
from lunas.ledger.kinds import ChargeKind
from lunas.ledger.receipts import (
    NewReceipt,
    Remitted,
    allocate,
    booked,
    record_receipt,
    unapplied_receipts,
)
from lunas.ledger.refunds import NewRefund, record_refund
from lunas.ledger.reversals import NewReversal, record_reversal
from lunas.ledger.tables import InvoiceRow
from lunas.receivables.leeway import EXACT, MoneyRules, Overpayment, Tolerance, Unnamed
from lunas.receivables.money import Currency, Money
from tests.ledger.samples import add_customer, new_invoice, policy

DAYS = (date(2026, 2, 5), date(2026, 2, 11), date(2026, 2, 12), date(2026, 3, 4))
#: Not all of them are there from the beginning, and the last one never is.
NUMBERS = tuple(f"INV-{place}" for place in range(1, 10))
OWNERS = ("ACME", "OTHER")
TOLERATED = 700
RULES = (
    EXACT,
    MoneyRules(tolerance=Tolerance(((Currency.IDR, TOLERATED),))),
    MoneyRules(Unnamed.OLDEST_FIRST, Overpayment.NEXT_INVOICE, Tolerance(((Currency.IDR, TOLERATED),), 1_000)),
)


@dataclass
class Bank:
    """What really came in and went back, receipt by receipt, and what was billed, credited and charged."""

    ledger: Ledger
    chance: random.Random
    receipts: dict[str, NewReceipt] = field(default_factory=dict)
    ids: dict[str, int] = field(default_factory=dict)
    went: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    paid_back: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    billed: dict[str, Currency] = field(default_factory=dict)
    credited: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    charged: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    done: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    repeats: list[Callable[[WriteSession], Awaitable[bool]]] = field(default_factory=list)

    @property
    def currency(self) -> Currency:
        return self.chance.choice((Currency.IDR, Currency.IDR, Currency.IDR, Currency.EUR))

    @property
    def minor(self) -> int:
        chance = self.chance
        return chance.choice((1, 98_000, 50_000, 100_000, 100_000 - TOLERATED, 99_500, chance.randint(1, 250_000)))

    async def act(self, step: int) -> None:
        """One thing that happens, in one transaction."""
        acts = {
            self.pay: 5, self.remit: 4, self.pay_unnamed: 2, self.repeat: 4, self.contradict: 1, self.reverse: 3,
            self.refund: 2, self.credit: 1, self.charge: 1, self.waive: 1, self.match: 2, self.issue: 2,
        }  # fmt: skip
        act = self.chance.choices(list(acts), list(acts.values()))[0]
        async with self.ledger.write() as session:
            with suppress(LedgerError):
                await act(session, step)
                self.done[act.__name__] += 1

    async def issue(self, session: WriteSession, step: int) -> None:
        number = self.chance.choice(NUMBERS[:-1])
        place = NUMBERS.index(number)
        currency = Currency.EUR if place == 4 else Currency.IDR
        new = replace(new_invoice(number, minor=100_000, customer=OWNERS[place % 3 == 2]), currency=currency)
        await create_invoice(session, new, policy(money=RULES[place % len(RULES)]))
        self.billed[number] = currency

    async def pay(self, session: WriteSession, step: int) -> None:
        await self._receive(session, step, invoice=self.chance.choice(NUMBERS))

    async def pay_unnamed(self, session: WriteSession, step: int) -> None:
        await self._receive(session, step, customer=self.chance.choice((*OWNERS, "NOBODY")))

    async def remit(self, session: WriteSession, step: int) -> None:
        numbers = self.chance.sample(NUMBERS, self.chance.randint(1, 4))
        stated = self.chance.random() < 0.6
        lines = tuple(Remitted(number, self.minor // 4 + 1 if stated else None) for number in numbers)
        await self._receive(session, step, lines=lines, customer=self.chance.choice((None, None, *OWNERS)))

    async def _receive(
        self,
        session: WriteSession,
        step: int,
        *,
        invoice: str | None = None,
        lines: tuple[Remitted, ...] = (),
        customer: str | None = None,
    ) -> None:
        amount, day = Money(self.minor, self.currency), self.chance.choice(DAYS)
        receipt = NewReceipt("bank", f"p{step}", amount, day, "bank", invoice, lines=lines, customer=customer)
        self.ids[receipt.reference] = (await record_receipt(session, receipt)).receipt_id
        self.receipts[receipt.reference] = receipt

        async def again(other: WriteSession) -> bool:
            return (await record_receipt(other, receipt)).new

        self.repeats.append(again)

    async def repeat(self, session: WriteSession, step: int) -> None:
        if self.repeats:
            assert not await self.chance.choice(self.repeats)(session), "it was booked twice"

    async def contradict(self, session: WriteSession, step: int) -> None:
        if self.receipts:
            known = self.chance.choice(list(self.receipts.values()))
            with pytest.raises(ReceiptConflict):
                await record_receipt(session, replace(known, paid_on=date(2025, 1, 1)))

    async def reverse(self, session: WriteSession, step: int) -> None:
        receipt = self.chance.choice(list(self.receipts))
        part = self.chance.choice((None, Money(self.minor, self.receipts[receipt].amount.currency)))
        reversal = NewReversal("bank", f"r{step}", receipt, self.chance.choice(DAYS), "bounced", "bank", part)
        self.went[receipt] += (await record_reversal(session, reversal)).amount.minor

        async def again(other: WriteSession) -> bool:
            return (await record_reversal(other, reversal)).new

        self.repeats.append(again)

    async def refund(self, session: WriteSession, step: int) -> None:
        receipt = self.chance.choice(list(self.receipts))
        part = self.chance.choice((None, Money(self.minor // 9 + 1, self.receipts[receipt].amount.currency)))
        refund = NewRefund("bank", f"out{step}", receipt, self.chance.choice(DAYS), "too much", "siti", part)
        self.paid_back[receipt] += (await record_refund(session, refund)).amount.minor

        async def again(other: WriteSession) -> bool:
            return (await record_refund(other, refund)).new

        self.repeats.append(again)

    async def credit(self, session: WriteSession, step: int) -> None:
        number = self.chance.choice(list(self.billed))
        note = NewCreditNote(
            f"c{step}", number, Money(self.minor // 2 + 1, self.billed[number]), DAYS[0], "returned", "siti"
        )
        await record_credit_note(session, note)
        self.credited[number] += note.amount.minor

        async def again(other: WriteSession) -> bool:
            return (await record_credit_note(other, note))[1]

        self.repeats.append(again)

    async def charge(self, session: WriteSession, step: int) -> None:
        number = self.chance.choice(list(self.billed))
        amount = Money(500, self.billed[number])

        async def once(other: WriteSession) -> bool:
            _, new = await record_charge(
                other, number, reference=f"{step}", kind=ChargeKind.FEE, amount=amount, charged_on=DAYS[0], by="lunas"
            )
            return new

        assert await once(session)
        self.charged[number] += amount.minor
        self.repeats.append(once)

    async def waive(self, session: WriteSession, step: int) -> None:
        number = self.chance.choice(list(self.billed))
        before = (await facts(session, number)).balance
        await record_waiver(
            session,
            number,
            reference=f"{step}",
            kind=ChargeKind.INTEREST,
            amount=Money(300, self.billed[number]),
            waived_on=DAYS[0],
            by="siti",
            reason="a good customer",
        )
        assert (await facts(session, number)).balance == before, "what was never owed changes nothing"

    async def match(self, session: WriteSession, step: int) -> None:
        waiting = await unapplied_receipts(session)
        if not waiting:
            return
        kept = self.chance.choice(waiting)
        await allocate(session, kept.receipt_id, self.chance.choice(list(self.billed)), by="siti")

    async def check(self) -> None:
        """Every receipt, every invoice, and the sums."""
        allocated: dict[Currency, int] = defaultdict(int)
        async with self.ledger.read() as session:
            assert await violations(session) == []
            for reference, receipt in self.receipts.items():
                known = await booked(session, self.ids[reference], new=False)
                gone = self.went[reference] + self.paid_back[reference]
                assert known.allocated.minor + known.unapplied.minor + gone == receipt.amount.minor, reference
                assert sum(part.amount.minor for part in known.parts) == known.allocated.minor
                assert all(part.amount.minor >= 0 for part in known.parts) and known.unapplied.minor >= 0
                allocated[receipt.amount.currency] += known.allocated.minor
            shown = dict((await session.execute(select(InvoiceRow.number, OUTSTANDING))).all())
            assert shown.keys() == self.billed.keys()
            for number, currency in self.billed.items():
                balance = (await facts(session, number)).balance
                assert balance.outstanding == shown[number] >= 0, number
                assert (balance.lines, balance.credited) == (100_000, self.credited[number])
                assert balance.charges == self.charged[number]
                assert 0 <= balance.tolerated <= TOLERATED and 0 <= balance.discount <= 2_000
                assert not balance.tolerated or balance.settled or balance.charges, (
                    "it is given to settle, or not at all"
                )
                allocated[currency] -= balance.net_received
        assert not any(allocated.values()), "what receipts say that invoices hold is what they hold"


@pytest.mark.parametrize("seed", range(3))
async def test_everything_adds_up(ledger: Ledger, seed: int) -> None:
    await add_customer(ledger)
    await add_customer(ledger, "OTHER", email="budi@other.example")
    bank = Bank(ledger, random.Random(seed))
    for number in NUMBERS[:3]:
        async with ledger.write() as session:
            place = NUMBERS.index(number)
            new = new_invoice(number, minor=100_000, customer=OWNERS[place % 3 == 2])
            await create_invoice(session, new, policy(money=RULES[place % len(RULES)]))
            bank.billed[number] = Currency.IDR
    async with ledger.write() as session:
        await bank.pay(session, -1)

    for step in range(70):
        await bank.act(step)
        if step % 14 == 13:
            await bank.check()

    assert {"pay", "remit", "repeat", "reverse", "issue"} <= bank.done.keys(), "the life was too quiet"
