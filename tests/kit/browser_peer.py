"""A browser as far as WebRTC goes: aiortc on the loopback, with a tone for a microphone."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from fractions import Fraction
from typing import Any

from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpReceiver,
    RTCSessionDescription,
)
from av import Packet

from voiceagent.media import g711, tones
from voiceagent.media.webrtc_peer import CHANNEL, _hosts


class Microphone(MediaStreamTrack):
    """20 ms of µ-law (or A-law) of a tone, every 20 ms."""

    kind = "audio"

    def __init__(self, hertz: float, law: g711.Law = "ulaw") -> None:
        super().__init__()
        self._law = law
        self._hertz = hertz
        self._sample = 0
        self._begin: float | None = None

    async def recv(self) -> Packet:
        loop = asyncio.get_running_loop()
        if self._begin is None:
            self._begin = loop.time()
        await asyncio.sleep(self._begin + self._sample / 8000 - loop.time())
        pcm = tones.sine(self._hertz, 20, phase=2 * math.pi * self._hertz * self._sample / 8000)
        packet = Packet(g711.encode(pcm, self._law))
        packet.pts, packet.time_base = self._sample, Fraction(1, 8000)
        self._sample += 160
        return packet


class BrowserPeer:
    """Offers, takes the answer, keeps what it hears (payloads) and what it is told (messages)."""

    def __init__(self, *, hertz: float = 440.0, codec: str = "PCMU", channel: bool = True) -> None:
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.heard: list[bytes] = []
        self.told: list[dict[str, Any]] = []
        self.news = asyncio.Condition()
        law: g711.Law = "alaw" if codec == "PCMA" else "ulaw"
        transceiver = self.connection.addTransceiver(Microphone(hertz, law), direction="sendrecv")
        codecs = RTCRtpReceiver.getCapabilities("audio").codecs
        transceiver.setCodecPreferences([one for one in codecs if one.mimeType == f"audio/{codec}"])
        receiver = transceiver.receiver

        async def hear(packet: Any, arrival_time_ms: int) -> None:
            self.heard.append(packet.payload)
            await self._tell()

        receiver._handle_rtp_packet = hear
        self.channel = self.connection.createDataChannel(CHANNEL) if channel else None
        if self.channel is not None:
            self.channel.on("message", self._message)
        self.connection.on("connectionstatechange", self._tell)

    async def offer(self) -> str:
        bound = _hosts.set(("127.0.0.1",))
        try:
            await self.connection.setLocalDescription(await self.connection.createOffer())
        finally:
            _hosts.reset(bound)
        return self.connection.localDescription.sdp

    async def answered(self, sdp: str) -> None:
        await self.connection.setRemoteDescription(RTCSessionDescription(sdp, "answer"))

    async def until(self, condition: Any) -> None:
        """Wait until ``condition()`` holds; packets, messages and states wake it up."""
        async with asyncio.timeout(45), self.news:
            await self.news.wait_for(condition)

    def say(self, **message: Any) -> None:
        assert self.channel is not None
        self.channel.send(json.dumps(message))

    @property
    def pcm(self) -> list[int]:
        return [sample for payload in self.heard for sample in g711.linear(payload, "ulaw")]

    async def _message(self, text: str) -> None:
        self.told.append(json.loads(text))
        await self._tell()

    async def _tell(self) -> None:
        async with self.news:
            self.news.notify_all()


@asynccontextmanager
async def browser_peer(**options: Any) -> AsyncIterator[BrowserPeer]:
    peer = BrowserPeer(**options)
    try:
        yield peer
    finally:
        await peer.connection.close()
