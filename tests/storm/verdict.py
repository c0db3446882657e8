"""The verdict: every invariant that relay, payers, ledger and Temporal together can prove or refute.

The numbers are those of the guarantees. Each check yields what must never be; a storm that yields anything has failed.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import date, timedelta

from lunas.ledger.invariants import Violation
from lunas.ledger.kinds import NoticeState, Verdict
from lunas.receivables.invoice import Stage
from lunas.receivables.lifecycle import TABLE
from tests.storm.evidence import Evidence

_DAY = re.compile(r"([+-]\d+)$")
_RULES = {rule.name: rule for rule in TABLE}


def verdict(evidence: Evidence) -> list[Violation]:
    """Everything that must never be."""
    checks = (
        nothing_after_the_acknowledgement,
        nothing_twice,
        only_when_allowed,
        ledger_and_relay_agree,
        money_is_all_there,
        journal_is_allowed,
        everything_is_explained,
        one_workflow_each,
        rungs_in_order,
        no_personal_data,
    )
    return [*evidence.ledger_violations, *(found for check in checks for found in check(evidence))]


def nothing_after_the_acknowledgement(evidence: Evidence) -> Iterator[Violation]:
    """1. The relay got no last byte of a demand after a payment that settles it, or during a hold, was acknowledged."""
    known = evidence.by_message()
    for mail in evidence.mails:
        said = known.get(mail.message_id)
        if mail.is_answer if said is None else said.is_answer:
            continue
        for number in mail.speaks_of:
            settled = evidence.settled_at.get(number)
            if settled is not None and mail.dot_at > settled:
                yield Violation(1, number, f"{mail.message_id} left {mail.dot_at - settled:.3f} s after the payment")
            for held, since, until in evidence.held:
                if held == number and since < mail.dot_at < until:
                    yield Violation(1, number, f"{mail.message_id} left {mail.dot_at - since:.3f} s after the hold")


def nothing_twice(evidence: Evidence) -> Iterator[Violation]:
    """2. One message for one notice; and a rung of an invoice is spoken of once, whoever's message carried it."""
    for message_id, times in Counter(mail.message_id for mail in evidence.mails).items():
        if times > 1:
            yield Violation(2, message_id, f"the relay accepted it {times} times")
    known = evidence.by_message()
    heard: Counter[tuple[str, str]] = Counter()
    for message_id in {mail.message_id for mail in evidence.mails}:
        said = known.get(message_id)
        if said is not None:
            heard.update((each.number, each.row.rung) for each in (said, *evidence.carried_by(said)))
    for (number, rung), times in heard.items():
        if times > 1:
            yield Violation(2, number, f"{rung} was said {times} times")


def only_when_allowed(evidence: Evidence) -> Iterator[Violation]:
    """3. Inside the window, not on a holiday, in the recipient's zone, under the caps."""
    contacts: dict[int, dict[int, date]] = defaultdict(dict)
    left = {mail.message_id for mail in evidence.mails}
    for said in evidence.notices:
        row, policy = said.row, evidence.policy_of(said.number)
        if row.message_id not in left or said.is_answer:
            continue
        if not policy.calendar.permits(row.business_at):
            yield Violation(3, said.number, f"{row.rung} was said at {row.business_at.isoformat()}, outside the window")
        if policy.calendar.local_date(row.business_at) != row.local_date:
            yield Violation(3, said.number, f"{row.rung} counts on {row.local_date}, another day than it was said")
        contacts[row.customer_id][row.outreach_id or row.id] = row.local_date
    budget = evidence.policy_of(next(iter(evidence.invoices))).budget
    for customer, days in contacts.items():
        for day in set(days.values()):
            on_day = sum(other == day for other in days.values())
            in_week = sum(day <= other < day + timedelta(days=7) for other in days.values())
            if on_day > budget.per_day or in_week > budget.in_7_days:
                yield Violation(3, f"customer id {customer}", f"{on_day} contacts on {day}, {in_week} in 7 days")


def ledger_and_relay_agree(evidence: Evidence) -> Iterator[Violation]:
    """4. What was accepted is `sent` or `unknown`, what is `sent` was accepted; and it speaks of what it covers."""
    known, accepted = evidence.by_message(), {mail.message_id for mail in evidence.mails}
    for mail in evidence.mails:
        said = known.get(mail.message_id)
        if said is None:
            yield Violation(4, mail.message_id, "the relay accepted it, and the ledger has no such notice")
        elif said.row.state not in (NoticeState.SENT, NoticeState.UNKNOWN):
            what = f"{said.row.rung} was accepted by the relay, and the ledger has it as {said.row.state}"
            yield Violation(4, said.number, what)
        elif not said.is_answer and mail.speaks_of != said.speaks_of:
            what = f"{said.row.rung} speaks of {sorted(mail.speaks_of)}, not of {sorted(said.speaks_of)}"
            yield Violation(4, said.number, what)
    for said in evidence.notices:
        if said.row.state is NoticeState.SENT and said.row.lead_id is None and said.row.message_id not in accepted:
            yield Violation(4, said.number, f"{said.row.rung} is sent by the ledger, and the relay never had it")


def money_is_all_there(evidence: Evidence) -> Iterator[Violation]:
    """6, 8. Each acknowledged payment is booked once, with its amount; nothing else is; what is paid is closed."""
    booked = Counter(row.reference for row in evidence.receipts)
    amounts = {row.reference: row.amount_minor for row in evidence.receipts}
    due = {payment.reference: payment.minor for payment in evidence.plan.payments}
    for reference in evidence.acknowledged:
        if booked[reference] != 1 or amounts[reference] != due[reference]:
            found = f"booked {booked[reference]} times with {amounts.get(reference)} minor units, not {due[reference]}"
            yield Violation(8, reference, f"it was acknowledged, and is {found}")
    for reference in booked.keys() - due.keys():
        yield Violation(8, reference, "nobody has paid that")
    paid = sum(due[reference] for reference in evidence.acknowledged)
    if paid != sum(amounts.values()):
        what = f"{paid} minor units were acknowledged, {sum(amounts.values())} are booked"
        yield Violation(6, "all receipts", what)
    for number in evidence.settled_at:
        stage = evidence.invoices[number].stage
        if stage is not Stage.PAID:
            yield Violation(6, number, f"it was paid whole, and is {stage}")


def journal_is_allowed(evidence: Evidence) -> Iterator[Violation]:
    """9. Each line is a row of the lifecycle's table, with who decided it and under which policy."""
    for number, lines in evidence.journal.items():
        for line in lines:
            rule = _RULES.get(line.rule)
            what = f"line {line.sequence}: {line.rule!r} from {line.was} to {line.becomes}"
            if rule is None or line.was not in rule.when:
                yield Violation(9, number, f"{what}: no such row in the table")
            elif rule.becomes is None and line.becomes is not line.was:
                yield Violation(9, number, f"{what}: the table stays where it is")
            elif isinstance(rule.becomes, Stage) and line.becomes is not rule.becomes:
                yield Violation(9, number, f"{what}: the table says {rule.becomes}")
            if not (line.by and line.policy):
                yield Violation(9, number, f"{what} does not say who decided it, or under which policy")


def everything_is_explained(evidence: Evidence) -> Iterator[Violation]:
    """10. Every notice has its decision, with the gates; every rung behind us was said or accounted for."""
    explained = {decision.notice_id for decision in evidence.decisions if decision.verdict is Verdict.CLAIMED}
    for said in evidence.notices:
        if said.row.lead_id is None and said.row.state is not NoticeState.CANCELLED and said.row.id not in explained:
            yield Violation(10, said.number, f"nobody has decided to say {said.row.rung}")
    for decision in evidence.decisions:
        if not decision.why or not decision.gates:
            yield Violation(10, f"decision {decision.id}", "it does not say why")
    for number, invoice in evidence.invoices.items():
        ladder = [rung.key for rung in evidence.policy_of(number).ladder.rungs]
        heard = {said.row.rung for said in evidence.notices if said.number == number}
        asked = {row.rung for row in evidence.decisions if row.invoice_id == invoice.id}
        told = " ".join(line.detail for line in evidence.journal.get(number, ()))
        last = max((place for place, key in enumerate(ladder) if key in heard | asked), default=-1)
        for key in ladder[: last + 1]:
            if key not in heard | asked and key not in told:
                yield Violation(10, number, f"{key} was never said, and nothing says why")


def one_workflow_each(evidence: Evidence) -> Iterator[Violation]:
    """13, 17. One running workflow for each open invoice, none for a closed one, and none that failed or is stuck."""
    for number, times in Counter(evidence.running).items():
        if times > 1 or number not in evidence.invoices:
            yield Violation(13, number, f"{times} workflows of it are running")
    for number, invoice in evidence.invoices.items():
        if invoice.stage.is_closed == (number in evidence.running):
            a = "a" if number in evidence.running else "no"
            yield Violation(13, number, f"it is {invoice.stage}, and {a} workflow runs")
    for what in evidence.broken_workflows:
        yield Violation(17, what, "its workflow failed, was terminated or is stuck")


def rungs_in_order(evidence: Evidence) -> Iterator[Violation]:
    """14. The relay got an invoice's rungs in the order of the ladder."""
    known = evidence.by_message()
    reached: dict[str, int] = {}
    for mail in evidence.mails:
        said = known.get(mail.message_id)
        if said is None or said.is_answer:
            continue
        for each in (said, *evidence.carried_by(said)):
            found = _DAY.search(each.row.rung)
            day = int(found[1]) if found else 0
            if day < reached.get(each.number, day):
                what = f"{each.row.rung} went out after the rung of day {reached[each.number]:+d}"
                yield Violation(14, each.number, what)
            reached[each.number] = day


def no_personal_data(evidence: Evidence) -> Iterator[Violation]:
    """16. No customer's secret word stands in Temporal's files or in a log. (Numbers do: the check can see.)"""
    history = b"".join(content for name, content in evidence.unread.items() if name.startswith("temporal.db"))
    some = next(iter(evidence.invoices))
    if some.encode() not in history:
        yield Violation(16, "the check itself", f"not even {some} stands in Temporal's files: it sees nothing")
    for name, content in evidence.unread.items():
        lowered = content.lower()
        for debtor in evidence.plan.debtors:
            if debtor.secret.lower().encode() in lowered:
                yield Violation(16, name, f"the secret of customer {debtor.code} stands in it")
