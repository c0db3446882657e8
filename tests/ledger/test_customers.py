"""The register of customers: found in pages, created once, changed and erased with a line in the journal."""

from __future__ import annotations

import asyncio

import pytest

from lunas.ledger.answers import RefusalReason
from lunas.ledger.answers import Refused as CommitRefused
from lunas.ledger.customers import (
    CustomerChanges,
    NewContact,
    add_contact,
    change_customer,
    contacts_of,
    customer_by_code,
    erase_contact,
    find_customers,
)
from lunas.ledger.database import Ledger
from lunas.ledger.errors import Conflict, NotFound, Refused
from lunas.ledger.facts import facts
from lunas.ledger.journal import journal_of
from lunas.ledger.kinds import Language
from lunas.ledger.outbox import undelivered
from lunas.ledger.sending import commit
from lunas.receivables.calendar import CalendarError
from lunas.receivables.money import LARGEST_MINOR
from tests.ledger.samples import add_customer, add_invoice, claimed, new_invoice

NUMBER = "INV/2026/11/0042"


async def test_customers_come_in_pages_and_wildcards_are_letters(ledger: Ledger) -> None:
    for code in ("A", "A_1", "AB1", "C%D", "E"):
        await add_customer(ledger, code)
    async with ledger.read() as session:
        assert [one.code for one in (await find_customers(session, "A_1"))[0]] == ["A_1"]
        assert [one.code for one in (await find_customers(session, "%"))[0]] == ["C%D"]
        walked, cursor, pages = [], None, 0
        while pages == 0 or cursor is not None:
            page, cursor = await find_customers(session, after=cursor, limit=2)
            walked += [one.code for one in page]
            pages += 1
    assert (sorted(walked), len(set(walked)), pages) == (["A", "AB1", "A_1", "C%D", "E"], 5, 3)


async def test_one_of_two_who_create_a_customer_at_once_hears_of_the_other(ledger: Ledger) -> None:
    created = await asyncio.gather(*(add_customer(ledger) for _ in range(4)), return_exceptions=True)
    assert created.count(None) == 1
    assert all(isinstance(error, Conflict) for error in created if error is not None), created


async def test_a_change_of_a_customer_is_in_the_journal_without_its_values(ledger: Ledger) -> None:
    await add_customer(ledger)
    before = await add_invoice(ledger)
    async with ledger.write() as session:
        changes: CustomerChanges = {"name": "PT Rahasia", "language": Language.ENGLISH, "website": None}
        changed = await change_customer(session, "ACME", changes, by="budi")
    assert (changed.name, changed.language) == ("PT Rahasia", Language.ENGLISH)
    async with ledger.write() as session:
        await change_customer(session, "ACME", changes, by="budi")  # again, it changes nothing
    async with ledger.read() as session:
        rows, _ = await journal_of(session, NUMBER)
        assert (await facts(session, NUMBER)).version == before.version + 1
        assert [nudge.number for nudge in await undelivered(session)] == [NUMBER, NUMBER], "its start, and the change"
    assert [(row.event, row.by, row.detail) for row in rows[1:]] == [("customer_changed", "budi", "name, language")]


async def test_a_change_refuses_a_message_that_was_made_before_it(ledger: Ledger) -> None:
    await add_customer(ledger)
    await add_invoice(ledger)
    mine = await claimed(ledger)
    async with ledger.write() as session:
        await change_customer(session, "ACME", {"language": Language.ENGLISH}, by="budi")
    async with ledger.write() as session:
        refused = await commit(session, mine.notice_id, mine.token)
    assert isinstance(refused, CommitRefused) and refused.reason is RefusalReason.CHANGED
    assert (await claimed(ledger)).brief.to.language == Language.ENGLISH


async def test_an_unknown_customer_or_time_zone_is_not_changed(ledger: Ledger) -> None:
    await add_customer(ledger)
    async with ledger.write() as session:
        with pytest.raises(NotFound):
            await change_customer(session, "NOBODY", {"name": "x"}, by="budi")
        with pytest.raises(CalendarError):
            await change_customer(session, "ACME", {"time_zone": "WIB"}, by="budi")


async def test_an_erased_contact_leaves_a_line_without_the_person(ledger: Ledger) -> None:
    await add_customer(ledger)
    await add_invoice(ledger)
    async with ledger.write() as session:
        await add_contact(session, "ACME", NewContact(name="Budi", email="budi@acme.example"), by="s")
    async with ledger.write() as session:
        first, _ = await contacts_of(session, (await customer_by_code(session, "ACME")).id)
        await erase_contact(session, first.id, by="dewi")
    async with ledger.read() as session:
        rows, _ = await journal_of(session, NUMBER)
        assert (await facts(session, NUMBER)).reachable, "the other contact is left"
    assert [(row.event, row.by) for row in rows if row.event.startswith("contact")] == [("contact_erased", "dewi")]
    assert not any("siti" in f"{row.detail} {row.reason}".lower() for row in rows)


async def test_an_invoice_beyond_all_measure_is_refused(ledger: Ledger) -> None:
    await add_customer(ledger)
    for minor in (LARGEST_MINOR + 2, 10**30, 0):
        with pytest.raises(Refused, match="must add up"):
            await add_invoice(ledger, new_invoice(minor=minor))
