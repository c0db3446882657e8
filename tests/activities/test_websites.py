"""The polite visitor, on small websites of this machine: what it reads, what it refuses, and how it behaves."""

from __future__ import annotations

import asyncio
import gzip
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import pytest

from activities import websites
from activities.websites import GuardedBackend, PageUnavailable, VisitForbidden, WebsiteFetcher

HTML = {"Content-Type": "text/html; charset=utf-8"}
Drip = Callable[[asyncio.StreamWriter], Awaitable[None]]


def answer(body: bytes | str = b"", status: int = 200, **headers: str) -> bytes:
    data = body.encode() if isinstance(body, str) else body
    fields = HTML | {name.replace("_", "-"): value for name, value in headers.items()}
    if "Transfer-Encoding" not in fields:
        fields = {"Content-Length": str(len(data))} | fields
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status} Whatever\r\n{head}\r\n".encode() + data


@dataclass
class Site:
    """A website at a port of this machine; what it does not know is 404."""

    pages: dict[str, bytes | Drip] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            path = head.split(" ", 2)[1]
            self.requests.append(path)
            self.heads.append(head)
            page = self.pages.get(path, answer(status=404))
            if isinstance(page, bytes):
                writer.write(page)
                await writer.drain()
            else:
                await page(writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    found = Site()
    async with await asyncio.start_server(found.serve, "127.0.0.1", 0) as server:
        found.port = server.sockets[0].getsockname()[1]
        yield found


@pytest.fixture
async def fetcher(site: Site) -> AsyncIterator[WebsiteFetcher]:
    backend = GuardedBackend(loopback_port=site.port)
    async with WebsiteFetcher("LunasTest/1.0 (+https://lunas.example)", interval=0, backend=backend) as each:
        yield each


async def test_it_reads_a_page_and_says_who_it_is(site: Site, fetcher: WebsiteFetcher) -> None:
    site.pages["/kontak%20kami?q=1"] = answer("<p>Hubungi kami</p>")
    page = await fetcher.get(f"{site.url}/kontak kami?q=1#peta")
    assert page.text == "<p>Hubungi kami</p>"
    assert page.url == f"{site.url}/kontak%20kami?q=1"
    assert site.requests == ["/robots.txt", "/kontak%20kami?q=1"]
    head = site.heads[1].lower()
    assert "user-agent: lunastest/1.0 (+https://lunas.example)\r\n" in head
    assert "accept-encoding: identity\r\n" in head
    assert f"host: 127.0.0.1:{site.port}\r\n" in head
    assert "cookie" not in head
    assert "referer" not in head


async def test_it_keeps_no_cookies(site: Site, fetcher: WebsiteFetcher) -> None:
    site.pages["/"] = answer("one", Set_Cookie="id=1; Path=/")
    await fetcher.get(site.url)
    await fetcher.get(site.url)
    assert all("cookie" not in head.lower() for head in site.heads)


async def test_it_follows_redirects_itself(site: Site, fetcher: WebsiteFetcher) -> None:
    site.pages["/"] = answer(status=301, Location="/id")
    site.pages["/id"] = answer(status=307, Location=f"//127.0.0.1:{site.port}/id/../home?x=é")
    site.pages["/home?x=%C3%A9"] = answer("home")
    page = await fetcher.get(site.url)
    assert (page.url, page.text) == (f"{site.url}/home?x=%C3%A9", "home")


async def test_it_gives_up_on_a_circle(site: Site, fetcher: WebsiteFetcher) -> None:
    site.pages["/"] = answer(status=302, Location="/")
    with pytest.raises(PageUnavailable, match="more than 5"):
        await fetcher.get(site.url)
    assert site.requests.count("/") == 6


@pytest.mark.parametrize("status", [403, 404, 410, 500, 503, 304, 204])
async def test_an_answer_without_a_page(site: Site, fetcher: WebsiteFetcher, status: int) -> None:
    site.pages["/"] = answer("" if status in (304, 204) else "sorry", status=status, Content_Type="text/plain")
    if status == 204:
        assert (await fetcher.get(site.url)).text == ""
        return
    with pytest.raises(PageUnavailable) as failure:
        await fetcher.get(site.url)
    assert failure.value.status == status


# --- robots.txt -----------------------------------------------------------------------------------------------------


async def test_robots_txt_is_asked_once_and_obeyed(site: Site, fetcher: WebsiteFetcher) -> None:
    site.pages["/robots.txt"] = answer(
        "User-agent: *\nDisallow: /\n\nUser-agent: LunasTest\nAllow: /\nDisallow: /*.php$\nDisallow: /admin/\n"
    )
    site.pages["/"] = answer("home")
    assert (await fetcher.get(site.url)).text == "home"
    for path in ("/contact.php", "/admin/kontak"):
        with pytest.raises(VisitForbidden):
            await fetcher.get(site.url + path)
    assert site.requests == ["/robots.txt", "/"]


async def test_a_redirect_to_a_page_that_robots_txt_closes_is_not_followed(site: Site, fetcher: WebsiteFetcher) -> None:
    site.pages["/robots.txt"] = answer("User-agent: *\nDisallow: /private")
    site.pages["/"] = answer(status=302, Location="/private")
    with pytest.raises(VisitForbidden):
        await fetcher.get(site.url)
    assert "/private" not in site.requests


@pytest.mark.parametrize("status", [500, 503, 429])
async def test_a_broken_robots_txt_closes_the_website(site: Site, fetcher: WebsiteFetcher, status: int) -> None:
    site.pages |= {"/robots.txt": answer(status=status), "/": answer("home")}
    with pytest.raises(VisitForbidden, match=str(status)):
        await fetcher.get(site.url)
    assert site.requests == ["/robots.txt"]


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_no_robots_txt_opens_it(site: Site, fetcher: WebsiteFetcher, status: int) -> None:
    site.pages |= {"/robots.txt": answer(status=status), "/": answer("home")}
    assert (await fetcher.get(site.url)).text == "home"


async def test_a_redirected_robots_txt_counts(site: Site, fetcher: WebsiteFetcher) -> None:
    site.pages["/robots.txt"] = answer(status=301, Location="/r.txt")
    site.pages["/r.txt"] = answer("\ufeffUser-agent: *\nDisallow: /", Content_Type="text/plain")
    with pytest.raises(VisitForbidden):
        await fetcher.get(site.url)


async def test_a_huge_robots_txt_is_read_in_part(site: Site, fetcher: WebsiteFetcher) -> None:
    site.pages["/robots.txt"] = answer("User-agent: *\nDisallow: /a\n" + "# " + "x" * 600_000 + "\nDisallow: /b")
    site.pages |= {"/a": answer("a"), "/b": answer("b")}
    with pytest.raises(VisitForbidden):
        await fetcher.get(f"{site.url}/a")
    assert (await fetcher.get(f"{site.url}/b")).text == "b"


async def test_a_robots_txt_made_to_keep_us_busy_is_not_read(site: Site, fetcher: WebsiteFetcher) -> None:
    agents = "".join(f"User-agent: a{each}\n" for each in range(10_000))
    site.pages["/robots.txt"] = answer(agents + "Disallow: /x\n" * 10_000)
    began = time.monotonic()
    with pytest.raises(VisitForbidden, match="tangled"):
        await fetcher.get(site.url)
    assert time.monotonic() - began < 2


# --- manners --------------------------------------------------------------------------------------------------------


@dataclass
class Clock:
    """The fetcher's time, which passes only while it waits."""

    now: float = 1000.0
    waits: list[float] = field(default_factory=list)
    stands_still: bool = False  # for visitors who wait side by side

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.waits.append(round(seconds, 3))
        self.now += 0 if self.stands_still else seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(websites, "time", found)
    monkeypatch.setattr(asyncio, "sleep", found.sleep)
    return found


async def test_visits_to_one_host_keep_their_distance(site: Site, clock: Clock) -> None:
    site.pages["/"] = answer("home")
    backend = GuardedBackend(loopback_port=site.port)
    async with WebsiteFetcher("LunasTest/1.0", interval=2.0, backend=backend) as fetcher:
        await fetcher.get(site.url)
        await fetcher.get(site.url)
        clock.now += 0.5
        await fetcher.get(site.url)
        clock.now += 60
        await fetcher.get(site.url)
    assert clock.waits == [0, 2, 2, 1.5, 0]  # robots.txt, and four pages


async def test_visits_at_once_queue_up(site: Site, clock: Clock) -> None:
    site.pages["/"] = answer("home")
    backend = GuardedBackend(loopback_port=site.port)
    async with WebsiteFetcher("LunasTest/1.0", interval=2.0, backend=backend) as fetcher:
        await fetcher.get(site.url)
        clock.stands_still = True
        await asyncio.gather(*(fetcher.get(site.url) for _ in range(3)))
    assert sorted(clock.waits[2:]) == [2, 4, 6]


async def test_robots_txt_is_asked_again_after_an_hour(site: Site, fetcher: WebsiteFetcher, clock: Clock) -> None:
    site.pages["/"] = answer("home")
    await fetcher.get(site.url)
    clock.now += 3599
    await fetcher.get(site.url)
    clock.now += 2
    await fetcher.get(site.url)
    assert site.requests == ["/robots.txt", "/", "/", "/robots.txt", "/"]


async def test_a_website_may_ask_for_more_distance(site: Site, fetcher: WebsiteFetcher, clock: Clock) -> None:
    site.pages |= {"/robots.txt": answer("User-agent: *\nCrawl-delay: 12.5"), "/": answer("home")}
    await fetcher.get(site.url)
    await fetcher.get(site.url)
    assert clock.waits == [0, 0, 12.5]


@pytest.mark.parametrize("delay", ["31", "1e9"])
async def test_a_website_that_wants_more_than_we_have_is_left_alone(
    site: Site, fetcher: WebsiteFetcher, delay: str
) -> None:
    site.pages |= {"/robots.txt": answer(f"User-agent: *\nCrawl-delay: {delay}"), "/": answer("home")}
    await fetcher.get(site.url)
    with pytest.raises(PageUnavailable, match="stay away"):
        await fetcher.get(site.url)
    assert site.requests == ["/robots.txt", "/"]


# --- bodies ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["application/pdf", "image/png", "application/octet-stream", "text/css", ""])
async def test_only_pages_of_text_are_read(site: Site, fetcher: WebsiteFetcher, kind: str) -> None:
    site.pages["/"] = answer("%PDF", Content_Type=kind)
    with pytest.raises(PageUnavailable, match="not a page"):
        await fetcher.get(site.url)


async def test_a_large_page_is_refused(site: Site, fetcher: WebsiteFetcher) -> None:
    site.pages["/"] = answer("x" * 1_000_000)
    assert len((await fetcher.get(site.url)).text) == 1_000_000
    site.pages["/"] = answer("x" * 1_000_001)
    with pytest.raises(PageUnavailable, match="larger than 1,000,000"):
        await fetcher.get(site.url)


async def test_an_endless_page_is_cut_off(site: Site, fetcher: WebsiteFetcher) -> None:
    written = 0

    async def endless(writer: asyncio.StreamWriter) -> None:
        nonlocal written
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n")
        while True:
            writer.write(b"x" * 65_536)
            await writer.drain()
            written += 65_536

    site.pages["/"] = endless
    with pytest.raises(PageUnavailable, match="larger"):
        await fetcher.get(site.url)
    assert written < 20_000_000


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "GZIP", "x-gzip", "gzip, identity"])
async def test_nothing_is_unpacked(site: Site, fetcher: WebsiteFetcher, encoding: str) -> None:
    bomb = gzip.compress(b"\0" * 5_000_000)
    site.pages["/"] = answer(bomb, Content_Encoding=encoding)
    with pytest.raises(PageUnavailable, match="compressed"):
        await fetcher.get(site.url)


async def test_a_dripping_page_is_not_waited_for(
    site: Site, fetcher: WebsiteFetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websites, "PAGE_SECONDS", 0.4)

    async def drip(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n")
        while True:
            writer.write(b".")
            await writer.drain()
            await asyncio.sleep(0.02)

    site.pages["/"] = drip
    began = time.monotonic()
    with pytest.raises(PageUnavailable, match="within"):
        await fetcher.get(site.url)
    assert time.monotonic() - began < 2


async def test_dripping_headers_and_silence_are_not_waited_for_either(
    site: Site, fetcher: WebsiteFetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websites, "PAGE_SECONDS", 0.3)

    async def headers(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            writer.write(b"X-A: b\r\n")
            await writer.drain()
            await asyncio.sleep(0.02)

    async def silence(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(5)

    site.pages |= {"/headers": headers, "/silence": silence}
    for path in ("/headers", "/silence"):
        with pytest.raises(PageUnavailable, match="within"):
            await fetcher.get(site.url + path)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"hello\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 100\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: text/html\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 300_000 + b"\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://[oops\r\nContent-Length: 0\r\n\r\n",
    ],
)
async def test_a_website_that_speaks_nonsense(site: Site, fetcher: WebsiteFetcher, raw: bytes) -> None:
    site.pages["/"] = raw
    with pytest.raises(websites.WebsiteError):
        await fetcher.get(site.url)


@pytest.mark.parametrize(
    ("body", "kind", "text"),
    [
        ("café".encode(), "text/html", "café"),
        ("\ufeffcafé".encode(), "text/html; charset=UTF-8", "café"),
        ("café “x”".encode("cp1252"), "text/html; charset=ISO-8859-1", "café “x”"),
        ('<meta charset="windows-1252">café'.encode("cp1252"), "text/html", '<meta charset="windows-1252">café'),
        ("联系我们".encode("gb18030"), 'text/html; charset="gb2312"', "联系我们"),
        (b"caf\xe9", "text/html", "caf\ufffd"),
        (b"caf=E9", "text/html; charset=quopri", "caf=E9"),  # a name of Python's that is not an encoding of text
        (b"xn--caf-dma", "text/html; charset=idna", "xn--caf-dma"),
        (b"abc", "text/html; charset=", "abc"),
    ],
)
async def test_pages_are_decoded(site: Site, fetcher: WebsiteFetcher, body: bytes, kind: str, text: str) -> None:
    site.pages["/"] = answer(body, Content_Type=kind)
    assert (await fetcher.get(site.url)).text == text


@pytest.mark.parametrize("name", ["", "  ", "Lunas\r\nX: 1", "Lunás"])
def test_a_visitor_without_a_proper_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="LUNAS_RESEARCH_USER_AGENT"):
        WebsiteFetcher(name)
