"""Late interest and fees: worked out by days, claimed with a follow-up or by a person, or waived; never dropped."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
import pytest_asyncio

from lunas.ledger.answers import Claimed, Wait
from lunas.ledger.charges import record_charge
from lunas.ledger.credits import NewCreditNote, record_credit_note
from lunas.ledger.database import Ledger
from lunas.ledger.decisions import why
from lunas.ledger.documents import policy_text, read_policy
from lunas.ledger.errors import Conflict, NotFound, Refused
from lunas.ledger.facts import facts
from lunas.ledger.journal import journal_of
from lunas.ledger.kinds import ChargeKind
from lunas.ledger.late_payment import (
    AccruedTotal,
    ChargeDecision,
    Decided,
    Late,
    accrued_totals,
    claim_by_hand,
    could_be_claimed,
    late_payment_of,
    waive_by_hand,
)
from lunas.ledger.progress import record_progress
from lunas.ledger.reversals import NewReversal, record_reversal
from lunas.policies import SHIPPED, load_policy
from lunas.policies.packs import pack, pack_names
from lunas.receivables.actions import NoticeKind
from lunas.receivables.interest import LatePayment, Mode, Rate
from lunas.receivables.invoice import Stage
from lunas.receivables.ladder import Channel
from lunas.receivables.money import Currency, Money
from lunas.receivables.policy import Policy, PolicyError
from tests.ledger.samples import (
    WEDNESDAY,
    Hands,
    add_customer,
    add_invoice,
    ask,
    claimed,
    committed,
    days_on,
    dispute,
    new_invoice,
    order,
    pay,
    policy,
    progress,
    schedule,
)

#: Of 365,000.00 euros, one day at 10 % is 100.00.
NUMBER, WHOLE = "INV-1", 36_500_000
ISSUED, DUE = date(2026, 1, 1), date(2026, 1, 31)
TODAY = date(2026, 3, 4)  # the order's Wednesday, 32 days late
A_DAY = 10_000
TEN_PERCENT = (Rate(date(2020, 1, 1), 10_000),)
CLAIM = LatePayment("eu", Mode.CLAIM, Mode.CLAIM, TEN_PERCENT)


def euros(minor: int) -> Money:
    return Money(minor, Currency.EUR)


async def bill(
    ledger: Ledger,
    rules: LatePayment | None,
    *,
    number: str = NUMBER,
    currency: Currency = Currency.EUR,
    minor: int = WHOLE,
    of: Policy | None = None,
) -> None:
    new = replace(new_invoice(number, minor=minor), currency=currency, issued_on=ISSUED, due_on=DUE)
    await add_invoice(ledger, new, of or policy(late_payment=rules))


@pytest_asyncio.fixture(loop_scope="session")
async def acme(still: Ledger) -> Ledger:
    await add_customer(still)
    return still


async def late(ledger: Ledger, as_of: date | None = TODAY, number: str = NUMBER) -> Late:
    async with ledger.read() as session:
        return await late_payment_of(session, number, as_of)


async def euro_pay(ledger: Ledger, minor: int, on: date, reference: str = "pay-1") -> None:
    await pay(ledger, NUMBER, minor, reference=reference, paid_on=on, currency=Currency.EUR)


async def outstanding(ledger: Ledger, number: str = NUMBER) -> int:
    async with ledger.read() as session:
        return (await facts(session, number)).balance.outstanding


async def events(ledger: Ledger, number: str = NUMBER) -> list[tuple[str, str, str]]:
    async with ledger.read() as session:
        rows, _ = await journal_of(session, number)
    return [(row.event, row.detail, row.by) for row in rows if row.event.endswith(("_charged", "_waived"))]


def decision(
    kind: ChargeKind = ChargeKind.INTEREST, on: date | None = None, minor: int | None = None
) -> ChargeDecision:
    return ChargeDecision(NUMBER, kind, "siti", "agreed", on, None if minor is None else euros(minor))


async def claim(ledger: Ledger, asked: ChargeDecision) -> Decided:
    async with ledger.write() as session:
        return await claim_by_hand(session, asked)


async def waive(ledger: Ledger, asked: ChargeDecision) -> Decided:
    async with ledger.write() as session:
        return await waive_by_hand(session, asked)


# --- the figure ----------------------------------------------------------------------------------------------------


async def test_a_figure_that_nobody_owes(acme: Ledger) -> None:
    await bill(acme, LatePayment("eu", rates=TEN_PERCENT))

    found = await late(acme)

    assert (found.days, found.accrued, found.unclaimed, found.fee_unclaimed) == (32, 32 * A_DAY, 32 * A_DAY, 4_000)
    assert could_be_claimed(found) == euros(32 * A_DAY + 4_000)
    assert await outstanding(acme) == WHOLE and await late(acme, None) == found
    assert (await late(acme, DUE)).accrued == 0 and (await late(acme, DUE)).fee == 0


async def test_what_was_open_on_each_day_counts(acme: Ledger) -> None:
    await bill(acme, LatePayment("eu", rates=TEN_PERCENT))
    await euro_pay(acme, WHOLE // 2, date(2026, 2, 11))  # the first half on the 11th late day
    back = NewReversal("bank", "back-1", "pay-1", date(2026, 2, 21), "bounced", "bank")
    async with acme.write() as session:
        await record_reversal(session, back)

    assert (await late(acme)).accrued == 10 * A_DAY + 10 * A_DAY // 2 + 12 * A_DAY


async def test_a_credit_note_says_that_it_was_never_owed(acme: Ledger) -> None:
    await bill(acme, LatePayment("eu", rates=TEN_PERCENT))
    note = NewCreditNote("CN-1", NUMBER, euros(WHOLE // 2), TODAY, "returned", "siti")
    async with acme.write() as session:
        await record_credit_note(session, note)

    assert (await late(acme)).accrued == 32 * A_DAY // 2


async def test_interest_bears_no_interest(acme: Ledger) -> None:
    await bill(acme, LatePayment("eu", rates=TEN_PERCENT))
    async with acme.write() as session:
        await record_charge(
            session, NUMBER, reference="x", kind=ChargeKind.FEE, amount=euros(WHOLE), charged_on=DUE, by="siti"
        )

    assert (await late(acme)).accrued == 32 * A_DAY


async def test_who_paid_on_time_owes_nothing(acme: Ledger) -> None:
    await bill(acme, CLAIM)
    await euro_pay(acme, WHOLE, date(2026, 2, 1))

    assert ((await late(acme)).accrued, (await late(acme)).fee) == (0, 0)


async def test_days_on_hold_count(acme: Ledger) -> None:
    await bill(acme, LatePayment("eu", rates=TEN_PERCENT))
    before = await late(acme)
    async with acme.write() as session:
        await record_progress(session, NUMBER, progress(1, hold=dispute()))

    assert await late(acme) == before


async def test_where_no_rate_is_known_it_says_so(acme: Ledger) -> None:
    await bill(acme, LatePayment("eu"))

    known, unknown = await late(acme, date(2026, 6, 30)), await late(acme, date(2026, 9, 30))

    assert known.unknown_from is None and known.why == ""
    assert (unknown.accrued, unknown.unknown_from) == (known.accrued, date(2026, 7, 1))
    assert "no rate is known from 2026-07-01" in unknown.why


async def test_without_rules_or_in_another_currency_there_is_no_figure(acme: Ledger) -> None:
    await bill(acme, None)
    await bill(acme, LatePayment("eu"), number="INV-2", currency=Currency.IDR)

    assert "says nothing of late payment" in (await late(acme)).why
    other = await late(acme, number="INV-2")
    assert "pack eu is for EUR" in other.why and (other.accrued, other.fee) == (0, 0)
    with pytest.raises(NotFound):
        await late(acme, number="INV-3")


async def test_a_century_late_is_still_an_amount(acme: Ledger) -> None:
    await bill(acme, LatePayment("eu", rates=TEN_PERCENT), minor=10**15)

    assert (await late(acme, date(2199, 12, 31))).accrued == 10**15


# --- claimed and waived by the policy ------------------------------------------------------------------------------


async def test_a_follow_up_claims_what_has_accrued_and_states_it(acme: Ledger) -> None:
    await bill(acme, CLAIM)

    mine = await claimed(acme, order(NUMBER))

    owed = WHOLE + 32 * A_DAY + 4_000
    assert mine.brief.balance == euros(owed) and mine.facts.balance.charges == 32 * A_DAY + 4_000
    assert await events(acme) == [
        ("interest_charged", "interest to 2026-03-04: EUR 3,200", "policy sample"),
        ("fee_charged", "late fee: EUR 40", "policy sample"),
    ]
    async with acme.read() as session:
        assert [decided.balance.minor for decided in await why(session, NUMBER)] == [owed]
    await committed(acme, mine)  # it was made of these very facts
    assert ((await late(acme)).unclaimed, (await late(acme)).fee_unclaimed) == (0, 0)


async def test_asked_again_it_claims_nothing_twice(acme: Ledger, hands: Hands) -> None:
    await bill(acme, CLAIM)
    await claimed(acme, order(NUMBER))
    await claimed(acme, order(NUMBER))
    assert await outstanding(acme) == WHOLE + 32 * A_DAY + 4_000

    later = days_on(order(NUMBER), 2, "follow_up+3")
    assert isinstance(await ask(acme, later), Claimed)

    assert await outstanding(acme) == WHOLE + 34 * A_DAY + 4_000
    assert [detail for _, detail, _ in await events(acme)][-1] == "interest to 2026-03-06: EUR 200"


@pytest.mark.parametrize("kind", [NoticeKind.REMIND, NoticeKind.DUE_NOTICE, NoticeKind.OFFER_ALTERNATE_PAYMENT])
async def test_other_notices_claim_nothing(acme: Ledger, kind: NoticeKind) -> None:
    await bill(acme, CLAIM)
    await claimed(acme, order(NUMBER, rung=f"{kind}+1", kind=kind))

    assert await outstanding(acme) == WHOLE


async def test_a_follow_up_that_must_wait_claims_nothing(acme: Ledger) -> None:
    await bill(acme, CLAIM)
    night = datetime(2026, 3, 4, 20, tzinfo=UTC)

    assert isinstance(await ask(acme, order(NUMBER, at=night)), Wait)
    assert await outstanding(acme) == WHOLE


async def test_what_travels_along_is_claimed_as_well(acme: Ledger) -> None:
    await bill(acme, CLAIM)
    await bill(acme, CLAIM, number="INV-2")
    await schedule(acme, "INV-2", WEDNESDAY + timedelta(hours=1), Channel.EMAIL)

    mine = await claimed(acme, order(NUMBER))

    assert mine.covered == ("INV-2",)
    assert [one.balance.minor for one in mine.brief.invoices] == [WHOLE + 32 * A_DAY + 4_000] * 2
    await committed(acme, mine)


async def test_a_policy_that_waives_writes_that_down(acme: Ledger) -> None:
    await bill(acme, replace(CLAIM, interest=Mode.WAIVE, fee=Mode.WAIVE))
    await claimed(acme, order(NUMBER))

    assert await outstanding(acme) == WHOLE
    found = await late(acme)
    assert (found.waived, found.unclaimed, found.fee_waived, found.fee_unclaimed) == (32 * A_DAY, 0, 4_000, 0)
    assert [event for event, *_ in await events(acme)] == ["interest_waived", "fee_waived"]


@pytest.mark.parametrize("mode", [Mode.SHOW, Mode.ACCRUE])
async def test_what_is_only_shown_is_not_booked(acme: Ledger, mode: Mode) -> None:
    await bill(acme, LatePayment("eu", mode, Mode.SHOW, TEN_PERCENT))
    await claimed(acme, order(NUMBER))

    assert await outstanding(acme) == WHOLE and await events(acme) == []


async def test_money_that_becomes_known_late_is_taken_off_what_comes_next(acme: Ledger) -> None:
    await bill(acme, CLAIM)
    await claimed(acme, order(NUMBER))
    await euro_pay(acme, WHOLE // 2, date(2026, 2, 1))  # by its value date 16 days' worth too much was claimed

    assert (await late(acme)).unclaimed == 0
    after = date(2026, 3, 4) + timedelta(days=33)
    assert (await late(acme, after)).unclaimed == 65 * A_DAY // 2 - 32 * A_DAY


# --- by hand -------------------------------------------------------------------------------------------------------


async def test_a_person_claims_what_has_accrued_once(acme: Ledger) -> None:
    await bill(acme, LatePayment("eu", rates=TEN_PERCENT))

    first, again = await claim(acme, decision()), await claim(acme, decision())

    assert (first.reference, first.amount, first.new) == ("interest to 2026-03-04", euros(32 * A_DAY), True)
    assert again == replace(first, new=False)
    assert await outstanding(acme) == WHOLE + 32 * A_DAY
    assert (await claim(acme, decision(ChargeKind.FEE))).amount == euros(4_000)
    with pytest.raises(Conflict, match="take it back with a credit note"):
        await waive(acme, decision())
    with pytest.raises(Conflict, match="says something else"):
        await claim(acme, decision(minor=5))


async def test_a_person_waives_what_was_not_claimed(acme: Ledger) -> None:
    await bill(acme, CLAIM)

    first, again = await waive(acme, decision()), await waive(acme, decision())

    assert (first.amount, first.new, again.new) == (euros(32 * A_DAY), True, False)
    assert await events(acme) == [("interest_waived", "interest to 2026-03-04: EUR 3,200", "siti")]
    with pytest.raises(Conflict, match="what was given up is not claimed"):
        await claim(acme, decision())
    await claimed(acme, order(NUMBER))
    assert await outstanding(acme) == WHOLE + 4_000, "the policy claims only what was not waived"


async def test_a_part_of_it_may_be_waived(acme: Ledger) -> None:
    await bill(acme, CLAIM)
    await waive(acme, decision(on=date(2026, 2, 10), minor=A_DAY))
    await claimed(acme, order(NUMBER))

    assert await outstanding(acme) == WHOLE + 31 * A_DAY + 4_000


async def test_nothing_is_claimed_before_its_day_nor_where_nothing_accrued(acme: Ledger) -> None:
    await bill(acme, LatePayment("eu", rates=TEN_PERCENT))
    with pytest.raises(Refused, match="is not over"):
        await claim(acme, decision(on=TODAY + timedelta(days=1)))
    with pytest.raises(Refused, match="nothing of it is left"):
        await claim(acme, decision(on=DUE))
    with pytest.raises(Refused, match="cannot be"):
        await claim(acme, replace(decision(), amount=Money(5, Currency.IDR)))


async def test_without_a_contract_the_statutory_rate_is_only_shown(acme: Ledger) -> None:
    await bill(acme, LatePayment("id"), currency=Currency.IDR)

    assert (await late(acme)).accrued == 32 * 6_000
    with pytest.raises(Refused, match="without a rate that was agreed on"):
        await claim(acme, decision())
    await claim(acme, replace(decision(), amount=Money(7, Currency.IDR)))
    assert await outstanding(acme) == WHOLE + 7


async def test_a_claim_on_a_paid_invoice_opens_it_and_its_overpayment_pays_first(acme: Ledger) -> None:
    await bill(acme, LatePayment("eu", rates=TEN_PERCENT))
    await euro_pay(acme, WHOLE + 1_000, date(2026, 2, 11))

    found = await claim(acme, decision(ChargeKind.FEE))

    assert found.facts.balance.outstanding == 3_000


async def test_what_was_given_up_is_charged_no_more(acme: Ledger) -> None:
    await bill(acme, CLAIM)
    async with acme.write() as session:
        await record_progress(session, NUMBER, progress(1, stage=Stage.WRITTEN_OFF, was=Stage.ISSUED))
    for decide in (claim, waive):
        with pytest.raises(Refused, match="written_off"):
            await decide(acme, decision())


# --- counted -------------------------------------------------------------------------------------------------------


async def test_reports_count_what_accrues_and_is_neither_claimed_nor_waived(acme: Ledger) -> None:
    accrues = LatePayment("eu", Mode.ACCRUE, rates=TEN_PERCENT)
    await bill(acme, accrues)
    await bill(acme, accrues, number="INV-2")
    await bill(acme, CLAIM, number="INV-3")
    await bill(acme, LatePayment("eu", Mode.SHOW, rates=TEN_PERCENT), number="INV-4")
    await bill(acme, LatePayment("eu", Mode.WAIVE, rates=TEN_PERCENT), number="INV-5")
    await bill(acme, None, number="INV-6")
    await waive(acme, decision(minor=A_DAY))

    async with acme.read() as session:
        assert await accrued_totals(session, TODAY) == (AccruedTotal(Currency.EUR, 3, 95 * A_DAY),)
        assert await accrued_totals(session, DUE) == ()


# --- packs ---------------------------------------------------------------------------------------------------------


def test_the_shipped_packs() -> None:
    assert pack_names() == ("eu", "id", "uk")
    eu, uk, indonesia = pack("eu"), pack("uk"), pack("id")
    assert [(eu.currency, eu.fixed_at_start), (uk.currency, uk.fixed_at_start)] == [
        (Currency.EUR, False),
        (Currency.GBP, True),
    ]
    assert Rate(date(2025, 1, 1), 11_150) in eu.rates and Rate(date(2025, 7, 1), 12_250) in uk.rates
    assert eu.rates[-1].rate is None and uk.rates[-1].rate is None, "rates that are not known yet are not guessed"
    assert [uk.fee_on(debt) for debt in (99_999, 100_000, 999_999, 1_000_000)] == [4_000, 7_000, 7_000, 10_000]
    assert (eu.fee_on(1), indonesia.fee_on(1)) == (4_000, 0)
    assert indonesia.by_contract and indonesia.rates[0].rate == 6_000


async def test_the_british_rate_stays_with_the_debt(acme: Ledger) -> None:
    new = replace(
        new_invoice(NUMBER, minor=36_500_000),
        currency=Currency.GBP,
        issued_on=date(2025, 5, 1),
        due_on=date(2025, 6, 1),
    )
    await add_invoice(acme, new, policy(late_payment=LatePayment("uk")))

    assert (await late(acme, date(2025, 12, 31))).accrued == 213 * 12_750
    assert (await late(acme, date(2025, 12, 31))).fee == 10_000


@pytest.mark.parametrize(
    ("section", "says"),
    [
        ("{pack: us}", "policy.late_payment.pack: 'us' is no pack of late-payment rules: there are eu, id, uk"),
        ("{pack: id, interest: claim}", "policy.late_payment.interest: pack id leaves interest to the contract"),
    ],
)
def test_what_a_pack_does_not_allow_is_refused(
    tmp_path_factory: pytest.TempPathFactory, section: str, says: str
) -> None:
    folder = tmp_path_factory.mktemp("policies")
    shipped = (SHIPPED / "standard.yaml").read_text()
    (folder / "standard.yaml").write_text(f"{shipped}\nlate_payment: {section}\n")

    with pytest.raises(PolicyError, match=r"standard\.yaml") as refused:
        load_policy("standard", folder)
    assert says in str(refused.value)


def test_a_contract_names_its_rate(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("policies")
    shipped = (SHIPPED / "standard.yaml").read_text()
    rule = '{pack: id, interest: claim, rates: [{from: 2026-01-01, percent: "12"}]}'
    (folder / "standard.yaml").write_text(f"{shipped}\nlate_payment: {rule}\n")

    assert load_policy("standard", folder).late_payment == LatePayment(
        "id", Mode.CLAIM, Mode.SHOW, (Rate(date(2026, 1, 1), 12_000),)
    )


def test_a_policy_that_was_kept_before_there_were_rules_for_money_reads_as_before() -> None:
    kept = json.loads(policy_text(policy(late_payment=CLAIM)))
    del kept["money"], kept["late_payment"]

    assert read_policy(json.dumps(kept)) == policy()
    assert read_policy(policy_text(policy(late_payment=CLAIM))) == policy(late_payment=CLAIM)
