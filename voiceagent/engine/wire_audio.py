"""Audio between the wire's three formats and the engine's 8 kHz PCM. PURE.

G.711 after ITU-T G.711, by tables built once (16-bit linear). No numpy: a frame of 20 ms costs about 20 µs,
and the server must start without heavy imports. Rates are changed by :mod:`.resample`.
"""

from __future__ import annotations

import sys
from array import array
from functools import lru_cache

from .ports import AudioFormat

LINE_RATE = 8000
"""Hz at which the engine listens."""
WIRE_RATES: dict[str, int] = {"audio/pcm": 24000, "audio/pcmu": 8000, "audio/pcma": 8000}
_ULAW_BIAS = 0x84
_ULAW_CLIP = 32635


def _ulaw_to_linear(code: int) -> int:
    code = ~code & 0xFF
    magnitude = (((code & 0x0F) << 3) + _ULAW_BIAS) << ((code >> 4) & 0x07)
    return _ULAW_BIAS - magnitude if code & 0x80 else magnitude - _ULAW_BIAS


def _linear_to_ulaw(sample: int) -> int:
    sign = 0x80 if sample < 0 else 0
    magnitude = min(abs(sample), _ULAW_CLIP) + _ULAW_BIAS
    exponent = magnitude.bit_length() - 8
    return ~(sign | (exponent << 4) | ((magnitude >> (exponent + 3)) & 0x0F)) & 0xFF


def _alaw_to_linear(code: int) -> int:
    code ^= 0x55
    exponent, mantissa = (code >> 4) & 0x07, code & 0x0F
    magnitude = (mantissa << 4) + 8 if exponent == 0 else ((mantissa << 4) + 0x108) << (exponent - 1)
    return magnitude if code & 0x80 else -magnitude


def _linear_to_alaw(sample: int) -> int:
    sign = 0x80 if sample >= 0 else 0
    magnitude = (sample if sample >= 0 else ~sample) >> 3
    exponent = max(0, magnitude.bit_length() - 5)
    mantissa = (magnitude >> 1 if exponent == 0 else magnitude >> exponent) & 0x0F
    return (sign | (exponent << 4) | mantissa) ^ 0x55


@lru_cache(maxsize=2)
def _decoder(law: str) -> tuple[int, ...]:
    rule = _ulaw_to_linear if law == "audio/pcmu" else _alaw_to_linear
    return tuple(rule(code) for code in range(256))


@lru_cache(maxsize=2)
def _encoder(law: str) -> bytes:
    """One code for each 16-bit sample, negative ones in the upper half, so that a sample indexes it."""
    rule = _linear_to_ulaw if law == "audio/pcmu" else _linear_to_alaw
    return bytes(rule(value if value < 0x8000 else value - 0x10000) for value in range(0x10000))


def decode(data: bytes, form: AudioFormat) -> bytes:
    """Return wire audio as PCM at the format's own rate. An odd last byte of PCM is dropped."""
    if form == "audio/pcm":
        return data if len(data) % 2 == 0 else data[:-1]
    return _to_bytes(array("h", map(_decoder(form).__getitem__, data)))


def encode(pcm: bytes, form: AudioFormat) -> bytes:
    """Return PCM of the format's own rate as wire audio."""
    if form == "audio/pcm":
        return pcm
    return bytes(map(_encoder(form).__getitem__, _samples(pcm)))


def wire_ms(size: int, form: AudioFormat) -> float:
    """Return how long ``size`` bytes of wire audio last, in ms."""
    return size / 48 if form == "audio/pcm" else size / 8


def _samples(pcm: bytes) -> array[int]:
    samples = array("h")
    samples.frombytes(pcm if len(pcm) % 2 == 0 else pcm[:-1])
    if sys.byteorder == "big":
        samples.byteswap()
    return samples


def _to_bytes(samples: array[int]) -> bytes:
    if sys.byteorder == "big":
        samples.byteswap()
    return samples.tobytes()
