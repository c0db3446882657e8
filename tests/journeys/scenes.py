"""The scenes of the golden files: a policy, an invoice, and what is supposed to happen to it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path

from lunas.receivables import events as on
from lunas.receivables.instalments import Every, equal_instalments
from lunas.receivables.invoice import AgencyWord, InvoiceState
from lunas.receivables.policy import Policy
from lunas.receivables.rehearsal import Happening, issue, rehearse
from tests.receivables.samples import NUMBER, TOTAL, facts, jakarta, paid, policy

GOLDEN = Path(__file__).parent / "golden"
DUE = date(2026, 12, 2)  # a Wednesday


def invoice(of: Policy | None = None, *, due_on: date = DUE, opened: int | None = None) -> InvoiceState:
    """An invoice due on that date, issued as its terms say at ten in the morning; `opened` days after due if late."""
    of = of or policy()
    issued_on = due_on - timedelta(days=of.terms.net_days)
    opened_on = issued_on if opened is None else due_on + timedelta(days=opened)
    return issue(NUMBER, "C-7", TOTAL, issued_on, of, opened_at=jakarta(opened_on))


def late(days: int, hour: int = 10) -> datetime:
    """So many days after the due date."""
    return jakarta(DUE + timedelta(days=days), hour)


def asked(days: int, request: on.Request) -> Happening:
    """That somebody asks for something, so many days after the due date."""
    return Happening(late(days), request)


def shown(state: InvoiceState, *changes: tuple[int, dict[str, object]]) -> list[Happening]:
    """That the ledger shows changed facts, so many days after the due date."""
    seen, happenings = state.facts, []
    for days, change in changes:
        seen = facts(seen, **change) if change else paid(seen)
        happenings.append(Happening(late(days), seen))
    return happenings


def story(state: InvoiceState, *suppose: Happening, days: int = 130, since: datetime | None = None) -> str:
    """The rehearsal as text, from shortly before the first thing that is supposed to happen."""
    lines = rehearse(state, days=days, suppose=suppose, since=since)
    first = min((happening.at for happening in suppose), default=state.opened_at)
    before = max(sum(line.at < first for line in lines) - 2, 0)
    terms = f"{state.policy.name} ({state.policy.terms}), issued {state.issued_on}, due {state.due_on:%a %Y-%m-%d}"
    return "\n".join([terms, *(["…"] if before else []), *map(str, lines[before:])])


def unpaid_standard() -> str:
    """The default policy, when nobody ever pays or answers: the schedule of its source."""
    return story(invoice(), days=365)


def unpaid_gentle() -> str:
    """The gentle policy, when nobody ever pays or answers."""
    return story(invoice(policy("gentle")), days=365)


def net_7() -> str:
    """Terms too short for the first reminder: the invoice itself says it."""
    state = issue(NUMBER, "C-7", TOTAL, DUE - timedelta(days=7), policy(), opened_at=late(-7), due_on=DUE)
    return story(state, days=14)


def long_closure() -> str:
    """Due on the eve of a long closure (9 to 12 and 14 to 16 March): one message when it opens, none twice."""
    return story(invoice(due_on=date(2027, 3, 8)), days=30)


def reminder_left_out() -> str:
    """Closed days push the second reminder to the eve of the due date: the contact budget belongs to what follows."""
    return story(invoice(due_on=date(2027, 3, 20)), days=14)


def promise_broken() -> str:
    """On day 5 all is promised for day 15, and does not come."""
    return story(invoice(), asked(5, on.PromiseMade("ana", pay_by=DUE + timedelta(days=15))), days=60)


def promise_kept_in_part() -> str:
    """On day 5 a tenth is promised for day 15; it comes on day 9, and the rest stays open."""
    state, tenth = invoice(), TOTAL.minor // 10
    promise = on.PromiseMade("ana", pay_by=DUE + timedelta(days=15), amount_minor=tenth)
    return story(state, asked(5, promise), *shown(state, (9, {"received": tenth})), days=60)


def instalments_missed() -> str:
    """On day 5 three monthly instalments are agreed from day 15 on: the first comes early, the second does not come."""
    state = invoice()
    plan = equal_instalments(TOTAL, 3, DUE + timedelta(days=15), Every.MONTH)
    agreed = on.InstalmentsAgreed("ana", instalments=plan)
    return story(state, asked(5, agreed), *shown(state, (9, {"received": plan[0].amount_minor})), days=80)


def disputed_for_20_days() -> str:
    """Disputed on day 10, rejected on day 30: the ladder's clock stood still, and goes on where it stood."""
    raised, rejected = on.DisputeRaised("customer", "wrong quantity"), on.DisputeResolved("budi")
    return story(invoice(), asked(10, raised), asked(30, rejected), days=80)


def paused_twice() -> str:
    """Paused before due until day 4, and again on day 8 without a date."""
    first = on.Paused("ana", "call me on the 6th", until=DUE + timedelta(days=4))
    return story(invoice(), asked(-3, first), asked(8, on.Paused("ana")), days=60)


def approved_then_silent() -> str:
    """The placement is approved on day 107; the agency says nothing, then acknowledges, then gives it back."""
    state = invoice()
    words = shown(state, (150, {"agency": AgencyWord.ACKNOWLEDGED}), (190, {"agency": AgencyWord.RETURNED}))
    return story(state, asked(107, on.PlacementApproved("budi", "two promises broken")), *words, days=215)


def disputed_with_the_agency() -> str:
    """What is disputed comes back from the agency at once."""
    approval = asked(107, on.PlacementApproved("budi"))
    return story(invoice(), approval, asked(112, on.DisputeRaised("customer")), days=150)


def contact_lost_and_found() -> str:
    """The last address bounces on day 4, another is found on day 12: those days do not count."""
    state = invoice()
    return story(state, *shown(state, (4, {"reachable": False}), (12, {"reachable": True})), days=60)


def contact_lost_for_good() -> str:
    """The last address bounces on day 4, and nobody finds another."""
    state = invoice()
    return story(state, *shown(state, (4, {"reachable": False})), days=60)


def other_way_asked_for() -> str:
    """The customer writes on day 2 that they cannot pay like this: the offer is brought forward."""
    state = invoice()
    return story(state, *shown(state, (2, {"answers": 1, "other_way": True})), days=60)


def answered() -> str:
    """The customer writes something else on day 2: silence until a person can answer, and no research later."""
    state = invoice()
    return story(state, *shown(state, (2, {"answers": 1})), days=60)


def credit_to_be_decided() -> str:
    """Credit is held as soon as the invoice comes in at night, and released five days later: only then it is sent."""
    opened = jakarta(DUE - timedelta(days=30), hour=22)
    state = issue(NUMBER, "C-7", TOTAL, DUE - timedelta(days=30), policy(), opened_at=opened)
    held = Happening(opened + timedelta(minutes=1), on.CreditHeld("ana", "over the limit"))
    return story(state, held, asked(-25, on.CreditReleased("budi")), days=3)


def imported_on_day_120() -> str:
    """Imported 120 days late: no burst, and no agency without a final demand of ours."""
    return story(invoice(opened=120), days=190)


def worker_down_for_a_month() -> str:
    """The worker is down from day 8 to day 40: the highest rung earned, once."""
    state = invoice().but(climbed=7, follow_ups=3, last_step_on=DUE + timedelta(days=7))
    return story(state, days=100, since=late(40, hour=3))


def reversed_after_paid() -> str:
    """Paid on day 5, and the money goes back on day 60: it goes on at the level it had."""
    state = invoice()
    return story(state, *shown(state, (5, {}), (60, {"reversed": TOTAL.minor})), days=100)


def reversed_after_the_agency() -> str:
    """Paid while with the agency, which is recalled; after the reversal it is with us."""
    state = invoice()
    facts_shown = shown(state, (120, {}), (130, {"reversed": TOTAL.minor}))
    return story(state, asked(107, on.PlacementApproved("budi")), *facts_shown, days=170)


def new_policy_in_the_middle() -> str:
    """From standard to gentle on day 16: nothing is said twice."""
    return story(invoice(), asked(16, on.PolicyChanged("budi", policy=policy("gentle"))), days=140)


def paid_in_every_stage() -> str:
    """Paid in each stage: thanks, and silence."""
    parts = []
    for days in (-20, 0, 5, 22, 40, 115):
        state = invoice()
        approval = [asked(107, on.PlacementApproved("budi"))] if days > 107 else []
        lines = story(state, *approval, *shown(state, (days, {})), days=365).splitlines()
        parts.append("\n".join(lines[-4:]))
    return "\n\n".join(parts)


SCENES: dict[str, Callable[[], str]] = {
    scene.__name__: scene
    for scene in (
        unpaid_standard, unpaid_gentle, net_7, long_closure, reminder_left_out, promise_broken, promise_kept_in_part,
        instalments_missed, disputed_for_20_days, paused_twice, approved_then_silent, disputed_with_the_agency,
        contact_lost_and_found, contact_lost_for_good, other_way_asked_for, answered, credit_to_be_decided,
        imported_on_day_120, worker_down_for_a_month, reversed_after_paid, reversed_after_the_agency,
        new_policy_in_the_middle, paid_in_every_stage,
    )
}  # fmt: skip


def tell(name: str) -> str:
    """A golden file's text: what is supposed, and what is done."""
    scene = SCENES[name]
    return f"{' '.join((scene.__doc__ or '').split())}\n\n{scene()}\n"
