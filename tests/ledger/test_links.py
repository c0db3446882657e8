"""Links that can be revoked: what a message carries, what a revocation ends, and what the page is told of a balance."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
import pytest_asyncio

from lunas.ledger.answers import RefusalReason, Refused
from lunas.ledger.charges import record_charge
from lunas.ledger.credits import NewCreditNote, record_credit_note
from lunas.ledger.customers import contacts_of, correct_contact, customer_by_code, erase_contact, opt_out
from lunas.ledger.database import Ledger
from lunas.ledger.errors import NotFound
from lunas.ledger.facts import look_at
from lunas.ledger.journal import journal_of
from lunas.ledger.kinds import ChargeKind
from lunas.ledger.links import follow, revoke_customer_links, revoke_invoice_links
from lunas.ledger.movements import MovementKind, movements
from lunas.ledger.replies import record_objection
from lunas.ledger.reversals import NewReversal, record_reversal
from lunas.ledger.sending import commit
from lunas.ledger.statements import account_of
from lunas.links import LinkError, Links, PayLink, Purpose, mark_of
from lunas.receivables.ladder import Channel
from lunas.receivables.money import Currency, Money
from tests.ledger.samples import WEDNESDAY, add_customer, add_invoice, claimed, new_invoice, order, pay

NUMBER, EMAIL, PHONE = "INV/2026/11/0042", "siti@acme.example", "+628123456789"


@pytest_asyncio.fixture(loop_scope="session")
async def issued(ledger: Ledger) -> Ledger:
    await add_customer(ledger)
    await add_invoice(ledger)
    return ledger


async def leads(ledger: Ledger, link: PayLink) -> bool:
    async with ledger.read() as session:
        try:
            return (await follow(session, link)).seen.invoice.number == link.number
        except NotFound:
            return False


async def revoke(ledger: Ledger, number: str = NUMBER) -> None:
    async with ledger.write() as session:
        await revoke_invoice_links(session, number, by="siti", reason="forwarded")


async def test_a_message_carries_a_link_for_its_reader(issued: Ledger) -> None:
    brief = (await claimed(issued)).brief
    assert brief.link == PayLink(NUMBER, 0, mark_of(EMAIL))
    assert await leads(issued, brief.link)
    async with issued.read() as session:
        found = await follow(session, brief.link)
        assert found.contact is not None and found.contact.email == EMAIL
        assert (await account_of(session, NUMBER, WEDNESDAY.date())).link == PayLink(NUMBER)
    text = (await claimed(issued, order(channel=Channel.SMS, at=WEDNESDAY + timedelta(days=1)))).brief
    assert text.link is not None and text.link.mark == mark_of(PHONE)


async def test_a_message_under_way_does_not_leave_with_a_revoked_link(issued: Ledger) -> None:
    mine = await claimed(issued)
    await revoke(issued)
    async with issued.write() as session:
        refused = await commit(session, mine.notice_id, mine.token)
    assert isinstance(refused, Refused) and refused.reason is RefusalReason.CHANGED
    again = (await claimed(issued)).brief.link
    assert again == PayLink(NUMBER, 1, mark_of(EMAIL))
    assert await leads(issued, again)


async def test_every_revocation_ends_what_came_before_it(issued: Ledger) -> None:
    await add_invoice(issued, new_invoice("INV-2"))
    await add_customer(issued, "OTHER")
    await add_invoice(issued, new_invoice("INV-3", customer="OTHER"))
    await revoke(issued)
    async with issued.write() as session:
        await revoke_customer_links(session, "ACME", by="siti", reason="left")
    await revoke(issued)
    assert [await leads(issued, PayLink(NUMBER, epoch)) for epoch in range(5)] == [False, False, False, True, False]
    assert [await leads(issued, PayLink("INV-2", epoch)) for epoch in range(3)] == [False, True, False]
    assert await leads(issued, PayLink("INV-3"))
    async with issued.read() as session:
        rows, _ = await journal_of(session, "INV-2")
    assert [row.reason for row in rows if row.event == "links_revoked"] == ["left"]
    async with issued.write() as session:
        with pytest.raises(NotFound):
            await revoke_invoice_links(session, "INV/none", by="siti", reason="x")
        with pytest.raises(NotFound):
            await revoke_customer_links(session, "NONE", by="siti", reason="x")


async def test_a_changed_or_erased_address_ends_the_links_that_went_there(issued: Ledger) -> None:
    by_mail, by_sms = PayLink(NUMBER, 0, mark_of(EMAIL)), PayLink(NUMBER, 0, mark_of(PHONE))
    async with issued.read() as session:
        contact = (await contacts_of(session, (await customer_by_code(session, "ACME")).id))[0].id
    async with issued.write() as session:
        await opt_out(session, contact, Channel.SMS, by="customer")
    assert await leads(issued, by_sms), "who wants no messages may still pay"
    async with issued.write() as session:
        await correct_contact(session, contact, by="siti", email="new@acme.example")
    assert (await leads(issued, by_mail), await leads(issued, by_sms)) == (False, True)
    async with issued.write() as session:
        await erase_contact(session, contact, by="siti")
    assert not await leads(issued, by_sms)
    assert await leads(issued, PayLink(NUMBER)), "one for nobody in particular ends by a revocation alone"


async def test_what_changed_a_balance_adds_up(issued: Ledger) -> None:
    rupiah = Currency.IDR
    async with issued.write() as session:
        for kind, minor in ((ChargeKind.INTEREST, 5_000), (ChargeKind.FEE, 2_500)):
            await record_charge(
                session,
                NUMBER,
                reference=f"{kind}-1",
                kind=kind,
                amount=Money(minor, rupiah),
                charged_on=date(2026, 3, 9),
                by="siti",
            )
        note = NewCreditNote("NK-1", NUMBER, Money(100_000, rupiah), date(2026, 2, 20), "damaged", "siti")
        await record_credit_note(session, note)
    await pay(issued, minor=300_000)
    async with issued.write() as session:
        back = NewReversal("bank", "back-1", "pay-1", date(2026, 3, 6), "bounced", "siti", Money(50_000, rupiah))
        await record_reversal(session, back)
    async with issued.read() as session:
        seen = await look_at(session, NUMBER)
        found = await movements(session, seen.invoice.id)
    assert [(one.kind, one.on, one.minor, one.named) for one in found] == [
        (MovementKind.CREDITED, date(2026, 2, 20), -100_000, "NK-1"),
        (MovementKind.PAID, date(2026, 3, 4), -300_000, None),
        (MovementKind.REVERSED, date(2026, 3, 6), 50_000, None),
        (MovementKind.INTEREST, date(2026, 3, 9), 5_000, None),
        (MovementKind.FEE, date(2026, 3, 9), 2_500, None),
    ]
    assert seen.invoice.total_minor + sum(one.minor for one in found) == seen.balance.outstanding


async def test_an_objection_is_kept_once_in_the_customers_words(issued: Ledger) -> None:
    for words in ("two boxes missing", "two boxes missing", "three boxes missing"):
        async with issued.write() as session:
            await record_objection(session, NUMBER, words, by="customer", about="line 1")
    async with issued.read() as session:
        rows, _ = await journal_of(session, NUMBER)
    said = [row for row in rows if row.event == "objection_explained"]
    assert [row.reason for row in said] == ["two boxes missing", "three boxes missing"]


SECRET = "a-secret-for-tests-of-32-characters!"


@pytest.mark.parametrize(
    "link", [PayLink("INV/1"), PayLink("INV/1", 3), PayLink("INV/1", 0, "a-_0"), PayLink("INV 1é", 12, "AAAA")]
)
def test_a_link_says_what_it_was_made_of(link: PayLink) -> None:
    links = Links("http://lunas.example", SECRET)
    today = date(2026, 11, 20)
    token = links.url(Purpose.PAY, link.subject, today).rpartition("/")[2]
    assert PayLink.of(links.read(Purpose.PAY, token, today)) == link


def test_no_byte_of_a_token_can_be_changed() -> None:
    links = Links("http://lunas.example", SECRET)
    today = date(2026, 11, 20)
    token = links.url(Purpose.PAY, PayLink("INV/1", 2, "abcd").subject, today).rpartition("/")[2]
    for place in range(len(token)):
        for other in "AZ9_":
            changed = token[:place] + other + token[place + 1 :]
            if changed == token:
                continue
            try:
                read = links.read(Purpose.PAY, changed, today)
            except LinkError:
                continue
            assert place == len(token) - 1 and PayLink.of(read) == PayLink("INV/1", 2, "abcd"), "spare bits of base64"


def test_a_link_is_as_short_as_it_can_be() -> None:
    assert PayLink("INV/1").subject == "INV/1"
    assert PayLink("INV/1", 0, "abcd").subject == "INV/1\n.abcd"
    assert mark_of(" Siti@Acme.example ") == mark_of(EMAIL) and len(mark_of(EMAIL)) == 4
