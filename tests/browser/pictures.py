"""PNG files small enough to keep: at most 256 colours, which a page without photographs hardly exceeds."""

from __future__ import annotations

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

SIGNATURE = b"\x89PNG\r\n\x1a\n"
COLOURS = 256


def shrink(png: bytes) -> bytes:
    """Return ``png`` (8 bits, RGB or RGBA, not interlaced) with a palette of its most frequent colours."""
    pixels = _pixels(png)
    height, width, _ = pixels.shape
    packed = pixels.astype(np.uint32) @ np.array([65536, 256, 1], np.uint32)
    colours, inverse, counts = np.unique(packed, return_inverse=True, return_counts=True)
    kept = colours[np.argsort(counts)[::-1][:COLOURS]]
    place = np.argmin(_distance(_split(colours), _split(kept)), axis=1).astype(np.uint8)
    rows = np.zeros((height, width + 1), np.uint8)
    rows[:, 1:] = place[inverse].reshape(height, width)
    head = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    palette = _split(kept).astype(np.uint8).tobytes()
    body = zlib.compress(rows.tobytes(), 9)
    chunks = ((b"IHDR", head), (b"PLTE", palette), (b"IDAT", body), (b"IEND", b""))
    return SIGNATURE + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def _split(packed: NDArray[np.uint32]) -> NDArray[np.int32]:
    return np.stack([packed >> 16, packed >> 8 & 255, packed & 255], axis=1).astype(np.int32)


def _distance(some: NDArray[np.int32], others: NDArray[np.int32]) -> NDArray[np.int32]:
    return np.square(some[:, None, :] - others[None, :, :]).sum(axis=2)


def _pixels(png: bytes) -> NDArray[np.uint8]:
    """Decode (PNG, third edition, §9): undo each row's filter; alpha is dropped."""
    at, data = len(SIGNATURE), b""
    width = height = depth = 0
    while at < len(png):
        size, kind = struct.unpack(">I4s", png[at : at + 8])
        chunk = png[at + 8 : at + 8 + size]
        if kind == b"IHDR":
            width, height, bits, colour, _, _, interlaced = struct.unpack(">IIBBBBB", chunk)
            assert (bits, interlaced) == (8, 0)
            depth = {2: 3, 6: 4}[colour]
        elif kind == b"IDAT":
            data += chunk
        at += size + 12
    raw = np.frombuffer(zlib.decompress(data), np.uint8).reshape(height, 1 + width * depth)
    rows = np.zeros((height + 1, width + 1, depth), np.int32)
    for number, row in enumerate(raw, 1):
        _undo(row[0], row[1:].reshape(width, depth).astype(np.int32), rows[number - 1], rows[number])
    return rows[1:, 1:, :3].astype(np.uint8)


def _undo(kind: int, line: NDArray[np.int32], above: NDArray[np.int32], here: NDArray[np.int32]) -> None:
    """Fill ``here`` from the filtered ``line``; both rows have an empty pixel before the first."""
    if kind == 0:
        here[1:] = line
    elif kind == 1:
        here[1:] = np.cumsum(line, axis=0) & 255
    elif kind == 2:
        here[1:] = (line + above[1:]) & 255
    else:
        for x in range(1, len(here)):
            left, up, corner = here[x - 1], above[x], above[x - 1]
            if kind == 3:
                guess = (left + up) >> 1
            else:
                a, b, c = abs(up - corner), abs(left - corner), abs(left + up - 2 * corner)
                guess = np.select([(a <= b) & (a <= c), b <= c], [left, up], corner)
            here[x] = (line[x - 1] + guess) & 255
