"""The gate, second half: the point of no return, and what came of it (T2 and T3 of the send protocol).

The sender prepares everything that can be taken back, commits, and only then lets the message go, if `Committed` still
leaves it time. Then it records the relay's word, or its silence. Every step is fenced by the claim's token.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence

from sqlalchemy import bindparam, or_, select

from lunas.ledger.answers import Committed, RefusalReason, Refused
from lunas.ledger.customers import address_of, contact_lost
from lunas.ledger.database import WriteSession
from lunas.ledger.errors import NotFound, StaleNotice
from lunas.ledger.facts import Seen, look_among
from lunas.ledger.grouping import may_be_dunned
from lunas.ledger.kinds import ANSWERS, NoticeState, Verdict
from lunas.ledger.policies import policy_under
from lunas.ledger.progress import COMMIT_LASTS, write_progress
from lunas.ledger.release import cancel, release_covered
from lunas.ledger.tables import ContactRow, CustomerRow, DecisionRow, NoticeRow
from lunas.receivables.invoice import Facts, Progress

#: Enhanced codes by which a relay says that the *recipient's* address is no good (5.1.7 and 5.1.8 are about ours).
_BAD_ADDRESS = re.compile(r"\b5\.1\.(?:1|2|3|4|6|9|10)\b")
_LONGEST_ANSWER = 500
_LOCK = (
    select(CustomerRow.id)
    .join(NoticeRow, NoticeRow.customer_id == CustomerRow.id)
    .where(NoticeRow.id == bindparam("notice"))
    .with_for_update(of=CustomerRow, key_share=True)
)
_GROUP = (
    select(NoticeRow, ContactRow)
    .outerjoin(ContactRow, ContactRow.id == NoticeRow.contact_id)
    .where(or_(NoticeRow.id == bindparam("lead"), NoticeRow.lead_id == bindparam("lead")))
    .order_by(NoticeRow.lead_id.is_not(None), NoticeRow.id)
    .execution_options(populate_existing=True)
)


async def commit(
    session: WriteSession, notice_id: int, token: int, *, template_digest: str | None = None
) -> Committed | Refused:
    """Ask for the point of no return. Nothing may leave before this transaction is committed, nor after a refusal.

    Everything is checked again, for every invoice that the message speaks of; the refusal's reason says what to do.
    """
    group = await locked_group(session, notice_id)
    lead = group[0]
    started = time.monotonic()  # before the database's clock is read: a pause from here on counts against the sender
    seen = await look_among(session, [row.invoice_id for row in group])
    own = seen[lead.invoice_id]
    refused = _overtaken(lead, token) or await _refuse(session, lead, group[1:], seen)
    if refused is not None:
        await _record_refusal(session, lead, own, refused)
        return refused
    deadline = own.now + COMMIT_LASTS
    for row in group:
        row.state = NoticeState.COMMITTING
        row.deadline = deadline
        row.template_digest = template_digest
    await session.flush()
    return Committed(deadline, started + COMMIT_LASTS.total_seconds())


def _overtaken(lead: NoticeRow, token: int) -> Refused | None:
    if lead.token != token or lead.state not in (NoticeState.CLAIMED, NoticeState.CANCELLED):
        why = f"notice {lead.id} is {lead.state} under token {lead.token}, and token {token} asks"
        return Refused(RefusalReason.OVERTAKEN, why)
    return None


async def _refuse(
    session: WriteSession, lead: NoticeRow, covered: Sequence[NoticeRow], seen: dict[int, Seen]
) -> Refused | None:
    """Why the message may not leave, as things are now; takes back what is no longer to be said."""
    own = seen[lead.invoice_id]
    if own.stopped:
        return Refused(RefusalReason.CHANGED, "all sending is stopped by a person")
    if lead.kind not in ANSWERS:
        if not may_be_dunned(own):
            await _take_back(session, lead)
            settled = own.balance.settled or own.invoice.stage.is_closed
            reason = RefusalReason.SETTLED if settled else RefusalReason.HELD
            return Refused(
                reason,
                f"{own.invoice.number}: {own.balance.outstanding} open, {own.hold or own.invoice.stage}",
            )
        calendar = (await policy_under(session, own.invoice.policy_digest)).calendar
        moment = lead.business_at + (own.now - lead.claimed_at)
        if not calendar.permits(moment):
            await _take_back(session, lead)
            return Refused(RefusalReason.WINDOW, f"the window closed: {moment.isoformat()} in {calendar.zone_name}")
    if lead.state is NoticeState.CANCELLED:
        return Refused(RefusalReason.CHANGED, "the claim was taken back, for a reason that has passed since")
    gone = [row for row in covered if row.state is not NoticeState.CLAIMED or not may_be_dunned(seen[row.invoice_id])]
    for row in gone:
        cancel(row)
    if gone or len(covered) != lead.covers:
        await session.flush()
        return Refused(RefusalReason.CHANGED, "an invoice that the message speaks of was paid, held or taken out")
    for row in (lead, *covered):
        if seen[row.invoice_id].invoice.facts_version != row.facts_version:
            return Refused(RefusalReason.CHANGED, f"{seen[row.invoice_id].invoice.number} has new facts")
    contact = await session.get(ContactRow, lead.contact_id) if lead.contact_id else None  # came with the group
    if contact is None or contact.version != lead.contact_version or not address_of(contact, lead.channel):
        return Refused(RefusalReason.CHANGED, f"contact {lead.contact_id} was corrected, lost or opted out")
    return None


async def _take_back(session: WriteSession, lead: NoticeRow) -> None:
    cancel(lead)
    await release_covered(session, [lead.id])


async def _record_refusal(session: WriteSession, lead: NoticeRow, own: Seen, refused: Refused) -> None:
    """A refused commit is silence too, and must be explained."""
    policy = await policy_under(session, own.invoice.policy_digest)
    session.add(
        DecisionRow(
            invoice_id=lead.invoice_id,
            at=lead.business_at + (own.now - lead.claimed_at),
            recorded_at=own.now,
            verdict=Verdict.REFUSED,
            rung=lead.rung,
            channel=lead.channel,
            policy=f"{policy.name}@{policy.version}",
            facts_version=own.invoice.facts_version,
            balance_minor=own.balance.outstanding,
            gates=[["commit", False, refused.why]],
            why=f"refused at the last moment, {refused.reason}: {refused.why}",
            contact_id=lead.contact_id,
            notice_id=lead.id,
        )
    )
    await session.flush()


async def record_sent(
    session: WriteSession,
    notice_id: int,
    token: int,
    *,
    answer: str,
    code: int = 250,
    if_sent: Progress | None = None,
) -> Facts:
    """The relay took the message: so says its `answer`. `if_sent` is written in the same transaction.

    Also for a notice that has become `unknown` meanwhile: its sender does know. Raises StaleNotice otherwise.
    """
    group = await locked_group(session, notice_id)
    # Once the notice was unknown its workflow has been told so, and has decided: only the fact is news to it.
    was_waited_for = group[0].state is NoticeState.COMMITTING
    if not (group[0].state is NoticeState.SENT and group[0].token == token):
        _check_under_way(group[0], token)
    seen = (await look_among(session, [group[0].invoice_id]))[group[0].invoice_id]
    for row in group:
        row.state = NoticeState.SENT
        row.sent_at = row.sent_at or seen.now
        row.deadline = None
        row.code, row.answer = code, answer[:_LONGEST_ANSWER]
    if if_sent is not None and was_waited_for:
        await write_progress(session, seen, if_sent)
    await session.flush()
    return seen.facts


async def record_refused(
    session: WriteSession,
    notice_id: int,
    token: int,
    *,
    permanent: bool,
    code: int,
    text: str,
    bad_address: bool | None = None,
) -> Facts:
    """The relay refused it, or it was not let go in time: it certainly did not leave.

    For now (4xx): it is claimed again, and the next attempt may try. For good (5xx): it has failed, and the contact
    is marked where the address is at fault (`bad_address` None: as the enhanced status code in `text` says). Before the
    commit a refusal is recorded in the same way. Where it has become `unknown` meanwhile, a refusal for now takes the
    claim back: whoever still wants it may claim it again. Raises StaleNotice for an attempt that was overtaken.
    """
    group = await locked_group(session, notice_id)
    lead = group[0]
    if lead.state is not NoticeState.CLAIMED or lead.token != token:
        _check_under_way(lead, token)
    # A workflow that was told so has gone on: a claim might stay for ever. Another, which only travelled with it or is
    # still in this attempt, must be able to claim, so that it has not failed either.
    was_given_up = lead.state is NoticeState.UNKNOWN
    for row in group:
        row.state = NoticeState.FAILED if permanent else NoticeState.CLAIMED
        row.deadline = None
        row.code, row.answer = code, text[:_LONGEST_ANSWER]
    if permanent or was_given_up:
        for row in group[1:] if permanent else group:
            cancel(row)  # what the message covered may be claimed by itself
    await session.flush()
    if bad_address is None:
        bad_address = permanent and _BAD_ADDRESS.search(text) is not None
    if bad_address and lead.contact_id is not None:
        contact = await session.get_one(ContactRow, lead.contact_id)
        await contact_lost(session, contact, lead.channel, await session.now())
    return await _facts_of(session, lead)


async def record_unknown(session: WriteSession, notice_id: int, token: int) -> Facts:
    """The relay's answer was lost: it may have been sent. A person, a receipt or the relay's log settles it."""
    group = await locked_group(session, notice_id)
    _check_under_way(group[0], token)
    await mark_unknown(session, notice_id)
    return await _facts_of(session, group[0])


async def mark_unknown(session: WriteSession, lead_id: int) -> None:
    """Nobody will ever hear what became of this message and what it covered; needs the customer's lock."""
    now = await session.now()
    for row in await _group(session, lead_id):
        if row.state is NoticeState.COMMITTING:
            row.state, row.unsettled_at = NoticeState.UNKNOWN, now
    await session.flush()


def _check_under_way(lead: NoticeRow, token: int) -> None:
    if lead.token != token or lead.state not in (NoticeState.COMMITTING, NoticeState.UNKNOWN):
        raise StaleNotice(
            f"notice {lead.id} is {lead.state} under token {lead.token}, and token {token} reports about it: "
            "another attempt has it; do not record anything for it"
        )


async def locked_group(session: WriteSession, notice_id: int) -> Sequence[NoticeRow]:
    """The customer's lock, then the notice and what travels with it, the lead first."""
    if session.locks_rows:
        await session.execute(_LOCK, {"notice": notice_id})
    group = await _group(session, notice_id)
    if not group:
        raise NotFound(f"there is no notice {notice_id}: claim it first")
    return group


async def _group(session: WriteSession, lead_id: int) -> Sequence[NoticeRow]:
    return [notice for notice, _ in await session.execute(_GROUP, {"lead": lead_id})]


async def _facts_of(session: WriteSession, lead: NoticeRow) -> Facts:
    return (await look_among(session, [lead.invoice_id]))[lead.invoice_id].facts
