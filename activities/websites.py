"""Fetches pages of other people's websites for contact research: politely, and from the public web only.

Why a page was not fetched: see `website_errors`. What may be connected to: see `web_guard`.
"""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import httpcore2
import httpx2
from protego import Protego

from activities.web_guard import GuardedBackend
from activities.website_errors import AddressForbidden, PageUnavailable, VisitForbidden, WebsiteError

__all__ = [
    "AddressForbidden",
    "GuardedBackend",
    "Page",
    "PageUnavailable",
    "VisitForbidden",
    "WebsiteError",
    "WebsiteFetcher",
]

LARGEST_PAGE = 1_000_000  # bytes
LARGEST_ROBOTS = 500_000  # bytes; RFC 9309 wants at least as many read, the rest is ignored
MOST_ROBOTS_RULES = 2_000_000  # agents times lines: the parser's work, and one file can make it minutes
PAGE_SECONDS = 5.0
CONNECT_SECONDS = 2.5  # for one address: a dead one leaves time for another
MOST_REDIRECTS = 5
LONGEST_WAIT = 30.0  # seconds that a website may ask us to stay away between two pages
ROBOTS_LAST = 3600.0  # seconds

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PAGE_TYPES = frozenset({"text/html", "application/xhtml+xml", "text/plain"})


@dataclass(frozen=True, slots=True)
class Page:
    """A page as text; `url` is where it was found in the end, after redirects."""

    url: str
    text: str


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: dict[str, str]
    body: bytes


class WebsiteFetcher:
    """Reads single pages: asks robots.txt first, keeps `interval` seconds between two visits to a host.

    `user_agent` is who we say we are, such as `LunasContactResearch/1.0`; robots.txt knows us by its first word. No
    cookies, no scripts, no compression: what is counted is what is sent. Use it as a context manager, or close it.
    """

    def __init__(self, user_agent: str, *, interval: float = 1.0, backend: GuardedBackend | None = None) -> None:
        if not user_agent.strip() or not user_agent.isascii() or not user_agent.isprintable():
            raise ValueError("a visitor needs a name in printable ASCII: set LUNAS_RESEARCH_USER_AGENT")
        self._backend = backend or GuardedBackend()
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=httpcore2.default_ssl_context(),
            max_connections=10,
            max_keepalive_connections=0,
            network_backend=self._backend,
        )
        self._token = re.split(r"[/\s]", user_agent.strip(), maxsplit=1)[0]
        self._headers = [
            (b"User-Agent", user_agent.strip().encode()),
            (b"Accept", b"text/html, application/xhtml+xml, text/plain;q=0.5"),
            (b"Accept-Language", b"id, en;q=0.8"),
            (b"Accept-Encoding", b"identity"),
        ]
        self._interval = interval
        self._next_visit: dict[str, float] = {}
        self._robots: dict[str, tuple[float, Protego]] = {}

    async def get(self, url: str) -> Page:
        """The page at `url`, or at the address that it is redirected to. Raises WebsiteError."""
        here = self._checked(url)
        for _ in range(MOST_REDIRECTS + 1):
            gap = await self._permission(here)
            answer = await self._visit(here, gap)
            if answer.status not in _REDIRECTS:
                return Page(str(here), _text(answer))
            here = self._redirected(here, answer)
        raise PageUnavailable(f"it redirects more than {MOST_REDIRECTS} times")

    async def close(self) -> None:
        """Close what is open."""
        await self._pool.aclose()

    def _checked(self, url: str | httpx2.URL) -> httpx2.URL:
        try:
            parsed = httpx2.URL(url).copy_with(fragment=None)
        except (httpx2.InvalidURL, ValueError):  # a host that IDNA refuses is a ValueError
            raise AddressForbidden("this is not the address of a website") from None
        if parsed.scheme not in ("http", "https") or not parsed.host:
            raise AddressForbidden("a website's address begins with https:// or http:// and has a host")
        if parsed.userinfo:
            raise AddressForbidden("a website's address has no user and no password in it")
        if not self._backend.permits_port(parsed.port or (443 if parsed.scheme == "https" else 80)):
            raise AddressForbidden("a public website is at port 80 or 443")
        return parsed

    def _redirected(self, here: httpx2.URL, answer: _Answer) -> httpx2.URL:
        try:
            return self._checked(here.join(answer.headers.get("location", "")))
        except httpx2.InvalidURL:
            raise PageUnavailable("it redirects to something that is not an address", answer.status) from None

    async def _permission(self, url: httpx2.URL) -> float:
        """Seconds to keep until the next visit to this host. Raises VisitForbidden."""
        origin, now = f"{url.scheme}://{url.netloc.decode('ascii')}", time.monotonic()
        until, robots = self._robots.get(origin, (0.0, None))
        if robots is None or until < now:
            robots = await self._read_robots(httpx2.URL(f"{origin}/robots.txt"))
            self._robots = {at: kept for at, kept in self._robots.items() if kept[0] > now}
            self._robots[origin] = (now + ROBOTS_LAST, robots)
        if not robots.can_fetch(str(url), self._token):
            raise VisitForbidden("its robots.txt asks us not to read this page")
        return max(self._interval, min(robots.crawl_delay(self._token) or 0.0, ROBOTS_LAST))

    async def _read_robots(self, url: httpx2.URL) -> Protego:
        """RFC 9309: none (4xx) allows everything, one that is broken (5xx) forbids everything."""
        for _ in range(MOST_REDIRECTS + 1):
            answer = await self._visit(url, self._interval, robots=True)
            if answer.status == 429 or answer.status >= 500:
                raise VisitForbidden(f"its robots.txt cannot be read now ({answer.status}): ask another day")
            if answer.status in _REDIRECTS:
                url = self._redirected(url, answer)
                continue
            if 200 <= answer.status < 300:
                text = answer.body.decode("utf-8-sig", "replace")
                if text.lower().count("agent") * len(text.splitlines()) > MOST_ROBOTS_RULES:
                    raise VisitForbidden("its robots.txt is too tangled to be read")
                return await asyncio.to_thread(Protego.parse, text)
            break
        return Protego.parse("")

    async def _visit(self, url: httpx2.URL, gap: float, *, robots: bool = False) -> _Answer:
        """One request, when it is our turn; the body only of what we want to read."""
        await self._turn(url.host, gap)
        target = httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
        request = self._pool.stream(
            "GET",
            target,
            headers=[(b"Host", url.netloc), *self._headers],
            extensions={"timeout": {"connect": CONNECT_SECONDS}},
        )
        try:
            async with asyncio.timeout(PAGE_SECONDS), request as response:
                headers = {name.decode().lower(): value.decode("utf-8", "replace") for name, value in response.headers}
                body = b""
                if 200 <= response.status < 300:
                    if not robots:
                        _must_be_a_page(headers)
                    body = await _read(response, headers, LARGEST_ROBOTS if robots else LARGEST_PAGE, cut=robots)
        except TimeoutError:
            raise PageUnavailable(f"it did not answer within {PAGE_SECONDS:g} s") from None
        except (httpcore2.NetworkError, httpcore2.TimeoutException, httpcore2.ProtocolError) as failure:
            raise PageUnavailable(f"the connection failed: {type(failure).__name__}") from None
        return _Answer(response.status, headers, body)

    async def _turn(self, host: str, gap: float) -> None:
        now = time.monotonic()
        at = max(now, self._next_visit.get(host, now))
        if at - now > LONGEST_WAIT:
            raise PageUnavailable(f"it wants visitors to stay away longer than {LONGEST_WAIT:g} s between two pages")
        self._next_visit = {each: then for each, then in self._next_visit.items() if then > now}
        self._next_visit[host] = at + gap
        await asyncio.sleep(at - now)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


def _must_be_a_page(headers: dict[str, str]) -> None:
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in _PAGE_TYPES:
        raise PageUnavailable("it is not a page of text")


async def _read(response: httpcore2.Response, headers: dict[str, str], longest: int, *, cut: bool) -> bytes:
    """The body, counted as it comes; beyond `longest` bytes it is cut off or refused."""
    if headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise PageUnavailable("it is compressed although we asked for it plain")
    body = bytearray()
    async for chunk in response.aiter_stream():
        body += chunk
        if len(body) > longest:
            if cut:
                return bytes(body[:longest])
            raise PageUnavailable(f"it is larger than {longest:,} bytes")
    return bytes(body)


#: The encodings that pages are written in; a page may not name one of Python's that unpacks or computes.
_ENCODINGS = {
    "utf-8": "utf-8-sig",
    "utf8": "utf-8-sig",
    "utf-16": "utf-16",
    "us-ascii": "cp1252",
    "iso-8859-1": "cp1252",
    "iso-8859-15": "iso8859-15",
    "windows-1252": "cp1252",
    "gbk": "gb18030",
    "gb2312": "gb18030",
    "gb18030": "gb18030",
    "big5": "big5",
    "shift_jis": "cp932",
    "euc-jp": "euc_jp",
    "euc-kr": "cp949",
}
_CHARSET = re.compile(r"charset\s*=\s*[\"']?\s*([\w-]+)", re.IGNORECASE)


def _text(answer: _Answer) -> str:
    """The body as text. Raises PageUnavailable for an answer without one."""
    if not 200 <= answer.status < 300:
        raise PageUnavailable(f"it answered {answer.status}", answer.status)
    named = _CHARSET.search(answer.headers.get("content-type", ""))
    named = named or _CHARSET.search(answer.body[:2048].decode("latin-1"))
    encoding = _ENCODINGS.get(named[1].lower(), "utf-8-sig") if named else "utf-8-sig"
    return answer.body.decode(encoding, "replace")
