"""Files that are appended to while the disk may be full: what it does not take waits, and no line is torn.

A reserve file is given up when the disk is full, so that journals go on for a while, and made again when
there is room. What waits is bounded; beyond that whole lines are left out, and counted.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from pathlib import Path

PENDING_MOST = 256 * 1024
"""Bytes of one file that wait for the disk."""
PENDING_ALL = 16 * 1024 * 1024
"""… of all files."""
RESERVE = ".reserve"
MADE_AGAIN_S = 10.0
"""How long there must have been no trouble before the reserve is made again."""
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

append_some = os.write
"""Writes bytes to a descriptor, returns how many were taken; a test puts a full disk in its place."""


class Reserve:
    """Room that is kept for journals."""

    def __init__(self, folder: Path, size: int) -> None:
        """``size`` in bytes; 0: there is none."""
        self._path = folder / RESERVE
        self._size = size
        self._troubled_at = float("-inf")
        self.held = False

    @property
    def wanting(self) -> bool:
        """It is to be there, and is not."""
        return bool(self._size) and not self.held

    def make(self) -> None:
        """Take the room, if it is there and nobody was in trouble of late."""
        if not self.wanting or time.monotonic() - self._troubled_at < MADE_AGAIN_S:
            return
        try:
            file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                about = os.fstatvfs(file)
                if os.fstat(file).st_size < self._size and about.f_bavail * about.f_frsize < 2 * self._size:
                    raise OSError(errno.ENOSPC, "no room for a reserve")
                os.posix_fallocate(file, 0, self._size)
            finally:
                os.close(file)
        except OSError:
            self._troubled_at = time.monotonic()
            self.spend()
            return
        self.held = True

    def spend(self) -> bool:
        """Give the room up for what is more important; False where there is none."""
        self._troubled_at = time.monotonic()
        with contextlib.suppress(OSError):
            self._path.unlink()
            self.held = False
            return True
        return False


class JournalFile:
    """One file. Nothing here raises but OSError of :meth:`flush`, which may be tried again."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None
        self.pending = bytearray()
        """Whole lines (the first may have been begun) that the disk has not taken yet."""

    def add(self, line: bytes) -> bool:
        """Append a line; False where no more may wait, and it is left out."""
        if len(self.pending) + len(line) > PENDING_MOST and self.pending:
            return False
        self.pending += line
        return True

    def flush(self) -> None:
        """Have the disk take all. What it does not take stays, to the byte."""
        if self._file is None:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
            self._file = os.open(self._path, flags, 0o644)
        while self.pending:
            del self.pending[: append_some(self._file, self.pending)]

    def give_up(self) -> int:
        """Close it; return how many lines were not taken."""
        left = self.pending.count(b"\n")
        self.pending.clear()
        if self._file is not None:
            with contextlib.suppress(OSError):
                os.close(self._file)
            self._file = None
        return left
