"""The journal: one JSONL file per call, every decision in order, written off the audio path.

Each line is an object with ``v`` (format version), ``seq`` (rises by one), ``t`` (seconds since the call
began, monotonic), ``at`` (Unix time), ``type``, and the fields of that type. Writing goes through one
thread with a bounded queue; every batch is flushed, so that the file of a killed process is readable up to
its last quarter of a second. What a full disk does not take waits, see
:mod:`voiceagent.records.journal_files`. When too much waits, entries are dropped: counted by the writer, and
seen by the reader as a gap in ``seq``.
"""

from __future__ import annotations

import dataclasses
import json
import json.encoder
import queue
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from voiceagent.records.journal_files import FULL, PENDING_ALL, JournalFile, Reserve

FORMAT_VERSION = 1
QUEUE_LIMIT = 20_000
_INNER = ("in.", "link.")
AGAIN_S = 0.5
"""How often a disk that takes nothing is tried again."""
BATCH_S = 0.25
"""Entries of so long are written together: a write for each file costs more than making its lines. So much
of a killed process may be lost. A journal's end is written at once."""
SLICE = 16
"""After so many entries the thread lets the event loop run: packets must not wait for a batch."""


Tap = Callable[[Mapping[str, Any]], None]


class Gathered(Protocol):
    """What a journal is kept with beside its entries: inputs that are gathered before they are written."""

    pending: bool
    """True while something waits that must stand before the next entry."""

    def flush(self) -> None:
        """Write it."""
        ...

    def end(self) -> None:
        """Write everything: the journal is being closed."""
        ...


class Journal:
    """The journal of one call. :meth:`write` never waits and never raises."""

    def __init__(
        self,
        path: Path | None,
        writer: JournalWriter | None,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.path = path
        self._writer = writer
        self._monotonic = self._clock = monotonic
        self._wall = wall
        self.start = monotonic()
        """When the call began, by the clock that gives ``t``."""
        self._seq = 0
        self._closed = False
        self._taps: list[tuple[Tap, bool, Collection[str] | None]] = []
        self._taps_of: dict[str, tuple[Tap, ...]] = {}
        """Who takes entries of a type, as far as it was asked."""
        self._on_disk: threading.Event | None = None
        self.inputs: Gathered | None = None
        """Where the inputs of a call are recorded, see :mod:`voiceagent.call.inputs`."""

    @property
    def now(self) -> float:
        """Seconds since the call began: the ``t`` of an entry that is written now."""
        return self._monotonic() - self.start

    @property
    def wall(self) -> float:
        """Unix time, by the clock that gives ``at``."""
        return self._wall()

    def keep_time(self, monotonic: Callable[[], float]) -> None:
        """Take ``t`` from another reading of the same clock."""
        self._monotonic = monotonic

    def tap(self, tap: Tap, *, inner: bool = True, kinds: Collection[str] | None = None) -> None:
        """Have ``tap`` called with every entry, synchronously, before it is written.

        Without ``inner``, not with inputs (``in.``) and frames (``link.``), which are most of a journal.
        With ``kinds``, only with entries of these types.
        """
        self._taps.append((tap, inner, kinds))
        self._taps_of.clear()

    def _takers(self, kind: str) -> tuple[Tap, ...]:
        """Return who takes entries of a type, and remember it."""
        outer = not kind.startswith(_INNER)
        found = tuple(
            tap for tap, inner, kinds in self._taps if (inner or outer) and (kinds is None or kind in kinds)
        )
        self._taps_of[kind] = found
        return found

    def write(self, kind: str, body: object = None, /, **fields: Any) -> None:
        """Append an entry of type ``kind``. ``body`` may be a dataclass; it stands in the entry's ``body``.

        After :meth:`close` nothing is written any more: the file is complete.
        """
        if self._closed:
            return
        if self.inputs is not None and self.inputs.pending:
            self.inputs.flush()
        self._append(kind, self._monotonic(), fields, body)

    def record(self, kind: str, /, **fields: Any) -> None:
        """Append what is for the record only: neither input nor decision, so nothing must stand before it."""
        if not self._closed:
            self._append(kind, self._clock(), fields, None)

    def append(self, kind: str, now: float, fields: Mapping[str, Any]) -> None:
        """Append an entry of the moment ``now`` (by the clock of ``t``), whatever waits to stand first."""
        if not self._closed:
            self._append(kind, now, fields, None)

    def _append(self, kind: str, now: float, fields: Mapping[str, Any], body: object) -> None:
        self._seq += 1
        entry: dict[str, Any] = {
            "v": FORMAT_VERSION,
            "seq": self._seq,
            # Whole microseconds; rounding to digits takes several times as long.
            "t": round((now - self.start) * 1e6) / 1e6,
            "at": round(self._wall() * 1e6) / 1e6,
            "type": kind,
            **fields,
        }
        if body is not None:
            entry["event"] = type(body).__name__
            entry["body"] = body
        taps = self._taps_of.get(kind)
        for tap in self._takers(kind) if taps is None else taps:
            tap(entry)
        if self._writer is not None and self.path is not None:
            self._writer.put(self.path, entry)

    def close(self) -> None:
        """Say that no more entries follow; the file is closed after the last one is on disk."""
        if self._closed:
            return
        if self.inputs is not None:
            self.inputs.end()
            self.inputs = None  # which leads back here, as its clock does
        self._monotonic = self._clock
        self._closed = True
        self._taps.clear()
        self._taps_of.clear()
        if self._writer is not None and self.path is not None:
            self._on_disk = threading.Event()
            self._writer.finish(self.path, self._on_disk)

    @property
    def complete(self) -> bool:
        """Closed, and all that the disk takes of it stands in the file."""
        return self._closed and (self._on_disk is None or self._on_disk.is_set())


class JournalWriter:
    """The one thread that writes the journals of all calls of a process."""

    def __init__(
        self,
        folder: Path,
        tap: Callable[[Mapping[str, Any]], None] | None = None,
        *,
        reserve_mb: float = 0.0,
    ) -> None:
        """``reserve_mb``: room on the disk that is kept for journals, given up when the disk is full."""
        self.folder = folder
        self._tap = tap
        self.dropped = 0
        self._queue: queue.SimpleQueue[tuple[Path, dict[str, Any] | threading.Event] | None] = (
            queue.SimpleQueue()
        )
        self._hurry = threading.Event()
        """Nobody gathers a batch: a journal has ended, or the process does."""
        self._files: dict[Path, JournalFile] = {}
        self._ended: dict[Path, threading.Event] = {}
        """Journals that are closed as soon as the disk has taken them."""
        self._behind: set[Path] = set()
        """Journals of which something waits for the disk."""
        self._waits = 0
        """Bytes that wait, of all files."""
        self.failed: str | None = None
        """The last error of the disk, for readiness and alarms; calls go on regardless. None: all is well."""
        folder.mkdir(parents=True, exist_ok=True)
        self._reserve = Reserve(folder, round(reserve_mb * 1024 * 1024))
        self._reserve.make()
        self._thread = threading.Thread(target=self._run, name="journal-writer", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Entries that are not written yet."""
        return self._queue.qsize()

    def open(self, name: str, *, monotonic: Callable[[], float] = time.monotonic) -> Journal:
        """Return the journal that writes ``<folder>/<name>.jsonl``; ``monotonic`` gives its ``t``."""
        journal = Journal(self.folder / f"{name}.jsonl", self, monotonic=monotonic)
        if self._tap is not None:
            journal.tap(self._tap)
        return journal

    def put(self, path: Path, entry: dict[str, Any]) -> None:
        """Queue an entry. Drops it, and counts that, when the disk cannot follow."""
        if self._queue.qsize() >= QUEUE_LIMIT:
            self.dropped += 1
        else:
            self._queue.put((path, entry))

    def finish(self, path: Path, closed: threading.Event) -> None:
        """Close a journal when all that is queued of it is written; ``closed`` is set then."""
        self._queue.put((path, closed))
        self._hurry.set()

    def close(self) -> None:
        """Write what is queued, close all files and end the thread."""
        self._queue.put(None)
        self._hurry.set()
        self._thread.join()

    # ── the thread ──────────────────────────────────────────────────────────────────────────────
    def _run(self) -> None:
        over = False
        while not over:
            try:
                entry = self._queue.get(timeout=AGAIN_S if self._behind or self._reserve.wanting else None)
            except queue.Empty:
                self._settle()
                continue
            self._hurry.wait(BATCH_S)
            self._hurry.clear()
            taken = 0
            while entry is not None:
                path, line = entry
                self._take(path, line)
                taken += 1
                if taken % SLICE == 0:
                    time.sleep(0)
                try:
                    entry = self._queue.get_nowait()
                except queue.Empty:
                    break
            else:
                over = True
            self._settle()
        for path in list(self._files):
            self._close(path)

    def _take(self, path: Path, line: dict[str, Any] | threading.Event) -> None:
        if isinstance(line, threading.Event):
            self._ended[path] = line
            self._behind.add(path)
            return
        try:
            # Half a surrogate pair becomes its own JSON escape.
            text = (encode(line) + "\n").encode("utf-8", "backslashreplace")
        except Exception as error:  # whatever one entry holds, the thread serves all other calls
            self.failed = f"{type(error).__name__}: {error}"
            self.dropped += 1
            return
        file = self._files.get(path)
        if file is None:
            file = self._files[path] = JournalFile(path)
        self._behind.add(path)
        if self._waits + len(text) > PENDING_ALL:
            self.dropped += 1
            return
        if not file.add(text):
            self._flush(file)  # it may be much at once, and no trouble of the disk
            if not file.add(text):
                self.dropped += 1
                return
        self._waits += len(text)

    def _settle(self) -> None:
        """Have the disk take what waits; close what is complete."""
        tried = bool(self._behind)
        for path in list(self._behind):
            file = self._files.get(path)
            if file is not None and not self._flush(file):
                continue
            self._behind.discard(path)
            if path in self._ended:
                self._close(path)
        if not self._behind:
            if tried:
                self.failed = None
            self._reserve.make()

    def _flush(self, file: JournalFile) -> bool:
        before = len(file.pending)
        try:
            return self._flushed(file)
        finally:
            self._waits -= before - len(file.pending)

    def _flushed(self, file: JournalFile) -> bool:
        for last in (False, True):
            try:
                file.flush()
            except OSError as error:
                if not last and error.errno in FULL and self._reserve.spend():
                    continue
                self.failed = f"{type(error).__name__}: {error.strerror or error}"
                return False
            return True
        return False

    def _close(self, path: Path) -> None:
        file = self._files.pop(path, None)
        if file is not None:
            self._waits -= len(file.pending)
            self.dropped += file.give_up()
        ended = self._ended.pop(path, None)
        if ended is not None:
            ended.set()


@cache
def _names_of(kind: type) -> tuple[str, ...] | None:
    """Return the fields of a dataclass; None for any other type."""
    return tuple(one.name for one in dataclasses.fields(kind)) if dataclasses.is_dataclass(kind) else None


def plain(value: object) -> object:
    """Turn dataclasses, enums, sets, bytes and paths into what JSON can hold."""
    names = _names_of(type(value))
    if names is not None:
        return {name: given for name in names if (given := getattr(value, name)) is not None}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, frozenset | set):
        return sorted(str(one) for one in value)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    if isinstance(value, Mapping):
        return dict(value)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    return str(value)


def _encoder() -> Callable[[object], str]:
    """Return the standard library's encoder, made once: ``JSONEncoder.encode`` makes one for every entry."""
    ordinary = json.JSONEncoder(default=plain, ensure_ascii=False, separators=(",", ":")).encode
    # Both are C, have been there since Python 3.3, and are absent where the module is Python's alone.
    make: Any = getattr(json.encoder, "c_make_encoder", None)
    text: Any = getattr(json.encoder, "c_encode_basestring", None)
    try:
        walk = make(None, plain, text, None, ":", ",", False, False, True)
        return lambda entry: "".join(walk(entry, 0))
    except TypeError:
        return ordinary


encode = _encoder()
"""Returns an entry as its line in the file, without the line's end."""


def read_journal(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the entries of a journal; a torn last line (killed process) ends it quietly."""
    with path.open("rb") as file:
        for line in file:
            try:
                yield json.loads(line.decode())
            except ValueError:
                return
