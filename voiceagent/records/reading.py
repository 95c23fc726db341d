"""Reading journals that a killed process left: a torn last line is no fault, anything else that is torn is.

A line is torn when it has no end and is no JSON object; it is left out wherever a journal is read, and cut
off before anything is appended.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, cast

from voiceagent.errors import VoiceAgentError
from voiceagent.records.derive import ENDED, Derivation
from voiceagent.records.journal import encode
from voiceagent.records.states import STATES

SUFFIX = ".jsonl"
TAIL = 1 << 16
"""Bytes at a journal's end in which its last entries are looked for; an end with its figures is shorter."""


class UnreadableJournal(VoiceAgentError):
    """A journal that cannot be read: what is wrong, and in which line."""

    code = "journal"


def journals_in(folder: Path, *, since: float = 0.0) -> list[Path]:
    """Return the journals of a folder by name; with ``since``, those that were written to at or after it.

    Recordings may have the same folder; their ``recordings.jsonl`` is no journal.
    """
    try:
        with os.scandir(folder) as found:
            names = [
                one.name
                for one in found
                if one.name.endswith(SUFFIX)
                and one.name != STATES
                and (not since or one.stat().st_mtime >= since)
            ]
    except FileNotFoundError:
        return []
    return [folder / name for name in sorted(names)]


def entries_of(path: Path) -> Iterator[Mapping[str, Any]]:
    """Yield the whole entries of a journal. Raises :class:`UnreadableJournal`."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise UnreadableJournal(f"{path.name}: is no regular file")
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                entry = _entry(line)
                if entry is not None:
                    yield entry
                elif line.endswith(b"\n"):
                    raise UnreadableJournal(f"{path.name}, line {number}: not a JSON object")
    except OSError as error:
        raise UnreadableJournal(f"{path.name}: {error.strerror}") from None


def read_whole(path: Path) -> Derivation:
    """Return what a journal says of its call. Raises :class:`UnreadableJournal`."""
    made = Derivation(path.name)
    for entry in entries_of(path):
        try:
            made.take(entry)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            words = f"{path.name}: {entry.get('type')} {entry.get('seq')} is none of this version ({error!r})"
            raise UnreadableJournal(words) from None
    return made


def has_end(path: Path) -> bool:
    """Return whether a journal says how its call ended, by a look at its last lines."""
    with path.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL))
        lines = file.read().split(b"\n")
    mark = f'"type":"{ENDED}"'.encode()
    return any(
        mark in line and (entry := _entry(line)) is not None and entry.get("type") == ENDED
        for line in reversed(lines)
    )


def append(path: Path, entries: list[Mapping[str, Any]]) -> None:
    """Write entries at a journal's end, and wait until they are on disk. A torn line is cut off before.

    Only for a journal that nobody else writes.
    """
    text = "".join(encode(one) + "\n" for one in entries).encode("utf-8", "backslashreplace")
    with path.open("r+b") as file:
        last = _last_line(file)
        begin = file.tell() - len(last)
        if last and _entry(last) is None:
            file.truncate(begin)
            file.seek(begin)
        elif last:
            text = b"\n" + text
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def append_after_end(path: Path, kind: str, at: float, **fields: Any) -> bool:
    """Append what became known after a call's end; False where there is no ended journal.

    The file keeps its time: it is that of the call. Raises OSError.
    """
    if not path.is_file() or not has_end(path):
        return False
    about = path.stat()
    with path.open("rb") as file:
        file.seek(max(0, about.st_size - TAIL))
        entries = [entry for line in file.read().split(b"\n") if (entry := _entry(line)) is not None]
    last = entries[-1]
    head = {"v": last.get("v", 1), "seq": int(last.get("seq", 0)) + 1, "t": last.get("t", 0.0)}
    append(path, [{**head, "at": round(at, 6), "type": kind, **fields}])
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))
    return True


def _last_line(file: BinaryIO) -> bytes:
    """Return what follows the last end of a line; the file stands at its end then."""
    end = file.seek(0, os.SEEK_END)
    found, begin = b"", end
    while begin > 0 and b"\n" not in found:
        size = min(TAIL, begin)
        begin = file.seek(begin - size)
        found = file.read(size) + found
    file.seek(end)
    return found.rpartition(b"\n")[2]


def _entry(line: bytes) -> Mapping[str, Any] | None:
    try:
        entry: object = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return cast("Mapping[str, Any]", entry) if isinstance(entry, dict) else None
