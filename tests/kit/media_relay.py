"""A media relay between a foreign phone and the service, as an SBC is: it hears both sides' RTP.

SIP passes through one socket; where a message carries SDP, its audio port becomes the relay's, so that the
packets of both directions come by and their payloads are kept.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

Address = tuple[str, int]

_PORT = re.compile(rb"^m=audio (\d+) ", re.MULTILINE)
_LENGTH = re.compile(rb"^Content-Length:[ \t]*\d+", re.MULTILINE | re.IGNORECASE)


class _Wire(asyncio.DatagramProtocol):
    def __init__(self, relay: MediaRelay, name: str) -> None:
        self._relay = relay
        self._name = name

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._relay.wires[self._name] = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: Address) -> None:
        getattr(self._relay, f"on_{self._name}")(data, addr)

    def error_received(self, exc: Exception) -> None:
        """A refused datagram is a lost one."""


class MediaRelay:
    """One call's relay. ``heard`` is what the phone sent, ``spoken`` what the service sent: RTP payloads."""

    def __init__(self, service: Address) -> None:
        self.service = service
        self.wires: dict[str, asyncio.DatagramTransport] = {}
        self.phone: Address | None = None
        self.phone_media: Address | None = None
        self.service_media: Address | None = None
        self.heard = bytearray()
        self.spoken = bytearray()

    @property
    def address(self) -> Address:
        """Where the phone must call."""
        return self._port("sip")

    def _port(self, wire: str) -> Address:
        return self.wires[wire].get_extra_info("sockname")

    def on_sip(self, data: bytes, addr: Address) -> None:
        """Pass SIP on, with the relay's ports in its SDP."""
        port = _PORT.search(data)
        if addr == self.service:
            if port is not None:
                self.service_media = (addr[0], int(port[1]))
            if self.phone is not None:
                self.wires["sip"].sendto(_renamed(data, self._port("phone_side")[1]), self.phone)
            return
        self.phone = addr
        if port is not None:
            self.phone_media = (addr[0], int(port[1]))
        self.wires["sip"].sendto(_renamed(data, self._port("service_side")[1]), self.service)

    def on_phone_side(self, data: bytes, addr: Address) -> None:
        """RTP of the phone."""
        self.phone_media = addr
        self.heard += data[12:]
        if self.service_media is not None:
            self.wires["service_side"].sendto(data, self.service_media)

    def on_service_side(self, data: bytes, addr: Address) -> None:
        """RTP of the service."""
        self.spoken += data[12:]
        if self.phone_media is not None:
            self.wires["phone_side"].sendto(data, self.phone_media)


def _renamed(data: bytes, port: int) -> bytes:
    head, blank, body = data.partition(b"\r\n\r\n")
    if _PORT.search(body) is None:
        return data
    body = _PORT.sub(b"m=audio %d " % port, body)
    return _LENGTH.sub(b"Content-Length: %d" % len(body), head) + blank + body


@asynccontextmanager
async def media_relay(sip: str) -> AsyncIterator[MediaRelay]:
    """A relay in front of the service at ``host:port``."""
    host, _, port = sip.rpartition(":")
    relay = MediaRelay((host, int(port)))
    loop = asyncio.get_running_loop()
    try:
        for name in ("sip", "phone_side", "service_side"):
            await loop.create_datagram_endpoint(
                lambda name=name: _Wire(relay, name), local_addr=("127.0.0.1", 0)
            )
        yield relay
    finally:
        for wire in relay.wires.values():
            wire.close()
