"""Connections to the public web, and to nothing else: no address given by a customer leads into our own network."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TypeAlias

import httpcore2

from activities.website_errors import AddressForbidden

Address: TypeAlias = IPv4Address | IPv6Address
Resolve = Callable[[str], Awaitable[Sequence[str]]]

_WEB_PORTS = frozenset({80, 443})
_MOST_ADDRESSES = 3  # of a name that has many, how many are tried

# What `is_global` of some Python versions lets through although no website is there: protocol assignments, the 6to4
# relays, documentation. Outside of 2000::/3 nothing is allocated to the public at all.
_NOT_PUBLIC = (IPv4Network("192.0.0.0/24"), IPv4Network("192.88.99.0/24"), IPv6Network("3fff::/20"))
_GLOBAL_UNICAST = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")


def is_public(address: Address) -> bool:
    """Whether the address can be a public website's; one that carries an IPv4 address is judged by that."""
    if any(address in network for network in _NOT_PUBLIC):
        return False
    if isinstance(address, IPv4Address):
        return address.is_global and not address.is_multicast and not address.is_reserved
    if address.scope_id is not None:
        return False
    inner = address.ipv4_mapped or address.sixtofour
    if inner is None and address in _NAT64:
        inner = IPv4Address(int(address) & 0xFFFFFFFF)
    if inner is not None:
        return is_public(inner)
    return address in _GLOBAL_UNICAST and address.is_global


async def resolve(host: str) -> list[str]:
    """Every address of a name, as the system knows them."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class GuardedBackend(httpcore2.AsyncNetworkBackend):
    """Connects to public websites only: resolves a name once, and connects to an address that it has checked.

    One address that is not public condemns the name: it is how a name is made to change its mind between check and
    use. `loopback_port` opens that one port of this machine, for tests.
    """

    def __init__(
        self,
        inner: httpcore2.AsyncNetworkBackend | None = None,
        *,
        resolve: Resolve = resolve,
        ports: Iterable[int] = _WEB_PORTS,
        loopback_port: int | None = None,
    ) -> None:
        self._inner = inner or httpcore2.AnyIOBackend()
        self._resolve = resolve
        self._ports = frozenset(ports)
        self._loopback_port = loopback_port

    def permits_port(self, port: int) -> bool:
        """Whether anything may be asked of this port."""
        return port in self._ports or port == self._loopback_port

    def _permits(self, address: Address, port: int) -> bool:
        if address.is_loopback and port == self._loopback_port:
            return True
        return port in self._ports and is_public(address)

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 (the library's signature)
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Connect to a checked address of `host`. Raises AddressForbidden before anything is sent."""
        try:
            found = await self._resolve(host)
        except (OSError, UnicodeError) as error:
            raise httpcore2.ConnectError("its name is not known") from error
        addresses = [ip_address(each) for each in found]
        if not all(self._permits(each, port) for each in addresses):
            raise AddressForbidden("the address leads to a network or a port that is not the public web's")
        failure: Exception = httpcore2.ConnectError("its name has no address")
        for address in addresses[:_MOST_ADDRESSES]:
            try:
                return await self._inner.connect_tcp(
                    str(address), port, timeout=timeout, local_address=local_address, socket_options=socket_options
                )
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failure = error
        raise failure

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109 (the library's signature)
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Never: no website is at a path of this machine."""
        raise AddressForbidden("a socket file is not a website")

    async def sleep(self, seconds: float) -> None:
        """Wait; the library pauses between its attempts."""
        await asyncio.sleep(seconds)
