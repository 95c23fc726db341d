"""Keypad tones in the line's audio, so that they are not taken for speech. PURE.

The power at each of the eight frequencies of ITU-T Q.23 over one frame; a frame is a keypad tone when one low
and one high frequency together carry most of its energy.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

LOW = (697.0, 770.0, 852.0, 941.0)
HIGH = (1209.0, 1336.0, 1477.0, 1633.0)
_QUIET = 300.0
"""Mean square below which (−55 dBFS) nothing is looked for."""
_SHARE = 0.55
"""Least part of the frame's energy in the two strongest frequencies: speech stays below, a tone is near 1."""
_TWIST = 12.0
"""Largest ratio of power between the two, about 11 dB."""


@lru_cache(maxsize=8)
def _waves(length: int, rate: int) -> Floats:
    """Return cosines and sines of the eight frequencies, (16, length)."""
    import numpy as np

    phase = 2 * np.pi * np.outer((*LOW, *HIGH), np.arange(length)) / rate
    return np.concatenate([np.cos(phase), np.sin(phase)])


def is_keypad_tone(frame: bytes, rate: int = 8000) -> bool:
    """Tell whether a frame (20 to 40 ms of 16-bit PCM) is mostly one keypad tone."""
    import numpy as np

    samples: Floats = np.frombuffer(frame, "<i2").astype(np.float64)
    length = len(samples)
    energy = float(samples @ samples)
    if length == 0 or energy / length < _QUIET:
        return False
    parts: Floats = _waves(length, rate) @ samples
    powers: Floats = parts[:8] ** 2 + parts[8:] ** 2
    low, high = float(powers[:4].max()), float(powers[4:].max())
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
        tone = is_keypad_tone(frame, self._rate)
        mute = tone or self._after
        self._after = tone
        if not mute:
            return frame
        self.heard += 1
        return bytes(len(frame))
