"""What was acted on already: ids that are claimed once, also across restarts.

Two generations of ids are kept, in memory and in two small files (``NAME`` and ``NAME.old``). When the
younger one is 72 hours old, or full, it becomes the old one, and the old one is forgotten: an id is known for
at least 72 hours unless more than :data:`MOST` calls were offered meanwhile. A claim is in the file before
anything is done about it, so that a process which dies in between does not act twice; power loss may forget
the last ones.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import cast

_log = logging.getLogger("voiceagent.claims")

KEEP_S = 72 * 3600.0
"""Providers deliver an event again for up to 72 hours, each time with a new timestamp."""
MOST = 50_000
"""Claims per generation."""


class Claims:
    """Remembers ids. ``path`` None keeps them in memory only; times are Unix seconds."""

    def __init__(
        self,
        path: Path | None,
        *,
        keep_s: float = KEEP_S,
        most: int = MOST,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._path = path
        self._keep_s = keep_s
        self._most = most
        self._wall = wall
        self._old: set[str] = set()
        self._young: set[str] = set()
        self._count = 0
        self._since = wall()
        self._file: int | None = None
        self._broken = False
        if path is not None:
            self._load(path)

    def __len__(self) -> int:
        return len(self._old) + len(self._young)

    def claim(self, *ids: str) -> bool:
        """Claim all ``ids`` at once; False, and nothing is claimed, when one of them is claimed already."""
        now = self._wall()
        if now - self._since >= self._keep_s:
            self._turn(now)
        if any(each in self._young or each in self._old for each in ids):
            return False
        if self._count >= self._most:
            self._turn(now)
        self._young.update(ids)
        self._count += 1
        self._write(now, ids)
        return True

    def close(self) -> None:
        """Close the file. Harmless when repeated."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    # ── generations ──────────────────────────────────────────────────────────────────────────────
    def _turn(self, now: float) -> None:
        idle = self._count == 0 or now - self._since >= 2 * self._keep_s
        self._old = set() if idle else self._young
        self._young = set()
        self._count = 0
        self._since = now
        if self._path is not None:
            self.close()
            try:
                os.replace(self._path, _old_name(self._path))
                self._open(self._path)
            except OSError as error:
                self._complain(error)

    # ── the files ────────────────────────────────────────────────────────────────────────────────
    def _load(self, path: Path) -> None:
        now = self._wall()
        self._old = {each for _, ids in _read(_old_name(path), now - 2 * self._keep_s) for each in ids}
        young = _read(path, now - 2 * self._keep_s)
        self._young = {each for _, ids in young for each in ids}
        self._count = len(young)
        self._since = min((at for at, _ in young), default=now)
        try:
            self._open(path)
        except OSError as error:
            self._complain(error)

    def _open(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        if os.fstat(self._file).st_size:
            os.write(self._file, b"\n")  # whatever a dying process left half written ends here

    def _write(self, now: float, ids: tuple[str, ...]) -> None:
        if self._file is None:
            return
        try:
            os.write(self._file, json.dumps([round(now, 3), *ids]).encode("ascii") + b"\n")
        except OSError as error:
            self._complain(error)

    def _complain(self, error: OSError) -> None:
        if not self._broken:
            self._broken = True
            _log.error("claims are kept in memory only: %s", error)


def _old_name(path: Path) -> Path:
    return path.with_name(path.name + ".old")


def _read(path: Path, since: float) -> list[tuple[float, list[str]]]:
    """Return the claims in a file; lines that are damaged or too old are left out."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError:
        return []
    found: list[tuple[float, list[str]]] = []
    for line in lines:
        try:
            value: object = json.loads(line)
        except ValueError:
            continue
        if isinstance(value, list):
            at, *ids = cast("list[object]", value) or [None]
            if isinstance(at, int | float) and at >= since and all(isinstance(each, str) for each in ids):
                found.append((float(at), cast("list[str]", ids)))
    return found
