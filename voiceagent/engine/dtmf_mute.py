"""Keypad tones in the line's audio, so that they are not taken for speech. PURE.

The power at each of the eight frequencies of ITU-T Q.23 over one frame; a frame is a keypad tone when one low
and one high frequency together carry most of its energy.
"""

from __future__ import annotations

import math
from array import array
from functools import lru_cache
from operator import mul

LOW = (697.0, 770.0, 852.0, 941.0)
HIGH = (1209.0, 1336.0, 1477.0, 1633.0)
_QUIET = 300.0
"""Mean square below which (−55 dBFS) nothing is looked for."""
_SHARE = 0.55
"""Least part of the frame's energy in the two strongest frequencies: speech stays below, a tone is near 1."""
_TWIST = 12.0
"""Largest ratio of power between the two, about 11 dB."""


@lru_cache(maxsize=8)
def _waves(length: int, rate: int) -> tuple[tuple[array[float], array[float]], ...]:
    waves: list[tuple[array[float], array[float]]] = []
    for frequency in (*LOW, *HIGH):
        step = 2 * math.pi * frequency / rate
        cosine = array("d", (math.cos(step * n) for n in range(length)))
        sine = array("d", (math.sin(step * n) for n in range(length)))
        waves.append((cosine, sine))
    return tuple(waves)


def is_keypad_tone(samples: array[int], rate: int = 8000) -> bool:
    """Tell whether a frame (20 to 40 ms of 16-bit samples) is mostly one keypad tone."""
    length = len(samples)
    energy = float(sum(map(mul, samples, samples)))
    if length == 0 or energy / length < _QUIET:
        return False
    powers = [
        sum(map(mul, samples, cosine)) ** 2 + sum(map(mul, samples, sine)) ** 2
        for cosine, sine in _waves(length, rate)
    ]
    low, high = max(powers[:4]), max(powers[4:])
    if min(low, high) * _TWIST < max(low, high):
        return False
    return (low + high) * 2 / (energy * length) >= _SHARE


class KeypadMute:
    """Blanks frames with keypad tones, and one frame after each for its fading end."""

    def __init__(self, rate: int = 8000) -> None:
        self._rate = rate
        self._after = False
        self.heard = 0
        """Frames blanked so far."""

    def pass_through(self, frame: bytes) -> bytes:
        """Return the frame, or silence of the same length."""
        samples = array("h")
        samples.frombytes(frame)
        tone = is_keypad_tone(samples, self._rate)
        mute = tone or self._after
        self._after = tone
        if not mute:
            return frame
        self.heard += 1
        return bytes(len(frame))
