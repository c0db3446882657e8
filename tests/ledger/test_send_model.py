"""The send protocol as a small model, explored to the last interleaving.

Three attempts at one notice overlap, as they do when Temporal starts a new one while an old one has not noticed; any of
them may die at any point; the relay may accept, refuse for now or for good, or accept and its answer be lost; one
payment comes at any moment. The protocol must come through; designs that look reasonable must not, and each part
of the protocol must be needed: taken out, the model must object.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum, auto

import pytest

ATTEMPTS = 3


class At(Enum):
    """Where an attempt is."""

    START = auto()
    CLAIMED = auto()  # everything that can be taken back is done, or being done
    COMMITTED = auto()  # about to let it go
    ACCEPTED = auto()  # the relay's yes has arrived
    REFUSED_FOR_NOW = auto()
    REFUSED_FOR_GOOD = auto()
    SILENT = auto()  # the connection broke after the message had gone
    OVER = auto()


class Payer(Enum):
    """Where the payment is."""

    OUTSIDE = auto()
    BOOKED = auto()
    ACKNOWLEDGED = auto()


@dataclass(frozen=True)
class Attempt:
    at: At = At.START
    token: int = 0


@dataclass(frozen=True)
class World:
    """The notice's row, the relay, the payment and the attempts. `expired` are tokens whose deadline has passed."""

    state: str = "none"
    token: int = 0
    expired: frozenset[int] = frozenset()
    accepted: int = 0
    after_payment: int = 0
    payer: Payer = Payer.OUTSIDE
    attempts: tuple[Attempt, ...] = (Attempt(),) * ATTEMPTS

    @property
    def paid(self) -> bool:
        return self.payer is not Payer.OUTSIDE

    @property
    def may_leave(self) -> bool:
        return self.state == "committing" and self.token not in self.expired

    def accept(self) -> World:
        late = self.payer is Payer.ACKNOWLEDGED
        return replace(self, accepted=self.accepted + 1, after_payment=self.after_payment + late)


Step = tuple[World, Attempt]


@dataclass(frozen=True)
class Protocol:
    """Claim, commit, send, record. Each field is a part that a test takes out."""

    fences: bool = True  # commit and record check the token
    checks_again: bool = True  # commit looks at the payment once more
    has_deadline: bool = True  # nothing leaves after it
    payer_waits: bool = True  # no acknowledgement while something may leave
    unknown_is_final: bool = True  # an unanswered message is never sent again

    def step(self, world: World, me: Attempt) -> Iterator[Step]:
        over = replace(me, at=At.OVER)
        match me.at:
            case At.START:
                yield from self._claim(world, me)
            case At.CLAIMED:
                yield world, replace(me, at=At.REFUSED_FOR_NOW)  # the relay refuses the recipient, before any commit
                yield world, replace(me, at=At.REFUSED_FOR_GOOD)
                fenced_off = self.fences and me.token != world.token
                stopped = self.checks_again and (world.paid or world.state != "claimed")
                if fenced_off or stopped:
                    yield world, over
                else:
                    yield replace(world, state="committing", token=me.token), replace(me, at=At.COMMITTED)
            case At.COMMITTED:
                if self.has_deadline and me.token in world.expired:
                    yield world, replace(me, at=At.REFUSED_FOR_NOW)  # it did not let it go, and says so
                    return
                yield world.accept(), replace(me, at=At.ACCEPTED)
                yield world.accept(), replace(me, at=At.SILENT)
                yield world, replace(me, at=At.REFUSED_FOR_NOW)
                yield world, replace(me, at=At.REFUSED_FOR_GOOD)
            case At.ACCEPTED | At.SILENT | At.REFUSED_FOR_NOW | At.REFUSED_FOR_GOOD:
                yield self._record(world, me), over

    def _claim(self, world: World, me: Attempt) -> Iterator[Step]:
        over = replace(me, at=At.OVER)
        match world.state:
            case "sent" | "failed":
                yield world, over
            case "unknown" if self.unknown_is_final:
                yield world, over
            case "committing" if world.may_leave and self.has_deadline:
                return  # told to wait: nothing happens until the deadline or the record
            case "committing" if self.unknown_is_final:
                yield replace(world, state="unknown"), over
            case _ if world.paid:
                yield replace(world, state="cancelled"), over
            case _:
                token = world.token + 1
                yield replace(world, state="claimed", token=token), Attempt(At.CLAIMED, token)

    def _record(self, world: World, me: Attempt) -> World:
        refused = me.at in (At.REFUSED_FOR_NOW, At.REFUSED_FOR_GOOD)
        under_way = ("claimed", "committing", "unknown") if refused else ("committing", "unknown")
        if self.fences and (me.token != world.token or world.state not in under_way):
            return world
        given_up = world.state == "unknown"
        match me.at:
            case At.ACCEPTED:
                return replace(world, state="sent")
            case At.SILENT:
                return replace(world, state="unknown")
            case At.REFUSED_FOR_NOW:
                return replace(world, state="failed" if given_up else "claimed")
            case _:
                return replace(world, state="failed")

    def pay(self, world: World) -> Iterator[World]:
        match world.payer:
            case Payer.OUTSIDE:
                state = "cancelled" if world.state == "claimed" else world.state
                yield replace(world, payer=Payer.BOOKED, state=state)
            case Payer.BOOKED if not (self.payer_waits and world.may_leave):
                yield replace(world, payer=Payer.ACKNOWLEDGED)


@dataclass(frozen=True)
class CheckSendRecord(Protocol):
    """Look whether it is paid or sent already; send; write down that it was sent."""

    def step(self, world: World, me: Attempt) -> Iterator[Step]:
        over = replace(me, at=At.OVER)
        match me.at:
            case At.START:
                go_on = world.state != "sent" and not world.paid
                yield world, replace(me, at=At.COMMITTED) if go_on else over
            case At.COMMITTED:
                yield world.accept(), replace(me, at=At.ACCEPTED)
                yield world.accept(), over
            case At.ACCEPTED:
                yield replace(world, state="sent"), over


@dataclass(frozen=True)
class ClaimAndResend(Protocol):
    """Claim the notice in the ledger first; an attempt that finds it claimed, but not sent, sends it."""

    def step(self, world: World, me: Attempt) -> Iterator[Step]:
        over = replace(me, at=At.OVER)
        match me.at:
            case At.START if world.state == "sent" or world.paid:
                yield world, over
            case At.START:
                yield replace(world, state="claimed"), replace(me, at=At.COMMITTED)
            case At.COMMITTED:
                yield world.accept(), replace(me, at=At.ACCEPTED)
                yield world.accept(), over
            case At.ACCEPTED:
                yield replace(world, state="sent"), over


@dataclass(frozen=True)
class ClaimAndSkip(Protocol):
    """Claim the notice and count it as sent: a later attempt does nothing."""

    def step(self, world: World, me: Attempt) -> Iterator[Step]:
        over = replace(me, at=At.OVER)
        match me.at:
            case At.START if world.state != "none" or world.paid:
                yield world, over
            case At.START:
                yield replace(world, state="sent"), replace(me, at=At.COMMITTED)
            case At.COMMITTED:
                yield world.accept(), over


TWICE = "accepted twice"
TOO_LATE = "accepted after the acknowledged payment"
BELIEVED = "believed sent, never sent"
FORGOTTEN = "accepted, and the ledger does not know"


def _next_worlds(protocol: Protocol, world: World) -> Iterator[World]:
    for place, me in enumerate(world.attempts):
        if me.at is At.OVER:
            continue
        outcomes = [*protocol.step(world, me), (world, replace(me, at=At.OVER))]  # or it dies here
        for after, mine in outcomes:
            attempts = (*after.attempts[:place], mine, *after.attempts[place + 1 :])
            yield replace(after, attempts=attempts)
    yield from protocol.pay(world)
    if world.may_leave:
        yield replace(world, expired=world.expired | {world.token})  # time passes


def explore(protocol: Protocol, *, looking_for: frozenset[str] | None = None) -> tuple[set[World], set[str]]:
    """Every world that can be, and everything that went wrong in any; no further than to all that is looked for."""
    seen, ahead, wrong = {World()}, [World()], set[str]()
    while ahead and not (looking_for and looking_for <= wrong):
        world = ahead.pop()
        wrong.update(_faults(world))
        for after in _next_worlds(protocol, world):
            if after not in seen:
                seen.add(after)
                ahead.append(after)
    return seen, wrong


def _faults(world: World) -> Iterator[str]:
    if world.accepted > 1:
        yield TWICE
    if world.after_payment:
        yield TOO_LATE
    if any(me.at is not At.OVER for me in world.attempts):
        return
    if world.state == "sent" and not world.accepted:
        yield BELIEVED
    # A commit that nobody reported on is found by the next attempt, or by the reconcile schedule.
    if world.accepted and world.state not in ("sent", "unknown", "committing"):
        yield FORGOTTEN


def test_the_protocol_comes_through_every_interleaving() -> None:
    worlds, wrong = explore(Protocol())

    assert wrong == set()
    assert len(worlds) > 5_000  # it is explored indeed, and everything that should be possible is
    ends = {(world.state, world.accepted, world.payer) for world in worlds}
    assert {("sent", 1, Payer.ACKNOWLEDGED), ("unknown", 1, Payer.ACKNOWLEDGED)} <= ends
    assert {("cancelled", 0, Payer.ACKNOWLEDGED), ("failed", 0, Payer.OUTSIDE), ("unknown", 0, Payer.OUTSIDE)} <= ends


@pytest.mark.parametrize(
    ("naive", "fails_with"),
    [
        (CheckSendRecord(), {TWICE, TOO_LATE}),
        (ClaimAndResend(), {TWICE, TOO_LATE}),
        (ClaimAndSkip(), {TOO_LATE, BELIEVED}),
    ],
    ids=["check, send, record", "claim, resend on retry", "claim, skip on retry"],
)
def test_what_looks_reasonable_does_not(naive: Protocol, fails_with: set[str]) -> None:
    _, wrong = explore(naive, looking_for=frozenset(fails_with))

    assert fails_with <= wrong


@pytest.mark.parametrize(
    ("without", "fails_with"),
    [
        (Protocol(fences=False), TWICE),
        (Protocol(checks_again=False), TOO_LATE),
        (Protocol(has_deadline=False), TOO_LATE),
        (Protocol(payer_waits=False), TOO_LATE),
        (Protocol(unknown_is_final=False), TWICE),
    ],
    ids=["the token", "the second look", "the deadline", "the payer's patience", "the honest unknown"],
)
def test_every_part_of_the_protocol_is_needed(without: Protocol, fails_with: str) -> None:
    _, wrong = explore(without, looking_for=frozenset({fails_with}))

    assert fails_with in wrong
