"""Opus (RFC 6716, RFC 7587): mono, narrow-band audio with a clock of 48 kHz.

libopus encodes 8 kHz audio as it is and always decodes to 48 kHz. FFmpeg gives no way to its concealment or
to the redundancy of a following packet: holes are filled by the jitter buffer, as for every codec.
"""

from __future__ import annotations

from collections.abc import Sequence

from voiceagent.media import g711
from voiceagent.media.codecs import opus_format
from voiceagent.media.codecs.plain import Repacker
from voiceagent.media.codecs.pyav import Resampler, audio_codec, decoded, encoded
from voiceagent.media.g711 import Law

COMPLEXITY = "5"
"""Of 0 to 10: half the CPU time of 10, and no difference that narrow-band speech shows."""
EXPECTED_LOSS = "10"
"""Per cent; how much redundancy the encoder adds when the peer wants it."""


class OpusDecoder:
    """Opus to G.711 of ``line``."""

    __slots__ = ("_codec", "_down", "_line")
    scale = opus_format.SCALE

    def __init__(self, line: Law) -> None:
        self._line: Law = line
        self._codec = audio_codec("libopus", "r", 48_000)
        self._down = Resampler(8000)

    def samples(self, payload: bytes) -> int:
        return opus_format.samples(payload)

    def decode(self, payload: bytes) -> bytes:
        frames = decoded(self._codec, payload)
        return g711.encode(self._down.take(frames, opus_format.samples(payload)), self._line)


class OpusEncoder:
    """Frames of ``line`` to Opus in packets of ``ptime`` ms (10, 20, 40 or 60)."""

    __slots__ = ("_codec", "_line", "_repack", "ticks")
    scale = opus_format.SCALE

    def __init__(self, line: Law, ptime: int, fmtp: str = "") -> None:
        wanted = opus_format.wishes(fmtp)
        self._line: Law = line
        options = {
            "application": "voip",
            "frame_duration": str(ptime),
            "compression_level": COMPLEXITY,
            "vbr": "off" if wanted.cbr else "on",
        }
        if wanted.fec:
            options |= {"fec": "1", "packet_loss": EXPECTED_LOSS}
        self._codec = audio_codec("libopus", "w", 8000, options)
        self._codec.bit_rate = wanted.bits
        self._repack = Repacker(ptime * 8)
        self.ticks = ptime * 8 * opus_format.SCALE

    @property
    def waiting(self) -> int:
        return self._repack.waiting

    def put(self, frame: bytes) -> Sequence[bytes]:
        packets: list[bytes] = []
        for chunk in self._repack.put(frame):
            packets += encoded(self._codec, g711.decode(chunk, self._line), 8000)
        return packets
