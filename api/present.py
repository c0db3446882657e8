"""From what the ledger and the workflow say to what clients see."""

from __future__ import annotations

from collections.abc import Sequence

from api.schemas import invoices as shown
from api.schemas.charges import ChargeView, InterestView
from api.schemas.customers import ContactView, CustomerView
from api.schemas.payments import OpenedInvoice, PaidInvoice, PaymentView, RefundView, ReversalView, UnappliedView
from api.schemas.requests import RequestView
from lunas.ledger import views
from lunas.ledger.customers import contacts_of
from lunas.ledger.database import LedgerSession
from lunas.ledger.decisions import Decision
from lunas.ledger.facts import Seen, look_at
from lunas.ledger.holds import open_hold
from lunas.ledger.invoices import Issued, NewLine
from lunas.ledger.kinds import ChargeKind
from lunas.ledger.late_payment import Decided, Late
from lunas.ledger.notices import NoticeView, notices_of
from lunas.ledger.receipts import Booked, Unapplied
from lunas.ledger.refunds import Refunded
from lunas.ledger.reversals import Reversed
from lunas.ledger.tables import CustomerRow, InvoiceLineRow
from lunas.receivables.invoice import Balance
from lunas.receivables.money import Money
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
    hold = await open_hold(session, view.id)
    notices = await notices_of(session, number)
    return _invoice_view(
        view,
        await look_at(session, number),
        await views.lines_of(session, number),
        workflow,
        hold=shown.HoldView.model_validate(hold) if hold else None,
        last_notices=[notice_line(notice) for notice in reversed(notices[-_LAST_NOTICES:])],
    )


def new_invoice_view(issued: Issued, lines: Sequence[NewLine], workflow: shown.Told) -> shown.InvoiceView:
    """An invoice of which nothing is known yet but what was just written down."""
    return _invoice_view(views.view_of(issued.seen, issued.customer), issued.seen, lines, workflow)


def _invoice_view(
    view: views.InvoiceView,
    seen: Seen,
    lines: Sequence[InvoiceLineRow | NewLine],
    workflow: shown.Told | None,
    *,
    hold: shown.HoldView | None = None,
    last_notices: Sequence[shown.NoticeLine] = (),
) -> shown.InvoiceView:
    return shown.InvoiceView(
        **_line(view),
        facts_version=seen.facts.version,
        balance=balance_view(seen.balance),
        hold=hold,
        lines=[shown.BilledLine.model_validate(line) for line in lines],
        last_notices=list(last_notices),
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


def payment_view(booked: Booked, named: Sequence[str]) -> PaymentView:
    """What became of a payment, in figures and in a sentence; `named` are the invoices that the payer gave."""
    outstanding = booked.facts.balance.outstanding if booked.facts else None
    return PaymentView(
        receipt_id=booked.receipt_id,
        new=booked.new,
        currency=booked.allocated.currency,
        allocated_minor=booked.allocated.minor,
        unapplied_minor=booked.unapplied.minor,
        invoice=booked.invoice,
        outstanding_minor=outstanding,
        invoices=[
            PaidInvoice(
                invoice=part.invoice,
                allocated_minor=part.amount.minor,
                outstanding_minor=part.facts.balance.outstanding,
            )
            for part in booked.parts
        ],
        detail=_payment_words(booked, named),
    )


def refund_view(refunded: Refunded) -> RefundView:
    """What became of a refund."""
    return RefundView(
        refund_id=refunded.refund_id,
        new=refunded.new,
        currency=refunded.amount.currency,
        amount_minor=refunded.amount.minor,
        unapplied_minor=refunded.unapplied.minor,
    )


def interest_view(late: Late) -> InterestView:
    """Late interest and the late fee, in figures and in a sentence."""
    return InterestView(
        invoice=late.number,
        as_of=late.as_of,
        currency=late.currency,
        pack=late.pack,
        interest_mode=late.interest_mode,
        fee_mode=late.fee_mode,
        days=late.days,
        accrued_minor=late.accrued,
        claimed_minor=late.claimed,
        waived_minor=late.waived,
        unclaimed_minor=late.unclaimed,
        fee_minor=late.fee,
        fee_claimed_minor=late.fee_claimed,
        fee_waived_minor=late.fee_waived,
        fee_unclaimed_minor=late.fee_unclaimed,
        unknown_from=late.unknown_from,
        detail=_late_words(late),
    )


def charge_view(number: str, kind: ChargeKind, decided: Decided) -> ChargeView:
    """What was claimed or waived."""
    return ChargeView(
        invoice=number,
        kind=kind,
        reference=decided.reference,
        new=decided.new,
        currency=decided.amount.currency,
        amount_minor=decided.amount.minor,
        outstanding_minor=decided.facts.balance.outstanding,
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
            lines=list(one.lines),
            customer=one.customer,
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


def _payment_words(booked: Booked, named: Sequence[str]) -> str:
    currency = booked.allocated.currency
    words = "booked" if booked.new else "booked before"
    held = [
        f"{part.amount} for invoice {part.invoice}, on which "
        + (f"{Money(left, currency)} is open" if (left := part.facts.balance.outstanding) > 0 else "nothing is open")
        for part in booked.parts
    ]
    if held:
        words += ": " + "; ".join(held)
    if booked.unapplied.minor <= 0:
        return words
    words += f"; {booked.unapplied} is kept unapplied"
    missing = [number for number in named if number not in {part.invoice for part in booked.parts}]
    if missing:
        return (
            f"{words}: there is no invoice {', '.join(missing)} in {currency} that owes it; it is matched when there is"
        )
    return f"{words}: match it to an invoice, or pay it back"


def _late_words(late: Late) -> str:
    if late.pack is None:
        return late.why
    words = f"{Money(late.accrued, late.currency)} of interest on {late.days} late days by {late.as_of}"
    if late.claimed or late.waived:
        claimed, waived = Money(late.claimed, late.currency), Money(late.waived, late.currency)
        words += f", of which {claimed} was claimed and {waived} waived"
    if late.fee:
        state = "claimed" if late.fee_claimed else "waived" if late.fee_waived else "not claimed"
        words += f"; late fee {Money(late.fee, late.currency)}, {state}"
    return f"{words}; {late.why}" if late.why else words
