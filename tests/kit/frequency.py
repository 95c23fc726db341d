"""The frequency of a tone, to compare what was played with what is heard."""

from __future__ import annotations

import cmath
import math

from voiceagent.media import g711
from voiceagent.media.g711 import Law


def strongest(audio: bytes, law: Law = "ulaw", *, low: int = 200, high: int = 2000, step: int = 20) -> int:
    """Return the frequency (Hz, a multiple of ``step``) that is strongest in G.711 ``audio``."""
    samples = g711.linear(audio, law)

    def power(hertz: int) -> float:
        turn = -2j * math.pi * hertz / 8000
        return abs(sum(sample * cmath.exp(turn * at) for at, sample in enumerate(samples)))

    return max(range(low, high + 1, step), key=power)


def loud(audio: bytes, law: Law = "ulaw", *, above: int = 1000) -> bytes:
    """Return the frames (20 ms) in which something is louder than ``above``, joined."""
    frames = (audio[at : at + 160] for at in range(0, len(audio), 160))
    return b"".join(frame for frame in frames if max(map(abs, g711.linear(frame, law)), default=0) > above)
