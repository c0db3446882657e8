"""What the edges keep: offers, findings, placements, keys and idempotent answers."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
import pytest_asyncio

from lunas.ledger.customers import contacts_of, customer_by_code
from lunas.ledger.database import Ledger
from lunas.ledger.errors import Conflict, NotFound, Refused
from lunas.ledger.facts import facts
from lunas.ledger.findings import NewFinding, approve_finding, findings_of, propose, reject_finding
from lunas.ledger.idempotency import ABANDONED_AFTER, Slot, Stored, begin, finish, forget, give_up
from lunas.ledger.keys import create_key, keys, revoke_key, verify_key
from lunas.ledger.kinds import ContactSource, FindingKind, FindingState, NoticeState, PlacementEnd
from lunas.ledger.offers import NewOffer, invoice_of_offer, outdated_offers, record_offer, usable_offers, void_offer
from lunas.ledger.placements import (
    Placed,
    agency_acknowledged,
    agency_returned,
    place,
    placements_of,
    recall,
)
from lunas.ledger.progress import record_progress
from lunas.ledger.sending import record_unknown
from lunas.receivables.actions import NoticeKind
from lunas.receivables.invoice import AgencyWord, HoldKind, Stage
from lunas.receivables.ladder import Channel
from lunas.receivables.money import Currency, Money
from tests.ledger.samples import (
    Hands,
    add_customer,
    add_invoice,
    claimed,
    committed,
    days_on,
    dispute,
    order,
    pay,
    progress,
    sent,
    states,
)

NUMBER = "INV/2026/11/0042"
DEMAND = order(rung="final_demand+95", kind=NoticeKind.FINAL_DEMAND)


@pytest_asyncio.fixture(loop_scope="session")
async def invoice(ledger: Ledger) -> str:
    await add_customer(ledger)
    await add_invoice(ledger)
    return NUMBER


# --- offers ---------------------------------------------------------------------------------------------------------


def offer(minor: int = 1_000_000, reference: str = "va-1") -> NewOffer:
    return NewOffer(NUMBER, "virtual_account", reference, Money(minor, Currency.IDR), {"number": "8077123"})


async def test_an_offer_serves_only_the_balance_that_it_was_made_for(ledger: Ledger, invoice: str) -> None:
    async with ledger.write() as session:
        made = await record_offer(session, offer())
        assert (await record_offer(session, offer())).id == made.id
        assert [one.id for one in await usable_offers(session, invoice)] == [made.id]
    await pay(ledger, minor=100_000)
    async with ledger.write() as session:
        assert await usable_offers(session, invoice) == []
        (outdated,) = await outdated_offers(session, invoice)
        await void_offer(session, outdated.id)
        assert await outdated_offers(session, invoice) == []
        assert await invoice_of_offer(session, "virtual_account", "va-1") == invoice  # a late payment still matches
        assert await invoice_of_offer(session, "virtual_account", "va-2") is None


async def test_an_offer_expires(still: Ledger, hands: Hands) -> None:
    await add_customer(still)
    await add_invoice(still)
    async with still.write() as session:
        await record_offer(session, replace(offer(), expires_at=hands.now + timedelta(days=1)))
        assert len(await usable_offers(session, NUMBER)) == 1
        hands.move(days=1)
        assert await usable_offers(session, NUMBER) == []


async def test_an_offers_reference_stands_for_one_offer(ledger: Ledger, invoice: str) -> None:
    async with ledger.write() as session:
        await record_offer(session, offer())
        with pytest.raises(Conflict):
            await record_offer(session, offer(5))
        with pytest.raises(Refused):
            await record_offer(session, offer(0, "va-2"))


# --- findings -------------------------------------------------------------------------------------------------------


async def test_what_research_found_is_used_once_a_person_has_approved_it(ledger: Ledger) -> None:
    await add_customer(ledger, email=None, phone=None)
    await add_invoice(ledger)
    found = [
        NewFinding(FindingKind.EMAIL, "halo@acme.example", {"url": "https://acme.example/contact"}),
        NewFinding(FindingKind.SMS, "+62811", {"url": "https://acme.example/contact"}),
    ]
    async with ledger.write() as session:
        assert await propose(session, "ACME", found) == 2
        assert not (await facts(session, NUMBER)).reachable
        mail, phone = await findings_of(session, "ACME")
        await reject_finding(session, phone.id, by="siti")
        contact_id = await approve_finding(session, mail.id, by="siti")
        assert (await facts(session, NUMBER)).reachable
        contact = (await contacts_of(session, (await customer_by_code(session, "ACME")).id))[-1]
        assert (contact.id, contact.email, contact.source) == (contact_id, "halo@acme.example", ContactSource.RESEARCH)
        assert await propose(session, "ACME", found) == 0  # nobody is asked twice
        assert [one.value for one in await findings_of(session, "ACME", FindingState.REJECTED)] == ["+62811"]
        for finding in (mail, phone):
            with pytest.raises(Refused, match="by siti already"):
                await approve_finding(session, finding.id, by="budi")
        with pytest.raises(NotFound):
            await reject_finding(session, 10**6, by="siti")


async def test_a_landline_and_a_profile_are_for_people_and_never_become_contacts(ledger: Ledger) -> None:
    await add_customer(ledger, email=None, phone=None)
    await add_invoice(ledger)
    found = [
        NewFinding(FindingKind.PHONE, "+62215550100", {"url": "https://acme.example/contact"}),
        NewFinding(FindingKind.PROFILE, "https://www.linkedin.com/company/acme", {"url": "https://acme.example"}),
    ]
    async with ledger.write() as session:
        assert await propose(session, "ACME", found) == 2
        for finding in await findings_of(session, "ACME"):
            assert await approve_finding(session, finding.id, by="siti") is None
        approved = await findings_of(session, "ACME", FindingState.APPROVED)
        assert [(one.kind, one.contact_id) for one in approved] == [("phone", None), ("profile", None)]
        (contact,) = await contacts_of(session, (await customer_by_code(session, "ACME")).id)
        assert (contact.email, contact.phone) == (None, None)
        assert not (await facts(session, NUMBER)).reachable
        assert await propose(session, "ACME", found) == 0


# --- placements -----------------------------------------------------------------------------------------------------


async def put(ledger: Ledger, agency: str = "Agen") -> Placed:
    async with ledger.write() as session:
        return await place(session, NUMBER, agency=agency, approved_by="siti")


async def test_a_placement_is_made_once_acknowledged_and_recalled(ledger: Ledger, invoice: str) -> None:
    await sent(ledger, DEMAND)
    placed, again = await put(ledger), await put(ledger)
    assert (placed.new, again.new, placed.placement_id) == (True, False, again.placement_id)
    with pytest.raises(Refused, match="Agen has it"):
        await put(ledger, "Other")
    async with ledger.write() as session:
        known = await agency_acknowledged(session, invoice, by="Agen", reference="A-7")
        assert known.agency is AgencyWord.ACKNOWLEDGED
        known = await recall(session, invoice, by="siti", reason="paid")
        assert known.agency is AgencyWord.NOTHING
        assert (await recall(session, invoice, by="siti", reason="paid")).version == known.version
        (row,) = await placements_of(session, invoice)
    assert (row.end, row.end_reason, row.agency_reference) == (PlacementEnd.RECALLED, "paid", "A-7")
    assert (await put(ledger, "Other")).new


async def test_an_agency_gives_it_back(ledger: Ledger, invoice: str) -> None:
    await sent(ledger, DEMAND)
    await put(ledger)
    async with ledger.write() as session:
        known = await agency_returned(session, invoice, by="Agen", reason="nobody there")
        assert known.agency is AgencyWord.RETURNED
        with pytest.raises(NotFound, match="no agency has"):
            await agency_acknowledged(session, invoice, by="Agen")
    assert (await put(ledger)).facts.agency is AgencyWord.NOTHING


async def test_what_must_not_be_placed_is_refused(ledger: Ledger, invoice: str) -> None:
    with pytest.raises(Refused, match="no final demand"):
        await put(ledger)
    await sent(ledger, DEMAND)
    for sequence, kind in enumerate(HoldKind):
        async with ledger.write() as session:
            await record_progress(session, NUMBER, progress(sequence + 1, hold=replace(dispute(), kind=kind)))
        with pytest.raises(Refused, match=f"on hold .{kind}"):
            await put(ledger)
    async with ledger.write() as session:
        await record_progress(session, NUMBER, progress(6))
    await pay(ledger)
    with pytest.raises(Refused, match="nothing is open"):
        await put(ledger)


async def test_a_closed_invoice_is_not_placed(ledger: Ledger, invoice: str) -> None:
    await sent(ledger, DEMAND)
    async with ledger.write() as session:
        await record_progress(session, NUMBER, progress(1, stage=Stage.WRITTEN_OFF, was=Stage.ISSUED))

    with pytest.raises(Refused, match="written_off"):
        await put(ledger)


async def test_a_final_demand_of_which_nobody_knows_is_not_enough(ledger: Ledger, invoice: str) -> None:
    mine = await claimed(ledger, DEMAND)
    await committed(ledger, mine)
    async with ledger.write() as session:
        await record_unknown(session, mine.notice_id, mine.token)

    with pytest.raises(Refused, match="for certain"):
        await put(ledger)


async def test_a_placement_takes_claims_back(ledger: Ledger, invoice: str) -> None:
    await sent(ledger, DEMAND)
    await claimed(ledger, days_on(order(), 7, "follow_up+118"))

    await put(ledger)

    assert (await states(ledger))["follow_up+118", Channel.EMAIL] is NoticeState.CANCELLED


async def test_placements_at_once_make_one(ledger: Ledger, invoice: str) -> None:
    await sent(ledger, DEMAND)

    placed = await asyncio.gather(*(put(ledger) for _ in range(5)))

    assert sum(one.new for one in placed) == 1


# --- keys -----------------------------------------------------------------------------------------------------------


async def test_a_key_opens_what_it_was_made_for_until_it_is_revoked(ledger: Ledger) -> None:
    async with ledger.write() as session:
        key = await create_key(session, name="erp", scopes=["invoices:write", "invoices:read"])
        other = await create_key(session, name="erp", scopes=["invoices:read"])
    async with ledger.write() as session:
        holder = await verify_key(session, key)
        assert holder is not None
        assert (holder.name, holder.scopes) == ("erp", frozenset({"invoices:read", "invoices:write"}))
        for wrong in ("", "lunas", "lunas_", key[:-1], key + "x", f"lunas_{holder.prefix}_", key.replace("lunas", "l")):
            assert await verify_key(session, wrong) is None
        await revoke_key(session, holder.prefix)
        assert await verify_key(session, key) is None
        assert await verify_key(session, other) is not None
        assert len(await keys(session)) == 1
        with pytest.raises(NotFound):
            await revoke_key(session, "nobody")
    assert len(key) > 43 and key not in repr(holder)


async def test_a_key_expires(still: Ledger, hands: Hands) -> None:
    async with still.write() as session:
        key = await create_key(session, name="shop", scopes=[], expires_at=hands.now + timedelta(days=1))
        assert await verify_key(session, key) is not None
        hands.move(days=1)
        assert await verify_key(session, key) is None


# --- idempotency ----------------------------------------------------------------------------------------------------

SLOT = Slot("key-1", "POST /invoices", "abc")


async def test_a_repetition_gets_the_first_answer(ledger: Ledger) -> None:
    async with ledger.write() as session:
        assert await begin(session, SLOT, "d1") is None
    async with ledger.write() as session:
        with pytest.raises(Conflict, match="still being worked out"):
            await begin(session, SLOT, "d1")
        with pytest.raises(Conflict, match="another body"):
            await begin(session, SLOT, "d2")
        await finish(session, SLOT, Stored(201, '{"a":1}'))
    async with ledger.write() as session:
        assert await begin(session, SLOT, "d1") == Stored(201, '{"a":1}')
        assert await begin(session, replace(SLOT, owner="key-2"), "d2") is None


async def test_of_many_at_once_one_works_it_out(ledger: Ledger) -> None:
    async def ask() -> bool:
        async with ledger.write() as session:
            try:
                return await begin(session, SLOT, "d1") is None
            except Conflict:
                return False

    assert sum(await asyncio.gather(*(ask() for _ in range(6)))) == 1


async def test_what_failed_or_died_may_be_tried_again(still: Ledger, hands: Hands) -> None:
    async with still.write() as session:
        assert await begin(session, SLOT, "d1") is None
        await give_up(session, SLOT)
        assert await begin(session, SLOT, "d1") is None
    hands.move(seconds=ABANDONED_AFTER.total_seconds())
    async with still.write() as session:
        assert await begin(session, SLOT, "d1") is None
        await finish(session, SLOT, Stored(200, ""))
    hands.move(days=2)
    async with still.write() as session:
        await forget(session, timedelta(days=1))
        assert await begin(session, SLOT, "d2") is None
