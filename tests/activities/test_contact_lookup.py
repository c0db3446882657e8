"""Contact lookup: what is kept for a person, what a person may do with it, and what is no failure."""

from __future__ import annotations

import pytest
from temporalio.testing import ActivityEnvironment

from activities.contact_lookup import ContactLookup
from activities.contact_pages import Candidate, Evidence, Kind
from activities.website_errors import WebsiteError
from activities.websites import PageUnavailable
from lunas.ledger.customers import NewCustomer, create_customer
from lunas.ledger.database import Ledger
from lunas.ledger.facts import facts
from lunas.ledger.findings import approve_finding, findings_of
from lunas.ledger.kinds import FindingKind
from lunas.ledger.tables import FindingRow
from lunas.receivables.orders import Order, Verdict
from tests.ledger.samples import WEDNESDAY, add_invoice, progress

NUMBER = "INV/2026/11/0042"
ORDER = Order(NUMBER, WEDNESDAY, progress(), key="research")


def candidate(kind: Kind, value: str, confidence: int = 60) -> Candidate:
    evidence = (Evidence("https://acme.example/kontak", f"Hubungi kami: {value}"),)
    return Candidate(kind, value, confidence, ("written behind a label",), evidence)


class Website:
    """A search that finds what it was told, or fails."""

    def __init__(self, *found: Candidate, error: WebsiteError | None = None) -> None:
        self.found, self.error = found, error
        self.asked: list[str] = []

    async def __call__(self, website: str) -> tuple[Candidate, ...]:
        self.asked.append(website)
        if self.error:
            raise self.error
        return self.found


async def customer(ledger: Ledger, website: str | None = "acme.example") -> None:
    async with ledger.write() as session:
        await create_customer(session, NewCustomer("ACME", "PT ACME", website=website))
    await add_invoice(ledger)


async def found(ledger: Ledger) -> list[FindingRow]:
    async with ledger.read() as session:
        return list(await findings_of(session, "ACME"))


async def test_everything_that_may_help_is_kept_with_what_a_person_may_do_with_it(ledger: Ledger) -> None:
    await customer(ledger)
    website = Website(
        candidate(Kind.EMAIL, "ar@acme.example"),
        candidate(Kind.MOBILE, "+628123456789"),
        candidate(Kind.PHONE, "+622157951234"),
        candidate(Kind.WHATSAPP, "+628111222333"),
        candidate(Kind.WHATSAPP, "+622157959999"),
        candidate(Kind.PROFILE, "https://www.linkedin.com/company/acme"),
        candidate(Kind.EMAIL, "info@elsewhere.example", confidence=19),
    )
    report = await ActivityEnvironment().run(ContactLookup(ledger, website).look_up, ORDER)
    assert (report.verdict, report.candidates, report.reason) == (Verdict.DONE, 6, "7 found, 6 of use")
    assert website.asked == ["acme.example"]
    assert [(one.kind, one.value) for one in await found(ledger)] == [
        ("email", "ar@acme.example"),
        ("sms", "+628123456789"),
        ("phone", "+622157951234"),
        ("sms", "+628111222333"),
        ("phone", "+622157959999"),
        ("profile", "https://www.linkedin.com/company/acme"),
    ]
    first = (await found(ledger))[0]
    assert first.evidence["pages"] == [
        {"url": "https://acme.example/kontak", "snippet": "Hubungi kami: ar@acme.example"}
    ]
    assert not (await reachable(ledger)), "nothing is used before a person has approved it"


async def test_a_landline_and_a_profile_make_nobody_reachable(ledger: Ledger) -> None:
    await customer(ledger)
    website = Website(
        candidate(Kind.WHATSAPP, "+622157959999"),
        candidate(Kind.PROFILE, "https://www.linkedin.com/company/acme"),
    )
    await ActivityEnvironment().run(ContactLookup(ledger, website).look_up, ORDER)
    async with ledger.write() as session:
        for finding in await findings_of(session, "ACME"):
            assert not FindingKind(finding.kind).can_be_written_to
            await approve_finding(session, finding.id, by="siti")
    assert not (await reachable(ledger))


async def test_another_search_asks_about_nothing_twice(ledger: Ledger) -> None:
    await customer(ledger)
    lookup = ContactLookup(ledger, Website(candidate(Kind.PHONE, "+622157951234")))
    assert (await ActivityEnvironment().run(lookup.look_up, ORDER)).candidates == 1
    (finding,) = await found(ledger)
    async with ledger.write() as session:
        await approve_finding(session, finding.id, by="siti")
    assert (await ActivityEnvironment().run(lookup.look_up, ORDER)).candidates == 0


@pytest.mark.parametrize(
    ("website", "search", "reason"),
    [
        ("acme.example", None, "research is switched off"),
        (None, Website(), "the register knows no website of the customer"),
        ("acme.example", Website(error=PageUnavailable("gone")), "the website could not be read: PageUnavailable"),
        ("acme.example", Website(), "0 found, 0 of use"),
    ],
    ids=["switched off", "no website", "unreadable", "empty"],
)
async def test_finding_nothing_is_a_result(
    ledger: Ledger, website: str | None, search: Website | None, reason: str
) -> None:
    await customer(ledger, website)
    report = await ActivityEnvironment().run(ContactLookup(ledger, search).look_up, ORDER)
    assert (report.verdict, report.candidates, report.reason) == (Verdict.DONE, 0, reason)
    assert await found(ledger) == []


async def reachable(ledger: Ledger) -> bool:
    async with ledger.read() as session:
        return (await facts(session, NUMBER)).reachable
