"""PURE. The stamp that travels inside the G.711 of the load bench, in the first 16 bytes of a frame.

It holds who sent the frame (a phone, or an answer of the provider), its number, and the moment it was sent
on CLOCK_MONOTONIC, which all processes of one machine share. So one-way delays, loss, order and what was
really heard are seen from outside, whatever the code under test does in between.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

FRAME = 160
MAGIC = 0xA55A
STAMP = struct.Struct("!HHIQ")
"""Magic, source, frame number, nanoseconds."""
_FILLER = bytes(0x20 + index % 64 for index in range(FRAME - STAMP.size))


def stamped(source: int, number: int, now_ns: int) -> bytes:
    """Return one loud 20 ms frame."""
    return STAMP.pack(MAGIC, source, number, now_ns) + _FILLER


def read_stamp(data: bytes, at: int = 0) -> tuple[int, int, int] | None:
    """Return (source, number, nanoseconds) of the frame at ``at``, None when it is no frame of ours."""
    if len(data) < at + STAMP.size:
        return None
    magic, source, number, now_ns = STAMP.unpack_from(data, at)
    return (source, number, now_ns) if magic == MAGIC else None


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
