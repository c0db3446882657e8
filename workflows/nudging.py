"""Nudging: telling an invoice's workflow that the ledger has news, or starting it. One way for all who have news.

A nudge may be lost, doubled or late: the facts carry a version, and the outbox keeps what was not delivered. So nothing
here is ever tried again on the spot; whoever calls leaves the outbox's row for the reconcile schedule.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from temporalio.client import Client, WorkflowQueryFailedError, WorkflowQueryRejectedError
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.service import RPCError, RPCStatusCode

from lunas.receivables.adoption import adopt
from lunas.receivables.invoice import Facts, InvoiceState
from lunas.receivables.lifecycle import decide
from workflows import messages as m
from workflows import visibility
from workflows.offers import follow_offers

#: How long one call to Temporal may take.
PATIENCE = timedelta(seconds=3)


class Told(StrEnum):
    """What came of a nudge."""

    SIGNALLED = "signalled"
    STARTED = "started"
    NOT_WANTED = "not_wanted"  # it is closed, and these facts do not open it again


class News(Protocol):
    """The ledger's side of it. The first two raise for an unknown number."""

    async def facts_of(self, number: str) -> Facts:
        """The facts as they are now."""

    async def state_of(self, number: str) -> InvoiceState:
        """What a workflow starts from."""

    async def needs_other_offers(self, number: str) -> bool:
        """Whether the ways to pay that were made for the invoice do not fit its balance any more."""

    async def mark(self, number: str, version: int) -> None:
        """Write down that the workflow of `number` has been told the facts of a version."""

    def now(self) -> datetime:
        """The wall clock."""


@dataclass(frozen=True)
class Courier:
    """Brings `news` to workflows."""

    news: News

    async def deliver(self, client: Client, number: str) -> Told:
        """Bring the workflow of `number` up to date, and write down that this was done.

        Raises RPCError, or RuntimeError where no connection can be made: then nothing is written down.
        """
        facts = await self.news.facts_of(number)
        if await signal(client, number, facts):
            told = Told.SIGNALLED
        else:
            state = await last_state(client, await self.news.state_of(number))
            told = await start(client, state, facts, self.news.now())
        if await self.news.needs_other_offers(number):
            await follow_offers(client, number)
        await self.news.mark(number, facts.version)
        return told

    async def start(self, client: Client, state: InvoiceState, facts: Facts) -> Told:
        """The same for an invoice that was just issued: starts its workflow without asking for one first."""
        told = await start(client, state, facts, self.news.now())
        await self.news.mark(state.number, facts.version)
        return told


async def signal(client: Client, number: str, facts: Facts) -> bool:
    """Hand the facts to the running workflow of `number`; False where none runs."""
    handle = client.get_workflow_handle(m.workflow_id(number))
    try:
        await handle.signal(m.FACTS_CHANGED, m.FactsChanged(facts), rpc_timeout=PATIENCE)
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return False
        raise
    return True


async def start(client: Client, state: InvoiceState, facts: Facts, at: datetime) -> Told:
    """Start the workflow from `state` unless it runs, with the news that `facts` bring; nothing for a closed invoice.

    One number has one workflow: where it runs already, it stays, and hears the news.
    """
    if not is_wanted(state, facts, at):
        return Told.NOT_WANTED
    has_news = facts.version > state.facts.version
    await client.start_workflow(
        m.INVOICE_WORKFLOW,
        m.Start(state),
        id=m.workflow_id(state.number),
        task_queue=m.TASK_QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        search_attributes=visibility.initial_attributes(state, at),
        static_summary=visibility.static_summary(state),
        start_signal=m.FACTS_CHANGED if has_news else None,
        start_signal_args=[m.FactsChanged(facts)] if has_news else [],
        rpc_timeout=PATIENCE,
    )
    return Told.STARTED


async def last_state(client: Client, opening: InvoiceState) -> InvoiceState:
    """Where to go on from where no workflow runs: what a terminated one had reached, else the ledger's `opening` state.

    Temporal remembers a run that an operator terminated until its retention ends. What the ledger keeps of a closed
    invoice is its end, and needs no asking.
    """
    if not opening.is_open or opening.sequence == 0:
        return opening
    handle = client.get_workflow_handle(m.workflow_id(opening.number))
    try:
        state: InvoiceState = await handle.query(m.STATE, result_type=InvoiceState, rpc_timeout=PATIENCE)
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return opening
        raise
    except (WorkflowQueryFailedError, WorkflowQueryRejectedError, ValueError):
        # It cannot say: no build can replay its history any more, or read what it says. (ValueError is also how the SDK
        # meets a status that it does not know.) What the ledger shows is enough to go on with.
        return opening
    return state if state.is_open else opening


def is_wanted(state: InvoiceState, facts: Facts, at: datetime) -> bool:
    """Whether a workflow has anything to decide: the invoice was open when last seen, or these facts open it again.

    One that was paid before its workflow began still needs it: to be closed, and the customer thanked.
    """
    if state.is_open:
        return True
    state, events = adopt(state, facts)
    for event in events:
        state = decide(state, event, at).state
    return state.is_open
