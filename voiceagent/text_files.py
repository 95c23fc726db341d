"""Files that people write (flows, settings, scenarios), read whole: regular files only, never without end."""

from __future__ import annotations

import os
import stat
from pathlib import Path

MOST_BYTES = 4 * 1024 * 1024
"""No file that a person has written is larger."""


class UnreadableFile(Exception):
    """A file cannot be read as text. The message is the reason, without the file's name."""

    def __init__(self, reason: str, *, line: int = 1) -> None:
        super().__init__(reason)
        self.line = line
        """Where it went wrong; 1 where no line is at fault."""


def read_file(path: str | Path, most_bytes: int = MOST_BYTES) -> bytes:
    """Return a regular file's bytes; links are followed.

    Raises :class:`UnreadableFile` for what is missing, no regular file (a folder, a device, a named pipe:
    some never end, others never begin), not to be opened, or larger than ``most_bytes``.
    """
    raw = _beginning(path, most_bytes + 1)
    if len(raw) > most_bytes:
        raise UnreadableFile(f"is larger than {most_bytes} bytes")
    return raw


def demand_file(path: str | Path) -> None:
    """Raise :class:`UnreadableFile` as :func:`read_file` does, whatever the file's size is."""
    _beginning(path, 1)


def read_text(path: str | Path, most_bytes: int = MOST_BYTES) -> str:
    """Return a file's text without a byte order mark. Raises :class:`UnreadableFile`, also for no UTF-8."""
    raw = read_file(path, most_bytes)
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableFile("is not UTF-8", line=raw[: error.start].count(b"\n") + 1) from None


def _beginning(path: str | Path, count: int) -> bytes:
    try:
        _demand_regular(os.stat(path))  # before it is opened: opening a device may do something
        # Not to wait for a writer, should a named pipe have taken the file's place just now.
        number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(number, "rb") as file:
            _demand_regular(os.fstat(number))
            return file.read(count)
    except FileNotFoundError:
        raise UnreadableFile("no such file") from None
    except OSError as error:
        raise UnreadableFile(f"cannot be read: {error.strerror}") from None
    except ValueError as error:  # a null byte in its name
        raise UnreadableFile(f"cannot be read: {error}") from None


def _demand_regular(state: os.stat_result) -> None:
    if stat.S_ISDIR(state.st_mode):
        raise UnreadableFile("is a folder")
    if not stat.S_ISREG(state.st_mode):
        raise UnreadableFile("is no regular file")
