"""What became of recordings after their calls: ``recordings.jsonl``, beside the audio.

The journal of a call is closed with the call; what happens to its recordings later (mended, encoded, stored,
erased) is appended here, one whole state a line, and is as true as a journal: the database is made from both.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal, cast

State = Literal["live", "failed", "finished", "encoded", "stored", "erased"]
"""``live``: being written. ``failed``: ended by the disk; what was written plays. ``finished``: a whole WAV
file. ``encoded``: Opus took its place. ``stored``: in the object store. ``erased``: the audio is gone."""

ORDER: tuple[State, ...] = ("live", "failed", "finished", "encoded", "stored", "erased")
"""A recording goes through its states in this order only, whatever order the news of them comes in."""

STATES = "recordings.jsonl"
"""Name of the file, in the recordings' folder."""
FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingRecord:
    """One recording, as it is known at some time. Times are Unix seconds."""

    file: str
    """Name that it began with, below the recordings' folder: its name for ever, wherever it is."""
    call_id: str
    name: str
    """What the flow calls it."""
    started_at: float
    seconds: float = 0.0
    """Length. Of a ``live`` one: 0."""
    bytes: int = 0
    sha256: str = ""
    format: Literal["wav", "opus"] = "wav"
    location: str = ""
    """Where it is: a file below the recordings' folder, or the URL of an object, without credentials.
    Empty where it is nowhere."""
    state: State = "live"
    dropped_s: float = 0.0
    """Seconds that the disk was too slow for; silence stands in their place."""
    changed_at: float = 0.0
    error: str = ""

    def newer_than(self, other: RecordingRecord | None) -> bool:
        """Whether this is to stand where ``other`` stands."""
        return other is None or ORDER.index(self.state) >= ORDER.index(other.state)


_FIELDS = frozenset(field.name for field in fields(RecordingRecord))


class StateLog:
    """The file of one folder. Several processes may append to it; each line is written whole."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / STATES

    def append(self, record: RecordingRecord) -> None:
        """Write a state; it is on disk when this returns. Raises OSError."""
        line = json.dumps({"v": FORMAT_VERSION, **asdict(record)}, ensure_ascii=False, separators=(",", ":"))
        with self._locked():
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                size = os.fstat(fd).st_size
                torn = size > 0 and os.pread(fd, 1, size - 1) != b"\n"  # a process was killed within a line
                os.write(fd, (b"\n" if torn else b"") + line.encode("utf-8", "backslashreplace") + b"\n")
                os.fsync(fd)
            finally:
                os.close(fd)

    def read(self) -> Iterator[RecordingRecord]:
        """Yield every state in the order it was written; lines that are none are passed over."""
        try:
            text = self.path.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return
        for line in text.split("\n"):
            record = _record_of(line)
            if record is not None:
                yield record

    def newest(self) -> dict[str, RecordingRecord]:
        """Return the last state of each file."""
        return newest_of(self.read())

    def rewrite(self, change: Callable[[RecordingRecord], RecordingRecord | None]) -> int:
        """Write the file anew, each state changed, or left out (None). Returns how many lines are others."""
        with self._locked():
            before = list(self.read())
            after = [change(one) for one in before]
            changed = sum(one != other for one, other in zip(before, after, strict=True))
            if not changed:
                return 0
            body = "".join(
                json.dumps({"v": FORMAT_VERSION, **asdict(one)}, ensure_ascii=False, separators=(",", ":"))
                + "\n"
                for one in after
                if one is not None
            )
            write_whole(self.path, body.encode("utf-8", "backslashreplace"))
            return changed

    @contextmanager
    def _locked(self) -> Generator[None, None, None]:
        """Keep other processes out: a line must not go into a file that is being replaced."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(self.path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            lock(fd, wait=True)
            yield
        finally:
            os.close(fd)


def newest_of(records: Iterable[RecordingRecord]) -> dict[str, RecordingRecord]:
    """PURE. Return the state of each file that stands, whatever order they come in."""
    found: dict[str, RecordingRecord] = {}
    for record in records:
        if record.newer_than(found.get(record.file)):
            found[record.file] = record
    return found


def write_whole(path: Path, body: bytes) -> None:
    """Put ``body`` in the place of a file at one stroke; a crash leaves the one or the other."""
    part = path.with_name(path.name + ".part")
    fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0), 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def lock(fd: int, *, wait: bool = False) -> bool:
    """Take an open file for this process; False when another has it. Where files have no locks: True."""
    try:
        import fcntl
    except ImportError:
        return True
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError:
        return True  # a file system without locks
    return True


def _record_of(line: str) -> RecordingRecord | None:
    with suppress(ValueError, TypeError):
        found: Any = json.loads(line)
        if isinstance(found, dict):
            known = {name: value for name, value in cast("dict[str, Any]", found).items() if name in _FIELDS}
            record = RecordingRecord(**known)
            if record.state in ORDER:
                return record
    return None
