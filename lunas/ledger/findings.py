"""What research found about an unreachable customer. Nothing about a debt goes there until a person has approved it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from lunas.ledger.customers import NewContact, add_contact, customer_by_code
from lunas.ledger.database import LedgerSession, WriteSession, insert_or_ignore
from lunas.ledger.errors import NotFound, Refused
from lunas.ledger.kinds import ContactSource, FindingKind, FindingState
from lunas.ledger.tables import CustomerRow, FindingRow

#: Found contacts are tried after those that the customer gave us.
_PRIORITY = 500


@dataclass(frozen=True, slots=True)
class NewFinding:
    """An address, a number or a page, and where it was found: a URL and the words around it."""

    kind: FindingKind
    value: str
    evidence: dict[str, Any]


async def propose(session: WriteSession, code: str, found: Sequence[NewFinding]) -> int:
    """Write findings down for a person to decide about; returns how many wait for a decision now.

    What was found before keeps its decision: research does not ask about a rejected address again. Raises NotFound.
    """
    customer = await customer_by_code(session, code)
    now = await session.now()
    for finding in found:
        await session.execute(
            insert_or_ignore(session, FindingRow, "customer_id", "kind", "value").values(
                customer_id=customer.id,
                kind=finding.kind.value,
                value=finding.value,
                evidence=finding.evidence,
                found_at=now,
            )
        )
    return len(await findings_of(session, code, FindingState.PROPOSED))


async def findings_of(session: LedgerSession, code: str, state: FindingState | None = None) -> Sequence[FindingRow]:
    """The customer's findings, oldest first; `state` restricts them."""
    statement = (
        select(FindingRow)
        .join(CustomerRow, CustomerRow.id == FindingRow.customer_id)
        .where(CustomerRow.code == code)
        .order_by(FindingRow.id)
    )
    if state is not None:
        statement = statement.where(FindingRow.state == state)
    return (await session.scalars(statement)).all()


async def approve_finding(session: WriteSession, finding_id: int, *, by: str) -> int | None:
    """Make a contact of it, which may be written to from now on; returns the contact's id.

    A landline or a profile is only noted as the customer's, for people to call or to look at: None is returned, and
    nothing is ever sent there. Raises NotFound, or Refused where it was decided already.
    """
    finding, code = await _undecided(session, finding_id)
    kind = FindingKind(finding.kind)
    if not kind.can_be_written_to:
        await _decide(session, finding, FindingState.APPROVED, by)
        return None
    by_mail = kind is FindingKind.EMAIL
    contact = await add_contact(
        session,
        code,
        NewContact(
            email=finding.value if by_mail else None,
            phone=None if by_mail else finding.value,
            source=ContactSource.RESEARCH,
            approved=True,
            priority=_PRIORITY,
        ),
        by=by,
    )
    finding.contact_id = contact.id
    await _decide(session, finding, FindingState.APPROVED, by)
    return contact.id


async def reject_finding(session: WriteSession, finding_id: int, *, by: str) -> None:
    """It is not the customer's, or not to be used. Raises NotFound, or Refused where it was decided already."""
    finding, _ = await _undecided(session, finding_id)
    await _decide(session, finding, FindingState.REJECTED, by)


async def _undecided(session: WriteSession, finding_id: int) -> tuple[FindingRow, str]:
    row = (
        await session.execute(
            select(FindingRow, CustomerRow.code)
            .join(CustomerRow, CustomerRow.id == FindingRow.customer_id)
            .where(FindingRow.id == finding_id)
            .with_for_update(of=FindingRow)
        )
    ).one_or_none()
    if row is None:
        raise NotFound(f"there is no finding {finding_id}: check the id in the customer's findings")
    finding, code = row
    if finding.state is not FindingState.PROPOSED:
        raise Refused(f"finding {finding_id} was {finding.state} by {finding.decided_by} already")
    return finding, code


async def _decide(session: WriteSession, finding: FindingRow, state: FindingState, by: str) -> None:
    finding.state = state
    finding.decided_by = by
    finding.decided_at = await session.now()
    await session.flush()
