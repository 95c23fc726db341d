"""One socket towards a SIP service, UDP or TCP: bytes as they are, messages in the order they came."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

from voiceagent.sip.address import Address, Transport
from voiceagent.sip.net.framing import StreamFramer, Whole


class Wire(asyncio.DatagramProtocol, asyncio.Protocol):
    """Keeps what comes until it is asked for. ``local`` is our own end."""

    def __init__(self, target: Address) -> None:
        self.target = target
        self.local = target
        self._came: asyncio.Queue[bytes] = asyncio.Queue()
        self._framer = StreamFramer()
        self._transport: asyncio.BaseTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        host, port = transport.get_extra_info("sockname")[:2]
        self.local = Address(host, port, self.target.transport)

    def datagram_received(self, data: bytes, addr: object) -> None:
        self._came.put_nowait(data)

    def data_received(self, data: bytes) -> None:
        for frame in self._framer.feed(data):
            if isinstance(frame, Whole):
                self._came.put_nowait(frame.data)

    def error_received(self, exc: Exception) -> None:
        """A refused datagram is a lost one."""

    def connection_lost(self, exc: Exception | None) -> None:
        self._came.put_nowait(b"")

    @property
    def waiting(self) -> int:
        """Messages that came and were not asked for."""
        return self._came.qsize()

    def send(self, data: bytes) -> None:
        """Send ``data`` as it is."""
        if self.target.transport == "udp":
            cast("asyncio.DatagramTransport", self._transport).sendto(data)
        else:
            cast("asyncio.Transport", self._transport).write(data)

    def send_last(self, data: bytes) -> None:
        """Send ``data`` and nothing more."""
        self.send(data)
        if self.target.transport != "udp":
            cast("asyncio.Transport", self._transport).write_eof()

    async def receive(self, within_s: float = 45.0) -> bytes:
        """Wait for the next message; empty once the connection has ended."""
        async with asyncio.timeout(within_s):
            return await self._came.get()


@asynccontextmanager
async def wire(sip: str, transport: Transport) -> AsyncIterator[Wire]:
    """A wire to the service at ``host:port``."""
    host, _, port = sip.rpartition(":")
    target = Address(host, int(port), transport)
    loop = asyncio.get_running_loop()
    if transport == "udp":
        opened = await loop.create_datagram_endpoint(lambda: Wire(target), remote_addr=target[:2])
    else:
        opened = await loop.create_connection(lambda: Wire(target), *target[:2])
    try:
        yield opened[1]
    finally:
        opened[0].close()
