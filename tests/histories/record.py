"""Record the golden histories anew: `python -m tests.histories.record`.

Do so only for a change that is behind `patched()` or that no running invoice can meet; otherwise a history that no
longer replays is the test doing its work.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

from temporalio.client import WorkflowHandle
from temporalio.testing import WorkflowEnvironment

from lunas.receivables.events import DisputeOutcome
from lunas.receivables.invoice import InvoiceState
from lunas.receivables.orders import NoticeOrder, Order, Report, Verdict
from tests.workflows.outside import Outside, ask, collect, new_invoice, tell, time_skipping_server, with_receipt, worker
from workflows import messages as m
from workflows.invoice import InvoiceWorkflow

FOLDER = Path(__file__).parent
Handle = WorkflowHandle[InvoiceWorkflow, m.View]
Life = Callable[[WorkflowEnvironment, Handle, InvoiceState], Awaitable[None]]


async def paid_after_follow_ups(env: WorkflowEnvironment, handle: Handle, state: InvoiceState) -> None:
    """Reminders, due notice, follow-ups, a part payment, then the rest."""
    await env.sleep(timedelta(days=50))
    part = with_receipt(state.facts, 500_000_000)
    await tell(handle, part)
    await env.sleep(timedelta(days=3))
    await tell(handle, with_receipt(part, 750_000_000))
    await handle.result()


async def promised_disputed_paused(env: WorkflowEnvironment, handle: Handle, state: InvoiceState) -> None:
    """A promise that is broken, a dispute that is rejected, a pause, and a write-off in the end."""
    await env.sleep(timedelta(days=34))
    today = (await env.get_current_time()).date()
    await ask(handle, m.RecordPromise(pay_by=today + timedelta(days=5)))
    await env.sleep(timedelta(days=12))
    await ask(handle, m.RaiseDispute(reason="short delivery"))
    await env.sleep(timedelta(days=16))
    await ask(handle, m.ResolveDispute(DisputeOutcome.REJECTED))
    await ask(handle, m.Pause(reason="visit planned"))
    await env.sleep(timedelta(days=2))
    await ask(handle, m.Resume())
    await env.sleep(timedelta(days=40))
    await ask(handle, m.WriteOff(by="manager", reason="bankrupt"))
    await handle.result()


async def placed_and_recalled(env: WorkflowEnvironment, handle: Handle, state: InvoiceState) -> None:
    """Unpaid to the end: research, offer, final demand, approval, agency, recall, monthly follow-ups, paid."""
    await env.sleep(timedelta(days=137))
    await ask(handle, m.ApprovePlacement(by="manager"))
    await env.sleep(timedelta(days=35))
    await ask(handle, m.Recall(by="manager", reason="pays us directly"))
    await env.sleep(timedelta(days=40))
    await tell(handle, with_receipt(state.facts, 1_250_000_000))
    await handle.result()


def undeliverable_reminder(name: str, order: NoticeOrder | Order) -> Report | None:
    """The address is dead at the first reminder, and the window is closed at the due notice."""
    if name == "email_remind" and isinstance(order, NoticeOrder) and order.notice.rung == "remind-14":
        return Report(Verdict.UNDELIVERABLE)
    return None


async def lost_and_found(env: WorkflowEnvironment, handle: Handle, state: InvoiceState) -> None:
    """Nobody can be reached, the contact is corrected, the ladder goes on; then it is cancelled."""
    await env.sleep(timedelta(days=22))
    await ask(handle, m.CorrectContact())
    await env.sleep(timedelta(days=20))
    await ask(handle, m.Cancel(by="manager", reason="issued twice"))
    await handle.result()


LIVES: tuple[tuple[Life, Callable[[str, NoticeOrder | Order], Report | None]], ...] = (
    (paid_after_follow_ups, lambda name, order: None),
    (promised_disputed_paused, lambda name, order: None),
    (placed_and_recalled, lambda name, order: None),
    (lost_and_found, undeliverable_reminder),
)


async def record() -> None:
    """Live each life on a server of its own, and keep its history."""
    for life, answer in LIVES:
        async with time_skipping_server() as env:
            state = new_invoice(await env.get_current_time())
            async with worker(env.client, Outside(answer=answer)):
                handle = await collect(env.client, state)
                await life(env, handle, state)
            history = await handle.fetch_history()
            text = json.dumps(json.loads(history.to_json()), separators=(",", ":"))
            (FOLDER / f"{life.__name__}.json").write_text(text + "\n")


if __name__ == "__main__":
    asyncio.run(record())
