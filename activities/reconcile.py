"""One turn of the reconcile schedule: late nudges, commits that nobody reported on, workflows that are missing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta

from temporalio import activity

from lunas.ledger.database import Ledger
from lunas.ledger.notices import expire
from lunas.ledger.outbox import undelivered
from lunas.ledger.upkeep import count_open, open_numbers
from lunas.receivables.orders import Reconciled

#: A nudge that its writer has not delivered by now was left behind by a crash or an outage.
LATE_AFTER = timedelta(seconds=20)
#: An attempt lasts a minute at most: after two its sender says nothing any more.
SENDERS_SPEAK_WITHIN = timedelta(minutes=2)


class ReconcileActivities:
    """`nudge` tells one workflow the news and says what came of it; `count_running` asks Temporal for a number."""

    def __init__(
        self,
        ledger: Ledger,
        nudge: Callable[[str], Awaitable[str]],
        count_running: Callable[[], Awaitable[int]],
        late_after: timedelta = LATE_AFTER,
    ) -> None:
        self._ledger = ledger
        self._nudge = nudge
        self._count_running = count_running
        self._late_after = late_after

    @activity.defn(name="reconcile")
    async def reconcile(self) -> Reconciled:
        """Mend what can be mended; whatever fails is found again by the next turn."""
        async with self._ledger.write() as session:
            unsettled = await expire(session, after=SENDERS_SPEAK_WITHIN)
        nudged, started = await self._deliver_nudges()
        async with self._ledger.read() as session:
            ledger_open = await count_open(session)
        running = await self._count_running()
        if running < ledger_open:
            started += await self._sweep()
        return Reconciled(nudged, started, unsettled, ledger_open, running)

    async def _deliver_nudges(self) -> tuple[int, int]:
        async with self._ledger.read() as session:
            late = await undelivered(session, older_than=self._late_after)
        numbers = dict.fromkeys(nudge.number for nudge in late)
        started = 0
        for number in numbers:
            started += await self._nudge(number) == "started"
            activity.heartbeat()
        return len(numbers), started

    async def _sweep(self) -> int:
        """Fewer workflows run than invoices are open: nudge every open one; only a missing one is started."""
        started, after = 0, 0
        while True:
            async with self._ledger.read() as session:
                page = await open_numbers(session, after=after)
            if not page:
                return started
            for after, number in page:  # noqa: B007 - the last id is where the next page starts
                started += await self._nudge(number) == "started"
                activity.heartbeat()
