"""PURE. G.711 (ITU-T G.711, as in RFC 3551 §4.5.14): tables between µ-law, A-law and 16-bit linear PCM.

PCM is signed 16-bit little-endian. The encoders round to the nearest code by table, so that decoding and
encoding again gives the same byte. No third-party code is needed.
"""

from __future__ import annotations

import array
import sys
from typing import Literal

Law = Literal["ulaw", "alaw"]
ULAW_SILENCE = 0xFF
ALAW_SILENCE = 0xD5
_BIAS = 0x84
_CLIP = 32635


def _ulaw_value(code: int) -> int:
    code = ~code & 0xFF
    magnitude = (((code & 0x0F) << 3) + _BIAS) << ((code & 0x70) >> 4)
    return _BIAS - magnitude if code & 0x80 else magnitude - _BIAS


def _alaw_value(code: int) -> int:
    code ^= 0x55
    magnitude = (code & 0x0F) << 4
    segment = (code & 0x70) >> 4
    magnitude = magnitude + 8 if segment == 0 else (magnitude + 0x108) << (segment - 1)
    return magnitude if code & 0x80 else -magnitude


def _ulaw_code(sample: int) -> int:
    sign = 0x80 if sample < 0 else 0
    magnitude = min(-sample if sample < 0 else sample, _CLIP) + _BIAS
    exponent = magnitude.bit_length() - 8
    return ~(sign | (exponent << 4) | ((magnitude >> (exponent + 3)) & 0x0F)) & 0xFF


def _alaw_code(sample: int) -> int:
    sign = 0x80
    if sample < 0:
        sign = 0
        sample = -sample - 1
    if sample > 32767:
        sample = 32767
    if sample < 256:
        code = sample >> 4
    else:
        exponent = sample.bit_length() - 8
        code = (exponent << 4) | ((sample >> (exponent + 3)) & 0x0F)
    return (code | sign) ^ 0x55


ULAW_TO_LINEAR = tuple(_ulaw_value(code) for code in range(256))
"""Linear sample of each µ-law code, −32124 to 32124."""
ALAW_TO_LINEAR = tuple(_alaw_value(code) for code in range(256))
"""Linear sample of each A-law code, −32256 to 32256."""
ULAW_TO_ALAW = bytes(_alaw_code(sample) for sample in ULAW_TO_LINEAR)
"""``bytes.translate`` table."""
ALAW_TO_ULAW = bytes(_ulaw_code(sample) for sample in ALAW_TO_LINEAR)
"""``bytes.translate`` table."""

_encoders: dict[str, bytes] = {}
_OTHER_SIGN = bytes(code ^ 0x80 for code in range(256))


def _encoder(law: Law) -> bytes:
    """Codes of all 16-bit samples, indexed by the unsigned sample; built at first use (≈ 5 ms)."""
    table = _encoders.get(law)
    if table is None:
        code = _ulaw_code if law == "ulaw" else _alaw_code
        # No step of either law is finer than 4; a negative sample has the code of its mirror, sign changed.
        positive = b"".join([bytes((code(value),)) * 4 for value in range(0, 32768, 4)])
        mirror = positive[1:] + positive[-1:] if law == "ulaw" else positive
        table = positive + mirror[::-1].translate(_OTHER_SIGN)
        _encoders[law] = table
    return table


def _decode(data: bytes, table: tuple[int, ...]) -> bytes:
    samples = array.array("h", [table[code] for code in data])
    if sys.byteorder == "big":
        samples.byteswap()
    return samples.tobytes()


def decode(data: bytes, law: Law = "ulaw") -> bytes:
    """Return the PCM of G.711 ``data``: two bytes for each."""
    return _decode(data, ULAW_TO_LINEAR if law == "ulaw" else ALAW_TO_LINEAR)


def encode(pcm: bytes, law: Law = "ulaw") -> bytes:
    """Return the G.711 of ``pcm``; an odd last byte raises :class:`ValueError`."""
    samples = array.array("H", pcm)
    if sys.byteorder == "big":
        samples.byteswap()
    table = _encoder(law)
    return bytes([table[sample] for sample in samples])


def linear(data: bytes, law: Law = "ulaw") -> list[int]:
    """Return the linear samples of G.711 ``data``."""
    table = ULAW_TO_LINEAR if law == "ulaw" else ALAW_TO_LINEAR
    return [table[code] for code in data]


def ulaw_to_alaw(data: bytes) -> bytes:
    """Translate µ-law to A-law."""
    return data.translate(ULAW_TO_ALAW)


def alaw_to_ulaw(data: bytes) -> bytes:
    """Translate A-law to µ-law."""
    return data.translate(ALAW_TO_ULAW)


def silence_byte(law: Law) -> int:
    """The code of zero: 0xFF for µ-law, 0xD5 for A-law."""
    return ULAW_SILENCE if law == "ulaw" else ALAW_SILENCE


def gain_table(law: Law, factor: float) -> bytes:
    """Return the ``bytes.translate`` table that scales G.711 by ``factor`` (0 to 1)."""
    table = ULAW_TO_LINEAR if law == "ulaw" else ALAW_TO_LINEAR
    code = _ulaw_code if law == "ulaw" else _alaw_code
    return bytes(code(int(sample * factor)) for sample in table)
