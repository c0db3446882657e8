"""Letters through the relay: one mail each, the same again after a crash, and never taken for anything else."""

from __future__ import annotations

import email.policy
from email.message import EmailMessage
from email.parser import BytesParser
from typing import cast

import pytest
from temporalio.testing import ActivityEnvironment

from activities.agencies import Letter
from activities.letters import RelayMailer
from activities.mail import Attachment
from activities.owner import OwnerActivities
from activities.smtp import Relay, RelayUnreachable
from lunas.company import Company
from lunas.ledger.database import Ledger
from lunas.ledger.journal import journal_of
from lunas.receivables.orders import Order, Verdict
from tests.activities.conftest import Outbox
from tests.ledger.samples import WEDNESDAY, progress

LETTER = Letter(
    "serah@tagih.example",
    "PT Tagih & Santun",
    "Penyerahan: INV/7",
    "Yth. Tim,\nbaris <dua>.\n\nHormat kami,\nPT Contoh Niaga\n",
    (Attachment("placement.csv", b"a,b\r\n", "text/csv"),),
)


class Prepared:
    """A mail that waits for its dot."""

    def __init__(self, relay: FakeRelay, envelope: tuple[str, str, bytes]) -> None:
        self._relay, self._envelope = relay, envelope

    async def release(self) -> None:
        if self._relay.down:
            raise RelayUnreachable("nobody answers")
        self._relay.accepted.append(self._envelope)

    async def __aenter__(self) -> Prepared:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._relay.closed += 1


class FakeRelay:
    """A relay that keeps what it accepts."""

    def __init__(self) -> None:
        self.accepted: list[tuple[str, str, bytes]] = []
        self.down = False
        self.closed = 0

    async def prepare(self, sender: str, recipient: str, message: bytes) -> Prepared:
        return Prepared(self, (sender, recipient, message))


def parsed(message: bytes) -> EmailMessage:
    return BytesParser(policy=email.policy.default).parsebytes(message)


@pytest.fixture
def relay() -> FakeRelay:
    return FakeRelay()


async def send(relay: FakeRelay, company: Company, key: str = "placement/7") -> None:
    await RelayMailer(cast("Relay", relay), company).send(LETTER, key)


async def test_a_letter_is_one_mail_with_its_attachments(relay: FakeRelay, company: Company) -> None:
    await send(relay, company)
    ((sender, recipient, raw),) = relay.accepted
    assert (sender, recipient) == ("ar@contoh.example", "serah@tagih.example")
    assert relay.closed == 1
    mail = parsed(raw)
    assert mail["Subject"] == "Penyerahan: INV/7"
    assert mail["To"].addresses[0].display_name == "PT Tagih & Santun"
    plain, page = mail.get_body(("plain",)), mail.get_body(("html",))
    assert plain is not None and page is not None
    assert plain.get_content().replace("\r\n", "\n").strip() == LETTER.text.strip()
    assert "<p>Yth. Tim,<br>baris &lt;dua&gt;.</p>" in page.get_content()
    (attachment,) = mail.iter_attachments()
    assert attachment.get_filename() == "placement.csv"
    assert "List-Unsubscribe" not in mail, "a partner's letter is no mailing that one leaves with a click"


async def test_a_repeated_letter_is_the_same_message_and_another_is_not(relay: FakeRelay, company: Company) -> None:
    for key in ("placement/7", "placement/7", "placement/8"):
        await send(relay, company, key)
    first, again, other = (parsed(raw)["Message-ID"] for _, _, raw in relay.accepted)
    assert first == again != other
    assert first.endswith("@contoh.example>")


async def test_a_relay_that_does_not_take_it_is_an_error(relay: FakeRelay, company: Company) -> None:
    relay.down = True
    with pytest.raises(RelayUnreachable):
        await send(relay, company)
    assert (relay.accepted, relay.closed) == ([], 1)


async def test_the_owner_is_told_what_waits_and_how_to_look(ledger: Ledger, invoice: str, outbox: Outbox) -> None:
    owner = OwnerActivities(ledger, outbox, "collections@contoh.example")
    order = Order(invoice, WEDNESDAY, progress(1), subject="INV/2026/11/0042 waits for approval", key="approval+88")
    assert (await ActivityEnvironment().run(owner.tell, order)).verdict is Verdict.DONE
    ((key, letter),) = outbox.letters
    assert key == "owner/approval+88"
    assert letter.to_address == "collections@contoh.example"
    assert letter.subject == "Lunas: INV/2026/11/0042 waits for approval"
    for command in ("status", "journal", "why"):
        assert f"lunas {command} {invoice}" in letter.text
    async with ledger.read() as session:
        rows, _ = await journal_of(session, invoice)
    assert [row.event for row in rows if row.rule] == ["follow_up_fell_due"]


async def test_the_owners_relay_that_is_away_fails_the_attempt(ledger: Ledger, invoice: str, outbox: Outbox) -> None:
    owner = OwnerActivities(ledger, outbox, "collections@contoh.example")
    order = Order(invoice, WEDNESDAY, progress(), subject="x", key="k")
    outbox.failures = 1
    with pytest.raises(ConnectionError):
        await ActivityEnvironment().run(owner.tell, order)
    assert (await ActivityEnvironment().run(owner.tell, order)).verdict is Verdict.DONE
    assert [key for key, _ in outbox.letters] == ["owner/k"]
