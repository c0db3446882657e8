"""Policies, the lifecycle's table, and rehearsals of what they will do."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query

from api.errors import EVERYWHERE, NAMED, SENT, Kind, Problem, documented
from api.keys import Reader
from api.planning import hypothetical, rehearsal
from api.routes import KeyedRoute
from api.schemas.fields import Number, PolicyName
from api.schemas.plans import (
    BudgetView,
    ExceptionView,
    LatePaymentView,
    LifecycleView,
    MoneyView,
    PatienceView,
    PolicyList,
    PolicyView,
    PreviewFilter,
    RateView,
    RehearsalBody,
    RehearsalFilter,
    RehearsalView,
    RuleView,
    RungView,
    TailView,
    WindowView,
)
from api.services import House, Services
from lunas.ledger.customers import customer_by_code
from lunas.ledger.invoices import opening_state
from lunas.receivables.conditions import Condition
from lunas.receivables.events import Event
from lunas.receivables.invoice import Stage
from lunas.receivables.ladder import FIRST_DAY, Rung
from lunas.receivables.lifecycle import IGNORED, REFUSED, TABLE, Back, Rule, Stages
from lunas.receivables.policy import WEEKDAYS, PolicyFile
from lunas.receivables.words import event_name, name_words

router = APIRouter(tags=["policies"], route_class=KeyedRoute)


@router.get("/v1/policies", responses=documented(*EVERYWHERE))
async def list_policies(house: House, key: Reader) -> PolicyList:
    """The policies that invoices may be given."""
    files = [house.policies.file(name) for name in house.policies.names()]
    return PolicyList(default=house.policies.default, policies=[_policy(file) for file in files])


@router.get("/v1/policies/{name}", responses=documented(*NAMED))
async def get_policy(name: Annotated[PolicyName, Path()], house: House, key: Reader) -> PolicyView:
    """One policy."""
    if name not in house.policies.names():
        raise Problem(Kind.NOT_FOUND, f"there is no policy {name}: there are {', '.join(house.policies.names())}")
    return _policy(house.policies.file(name))


@router.get("/v1/rehearsals", responses=documented(*EVERYWHERE))
async def rehearse(asked: Annotated[RehearsalFilter, Query()], house: House, key: Reader) -> RehearsalView:
    """What a policy would do to an invoice, dated, if nothing else happened."""
    return _rehearsed(house, asked)


@router.post("/v1/rehearsals", responses=documented(*EVERYWHERE, *SENT))
async def rehearse_supposing(body: RehearsalBody, house: House, key: Reader) -> RehearsalView:
    """The same, supposing that money comes in, a contact is lost, a promise is made … Nothing is written down."""
    return _rehearsed(house, body)


@router.get("/v1/invoices/{number:name}/rehearsal", responses=documented(*NAMED))
async def preview_policy(
    number: Annotated[Number, Path()], asked: Annotated[PreviewFilter, Query()], house: House, key: Reader
) -> RehearsalView:
    """What another policy would do to this invoice from now on, before it is given to it.

    Seen from the invoice's facts and dates; holds, and how far it has climbed its ladder, are the workflow's own.
    """
    async with house.ledger.read() as session:
        state = await opening_state(session, number)
        customer = await customer_by_code(session, state.customer)
        now = await session.now()
    plan = house.policies.resolved(asked.policy, customer.time_zone, state.issued_on, where="query")
    return rehearsal(replace(state, policy=plan), asked.days, since=now)


@router.get("/v1/lifecycle", responses=documented(*EVERYWHERE))
async def get_lifecycle(key: Reader) -> LifecycleView:
    """The table that every invoice follows: what is done about everything that can happen to it."""
    return LifecycleView(
        rules=[_rule(rule) for rule in TABLE],
        ignored=[_exception(*row) for row in IGNORED],
        refused=[_exception(*row) for row in REFUSED],
    )


def _rehearsed(house: Services, asked: RehearsalFilter | RehearsalBody) -> RehearsalView:
    name = asked.policy or house.policies.default
    where: Literal["body", "query"] = "body" if isinstance(asked, RehearsalBody) else "query"
    plan = house.policies.resolved(name, asked.time_zone, asked.issued_on, where=where)
    state = hypothetical(plan, asked.total_minor, asked.currency, asked.issued_on, asked.due_on)
    return rehearsal(state, asked.days, asked.suppose if isinstance(asked, RehearsalBody) else ())


def _policy(file: PolicyFile) -> PolicyView:
    return PolicyView(
        name=file.name,
        title=file.title,
        version=file.version,
        terms=str(file.terms),
        window=WindowView(
            opens=f"{file.opens:%H:%M}",
            closes=f"{file.closes:%H:%M}",
            weekdays=[WEEKDAYS[day] for day in file.weekdays],
            holidays=file.holidays,
        ),
        budget=BudgetView.model_validate(file.budget),
        patience=PatienceView.model_validate(file.patience),
        ladder=[_rung(rung) for rung in file.ladder.rungs],
        then=TailView.model_validate(file.ladder.tail),
        money=_money(file),
        late_payment=_late_payment(file),
    )


def _money(file: PolicyFile) -> MoneyView:
    rules = file.money
    return MoneyView(
        unnamed=rules.unnamed,
        overpayment=rules.overpayment,
        tolerance=dict(rules.tolerance.minor),
        tolerance_percent=None if rules.tolerance.rate is None else _percent(rules.tolerance.rate),
    )


def _late_payment(file: PolicyFile) -> LatePaymentView | None:
    rules = file.late_payment
    if rules is None:
        return None
    own = [RateView(since=one.since, percent=_percent(one.rate)) for one in rules.rates if one.rate is not None]
    return LatePaymentView(pack=rules.pack, interest=rules.interest, fee=rules.fee, rates=own)


def _percent(rate: int) -> str:
    return f"{rate / 1000:g}"


def _rung(rung: Rung) -> RungView:
    return RungView(
        key=rung.key,
        day=None if rung.day == FIRST_DAY else rung.day,
        do=rung.do,
        by=list(rung.by),
        tone=rung.tone,
        when=rung.when,
        approval=rung.approval,
    )


def _rule(rule: Rule) -> RuleView:
    becomes = rule.becomes
    return RuleView(
        when=_in_order(rule.when),
        event=event_name(rule.event),
        only_when=_words(rule.given) if rule.given else None,
        becomes=f"as {name_words(becomes.field)}" if isinstance(becomes, Back) else becomes,
        we=[name_words(effect.__name__) for effect in rule.we],
    )


def _exception(when: Stages, events: tuple[type[Event], ...], why: str) -> ExceptionView:
    return ExceptionView(when=_in_order(when), events=[event_name(event) for event in events], why=why)


def _in_order(stages: Stages) -> list[Stage]:
    return sorted(stages, key=lambda stage: stage.rank)


def _words(condition: Condition) -> str:
    return " ".join((condition.__doc__ or "").split())
