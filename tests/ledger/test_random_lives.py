"""The real gate under random schedules: attempts that overlap, die and come back, payments, holds, and a relay."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from lunas.ledger.answers import Claimed, Committed
from lunas.ledger.claims import claim
from lunas.ledger.database import Ledger
from lunas.ledger.errors import StaleNotice
from lunas.ledger.invariants import violations
from lunas.ledger.kinds import NoticeState
from lunas.ledger.notices import expire, notices_of
from lunas.ledger.progress import record_progress, settle
from lunas.ledger.sending import commit, record_refused, record_sent, record_unknown
from lunas.receivables.ladder import Channel
from tests.ledger.samples import (
    BOTH,
    DOMAIN,
    WEDNESDAY,
    Hands,
    add_customer,
    add_invoice,
    dispute,
    new_invoice,
    order,
    pay,
    progress,
    schedule,
)

NUMBERS = ("INV-1", "INV-2", "INV-3", "INV-4")
WEEKS, STEPS = 6, 30
MARGIN = timedelta(seconds=1)
Said = tuple[str, str, Channel]


@dataclass
class Life:
    """One random life of some invoices of one customer, a rung a week, and what the relay saw of it."""

    ledger: Ledger
    hands: Hands
    chance: random.Random
    accepted: list[Said] = field(default_factory=list)
    acknowledged: set[str] = field(default_factory=set)
    unacknowledged: set[str] = field(default_factory=set)
    after_acknowledgement: list[Said] = field(default_factory=list)
    week: int = 0

    async def attempt(self, number: str, channel: Channel) -> AsyncIterator[None]:
        """One attempt at the notice; it may be left for dead after any step."""
        rung = f"follow_up+{self.week + 1}"
        asked = order(number, rung=rung, channel=channel, at=self.hands.now)
        async with self.ledger.write() as session:
            answer = await claim(session, asked, sender_domain=DOMAIN)
        yield
        if not isinstance(answer, Claimed):
            return
        async with self.ledger.write() as session:
            committed = await commit(session, answer.notice_id, answer.token)
        yield
        if not isinstance(committed, Committed):
            return
        in_time = self.hands.now < committed.deadline - MARGIN
        word = self.chance.choice(("yes", "yes", "yes", "later", "later", "silence")) if in_time else "late"
        if word in ("yes", "silence"):
            self._relay_accepts([(one, rung, channel) for one in (number, *answer.covered)])
        yield
        async with self.ledger.write() as session:
            try:
                await self._record(session, answer, word)
            except StaleNotice:
                return  # another attempt has it

    def _relay_accepts(self, said: list[Said]) -> None:
        self.accepted += said
        self.after_acknowledgement += [one for one in said if one[0] in self.acknowledged]

    async def _record(self, session, answer: Claimed, word: str) -> None:  # type: ignore[no-untyped-def]
        match word:
            case "yes":
                await record_sent(session, answer.notice_id, answer.token, answer="250")
            case "silence":
                await record_unknown(session, answer.notice_id, answer.token)
            case _:
                await record_refused(session, answer.notice_id, answer.token, permanent=False, code=451, text="later")

    async def stop(self, number: str) -> None:
        """A payment or a dispute; it is acknowledged once nothing may leave any more."""
        if number in self.acknowledged | self.unacknowledged:
            return
        if self.chance.random() < 0.6:
            await pay(self.ledger, number, reference=number)
        else:
            async with self.ledger.write() as session:
                await record_progress(session, number, progress(self.week + 2, hold=dispute(self.hands.now)))
        self.unacknowledged.add(number)

    async def acknowledge(self) -> None:
        for number in sorted(self.unacknowledged):
            try:
                await settle(self.ledger, number, at_most=timedelta(milliseconds=1))
            except TimeoutError:
                continue
            self.unacknowledged.discard(number)
            self.acknowledged.add(number)

    async def run(self) -> None:
        for self.week in range(WEEKS):
            rung = f"follow_up+{self.week + 1}"
            for number in NUMBERS:
                if number not in self.acknowledged:
                    sequence = self.week + 1
                    await schedule(self.ledger, number, self.hands.now, *BOTH, sequence=sequence, rung=rung)
            await self._run_a_week()
            self.hands.move(days=7 - (self.hands.now - WEDNESDAY).total_seconds() / 86400 % 7)

    async def _run_a_week(self) -> None:
        living: list[AsyncIterator[None]] = []
        for _ in range(STEPS):
            match self.chance.choices(("start", "go on", "die", "wait", "stop"), (5, 12, 1, 2, 1))[0]:
                case "start":
                    living.append(self.attempt(self.chance.choice(NUMBERS), self.chance.choice(BOTH)))
                case "go on" if living:
                    await self._go_on(living, self.chance.choice(living))
                case "die" if living:
                    living.remove(self.chance.choice(living))
                case "wait":
                    self.hands.move(seconds=self.chance.uniform(0, 3))
                case "stop" if self.chance.random() < 0.5:
                    await self.stop(self.chance.choice(NUMBERS))
            await self.acknowledge()
        while living:  # those that were only slow come to their end
            await self._go_on(living, self.chance.choice(living))
            await self.acknowledge()
        self.hands.move(seconds=5)
        await self.acknowledge()

    async def _go_on(self, living: list[AsyncIterator[None]], one: AsyncIterator[None]) -> None:
        try:
            await anext(one)
        except StopAsyncIteration:
            living.remove(one)


async def live(ledger: Ledger, hands: Hands, seed: int) -> Life:
    await add_customer(ledger)
    for number in NUMBERS:
        await add_invoice(ledger, new_invoice(number))
    life = Life(ledger, hands, random.Random(seed))
    await life.run()
    return life


@pytest.mark.parametrize("seed", [1, 3, 4])
async def test_no_schedule_sends_twice_or_after_an_acknowledged_stop(still: Ledger, hands: Hands, seed: int) -> None:
    life = await live(still, hands, seed)

    assert [said for said, times in Counter(life.accepted).items() if times > 1] == []
    assert life.after_acknowledgement == []
    async with still.write() as session:
        await expire(session)
    async with still.read() as session:
        known = {
            (number, one.rung, one.channel): one.state
            for number in NUMBERS
            for one in await notices_of(session, number)
        }
        assert await violations(session) == []
    for said in life.accepted:
        assert known[said] in (NoticeState.SENT, NoticeState.UNKNOWN), said
    for said, state in known.items():
        if state is NoticeState.SENT:
            assert said in life.accepted
    assert len(life.accepted) >= 5  # a life in which nothing was said proves nothing
