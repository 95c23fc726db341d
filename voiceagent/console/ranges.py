"""PURE. One range of bytes of a file (RFC 9110 §14): what a player asks for when it seeks."""

from __future__ import annotations

import re
from dataclasses import dataclass

_ONE = re.compile(r"bytes=[ \t]*([0-9]{0,18})-([0-9]{0,18})[ \t]*")


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes ``start`` to ``end`` (exclusive) of a file of ``size`` bytes."""

    start: int
    end: int
    size: int

    @property
    def told(self) -> str:
        """Content-Range of the 206."""
        return f"bytes {self.start}-{self.end - 1}/{self.size}"


class NotSatisfiable(Exception):
    """The range begins beyond the end of the file: the 416."""


def piece_of(header: str | None, size: int) -> Piece | None:
    """Return the piece that a Range header asks for; None: the whole file.

    A header that cannot be read, another unit, or several ranges mean the whole file, as RFC 9110 §14.2
    allows. Raises :class:`NotSatisfiable`.
    """
    found = None if header is None else _ONE.fullmatch(header)
    if found is None or not (found[1] or found[2]):
        return None
    if not found[1]:
        length = min(int(found[2]), size)
        if length == 0:
            raise NotSatisfiable
        return Piece(size - length, size, size)
    start = int(found[1])
    if found[2] and int(found[2]) < start:
        return None  # no range at all (§14.1.1)
    if start >= size:
        raise NotSatisfiable
    return Piece(start, min(int(found[2]) + 1, size) if found[2] else size, size)
