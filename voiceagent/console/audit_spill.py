"""Audit lines on their way to the database, in a file of their own: a killed process loses none of them.

Each line is appended before it is queued, and the file is emptied when the database has all of them. What is
found at a start is written unless the database has it already.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voiceagent.store.audit import Deed, append, has

if TYPE_CHECKING:
    from sqlalchemy import Connection

_log = logging.getLogger("voiceagent.console.audit")

NAME = "audit.waiting"
"""Name of the file, in the folder of the journals."""

Line = tuple[float, Deed]
"""When it was done (Unix time), and what."""


class AuditSpill:
    """The file. Nothing here raises: without a disk there is the queue in memory."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._empty = False

    def add(self, at: float, deed: Deed) -> bool:
        """Append a line; False where the disk does not take it."""
        # It begins a line of its own, whatever became of the one before.
        text = "\n" + json.dumps({"at": at, **asdict(deed)}, default=str, separators=(",", ":")) + "\n"
        try:
            file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            try:
                whole = os.write(file, text.encode()) == len(text)
            finally:
                os.close(file)
        except OSError as error:
            _log.warning("audit lines are kept in memory only: %s", error.strerror)
            return False
        self._empty = False
        return whole

    def lines(self) -> list[Line]:
        """Return what is in the file; torn lines are passed over."""
        try:
            body = self._path.read_bytes()
        except OSError:
            return []
        found: list[Line] = []
        for text in body.split(b"\n"):
            try:
                told: dict[str, Any] = json.loads(text)
                found.append((float(told.pop("at")), Deed(**told)))
            except (ValueError, TypeError, KeyError, AttributeError):
                continue
        return found

    def clear(self) -> None:
        """Everything is in the database."""
        if self._empty:
            return
        try:
            self._path.unlink(missing_ok=True)
            self._empty = True
        except OSError as error:
            _log.warning("%s stays: %s", NAME, error.strerror)


def write_missing(connection: Connection, lines: Sequence[Line]) -> int:
    """Write those lines that the log does not have; return how many."""
    missing = [(at, deed) for at, deed in lines if not has(connection, deed, at=at)]
    for at, deed in missing:
        append(connection, [deed], at=at)
    return len(missing)
