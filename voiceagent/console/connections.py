"""Bounds of the console's connections: how many, how many of one address, and how long one may stand still.

The console shares a process, and so its file descriptors, with the calls: ten thousand connections must not
take the sockets of their audio. uvicorn's own limit answers requests beyond it but keeps the connections.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections import Counter
from collections.abc import Collection

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from voiceagent.console.limits import network_of

POLITE = 32
"""So many beyond the most are still told 503; those after them are closed without a word."""
BACKLOG_BYTES = 1 << 18
"""More than that waits on a WebSocket: its reader takes nothing, and goes on asking for answers (pings)."""
PIECES = 16
"""In so many frames at most a message may come."""


class Connections:
    """Counts connections by where they come from. Proxies, and this machine, speak for many: no bound."""

    def __init__(self, most: int, most_of_one: int, *, proxies: Collection[str] = ()) -> None:
        self.most = most
        self.most_of_one = most_of_one
        self.refused = 0
        self._proxies = frozenset(proxies)
        self._open: Counter[str] = Counter()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def enter(self, peer: str) -> bool:
        """Count one more; False when it is to be closed (and is not counted)."""
        network = network_of(peer)
        crowd = self._open[network] >= self.most_of_one and not self._speaks_for_many(peer)
        if crowd or self._count >= self.most + POLITE:
            self.refused += 1
            return False
        self._open[network] += 1
        self._count += 1
        return True

    def leave(self, peer: str) -> None:
        """One that was counted is over."""
        network = network_of(peer)
        self._count -= 1
        self._open[network] -= 1
        if self._open[network] <= 0:
            del self._open[network]

    def _speaks_for_many(self, peer: str) -> bool:
        try:
            return peer in self._proxies or ipaddress.ip_address(peer).is_loopback
        except ValueError:
            return False


def peer_of(transport: asyncio.BaseTransport) -> str:
    """Return where a connection comes from, as it was when it was opened; empty when it was gone by then."""
    return (transport.get_extra_info("peername") or ("",))[0]


def end_when_stuck(connection: socket.socket, deadline_s: float) -> None:
    """Have the kernel end a connection whose peer takes nothing for so long (RFC 5482; Linux).

    Whatever we have closed but not got rid of ends with it, too: nothing above the kernel sees that.
    """
    option = getattr(socket, "TCP_USER_TIMEOUT", None)
    if option is not None:
        connection.setsockopt(socket.IPPROTO_TCP, option, max(1, round(deadline_s * 1000)))


class BoundedSocket(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket, which itself writes pongs however many wait, and takes any number of frames."""

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if len(self.frames) > PIECES or self.transport.get_write_buffer_size() > BACKLOG_BYTES:
            self.transport.abort()
