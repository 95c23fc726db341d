"""Voices at one loudness, without the long silences that synthesisers put around a sentence."""

from __future__ import annotations

TARGET_DB = -20.0
"""RMS of the spoken parts in dB below full scale, about what a telephone set sends."""

LEAD_S = 0.02
TAIL_S = 0.18
QUIET_DB = -50.0


def polish(pcm: bytes, rate: int) -> bytes:
    """Return one sentence, trimmed and at :data:`TARGET_DB` (peaks are never clipped)."""
    import numpy as np

    samples = np.frombuffer(pcm[: len(pcm) // 2 * 2], "<i2").astype(np.float64)
    frame = max(1, rate // 100)
    whole = len(samples) // frame
    if whole == 0:
        return b""
    power = (samples[: whole * frame].reshape(whole, frame) ** 2).mean(axis=1)
    full = 32768.0**2
    loud = np.flatnonzero(power > full * 10 ** (QUIET_DB / 10))
    if len(loud) == 0:
        return b""
    start = max(0, int(loud[0]) * frame - int(LEAD_S * rate))
    end = min(len(samples), (int(loud[-1]) + 1) * frame + int(TAIL_S * rate))
    spoken = samples[start:end]
    gain = float(np.sqrt(full * 10 ** (TARGET_DB / 10) / power[loud].mean()))
    gain = min(gain, 32000.0 / float(np.abs(spoken).max()))
    silence = np.zeros(max(0, int(TAIL_S * rate) - (end - (int(loud[-1]) + 1) * frame)))
    return np.concatenate([spoken * gain, silence]).round().astype("<i2").tobytes()
