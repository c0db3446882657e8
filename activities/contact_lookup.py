"""Contact lookup: another way to reach a customer, from the register and the customer's own website.

What is found is written down with its evidence, for a person to approve. Nothing about a debt goes there before, and
nothing at all to a landline or a profile, which are for people to call and to look at.
"""

from __future__ import annotations

from typing import Protocol

import phonenumbers
from phonenumbers import PhoneNumberType
from temporalio import activity

from activities.contact_pages import Candidate, Kind, research
from activities.website_errors import WebsiteError
from activities.websites import WebsiteFetcher
from lunas.ledger.customers import customer_by_code
from lunas.ledger.database import Ledger
from lunas.ledger.findings import NewFinding, propose
from lunas.ledger.kinds import FindingKind
from lunas.ledger.progress import record_progress
from lunas.ledger.views import invoice_view
from lunas.receivables.orders import Order, Report, Verdict

#: Fewer points than this, of a hundred, and a person's time is better spent elsewhere.
LEAST_CONFIDENCE = 20

_FINDINGS = {
    Kind.EMAIL: FindingKind.EMAIL,
    Kind.MOBILE: FindingKind.SMS,
    Kind.PHONE: FindingKind.PHONE,
    Kind.PROFILE: FindingKind.PROFILE,
}


class Search(Protocol):
    """Finds candidates on one website."""

    async def __call__(self, website: str) -> tuple[Candidate, ...]:
        """Candidates, best first; raises WebsiteError."""


def website_search(fetcher: WebsiteFetcher) -> Search:
    """The search through one polite fetcher."""

    async def search(website: str) -> tuple[Candidate, ...]:
        return await research(website, fetcher)

    return search


class ContactLookup:
    """Researches the contacts of an invoice's customer; `search` None where the installation does no research."""

    def __init__(self, ledger: Ledger, search: Search | None) -> None:
        self._ledger = ledger
        self._search = search

    @activity.defn(name="research_contact")
    async def look_up(self, order: Order) -> Report:
        """Search, write down what was found, and say how many candidates wait for a person.

        A website that cannot be read is a result, not a failure: nothing was found there.
        """
        async with self._ledger.write() as session:
            await record_progress(session, order.invoice, order.progress)
        async with self._ledger.read() as session:
            view = await invoice_view(session, order.invoice)
            website = (await customer_by_code(session, view.customer)).website
        candidates, remark = await self._candidates(website)
        async with self._ledger.write() as session:
            waiting = await propose(session, view.customer, [_finding(candidate) for candidate in candidates])
        return Report(Verdict.DONE, candidates=waiting, reason=remark)

    async def _candidates(self, website: str | None) -> tuple[list[Candidate], str]:
        if self._search is None:
            return [], "research is switched off"
        if not website:
            return [], "the register knows no website of the customer"
        try:
            found = await self._search(website)
        except WebsiteError as error:
            return [], f"the website could not be read: {type(error).__name__}"
        usable = [one for one in found if one.confidence >= LEAST_CONFIDENCE]
        return usable, f"{len(found)} found, {len(usable)} of use"


def _finding(candidate: Candidate) -> NewFinding:
    evidence = {
        "confidence": candidate.confidence,
        "reasons": list(candidate.reasons),
        "pages": [{"url": proof.url, "snippet": proof.snippet} for proof in candidate.evidence],
    }
    return NewFinding(_use_of(candidate), candidate.value, evidence)


def _use_of(candidate: Candidate) -> FindingKind:
    """What a person may do with it. A WhatsApp number may be a landline, which takes no text messages."""
    if candidate.kind is not Kind.WHATSAPP:
        return _FINDINGS[candidate.kind]
    sort = phonenumbers.number_type(phonenumbers.parse(candidate.value))
    mobile = sort in (PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE)
    return FindingKind.SMS if mobile else FindingKind.PHONE
