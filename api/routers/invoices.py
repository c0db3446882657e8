"""Invoices: issued, found, and looked at."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, Path, Query, Response
from pydantic import Field

from api import present
from api.errors import EVERYWHERE, NAMED, SENT, FieldError, Kind, Problem, documented
from api.keys import Issuer, Reader
from api.routes import KeyedRoute
from api.schemas import invoices as shown
from api.schemas.fields import Code, Day, Filter, Number, line
from api.services import House, Services
from api.temporal import NotRunning
from lunas.ledger import views
from lunas.ledger.customers import customer_by_code
from lunas.ledger.database import LedgerSession
from lunas.ledger.decisions import why
from lunas.ledger.errors import NotFound
from lunas.ledger.invoices import NewInvoice, NewLine, create_invoice
from lunas.ledger.journal import journal_of
from lunas.ledger.views import InvoiceQuery, invoice_view
from lunas.receivables.calendar import zone
from lunas.receivables.invoice import HoldKind, Stage
from lunas.receivables.terms import Terms
from workflows.nudging import Told

router = APIRouter(prefix="/v1/invoices", tags=["invoices"], route_class=KeyedRoute)

NumberInPath = Annotated[Number, Path()]
_LONGEST_TERMS = 999

#: What came of a nudge, as clients read it.
WORDS = {
    Told.STARTED: shown.Told.STARTED,
    Told.SIGNALLED: shown.Told.RUNNING,
    Told.NOT_WANTED: shown.Told.CLOSED,
    None: shown.Told.PENDING,
}


class InvoiceFilter(Filter):
    """Which invoices a list shows; what is left out does not restrict it."""

    stage: list[Stage] = Field(default=[], max_length=len(Stage), description="Any of these stages")
    hold: HoldKind | None = None
    open: bool | None = Field(default=None, description="Whether collecting goes on")
    customer: Code | None = None
    due_from: Day | None = None
    due_to: Day | None = None
    overdue: bool = Field(default=False, description="Open and past due: today by the company's clock, or on `as_of`")
    as_of: Day | None = None
    flag: Annotated[str, line(40, "What waits for a person", examples=["needs_approval"])] | None = None
    text: Annotated[str, line(100, "Looked for in number, customer and purchase order")] | None = None
    cursor: Annotated[str, line(60, "The `next_cursor` of the page before")] | None = None
    limit: int = Field(default=50, ge=1, le=200)

    def query(self, today: date) -> InvoiceQuery:
        """For the ledger."""
        return InvoiceQuery(
            stages=tuple(self.stage),
            held=self.hold,
            is_open=self.open,
            customer=self.customer,
            overdue_on=(self.as_of or today) if self.overdue else None,
            due_from=self.due_from,
            due_to=self.due_to,
            flag=self.flag,
            text=self.text or "",
        )


class JournalFilter(Filter):
    """Which page of a journal."""

    after: int = Field(default=0, ge=0, le=2**63 - 1, description="The `next_after` of the page before")
    limit: int = Field(default=200, ge=1, le=500)


class DecisionFilter(Filter):
    """Which decisions."""

    on: Day | None = Field(default=None, description="One day of the customer's calendar")


@router.post(
    "",
    status_code=201,
    responses={
        **documented(*NAMED, *SENT),
        200: {"model": shown.InvoiceView, "description": "It exists, and says the same"},
    },
)
async def issue_invoice(body: shown.InvoiceBody, house: House, key: Issuer, response: Response) -> shown.InvoiceView:
    """Issue an invoice and start collecting it.

    A number is issued once: the same body again is harmless (200), another body is a 409. Where Temporal is down the
    invoice is issued all the same, and its workflow is `pending` for some minutes.
    """
    async with house.ledger.write() as session:
        customer = await customer_by_code(session, body.customer)
        name = body.policy or customer.policy_name or house.policies.default
        plan = house.policies.resolved(name, customer.time_zone, body.issued_on)
        new = await _new(session, body, plan.terms)
        issued = await create_invoice(session, new, plan)
    if issued.is_new:
        told = await house.nudges.start(issued.opening, issued.facts)
        return present.new_invoice_view(issued, new.lines, WORDS[told])
    told = await house.nudges.tell(body.number)
    response.status_code = 200
    async with house.ledger.read() as session:
        return await present.invoice_view(session, body.number, workflow=WORDS[told])


async def _new(session: LedgerSession, body: shown.InvoiceBody, of_policy: Terms) -> NewInvoice:
    """The invoice for the ledger. What it says of terms is worked out once: the first time that it is issued."""
    lines = tuple(NewLine(one.description, one.quantity, one.unit_price_minor, one.amount) for one in body.lines)
    return NewInvoice(
        number=body.number,
        customer=body.customer,
        currency=body.currency,
        issued_on=body.issued_on,
        terms=await _terms(session, body, of_policy),
        lines=lines,
        due_on=body.due_on,
        purchase_order=body.purchase_order,
    )


async def _terms(session: LedgerSession, body: shown.InvoiceBody, of_policy: Terms) -> Terms:
    if body.terms is not None:
        return Terms.parse(body.terms)
    if body.due_on is not None:
        days = (body.due_on - body.issued_on).days
        if days > _LONGEST_TERMS:
            detail = f"it lies {days} days after issued_on: at most {_LONGEST_TERMS}"
            raise Problem(Kind.INVALID, detail, errors=[FieldError(where="body", pointer="/due_on", detail=detail)])
        return Terms(days)
    try:  # the policy's terms may have changed since it was issued
        return Terms.parse((await invoice_view(session, body.number)).terms)
    except NotFound:
        return of_policy


@router.get("", responses=documented(*EVERYWHERE))
async def list_invoices(asked: Annotated[InvoiceFilter, Query()], house: House, key: Reader) -> shown.InvoicePage:
    """Invoices by due date, a page at a time."""
    async with house.ledger.read() as session:
        today = (await session.now()).astimezone(zone(house.settings.company_time_zone)).date()
        page, cursor = await views.list_invoices(session, asked.query(today), after=asked.cursor, limit=asked.limit)
    return shown.InvoicePage(invoices=[present.invoice_line(view) for view in page], next_cursor=cursor)


@router.get("/{number:name}", responses=documented(*NAMED))
async def get_invoice(
    number: NumberInPath,
    house: House,
    key: Reader,
    later: BackgroundTasks,
    live: Annotated[bool, Query(description="Ask the workflow itself as well")] = False,
) -> shown.InvoiceView:
    """One invoice: the facts, where its collection stands, what happens next and when, and what was said last."""
    async with house.ledger.read() as session:
        view = await present.invoice_view(session, number)
    return view.model_copy(update={"live": await _live(house, number, later)}) if live else view


async def _live(house: Services, number: str, later: BackgroundTasks) -> shown.LiveView | None:
    try:
        return shown.LiveView.model_validate(await house.temporal.look(number))
    except NotRunning:
        later.add_task(house.nudges.deliver, number)  # it is closed, or should be running: this starts it
        return None


@router.get("/{number:name}/journal", responses=documented(*NAMED))
async def get_journal(
    number: NumberInPath, asked: Annotated[JournalFilter, Query()], house: House, key: Reader
) -> shown.JournalPage:
    """Every decision and every fact, once each, in the order they came."""
    async with house.ledger.read() as session:
        await invoice_view(session, number)
        rows, after = await journal_of(session, number, after=asked.after, limit=asked.limit)
        return shown.JournalPage(entries=[shown.JournalLine.model_validate(row) for row in rows], next_after=after)


@router.get("/{number:name}/decisions", responses=documented(*NAMED))
async def get_decisions(
    number: NumberInPath, asked: Annotated[DecisionFilter, Query()], house: House, key: Reader
) -> shown.Decisions:
    """Why a message was, or was not, sent: every answer of the gate, with what it asked and saw."""
    async with house.ledger.read() as session:
        found = await why(session, number, asked.on)
    return shown.Decisions(decisions=[present.decision_view(decision) for decision in found])
