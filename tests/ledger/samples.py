"""Customers, invoices and orders for the ledger's tests."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta

from lunas.ledger.answers import Answer, Claimed, Committed
from lunas.ledger.claims import claim
from lunas.ledger.customers import NewContact, NewCustomer, create_customer
from lunas.ledger.database import Ledger
from lunas.ledger.invoices import NewInvoice, NewLine, create_invoice
from lunas.ledger.kinds import NoticeState
from lunas.ledger.notices import notices_of
from lunas.ledger.progress import record_progress
from lunas.ledger.receipts import Booked, NewReceipt, record_receipt
from lunas.ledger.sending import commit, record_sent
from lunas.receivables.actions import NoticeKind, SendNotice
from lunas.receivables.calendar import Calendar
from lunas.receivables.interest import LatePayment
from lunas.receivables.invoice import Entry, Facts, Hold, HoldKind, InvoiceState, Progress, Stage, Standing
from lunas.receivables.ladder import Channel, Do, Ladder, Rung, Tail
from lunas.receivables.leeway import EXACT, MoneyRules
from lunas.receivables.money import Currency, Money
from lunas.receivables.orders import NoticeOrder
from lunas.receivables.policy import ContactBudget, Patience, Policy
from lunas.receivables.terms import Terms

#: A Wednesday, 10:00 in Jakarta.
WEDNESDAY = datetime(2026, 3, 4, 3, 0, tzinfo=UTC)
DOMAIN = "mail.example.com"
BOTH = (Channel.EMAIL, Channel.SMS)
TERMS = Terms.parse("2/10 net 30")


def policy(
    *,
    holidays: tuple[date, ...] = (),
    budget: ContactBudget | None = None,
    zone: str = "Asia/Jakarta",
    money: MoneyRules = EXACT,
    late_payment: LatePayment | None = None,
) -> Policy:
    return Policy(
        name="sample",
        version="1",
        terms=TERMS,
        calendar=Calendar(zone, time(8), time(20), (0, 1, 2, 3, 4, 5), holidays),
        budget=budget or ContactBudget(),
        patience=Patience(),
        ladder=Ladder((Rung(0, Do.DUE_NOTICE, (Channel.EMAIL,)), Rung(1, Do.FOLLOW_UP, BOTH)), Tail(30)),
        money=money,
        late_payment=late_payment,
    )


POLICY = policy()


def new_invoice(number: str = "INV/2026/11/0042", *, minor: int = 1_000_000, customer: str = "ACME") -> NewInvoice:
    return NewInvoice(
        number=number,
        customer=customer,
        currency=Currency.IDR,
        issued_on=date(2026, 2, 1),
        terms=TERMS,
        lines=(NewLine("Beras", "2", minor // 2, minor // 2 * 2),),
    )


async def add_customer(
    ledger: Ledger,
    code: str = "ACME",
    *,
    email: str | None = "siti@acme.example",
    phone: str | None = "+628123456789",
) -> None:
    contact = NewContact(name="Siti", email=email, phone=phone)
    async with ledger.write() as session:
        await create_customer(session, NewCustomer(code, f"PT {code}", contacts=(contact,)))


async def add_invoice(ledger: Ledger, new: NewInvoice | None = None, plan: Policy = POLICY) -> Facts:
    async with ledger.write() as session:
        return (await create_invoice(session, new or new_invoice(), plan)).facts


async def pay(
    ledger: Ledger,
    number: str = "INV/2026/11/0042",
    minor: int = 1_000_000,
    *,
    reference: str = "pay-1",
    paid_on: date = date(2026, 3, 4),
    currency: Currency = Currency.IDR,
) -> Booked:
    receipt = NewReceipt("bank", reference, Money(minor, currency), paid_on, "test", number)
    async with ledger.write() as session:
        return await record_receipt(session, receipt)


def progress(
    sequence: int | None = None,
    *,
    stage: Stage = Stage.ISSUED,
    was: Stage | None = None,
    hold: Hold | None = None,
    next_at: datetime | None = None,
    next_rung: str | None = None,
    next_channels: tuple[Channel, ...] = (),
    closed: InvoiceState | None = None,
    event: str = "follow_up_fell_due",
) -> Progress:
    """Progress of one decision; without a number it brings none."""
    held = hold.kind if hold else None
    entry = Entry(
        sequence=sequence or 0,
        at=WEDNESDAY,
        event=event,
        rule=event,
        was=was or stage,
        becomes=stage,
        was_held=None,
        held=held,
        by="lunas",
        reason="",
        detail="",
        policy="sample@1",
    )
    standing = Standing(
        stage=stage,
        held=held,
        held_until=hold.until if hold else None,
        rung=None,
        next_step="follow-up",
        next_at=next_at,
        next_rung=next_rung,
        next_channels=next_channels,
    )
    return Progress((entry,) if sequence else (), standing, hold, closed)


def dispute(at: datetime = WEDNESDAY) -> Hold:
    return Hold(HoldKind.DISPUTE, at, at + timedelta(days=14), "siti", "wrong price")


def order(
    number: str = "INV/2026/11/0042",
    *,
    rung: str = "follow_up+1",
    kind: NoticeKind = NoticeKind.FOLLOW_UP,
    channel: Channel = Channel.EMAIL,
    at: datetime = WEDNESDAY,
    said: Progress | None = None,
    if_sent: Progress | None = None,
) -> NoticeOrder:
    return NoticeOrder(number, SendNotice(rung, kind, channel), at, said or progress(), if_sent)


async def ask(ledger: Ledger, asked: NoticeOrder | None = None) -> Answer:
    async with ledger.write() as session:
        return await claim(session, asked or order(), sender_domain=DOMAIN)


async def claimed(ledger: Ledger, asked: NoticeOrder | None = None) -> Claimed:
    answer = await ask(ledger, asked)
    assert isinstance(answer, Claimed), answer
    return answer


async def committed(ledger: Ledger, mine: Claimed) -> Committed:
    async with ledger.write() as session:
        answer = await commit(session, mine.notice_id, mine.token, template_digest="t1")
    assert isinstance(answer, Committed), answer
    return answer


async def sent(ledger: Ledger, asked: NoticeOrder | None = None) -> Claimed:
    """Claim, commit and record as sent."""
    mine = await claimed(ledger, asked)
    await committed(ledger, mine)
    async with ledger.write() as session:
        await record_sent(session, mine.notice_id, mine.token, answer="250 queued")
    return mine


async def schedule(
    ledger: Ledger, number: str, at: datetime, *channels: Channel, sequence: int = 1, rung: str = "follow_up+1"
) -> None:
    """What a workflow projects: its next notice falls due at `at`."""
    plan = progress(sequence, next_at=at, next_rung=rung, next_channels=channels or (Channel.EMAIL,))
    async with ledger.write() as session:
        await record_progress(session, number, plan)


def days_on(asked: NoticeOrder, days: int, rung: str) -> NoticeOrder:
    """The order for another rung, so many days later."""
    return replace(asked, at=asked.at + timedelta(days=days), notice=replace(asked.notice, rung=rung))


async def states(ledger: Ledger, number: str = "INV/2026/11/0042") -> dict[tuple[str, Channel], NoticeState]:
    """How every notice of the invoice stands."""
    async with ledger.read() as session:
        return {(one.rung, one.channel): one.state for one in await notices_of(session, number)}


class Hands:
    """A clock that stands still until it is moved."""

    def __init__(self, now: datetime = WEDNESDAY) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def move(self, **by: float) -> None:
        self.now += timedelta(**by)
