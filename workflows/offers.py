"""Payment offers that follow the balance: one short workflow whenever an invoice's offers do not fit it any more.

It is no step of the invoice's own workflow: a payment provider that is away for hours must hold up neither a notice nor
the end of a paid invoice. A payment on an old instrument is matched all the same, so being late costs a customer a
refused transfer at worst, never money. It is started by whoever tells an invoice's workflow of new facts, and by the
reconcile schedule for what a crash left behind or what expired.
"""

from __future__ import annotations

from datetime import timedelta

from temporalio import workflow
from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy

with workflow.unsafe.imports_passed_through():
    from workflows import messages as m
    from workflows.options import options_for

_PATIENCE = timedelta(seconds=3)
#: After so long it gives up; the reconcile schedule begins anew, with the balance as it is then.
_GIVES_UP = timedelta(hours=6)


@workflow.defn(name=m.FOLLOW_OFFERS_WORKFLOW)
class FollowOffersWorkflow:
    """Voids an invoice's outdated ways to pay, and makes new ones, until they fit."""

    def __init__(self) -> None:
        self._changed = True

    @workflow.signal(name=m.BALANCE_CHANGED, description="The balance has changed. Harmless at any time.")
    def balance_changed(self) -> None:
        self._changed = True

    @workflow.run
    async def run(self, number: str) -> None:
        options = options_for("follow_offers")
        while self._changed:
            self._changed = False
            await workflow.execute_activity(
                "follow_offers",
                number,
                start_to_close_timeout=options.attempt,
                schedule_to_close_timeout=_GIVES_UP,
                retry_policy=options.retry,
                summary="void the ways to pay that do not fit the balance, and make new ones",
            )


async def follow_offers(client: Client, number: str) -> None:
    """Have the offers of this invoice follow its balance; raises RPCError, or RuntimeError without a connection."""
    await client.start_workflow(
        m.FOLLOW_OFFERS_WORKFLOW,
        number,
        id=m.offers_id(number),
        task_queue=m.TASK_QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        start_signal=m.BALANCE_CHANGED,
        static_summary="ways to pay follow the balance",
        rpc_timeout=_PATIENCE,
    )
