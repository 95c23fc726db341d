"""Speech-like audio for the bench: voiced sounds with formants, hisses and pauses, seeded. Needs numpy."""

from __future__ import annotations

import random

import numpy as np

from voiceagent.media import g711

RATE = 8000
_VOWELS = ((730, 1090, 2440), (270, 2290, 3010), (300, 870, 2240), (530, 1840, 2480), (570, 840, 2410))
"""First three formants in Hz (Peterson and Barney)."""


def speech_like(seconds: float, seed: int) -> bytes:
    """Return so much of it as µ-law: pitch 80 to 300 Hz, 3 to 6 sounds a second, about −20 dBFS."""
    dice = random.Random(seed)
    noise = np.random.default_rng(seed)
    parts: list[np.ndarray] = []
    total, wanted = 0, int(seconds * RATE)
    pitch, phase = dice.uniform(80, 300), 0.0
    while total < wanted:
        count = int(dice.uniform(0.12, 0.35) * RATE)
        kind = dice.random()
        if kind < 0.15:
            part = np.zeros(count)
        elif kind < 0.3:
            part = noise.normal(0, 1500, count)
        else:
            end = min(300.0, max(80.0, pitch * dice.uniform(0.8, 1.25)))
            track = np.linspace(pitch, end, count)
            phases = phase + 2 * np.pi * np.cumsum(track) / RATE
            pitch, phase = end, float(phases[-1] % (2 * np.pi))
            formants = dice.choice(_VOWELS)
            part = np.zeros(count)
            for harmonic in range(1, int(3400 / max(track[0], end)) + 1):
                hertz = harmonic * track.mean()
                level = sum(
                    weight / (1 + ((hertz - peak) / 90) ** 2)
                    for peak, weight in zip(formants, (1, 0.6, 0.3), strict=True)
                )
                part += level * np.sin(harmonic * phases)
            part *= 9000 / max(1.0, float(np.abs(part).max()))
        ramp = np.minimum(1, np.minimum(np.arange(count), np.arange(count)[::-1]) / 160)
        parts.append(part * ramp)
        total += count
    pcm = np.clip(np.concatenate(parts)[:wanted], -32768, 32767).astype("<i2")
    return g711.encode(pcm.tobytes())
