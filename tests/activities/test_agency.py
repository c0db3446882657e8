"""Placing with an agency and taking back: what is written down, what is mailed, and what a crash in between leaves."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import pytest
from temporalio.testing import ActivityEnvironment

from activities.agencies import AgencyPapers, MailedAgency
from activities.agency import AgencyActivities
from lunas.company import Company
from lunas.ledger.database import Ledger
from lunas.ledger.kinds import PlacementEnd
from lunas.ledger.placements import agency_acknowledged, placements_of
from lunas.ledger.tables import PlacementRow
from lunas.receivables.actions import NoticeKind
from lunas.receivables.orders import Order, Verdict
from tests.activities.conftest import Outbox
from tests.ledger.samples import WEDNESDAY, order, pay, progress, sent

PAPERS = AgencyPapers("PT Tagih Santun", "serah@tagih.example", "KEP-12/2025", "SERT-3/2025", "K/2026/7")
DEMAND = order(rung="final_demand+88", kind=NoticeKind.FINAL_DEMAND)


def placement(number: str) -> Order:
    return Order(number, WEDNESDAY, progress(), subject="Dewi", key="place")


def recall(number: str, reason: str = "paid in full") -> Order:
    return Order(number, WEDNESDAY, progress(), subject=reason, key="recall")


async def placements(ledger: Ledger, number: str) -> list[PlacementRow]:
    async with ledger.read() as session:
        return list(await placements_of(session, number))


@pytest.fixture
def house(ledger: Ledger, outbox: Outbox, company: Company) -> AgencyActivities:
    return AgencyActivities(ledger, MailedAgency(PAPERS, company, outbox), company)


async def test_a_placement_is_written_down_and_its_package_mailed(
    house: AgencyActivities, ledger: Ledger, invoice: str, outbox: Outbox
) -> None:
    await sent(ledger, DEMAND)
    report = await ActivityEnvironment().run(house.place, placement(invoice))
    assert report.verdict is Verdict.DONE
    (row,) = await placements(ledger, invoice)
    assert (row.agency, row.approved_by, row.ended_at) == ("PT Tagih Santun", "Dewi", None)
    ((key, letter),) = outbox.letters
    assert key == f"placement/{invoice}/{row.id}"
    file, statement = letter.attachments
    (cells,) = csv.DictReader(io.StringIO(file.content.decode("utf-8-sig"), newline=""))
    assert (cells["balance"], cells["emails"], cells["phones"]) == ("10000.00", "siti@acme.example", "'+628123456789")
    assert (cells["final_demand_on"], cells["placed_on"]) == ("2026-03-04", "2026-03-04")
    assert statement.content.startswith(b"%PDF-")


async def test_another_attempt_mails_the_same_placement_again(
    house: AgencyActivities, ledger: Ledger, invoice: str, outbox: Outbox
) -> None:
    await sent(ledger, DEMAND)
    outbox.failures = 1
    with pytest.raises(ConnectionError):
        await ActivityEnvironment().run(house.place, placement(invoice))
    assert len(await placements(ledger, invoice)) == 1, "it was written down before the agency was told"
    for _ in range(2):
        assert (await ActivityEnvironment().run(house.place, placement(invoice))).verdict is Verdict.DONE
    assert len(await placements(ledger, invoice)) == 1
    first, second = (key for key, _ in outbox.letters)
    assert first == second, "the same key makes the same Message-ID"


@pytest.mark.parametrize("paid", [False, True], ids=["no final demand", "paid meanwhile"])
async def test_what_the_ledger_refuses_is_reported_and_nobody_is_told(
    house: AgencyActivities, ledger: Ledger, invoice: str, outbox: Outbox, paid: bool
) -> None:
    if paid:
        await sent(ledger, DEMAND)
        await pay(ledger)
    report = await ActivityEnvironment().run(house.place, placement(invoice))
    assert report.verdict is Verdict.FAILED
    assert ("nothing is open" if paid else "no final demand") in report.reason
    assert outbox.letters == []
    assert await placements(ledger, invoice) == []


async def test_an_agency_without_its_papers_gets_nothing_and_has_nothing(
    ledger: Ledger, invoice: str, outbox: Outbox, company: Company
) -> None:
    await sent(ledger, DEMAND)
    house = AgencyActivities(ledger, MailedAgency(replace(PAPERS, licence=""), company, outbox), company)
    report = await ActivityEnvironment().run(house.place, placement(invoice))
    assert (report.verdict, outbox.letters) == (Verdict.FAILED, [])
    assert "LUNAS_AGENCY_LICENCE" in report.reason
    (row,) = await placements(ledger, invoice)
    assert row.end is PlacementEnd.RECALLED


async def test_a_recall_is_told_before_it_is_written_down_and_once_only(
    house: AgencyActivities, ledger: Ledger, invoice: str, outbox: Outbox
) -> None:
    await sent(ledger, DEMAND)
    await ActivityEnvironment().run(house.place, placement(invoice))
    async with ledger.write() as session:
        await agency_acknowledged(session, invoice, by="PT Tagih Santun", reference="TS-88")
    outbox.failures = 1
    with pytest.raises(ConnectionError):
        await ActivityEnvironment().run(house.recall, recall(invoice))
    (row,) = await placements(ledger, invoice)
    assert row.ended_at is None, "an agency that was not told may still chase"

    for _ in range(2):
        assert (await ActivityEnvironment().run(house.recall, recall(invoice))).verdict is Verdict.DONE
    (row,) = await placements(ledger, invoice)
    assert (row.end, row.end_reason) == (PlacementEnd.RECALLED, "paid in full")
    recalls = [(key, letter) for key, letter in outbox.letters if key.startswith("recall/")]
    assert len(recalls) == 1
    assert "TS-88" in recalls[0][1].text
