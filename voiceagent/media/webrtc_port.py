"""One browser's audio on the 20 ms wheel: what :mod:`.port` is to a phone, without a socket of its own.

Somebody else (:mod:`.webrtc`) carries the packets: ``send`` gets each payload with its timestamp as it is
due, and :meth:`WebrtcPort.packet` takes what came. So a browser has the same pacing, jitter buffer,
concealment and account of what was heard as a phone.
"""

from __future__ import annotations

import secrets
import socket
import struct
from collections.abc import Callable

from voiceagent.media import rtp
from voiceagent.media.figures import PortFigures
from voiceagent.media.path import NOBODY, MediaPath, PortEvents
from voiceagent.media.plays_out import PlaysOut
from voiceagent.media.rtcp_session import quality_details
from voiceagent.media.stream_in import QUIET_S, StreamIn
from voiceagent.media.stream_out import StreamOut
from voiceagent.media.wheel import MediaWheel

SendPayload = Callable[[bytes, int], None]
"""Takes the payload of one packet and its timestamp (8 kHz, counted from 0). Never waits."""

_CHECK_FRAMES = 25
_TIMESTAMP = struct.Struct("!I")


def _unsent(payload: bytes, timestamp: int) -> None:
    """The port is closed."""


class WebrtcPort(PlaysOut):
    """Fulfils :class:`voiceagent.media.wheel.WheelPort`; see :class:`voiceagent.media.port.MediaPort`.

    ``silence_limit_s`` without a packet is told as ``on_media_lost``, each time that it has passed; 0 never.
    A browser sends always, muted or not.
    """

    def __init__(
        self, wheel: MediaWheel, events: PortEvents, send: SendPayload, *, silence_limit_s: float = 20.0
    ) -> None:
        self.due = 0
        self.turning = False
        self._wheel = wheel
        self._events = events
        self._send_payload = send
        self._silence_limit_s = silence_limit_s
        self._place: socket.socket | None = None
        self._closed = False
        self._path = MediaPath(None)
        writer = rtp.RtpWriter(0, ssrc=0, sequence=secrets.randbits(16), timestamp=0)
        self._in = StreamIn(events)
        self._out = StreamOut(events, self._send, writer, wheel.slots)
        self._last_heard = 0.0
        self._losses_told = 0
        self._frames = 0
        self._received = 0
        self._sent = 0
        self._skipped = 0

    def start(self, path: MediaPath) -> None:
        """Let packets flow: ``path`` says codec, payload types and line; its addresses mean nothing here."""
        if self._closed or self._place is not None:
            return
        # The wheel knows its ports by descriptor. This one is bound to nothing, so it never has anything.
        self._place = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._path = path
        self._in.follow(path)
        self._out.follow(path)
        self._last_heard = self._in.last_audio = self._wheel.clock()
        self._wheel.attach(self)
        self._hasten()

    def close(self) -> None:
        """Stop; harmless when it is stopped already."""
        self._closed = True
        if self._place is not None:
            self._wheel.detach(self)
            self._place.close()
            self._place = None
        self._events, self._send_payload = NOBODY, _unsent
        self._in.close()
        self._out.close()

    # --- both ways ---

    def packet(self, packet: rtp.RtpPacket) -> None:
        """Take one authenticated packet of the browser."""
        if not self.turning:
            return
        self._received += 1
        self._last_heard = self._wheel.clock()
        self._losses_told = 0
        self._in.packet(packet, self._last_heard)

    def send_digits(self, digits: str) -> None:
        """Play ``digits`` (0-9, *, #, A-D) as tones: browsers take no telephone-events. ValueError else."""
        self._out.send_digits(digits, inband=True)

    def figures(self) -> PortFigures:
        """The counters so far."""
        jitter, reception = self._in.jitter, self._in.reception
        reception.settle()
        return PortFigures(
            received=self._received,
            sent=self._sent,
            lost=jitter.lost,
            late=jitter.late,
            duplicates=jitter.duplicates,
            reordered=jitter.reordered,
            resyncs=jitter.resyncs,
            skipped=self._skipped,
            details={
                "concealed_ms": jitter.concealed / 8,
                "filled_ms": jitter.filled / 8,
                "discarded_ms": jitter.discarded / 8,
                "skipped_frames": float(self._skipped),
                "undecodable": float(jitter.undecodable),
                **quality_details(reception, None, self._path.codec, self._path.ptime),
            },
        )

    # --- driven by the wheel ---

    def fileno(self) -> int:
        return -1 if self._place is None else self._place.fileno()

    def readable(self, now: float) -> None:
        """Nothing is ever read here."""

    def frame(self, now: float, skipped: int) -> int:
        if skipped:
            self._skipped += skipped
            self._out.writer.skip(skipped)
        self._frames += 1
        if self._frames % _CHECK_FRAMES == 0:
            self._check(now)
            if not self.turning:
                return 0
        if now - self._in.last_audio > QUIET_S:
            self._in.idle(now)
        return self._out.frame()

    def _check(self, now: float) -> None:
        self._in.reception.settle()
        silence = now - self._last_heard
        if self._silence_limit_s and silence >= self._silence_limit_s * (self._losses_told + 1):
            self._losses_told += 1
            self._events.on_media_lost(silence)

    def _send(self, packet: bytearray) -> None:
        self._sent += 1
        self._send_payload(bytes(packet[rtp.HEADER :]), _TIMESTAMP.unpack_from(packet, 4)[0])
