"""How much of a signal is one tone."""

from __future__ import annotations

import math


def share_of_tone(samples: list[int], hertz: float, rate: int = 8000) -> float:
    """Return the part of the energy that is at ``hertz``, 0 to 1."""
    step = 2 * math.pi * hertz / rate
    real = sum(sample * math.cos(step * at) for at, sample in enumerate(samples))
    imaginary = sum(sample * math.sin(step * at) for at, sample in enumerate(samples))
    energy = sum(sample * sample for sample in samples)
    return 2 * (real * real + imaginary * imaginary) / (len(samples) * energy) if energy else 0.0
