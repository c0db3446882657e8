"""The ladder: a policy's ordered rungs, and the tail that repeats after the last of them."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property, lru_cache
from operator import attrgetter

#: The day of the invoice's own sending: before every day that a policy may name.
FIRST_DAY = -10_000

_DAY = attrgetter("day")


class Do(StrEnum):
    """What a rung does."""

    SEND_INVOICE = "send_invoice"
    REMIND = "remind"
    DUE_NOTICE = "due_notice"
    FOLLOW_UP = "follow_up"
    RESEARCH_CONTACT = "research_contact"
    OFFER_ALTERNATE_PAYMENT = "offer_alternate_payment"
    FINAL_DEMAND = "final_demand"
    PLACE_WITH_AGENCY = "place_with_agency"

    @property
    def is_notice(self) -> bool:
        """Whether the customer hears from us on this rung."""
        return self not in (Do.RESEARCH_CONTACT, Do.PLACE_WITH_AGENCY)


class Channel(StrEnum):
    """How a notice travels."""

    EMAIL = "email"
    SMS = "sms"


class Tone(StrEnum):
    """How a follow-up speaks."""

    FRIENDLY = "friendly"
    FIRM = "firm"


class When(StrEnum):
    """A condition on a rung."""

    ALWAYS = "always"
    UNANSWERED = "unanswered"


@dataclass(frozen=True, slots=True)
class Rung:
    """One step: on `day` (days from the due date, negative before it) `do` this, through these channels.

    `key` names the rung for ever in the ledger: a notice is claimed once per (invoice, rung, channel).
    """

    day: int
    do: Do
    by: tuple[Channel, ...] = ()
    tone: Tone = Tone.FRIENDLY
    when: When = When.ALWAYS
    approval: bool = False

    @property
    def key(self) -> str:
        return _key(self.do, self.day)


@lru_cache(maxsize=4096)
def _key(do: Do, day: int) -> str:
    return str(do) if do is Do.SEND_INVOICE else f"{do}{day:+d}"


@dataclass(frozen=True, slots=True)
class Tail:
    """What repeats every `every` days after the ladder's last follow-up, for as long as the invoice is open."""

    every: int
    do: Do = Do.FOLLOW_UP
    by: tuple[Channel, ...] = (Channel.EMAIL,)
    tone: Tone = Tone.FIRM


@dataclass(frozen=True)
class Ladder:
    """Rungs in ascending order of day, one a day, and the tail."""

    rungs: tuple[Rung, ...]
    tail: Tail

    @cached_property
    def anchor(self) -> int:
        """The day that the tail counts from: the last follow-up among the rungs."""
        return next((rung.day for rung in reversed(self.rungs) if rung.do is self.tail.do), 0)

    def at(self, day: int) -> Rung | None:
        """The rung of that day, listed or from the tail; a listed one wins."""
        place = bisect_left(self.rungs, day, key=_DAY)
        if place < len(self.rungs) and self.rungs[place].day == day:
            return self.rungs[place]
        beyond = day - self.anchor
        if beyond > 0 and beyond % self.tail.every == 0:
            return self._repeated(day)
        return None

    def after(self, day: int) -> Rung:
        """The first rung later than `day`; there always is one, because the tail has no end."""
        anchor = self.anchor
        following = anchor + (max(day - anchor, 0) // self.tail.every + 1) * self.tail.every
        place = bisect_right(self.rungs, day, key=_DAY)
        if place < len(self.rungs) and self.rungs[place].day <= following:
            return self.rungs[place]
        return self._repeated(following)

    def _repeated(self, day: int) -> Rung:
        return Rung(day, self.tail.do, self.tail.by, self.tail.tone)
