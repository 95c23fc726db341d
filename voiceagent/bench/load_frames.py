"""PURE. The stamp that travels inside the G.711 of the load bench, at the beginning of a frame.

It holds who sent the frame (a phone, or an answer of the provider), its number, and the moment it was sent
on CLOCK_MONOTONIC, which all processes of one machine share. So one-way delays, loss, order and what was
really heard are seen from outside, whatever the code under test does in between.

A loud frame has it in 16 bytes, a silent one in 32 codes near zero, four bits each (−55 dBFS at the most):
what is gathered, or left out, because nobody speaks is measured as well.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

FRAME = 160
MAGIC = 0xA55A
STAMP = struct.Struct("!HHIQ")
"""Magic, source, frame number, nanoseconds."""
_FILLER = bytes(0x20 + index % 64 for index in range(FRAME - STAMP.size))
_DIGITS = b"0123456789abcdef"
_SOFT = bytes((*range(0x78, 0x80), *range(0xF8, 0x100)))
"""The sixteen codes of µ-law that are nearest to zero."""
_TO_SOFT, _FROM_SOFT = bytes.maketrans(_DIGITS, _SOFT), bytes.maketrans(_SOFT, _DIGITS)
_SOFT_MAGIC = f"{MAGIC:04x}".encode().translate(_TO_SOFT)
_SILENCE = b"\xff" * (FRAME - 2 * STAMP.size)


def stamped(source: int, number: int, now_ns: int, *, loud: bool = True) -> bytes:
    """Return one 20 ms frame, loud or of silence."""
    stamp = STAMP.pack(MAGIC, source, number, now_ns)
    return stamp + _FILLER if loud else stamp.hex().encode().translate(_TO_SOFT) + _SILENCE


def read_stamp(data: bytes, at: int = 0) -> tuple[int, int, int, bool] | None:
    """Return (source, number, nanoseconds, loud?) of the frame at ``at``, None when it is none of ours."""
    if len(data) < at + STAMP.size:
        return None
    magic, source, number, now_ns = STAMP.unpack_from(data, at)
    if magic == MAGIC:
        return source, number, now_ns, True
    if data.startswith(_SOFT_MAGIC, at):
        soft = data[at : at + 2 * STAMP.size].translate(_FROM_SOFT)
        _, source, number, now_ns = STAMP.unpack(bytes.fromhex(soft.decode()))
        return source, number, now_ns, False
    return None


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that ``percent`` % of ``values`` do not exceed; 0 without values."""
    if not values:
        return 0.0
    ordered = sorted(values)
    rank = max(0, min(len(ordered) - 1, -(-len(ordered) * percent // 100) - 1))
    return ordered[int(rank)]


def spread(values: Sequence[float], *percents: float) -> dict[str, float]:
    """Return ``{"p50": …}`` for ``percents``, ``max`` for 100; rounded to three digits."""
    return {
        ("max" if percent == 100 else f"p{percent:g}"): round(percentile(values, percent), 3)
        for percent in percents
    }
