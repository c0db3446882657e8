"""Contacts on a company's website: which pages may have them, what stands there, and how far it can be believed.

Everything but `research` is pure. What is found is for a person to approve; nothing is sent to it before.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import httpx2

from activities import contact_words as words
from activities.contact_sightings import Evidence, Kind, Sighting, sightings
from activities.contact_words import Sign, registrable
from activities.page_text import Content, read
from activities.websites import Page, PageUnavailable, WebsiteError

__all__ = ["Candidate", "Evidence", "Fetcher", "Kind", "contact_links", "contacts", "research"]

MOST_PAGES = 4  # contact pages, besides the first page
MOST_CANDIDATES = 40
MOST_EVIDENCE = 3  # for one candidate

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A contact that may be the customer's: an email address, a number in E.164, or the address of a profile.

    `confidence` is 5 to 95 of a hundred, a sum of signs whose words are the `reasons`: for sorting and for people, not
    a probability.
    """

    kind: Kind
    value: str
    confidence: int
    reasons: tuple[str, ...]
    evidence: tuple[Evidence, ...]


class Fetcher(Protocol):
    """Gets pages of the public web."""

    async def get(self, url: str) -> Page:
        """The page; raises WebsiteError."""
        ...


async def research(website: str, fetcher: Fetcher, *, region: str = "ID") -> tuple[Candidate, ...]:
    """Contacts on a website, best first, from its first page and up to four contact pages.

    `website` may lack its scheme. `region` is where numbers without a country code are from. Raises WebsiteError where
    the first page cannot be had; a contact page that cannot be had is passed over.
    """
    first = await _first_page(website, fetcher)
    content = await asyncio.to_thread(read, first)
    home = _name_of(website)
    found = await asyncio.to_thread(_sightings, content, home, region)
    waiting = _contact_links(content) or [(0, str(httpx2.URL(first.url).join(path))) for path in words.LIKELY_PATHS]
    seen = {_same(first.url)}
    for _ in range(MOST_PAGES):
        waiting = [link for link in waiting if _same(link[1]) not in seen]
        if not waiting:
            break
        worth, url = waiting.pop(0)
        seen.add(_same(url))
        try:
            page = await fetcher.get(url)
            content = await asyncio.to_thread(read, page)
        except WebsiteError as error:
            log.info("a contact page was passed over: %s", error)
            continue
        if page.url != url and _same(page.url) in seen:
            continue
        seen.add(_same(page.url))
        found += await asyncio.to_thread(_sightings, content, home, region, worth)
        waiting = sorted([*waiting, *_contact_links(content)], key=lambda link: -link[0])
    return _candidates(found)


def contacts(page: Page, website: str, *, region: str = "ID") -> tuple[Candidate, ...]:
    """Contacts on one page of `website`, best first. Raises PageUnavailable for a page that cannot be read."""
    return _candidates(_sightings(read(page), _name_of(website), region))


def contact_links(page: Page) -> tuple[str, ...]:
    """Addresses of this website's pages that may have contacts, the likeliest first."""
    return tuple(url for _, url in _contact_links(read(page)))


async def _first_page(website: str, fetcher: Fetcher) -> Page:
    try:
        return await fetcher.get(_with_scheme(website))
    except PageUnavailable:
        if "://" in website:
            raise
    return await fetcher.get(_with_scheme(website, "http"))


def _with_scheme(website: str, scheme: str = "https") -> str:
    website = website.strip()
    return website if "://" in website else f"{scheme}://{website}"


def _name_of(website: str) -> str:
    """The registered name of a website that a page has come from."""
    return registrable(httpx2.URL(_with_scheme(website)).host)


def _same(url: str) -> str:
    """Equal for addresses of one page."""
    parsed = httpx2.URL(url)
    return f"{parsed.host.removeprefix('www.')}:{parsed.port}{parsed.raw_path.decode('ascii').rstrip('/')}".lower()


def _contact_links(content: Content) -> list[tuple[int, str]]:
    """What each link of this website is worth, and where it leads; the best first."""
    here, found = registrable(httpx2.URL(content.url).host), dict[str, tuple[int, str]]()
    for link in content.links:
        if not link.target.startswith(("http:", "https:")):
            continue
        url = httpx2.URL(link.target).copy_with(fragment=None)
        worth, key = words.worth_of_link(link.words, url.path), _same(str(url))
        if worth > found.get(key, (0, ""))[0] and registrable(url.host) == here and key != _same(content.url):
            found[key] = (worth, str(url))
    return sorted(found.values(), key=lambda link: -link[0])


def _sightings(content: Content, home: str, region: str, worth: int = 0) -> list[Sighting]:
    """What is seen on a page that a link of this worth led to."""
    worth = max(worth, words.worth_of_link("", httpx2.URL(content.url).path))
    return sightings(content, home, region, contact_page=worth >= words.CONTACT_PAGE_WORTH)


def _candidates(found: Iterable[Sighting]) -> tuple[Candidate, ...]:
    """One candidate for each contact, however often it was seen; fax lines are none."""
    groups: dict[tuple[Kind, str], list[Sighting]] = {}
    fax, phone = set[str](), set[str]()
    for each in found:
        if each.fax:
            fax.add(each.value)
            continue
        groups.setdefault((each.kind, each.value), []).append(each)
        if Sign.LABELLED in each.signs:
            phone.add(each.value)
    candidates = [_candidate(kind, value, group) for (kind, value), group in groups.items() if value not in fax - phone]
    return tuple(sorted(candidates, key=lambda each: (-each.confidence, each.kind, each.value))[:MOST_CANDIDATES])


def _candidate(kind: Kind, value: str, group: list[Sighting]) -> Candidate:
    group = sorted(group, key=lambda each: -each.points)
    signs = set(group[0].signs)
    if len({each.evidence.url for each in group}) > 1:
        signs.add(Sign.REPEATED)
    confidence = min(95, max(5, sum(sign.points for sign in signs)))
    reasons = tuple(sign.words for sign in sorted(filter(signs.__contains__, Sign), key=lambda sign: -sign.points))
    evidence = tuple(dict.fromkeys(each.evidence for each in group))[:MOST_EVIDENCE]
    return Candidate(kind, value, confidence, reasons, evidence)
