"""No address that a customer gives leads into our own network: tricks, and a listener that hears nothing of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

import httpcore2
import pytest

from activities.web_guard import GuardedBackend, is_public
from activities.websites import AddressForbidden, PageUnavailable, WebsiteError, WebsiteFetcher

PUBLIC = "93.184.215.14"


@dataclass
class Listener:
    """Listens on this machine and counts who comes: nobody may."""

    port: int
    visits: int = 0


@pytest.fixture
async def listener() -> AsyncIterator[Listener]:
    found = Listener(0)

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        found.visits += 1
        writer.close()

    async with AsyncExitStack() as servers:
        for host in ("127.0.0.1", "::1"):
            server = await servers.enter_async_context(await asyncio.start_server(serve, host, found.port))
            found.port = server.sockets[0].getsockname()[1]
        yield found


@dataclass
class Wire(httpcore2.AsyncNetworkBackend):
    """Says where it was told to connect to, and answers with a page."""

    connected: list[tuple[str, int]] = field(default_factory=list)
    answers: list[bytes] = field(default_factory=list)

    async def connect_tcp(self, host: str, port: int, *_: Any, **__: Any) -> httpcore2.AsyncNetworkStream:
        self.connected.append((host, port))
        return httpcore2.AsyncMockStream([self.answers.pop(0)])


def page(text: str = "hello") -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {len(text)}\r\n\r\n"
    return f"{head}{text}".encode()


def redirect(to: str) -> bytes:
    return f"HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n".encode()


NO_ROBOTS = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize(
    ("address", "public"),
    [
        (PUBLIC, True),
        ("2606:2800:21f:cb07:6820:80da:af6b:8b2c", True),
        (f"::ffff:{PUBLIC}", True),
        (f"64:ff9b::{PUBLIC}", True),  # how a network without IPv4 reaches it
        ("127.0.0.1", False),
        ("127.255.255.254", False),
        ("0.0.0.0", False),  # noqa: S104
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),  # where clouds hand out credentials
        ("100.64.0.1", False),
        ("192.0.0.8", False),
        ("192.0.2.1", False),
        ("192.88.99.1", False),
        ("198.18.0.1", False),
        ("224.0.0.1", False),
        ("240.0.0.1", False),
        ("255.255.255.255", False),
        ("::", False),
        ("::1", False),
        ("::127.0.0.1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:10.0.0.1", False),
        ("::ffff:0:127.0.0.1", False),
        ("64:ff9b::127.0.0.1", False),
        ("64:ff9b::a9fe:a9fe", False),
        ("64:ff9b:1::1", False),
        ("2002:7f00:1::", False),
        ("2001:0:4136:e378:8000:63bf:80ff:fffe", False),
        ("fe80::1", False),
        ("2606:2800:21f::1%1", False),
        ("fc00::1", False),
        ("fd00:ec2::254", False),
        ("fec0::1", False),
        ("ff02::1", False),
        ("2001:db8::1", False),
        ("3fff::1", False),
        ("5f00::1", False),
    ],
)
def test_which_addresses_are_public(address: str, public: bool) -> None:
    assert is_public(ip_address(address)) is public


TRICKS = [
    "http://127.0.0.1:{port}/",
    "http://127.0.0.1:{port}/robots.txt",
    "http://127.1:{port}/",
    "http://127.0.1:{port}/",
    "http://2130706433:{port}/",  # decimal
    "http://017700000001:{port}/",  # octal
    "http://0177.0.0.1:{port}/",
    "http://0x7f000001:{port}/",  # hexadecimal
    "http://0x7f.0.0.1:{port}/",
    "http://0x7f.1:{port}/",
    "http://0:{port}/",
    "http://0.0.0.0:{port}/",
    "http://127。0。0。1:{port}/",  # ideographic full stops
    "http://１２７.0.0.1:{port}/",  # full-width digits
    "http://①②⑦.0.0.1:{port}/",
    "http://%31%32%37.0.0.1:{port}/",
    "http://127.0.0.1%00.sinar.co.id:{port}/",
    "http://[::1]:{port}/",
    "http://[::]:{port}/",
    "http://[0:0:0:0:0:ffff:127.0.0.1]:{port}/",
    "http://[::ffff:7f00:1]:{port}/",
    "http://[::127.0.0.1]:{port}/",
    "http://[64:ff9b::7f00:1]:{port}/",
    "http://[2002:7f00:1::]:{port}/",
    "http://[::1%25lo]:{port}/",
    "http://localhost:{port}/",
    "http://LOCALHOST:{port}/",
    "http://localhost.:{port}/",
    "http://localhost.localdomain:{port}/",
    "http://foo.localhost:{port}/",
    "http://ip6-localhost:{port}/",
    "http://169.254.169.254/latest/meta-data/",
    "http://[fd00:ec2::254]/latest/meta-data/",
    "http://user@127.0.0.1:{port}/",
    "http://sinar.co.id@127.0.0.1:{port}/",
    "http://sinar.co.id:80@127.0.0.1:{port}/",
    "http://127.0.0.1:{port}@sinar.co.id/",
    "http://127.0.0.1:{port}\\@sinar.co.id/",
    "http://sinar.co.id\\@127.0.0.1:{port}/",
    "http://127.0.0.1:{port}#@sinar.co.id/",
    "http://127.0.0.1:{port}?@sinar.co.id/",
    "//127.0.0.1:{port}/",
    "127.0.0.1:{port}",
    "ftp://127.0.0.1:{port}/",
    "gopher://127.0.0.1:{port}/_GET%20/",
    "file:///etc/passwd",
    "javascript:alert(1)",
    "data:text/html,hello",
    "http://",
    "http:///etc/passwd",
    "http://sinar.co.id:{port}0/",
    "http://127.0.0.1:{port}/\r\nHost: sinar.co.id",
    "http://" + "a" * 70 + ".co.id:{port}/",
    "",
]


@pytest.mark.parametrize("trick", TRICKS)
async def test_no_trick_reaches_this_machine(trick: str, listener: Listener) -> None:
    """The listener's port counts as a web port here, so that nothing but the address can be what is refused."""
    backend = GuardedBackend(ports=[80, 443, listener.port])
    async with WebsiteFetcher("LunasTest/1.0", interval=0, backend=backend) as fetcher:
        with pytest.raises(WebsiteError) as refused:
            await fetcher.get(trick.format(port=listener.port))
    assert isinstance(refused.value, AddressForbidden | PageUnavailable)
    assert "127.0.0.1" not in str(refused.value)
    assert listener.visits == 0


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "2130706433", "localhost"])
async def test_the_listener_would_have_heard_it(host: str, listener: Listener) -> None:
    backend = GuardedBackend(loopback_port=listener.port)
    async with WebsiteFetcher("LunasTest/1.0", interval=0, backend=backend) as fetcher:
        with pytest.raises(PageUnavailable):
            await fetcher.get(f"http://{host}:{listener.port}/")
    assert listener.visits == 1


@pytest.mark.parametrize("port", [1, 22, 25, 3306, 5432, 6379, 7233, 8080, 65535])
async def test_only_web_ports_are_asked(port: int) -> None:
    wire = Wire()
    backend = GuardedBackend(wire, resolve=fixed(PUBLIC))
    async with WebsiteFetcher("LunasTest/1.0", interval=0, backend=backend) as fetcher:
        with pytest.raises(AddressForbidden, match="port 80 or 443"):
            await fetcher.get(f"http://sinar.co.id:{port}/")
    with pytest.raises(AddressForbidden):
        await backend.connect_tcp("sinar.co.id", port)
    assert wire.connected == []


def fixed(*addresses: str) -> Any:
    async def resolve(_: str) -> Sequence[str]:
        return addresses

    return resolve


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["::1"],
        ["::ffff:127.0.0.1"],
        ["10.0.0.7"],
        ["169.254.169.254"],
        ["fe80::1%2"],
        [PUBLIC, "127.0.0.1"],  # one is enough
        [PUBLIC, PUBLIC, PUBLIC, PUBLIC, "192.168.0.1"],
    ],
    ids=" ".join,
)
async def test_a_name_that_leads_inside_is_refused(addresses: list[str]) -> None:
    wire = Wire()
    async with WebsiteFetcher(
        "LunasTest/1.0", interval=0, backend=GuardedBackend(wire, resolve=fixed(*addresses))
    ) as fetcher:
        with pytest.raises(AddressForbidden):
            await fetcher.get("https://sinar.co.id/")
    assert wire.connected == []


async def test_a_name_that_changes_its_mind_after_the_check_gains_nothing() -> None:
    """DNS rebinding: public when it is checked, this machine when it is connected to."""
    answers = [[PUBLIC], ["127.0.0.1"]]
    asked: list[str] = []

    async def resolve(host: str) -> Sequence[str]:
        asked.append(host)
        return answers.pop(0)

    wire = Wire(answers=[NO_ROBOTS])
    async with WebsiteFetcher("LunasTest/1.0", interval=0, backend=GuardedBackend(wire, resolve=resolve)) as fetcher:
        with pytest.raises(AddressForbidden):
            await fetcher.get("http://rebind.co.id/")
    assert asked == ["rebind.co.id"] * 2  # once for each connection: robots.txt, then the page
    assert wire.connected == [(PUBLIC, 80)]  # the address that was checked, never the name


@pytest.mark.parametrize(
    "to",
    [
        "http://127.0.0.1/",
        "http://127.0.0.1:8080/",
        "//localhost/",
        "http://inside.co.id/",
        "http://[::1]/",
        "http://user:pw@www.sinar.co.id/",
        "file:///etc/passwd",
        "ftp://www.sinar.co.id/",
        "https://www.sinar.co.id:8443/",
    ],
)
@pytest.mark.parametrize("of", ["page", "robots"])
async def test_a_redirect_is_checked_like_the_first_address(to: str, of: str) -> None:
    async def resolve(host: str) -> Sequence[str]:
        inside = {"127.0.0.1": "127.0.0.1", "localhost": "127.0.0.1", "::1": "::1", "inside.co.id": "10.0.0.1"}
        return [inside.get(host, PUBLIC)]

    wire = Wire(answers=[NO_ROBOTS, redirect(to)] if of == "page" else [redirect(to)])
    visits = len(wire.answers)
    async with WebsiteFetcher("LunasTest/1.0", interval=0, backend=GuardedBackend(wire, resolve=resolve)) as fetcher:
        with pytest.raises(AddressForbidden):
            await fetcher.get("http://sinar.co.id/")
    assert wire.connected == [(PUBLIC, 80)] * visits


async def test_a_good_address_is_connected_to_and_the_next_one_tried() -> None:
    class FirstIsDead(Wire):
        async def connect_tcp(self, host: str, port: int, *args: Any, **more: Any) -> httpcore2.AsyncNetworkStream:
            if not self.connected:
                self.connected.append((host, port))
                raise httpcore2.ConnectTimeout
            return await super().connect_tcp(host, port, *args, **more)

    wire = FirstIsDead(answers=[NO_ROBOTS, page()])
    backend = GuardedBackend(wire, resolve=fixed("2606:2800:21f::1", PUBLIC))
    async with WebsiteFetcher("LunasTest/1.0", interval=0, backend=backend) as fetcher:
        found = await fetcher.get("http://sinar.co.id/#top")
    assert (found.url, found.text) == ("http://sinar.co.id/", "hello")
    assert wire.connected == [
        ("2606:2800:21f::1", 80),
        (PUBLIC, 80),
        ("2606:2800:21f::1", 80),
    ]


@pytest.mark.parametrize("found", [OSError("no such name"), UnicodeError("label too long"), []])
async def test_a_name_that_nobody_knows(found: Exception | list[str]) -> None:
    async def resolve(_: str) -> Sequence[str]:
        if isinstance(found, Exception):
            raise found
        return found

    wire = Wire()
    async with WebsiteFetcher("LunasTest/1.0", interval=0, backend=GuardedBackend(wire, resolve=resolve)) as fetcher:
        with pytest.raises(PageUnavailable):
            await fetcher.get("http://sinar.co.id/")
    assert wire.connected == []


async def test_a_socket_file_is_no_website() -> None:
    with pytest.raises(AddressForbidden):
        await GuardedBackend().connect_unix_socket("/run/docker.sock")
