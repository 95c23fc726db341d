"""The way out to HTTP endpoints: where their hosts are, and to which address a request goes.

On the internet, or in a network that is nobody else's business: whoever may name a URL must not be able to
reach what only this machine can (SSRF). Shared by flows that ask endpoints and by outgoing webhooks.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.request import getproxies, proxy_bypass

if TYPE_CHECKING:
    import httpx

LOOPBACK = ("127.0.0.1", "::1", "localhost")
MOST_ADDRESSES = 4
"""So many addresses of a host are tried."""
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Returns the addresses of a host and port, best first; raises OSError."""
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_NEVER = tuple(
    map(
        ipaddress.ip_network,
        (
            "::/96",  # IPv4-compatible, deprecated: 127.0.0.1 in another dress
            "::ffff:0:0:0/96",  # IPv4-translated (RFC 7915)
            "64:ff9b:1::/48",  # NAT64 of a network of one's own (RFC 8215)
            "fec0::/10",  # site-local, deprecated
            "3fff::/20",  # documentation (RFC 9637)
            "5f00::/16",  # segment routing (RFC 9602)
            "192.88.99.0/24",  # 6to4 relays, deprecated
        ),
    )
)
"""Not of the internet, though `ipaddress` (of this Python) takes them for it."""
_ISATAP = (0x0000_5EFE, 0x0200_5EFE)
"""The middle of an address that carries an IPv4 one in its last bits (RFC 5214)."""


def is_public(address: str) -> bool:
    """Return whether an address is one of the internet: not private, loopback, link-local or reserved.

    An IPv4 address that an IPv6 one carries within (mapped, 6to4, Teredo, NAT64, ISATAP) has to be public as
    well. Raises ValueError for what is no address.
    """
    return all(
        one.is_global and not one.is_multicast and not any(one in network for network in _NEVER)
        for one in _meant(ipaddress.ip_address(address))
    )


def _meant(address: Address) -> Iterator[Address]:
    if isinstance(address, ipaddress.IPv6Address):
        inner = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
        if address in _NAT64 or int(address) >> 32 & 0xFFFF_FFFF in _ISATAP:
            inner.append(ipaddress.IPv4Address(address.packed[-4:]))
        yield from (one for one in inner if one is not None)
        if address.ipv4_mapped is not None or address in _NAT64:
            return  # the IPv4 address alone says where it leads
    yield address


def is_private_literal(host: str) -> bool:
    """Return whether a host is written as an address, and as one that is not public."""
    try:
        return not is_public(host)
    except ValueError:
        return False


async def addresses_of(host: str, port: int) -> Sequence[str]:
    """Ask the system for a host's addresses, in the order in which they are to be tried. Raises OSError."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    return list(dict.fromkeys(str(where[0]) for *_, where in found))


class PrivateAddress(Exception):
    """A host that has to be public is at an address that is not."""


@dataclass(frozen=True, slots=True)
class Way:
    """One way to send a request."""

    url: httpx.URL
    by_environment: bool = False
    """Proxies are those of the environment."""
    proxy: str | None = None
    headers: dict[str, str] = field(default_factory=dict[str, str])
    extensions: dict[str, Any] = field(default_factory=dict[str, Any])


async def ways(url: str, *, public_only: bool, resolve: Resolve | None) -> list[Way]:
    """Return how to reach an endpoint: one way, or one for each address that was looked at.

    A host that has to be public is asked at the very addresses that were found to be: asked for again, its
    name might lead elsewhere. Where a proxy of the environment does the asking, it has to know whom it asks.
    Without ``resolve`` nothing is looked up. Raises :class:`PrivateAddress`, and OSError for a host unknown.
    """
    import httpx

    to = httpx.URL(url)
    if not public_only:
        return [Way(to, by_environment=to.host not in LOOPBACK)]
    if resolve is None:
        return [Way(to)]
    proxies = getproxies()
    proxy = proxies.get(to.scheme) or proxies.get("all")
    if proxy and not proxy_bypass(to.host):
        return [Way(to, proxy=proxy)]
    found = await resolve(to.raw_host.decode("ascii"), to.port or 443)
    if not all(is_public(one) for one in found):
        raise PrivateAddress(to.host)
    headers, extensions = {"Host": to.netloc.decode("ascii")}, {"sni_hostname": to.raw_host.decode("ascii")}
    return [
        Way(to.copy_with(host=one), headers=headers, extensions=extensions) for one in found[:MOST_ADDRESSES]
    ]
