"""The storm's figures: what it did, how strong it was, and what came of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from lunas.ledger.invariants import Violation
from lunas.ledger.kinds import NoticeState, Verdict
from tests.storm.driver import Acknowledged
from tests.storm.evidence import Evidence
from tests.storm.plan import FaultKind, Scale

_MOST_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Strength:
    """The least that a storm must have done for its silence to mean anything."""

    messages: int
    cancelled: int
    kills: int


@dataclass(frozen=True)
class Outcome:
    """A storm's figures and what was found against the product."""

    title: str
    seconds: float
    accepted: int
    demands: int
    twice: int
    after: int
    believed: int
    unheard_of: int
    unknown: int
    unknown_sent: int
    cancelled: int
    grouped: int
    lost_payments: int
    payments: int
    holds: int
    deliveries: int
    answers: Counter[int]
    acknowledged_in: tuple[float, float]
    refusals: int
    happened: Counter[FaultKind]
    deaths: Counter[str]
    violations: tuple[Violation, ...]

    def weakness(self, strength: Strength) -> list[str]:
        """In what it was too weak."""
        kills = self.happened[FaultKind.KILL_WORKER]
        wanted = (
            (self.accepted, strength.messages, "messages"),
            (self.cancelled, strength.cancelled, "cancelled claims"),
            (kills, strength.kills, "worker kills"),
        )
        return [f"{found} {what}, fewer than {least}" for found, least, what in wanted if found < least]

    def print(self) -> None:
        """The table."""
        kills = ", ".join(f"{count} × {kind}" for kind, count in sorted(self.happened.items())) or "none"
        deaths = ", ".join(f"{count} × {role}" for role, count in self.deaths.items()) or "none"
        middle, slow = self.acknowledged_in
        answers = ", ".join(f"{count} × {status}" for status, count in sorted(self.answers.items()))
        rows = (
            ("accepted by the relay", f"{self.accepted} (of them {self.demands} demands)"),
            ("twice", self.twice),
            ("after the acknowledged payment", self.after),
            ("believed sent, never sent", self.believed),
            ("sent, and the ledger does not know", self.unheard_of),
            ("unknown / of these in fact sent", f"{self.unknown} / {self.unknown_sent}"),
            ("acknowledged payments / lost", f"{self.payments} / {self.lost_payments}"),
            ("claims cancelled", self.cancelled),
            ("notices that travelled with another", self.grouped),
            ("refusals by the relay", self.refusals),
            ("holds, acknowledged", self.holds),
            ("requests to the API / answered", f"{self.deliveries} / {answers}"),
            ("acknowledgement p50 / p95", f"{middle * 1000:.0f} / {slow * 1000:.0f} ms"),
            ("faults", kills),
            ("processes that ended by themselves", deaths),
            ("duration", f"{self.seconds:.0f} s"),
        )
        print(f"\n{self.title}")
        for name, value in rows:
            print(f"  {name:<38} {value}")
        for found in self.violations[:_MOST_SHOWN]:
            print(f"  invariant {found.invariant}: {found.subject}: {found.what}")
        if len(self.violations) > _MOST_SHOWN:
            print(f"  … and {len(self.violations) - _MOST_SHOWN} more")


def outcome(
    title: str,
    evidence: Evidence,
    acknowledged: Acknowledged,
    happened: Counter[FaultKind],
    deaths: Counter[str],
    seconds: float,
    violations: list[Violation],
) -> Outcome:
    """Count."""
    times = Counter(mail.message_id for mail in evidence.mails)
    known = evidence.by_message()
    leads = [said for said in evidence.notices if said.row.lead_id is None]
    unknown = [said for said in leads if said.row.state is NoticeState.UNKNOWN]
    cancelled = {said.row.id for said in evidence.notices if said.row.state is NoticeState.CANCELLED}
    cancelled |= {row.notice_id for row in evidence.decisions if row.verdict is Verdict.REFUSED and row.notice_id}
    took = sorted(acknowledged.took) or [0.0]
    booked = {row.reference for row in evidence.receipts}
    return Outcome(
        title=title,
        seconds=seconds,
        accepted=len(evidence.mails),
        demands=sum(not (said and said.is_answer) for said in (known.get(mail.message_id) for mail in evidence.mails)),
        twice=sum(count - 1 for count in times.values()),
        after=len({found.what for found in violations if found.invariant == 1}),
        believed=sum(said.row.state is NoticeState.SENT and said.row.message_id not in times for said in leads),
        unheard_of=sum(found.invariant == 4 and "accepted" in found.what for found in violations),
        unknown=len(unknown),
        unknown_sent=sum(said.row.message_id in times for said in unknown),
        cancelled=len(cancelled),
        grouped=sum(said.row.lead_id is not None for said in evidence.notices),
        lost_payments=len(evidence.acknowledged - booked),
        payments=len(evidence.acknowledged),
        holds=len(acknowledged.held),
        deliveries=acknowledged.deliveries,
        answers=acknowledged.answers,
        acknowledged_in=(took[len(took) // 2], took[int(len(took) * 0.95)]),
        refusals=sum(event["event"] == "refused" for event in evidence.relay_events),
        happened=happened,
        deaths=deaths,
        violations=tuple(violations),
    )


def strength_of(scale: Scale) -> Strength:
    """What a storm of that scale must reach: the full figures for a full one, a share of them for a short one."""
    if scale.seconds >= 90:
        return Strength(messages=140, cancelled=10, kills=12)
    return Strength(
        messages=int(scale.invoices * scale.rungs * 0.35),
        cancelled=scale.invoices // 30,
        kills=max(1, int(scale.seconds / scale.fault_every * 0.2)) if scale.fault_every else 0,
    )
