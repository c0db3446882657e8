"""Late payment: what has accrued on an invoice by its policy, what of it was claimed or waived, and who does that.

Everything is worked out anew from the facts by their value dates, so that a payment which becomes known late, or goes
back, changes the figure for its own days. What was claimed or waived is taken off the whole: only the whole is rounded.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from sqlalchemy import BigInteger, cast, func, select

from lunas.ledger.charges import book_charge, book_waiver, charge_under, record_charge, record_waiver
from lunas.ledger.database import LedgerSession, WriteSession
from lunas.ledger.errors import Refused
from lunas.ledger.facts import CREDITED, OUTSTANDING, Seen, lock_customer_of, look_at
from lunas.ledger.kinds import ChargeKind
from lunas.ledger.policies import policy_under
from lunas.ledger.tables import (
    AllocationRow,
    ChargeRow,
    DiscountRow,
    InvoiceRow,
    ReceiptRow,
    ReversalPartRow,
    ReversalRow,
    ToleranceRow,
    WaiverRow,
)
from lunas.policies.packs import pack
from lunas.receivables.actions import NoticeKind
from lunas.receivables.interest import Accrued, LatePayment, Mode, Moved, accrue, open_on
from lunas.receivables.invoice import CLOSED, Facts
from lunas.receivables.money import LARGEST_MINOR, Currency, Money
from lunas.receivables.policy import Policy

#: The one late fee of an invoice.
LATE_FEE = "late fee"
#: Notices that say what is owed by now, and so bring what the policy claims.
CLAIMING = (NoticeKind.FOLLOW_UP, NoticeKind.FINAL_DEMAND)

_BOOKED = (Mode.CLAIM, Mode.WAIVE)
_COUNTED = (Mode.ACCRUE, Mode.CLAIM)
_CHUNK = 500


@dataclass(frozen=True, slots=True)
class Late:
    """Late interest and the late fee of an invoice as of a day, in minor units of its currency.

    `accrued` is the whole, of which `claimed` and `waived` have been; `unclaimed` is what is left of it. `why` says why
    there is no figure, where there is none.
    """

    number: str
    as_of: date
    currency: Currency
    pack: str | None
    interest_mode: Mode | None
    fee_mode: Mode | None
    days: int = 0
    accrued: int = 0
    claimed: int = 0
    waived: int = 0
    fee: int = 0
    fee_claimed: int = 0
    fee_waived: int = 0
    unknown_from: date | None = None
    why: str = ""

    @property
    def unclaimed(self) -> int:
        """Interest that nobody claimed or waived yet."""
        return max(self.accrued - self.claimed - self.waived, 0)

    @property
    def fee_unclaimed(self) -> int:
        """The fee, until it is claimed or waived."""
        return 0 if self.fee_claimed or self.fee_waived else self.fee

    def of(self, kind: ChargeKind) -> Money:
        """What may be claimed or waived of that kind."""
        return Money(self.unclaimed if kind is ChargeKind.INTEREST else self.fee_unclaimed, self.currency)

    def reference(self, kind: ChargeKind) -> str:
        """Under which it is claimed or waived once."""
        return f"interest to {self.as_of}" if kind is ChargeKind.INTEREST else LATE_FEE


async def late_payment_of(session: LedgerSession, number: str, as_of: date | None = None) -> Late:
    """What has accrued on the invoice by the end of that day (None: today where the customer is); raises NotFound."""
    seen = await look_at(session, number)
    policy = await policy_under(session, seen.invoice.policy_digest)
    return await late_payment(session, seen, policy, as_of or policy.calendar.local_date(seen.now))


def could_be_claimed(late: Late) -> Money:
    """Interest and fee that nobody owes so far and that the policy has not given up."""
    interest = 0 if late.interest_mode is Mode.WAIVE else late.unclaimed
    fee = 0 if late.fee_mode is Mode.WAIVE else late.fee_unclaimed
    return Money(min(interest + fee, LARGEST_MINOR), late.currency)


async def late_payment(session: LedgerSession, seen: Seen, policy: Policy, as_of: date) -> Late:
    """The same for a caller that has looked at the invoice."""
    row = seen.invoice
    moves = (await _moves(session, [row.id]))[row.id]
    sums = await _booked(session, [row.id])
    return _late(row, policy.late_payment, as_of, moves, sums.get(row.id, {}))


def _late(
    row: InvoiceRow, rules: LatePayment | None, as_of: date, moves: Collection[Moved], sums: dict[str, Any]
) -> Late:
    if rules is None:
        why = "its policy says nothing of late payment: `late_payment: {pack: …}` would"
        return Late(row.number, as_of, row.currency, None, None, None, why=why, **sums)
    law = pack(rules.pack)
    first = row.due_on + timedelta(days=1)
    rates = law.with_own(rules.rates) if law.currency is row.currency else rules.rates
    found, why = Accrued(0, 0), ""
    if rates:
        found = accrue(tuple(moves), rates, first, as_of, year_days=law.year_days, fixed=law.fixed_at_start)
        if found.unknown_from is not None:
            why = f"no rate is known from {found.unknown_from} on: name it in the policy's `late_payment: rates`"
    else:
        why = f"pack {law.name} is for {law.currency}, and the policy names no rates of its own"
    late = as_of >= first and law.currency is row.currency
    return Late(
        number=row.number,
        as_of=as_of,
        currency=row.currency,
        pack=law.name,
        interest_mode=rules.interest,
        fee_mode=rules.fee,
        days=found.days,
        accrued=min(found.minor, LARGEST_MINOR),  # a century late, an amount no longer is one
        fee=law.fee_on(open_on(tuple(moves), first)) if late else 0,
        unknown_from=found.unknown_from,
        why=why,
        **sums,
    )


async def book_late_payment(session: WriteSession, seen: Seen, policy: Policy, today: date) -> Seen:
    """Claim or waive, as the policy says, what has accrued; needs the customer's lock. The invoice as it is then.

    For the gate, before the notice's words are made, so that it states what is owed. Once a day and kind.
    """
    rules = policy.late_payment
    if rules is None or not {rules.interest, rules.fee} & set(_BOOKED):
        return seen
    late = await late_payment(session, seen, policy, today)
    booked = False
    for kind, mode in ((ChargeKind.INTEREST, rules.interest), (ChargeKind.FEE, rules.fee)):
        amount, reference = late.of(kind), late.reference(kind)
        if mode not in _BOOKED or amount.minor <= 0 or await charge_under(session, seen, reference) is not None:
            continue
        by, booked = f"policy {policy.name}", True
        if mode is Mode.CLAIM:
            await book_charge(
                session, seen, reference=reference, kind=kind, amount=amount, charged_on=today, by=by
            )  # fmt: skip
        else:
            reason = "the policy waives it"
            await book_waiver(
                session, seen, reference=reference, kind=kind, amount=amount, waived_on=today, by=by, reason=reason
            )
    return await look_at(session, seen.invoice.number) if booked else seen


@dataclass(frozen=True, slots=True)
class Decided:
    """What a person claimed or waived: under which reference, how much, whether now, and the facts after it."""

    reference: str
    amount: Money
    new: bool
    facts: Facts


@dataclass(frozen=True, slots=True)
class ChargeDecision:
    """A person claims or waives interest or the fee; what is None is as it has accrued by the end of the day `on`.

    `on` None is today where the customer is.
    """

    number: str
    kind: ChargeKind
    by: str
    reason: str
    on: date | None = None
    amount: Money | None = None
    reference: str | None = None


async def claim_by_hand(session: WriteSession, asked: ChargeDecision) -> Decided:
    """Claim interest or the fee. Raises as `record_charge` does, and Refused where nothing has accrued."""
    ready = await _ready(session, asked, waives=False)
    if ready.before is not None:
        return Decided(ready.reference, ready.amount, False, ready.before)
    known, new = await record_charge(
        session, asked.number, reference=ready.reference, kind=asked.kind, amount=ready.amount, charged_on=ready.on,
        by=asked.by, reason=asked.reason,
    )  # fmt: skip
    return Decided(ready.reference, ready.amount, new, known)


async def waive_by_hand(session: WriteSession, asked: ChargeDecision) -> Decided:
    """Give interest or the fee up. Raises as `record_waiver` does, and Refused where nothing has accrued."""
    ready = await _ready(session, asked, waives=True)
    if ready.before is not None:
        return Decided(ready.reference, ready.amount, False, ready.before)
    known, new = await record_waiver(
        session, asked.number, reference=ready.reference, kind=asked.kind, amount=ready.amount, waived_on=ready.on,
        by=asked.by, reason=asked.reason,
    )  # fmt: skip
    return Decided(ready.reference, ready.amount, new, known)


@dataclass(frozen=True, slots=True)
class _Ready:
    """What is to be decided; `before` are the facts where the same was decided before, its amount left to us."""

    on: date
    reference: str
    amount: Money
    before: Facts | None = None


async def _ready(session: WriteSession, asked: ChargeDecision, *, waives: bool) -> _Ready:
    await lock_customer_of(session, asked.number)
    seen = await look_at(session, asked.number)
    policy = await policy_under(session, seen.invoice.policy_digest)
    today = policy.calendar.local_date(seen.now)
    on = asked.on or today
    if on > today:
        raise Refused(f"{on} is not over: what has accrued is claimed or waived by today, {today}, at the latest")
    late = await late_payment(session, seen, policy, on)
    reference = asked.reference or late.reference(asked.kind)
    if asked.amount is not None:
        return _Ready(on, reference, asked.amount)
    before = await charge_under(session, seen, reference)
    if before is not None:
        same = before.kind is asked.kind and isinstance(before, WaiverRow) is waives
        # Of another kind, or decided the other way: it will be refused by its name.
        return _Ready(on, reference, Money(before.amount_minor, late.currency), seen.facts if same else None)
    rules = policy.late_payment
    by_law_only = rules is not None and pack(rules.pack).by_contract and not rules.rates
    if by_law_only and not waives and asked.kind is ChargeKind.INTEREST:
        raise Refused(f"invoice {asked.number}: without a rate that was agreed on, state the amount to be claimed")
    amount = late.of(asked.kind)
    if amount.minor <= 0:
        why = late.why or f"nothing of it is left to claim or waive on {on}"
        raise Refused(f"no {asked.kind} on invoice {asked.number}: {why}; or state an amount")
    return _Ready(on, reference, amount)


@dataclass(frozen=True, slots=True)
class AccruedTotal:
    """Interest that accrued on open invoices in one currency and was neither claimed nor waived, in minor units."""

    currency: Currency
    invoices: int
    minor: int


async def accrued_totals(session: LedgerSession, as_of: date) -> tuple[AccruedTotal, ...]:
    """What has accrued by the end of that day on open invoices whose policy counts it (accrue or claim)."""
    late = (InvoiceRow.stage.not_in(CLOSED), InvoiceRow.due_on < as_of, OUTSTANDING > 0)
    digests = await session.scalars(select(InvoiceRow.policy_digest).where(*late).distinct())
    counting = {}
    for digest in digests.all():
        rules = (await policy_under(session, digest)).late_payment
        if rules is not None and rules.interest in _COUNTED:
            counting[digest] = rules
    totals: dict[Currency, list[int]] = {}
    last = 0
    while counting:
        page = await session.scalars(
            select(InvoiceRow)
            .where(*late, InvoiceRow.policy_digest.in_(counting), InvoiceRow.id > last)
            .order_by(InvoiceRow.id)
            .limit(_CHUNK)
        )
        rows = page.all()
        if not rows:
            break
        last, ids = rows[-1].id, [row.id for row in rows]
        moves, sums = await _moves(session, ids), await _booked(session, ids)
        for row in rows:
            found = _late(row, counting[row.policy_digest], as_of, moves[row.id], sums.get(row.id, {})).unclaimed
            if found:
                totals.setdefault(row.currency, []).append(found)
    return tuple(AccruedTotal(currency, len(found), sum(found)) for currency, found in sorted(totals.items()))


async def _moves(session: LedgerSession, ids: Collection[int]) -> dict[int, list[Moved]]:
    """What was open of the lines and since when, invoice by invoice.

    A credit note says that it was never owed, so it counts from the first day; money counts from its value date.
    """
    found: dict[int, list[Moved]] = {}
    billed = select(InvoiceRow.id, InvoiceRow.total_minor - CREDITED).where(InvoiceRow.id.in_(ids))
    for invoice, minor in await session.execute(billed):
        found[invoice] = [Moved(date.min, minor)]
    for row in (AllocationRow, DiscountRow, ToleranceRow):
        taken = (
            select(row.invoice_id, row.amount_minor, row.at, ReceiptRow.paid_on)
            .outerjoin(ReceiptRow, ReceiptRow.id == row.receipt_id)
            .where(row.invoice_id.in_(ids))
        )
        for invoice, minor, at, paid_on in await session.execute(taken):
            by_value = paid_on is not None and (minor > 0 or row is AllocationRow)
            found[invoice].append(Moved(paid_on if by_value else at.date(), -minor))
    back = (
        select(ReversalPartRow.invoice_id, ReversalPartRow.amount_minor, ReversalRow.reversed_on)
        .join(ReversalRow, ReversalRow.id == ReversalPartRow.reversal_id)
        .where(ReversalPartRow.invoice_id.in_(ids))
    )
    for invoice, minor, on in await session.execute(back):
        found[invoice].append(Moved(on, minor))
    return found


async def _booked(session: LedgerSession, ids: Collection[int]) -> dict[int, dict[str, Any]]:
    """What was claimed and waived, invoice by invoice, under the names of `Late`'s fields."""
    found: dict[int, dict[str, Any]] = {}
    for row, word in ((ChargeRow, "claimed"), (WaiverRow, "waived")):
        sums = (
            select(row.invoice_id, row.kind, cast(func.sum(row.amount_minor), BigInteger))
            .where(row.invoice_id.in_(ids))
            .group_by(row.invoice_id, row.kind)
        )
        for invoice, kind, minor in await session.execute(sums):
            name = word if kind is ChargeKind.INTEREST else f"fee_{word}"
            found.setdefault(invoice, {})[name] = minor
    return found
