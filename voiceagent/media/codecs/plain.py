"""PURE. G.711 of one law as G.711 of the other, and in packets of another length."""

from __future__ import annotations

from collections.abc import Sequence

from voiceagent.media.g711 import ALAW_TO_ULAW, ULAW_TO_ALAW, Law


class PlainDecoder:
    """G.711 of the other law, translated to ``line`` by table."""

    __slots__ = ("_table",)
    scale = 1

    def __init__(self, line: Law) -> None:
        self._table = ALAW_TO_ULAW if line == "ulaw" else ULAW_TO_ALAW

    def samples(self, payload: bytes) -> int:
        return len(payload)

    def decode(self, payload: bytes) -> bytes:
        return payload.translate(self._table)


class Repacker:
    """Bytes in whatever amounts, out in payloads of ``size`` bytes."""

    __slots__ = ("_size", "_waiting")

    def __init__(self, size: int) -> None:
        self._size = size
        self._waiting = b""

    @property
    def waiting(self) -> int:
        """Bytes of a payload that is not full yet."""
        return len(self._waiting)

    def put(self, data: bytes) -> list[bytes]:
        """Add ``data``; return the payloads that are full."""
        waiting = self._waiting + data
        size = self._size
        whole = len(waiting) - len(waiting) % size
        self._waiting = waiting[whole:]
        return [waiting[at : at + size] for at in range(0, whole, size)]


class PlainEncoder:
    """Frames of ``line`` as G.711 of ``law`` in packets of ``ptime`` ms."""

    __slots__ = ("_repack", "_table", "ticks")
    scale = 1

    def __init__(self, line: Law, law: Law, ptime: int) -> None:
        self._table = None if law == line else ULAW_TO_ALAW if line == "ulaw" else ALAW_TO_ULAW
        self._repack = Repacker(ptime * 8)
        self.ticks = ptime * 8

    @property
    def waiting(self) -> int:
        return self._repack.waiting

    def put(self, frame: bytes) -> Sequence[bytes]:
        return self._repack.put(frame if self._table is None else frame.translate(self._table))
