"""The control: check, send, record, as anybody would write it who has not met a crash between two of these.

It stands in for `activities.delivery.Delivery` in the same harness. A storm that it survives unharmed has no teeth.
"""

from __future__ import annotations

import time
from dataclasses import replace

from sqlalchemy import select
from temporalio.exceptions import ApplicationError

from activities.clock import business_now
from activities.delivery import Carrier, Refused, Silent, Unreachable
from lunas.briefs import NoticeBrief
from lunas.ledger.briefing import brief_for, message_id
from lunas.ledger.customers import Reachable, best_of, contacts_of
from lunas.ledger.database import Ledger, WriteSession
from lunas.ledger.facts import Seen, look_at
from lunas.ledger.kinds import ANSWERS, NoticeState
from lunas.ledger.policies import policy_under
from lunas.ledger.progress import write_progress
from lunas.ledger.tables import CustomerRow, NoticeRow
from lunas.receivables.orders import NoticeOrder, Report, Verdict


class NaiveDelivery:
    """Delivers notices without a gate."""

    def __init__(self, ledger: Ledger, sender_domain: str) -> None:
        self._ledger = ledger
        self._sender_domain = sender_domain

    async def deliver(self, order: NoticeOrder, carrier: Carrier) -> Report:
        """Check that it is owed and unsaid, send it, write it down."""
        order = replace(order, at=business_now(order.at))
        async with self._ledger.write() as session:
            checked = await self._check(session, order)
        if isinstance(checked, Report):
            return checked
        brief, seen, to = checked
        try:
            async with await carrier.prepare(brief) as prepared:
                await prepared.release(before=time.monotonic() + 60)
        except Refused as refused:
            if refused.permanent:
                return Report(Verdict.UNDELIVERABLE, seen.facts)
            raise ApplicationError(str(refused)) from None
        except (Silent, Unreachable) as error:
            raise ApplicationError(str(error)) from None
        async with self._ledger.write() as session:
            await self._record(session, order, seen, to, brief.message_id)
        return Report(Verdict.SENT, seen.facts)

    async def _check(self, session: WriteSession, order: NoticeOrder) -> Report | tuple[NoticeBrief, Seen, Reachable]:
        seen = await look_at(session, order.invoice)
        await write_progress(session, seen, order.progress)
        own = await session.scalar(
            select(NoticeRow).where(
                NoticeRow.invoice_id == seen.invoice.id,
                NoticeRow.rung == order.notice.rung,
                NoticeRow.channel == order.notice.channel,
            )
        )
        if own is not None:
            return Report(Verdict.SENT, seen.facts)
        if order.notice.kind not in ANSWERS and (seen.balance.settled or seen.hold is not None):
            return Report(Verdict.WITHHELD, seen.facts)
        customer = await session.get_one(CustomerRow, seen.invoice.customer_id)
        to = best_of(await contacts_of(session, customer.id), order.notice.channel, customer.language)
        if to is None:
            return Report(Verdict.UNDELIVERABLE, seen.facts)
        calendar = (await policy_under(session, seen.invoice.policy_digest)).calendar
        brief = await brief_for(
            session,
            order.notice,
            customer=customer,
            to=to,
            seen=[seen],
            today=calendar.local_date(order.at),
            message=message_id(order.invoice, order.notice.rung, order.notice.channel, self._sender_domain),
            first_mail=False,
        )
        return brief, seen, to

    async def _record(self, session: WriteSession, order: NoticeOrder, seen: Seen, to: Reachable, message: str) -> None:
        seen = await look_at(session, order.invoice)
        calendar = (await policy_under(session, seen.invoice.policy_digest)).calendar
        session.add(
            NoticeRow(
                customer_id=seen.invoice.customer_id,
                invoice_id=seen.invoice.id,
                rung=order.notice.rung,
                channel=order.notice.channel,
                kind=order.notice.kind,
                tone=order.notice.tone,
                state=NoticeState.SENT,
                local_date=calendar.local_date(order.at),
                business_at=order.at,
                claimed_at=seen.now,
                sent_at=seen.now,
                facts_version=seen.invoice.facts_version,
                contact_id=to.contact_id,
                contact_version=to.version,
                message_id=message,
            )
        )
        if order.if_sent is not None:
            await write_progress(session, seen, order.if_sent)
        await session.flush()
