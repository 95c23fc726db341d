"""PURE. What a peer's RTP stream says: packets in, the caller's audio and key presses out.

The jitter buffer makes whole frames, the digit receiver (RFC 4733) tells each press once, a detector finds
DTMF tones where the peer has no telephone-events. What comes out goes to the port's events at once.
"""

from __future__ import annotations

from voiceagent.media import g711, rtp
from voiceagent.media.jitter import JitterBuffer
from voiceagent.media.path import MediaPath, PortEvents
from voiceagent.media.reception import Reception
from voiceagent.media.telephone_event import DigitReceiver
from voiceagent.media.tones import DtmfDetector

QUIET_S = 0.030
"""So long after the last audio packet time is kept flowing without one."""


class StreamIn:
    """One incoming stream. ``now`` is in seconds on any monotonic clock."""

    __slots__ = (
        "_detector",
        "_digits",
        "_events",
        "_law",
        "_path",
        "hears",
        "jitter",
        "last_audio",
        "on_audio",
        "reception",
    )

    def __init__(self, events: PortEvents) -> None:
        self._events = events
        self._path = MediaPath(None)
        self._law: g711.Law = "ulaw"
        self._digits = DigitReceiver()
        self._detector: DtmfDetector | None = None
        self.jitter = JitterBuffer()
        """Packets of the agreed codec may be pushed here directly; what comes out goes to ``on_audio``."""
        self.reception = Reception()
        """What the network did to the stream; whoever pushes into ``jitter`` notes the packet here."""
        self.on_audio = events.on_audio
        self.hears = True
        """The direction lets the caller be heard."""
        self.last_audio = 0.0
        """When audio came last; whoever pushes into ``jitter`` sets it."""

    def follow(self, path: MediaPath) -> None:
        """Go on as ``path`` says."""
        law: g711.Law = "ulaw" if path.codec == "PCMU" else "alaw"
        if path.codec != self._path.codec:
            self.jitter.set_law(law)
        deaf_before = not self.hears
        self.hears = path.direction in ("sendrecv", "recvonly")
        if self.hears and deaf_before:
            self.jitter.restart()
        self._detector = DtmfDetector(law) if path.inband_digits else None
        self.on_audio = self._events.on_audio if self._detector is None else self._audio_with_tones
        self._path = path

    def packet(self, packet: rtp.RtpPacket, now: float) -> None:
        """Take any packet in whose source is believed."""
        payload_type, marker, sequence, timestamp, ssrc, payload, _, _ = packet
        path = self._path
        # A telephone-event is stamped with its beginning, so its timestamp says nothing of the way it took.
        timed = payload_type != path.event_payload_type
        self.reception.note((sequence, timestamp if timed else None, ssrc, now))
        if payload_type == path.payload_type:
            if not payload or not self.hears:
                return
            self.last_audio = now
            audio = self.jitter.push(sequence, timestamp, ssrc, payload, now)
        else:
            audio = self.jitter.skip(sequence, timestamp, ssrc, now)
            if payload_type == path.event_payload_type:
                digit = self._digits.feed(
                    payload, sequence=sequence, timestamp=timestamp, ssrc=ssrc, marker=marker, now=now
                )
                if digit is not None:
                    self._events.on_digit(digit)
        if audio and self.hears:
            self.on_audio(audio)

    def idle(self, now: float) -> None:
        """Call it every frame: time goes on while nothing comes."""
        if self.hears and now - self.last_audio > QUIET_S:
            audio = self.jitter.idle(now)
            if audio:
                self.on_audio(audio)

    def _audio_with_tones(self, audio: bytes) -> None:
        detector = self._detector
        if detector is not None:
            for digit in detector.feed(audio):
                self._events.on_digit(digit)
        self._events.on_audio(audio)
