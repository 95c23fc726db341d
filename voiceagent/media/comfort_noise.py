"""PURE. Comfort noise (RFC 3389): soft noise where a peer says how loud its background is.

Only the level is used; the spectrum that a packet may carry is not.
"""

from __future__ import annotations

import random
from functools import lru_cache

from voiceagent.media import g711
from voiceagent.media.concealment import pack
from voiceagent.media.g711 import Law
from voiceagent.media.playout import FRAME

PAYLOAD_TYPE = 13
LOUDEST_DB = 35
"""−dBov; a peer that claims more is not background noise."""
SOFTEST_DB = 75
"""−dBov; below that G.711 has no step left: silence."""
_FRAMES = 50
_RMS = 32768 * 10 ** (-LOUDEST_DB / 20)


def level_of(payload: bytes) -> int | None:
    """Return the level that a packet tells in −dBov (0 to 127, RFC 3389 §3.1); None when it is empty."""
    return payload[0] & 0x7F if payload else None


@lru_cache(maxsize=2)
def _loudest(law: Law) -> bytes:
    dice = random.Random(3389)  # the same second of noise for everybody
    return pack([round(dice.gauss(0.0, _RMS)) for _ in range(_FRAMES * FRAME)], law)


@lru_cache(maxsize=2 * (SOFTEST_DB - LOUDEST_DB))
def _noise(level: int, law: Law) -> bytes:
    loudest = _loudest(law)
    return loudest.translate(g711.gain_table(law, 10 ** ((LOUDEST_DB - level) / 20)))


class ComfortNoise:
    """Frames of noise at the level told last; silence before any is told."""

    __slots__ = ("_at", "_law", "_source", "told")

    def __init__(self, law: Law = "ulaw") -> None:
        self._law: Law = law
        self._source = b""
        self._at = 0
        self.told = False
        """True once a level is known."""

    def tell(self, level: int) -> None:
        """Take the level of a packet, in −dBov."""
        self.told = True
        if level > SOFTEST_DB:
            self._source = bytes((g711.silence_byte(self._law),)) * (_FRAMES * FRAME)
        else:
            self._source = _noise(max(level, LOUDEST_DB), self._law)

    def take(self, samples: int) -> bytes:
        """Return the next ``samples`` of it."""
        source = self._source or bytes((g711.silence_byte(self._law),)) * FRAME
        at = self._at % len(source)
        self._at = (at + samples) % len(source)
        out = source[at : at + samples]
        while len(out) < samples:
            out += source[: samples - len(out)]
        return out
