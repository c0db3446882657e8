"""What people ask of a running invoice: the workflow decides, and answers with the new view or with why not."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, Depends, Path

from api.asking import Message, ask
from api.errors import ASKED, NAMED, documented
from api.keys import Decider, signed
from api.present import request_view
from api.routes import KeyedRoute, RequestKey
from api.schemas import requests as asked
from api.schemas.fields import Number
from api.services import House
from lunas.ledger.customers import customer_by_code
from lunas.ledger.invoices import adopt_policy
from lunas.ledger.views import InvoiceView, invoice_view
from lunas.receivables.instalments import equal_instalments
from lunas.receivables.invoice import Instalment
from workflows import messages as m

router = APIRouter(prefix="/v1/invoices/{number:name}", tags=["requests"], route_class=KeyedRoute)

_RESPONSES = documented(*NAMED, *ASKED)


class Desk:
    """Where requests about one invoice are handed in."""

    def __init__(self, number: Annotated[Number, Path()], house: House, key: Decider, request_key: RequestKey) -> None:
        self.number, self.house, self._key, self._request_key = number, house, key, request_key

    def by(self, person: str | None) -> str:
        """The name for the journal."""
        return signed(person, self._key)

    async def ask(self, update: str, message: Message) -> asked.RequestView:
        """Ask the workflow; once this has an answer, nothing leaves that the request was to stop.

        A workflow that should run and does not is started first.
        """
        await self.invoice()
        return request_view(await ask(self.house, self.number, update, message, key=self._request_key))

    async def invoice(self) -> InvoiceView:
        """The invoice by the ledger; raises NotFound."""
        async with self.house.ledger.read() as session:
            return await invoice_view(session, self.number)


AtDesk = Annotated[Desk, Depends()]


@router.post("/promise", responses=_RESPONSES)
async def record_promise(body: asked.PromiseBody, desk: AtDesk) -> asked.RequestView:
    """The customer promises to pay by a date: dunning rests until then; a broken promise takes it up again."""
    message = m.RecordPromise(body.pay_by, desk.by(body.by), body.reason or "", body.amount_minor)
    return await desk.ask("record_promise", message)


@router.post("/instalments", responses=_RESPONSES)
async def agree_instalments(body: asked.PlanBody, desk: AtDesk) -> asked.RequestView:
    """The customer is to pay all that is open in instalments: dunning rests as long as each comes by its day."""
    if body.instalments is not None:
        plan = tuple(Instalment(one.pay_by, one.amount_minor) for one in body.instalments)
    else:
        assert body.count is not None and body.first_on is not None
        plan = equal_instalments((await desk.invoice()).balance, body.count, body.first_on, body.every)
    message = m.AgreeInstalments(plan, desk.by(body.by), body.reason or "")
    return await desk.ask("agree_instalments", message)


@router.post("/dispute", responses=_RESPONSES)
async def raise_dispute(body: asked.DisputeBody, desk: AtDesk) -> asked.RequestView:
    """The customer says that the bill is wrong: dunning rests until that is decided."""
    return await desk.ask("raise_dispute", m.RaiseDispute(body.reason, desk.by(body.by), body.amount_minor))


@router.post("/dispute/resolve", responses=_RESPONSES)
async def resolve_dispute(body: asked.ResolutionBody, desk: AtDesk) -> asked.RequestView:
    """The dispute is decided."""
    return await desk.ask("resolve_dispute", m.ResolveDispute(body.outcome, desk.by(body.by), body.reason or ""))


@router.post("/pause", responses=_RESPONSES)
async def pause(body: asked.PauseBody, desk: AtDesk) -> asked.RequestView:
    """Send nothing for a while."""
    return await desk.ask("pause", m.Pause(body.reason, desk.by(body.by), body.until))


@router.post("/resume", responses=_RESPONSES)
async def resume(body: asked.RequestBody, desk: AtDesk) -> asked.RequestView:
    """End the pause."""
    return await desk.ask("resume", m.Resume(desk.by(body.by), body.reason or ""))


@router.post("/placement", responses=_RESPONSES)
async def decide_placement(body: asked.PlacementBody, desk: AtDesk) -> asked.RequestView:
    """Let the agency have it, or keep it."""
    return await desk.ask("approve_placement", m.ApprovePlacement(desk.by(body.by), body.reason or "", body.approve))


@router.post("/recall", responses=_RESPONSES)
async def recall(body: asked.DecisionBody, desk: AtDesk) -> asked.RequestView:
    """Take it back from the agency."""
    return await desk.ask("recall", m.Recall(desk.by(body.by), body.reason))


@router.post("/write-off", responses=_RESPONSES)
async def write_off(body: asked.DecisionBody, desk: AtDesk) -> asked.RequestView:
    """Book the balance as a loss. The claim may live on; money that comes later is booked."""
    return await desk.ask("write_off", m.WriteOff(desk.by(body.by), body.reason))


@router.post("/cancel", responses=_RESPONSES)
async def cancel(body: asked.DecisionBody, desk: AtDesk) -> asked.RequestView:
    """Stop collecting an invoice that should never have been."""
    return await desk.ask("cancel", m.Cancel(desk.by(body.by), body.reason))


@router.post("/credit", responses=_RESPONSES)
async def decide_credit(body: asked.CreditBody, desk: AtDesk) -> asked.RequestView:
    """Hold the invoice for credit before anything is sent, or release it."""
    return await desk.ask("decide_credit", m.DecideCredit(desk.by(body.by), body.reason or "", body.release))


@router.post("/policy", responses=_RESPONSES)
async def change_policy(body: asked.PolicyBody, desk: AtDesk, later: BackgroundTasks) -> asked.RequestView:
    """Follow another policy from here on. `GET …/rehearsal?policy=` shows first what it would do."""
    async with desk.house.ledger.read() as session:
        invoice = await invoice_view(session, desk.number)
        customer = await customer_by_code(session, invoice.customer)
    plan = desk.house.policies.resolved(body.policy, customer.time_zone, invoice.issued_on)
    by = desk.by(body.by)
    view = await desk.ask("change_policy", m.ChangePolicy(plan, by, body.reason or ""))
    async with desk.house.ledger.write() as session:
        await adopt_policy(session, desk.number, plan, by=by)
    later.add_task(desk.house.nudges.deliver, desk.number)
    return view
