"""What operations see in the Temporal UI: search attributes, summaries and the details of one invoice.

One registry of search attributes, which the code, the worker's start-up check, the deploy step and the tests share.
None of it is personal data: a number, a code, an amount, a date.
"""

from __future__ import annotations

from datetime import datetime, time
from typing import Any

from temporalio.common import (
    SearchAttributeKey,
    SearchAttributePair,
    SearchAttributeUpdate,
    TypedSearchAttributes,
)

from lunas.receivables.calendar import zone
from lunas.receivables.deadlines import Deadline, next_deadline
from lunas.receivables.invoice import HoldKind, InvoiceState, Stage
from lunas.receivables.view import flags
from lunas.receivables.words import last_step_words, late_words, name_words, step_words

STAGE = SearchAttributeKey.for_keyword("Stage")
HOLD = SearchAttributeKey.for_keyword("Hold")
CUSTOMER_CODE = SearchAttributeKey.for_keyword("CustomerCode")
POLICY_NAME = SearchAttributeKey.for_keyword("PolicyName")
CURRENCY = SearchAttributeKey.for_keyword("Currency")
RUNG = SearchAttributeKey.for_keyword("Rung")
FLAGS = SearchAttributeKey.for_keyword_list("Flags")
DUE_DATE = SearchAttributeKey.for_datetime("DueDate")
NEXT_ACTION_AT = SearchAttributeKey.for_datetime("NextActionAt")
BALANCE_MINOR = SearchAttributeKey.for_int("BalanceMinor")

#: Name and type of every attribute that must be registered, in the words of `temporal operator search-attribute`.
REGISTRY: dict[str, str] = {
    STAGE.name: "Keyword",
    HOLD.name: "Keyword",
    CUSTOMER_CODE.name: "Keyword",
    POLICY_NAME.name: "Keyword",
    CURRENCY.name: "Keyword",
    RUNG.name: "Keyword",
    FLAGS.name: "KeywordList",
    DUE_DATE.name: "Datetime",
    NEXT_ACTION_AT.name: "Datetime",
    BALANCE_MINOR.name: "Int",
}

#: Lists that operations open most, each a link into the UI: a name and the query behind it.
SAVED_VIEWS: dict[str, str] = {
    "Needs approval": "Flags = 'needs_approval' AND ExecutionStatus = 'Running'",
    "Promises": "Hold = 'promise' AND ExecutionStatus = 'Running'",
    "Disputed": "Hold = 'dispute' AND ExecutionStatus = 'Running'",
    "Nobody reachable": "Flags = 'unreachable' AND ExecutionStatus = 'Running'",
    "With the agency": "Stage = 'agency' AND ExecutionStatus = 'Running'",
    "Overdue": "Stage IN ('follow_up', 'research_contact', 'alternate_payment') AND ExecutionStatus = 'Running'",
    "Stuck": "TemporalReportedProblems IS NOT NULL",
}

_WHAT_WOULD_STOP_IT = {
    HoldKind.DISPUTE: "a decision on the dispute, or payment",
    HoldKind.PROMISE: "payment by the promised date",
    HoldKind.PAUSE: "`resume`, or payment",
    HoldKind.APPROVAL: "`approve_placement`, or payment",
    HoldKind.CREDIT: "`decide_credit`",
}


def initial_attributes(state: InvoiceState, at: datetime) -> TypedSearchAttributes:
    """What the starter puts on a new workflow, so that it shows in lists before its first task."""
    due = datetime.combine(state.due_on, time(0), zone(state.policy.calendar.zone_name))
    fixed: list[SearchAttributePair[Any]] = [
        SearchAttributePair(CUSTOMER_CODE, state.customer),
        SearchAttributePair(CURRENCY, state.currency.value),
        SearchAttributePair(DUE_DATE, due),
    ]
    changing: list[SearchAttributePair[Any]] = [
        SearchAttributePair(key, value)
        for key, value in _changing(state, next_deadline(state, at))
        if value is not None
    ]
    return TypedSearchAttributes([*fixed, *changing])


def changes(
    state: InvoiceState, deadline: Deadline | None, shown: TypedSearchAttributes
) -> list[SearchAttributeUpdate[Any]]:
    """The updates that bring what is shown up to date; none where nothing changed, because each costs an event."""
    return [
        key.value_unset() if value is None else key.value_set(value)
        for key, value in _changing(state, deadline)
        if shown.get(key) != value
    ]


def _changing(state: InvoiceState, deadline: Deadline | None) -> list[tuple[SearchAttributeKey[Any], Any]]:
    return [
        (STAGE, state.stage.value),
        (HOLD, state.hold.kind.value if state.hold else None),
        (POLICY_NAME, state.policy.name),
        (RUNG, state.last_step or None),
        (BALANCE_MINOR, state.facts.balance.outstanding),
        (NEXT_ACTION_AT, deadline.moment if deadline else None),
        (FLAGS, list(flags(state)) or None),
    ]


def static_summary(state: InvoiceState) -> str:
    """One line that names the invoice in the UI's header: amount, due date, customer code."""
    return f"{state.outstanding} due {state.due_on:%-d %b %Y}, customer {state.customer}"


def timer_summary(state: InvoiceState, deadline: Deadline) -> str:
    """What a timer waits for: `follow-up 3 by email and SMS, 7 days late`."""
    return f"{step_words(deadline.event, state.follow_ups)}, {_lateness(state, deadline.moment)}"


def details(state: InvoiceState, deadline: Deadline | None) -> str:
    """Markdown for the UI's details: where it stands, what happens next, and what would stop it."""
    lines = [
        f"**{state.number}**, {static_summary(state)}",
        "",
        f"- **Stage:** {name_words(state.stage)}",
        f"- **Open:** {state.outstanding}",
    ]
    if state.hold is not None:
        until = _local(state, state.hold.until)
        why = f": {state.hold.reason}" if state.hold.reason else ""
        lines.append(f"- **On hold:** {state.hold.kind} by {state.hold.by} until {until}{why}")
    if state.last_step:
        lines.append(f"- **Last step:** {last_step_words(state.last_step)}")
    if state.unreachable:
        lines.append(f"- **Nobody reachable** since {state.lost_on}; the search is {name_words(state.research)}")
    if deadline is not None:
        lines.append(f"- **Next:** {_local(state, deadline.moment)}: {timer_summary(state, deadline)}")
        lines.append(f"- **What would stop it:** {_stops(state)}")
    lines.append(f"- **Policy:** {state.policy.name} ({state.policy.version})")
    return "\n".join(lines)


def _stops(state: InvoiceState) -> str:
    if state.hold is not None:
        return _WHAT_WOULD_STOP_IT[state.hold.kind]
    if state.stage is Stage.AGENCY:
        return "payment, or `recall`"
    return "payment, `record_promise`, `raise_dispute` or `pause`"


def _lateness(state: InvoiceState, moment: datetime) -> str:
    return late_words((state.policy.calendar.local_date(moment) - state.due_on).days)


def _local(state: InvoiceState, moment: datetime) -> str:
    local = moment.astimezone(zone(state.policy.calendar.zone_name))
    return f"{local:%a %-d %b %Y %H:%M} ({state.policy.calendar.zone_name})"
