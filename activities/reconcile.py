"""One turn of the reconcile schedule: late nudges, commits that nobody reported on, workflows that are missing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import TypeVar

import structlog
from temporalio import activity
from temporalio.service import RPCError

from lunas.intake import CaughtUp
from lunas.ledger.database import Ledger
from lunas.ledger.endpoints import endpoints_waiting
from lunas.ledger.notices import expire
from lunas.ledger.offers import invoices_to_follow
from lunas.ledger.outbox import undelivered
from lunas.ledger.upkeep import count_open, open_numbers
from lunas.receivables.orders import Reconciled

log = structlog.get_logger(__name__)

_T = TypeVar("_T", int, str)

#: A nudge that its writer has not delivered by now was left behind by a crash or an outage.
LATE_AFTER = timedelta(seconds=20)
#: An attempt lasts a minute at most: after two its sender says nothing any more.
SENDERS_SPEAK_WITHIN = timedelta(minutes=2)


class ReconcileActivities:
    """`nudge` tells one workflow the news and says what came of it; `count_running` asks Temporal for a number.

    `wake` wakes the workflow that delivers to an endpoint of an API client; `catch_up` books what payment providers
    delivered and a crash or an outage left unbooked; `follow` has an invoice's ways to pay follow its balance.
    """

    def __init__(
        self,
        ledger: Ledger,
        nudge: Callable[[str], Awaitable[str]],
        count_running: Callable[[], Awaitable[int]],
        late_after: timedelta = LATE_AFTER,
        wake: Callable[[int], Awaitable[None]] | None = None,
        catch_up: Callable[[], Awaitable[CaughtUp]] | None = None,
        follow: Callable[[str], Awaitable[None]] | None = None,
    ) -> None:
        self._ledger = ledger
        self._nudge = nudge
        self._count_running = count_running
        self._late_after = late_after
        self._wake = wake
        self._catch_up = catch_up
        self._follow = follow

    @activity.defn(name="reconcile")
    async def reconcile(self) -> Reconciled:
        """Mend what can be mended; whatever fails is found again by the next turn."""
        async with self._ledger.write() as session:
            unsettled = await expire(session, after=SENDERS_SPEAK_WITHIN)
        turn = _Turn(self._nudge)
        caught_up = await self._catch_up() if self._catch_up is not None else CaughtUp()
        for number in caught_up.invoices:
            await turn.nudge(number)
        nudged = await self._deliver_nudges(turn)
        async with self._ledger.read() as session:
            ledger_open = await count_open(session)
        running = await self._count_running()
        if running < ledger_open:
            await self._sweep(turn)
        woken = await self._wake_endpoints()
        followed = await self._follow_offers()
        return Reconciled(
            nudged, turn.started, unsettled, ledger_open, running, len(turn.failed), woken, caught_up.booked, followed
        )

    async def _follow_offers(self) -> int:
        """Begin with the invoices whose ways to pay expired, or were left behind by a crash."""
        if self._follow is None:
            return 0
        async with self._ledger.read() as session:
            numbers = await invoices_to_follow(session)
        return await _each(numbers, self._follow, "follow_failed", "invoice")

    async def _wake_endpoints(self) -> int:
        """Wake whoever delivers to endpoints for which something is due and late."""
        if self._wake is None:
            return 0
        async with self._ledger.read() as session:
            waiting = await endpoints_waiting(session, older_than=self._late_after)
        return await _each(waiting, self._wake, "wake_failed", "endpoint")

    async def _deliver_nudges(self, turn: _Turn) -> int:
        async with self._ledger.read() as session:
            late = await undelivered(session, older_than=self._late_after)
        numbers = dict.fromkeys(nudge.number for nudge in late)
        for number in numbers:
            await turn.nudge(number)
        return len(numbers)

    async def _sweep(self, turn: _Turn) -> None:
        """Fewer workflows run than invoices are open: nudge every open one; only a missing one is started."""
        after = 0
        while True:
            async with self._ledger.read() as session:
                page = await open_numbers(session, after=after)
            if not page:
                return
            for after, number in page:  # noqa: B007 - the last id is where the next page starts
                await turn.nudge(number)


async def _each(ones: Sequence[_T], do: Callable[[_T], Awaitable[None]], failed: str, what: str) -> int:
    """Do it for each; how often Temporal took it. What it did not take, the next turn tries again."""
    done = 0
    for one in ones:
        try:
            await do(one)
            done += 1
        except RPCError as error:  # it concerns this one, and the rest must go on
            log.warning(failed, status=error.status.name, **{what: one})
        activity.heartbeat()
    return done


class _Turn:
    """Nudges of one turn. One invoice that cannot be nudged does not stop the others: it is noted, and they go on."""

    def __init__(self, nudge: Callable[[str], Awaitable[str]]) -> None:
        self._nudge = nudge
        self.started = 0
        self.failed: set[str] = set()

    async def nudge(self, number: str) -> None:
        if number in self.failed:
            return
        try:
            self.started += await self._nudge(number) == "started"
        except Exception as error:  # noqa: BLE001 - whatever it is, it concerns this invoice, and the rest must go on
            self.failed.add(number)
            # No text of the error: it may quote what the invoice says.
            status = error.status.name if isinstance(error, RPCError) else None
            log.warning("nudge_failed", invoice=number, why=type(error).__name__, status=status)
        activity.heartbeat()
