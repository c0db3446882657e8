"""What a storm left behind, gathered from three sides that do not know each other: relay, payers and ledger."""

from __future__ import annotations

import email
import email.policy
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select

from lunas.ledger.database import Ledger, LedgerSession
from lunas.ledger.invariants import Violation, violations
from lunas.ledger.kinds import ANSWERS, JournalSource
from lunas.ledger.policies import policy_under
from lunas.ledger.tables import DecisionRow, InvoiceRow, JournalRow, NoticeRow, ReceiptRow
from lunas.receivables.policy import Policy
from tests.storm.plan import Plan
from tests.storm.sink import read_log

_NUMBER = re.compile(r"ST/\d{3}/\d+")


@dataclass(frozen=True, slots=True)
class Mail:
    """A message that the relay accepted: its last byte came at `dot_at` (monotonic)."""

    message_id: str
    to: str
    dot_at: float
    speaks_of: frozenset[str]

    @property
    def is_answer(self) -> bool:
        """The same as of `Said`, by the message's id: the ledger may not know of it."""
        return self.message_id.startswith(tuple(f"<{kind}" for kind in ANSWERS))


@dataclass(frozen=True, slots=True)
class Said:
    """A notice as the ledger has it, with the number of its invoice and of those that its message covered."""

    row: NoticeRow
    number: str
    covered: frozenset[str]

    @property
    def is_answer(self) -> bool:
        """Whether it answers what the customer did: allowed after a payment."""
        return self.row.kind in ANSWERS

    @property
    def speaks_of(self) -> frozenset[str]:
        return self.covered | {self.number}


@dataclass(frozen=True)
class Evidence:
    """Everything that the checks look at.

    `settled_at` is when the payment that settles an invoice was acknowledged; `held` is between which moments one was
    on hold for certain (monotonic).
    """

    plan: Plan
    mails: Sequence[Mail]
    relay_events: Sequence[dict[str, object]]
    settled_at: dict[str, float]
    held: Sequence[tuple[str, float, float]]
    acknowledged: frozenset[str]
    invoices: dict[str, InvoiceRow]
    policies: dict[str, Policy]
    notices: Sequence[Said]
    decisions: Sequence[DecisionRow]
    journal: dict[str, Sequence[JournalRow]]
    receipts: Sequence[ReceiptRow]
    ledger_violations: Sequence[Violation]
    running: Sequence[str]
    broken_workflows: Sequence[str]
    unread: dict[str, bytes]

    def by_message(self) -> dict[str, Said]:
        """Leading notices by their Message-ID."""
        return {said.row.message_id: said for said in self.notices if said.row.message_id}

    def carried_by(self, lead: Said) -> list[Said]:
        """The notices that travelled with that message."""
        return [said for said in self.notices if said.row.lead_id == lead.row.id]

    def policy_of(self, number: str) -> Policy:
        """The policy that the invoice carries."""
        return self.policies[self.invoices[number].policy_digest]


async def read_ledger(ledger: Ledger) -> dict[str, object]:
    """The ledger's side, in one snapshot."""
    async with ledger.read() as session:
        invoices = {row.number: row for row in await session.scalars(select(InvoiceRow))}
        of_id = {row.id: number for number, row in invoices.items()}
        journal: dict[str, list[JournalRow]] = defaultdict(list)
        for line in await session.scalars(select(JournalRow).order_by(JournalRow.sequence)):
            if line.source is JournalSource.WORKFLOW:
                journal[of_id[line.invoice_id]].append(line)
        digests = {row.policy_digest for row in invoices.values()}
        return {
            "invoices": invoices,
            "policies": {digest: await policy_under(session, digest) for digest in digests},
            "notices": await _notices(session, of_id),
            "decisions": (await session.scalars(select(DecisionRow).order_by(DecisionRow.id))).all(),
            "journal": dict(journal),
            "receipts": (await session.scalars(select(ReceiptRow))).all(),
            "ledger_violations": await violations(session, at_rest=True),
        }


async def _notices(session: LedgerSession, of_id: dict[int, str]) -> list[Said]:
    rows = (await session.scalars(select(NoticeRow).order_by(NoticeRow.id))).all()
    covered: dict[int, set[str]] = defaultdict(set)
    for row in rows:
        if row.lead_id is not None:
            covered[row.lead_id].add(of_id[row.invoice_id])
    return [Said(row, of_id[row.invoice_id], frozenset(covered[row.id])) for row in rows]


def read_mails(folder: Path, plan: Plan) -> list[Mail]:
    """The relay's side: what it accepted for customers, in the order of the last bytes."""
    customers = {address for debtor in plan.debtors for address in debtor.addresses}
    mails = []
    for line in read_log(folder):
        if line["event"] == "accepted" and line["to"] in customers:
            text = _text_of((folder / line["file"]).read_bytes())
            mails.append(Mail(line["id"], line["to"], line["dot_at"], frozenset(_NUMBER.findall(text))))
    return sorted(mails, key=lambda mail: mail.dot_at)


def _text_of(raw: bytes) -> str:
    message = email.message_from_bytes(raw, policy=email.policy.default)
    body = message.get_body(("plain",))
    assert body is not None
    return f"{message['subject']}\n{body.get_content()}"


def settled_at(plan: Plan, first_acknowledged: dict[str, float]) -> dict[str, float]:
    """From when on an invoice that was paid whole is to be left in peace: once all its payments were acknowledged."""
    parts: dict[str, list[float | None]] = defaultdict(list)
    paid: dict[str, int] = defaultdict(int)
    for payment in plan.payments:
        parts[payment.invoice].append(first_acknowledged.get(payment.reference))
        paid[payment.invoice] += payment.minor
    due = {bill.number: bill.minor for _, bill in plan.bills}
    return {
        number: max(moment for moment in moments if moment is not None)
        for number, moments in parts.items()
        if None not in moments and paid[number] >= due[number]
    }
