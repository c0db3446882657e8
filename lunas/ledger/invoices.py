"""The register of invoices: written down once, and read as the state that a workflow starts from."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import bindparam, exists, select

from lunas.ledger.announcing import announce_issued
from lunas.ledger.customers import contacts_of, customer_by_code, is_reachable
from lunas.ledger.database import DatabaseClock, LedgerSession, WriteSession, insert_or_ignore
from lunas.ledger.documents import body_digest, read_state
from lunas.ledger.errors import InvoiceConflict, Refused
from lunas.ledger.facts import Seen, lock_customer_of, lock_customers, lock_number, look_at, note_fact
from lunas.ledger.kinds import JournalSource, NudgeKind
from lunas.ledger.matching import apply_waiting
from lunas.ledger.policies import keep_policy, policy_digest, policy_under
from lunas.ledger.progress import projected
from lunas.ledger.recovery import recovered
from lunas.ledger.tables import CustomerRow, InvoiceLineRow, InvoiceRow, JournalRow, NudgeRow, PolicyRow
from lunas.receivables.invoice import Balance, Facts, InvoiceState
from lunas.receivables.leeway import Overpayment
from lunas.receivables.money import LARGEST_MINOR, Currency, Money
from lunas.receivables.policy import Policy
from lunas.receivables.terms import Terms
from lunas.receivables.view import standing

#: What stands under a number already, whether a policy is stored, and the moment.
_BEFORE = select(
    select(InvoiceRow.body_digest).where(InvoiceRow.number == bindparam("number")).scalar_subquery(),
    exists().where(PolicyRow.digest == bindparam("policy")),
    DatabaseClock(),
)
_NUMBER = re.compile(r"[^\s\x00-\x1f\x7f](?:[^\x00-\x1f\x7f]{0,62}[^\s\x00-\x1f\x7f])?")


@dataclass(frozen=True, slots=True)
class NewLine:
    """A line to be billed; `quantity` is a plain decimal, amounts are minor units of the invoice's currency."""

    description: str
    quantity: str
    unit_price_minor: int
    amount_minor: int


@dataclass(frozen=True, slots=True)
class NewInvoice:
    """An invoice to be written down. `due_on` None: as the terms say."""

    number: str
    customer: str
    currency: Currency
    issued_on: date
    terms: Terms
    lines: tuple[NewLine, ...]
    due_on: date | None = None
    purchase_order: str | None = None

    @property
    def digest(self) -> str:
        """What makes a repetition the same invoice. The policy does not count: it is ours, and may change meanwhile."""
        return body_digest(
            customer=self.customer,
            currency=self.currency,
            issued_on=self.issued_on,
            due_on=self.last_day,
            terms=str(self.terms),
            purchase_order=self.purchase_order,
            lines=[(line.description, line.quantity, line.unit_price_minor, line.amount_minor) for line in self.lines],
        )

    @property
    def last_day(self) -> date:
        """The last day on which paying is paying on time."""
        return self.due_on or self.terms.due_on(self.issued_on)

    @property
    def total(self) -> Money:
        """What is billed."""
        return Money(sum(line.amount_minor for line in self.lines), self.currency)


@dataclass(frozen=True, slots=True)
class Issued:
    """An invoice as it stands in the ledger after it was issued: now, or before with the same words."""

    is_new: bool
    seen: Seen
    customer: CustomerRow
    policy: Policy

    @property
    def facts(self) -> Facts:
        """What the ledger knows of it."""
        return self.seen.facts

    @property
    def opening(self) -> InvoiceState:
        """What the workflow of a new one starts from."""
        return _opening(self.seen, self.customer.code, self.policy)


async def create_invoice(session: WriteSession, new: NewInvoice, policy: Policy) -> Issued:
    """Write an invoice down once, with its copy of the policy.

    Money that came for it earlier is matched at once, and an outbox nudge asks for its workflow. Raises
    InvoiceConflict where the number stands for an invoice that says something else, NotFound for an unknown
    customer, Refused for an invoice that cannot be.
    """
    _check(new)
    customer = await customer_by_code(session, new.customer)
    if session.locks_rows:
        await lock_number(session, new.number)
        await lock_customers(session, [customer.id])
    asked = {"number": new.number, "policy": policy_digest(policy)}
    before, is_stored, now = (await session.execute(_BEFORE, asked)).one()
    if before is not None:
        if before != new.digest:
            raise _taken(new)
        return Issued(False, await look_at(session, new.number), customer, policy)
    if not is_stored:
        await keep_policy(session, policy)
    now = session.moment(now)
    state = InvoiceState(
        number=new.number,
        customer=customer.code,
        currency=new.currency,
        issued_on=new.issued_on,
        due_on=new.last_day,
        opened_at=now,
        policy=policy,
        facts=Facts(1, Balance(new.total.minor), is_reachable(await contacts_of(session, customer.id))),
    )
    first = standing(state, now)
    invoice_id = await session.scalar(
        insert_or_ignore(session, InvoiceRow, "number").returning(InvoiceRow.id),
        {
            "number": new.number,
            "customer_id": customer.id,
            "body_digest": new.digest,
            "currency": new.currency,
            "total_minor": new.total.minor,
            "issued_on": new.issued_on,
            "due_on": new.last_day,
            "terms": str(new.terms),
            "purchase_order": new.purchase_order,
            "policy_digest": policy_digest(policy),
            "opened_at": now,
            "reachable": state.facts.reachable,
            **projected(first),
        },
    )
    if invoice_id is None:
        raise _taken(new)
    session.add_all(
        InvoiceLineRow(
            invoice_id=invoice_id,
            position=position,
            description=line.description,
            quantity=line.quantity,
            unit_price_minor=line.unit_price_minor,
            amount_minor=line.amount_minor,
        )
        for position, line in enumerate(new.lines, 1)
    )
    session.add(_first_line(invoice_id, new, policy, now))
    session.add(NudgeRow(invoice_id=invoice_id, kind=NudgeKind.START, created_at=now))
    await session.flush()
    seen = await look_at(session, new.number)
    await announce_issued(session, seen, customer.code)
    takes_credit = policy.money.overpayment is Overpayment.NEXT_INVOICE
    if await apply_waiting(session, seen, credit_of=customer if takes_credit else None):
        seen = await look_at(session, new.number)
    return Issued(True, seen, customer, policy)


def _first_line(invoice_id: int, new: NewInvoice, policy: Policy, now: datetime) -> JournalRow:
    return JournalRow(
        invoice_id=invoice_id,
        source=JournalSource.LEDGER,
        sequence=1,
        at=now,
        event="invoice_created",
        by="lunas",
        detail=f"{new.total}, due {new.last_day}, {new.terms}",
        policy=f"{policy.name}@{policy.version}",
    )


def _check(new: NewInvoice) -> None:
    if not _NUMBER.fullmatch(new.number):
        raise Refused(
            f"{new.number!r} is not an invoice number: 1 to 64 characters, none of them control characters, "
            "no blank at either end"
        )
    if not new.lines:
        raise Refused(f"invoice {new.number} has no lines: bill at least one")
    if not 0 < sum(line.amount_minor for line in new.lines) <= LARGEST_MINOR:
        raise Refused(f"the lines of invoice {new.number} must add up to 1 to {LARGEST_MINOR} minor units")
    if new.last_day < new.issued_on:
        raise Refused(f"invoice {new.number} is due on {new.last_day}, before it is issued on {new.issued_on}")


def _taken(new: NewInvoice) -> InvoiceConflict:
    return InvoiceConflict(
        f"invoice {new.number} exists already and says something else: correct it with a credit note, "
        "or send this one under another number"
    )


async def adopt_policy(session: WriteSession, number: str, policy: Policy, *, by: str) -> Facts:
    """The invoice follows another policy from here on: window and budget are judged by it. Raises NotFound.

    For the workflow's accepted change; what was sent under the old policy keeps its keys, and is not sent again.
    """
    await lock_customer_of(session, number)
    seen = await look_at(session, number)
    adopted = await keep_policy(session, policy)
    if seen.invoice.policy_digest != adopted:
        seen.invoice.policy_digest = adopted
        detail = f"{policy.name}@{policy.version}"
        note_fact(session, seen.invoice, seen.now, "policy_adopted", by=by, detail=detail)
        await session.flush()
    return seen.facts


async def opening_state(session: LedgerSession, number: str) -> InvoiceState:
    """The state that a workflow starts from; raises NotFound.

    Of an invoice that was closed, it is the state that was kept at its end, with the facts as they were then. Of one
    whose run was lost, it is what the record shows. What the workflow has not heard of yet is in `facts`: the core
    makes the events out of the difference.
    """
    seen = await look_at(session, number)
    row = seen.invoice
    if row.closed_state is not None and row.stage.is_closed:
        return read_state(row.closed_state)
    customer = await session.scalar(select(CustomerRow.code).where(CustomerRow.id == row.customer_id))
    assert customer is not None
    fresh = _opening(seen, customer, await policy_under(session, row.policy_digest))
    return await recovered(session, seen, fresh) if row.sequence else fresh


def _opening(seen: Seen, customer: str, policy: Policy) -> InvoiceState:
    row = seen.invoice
    return InvoiceState(
        number=row.number,
        customer=customer,
        currency=row.currency,
        issued_on=row.issued_on,
        due_on=row.due_on,
        opened_at=row.opened_at,
        policy=policy,
        facts=_heard(seen),
    )


def _heard(seen: Seen) -> Facts:
    """The facts that need no event any more.

    Of money that came before the invoice, or a customer whom nobody can reach, the workflow must hear: a version
    before the first leaves that to the difference.
    """
    early = seen.invoice.sequence == 0 and seen.facts.version > 1
    if early or seen.balance.settled or not seen.facts.reachable:
        return Facts(version=0, balance=Balance(lines=seen.balance.lines))
    return seen.facts
