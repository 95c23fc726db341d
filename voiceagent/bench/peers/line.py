"""The phone line of a peer that has none: plain asyncio RTP, as its users would write it.

G.711 µ-law, 20 ms a packet. The marker stands on the first packet after a pause.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from voiceagent.media.rtp import HEADER, RtpWriter

FRAME = 160
PAUSE_S = 0.06
"""After so long without a packet the next one begins a talk spurt."""


class RtpLine(asyncio.DatagramProtocol):
    """One socket. ``heard`` gets the payload of every packet of the phone."""

    def __init__(self, phone_port: int) -> None:
        self.heard: Callable[[bytes], None] = lambda payload: None
        self._phone = ("127.0.0.1", phone_port)
        self._writer = RtpWriter(0, ssrc=phone_port, sequence=1, timestamp=1)
        self._transport: asyncio.DatagramTransport | None = None
        self._sent_at = 0.0

    async def open(self) -> int:
        """Listen and return the port."""
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(
            lambda: self, local_addr=("127.0.0.1", 0), remote_addr=self._phone
        )
        return int(self._transport.get_extra_info("sockname")[1])

    def datagram_received(self, data: bytes, addr: object) -> None:
        self.heard(data[HEADER:])

    def send(self, frame: bytes) -> None:
        """Send one frame of 160 bytes now."""
        now = time.monotonic()
        marker = now - self._sent_at > PAUSE_S
        self._sent_at = now
        if self._transport is not None:
            self._transport.sendto(bytes(self._writer.audio(frame, marker)))

    def close(self) -> None:
        """Close the socket."""
        if self._transport is not None:
            self._transport.close()
