"""Handing an invoice to the collection agency, and taking it back.

The ledger refuses a placement that must not be; it is written down before the agency hears of it, so that a crash in
between is mended by the next attempt and never leaves an agency that chases without our knowing.
"""

from __future__ import annotations

import asyncio

from temporalio import activity

from activities.agencies import Agency, AgencyNotReady, PackageError, PlacementPackage, Recall
from activities.clock import business_now
from lunas.company import Company
from lunas.ledger.database import Ledger
from lunas.ledger.errors import Refused
from lunas.ledger.kinds import NoticeState
from lunas.ledger.notices import notices_of
from lunas.ledger.placements import place, placements_of, recall
from lunas.ledger.progress import record_progress, settle
from lunas.ledger.statements import account_of
from lunas.receivables.actions import NoticeKind
from lunas.receivables.calendar import zone
from lunas.receivables.orders import Order, Report, Verdict
from templates.typeset import statement_pdf


class AgencyActivities:
    """Places with one agency."""

    def __init__(self, ledger: Ledger, agency: Agency, company: Company) -> None:
        self._ledger = ledger
        self._agency = agency
        self._company = company

    @activity.defn(name="place_with_agency")
    async def place(self, order: Order) -> Report:
        """Write the placement down, then hand the package over; a refusal comes back as a fact for the lifecycle."""
        today = business_now(order.at).date()
        async with self._ledger.write() as session:
            facts = await record_progress(session, order.invoice, order.progress)
        try:
            async with self._ledger.write() as session:
                placed = await place(session, order.invoice, agency=self._agency.name, approved_by=order.subject)
        except Refused as refused:
            return Report(Verdict.FAILED, facts, reason=str(refused))
        await settle(self._ledger, order.invoice)
        async with self._ledger.read() as session:
            account = await account_of(session, order.invoice, today)
            demanded = [
                notice.business_at.astimezone(zone(account.time_zone)).date()
                for notice in await notices_of(session, order.invoice)
                if notice.kind is NoticeKind.FINAL_DEMAND and notice.state is NoticeState.SENT
            ]
        statement = await asyncio.to_thread(
            statement_pdf, [account.invoice], account.to, self._company, as_of=today, history=account.history
        )
        package = PlacementPackage(
            invoice=account.invoice,
            to=account.to,
            emails=account.emails,
            phones=account.phones,
            placed_on=today,
            approved_by=order.subject,
            statement=statement,
            final_demand_on=max(demanded, default=None),
        )
        key = f"placement/{order.invoice}/{placed.placement_id}"
        try:
            await self._agency.place(package, key)
        except (AgencyNotReady, PackageError) as error:
            async with self._ledger.write() as session:
                facts = await recall(session, order.invoice, by="lunas", reason=str(error))
            return Report(Verdict.FAILED, facts, reason=str(error))
        return Report(Verdict.DONE, placed.facts)

    @activity.defn(name="recall_from_agency")
    async def recall(self, order: Order) -> Report:
        """Tell the agency to stop, then write down that it has; until it was told it may still chase."""
        today = business_now(order.at).date()
        async with self._ledger.write() as session:
            facts = await record_progress(session, order.invoice, order.progress)
        async with self._ledger.read() as session:
            open_ones = [one for one in await placements_of(session, order.invoice) if one.ended_at is None]
            account = await account_of(session, order.invoice, today)
        for placement in open_ones:
            await self._agency.recall(
                Recall(order.invoice, account.to.customer_code, order.subject, today, placement.agency_reference),
                f"recall/{order.invoice}/{placement.id}",
            )
            async with self._ledger.write() as session:
                facts = await recall(session, order.invoice, by="lunas", reason=order.subject)
        return Report(Verdict.DONE, facts)
