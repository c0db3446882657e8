"""One look at one invoice through its link: everything that the page, its forms and its PDF are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from lunas.briefs import InvoiceBrief, PaymentWay, Recipient
from lunas.ledger.briefing import invoice_brief, ways_to_pay
from lunas.ledger.database import LedgerSession
from lunas.ledger.holds import open_hold
from lunas.ledger.journal import last_decided_at
from lunas.ledger.late_payment import could_be_claimed, late_payment_of
from lunas.ledger.links import Follower, follow
from lunas.ledger.movements import Movement, movements
from lunas.ledger.policies import policy_under
from lunas.ledger.views import lines_of
from lunas.links import PayLink
from lunas.receivables.calendar import zone
from lunas.receivables.invoice import Balance, Hold, HoldKind, Stage
from lunas.receivables.money import Money
from lunas.receivables.policy import Patience


@dataclass(frozen=True, slots=True)
class Visit:
    """What the link leads to, on the customer's `today`."""

    follower: Follower
    brief: InvoiceBrief
    hold: Hold | None
    ways: tuple[PaymentWay, ...]
    patience: Patience
    today: date
    movements: Sequence[Movement] = ()
    late: Money | None = None  # interest and a fee that could be claimed, and that nobody owes

    @property
    def number(self) -> str:
        """The invoice."""
        return self.brief.number

    @property
    def stage(self) -> Stage:
        """How far the invoice is, as its workflow said last."""
        return self.follower.seen.invoice.stage

    @property
    def balance(self) -> Balance:
        """What is open, and how it came to that."""
        return self.follower.seen.balance

    @property
    def is_settled(self) -> bool:
        """Nothing is asked for any more."""
        return self.stage is Stage.CANCELLED or self.brief.balance.minor <= 0

    @property
    def may_promise(self) -> bool:
        """Whether a promise or a plan can be taken: as far as is known here, the workflow decides."""
        free = self.hold is None or self.hold.kind in (HoldKind.PROMISE, HoldKind.PAUSE)
        return free and not self.is_settled and not self.stage.is_closed and self.stage is not Stage.AGENCY

    @property
    def may_dispute(self) -> bool:
        """Whether the bill can be said to be wrong."""
        free = self.hold is None or self.hold.kind not in (HoldKind.DISPUTE, HoldKind.CREDIT)
        return free and not self.is_settled and not self.stage.is_closed

    def recipient(self, language: str) -> Recipient:
        """Whom the PDF is for."""
        customer, contact = self.follower.customer, self.follower.contact
        return Recipient(
            customer_code=customer.code,
            customer_name=customer.name,
            contact_name=contact.name if contact else None,
            address="",
            language=language,
            postal_address=customer.postal_address,
        )


async def visit(session: LedgerSession, link: PayLink) -> Visit:
    """Look; raises NotFound for a revoked link as for an invoice that there is not."""
    found = await follow(session, link)
    time_zone, now = found.customer.time_zone, datetime.now(UTC)
    decided = await last_decided_at(session, found.seen.invoice.id)
    today = max(now, decided or now).astimezone(zone(time_zone)).date()  # in a demo months pass in a minute
    return Visit(
        follower=found,
        brief=invoice_brief(found.seen, await lines_of(session, link.number), today),
        hold=await open_hold(session, found.seen.invoice.id),
        ways=await ways_to_pay(session, link.number, time_zone),
        patience=(await policy_under(session, found.seen.invoice.policy_digest)).patience,
        today=today,
        movements=await movements(session, found.seen.invoice.id),
        late=could_be_claimed(await late_payment_of(session, link.number, today)),
    )
