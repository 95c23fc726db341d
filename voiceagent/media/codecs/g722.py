"""G.722 at 64 kbit/s (RFC 3551 §4.5.2): 16 kHz audio whose RTP clock is 8 kHz, a byte for every tick."""

from __future__ import annotations

from collections.abc import Sequence

from voiceagent.media import g711
from voiceagent.media.codecs.plain import Repacker
from voiceagent.media.codecs.pyav import Resampler, audio_codec, decoded, encoded, frame_of
from voiceagent.media.g711 import Law

RATE = 16_000


class G722Decoder:
    """G.722 to G.711 of ``line``."""

    __slots__ = ("_codec", "_down", "_line")
    scale = 1

    def __init__(self, line: Law) -> None:
        self._line: Law = line
        self._codec = audio_codec("g722", "r", RATE)
        self._down = Resampler(8000)

    def samples(self, payload: bytes) -> int:
        return len(payload)

    def decode(self, payload: bytes) -> bytes:
        frames = decoded(self._codec, payload)
        return g711.encode(self._down.take(frames, len(payload)), self._line)


class G722Encoder:
    """Frames of ``line`` to G.722 in packets of ``ptime`` ms."""

    __slots__ = ("_codec", "_line", "_repack", "_up", "ticks")
    scale = 1

    def __init__(self, line: Law, ptime: int) -> None:
        self._line: Law = line
        self._codec = audio_codec("g722", "w", RATE)
        self._up = Resampler(RATE)
        self._repack = Repacker(ptime * 8)
        self.ticks = ptime * 8

    @property
    def waiting(self) -> int:
        return self._repack.waiting

    def put(self, frame: bytes) -> Sequence[bytes]:
        wide = self._up.take([frame_of(g711.decode(frame, self._line), 8000)], 2 * len(frame))
        return self._repack.put(b"".join(encoded(self._codec, wide, RATE)))
