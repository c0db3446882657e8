"""How long to wait for each activity and how often to try again: one row each, with its reason.

Names are the contract with running histories: an activity is never renamed, and each notice has a name of its own,
because replay cannot see two calls of one name change places.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from temporalio.common import RetryPolicy

from lunas.receivables.actions import (
    Action,
    PlaceWithAgency,
    PrepareOffer,
    RecallFromAgency,
    ResearchContact,
    SendNotice,
    TellOwner,
)

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


@dataclass(frozen=True)
class Options:
    """One row: how long one attempt may take, and how attempts follow each other."""

    attempt: timedelta
    first_wait: timedelta
    longest_wait: timedelta
    reason: str

    @property
    def retry(self) -> RetryPolicy:
        return RetryPolicy(initial_interval=self.first_wait, maximum_interval=self.longest_wait, backoff_coefficient=2)


# fmt: off
_NOTICE = Options(MINUTE, 2 * SECOND, 5 * MINUTE,
    "A relay or ledger that is down comes back; the gate ends the tries when the day's window closes.")
_TABLE: dict[str, Options] = {
    "record_progress":     Options(30 * SECOND,  SECOND,      MINUTE,       "The ledger must have it before a request is answered; only an outage of the ledger delays it."),
    "research_contact":    Options(5 * MINUTE,   10 * SECOND, 30 * MINUTE,  "Other people's websites are slow, and a search may wait."),
    "prepare_offer":       Options(MINUTE,       5 * SECOND,  10 * MINUTE,  "Providers of payments have hiccups; the key keeps a repeated call from making a second instrument."),
    "follow_offers":       Options(2 * MINUTE,   10 * SECOND, 15 * MINUTE,  "Several providers are asked in a row; one that is away comes back, and the key keeps it from making a second instrument."),
    "place_with_agency":   Options(2 * MINUTE,   10 * SECOND, 30 * MINUTE,  "The package is mailed once by its key; an agency that cannot be reached is tried again."),
    "recall_from_agency":  Options(2 * MINUTE,   5 * SECOND,  10 * MINUTE,  "Until the agency knows, both might chase: tried again until it is told."),
    "tell_owner":          Options(30 * SECOND,  5 * SECOND,  10 * MINUTE,  "Staff mail may be late, never lost."),
    "due_webhooks":        Options(30 * SECOND,  SECOND,      MINUTE,       "Only an outage of the ledger delays it."),
    "deliver_webhook":     Options(MINUTE,       5 * SECOND,  10 * MINUTE,  "A receiver that fails is no failure of the activity, and waits as WEBHOOK_WAITS say; what is tried again here is the ledger."),
    "tell_owner_of_webhook": Options(30 * SECOND, 5 * SECOND, 10 * MINUTE,  "Staff mail may be late, never lost."),
}
# fmt: on

#: How long after each failed attempt a webhook is tried again: three times as long each time, for about three days.
WEBHOOK_WAITS: tuple[timedelta, ...] = tuple(min(10 * SECOND * 3**failed, timedelta(hours=12)) for failed in range(13))

_NAMES: dict[type[Action], str] = {
    ResearchContact: "research_contact",
    PrepareOffer: "prepare_offer",
    PlaceWithAgency: "place_with_agency",
    RecallFromAgency: "recall_from_agency",
    TellOwner: "tell_owner",
}


def activity_name(action: Action) -> str:
    """The activity that performs the action: `email_follow_up`, `sms_remind`, `place_with_agency`."""
    if isinstance(action, SendNotice):
        return f"{action.channel}_{action.kind}"
    return _NAMES[type(action)]


def options_for(name: str) -> Options:
    """The row of that activity."""
    return _TABLE.get(name, _NOTICE)
