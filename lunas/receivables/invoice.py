"""What an invoice's state is: Stage × Hold × Balance, and how far it has climbed its ladder.

One frozen tree of a few kB that holds references (numbers, codes), never names, emails or phones. The workflow carries
it whole; the ledger keeps the last one, so that a reversal after *paid* can reopen the invoice at the level it had.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from lunas.receivables.ladder import Channel, Rung
from lunas.receivables.money import Currency, Money
from lunas.receivables.policy import Policy


class Stage(StrEnum):
    """How far the escalation has gone."""

    ISSUED = "issued"
    DUE = "due"
    FOLLOW_UP = "follow_up"
    RESEARCH_CONTACT = "research_contact"
    ALTERNATE_PAYMENT = "alternate_payment"
    AGENCY = "agency"
    PAID = "paid"
    CREDITED = "credited"
    WRITTEN_OFF = "written_off"
    CANCELLED = "cancelled"

    @property
    def is_closed(self) -> bool:
        """Whether collecting has ended."""
        return self in CLOSED

    @property
    def rank(self) -> int:
        """The place in the order of escalation."""
        return _ORDER[self]


_ORDER = {stage: place for place, stage in enumerate(Stage)}
CLOSED = frozenset({Stage.PAID, Stage.CREDITED, Stage.WRITTEN_OFF, Stage.CANCELLED})
OPEN = frozenset(Stage) - CLOSED
OWN_CHASING = OPEN - {Stage.AGENCY}


class HoldKind(StrEnum):
    """Why the dunning clock stands still."""

    DISPUTE = "dispute"
    PROMISE = "promise"
    PAUSE = "pause"
    APPROVAL = "approval"
    CREDIT = "credit"

    @property
    def counts_on_the_ladder(self) -> bool:
        """Whether its days go on counting: waiting for our own approval is no merit of the customer's."""
        return self is HoldKind.APPROVAL


@dataclass(frozen=True, slots=True)
class Instalment:
    """A part of what is owed, in minor units, and the day by which it is promised."""

    pay_by: date
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Hold:
    """The dunning clock stopped: for what reason, by whom, since when, and until when at the latest.

    `amount_minor` is what is promised or disputed (None: all of it). What follows at `until` is the lifecycle's
    to say: a promise is broken, a pause ends, the owner of a dispute is reminded. A promise that is one instalment of
    a plan is followed by those in `instalments`.
    """

    kind: HoldKind
    since: datetime
    until: datetime
    by: str
    reason: str = ""
    amount_minor: int | None = None
    promised_for: date | None = None
    instalments: tuple[Instalment, ...] = ()


@dataclass(frozen=True, slots=True)
class Balance:
    """What is owed: arithmetic over facts, all in minor units of one currency and none of them negative."""

    lines: int = 0
    charges: int = 0  # interest and fees that are claimed
    received: int = 0  # receipts allocated, before reversals
    reversed: int = 0
    credited: int = 0
    discount: int = 0  # early-payment discount that was earned
    tolerated: int = 0  # what payments fell short by, within the policy's tolerance

    @property
    def outstanding(self) -> int:
        """What is open now; negative when more came in than was owed."""
        settled = self.received - self.reversed + self.credited + self.discount + self.tolerated
        return self.lines + self.charges - settled

    @property
    def net_received(self) -> int:
        """What came in and stayed."""
        return self.received - self.reversed

    @property
    def settled(self) -> bool:
        """Whether nothing is open."""
        return self.outstanding <= 0


class AgencyWord(StrEnum):
    """The last that an agency said of a placement."""

    NOTHING = "nothing"
    ACKNOWLEDGED = "acknowledged"
    RETURNED = "returned"


@dataclass(frozen=True, slots=True)
class Facts:
    """What the ledger knows of one invoice as of `version`: a newer one replaces an older one, whole.

    `answers` counts the customer's answers; `other_way` says that the customer asked for another way to pay. `earlier`
    is how much of `balance.net_received` was paid before the invoice came to us: it counts, and is not answered.
    """

    version: int = 0
    balance: Balance = Balance()
    reachable: bool = True
    answers: int = 0
    other_way: bool = False
    agency: AgencyWord = AgencyWord.NOTHING
    earlier: int = 0


class Research(StrEnum):
    """How the search for a contact stands."""

    NONE = "none"
    RUNNING = "running"
    PROPOSED = "proposed"  # candidates wait for a person's approval
    FOUND = "found"
    GIVEN_UP = "given_up"


class Placement(StrEnum):
    """How the handing over to an agency stands."""

    NONE = "none"
    ASKED = "asked"
    LAPSED = "lapsed"  # nobody decided in time; it may still be approved
    REFUSED = "refused"
    APPROVED = "approved"
    PLACED = "placed"
    ENDED = "ended"  # recalled or returned


@dataclass(frozen=True, slots=True)
class Climb:
    """A rung under way: the channels that are still to be spoken through.

    `reach` is the highest day that was earned when it began: rungs between the last one and it, this one apart, are
    skipped. `sent` says that at least one channel may have carried it, `delivered` that one has for certain.
    """

    rung: Rung
    reach: int
    remaining: tuple[Channel, ...]
    sent: bool = False
    delivered: bool = False

    @property
    def is_brought_forward(self) -> bool:
        """Whether a fact, not time, put this rung under way before its day."""
        return self.reach < self.rung.day


@dataclass(frozen=True)
class InvoiceState:
    """Everything that decides what happens next to one invoice.

    (Without slots, for the sake of `but`.)
    """

    number: str
    customer: str
    currency: Currency
    issued_on: date
    due_on: date
    opened_at: datetime
    policy: Policy
    facts: Facts = Facts()
    stage: Stage = Stage.ISSUED
    hold: Hold | None = None
    climbed: int | None = None  # the day of the last rung that is behind us
    climb: Climb | None = None
    not_before: datetime | None = None  # the gate asked to wait
    stopped_on: date | None = None  # since when the ladder's clock stands still
    days_held: int = 0  # days past due on which it stood still: they do not count on the ladder
    last_step_on: date | None = None
    follow_ups: int = 0
    promises: int = 0
    received_at_promise: int = 0  # `balance.net_received` when the promise was made
    broken_promises: int = 0
    lost_on: date | None = None  # since when nobody can be reached
    research: Research = Research.NONE
    research_until: datetime | None = None
    offered: bool = False
    final_demand_on: date | None = None  # when it was delivered for certain
    days_held_at_demand: int = 0  # `days_held` as it was then
    placement: Placement = Placement.NONE
    approved_by: str = ""
    agency_until: datetime | None = None
    before_research: Stage | None = None
    before_agency: Stage | None = None
    before_close: Stage | None = None
    sequence: int = 0  # of the last decision; the journal's key
    last_step: str = ""  # in words, for the screens

    @property
    def outstanding(self) -> Money:
        """What is open now."""
        return Money(self.facts.balance.outstanding, self.currency)

    @property
    def is_open(self) -> bool:
        """Whether collecting goes on."""
        return not self.stage.is_closed

    @property
    def unreachable(self) -> bool:
        """Whether no contact is left that can be reached."""
        return self.lost_on is not None

    @property
    def is_searching(self) -> bool:
        """Whether another contact is being searched for, or candidates wait for a person's approval."""
        return self.research in (Research.RUNNING, Research.PROPOSED)

    @property
    def paid_since_promise(self) -> int:
        """What came in and stayed since the customer's last promise, in minor units."""
        return self.facts.balance.net_received - self.received_at_promise

    @property
    def is_free(self) -> bool:
        """Whether the customer may be dunned: open, with us and not on hold."""
        return self.stage in OWN_CHASING and self.hold is None

    @property
    def stands_still(self) -> bool:
        """Whether the ladder's clock stands still: closed, nobody to be reached, or on hold for the customer's sake."""
        held = self.hold is not None and not self.hold.kind.counts_on_the_ladder
        return held or self.unreachable or self.stage.is_closed

    def but(self, **changes: Any) -> InvoiceState:
        """The same state with these fields changed: `dataclasses.replace`, ten times as fast for so wide a class."""
        fields = self.__dict__ | changes
        if len(fields) != len(self.__dict__):
            raise TypeError(f"an invoice's state has no {', '.join(changes.keys() - self.__dict__.keys())}")
        changed: InvoiceState = object.__new__(InvoiceState)
        object.__setattr__(changed, "__dict__", fields)
        return changed


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the journal: a decision, exactly once per (invoice, `sequence`).

    `rule` names the row of the lifecycle's table that decided; `detail` is for people.
    """

    sequence: int
    at: datetime
    event: str
    rule: str
    was: Stage
    becomes: Stage
    was_held: HoldKind | None
    held: HoldKind | None
    by: str
    reason: str
    detail: str
    policy: str  # name and version


@dataclass(frozen=True, slots=True)
class Standing:
    """A projection of the state for lists and reports; never an input to a decision about this invoice.

    `next_*` names the step that time alone will bring; `next_rung` and `next_channels` are set when it is a notice.
    """

    stage: Stage
    held: HoldKind | None
    held_until: datetime | None
    rung: str | None
    next_step: str | None
    next_at: datetime | None
    next_rung: str | None = None
    next_channels: tuple[Channel, ...] = ()
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Progress:
    """What the workflow asks the ledger to write down: decisions not yet in the journal, and where they lead.

    `hold` is the hold in force, None for none. `closed` is the state at the end, kept for a reopening.
    """

    entries: tuple[Entry, ...]
    standing: Standing
    hold: Hold | None
    closed: InvoiceState | None = field(default=None)
