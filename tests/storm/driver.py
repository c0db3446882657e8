"""The driver: lets virtual days pass for every customer, and pays at the worst moment."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import quote
from uuid import uuid4

import httpx2
from temporalio.service import RPCError

from deploy.embedded.time_skipping import TimeSkippingError, WorkflowNotRunning, fast_forward_to
from lunas.ledger.customers import NewContact, NewCustomer, create_customer
from lunas.ledger.invoices import NewInvoice, NewLine, create_invoice
from lunas.ledger.news import LedgerNews
from lunas.receivables.calendar import zone
from lunas.receivables.money import Currency
from lunas.receivables.policy import WEEKDAYS
from lunas.receivables.terms import Terms
from tests.storm.plan import Bill, Debtor, Hold, Payment, Plan, next_days, policy
from tests.storm.world import World
from workflows import messages as m
from workflows.nudging import Courier

ZONE = "Asia/Jakarta"
#: A delivery that is not acknowledged within so many seconds is made again, as providers do.
_DELIVERY_WITHIN = 12.0
_PATIENCE = timedelta(seconds=20)
_TELL_EVERY = 15.0
#: A fault waits so many seconds for a mail that it could hit.
_QUIET_FOR = 30.0
#: What ends a delivery: for a payment only a yes, for a request also a no.
_ACKNOWLEDGED = frozenset({202})
_ANSWERED = frozenset({200, 202, 409})
#: Answers that ask for the same again: a key that is being worked out, and parts that are away.
_AGAIN = frozenset({409, 500, 502, 503, 504})


@dataclass
class Acknowledged:
    """What the API has said yes to. Moments are monotonic.

    `first` is when each payment was acknowledged, `held` is between which moments an invoice was on hold for certain,
    `took` is how long the deliveries that were answered took.
    """

    first: dict[str, float] = field(default_factory=dict)
    held: list[tuple[str, float, float]] = field(default_factory=list)
    took: list[float] = field(default_factory=list)
    deliveries: int = 0
    answers: Counter[int] = field(default_factory=Counter)


class Driver:
    """Runs one plan against one world."""

    def __init__(self, plan: Plan, world: World) -> None:
        self._plan = plan
        self._world = world
        self.acknowledged = Acknowledged()
        self.began = time.monotonic()
        self.today = datetime.now(UTC).astimezone(zone(ZONE)).date()
        self._heard: Counter[str] = Counter()
        self._lived = 0
        self._days = len(plan.debtors) * plan.scale.days
        self._of_address = {address: debtor for debtor in plan.debtors for address in debtor.addresses}
        self._at_rcpt: dict[tuple[str, int], list[Payment | Hold]] = defaultdict(list)
        self._begun: list[asyncio.Task[None]] = []
        self._http = httpx2.AsyncClient(
            timeout=_DELIVERY_WITHIN, headers={"Authorization": f"Bearer {world.key}"}, trust_env=False
        )
        code_of = {bill.number: debtor.code for debtor, bill in plan.bills}
        self._timed = [payment for payment in plan.payments if payment.at_rcpt is None]
        works: list[Payment | Hold] = [*plan.payments, *plan.holds]
        for work in works:
            if work.at_rcpt is not None:
                self._at_rcpt[code_of[work.invoice], work.at_rcpt].append(work)

    async def issue(self) -> None:
        """Write customers and invoices down and start their workflows, as the API does."""
        world, scale = self._world, self._plan.scale
        closed = (self.today + timedelta(days=4),)
        plan = policy(scale.rungs, ZONE, days=WEEKDAYS[:-1], holidays=closed)
        for debtor in self._plan.debtors:
            contacts = tuple(
                NewContact(name=f"Ibu {debtor.secret}", email=address, priority=place)
                for place, address in enumerate(debtor.addresses)
            )
            async with world.ledger.write() as session:
                await create_customer(session, NewCustomer(debtor.code, debtor.name, contacts=contacts))
                for bill in debtor.bills:
                    await create_invoice(session, self._invoice(debtor, bill), plan)
        messenger = Courier(LedgerNews(world.ledger))
        await asyncio.gather(*(messenger.deliver(world.client, bill.number) for _, bill in self._plan.bills))

    def _invoice(self, debtor: Debtor, bill: Bill) -> NewInvoice:
        line = NewLine("Barang", "1", bill.minor, bill.minor)
        due = self.today + timedelta(days=bill.due_in)
        return NewInvoice(bill.number, debtor.code, Currency.IDR, self.today, Terms(1), (line,), due_on=due)

    async def run(self) -> None:
        """Let every customer live all its days, meet every fault, and see every payment acknowledged."""
        self.began = time.monotonic()
        async with asyncio.TaskGroup() as everything:
            listening = everything.create_task(self._listen())
            telling = everything.create_task(self._tell())
            async with asyncio.TaskGroup() as storm:
                for debtor in self._plan.debtors:
                    storm.create_task(self._live(debtor))
                storm.create_task(self._suffer())
            while unfinished := [task for task in self._begun if not task.done()]:
                await asyncio.wait(unfinished)
            for task in self._begun:
                task.result()
            listening.cancel()
            telling.cancel()
        await self._http.aclose()

    async def _tell(self) -> None:
        """A line now and then for whoever watches."""
        while True:
            await asyncio.sleep(_TELL_EVERY)
            print(
                f"  {time.monotonic() - self.began:4.0f} s: {self._lived} of {self._days} days lived, "
                f"{sum(self._heard.values())} mails begun, {len(self.acknowledged.first)} payments acknowledged",
                flush=True,
            )

    async def _live(self, debtor: Debtor) -> None:
        days = next_days(self.today, self._plan.scale.days)
        length = self._plan.scale.seconds / (len(days) + 1)
        for place, day in enumerate(days):
            await self._at((place + debtor.phase) * length)
            noon = datetime(day.year, day.month, day.day, 9, 0, tzinfo=zone(ZONE))
            await asyncio.gather(*(self._advance(bill.number, noon) for bill in debtor.bills))
            self._lived += 1
            for payment in [each for each in self._timed if each.at_share <= self._lived / self._days]:
                self._timed.remove(payment)
                self._begin(payment)

    async def _advance(self, number: str, moment: datetime) -> None:
        """Move the invoice's clock; whatever stands in the way is tried again until it does not."""
        while True:
            try:
                await fast_forward_to(self._world.client, m.workflow_id(number), moment, patience=_PATIENCE)
                return
            except WorkflowNotRunning:
                return
            except (TimeSkippingError, RPCError, ValueError):
                await asyncio.sleep(0.2)

    async def _suffer(self) -> None:
        """Let one fault follow the other; those that remain when all days are lived are not needed."""
        async with asyncio.TaskGroup() as faults:
            for fault in self._plan.faults:
                heard, before = sum(self._heard.values()), time.monotonic()
                await asyncio.sleep(fault.after)
                while sum(self._heard.values()) < heard + self._plan.scale.mails_a_fault:
                    if self._lived == self._days or time.monotonic() - before > _QUIET_FOR:
                        break
                    await asyncio.sleep(0.02)
                if self._lived == self._days:
                    return
                faults.create_task(self._world.suffer(fault))

    async def _at(self, second: float) -> None:
        await asyncio.sleep(max(0.0, self.began + second - time.monotonic()))

    # --- payments and holds -------------------------------------------------------------------------------------------

    async def _listen(self) -> None:
        """The relay says whenever it hears a RCPT: now is the moment."""
        loop = asyncio.get_running_loop()
        while True:
            debtor = self._of_address.get((await loop.sock_recv(self._world.notices, 1024)).decode())
            if debtor is None:
                continue  # a mail to our own staff
            self._heard[debtor.code] += 1
            for work in self._at_rcpt.pop((debtor.code, self._heard[debtor.code]), ()):
                self._begin(work)

    def _begin(self, work: Payment | Hold) -> None:
        self._begun.append(asyncio.create_task(self._pay(work) if isinstance(work, Payment) else self._hold(work)))

    async def _pay(self, payment: Payment) -> None:
        """Deliver it until it is acknowledged; a doubled one is delivered twice at once."""
        await asyncio.gather(*(self._deliver(payment, place) for place in range(2 if payment.doubled else 1)))

    async def _deliver(self, payment: Payment, place: int) -> None:
        body = {
            "provider": "bank",
            "reference": payment.reference,
            "invoice": payment.invoice,
            "amount_minor": payment.minor,
            "currency": "IDR",
            "paid_on": self.today.isoformat(),
        }
        headers = {"Idempotency-Key": payment.reference} if payment.keyed else {}
        if await self._insist("/v1/payments", body, headers, place, until=_ACKNOWLEDGED):
            self.acknowledged.first.setdefault(payment.reference, time.monotonic())

    async def _hold(self, hold: Hold) -> None:
        """Dispute or pause it, and lift that after a while: between the two answers nothing may leave."""
        path = f"/v1/invoices/{quote(hold.invoice, safe='')}"
        ask, lift = ("dispute", "dispute/resolve") if hold.is_dispute else ("pause", "resume")
        if not await self._insist(f"{path}/{ask}", {"reason": "storm"}, {"Idempotency-Key": str(uuid4())}):
            return  # it was paid before
        since = time.monotonic()
        await asyncio.sleep(hold.lasts)
        self.acknowledged.held.append((hold.invoice, since, time.monotonic()))
        body = {"outcome": "rejected"} if hold.is_dispute else {}
        await self._insist(f"{path}/{lift}", body, {"Idempotency-Key": str(uuid4())})

    async def _insist(
        self,
        path: str,
        body: Mapping[str, object],
        headers: Mapping[str, str],
        place: int = 0,
        until: frozenset[int] = _ANSWERED,
    ) -> bool:
        """Send it to one API after the other until one has answered; whether that was a yes."""
        while True:
            self.acknowledged.deliveries += 1
            port = self._world.apis[place % len(self._world.apis)].options["port"]
            began = time.monotonic()
            try:
                answer = await self._http.post(f"http://127.0.0.1:{port}{path}", json=body, headers=headers)
            except httpx2.HTTPError:
                pass
            else:
                self.acknowledged.answers[answer.status_code] += 1
                if answer.status_code in until:
                    self.acknowledged.took.append(time.monotonic() - began)
                    return answer.is_success
                if answer.status_code not in _AGAIN:
                    raise AssertionError(f"the API answered {answer.status_code} to {path}: {answer.text}")
            place += 1
            await asyncio.sleep(0.1)
