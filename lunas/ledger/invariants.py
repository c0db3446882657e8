"""What must never be, asked of the ledger as queries. Tests, storms and a schedule ask; the answer should be nothing.

Each check stands under the number that the guarantees give it. Those about what a relay accepted need the relay's side
as well, and live with the storms.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, FunctionElement, and_, case, cast, exists, func, or_, select
from sqlalchemy.orm import aliased

from lunas.ledger.database import LedgerSession
from lunas.ledger.facts import CHARGES, CREDITED, DISCOUNT, OPEN_HOLD, OUTSTANDING, RECEIVED, REVERSED, TOLERATED
from lunas.ledger.journal import DIVERGED
from lunas.ledger.kinds import BookingState, JournalSource, NoticeState
from lunas.ledger.matching import ALLOCATED, UNAPPLIED
from lunas.ledger.tables import (
    AllocationRow,
    ChargeRow,
    InvoiceLineRow,
    InvoiceRow,
    JournalRow,
    NoticeRow,
    PlacementRow,
    ProviderReadingRow,
    ReceiptRow,
    RemittanceRow,
    ReversalRow,
    ToleranceRow,
    WaiverRow,
)
from lunas.providers.events import EventKind
from lunas.receivables.actions import NoticeKind
from lunas.receivables.invoice import CLOSED, HoldKind, Stage

#: Outside a storm: how long a commit may be past its deadline before the reconcile schedule should have seen it.
_RECONCILED_AFTER = timedelta(minutes=10)
#: How long a recall may take after a payment.
_RECALLED_AFTER = timedelta(minutes=10)
_DAY = re.compile(r"[+-]\d+$")
_ON_THE_LADDER = (NoticeKind.REMIND, NoticeKind.DUE_NOTICE, NoticeKind.FOLLOW_UP, NoticeKind.FINAL_DEMAND)


@dataclass(frozen=True, slots=True)
class Violation:
    """Something that must never be: the invariant's number, what it is about (no personal data), and what was found."""

    invariant: int
    subject: str
    what: str


async def violations(session: LedgerSession, *, at_rest: bool = False) -> list[Violation]:
    """Everything in the ledger that must never be. `at_rest`: no attempt is under way, so nothing may be claimed."""
    checks = (
        _said_once(session),
        _records_agree(session),
        _nothing_hangs(session, at_rest),
        _sums_agree(session),
        _receipts_add_up(session),
        _remittances_add_up(session),
        _let_off_once(session),
        _booked_once(session),
        _deliveries_are_booked(session),
        _journal_is_whole(session),
        _versions_are_whole(session),
        _placements_are_allowed(session, at_rest),
        _rungs_in_order(session),
    )
    return [violation for check in checks async for violation in check]


async def _said_once(session: LedgerSession) -> AsyncIterator[Violation]:
    rows = await session.execute(
        select(NoticeRow.invoice_id, NoticeRow.rung, NoticeRow.channel)
        .group_by(NoticeRow.invoice_id, NoticeRow.rung, NoticeRow.channel)
        .having(func.count() > 1)
    )
    for invoice_id, rung, channel in rows:
        yield Violation(2, f"invoice id {invoice_id}", f"{rung} by {channel} stands in the register twice")


async def _records_agree(session: LedgerSession) -> AsyncIterator[Violation]:
    """A sent notice says when and to whom; what a message covered fared as the message did."""
    incomplete = (NoticeRow.sent_at.is_(None), NoticeRow.contact_id.is_(None))
    for notice in await session.scalars(select(NoticeRow).where(NoticeRow.state == NoticeState.SENT, or_(*incomplete))):
        yield Violation(4, f"notice {notice.id}", "it is sent, but not when or to whom")
    lead = aliased(NoticeRow)
    rows = await session.execute(
        select(NoticeRow.id, NoticeRow.state, lead.id, lead.state)
        .join(lead, lead.id == NoticeRow.lead_id)
        .where(NoticeRow.state != lead.state)
    )
    for id_, state, lead_id, lead_state in rows:
        yield Violation(
            4, f"notice {id_}", f"it is {state}, the message that covers it (notice {lead_id}) {lead_state}"
        )


async def _nothing_hangs(session: LedgerSession, at_rest: bool) -> AsyncIterator[Violation]:
    now = await session.now()
    late: ColumnElement[bool] = (NoticeRow.state == NoticeState.COMMITTING) & (
        NoticeRow.deadline < now - _RECONCILED_AFTER
    )
    under_way = NoticeRow.state.in_((NoticeState.CLAIMED, NoticeState.COMMITTING))
    for notice in await session.scalars(select(NoticeRow).where(under_way if at_rest else late)):
        yield Violation(5, f"notice {notice.id}", f"it stays {notice.state}")


async def _sums_agree(session: LedgerSession) -> AsyncIterator[Violation]:
    """Invoices: the total is that of the lines, no part of the balance is negative, nor is the balance."""
    lines = cast(func.coalesce(func.sum(InvoiceLineRow.amount_minor), 0), BigInteger)
    billed = select(lines).where(InvoiceLineRow.invoice_id == InvoiceRow.id).correlate(InvoiceRow).scalar_subquery()
    rows = await session.execute(
        select(InvoiceRow.number, InvoiceRow.total_minor, billed).where(InvoiceRow.total_minor != billed)
    )
    for number, total, sum_of_lines in rows:
        yield Violation(6, number, f"its total is {total}, its lines add up to {sum_of_lines}")
    impossible = or_(
        RECEIVED < REVERSED,
        DISCOUNT < 0,
        TOLERATED < 0,
        InvoiceRow.total_minor + CHARGES - CREDITED < 0,
        OUTSTANDING < 0,
    )
    for number, outstanding in await session.execute(select(InvoiceRow.number, OUTSTANDING).where(impossible)):
        yield Violation(7, number, f"the parts of its balance cannot be; {outstanding} is open")


async def _receipts_add_up(session: LedgerSession) -> AsyncIterator[Violation]:
    """Receipts: nothing was matched or taken back beyond what came in, nor to an invoice in another currency."""
    rows = await session.execute(select(ReceiptRow.id, ALLOCATED, UNAPPLIED).where(or_(ALLOCATED < 0, UNAPPLIED < 0)))
    for id_, allocated, unapplied in rows:
        yield Violation(6, f"receipt {id_}", f"{allocated} of it are matched and {unapplied} are not")
    mixed = await session.execute(
        select(AllocationRow.id)
        .join(ReceiptRow, ReceiptRow.id == AllocationRow.receipt_id)
        .join(InvoiceRow, InvoiceRow.id == AllocationRow.invoice_id)
        .where(ReceiptRow.currency != InvoiceRow.currency)
    )
    for (id_,) in mixed:
        yield Violation(6, f"allocation {id_}", "it matches money to an invoice in another currency")


async def _remittances_add_up(session: LedgerSession) -> AsyncIterator[Violation]:
    """No remittance says more than came in; a receipt names one invoice or several, not both."""
    said = cast(func.coalesce(func.sum(RemittanceRow.amount_minor), 0), BigInteger)
    rows = await session.execute(
        select(ReceiptRow.id, said)
        .join(RemittanceRow, RemittanceRow.receipt_id == ReceiptRow.id)
        .group_by(ReceiptRow.id)
        .having(or_(said > ReceiptRow.amount_minor, func.count(ReceiptRow.named) > 0))
    )
    for id_, minor in rows:
        yield Violation(
            6, f"receipt {id_}", f"its remittance says {minor}: more than came in, or beside another number"
        )


async def _let_off_once(session: LedgerSession) -> AsyncIterator[Violation]:
    """A short payment is let off once at a time; what was claimed was not waived under the same name."""
    granted = func.sum(case((ToleranceRow.amount_minor > 0, 1), else_=-1))
    twice = await session.execute(
        select(ToleranceRow.invoice_id, granted).group_by(ToleranceRow.invoice_id).having(granted > 1)
    )
    for invoice_id, count in twice:
        yield Violation(6, f"invoice id {invoice_id}", f"{count} short payments of it are let off at once")
    both = await session.execute(
        select(ChargeRow.id, WaiverRow.id).join(
            WaiverRow,
            and_(WaiverRow.invoice_id == ChargeRow.invoice_id, WaiverRow.reference == ChargeRow.reference),
        )
    )
    for charge_id, waiver_id in both:
        yield Violation(6, f"charge {charge_id}", f"it was waived as well (waiver {waiver_id})")


async def _booked_once(session: LedgerSession) -> AsyncIterator[Violation]:
    rows = await session.execute(
        select(ReceiptRow.event_id, func.count())
        .where(ReceiptRow.event_id.is_not(None))
        .group_by(ReceiptRow.event_id)
        .having(func.count() > 1)
    )
    for event_id, booked in rows:
        yield Violation(8, f"provider event {event_id}", f"it was booked as {booked} receipts")


async def _deliveries_are_booked(session: LedgerSession) -> AsyncIterator[Violation]:
    """What a provider delivered and is marked as booked has its receipt or its reversal."""
    receipt = exists().where(
        ReceiptRow.provider == ProviderReadingRow.provider, ReceiptRow.reference == ProviderReadingRow.reference
    )
    reversal = exists().where(
        ReversalRow.provider == ProviderReadingRow.provider, ReversalRow.reference == ProviderReadingRow.reversal
    )
    of_money = case((ProviderReadingRow.kind == EventKind.REVERSED, reversal), else_=receipt)
    rows = await session.scalars(
        select(ProviderReadingRow.event_id).where(ProviderReadingRow.state == BookingState.BOOKED, ~of_money)
    )
    for event_id in rows:
        yield Violation(8, f"provider event {event_id}", "it is marked as booked, and there is no such money")


async def _journal_is_whole(session: LedgerSession) -> AsyncIterator[Violation]:
    """The workflow's lines are numbered without a gap, each begins where the last one ended, the last is the stage."""

    def beside(column: FunctionElement[Any], name: str) -> ColumnElement[Any]:
        return column.over(partition_by=JournalRow.invoice_id, order_by=JournalRow.sequence).label(name)

    lines = (
        select(
            JournalRow.invoice_id,
            JournalRow.sequence,
            JournalRow.was,
            JournalRow.becomes,
            beside(func.lag(JournalRow.becomes), "before"),
            beside(func.lag(JournalRow.sequence), "number_before"),
            beside(func.lead(JournalRow.sequence), "number_after"),
        )
        .where(JournalRow.source == JournalSource.WORKFLOW)
        .subquery()
    )
    gap = lines.c.sequence != func.coalesce(lines.c.number_before, 0) + 1
    jump = lines.c.was != func.coalesce(lines.c.before, Stage.ISSUED)
    last = lines.c.number_after.is_(None)
    astray = last & or_(lines.c.becomes != InvoiceRow.stage, lines.c.sequence != InvoiceRow.sequence)
    rows = await session.execute(
        select(InvoiceRow.number, lines.c.sequence, lines.c.was, lines.c.becomes, InvoiceRow.stage)
        .join(InvoiceRow, InvoiceRow.id == lines.c.invoice_id)
        .where(or_(gap, jump, astray))
    )
    for number, sequence, was, becomes, stage in rows:
        what = f"line {sequence} of its journal ({was} becomes {becomes}) does not follow, or does not lead to {stage}"
        yield Violation(9, number, what)


async def _versions_are_whole(session: LedgerSession) -> AsyncIterator[Violation]:
    """Every version of the facts has its line in the journal; no workflow contradicted what it had decided."""
    counted = select(func.count()).where(
        JournalRow.invoice_id == InvoiceRow.id, JournalRow.source == JournalSource.LEDGER
    )
    lines = counted.correlate(InvoiceRow).scalar_subquery()
    rows = await session.execute(
        select(InvoiceRow.number, InvoiceRow.facts_version, lines).where(InvoiceRow.facts_version != lines)
    )
    for number, version, count in rows:
        yield Violation(9, number, f"its facts are of version {version}, and {count} lines tell of them")
    diverged = await session.execute(
        select(InvoiceRow.number, JournalRow.detail)
        .join(InvoiceRow, InvoiceRow.id == JournalRow.invoice_id)
        .where(JournalRow.event == DIVERGED)
    )
    for number, detail in diverged:
        yield Violation(9, number, detail)


async def _placements_are_allowed(session: LedgerSession, at_rest: bool) -> AsyncIterator[Violation]:
    """No agency has what is settled, closed, disputed or promised; a recall after a payment may take a moment."""
    now = await session.now()
    must_not = or_(OUTSTANDING <= 0, InvoiceRow.stage.in_(CLOSED), OPEN_HOLD.in_((HoldKind.DISPUTE, HoldKind.PROMISE)))
    newest = select(func.max(JournalRow.at)).where(JournalRow.invoice_id == InvoiceRow.id).correlate(InvoiceRow)
    statement = (
        select(InvoiceRow.number, PlacementRow.agency)
        .join(PlacementRow, PlacementRow.invoice_id == InvoiceRow.id)
        .where(PlacementRow.ended_at.is_(None), must_not)
    )
    if not at_rest:
        statement = statement.where(newest.scalar_subquery() < now - _RECALLED_AFTER)
    for number, agency in await session.execute(statement):
        yield Violation(11, number, f"{agency} has it, though it is settled, closed, disputed or promised")
    twice = await session.execute(
        select(PlacementRow.invoice_id)
        .where(PlacementRow.ended_at.is_(None))
        .group_by(PlacementRow.invoice_id)
        .having(func.count() > 1)
    )
    for (invoice_id,) in twice:
        yield Violation(11, f"invoice id {invoice_id}", "it is placed twice")


async def _rungs_in_order(session: LedgerSession) -> AsyncIterator[Violation]:
    """An invoice's notices went out in the order of its ladder, by their business moments."""
    rows = await session.execute(
        select(InvoiceRow.number, NoticeRow.rung)
        .join(InvoiceRow, InvoiceRow.id == NoticeRow.invoice_id)
        .where(NoticeRow.state.in_((NoticeState.SENT, NoticeState.UNKNOWN)), NoticeRow.kind.in_(_ON_THE_LADDER))
        .order_by(NoticeRow.invoice_id, NoticeRow.business_at, NoticeRow.id)
    )
    before: tuple[str, int] | None = None
    for number, rung in rows:
        found = _DAY.search(rung)
        if found is None:
            continue
        day = int(found[0])
        if before is not None and before[0] == number and day < before[1]:
            yield Violation(14, number, f"{rung} went out after the rung of day {before[1]:+d}")
        before = (number, day)
