"""Where the hosts of endpoints are: on the internet, or in a network that is nobody else's business."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Iterator, Sequence

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Returns the addresses of a host and port, best first; raises OSError."""
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def is_public(address: str) -> bool:
    """Return whether an address is one of the internet: not private, loopback, link-local or reserved.

    An IPv4 address that an IPv6 one carries within (mapped, 6to4, Teredo, NAT64) has to be public as well.
    Raises ValueError for what is no address.
    """
    return all(one.is_global and not one.is_multicast for one in _meant(ipaddress.ip_address(address)))


def _meant(address: Address) -> Iterator[Address]:
    if isinstance(address, ipaddress.IPv6Address):
        inner = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
        if address in _NAT64:
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
