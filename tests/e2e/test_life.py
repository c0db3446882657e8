"""One invoice's whole life on real parts: Temporal's dev server, ledger, SMTP, SMS; time skipped, nothing faked."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

from temporalio.client import Client

from lunas.ledger.journal import journal_of
from lunas.ledger.receipts import NewReceipt, record_receipt
from lunas.receivables.invoice import HoldKind, Stage
from lunas.receivables.money import Currency, Money
from tests.e2e.stack import stack
from workflows import messages as m

NUMBER = "INV/2026/11/0042"
TOTAL = 1_250_000_000
SECRETS = ("sari.rahasia@pelanggan.example", "+6281234567890", "Ibu Sari")


async def test_an_unpaid_invoice_climbs_every_stage_and_falls_silent_when_paid(tmp_path: Path) -> None:
    async with stack(tmp_path) as s:
        await s.customer("C-77", email=SECRETS[0], phone=SECRETS[1])
        await s.issue(NUMBER, "C-77", TOTAL)
        seen: list[Stage] = []
        for days in (1, 29, 5, 20, 14):
            await s.skip(NUMBER, days)
            seen.append((await s.view(NUMBER)).stage)
        assert seen == [
            Stage.ISSUED,
            Stage.DUE,
            Stage.FOLLOW_UP,
            Stage.RESEARCH_CONTACT,
            Stage.ALTERNATE_PAYMENT,
        ]
        await s.skip(NUMBER, 70)
        waiting = await s.view(NUMBER)
        assert waiting.held is HoldKind.APPROVAL
        approve = m.ApprovePlacement(by="manager", reason="nobody answers")
        await s.handle(NUMBER).execute_update(approve.UPDATE, approve, result_type=m.View)
        placed = (await s.inbox.wait_for("placements@agency.example", 1))[0]
        assert NUMBER in placed.subject
        await s.skip(NUMBER, 1)
        assert (await s.view(NUMBER)).stage is Stage.AGENCY
        said = len(await s.inbox.received(SECRETS[0]))
        await s.skip(NUMBER, 20)
        assert len(await s.inbox.received(SECRETS[0])) == said, "our own chasing is frozen while the agency has it"
        await s.pay(NUMBER, TOTAL, "transfer-1")
        final = await s.handle(NUMBER).result()
        assert final.stage is Stage.PAID
        assert len(await s.inbox.wait_for("placements@agency.example", 2)) == 2, "placed, then recalled"
        subjects = [message.subject or "" for message in await s.inbox.received(SECRETS[0])]
        assert sum(NUMBER in subject for subject in subjects) == len(subjects)
        assert len(subjects) == 14, subjects
        await no_secret_in_temporal(s.client)
        async with s.ledger.read() as session:
            rows, _ = await journal_of(session, NUMBER, limit=500)
        decided = [row.sequence for row in rows if row.source == "workflow"]
        assert decided == list(range(1, final.sequence + 1)), "every decision is in the journal exactly once"


async def no_secret_in_temporal(client: Client) -> None:
    """No personal data in histories, search attributes or summaries."""
    async for execution in client.list_workflows("WorkflowType = 'Invoice'"):
        handle = client.get_workflow_handle(execution.id, run_id=execution.run_id)
        text = (await handle.fetch_history()).to_json() + str(execution.typed_search_attributes)
        assert not [secret for secret in SECRETS if secret in text]


async def test_invoices_of_one_customer_that_fall_due_together_share_one_message(tmp_path: Path) -> None:
    numbers = [f"INV/2026/11/{n:04}" for n in range(1, 5)]
    async with stack(tmp_path) as s:
        await s.customer("C-8", email="keuangan@pelanggan.example")
        for number in numbers:
            await s.issue(number, "C-8", TOTAL)
        # First all are sent, then all clocks reach the reminder's day: moved clocks do not agree with each other.
        await asyncio.gather(*(s.skip(number, 2) for number in numbers))
        await asyncio.gather(*(s.skip(number, 15) for number in numbers))
        mails = await s.inbox.received("keuangan@pelanggan.example")
        invoices = [mail for mail in mails if "dari" in (mail.subject or "")]
        reminders = [mail for mail in mails if mail not in invoices]
        assert len(invoices) == 4, "each invoice is sent by itself"
        assert len(reminders) == 1, "four reminders of one day are one message"
        body = (await s.inbox.raw(reminders[0])).decode()
        assert all(number in body for number in numbers)


async def test_a_payment_that_nobody_signalled_is_heard_of_by_the_next_claim(tmp_path: Path) -> None:
    """The nudge was lost: the gate refuses the reminder, and its answer tells the workflow."""
    async with stack(tmp_path) as s:
        await s.customer("C-9", email="a@pelanggan.example")
        await s.issue(NUMBER, "C-9", TOTAL)
        await s.skip(NUMBER, 2)
        today = datetime.now(UTC).date()
        receipt = NewReceipt("bank", "r-1", Money(TOTAL, Currency.IDR), today, "test", NUMBER)
        async with s.ledger.write() as session:
            await record_receipt(session, receipt)
        await s.skip(NUMBER, 20)
        final = await s.handle(NUMBER).result()
        mails = [mail.subject for mail in await s.inbox.received("a@pelanggan.example")]
    assert final.stage is Stage.PAID
    assert len(mails) == 2, "the invoice and the receipt, no reminder"
