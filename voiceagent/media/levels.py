"""PURE. How loud audio is: dB below the full scale of 16-bit PCM (a full-scale square wave is 0 dBFS)."""

from __future__ import annotations

import array
import math
import sys

from voiceagent.media.g711 import ALAW_TO_LINEAR, ULAW_TO_LINEAR, Law

FLOOR_DB = -96.0
"""Reported for digital silence."""
_SQUARES = {
    "ulaw": tuple(sample * sample for sample in ULAW_TO_LINEAR),
    "alaw": tuple(sample * sample for sample in ALAW_TO_LINEAR),
}
_QUIET_LINEAR = 100
"""−50 dBFS: below this peak a frame may be left out unnoticed."""
_LOUD = {
    0xFF: bytes(code for code in range(256) if abs(ULAW_TO_LINEAR[code]) > _QUIET_LINEAR),
    0xD5: bytes(code for code in range(256) if abs(ALAW_TO_LINEAR[code]) > _QUIET_LINEAR),
}


def _db(mean_square: float) -> float:
    if mean_square <= 0:
        return FLOOR_DB
    return max(FLOOR_DB, 10 * math.log10(mean_square / (32768.0 * 32768.0)))


def g711_dbfs(data: bytes, law: Law = "ulaw") -> float:
    """RMS level of G.711 audio in dBFS."""
    if not data:
        return FLOOR_DB
    squares = _SQUARES[law]
    return _db(sum([squares[code] for code in data]) / len(data))


def pcm_dbfs(pcm: bytes) -> float:
    """RMS level of 16-bit little-endian PCM in dBFS."""
    samples = array.array("h", pcm)
    if sys.byteorder == "big":
        samples.byteswap()
    if not samples:
        return FLOOR_DB
    return _db(sum([sample * sample for sample in samples]) / len(samples))


def is_quiet(data: bytes, silence: int) -> bool:
    """True when no sample is above −50 dBFS. ``silence`` names the law: 0xFF for µ-law, 0xD5 for A-law."""
    return len(data.translate(None, _LOUD[silence])) == len(data)


def is_silent(data: bytes, law: Law = "ulaw", threshold_db: float = -50.0) -> bool:
    """True when the RMS level is below ``threshold_db``."""
    return g711_dbfs(data, law) < threshold_db
