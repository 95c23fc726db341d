"""One browser's connection, by aiortc: ICE, DTLS, SRTP and the data channel.

The only module that knows aiortc; get it through :func:`voiceagent.media.webrtc.load`. We answer, on one
UDP port of the address that is configured, and ask no STUN or TURN server for anything. Audio goes through
as it is: packets are handed on before aiortc's own jitter buffer (which would add 80 ms and a decoder
thread's work), and what we send is encoded already.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from contextlib import suppress
from contextvars import ContextVar
from fractions import Fraction
from typing import Any

import aioice.ice
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCDataChannel,
    RTCPeerConnection,
    RTCRtpReceiver,
    RTCRtpSender,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError
from av import Packet

from voiceagent.errors import MediaError, RequestRefused
from voiceagent.media.rtp import RtpPacket
from voiceagent.media.webrtc import PeerEvents
from voiceagent.media.webrtc_sdp import BrowserOffer, told_answer

CHANNEL = "events"
"""The label of the data channel."""
BUFFERED_BYTES = 262_144
"""More than that waits in the data channel: the page does not read, and is told no more for now."""
ANSWER_LIMIT_S = 5.0
_KEPT = 10
"""Frames that wait for the sender at most; more means that it is not running."""
_TICK = Fraction(1, 8000)
_log = logging.getLogger("voiceagent.media.webrtc")

_hosts: ContextVar[tuple[str, ...]] = ContextVar("webrtc_hosts", default=())
"""The addresses that candidates are gathered on; empty: aioice's own choice, which leaves loopback out."""
_gathered = aioice.ice.get_host_addresses


def _host_addresses(use_ipv4: bool, use_ipv6: bool) -> list[str]:
    return list(_hosts.get()) or _gathered(use_ipv4=use_ipv4, use_ipv6=use_ipv6)


aioice.ice.get_host_addresses = _host_addresses
for _name in ("aioice", "aiortc"):
    logging.getLogger(_name).setLevel(logging.WARNING)  # else a dozen lines for each call


class WebrtcPeer:
    """Answers one offer. ``host`` is bound, ``told_host`` stands in the answer (behind 1:1 NAT)."""

    def __init__(self, events: PeerEvents, *, host: str, told_host: str = "") -> None:
        self._events = events
        self._host = host
        self._told_host = told_host or host
        self._voice = _Voice()
        self._channel: RTCDataChannel | None = None
        self._connected = False
        self._over = False
        self._half_closed = False
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._connection.on("connectionstatechange", self._state_changed)
        self._connection.on("datachannel", self._channel_made)

    async def answer(self, offer: BrowserOffer) -> str:
        """Agree on a connection; return our SDP, complete with candidates. The connecting goes on by itself.

        Raises RequestRefused (field ``sdp``) for an offer that cannot be read, MediaError (``no_port``) when
        the address cannot be bound.
        """
        transceiver = self._connection.addTransceiver(self._voice, direction="sendrecv")
        codecs = RTCRtpSender.getCapabilities("audio").codecs
        transceiver.setCodecPreferences([one for one in codecs if one.mimeType == f"audio/{offer.codec}"])
        self._tap(transceiver.receiver)
        bound = _hosts.set((self._host,))
        try:
            async with asyncio.timeout(ANSWER_LIMIT_S):  # all of it is local; a second is a long time
                try:
                    await self._connection.setRemoteDescription(RTCSessionDescription(offer.text, "offer"))
                    answer = await self._connection.createAnswer()
                except Exception as error:
                    # Its parser meets bad text with whatever comes: ValueError, IndexError, AssertionError …
                    words = f"cannot be answered: {type(error).__name__}: {error}"
                    raise RequestRefused("sdp", words[:300], code="bad_sdp") from error
                await self._connection.setLocalDescription(answer)
        except TimeoutError:
            raise MediaError("the connection could not be set up in time", code="no_port") from None
        finally:
            _hosts.reset(bound)
        text = self._connection.localDescription.sdp
        if "a=candidate:" not in text:
            raise MediaError(f"no UDP port can be opened on {self._host}", code="no_port")
        return told_answer(text, self._host, self._told_host)

    def send(self, payload: bytes, timestamp: int) -> None:
        """Send the payload of one packet at once; ``timestamp`` counts from 0 at 8 kHz."""
        self._voice.put(payload, timestamp)

    def tell(self, text: str) -> bool:
        """Send ``text`` over the data channel; False when it is not open, or the page does not read."""
        channel = self._channel
        if channel is None or channel.readyState != "open" or channel.bufferedAmount > BUFFERED_BYTES:
            return False
        channel.send(text)
        return True

    async def close(self) -> None:
        """End the connection; the browser is told. Harmless when it has ended already."""
        self._over = True
        if self._half_closed:
            return
        try:
            await self._connection.close()
        except Exception:
            # aiortc cannot close what an offer that failed left half made; a second try would wait for ever.
            self._half_closed = True
            left: Any = getattr(self._connection, "_RTCPeerConnection__iceTransports", ())
            for transport in tuple(left):
                with suppress(Exception):
                    await transport.stop()
            self._connection.remove_all_listeners()

    # ── what aiortc tells ───────────────────────────────────────────────────────────────────────
    def _tap(self, receiver: RTCRtpReceiver) -> None:
        if not hasattr(receiver, "_handle_rtp_packet"):
            raise MediaError("this release of aiortc is not one that we know", code="webrtc_missing")

        async def take(packet: Any, arrival_time_ms: int) -> None:
            try:
                self._events.on_packet(
                    RtpPacket(
                        packet.payload_type,
                        bool(packet.marker),
                        packet.sequence_number,
                        packet.timestamp,
                        packet.ssrc,
                        packet.payload,
                    )
                )
            except Exception:
                _log.exception("a packet of a browser could not be taken")

        receiver._handle_rtp_packet = take  # pyright: ignore[reportPrivateUsage]

    def _state_changed(self) -> None:
        state = self._connection.connectionState
        if state == "connected" and not self._connected:
            self._connected = True
            if not self._over:
                self._events.on_connected()
        elif state == "failed":
            self._gone(True, "the connection to the browser is lost")
        elif state == "closed":
            self._gone(False, "the page has closed the connection")

    def _channel_made(self, channel: RTCDataChannel) -> None:
        if channel.label != CHANNEL or self._channel is not None:
            return
        self._channel = channel
        channel.on("message", self._message)
        channel.on("close", lambda: self._gone(False, "the page has closed the data channel"))
        if not self._over:
            self._events.on_channel()

    def _message(self, message: object) -> None:
        if isinstance(message, str) and not self._over:
            self._events.on_message(message)

    def _gone(self, lost: bool, reason: str) -> None:
        if not self._over:
            self._over = True
            self._events.on_gone(lost, reason)


class _Voice(MediaStreamTrack):
    """What the sender reads: payloads as they are due. It never paces; the wheel has done that."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._frames: deque[tuple[bytes, int]] = deque(maxlen=_KEPT)
        self._wanted: asyncio.Future[None] | None = None

    def put(self, payload: bytes, timestamp: int) -> None:
        self._frames.append((payload, timestamp))
        if self._wanted is not None and not self._wanted.done():
            self._wanted.set_result(None)

    async def recv(self) -> Packet[Any]:
        while not self._frames:
            if self.readyState != "live":
                raise MediaStreamError
            self._wanted = asyncio.get_running_loop().create_future()
            await self._wanted
        payload, timestamp = self._frames.popleft()
        packet = Packet(payload)
        packet.pts = timestamp
        packet.time_base = _TICK
        return packet
