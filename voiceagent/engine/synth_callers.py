"""Synthetic callers on a synthetic telephone line, for benches and tests.

The line: 8 kHz, 250 to 3450 Hz, seeded noise 25 dB below the speech, and one µ-law round trip.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from voiceagent.engine.parts import flite_present
from voiceagent.engine.tts.caller import ESPEAK_VOICES

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

RATE = 8000
SNR_DB = 25.0
BAND_HZ = (250.0, 3450.0)
_TAPS = 257
_MU = 255.0


def caller_voices() -> list[str]:
    """Return the names of up to eight voices that can speak here, for ``caller_voice``."""
    flite = ["rms", "slt", "awb", "kal", "kal16"] if flite_present() else []
    extra = [] if flite else ["en-us+m3", "en+f2", "en-us+m7", "en-us+f4"]
    return [*flite, *ESPEAK_VOICES, *extra]


def telephone(pcm: bytes, *, seed: int = 1, snr_db: float = SNR_DB, margin_ms: int = 400) -> bytes:
    """Return 8 kHz PCM as a telephone line would bring it, with ``margin_ms`` of line around it."""
    import numpy as np

    speech = np.frombuffer(pcm, "<i2").astype(np.float64)
    margin = np.zeros(margin_ms * RATE // 1000)
    line = np.convolve(np.concatenate([margin, speech, margin]), _band(), mode="same")
    loud = line[np.abs(line) > 0.02 * np.abs(line).max()] if line.any() else line
    level = float(np.sqrt((loud**2).mean())) if len(loud) else 1.0
    noise = np.random.default_rng(seed).normal(0.0, level * 10 ** (-snr_db / 20), len(line))
    return mu_law_round_trip(line + np.convolve(noise, _band(), mode="same"))


def mu_law_round_trip(samples: NDArray[np.float64]) -> bytes:
    """Return PCM 16 after ITU-T G.711's µ-law characteristic at 8 bits (the continuous law, quantised)."""
    import numpy as np

    value = np.clip(samples / 32768.0, -1.0, 1.0)
    coded = np.sign(value) * np.log1p(_MU * np.abs(value)) / np.log1p(_MU)
    coded = np.rint(coded * 127.0) / 127.0
    back = np.sign(coded) * np.expm1(np.abs(coded) * np.log1p(_MU)) / _MU
    return np.clip(np.rint(back * 32768.0), -32768, 32767).astype("<i2").tobytes()


def _band() -> NDArray[np.float64]:
    import numpy as np

    at = np.arange(_TAPS) - (_TAPS - 1) / 2
    low, high = (edge / RATE for edge in BAND_HZ)
    response = 2 * high * np.sinc(2 * high * at) - 2 * low * np.sinc(2 * low * at)
    return response * np.hamming(_TAPS)
