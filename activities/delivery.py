"""The send protocol: claim, prepare all that can be taken back, commit, let it go, record what came of it.

The ledger's gate decides (`lunas.ledger.claims`, `lunas.ledger.sending`); this module only keeps the order, on any
channel. Whatever goes wrong before the commit has sent nothing; whatever goes wrong after the release is unknown,
and unknown is never sent again.

    DeliveryError
    ├── Refused       it was not sent: for now, or for good
    ├── Unreachable   it was not sent: nobody answered, or it came too late
    └── Silent        nobody knows: it may have been sent
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from types import TracebackType
from typing import Protocol, Self

from sqlalchemy.exc import DBAPIError
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.clock import business_now
from lunas.briefs import NoticeBrief
from lunas.ledger.answers import (
    AlreadySent,
    Answer,
    Claimed,
    Committed,
    Covered,
    Held,
    NoContact,
    RefusalReason,
    Settled,
    Unsettled,
    Wait,
)
from lunas.ledger.answers import Refused as CommitRefused
from lunas.ledger.claims import claim
from lunas.ledger.database import Ledger, WriteSession
from lunas.ledger.errors import LedgerError, StaleNotice
from lunas.ledger.progress import COMMIT_LASTS, record_progress
from lunas.ledger.sending import commit, record_refused, record_sent, record_unknown
from lunas.receivables.actions import NoticeKind
from lunas.receivables.invoice import Facts
from lunas.receivables.ladder import Channel
from lunas.receivables.orders import NoticeOrder, Report, Verdict

#: Seconds before a commit's deadline after which nothing is let go any more: the relay needs some of them.
MARGIN = 1.0
#: How often one attempt claims anew because what its message says has changed meanwhile.
MOST_CLAIMS = 5
#: How long an attempt waits at the least before it asks again what became of an earlier one.
SHORTEST_PAUSE = timedelta(seconds=0.1)
#: Seconds to wait before each further try to record what the relay said.
RECORD_AGAIN_AFTER = (0.1, 0.5, 2.0, 5.0)


class DeliveryError(Exception):
    """A message that was not accepted, or is not known to be."""


class Refused(DeliveryError):
    """It was not sent. `permanent`: trying again is of no use; `bad_address`: nobody reads there.

    `text` may quote the address; it goes into the ledger, never into a log or a history.
    """

    def __init__(self, code: int, text: str, *, permanent: bool, bad_address: bool = False) -> None:
        super().__init__(f"refused with {code}, {'for good' if permanent else 'for now'}")
        self.code, self.text, self.permanent, self.bad_address = code, text, permanent, bad_address


class Unreachable(DeliveryError):
    """It was not sent, for certain; the next attempt may send it."""


class Silent(DeliveryError):
    """It may have been sent: the answer was lost."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The relay's or gateway's yes."""

    code: int
    text: str


class Prepared(Protocol):
    """A message of which everything is done that can be taken back. Leaving its context takes it back."""

    async def release(self, before: float) -> Accepted:
        """Let it go, but not from `before` on (`time.monotonic()`); raises DeliveryError."""

    async def __aenter__(self) -> Self: ...
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Carrier(Protocol):
    """One channel's way to send."""

    channel: Channel

    async def prepare(self, brief: NoticeBrief) -> Prepared:
        """Do everything for this message that can be taken back; raises Refused or Unreachable."""

    def template_digest(self, brief: NoticeBrief) -> str:
        """Names the wording, for the decision record."""


class Delivery:
    """Delivers notices through the gate of one ledger; `sender_domain` is the right-hand side of message ids."""

    def __init__(self, ledger: Ledger, sender_domain: str) -> None:
        self._ledger = ledger
        self._sender_domain = sender_domain

    async def deliver(self, order: NoticeOrder, carrier: Carrier) -> Report:
        """Send the notice if the gate lets it pass; raises ApplicationError for what another attempt may bring."""
        order = replace(order, at=business_now(order.at))
        for _ in range(MOST_CLAIMS):
            order, answer = await self._claim(order)
            if not isinstance(answer, Claimed):
                return _report(answer)
            report = await self._send(order, answer, carrier)
            if report is not None:
                return report
        raise ApplicationError(
            f"what the notice says changed {MOST_CLAIMS} times while it was written: try again later"
        )

    async def _claim(self, order: NoticeOrder) -> tuple[NoticeOrder, Answer]:
        """Ask the gate; returns the order as of the moment of its answer.

        Where an earlier attempt may be leaving at this moment, its fate is seconds away: wait for it here. A workflow
        that heard "not now" would decide something, while that attempt may still write down that the notice was sent.
        """
        while True:
            async with self._ledger.write() as session:
                answer = await claim(session, order, sender_domain=self._sender_domain)
                if isinstance(answer, AlreadySent) and order.if_sent is not None:
                    # Whoever sent it has written this down, unless that was under an earlier order.
                    await record_progress(session, order.invoice, order.if_sent)
            if not isinstance(answer, Wait) or answer.until - order.at > COMMIT_LASTS:
                return order, answer
            pause = max(answer.until - order.at, SHORTEST_PAUSE)
            await asyncio.sleep(pause.total_seconds())
            order = replace(order, at=order.at + pause)

    async def _send(self, order: NoticeOrder, claimed: Claimed, carrier: Carrier) -> Report | None:
        """One claim's message; None where the gate wants to be asked anew."""
        try:
            async with await carrier.prepare(claimed.brief) as prepared:
                verdict = await self._commit(claimed, carrier.template_digest(claimed.brief))
                if not isinstance(verdict, Committed):
                    if verdict.reason is RefusalReason.OVERTAKEN:
                        raise ApplicationError(f"another attempt has taken the notice over: {verdict.why}")
                    return None
                accepted = await prepared.release(before=verdict.no_later - MARGIN)
        except Silent:
            await self._record(lambda session: record_unknown(session, claimed.notice_id, claimed.token))
            return Report(Verdict.UNSETTLED)
        except Refused as refused:
            facts = await self._record_refusal(claimed, refused)
            if refused.permanent:
                return Report(Verdict.UNDELIVERABLE, facts)
            raise ApplicationError(f"{carrier.channel} was {refused}: tried again until the window closes") from None
        except Unreachable as unreachable:
            await self._record_refusal(claimed, Refused(0, str(unreachable), permanent=False))
            raise ApplicationError(f"{carrier.channel} was not sent: {unreachable}") from None
        # Shielded: an attempt whose time is up must not forget what it knows.
        facts = await asyncio.shield(
            self._record(
                lambda session: record_sent(
                    session,
                    claimed.notice_id,
                    claimed.token,
                    answer=accepted.text,
                    code=accepted.code,
                    if_sent=order.if_sent,
                )
            )
        )
        return Report(Verdict.SENT, facts)

    async def _commit(self, claimed: Claimed, template_digest: str) -> Committed | CommitRefused:
        """Ask for the point of no return.

        Where the answer is lost (the ledger went away, the attempt's time was up), the commit may stand all the same.
        Nothing has left, and nobody else will ever know that: so it is written down.
        """
        try:
            async with self._ledger.write() as session:
                return await commit(session, claimed.notice_id, claimed.token, template_digest=template_digest)
        except LedgerError:
            raise
        except BaseException:
            with suppress(StaleNotice):
                not_let_go = Refused(0, "the commit was not confirmed, so it was not let go", permanent=False)
                await asyncio.shield(self._record_refusal(claimed, not_let_go))
            raise

    async def _record_refusal(self, claimed: Claimed, refused: Refused) -> Facts:
        return await self._record(
            lambda session: record_refused(
                session,
                claimed.notice_id,
                claimed.token,
                permanent=refused.permanent,
                code=refused.code,
                text=refused.text,
                bad_address=refused.bad_address,
            )
        )

    async def _record(self, write: Callable[[WriteSession], Awaitable[Facts]]) -> Facts:
        """Write down what is known. A ledger that is away for a moment must not turn a certainty into an unknown."""
        for pause in RECORD_AGAIN_AFTER:
            try:
                async with self._ledger.write() as session:
                    return await write(session)
            except (DBAPIError, OSError):
                await asyncio.sleep(pause)
        async with self._ledger.write() as session:
            return await write(session)


def notice_activities(
    delivery: Delivery, carrier: Carrier, kinds: Iterable[NoticeKind] = tuple(NoticeKind)
) -> list[Callable[[NoticeOrder], Awaitable[Report]]]:
    """One activity for each kind of notice, each with a name of its own, such as `email_follow_up`.

    Replay cannot see two calls of one name change places; with a name a kind it does.
    """

    def named(kind: NoticeKind) -> Callable[[NoticeOrder], Awaitable[Report]]:
        @activity.defn(name=f"{carrier.channel}_{kind}")
        async def deliver(order: NoticeOrder) -> Report:
            return await delivery.deliver(order, carrier)

        return deliver

    return [named(kind) for kind in kinds]


def too_late(before: float) -> bool:
    """Whether the moment has passed from which on nothing may leave."""
    return time.monotonic() >= before


def _report(answer: Answer) -> Report:
    match answer:
        case AlreadySent(facts=facts):
            return Report(Verdict.SENT, facts)
        case Covered(by=by, facts=facts):
            return Report(Verdict.COVERED, facts, covered_by=by)
        case Unsettled(facts=facts):
            return Report(Verdict.UNSETTLED, facts)
        case Wait(until=until, why=why, facts=facts):
            return Report(Verdict.POSTPONED, facts, until=until, reason=why)
        case NoContact(why=why, facts=facts):
            return Report(Verdict.UNDELIVERABLE, facts, reason=why)
        case Settled(why=why, facts=facts) | Held(why=why, facts=facts):
            return Report(Verdict.WITHHELD, facts, reason=why)
        case Claimed():
            raise AssertionError("a claim is sent, not reported")
