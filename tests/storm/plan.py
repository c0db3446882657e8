"""What a storm is going to do: customers, invoices, payments and faults, all from one seed.

The plan is the same for the same seed and scale; how it meets the processes is not, and is not meant to be.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from random import Random

from lunas.receivables.policy import WEEKDAYS, Policy, parse_policy

#: Days from the due date of the rungs of a storm's ladder; a smaller storm climbs only the first of them.
RUNG_DAYS = (0, 1, 3, 5, 8)
_DOMAIN = "storm.example"


class FaultKind(StrEnum):
    KILL_WORKER = "worker killed"
    FREEZE_WORKER = "worker frozen"
    KILL_API = "API killed"
    KILL_SINK = "relay killed"
    KILL_TEMPORAL = "Temporal killed"
    KILL_DATABASE = "PostgreSQL killed"


_SHARES = {
    FaultKind.KILL_WORKER: 44,
    FaultKind.FREEZE_WORKER: 14,
    FaultKind.KILL_API: 16,
    FaultKind.KILL_SINK: 12,
    FaultKind.KILL_TEMPORAL: 7,
    FaultKind.KILL_DATABASE: 7,
}


@dataclass(frozen=True, slots=True)
class Scale:
    """How much of everything.

    `seconds` is how long it takes on a machine that is quick enough, `fault_every` how many seconds lie between two
    faults on average. On a slower one both stretch: a fault that finds nothing under way proves nothing, so there is
    none before so many mails have been begun since the last. After `attempt` seconds a worker that was killed is
    missed. A slow relay keeps a sender waiting for up to `sluggish` seconds. The last rung may wait for `slack_days`
    virtual days: for a Sunday, a holiday or the contact budget.
    """

    invoices: int
    rungs: int
    seconds: float
    fault_every: float
    mails_a_fault: int = 3
    attempt: float = 10.0
    sluggish: float = 0.5
    slack_days: int = 4
    workers: int = 3
    apis: int = 2
    stormy: bool = True

    @property
    def days(self) -> int:
        """Virtual days that every invoice lives."""
        return 3 + RUNG_DAYS[self.rungs - 1] + self.slack_days


@dataclass(frozen=True, slots=True)
class Fault:
    """So many seconds after the one before something happens to one of its kind, for as long as it `lasts`."""

    after: float
    kind: FaultKind
    whom: int
    lasts: float


@dataclass(frozen=True, slots=True)
class Payment:
    """Fired at the n-th RCPT for the invoice's customer, or when this share of all days is lived.

    One that is `doubled` is delivered twice at once.

    A `keyed` one carries an Idempotency-Key.
    """

    invoice: str
    reference: str
    minor: int
    at_rcpt: int | None
    at_share: float
    doubled: bool
    keyed: bool


@dataclass(frozen=True, slots=True)
class Hold:
    """The n-th RCPT brings a dispute or a pause of the invoice, which is lifted after so many seconds."""

    invoice: str
    is_dispute: bool
    at_rcpt: int
    lasts: float


@dataclass(frozen=True, slots=True)
class Bill:
    """An invoice to be collected, due so many days from today."""

    number: str
    minor: int
    due_in: int


@dataclass(frozen=True, slots=True)
class Debtor:
    """A customer, its secret (a word that must stay in the ledger), and when in a virtual day its turn comes."""

    code: str
    secret: str
    phase: float
    bills: tuple[Bill, ...]

    @property
    def name(self) -> str:
        return f"PT {self.secret} {self.code}"

    @property
    def addresses(self) -> tuple[str, str]:
        """Two mailboxes: the relay may say that nobody has the first."""
        local = f"{self.secret.lower()}.{self.code.lower()}@{_DOMAIN}"
        return f"a.{local}", f"b.{local}"


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that a storm is going to do."""

    seed: int
    scale: Scale
    debtors: tuple[Debtor, ...]
    payments: tuple[Payment, ...]
    holds: tuple[Hold, ...]
    faults: tuple[Fault, ...]

    @property
    def bills(self) -> Iterator[tuple[Debtor, Bill]]:
        for debtor in self.debtors:
            for bill in debtor.bills:
                yield debtor, bill

    def print(self) -> None:
        """The plan in a few lines, for the log."""
        bills, at_rcpt = len(list(self.bills)), sum(payment.at_rcpt is not None for payment in self.payments)
        doubled = sum(payment.doubled for payment in self.payments)
        print(f"seed {self.seed}: {bills} invoices of {len(self.debtors)} customers, {self.scale.rungs} rungs;")
        print(f"{len(self.payments)} payments, {at_rcpt} of them at RCPT, {doubled} delivered twice;")
        print(f"{len(self.holds)} holds; {len(self.faults)} faults:")
        print(", ".join(f"{fault.after:.1f} s {fault.kind}" for fault in self.faults))


def make_plan(seed: int, scale: Scale, *, with_database: bool) -> Plan:
    """The plan of that seed; `with_database` says whether there is a database server to be killed."""
    random = Random(seed)
    debtors = tuple(_debtors(random, scale))
    payments = tuple(payment for debtor in debtors for payment in _payments(random, scale, debtor))
    holds = tuple(hold for debtor in debtors for hold in _holds(random, scale, debtor))
    return Plan(seed, scale, debtors, payments, holds, tuple(_faults(random, scale, with_database)))


def _debtors(random: Random, scale: Scale) -> Iterator[Debtor]:
    left, code = scale.invoices, 0
    while left:
        code += 1
        count = min(left, random.choices((1, 2, 3, 4), (45, 25, 18, 12))[0])
        start = random.choice((1, 2))
        bills = tuple(
            # Invoices of one customer mostly fall due together; a day apart they compete for its contact budget.
            Bill(f"ST/{code:03d}/{place}", random.randrange(10, 9_000) * 100_000, start + random.choice((0, 0, 0, 1)))
            for place in range(1, count + 1)
        )
        secret = "Rahasia" + "".join(random.choices("bcdfghjklmnpqrstvwxz", k=8))
        yield Debtor(f"C{code:03d}", secret, random.random(), bills)
        left -= count


def _payments(random: Random, scale: Scale, debtor: Debtor) -> Iterator[Payment]:
    for bill in debtor.bills:
        roll = random.random()
        if roll < 0.15:
            continue  # never paid
        parts = [bill.minor]
        if roll < 0.35:
            parts = [bill.minor // 3, bill.minor - bill.minor // 3]
        heard = 0
        for place, minor in enumerate(parts, 1):
            heard += random.randint(1, scale.rungs - 1)
            yield Payment(
                bill.number,
                f"{bill.number}/{place}",
                minor,
                heard if random.random() < 0.7 else None,
                random.uniform(0.1, 0.9),
                doubled=random.random() < 0.25,
                keyed=random.random() < 0.4,
            )


def _holds(random: Random, scale: Scale, debtor: Debtor) -> Iterator[Hold]:
    for bill in debtor.bills:
        if random.random() < 0.15:
            lasts = random.uniform(0.05, 0.2) * scale.seconds
            yield Hold(bill.number, random.random() < 0.5, random.randint(1, scale.rungs), lasts)


def _faults(random: Random, scale: Scale, with_database: bool) -> Iterator[Fault]:
    if not scale.fault_every:
        return
    kinds = [kind for kind in _SHARES if with_database or kind is not FaultKind.KILL_DATABASE]
    for _ in range(int(scale.seconds / scale.fault_every)):
        kind = random.choices(kinds, [_SHARES[kind] for kind in kinds])[0]
        lasts = random.uniform(2, 8) if kind is FaultKind.FREEZE_WORKER else random.uniform(0.1, 1.5)
        yield Fault(random.uniform(0.5, 1.5) * scale.fault_every, kind, random.randrange(100), lasts)


def policy(rungs: int, zone: str, *, days: tuple[str, ...] = WEEKDAYS, holidays: tuple[date, ...] = ()) -> Policy:
    """The plan for a storm's invoices: real rules, rungs close to each other, and a budget that is reached."""
    ladder: list[dict[str, object]] = [{"day": 0, "do": "due_notice", "by": ["email"]}]
    later = RUNG_DAYS[1:rungs]
    ladder += [{"day": day, "do": "follow_up", "by": ["email"], "tone": "friendly"} for day in later]
    document = {
        "name": "storm",
        "title": "Storm",
        "terms": "net 1",
        "conduct": {
            "window": {"from": "08:00", "to": "20:00", "days": list(days)},
            "contact_budget": {"per_day": 1, "in_7_days": 4},
            "spread_minutes": 30,
            "minimum_gap_days": 1,
        },
        "patience": {
            "promise_grace": 2, "promise_at_most": 30, "promises": 2, "dispute": 14, "pause": 30,
            "approval": 10, "research": 1, "answer": 3, "agency_report": 30,
        },
        "ladder": ladder,
        "then": {"every": 30, "do": "follow_up", "by": ["email"], "tone": "firm"},
    }  # fmt: skip
    return parse_policy(document).for_customer(zone, holidays)


def next_days(first: date, count: int) -> list[date]:
    """The days that follow."""
    return [first + timedelta(days=ahead) for ahead in range(1, count + 1)]
