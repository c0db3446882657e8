"""The durable shell of one invoice: it waits, is told things, performs actions, and shows itself.

What follows what is the lifecycle's table (`lunas.receivables.lifecycle`); nothing here decides. Handlers only put
things into the inbox; the loop below is the one place where the state changes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from datetime import timedelta
from functools import wraps

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from lunas.receivables.actions import (
        Action,
        PlaceWithAgency,
        PrepareOffer,
        RecallFromAgency,
        SendNotice,
        TellOwner,
    )
    from lunas.receivables.adoption import adopt
    from lunas.receivables.deadlines import Deadline, next_deadline
    from lunas.receivables.events import Event, NoticeSent, Request
    from lunas.receivables.invoice import Entry, Facts, InvoiceState, Progress
    from lunas.receivables.lifecycle import Decision, NotAllowed, allows, decide, wanted
    from lunas.receivables.orders import NoticeOrder, Order, Report, Verdict, outcome
    from lunas.receivables.view import standing
    from lunas.receivables.words import action_words
    from workflows import messages as m
    from workflows import visibility
    from workflows.options import activity_name, options_for
    from workflows.requests import Proposal, Requests


#: A run stays on the build that it began with; only here, where it rests, does it move on to the current one.
_ON_THE_NEWEST_BUILD = workflow.ContinueAsNewVersioningBehavior.AUTO_UPGRADE

Hearing = Callable[["InvoiceWorkflow", m.FactsChanged], None]


def well_formed(hear: Hearing) -> Hearing:
    """Drop a signal that has no argument, or several: to the SDK that is our bug, and fails every task from then on.

    (What does not decode it drops by itself; with another count than the handler's it does not even look.)
    """

    @wraps(hear)
    def heard(self: InvoiceWorkflow, *arguments: m.FactsChanged) -> None:
        if len(arguments) == 1:
            hear(self, arguments[0])
        else:
            workflow.logger.warning("a signal with %d arguments was dropped", len(arguments))

    return heard


@workflow.defn(name=m.INVOICE_WORKFLOW)
class InvoiceWorkflow(Requests):
    """One invoice, from the day it is issued until it is paid, or until people decide to stop."""

    @workflow.init
    def __init__(self, start: m.Start) -> None:
        self._state: InvoiceState = start.state
        self._news: Facts = start.state.facts
        self._inbox: deque[Event | Proposal] = deque()
        self._actions: deque[Action] = deque()
        self._unrecorded: list[Entry] = []
        self._recorded = start.state.sequence
        self._is_nudged = False

    @workflow.run
    async def run(self, start: m.Start) -> m.View:
        self._show()
        while self._state.is_open or self._is_busy():
            await self._step()
            if self._may_rest() and self._needs_a_new_run(start.events_per_run):
                # A handler that still waits would lose its answer, so nobody may be in the middle of anything here.
                await workflow.wait_condition(workflow.all_handlers_finished)
                if self._may_rest():
                    workflow.continue_as_new(
                        m.Start(self._state, start.events_per_run), initial_versioning_behavior=_ON_THE_NEWEST_BUILD
                    )
        await workflow.wait_condition(workflow.all_handlers_finished)
        self._show()
        return self._view()

    async def _step(self) -> None:
        """One turn: news first, so that a payment beats a timer that has already fired; time last."""
        self._state, facts = adopt(self._state, self._news)
        self._inbox.extendleft(reversed(facts))
        if self._inbox:
            self._take(self._inbox.popleft())
        elif self._unrecorded and (self._is_asked() or not self._actions):
            await self._record()
        elif self._actions:
            await self._perform(self._actions.popleft())
        else:
            await self._wait()

    def _take(self, item: Event | Proposal) -> None:
        if not isinstance(item, Proposal):
            self._apply(decide(self._state, item, workflow.now()))
            return
        try:
            self._apply(decide(self._state, item.event, workflow.now()))
            item.applied_as = self._state.sequence
        except NotAllowed as refused:
            item.refusal = str(refused)

    def _apply(self, decision: Decision) -> None:
        self._state = decision.state
        still_wanted = [action for action in self._actions if wanted(self._state, action)]
        self._actions = deque([*still_wanted, *decision.actions])
        if decision.entry is not None:
            self._unrecorded.append(decision.entry)

    async def _wait(self) -> None:
        """Wait for news or for the next deadline, whichever is first."""
        deadline = self._show()
        assert deadline is not None
        patience = max(deadline.moment - workflow.now(), timedelta(0))
        summary = visibility.timer_summary(self._state, deadline)
        try:
            await workflow.wait_condition(self._is_awaited, timeout=patience, timeout_summary=summary)
        except TimeoutError:
            # Seen from now, not from when we fell asleep: after an outage a higher rung may have been earned.
            reached = next_deadline(self._state, workflow.now())
            if not self._is_awaited() and reached is not None and reached.moment <= workflow.now():
                self._take(reached.event)

    async def _perform(self, action: Action) -> None:
        if not wanted(self._state, action):
            return
        now, progress, if_sent = workflow.now(), self._progress(self._unrecorded), None
        order: NoticeOrder | Order
        if isinstance(action, SendNotice):
            decision = decide(self._state, NoticeSent(action.rung, action.channel), now)
            if decision.entry is not None:
                if_sent = self._progress([decision.entry], decision.state)
            order = NoticeOrder(self._state.number, action, now, progress, if_sent)
        else:
            order = Order(self._state.number, now, progress, *_subject(action, self._state))
        report = await self._execute(activity_name(action), order, action_words(action))
        if report.verdict is Verdict.SENT and if_sent is not None:
            self._apply(decision)  # as the activity has written it down
            self._settle_records()
        elif (event := outcome(action, report)) is not None:
            self._take(event)

    async def _record(self) -> None:
        order = Order(self._state.number, workflow.now(), self._progress(self._unrecorded))
        words = ", ".join(entry.event.replace("_", " ") for entry in self._unrecorded)
        await self._execute("record_progress", order, f"record: {words}")

    async def _execute(self, name: str, order: NoticeOrder | Order, summary: str) -> Report:
        options = options_for(name)
        report: Report = await workflow.execute_activity(
            name,
            order,
            result_type=Report,
            start_to_close_timeout=options.attempt,
            retry_policy=options.retry,
            summary=summary,
        )
        self._settle_records()
        self._hear(report.facts)
        return report

    def _settle_records(self) -> None:
        self._unrecorded.clear()
        self._recorded = self._state.sequence

    def _progress(self, entries: list[Entry], state: InvoiceState | None = None) -> Progress:
        state = state or self._state
        closed = state if state.stage.is_closed else None
        return Progress(tuple(entries), standing(state, workflow.now()), state.hold, closed)

    # --- told, asked, shown -----------------------------------------------------------------------------------------

    @workflow.signal(name=m.FACTS_CHANGED, description="The ledger has news: its facts, as of their version")
    @well_formed
    def facts_changed(self, news: m.FactsChanged) -> None:
        self._is_nudged = True
        self._hear(news.facts)

    def _hear(self, facts: Facts | None) -> None:
        if facts is not None and facts.version > self._news.version:
            self._news = facts

    async def propose(self, event: Request) -> m.View:
        proposal = Proposal(event)
        self._inbox.append(proposal)
        await workflow.wait_condition(lambda: self._is_answered(proposal))
        if proposal.refusal is not None:
            raise ApplicationError(proposal.refusal, type=m.NOT_ALLOWED, non_retryable=True)
        return self._view()

    def refuse_unless_allowed(self, event: Request) -> None:
        refusal = allows(self._state, event, workflow.now())
        if refusal is not None:
            raise ApplicationError(refusal, type=m.NOT_ALLOWED, non_retryable=True)

    @workflow.query(name=m.STATUS, description="Where the invoice stands and what happens next")
    def status(self) -> m.View:
        return self._view()

    @workflow.query(name=m.STATE, description="The whole state, to go on from after an operator terminated it")
    def state(self) -> InvoiceState:
        return self._state

    def _view(self) -> m.View:
        state, now = self._state, standing(self._state, workflow.now())
        return m.View(
            state.number, state.stage, now.held, now.held_until, state.facts.balance.outstanding, state.currency,
            state.last_step, now.next_step, now.next_at, state.follow_ups, state.facts.version, state.sequence,
        )  # fmt: skip

    def _show(self) -> Deadline | None:
        deadline = next_deadline(self._state, workflow.now())
        workflow.set_current_details(visibility.details(self._state, deadline))
        shown = workflow.info().typed_search_attributes
        if updates := visibility.changes(self._state, deadline, shown):
            workflow.upsert_search_attributes(updates)
        return deadline

    def _is_answered(self, proposal: Proposal) -> bool:
        return proposal.refusal is not None or (proposal.applied_as or self._recorded + 1) <= self._recorded

    def _is_asked(self) -> bool:
        return not workflow.all_handlers_finished()

    def _has_news(self) -> bool:
        return bool(self._inbox) or self._news.version > self._state.facts.version

    def _is_awaited(self) -> bool:
        """Whether news or, after a nudge, a newer build waits. (Unasked a run that is kept on its build would spin.)"""
        return self._has_news() or (self._is_nudged and workflow.info().is_target_worker_deployment_version_changed())

    def _is_busy(self) -> bool:
        return self._has_news() or bool(self._actions) or bool(self._unrecorded)

    def _may_rest(self) -> bool:
        return self._state.is_open and not self._is_busy()

    def _needs_a_new_run(self, events: int) -> bool:
        info = workflow.info()
        is_full = info.is_continue_as_new_suggested() or info.get_current_history_length() > events
        return is_full or info.is_target_worker_deployment_version_changed()


def _subject(action: Action, state: InvoiceState) -> tuple[str, str]:
    """An order's subject and key."""
    key = f"{state.number}/{state.sequence}"
    match action:
        case PlaceWithAgency(approved_by=subject) | RecallFromAgency(reason=subject) | PrepareOffer(rung=subject):
            return subject, key
        case TellOwner(key=key, about=subject):
            return subject, key
        case _:
            return "", key
