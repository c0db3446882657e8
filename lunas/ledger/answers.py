"""What the gate answers. Each answer carries the facts as they are now, for the workflow to adopt."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from lunas.briefs import NoticeBrief
from lunas.receivables.invoice import Facts, HoldKind


@dataclass(frozen=True, slots=True)
class Claimed:
    """Go: the notice is yours under `token`. `covered` are the other invoices that the message speaks of."""

    notice_id: int
    token: int
    contact_id: int
    brief: NoticeBrief
    covered: tuple[str, ...]
    facts: Facts


@dataclass(frozen=True, slots=True)
class Settled:
    """Nothing is open on it, or it is closed: `why` says which."""

    why: str
    facts: Facts


@dataclass(frozen=True, slots=True)
class Held:
    """A hold stops it; `kind` None means that an agency has it."""

    kind: HoldKind | None
    why: str
    facts: Facts


@dataclass(frozen=True, slots=True)
class Covered:
    """The message about the invoice `by` carried it."""

    by: str
    facts: Facts


@dataclass(frozen=True, slots=True)
class Wait:
    """Not now: ask again at `until`, a moment of the workflow's time."""

    until: datetime
    why: str
    facts: Facts


@dataclass(frozen=True, slots=True)
class NoContact:
    """Nobody can be reached through this channel."""

    why: str
    facts: Facts


@dataclass(frozen=True, slots=True)
class AlreadySent:
    """It was sent before, at `sent_at`: an earlier attempt's answer was lost on its way."""

    sent_at: datetime
    facts: Facts


@dataclass(frozen=True, slots=True)
class Unsettled:
    """The relay's answer to an earlier attempt was lost: it may have been sent, and is never sent again by itself."""

    since: datetime
    facts: Facts


Answer = Claimed | Settled | Held | Covered | Wait | NoContact | AlreadySent | Unsettled


@dataclass(frozen=True, slots=True)
class Committed:
    """The point of no return, once the transaction is committed: the message may leave, and soon.

    `deadline` is by the database's clock. `no_later` is the same moment or an earlier one on this machine's monotonic
    clock, which was read before the database's: a pause or a slow answer in between counts against the sender.
    """

    deadline: datetime
    no_later: float

    @property
    def seconds_left(self) -> float:
        """Seconds until nothing may leave any more; keep a margin of one."""
        return self.no_later - time.monotonic()


class RefusalReason(StrEnum):
    """Why a commit is refused, and so what its sender does next."""

    SETTLED = "settled"  # stop: nothing is open
    HELD = "held"  # stop: held, or with an agency
    CHANGED = "changed"  # claim again at once: the message no longer says what is so
    WINDOW = "window"  # claim again: the answer says until when to wait
    OVERTAKEN = "overtaken"  # stop: another attempt has it


@dataclass(frozen=True, slots=True)
class Refused:
    """It may not leave. `why` says in words what the re-check found."""

    reason: RefusalReason
    why: str
