"""The requests that an invoice's workflow takes as updates. Each proposes an event; the main loop decides.

A validator answers "may I do this now?" without leaving a trace; the handler waits until the loop has applied the event
and the ledger has it, so that nothing leaves after an accepted hold.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from lunas.receivables.events import Request
    from workflows import messages as m


@dataclass
class Proposal:
    """A request in the inbox: the sequence that it was applied as, or the sentence that refuses it."""

    event: Request
    applied_as: int | None = None
    refusal: str | None = None


class Requests:
    """Updates as operations see them in the Temporal UI: one JSON argument each."""

    @abstractmethod
    async def propose(self, event: Request) -> m.View:
        """Hand the event to the loop; answer once it is applied and recorded."""

    @abstractmethod
    def refuse_unless_allowed(self, event: Request) -> None:
        """Raise the refusal in words, where there is one."""

    @workflow.update(description='The customer promises to pay by a date: {"pay_by": "2026-12-05", "by": "you"}')
    async def record_promise(self, ask: m.RecordPromise) -> m.View:
        return await self.propose(ask.event())

    @workflow.update(
        description='All that is open in instalments: {"instalments": [{"pay_by": "2026-12-05", "amount_minor": 1}, …]}'
    )
    async def agree_instalments(self, ask: m.AgreeInstalments) -> m.View:
        return await self.propose(ask.event())

    @workflow.update(description='The customer disputes the bill: {"reason": "two boxes were missing", "by": "you"}')
    async def raise_dispute(self, ask: m.RaiseDispute) -> m.View:
        return await self.propose(ask.event())

    @workflow.update(description='Decide the dispute: {"outcome": "upheld" or "rejected", "by": "you"}')
    async def resolve_dispute(self, ask: m.ResolveDispute) -> m.View:
        return await self.propose(ask.event())

    @workflow.update(description='Send nothing for a while: {"reason": "…", "until": "2026-12-05", "by": "you"}')
    async def pause(self, ask: m.Pause) -> m.View:
        return await self.propose(ask.event())

    @workflow.update(description='End the pause: {"by": "you"}')
    async def resume(self, ask: m.Resume) -> m.View:
        return await self.propose(ask.event())

    @workflow.update(description='Let an agency have it, or not: {"by": "you", "approve": true}')
    async def approve_placement(self, ask: m.ApprovePlacement) -> m.View:
        return await self.propose(ask.event())

    @workflow.update(description='Take it back from the agency: {"by": "you", "reason": "…"}')
    async def recall(self, ask: m.Recall) -> m.View:
        return await self.propose(ask.event())

    @workflow.update(description='Book it as a loss: {"by": "you", "reason": "…"}')
    async def write_off(self, ask: m.WriteOff) -> m.View:
        return await self.propose(ask.event())

    @workflow.update(description='Stop collecting an invoice that should not be: {"by": "you", "reason": "…"}')
    async def cancel(self, ask: m.Cancel) -> m.View:
        return await self.propose(ask.event())

    @workflow.update(description='The contact is right again in the ledger: {"by": "you"}')
    async def correct_contact(self, ask: m.CorrectContact) -> m.View:
        return await self.propose(ask.event())

    @workflow.update(description="Follow another policy from here on (previewed with `lunas policy` first)")
    async def change_policy(self, ask: m.ChangePolicy) -> m.View:
        return await self.propose(ask.event())

    @workflow.update(description='Hold for credit, or release: {"by": "you", "release": true}')
    async def decide_credit(self, ask: m.DecideCredit) -> m.View:
        return await self.propose(ask.event())

    @record_promise.validator
    def _may_promise(self, ask: m.RecordPromise) -> None:
        self.refuse_unless_allowed(ask.event())

    @agree_instalments.validator
    def _may_agree(self, ask: m.AgreeInstalments) -> None:
        self.refuse_unless_allowed(ask.event())

    @raise_dispute.validator
    def _may_dispute(self, ask: m.RaiseDispute) -> None:
        self.refuse_unless_allowed(ask.event())

    @resolve_dispute.validator
    def _may_resolve(self, ask: m.ResolveDispute) -> None:
        self.refuse_unless_allowed(ask.event())

    @pause.validator
    def _may_pause(self, ask: m.Pause) -> None:
        self.refuse_unless_allowed(ask.event())

    @resume.validator
    def _may_resume(self, ask: m.Resume) -> None:
        self.refuse_unless_allowed(ask.event())

    @approve_placement.validator
    def _may_approve(self, ask: m.ApprovePlacement) -> None:
        self.refuse_unless_allowed(ask.event())

    @recall.validator
    def _may_recall(self, ask: m.Recall) -> None:
        self.refuse_unless_allowed(ask.event())

    @write_off.validator
    def _may_write_off(self, ask: m.WriteOff) -> None:
        self.refuse_unless_allowed(ask.event())

    @cancel.validator
    def _may_cancel(self, ask: m.Cancel) -> None:
        self.refuse_unless_allowed(ask.event())

    @correct_contact.validator
    def _may_correct(self, ask: m.CorrectContact) -> None:
        self.refuse_unless_allowed(ask.event())

    @change_policy.validator
    def _may_change(self, ask: m.ChangePolicy) -> None:
        self.refuse_unless_allowed(ask.event())

    @decide_credit.validator
    def _may_decide(self, ask: m.DecideCredit) -> None:
        self.refuse_unless_allowed(ask.event())
