"""From what the ledger and the workflow say to what clients see."""

from __future__ import annotations

from collections.abc import Sequence

from api.schemas import invoices as shown
from api.schemas.customers import ContactView, CustomerView
from api.schemas.payments import OpenedInvoice, PaymentView, ReversalView, UnappliedView
from api.schemas.requests import RequestView
from lunas.ledger import views
from lunas.ledger.customers import contacts_of
from lunas.ledger.database import LedgerSession
from lunas.ledger.decisions import Decision
from lunas.ledger.facts import look_at
from lunas.ledger.holds import open_hold
from lunas.ledger.invoices import opening_state
from lunas.ledger.notices import NoticeView, notices_of
from lunas.ledger.receipts import Booked, Unapplied
from lunas.ledger.reversals import Reversed
from lunas.ledger.tables import CustomerRow
from lunas.receivables.invoice import CLOSED, Balance
from lunas.receivables.money import Money
from lunas.receivables.view import standing
from workflows import messages as m

_LAST_NOTICES = 10


async def customer_view(session: LedgerSession, customer: CustomerRow) -> CustomerView:
    """A customer with its contacts."""
    contacts = await contacts_of(session, customer.id)
    return CustomerView(
        code=customer.code,
        name=customer.name,
        language=customer.language,
        time_zone=customer.time_zone,
        postal_address=customer.postal_address,
        website=customer.website,
        policy=customer.policy_name,
        created_at=customer.created_at,
        contacts=[ContactView.model_validate(contact) for contact in contacts],
    )


def invoice_line(view: views.InvoiceView) -> shown.InvoiceLine:
    """An invoice in a list."""
    return shown.InvoiceLine(**_line(view))


async def invoice_view(
    session: LedgerSession,
    number: str,
    *,
    workflow: shown.Told | None = None,
) -> shown.InvoiceView:
    """One invoice with all that is known of it; raises NotFound."""
    view = await views.invoice_view(session, number)
    seen = await look_at(session, number)
    hold = await open_hold(session, view.id)
    notices = await notices_of(session, number)
    line = _line(view)
    if (
        seen.invoice.sequence == 0 and view.stage not in CLOSED
    ):  # nothing was decided yet: the core knows what comes first
        first = standing(await opening_state(session, number), seen.now)
        line |= {"next_step": first.next_step, "next_at": first.next_at}
    return shown.InvoiceView(
        **line,
        facts_version=seen.facts.version,
        balance=balance_view(seen.balance),
        hold=shown.HoldView.model_validate(hold) if hold else None,
        lines=[shown.BilledLine.model_validate(line) for line in await views.lines_of(session, number)],
        last_notices=[notice_line(notice) for notice in reversed(notices[-_LAST_NOTICES:])],
        workflow=workflow,
    )


def balance_view(balance: Balance) -> shown.BalanceView:
    """What is owed, part by part."""
    return shown.BalanceView.model_validate(balance)


def notice_line(notice: NoticeView) -> shown.NoticeLine:
    """A notice of an invoice."""
    return shown.NoticeLine.model_validate(notice)


def decision_view(decision: Decision) -> shown.DecisionView:
    """One answer of the gate."""
    return shown.DecisionView(
        at=decision.at,
        verdict=decision.verdict,
        why=decision.why,
        rung=decision.rung,
        channel=decision.channel,
        policy=decision.policy,
        balance_minor=decision.balance.minor,
        gates=[shown.GateView.model_validate(gate) for gate in decision.gates],
        until=decision.until,
        state=decision.state,
        sent_at=decision.sent_at,
        template_digest=decision.template_digest,
    )


def request_view(view: m.View) -> RequestView:
    """What the workflow answered to a request."""
    return RequestView.model_validate(view)


def payment_view(booked: Booked, named: str | None) -> PaymentView:
    """What became of a payment, in figures and in a sentence; `named` is the invoice that the payer gave."""
    outstanding = booked.facts.balance.outstanding if booked.facts else None
    return PaymentView(
        receipt_id=booked.receipt_id,
        new=booked.new,
        currency=booked.allocated.currency,
        allocated_minor=booked.allocated.minor,
        unapplied_minor=booked.unapplied.minor,
        invoice=booked.invoice,
        outstanding_minor=outstanding,
        detail=_payment_words(booked, named, outstanding),
    )


def reversal_view(reversed_: Reversed) -> ReversalView:
    """What became of a reversal."""
    return ReversalView(
        reversal_id=reversed_.reversal_id,
        new=reversed_.new,
        currency=reversed_.amount.currency,
        amount_minor=reversed_.amount.minor,
        invoices=[
            OpenedInvoice(invoice=number, outstanding_minor=facts.balance.outstanding)
            for number, facts in reversed_.invoices
        ],
    )


def unapplied_views(receipts: Sequence[Unapplied]) -> list[UnappliedView]:
    """Receipts that wait for a match."""
    return [
        UnappliedView(
            receipt_id=one.receipt_id,
            provider=one.provider,
            reference=one.reference,
            named=one.named,
            paid_on=one.paid_on,
            received_at=one.received_at,
            currency=one.amount.currency,
            amount_minor=one.amount.minor,
            unapplied_minor=one.unapplied.minor,
        )
        for one in receipts
    ]


def _line(view: views.InvoiceView) -> dict[str, object]:
    return {
        "number": view.number,
        "customer": view.customer,
        "customer_name": view.customer_name,
        "currency": view.total.currency,
        "total_minor": view.total.minor,
        "balance_minor": view.balance.minor,
        "issued_on": view.issued_on,
        "due_on": view.due_on,
        "terms": view.terms,
        "purchase_order": view.purchase_order,
        "stage": view.stage,
        "held": view.held,
        "held_until": view.held_until,
        "last_step": view.rung,
        "next_step": view.next_step,
        "next_at": view.next_at,
        "flags": list(view.flags),
        "reachable": view.reachable,
        "opened_at": view.opened_at,
        "closed_at": view.closed_at,
    }


def _payment_words(booked: Booked, named: str | None, outstanding: int | None) -> str:
    currency = booked.allocated.currency
    words = "booked" if booked.new else "booked before"
    if booked.invoice is not None and outstanding is not None:
        words += f": {booked.allocated} for invoice {booked.invoice}, on which "
        words += f"{Money(outstanding, currency)} is open" if outstanding > 0 else "nothing is open"
    if booked.unapplied.minor <= 0:
        return words
    words += f"; {booked.unapplied} is kept unapplied"
    if booked.invoice is None and named is not None:
        return f"{words}: there is no invoice {named} in {currency} that owes it; it is matched when there is"
    return f"{words}: match it to an invoice, or pay it back"
