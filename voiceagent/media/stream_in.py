"""PURE. What a peer's RTP stream says: packets in, the caller's audio and key presses out.

The jitter buffer makes whole frames of the line's G.711, with the help of a decoder for each codec that is
not that already; the digit receiver (RFC 4733) tells each press once; a detector finds DTMF tones where the
peer has no telephone-events. What comes out goes to the port's events at once.
"""

from __future__ import annotations

from collections.abc import Mapping

from voiceagent.media import comfort_noise, rtp
from voiceagent.media.codecs import LAWS, Decoder, decoder_for
from voiceagent.media.g711 import Law
from voiceagent.media.jitter import JitterBuffer
from voiceagent.media.path import NOBODY, MediaPath, PortEvents
from voiceagent.media.reception import Reception
from voiceagent.media.telephone_event import DigitReceiver
from voiceagent.media.tones import DtmfDetector

QUIET_S = 0.030
"""So long after the last audio packet time is kept flowing without one."""


class StreamIn:
    """One incoming stream. ``now`` is in seconds on any monotonic clock."""

    __slots__ = (
        "_audio_types",
        "_decoders",
        "_detector",
        "_digit_type",
        "_digits",
        "_events",
        "_law",
        "_noise_type",
        "hears",
        "jitter",
        "last_audio",
        "on_audio",
        "plain_type",
        "reception",
    )

    def __init__(self, events: PortEvents) -> None:
        self._events = events
        self._law: Law = "ulaw"
        self._audio_types: Mapping[int, str] = {}
        self._decoders: dict[str, Decoder | None] = {}
        """By codec; made with the first packet, so that a codec that is never used costs nothing."""
        self._digit_type: int | None = None
        self._noise_type = -1
        self._digits = DigitReceiver()
        self._detector: DtmfDetector | None = None
        self.jitter = JitterBuffer()
        """Packets of ``plain_type`` may be pushed here directly; what comes out goes to ``on_audio``."""
        self.plain_type: int | None = None
        """The payload type whose payloads are frames of the line already, if there is one."""
        self.reception = Reception()
        """What the network did to the stream; whoever pushes into ``jitter`` notes the packet here."""
        self.on_audio = events.on_audio
        self.hears = True
        """The direction lets the caller be heard."""
        self.last_audio = 0.0
        """When audio came last; whoever pushes into ``jitter`` sets it."""

    def follow(self, path: MediaPath) -> None:
        """Go on as ``path`` says."""
        law = path.law
        if law != self._law:
            self._law = law
            self._decoders.clear()
            self.jitter.set_law(law)
        self._audio_types = path.audio_types
        self._digit_type = path.digit_type
        self._noise_type = path.comfort_noise_type
        self.reception.set_clock_rate(path.clock_rate)
        self.plain_type = next(
            (number for number, codec in path.audio_types.items() if LAWS.get(codec) == law), None
        )
        deaf_before = not self.hears
        self.hears = path.direction in ("sendrecv", "recvonly")
        if self.hears and deaf_before:
            self.jitter.restart()
        if not path.inband_digits:
            self._detector = None
        elif self._detector is None or self._detector.law != law:
            self._detector = DtmfDetector(law)
        self.on_audio = self._events.on_audio if self._detector is None else self._audio_with_tones

    def packet(self, packet: rtp.RtpPacket, now: float) -> None:
        """Take any packet in whose source is believed."""
        payload_type, marker, sequence, timestamp, ssrc, payload, _, _ = packet
        # A telephone-event is stamped with its beginning, so its timestamp says nothing of the way it took.
        timed = payload_type != self._digit_type
        self.reception.note((sequence, timestamp if timed else None, ssrc, now))
        codec = self._audio_types.get(payload_type)
        if codec is not None:
            if not payload or not self.hears:
                return
            self.last_audio = now
            audio = self.jitter.push(sequence, timestamp, ssrc, payload, now, self._decoder(codec))
        elif payload_type == self._noise_type and (level := comfort_noise.level_of(payload)) is not None:
            audio = self.jitter.comfort(sequence, timestamp, ssrc, level, now)
        else:
            audio = self.jitter.skip(sequence, timestamp, ssrc, now)
            if payload_type == self._digit_type:
                digit = self._digits.feed(
                    payload, sequence=sequence, timestamp=timestamp, ssrc=ssrc, marker=marker, now=now
                )
                if digit is not None:
                    self._events.on_digit(digit)
        if audio and self.hears:
            self.on_audio(audio)

    def close(self) -> None:
        """Nobody is told any more, and nobody is held."""
        self._events = NOBODY
        self.on_audio = NOBODY.on_audio

    def idle(self, now: float) -> None:
        """Call it every frame: time goes on while nothing comes."""
        if self.hears and now - self.last_audio > QUIET_S:
            audio = self.jitter.idle(now)
            if audio:
                self.on_audio(audio)

    def _decoder(self, codec: str) -> Decoder | None:
        try:
            return self._decoders[codec]
        except KeyError:
            decoder = self._decoders[codec] = decoder_for(codec, self._law)
            return decoder

    def _audio_with_tones(self, audio: bytes) -> None:
        detector = self._detector
        if detector is not None:
            for digit in detector.feed(audio):
                self._events.on_digit(digit)
        self._events.on_audio(audio)
