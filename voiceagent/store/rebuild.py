"""From the journals to the database: written anew, or compared. Works without an event loop.

Journals without an end are left alone: either their calls still run, or the service closes them when it
starts next. Rows of calls whose journals are elsewhere (another node's, or deleted) are left alone, too.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from voiceagent.records.derive import Kept
from voiceagent.records.reading import UnreadableJournal, journals_in, read_whole
from voiceagent.records.rows import CallRecord
from voiceagent.records.states import RecordingRecord, StateLog
from voiceagent.store import history, recordings
from voiceagent.store.database import Database

if TYPE_CHECKING:
    from sqlalchemy import Connection

AT_ONCE = 100
"""Calls of one transaction."""

Progress = Callable[[int, int], None]
"""Told how many journals of how many have been read."""


@dataclass(slots=True)
class Found:
    """What was found in the journals, and made of it."""

    journals: int = 0
    calls: int = 0
    """Calls that have ended, by their journals."""
    written: int = 0
    missing: list[str] = field(default_factory=list[str])
    """Calls that had no row."""
    differing: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    """Calls whose row said something else, and where."""
    doubled: list[str] = field(default_factory=list[str])
    """Journals of calls that have another journal; they count for nothing."""
    unended: list[str] = field(default_factory=list[str])
    """Journals without an end."""
    unreadable: dict[str, str] = field(default_factory=dict[str, str])
    """Journals that could not be read, and why."""

    @property
    def agree(self) -> bool:
        """The database holds what the journals say, and every journal says something."""
        return not (self.missing or self.differing or self.doubled or self.unreadable)


def look_through(
    database: Database,
    folder: Path,
    *,
    write: bool,
    progress: Progress = lambda done, of: None,
    audio: Path | None = None,
) -> Found:
    """Compare every journal of ``folder`` with the database; with ``write``, make the rows as they say.

    ``audio`` is the recordings' folder: what became of recordings after their calls stands there. Raises
    DatabaseDown.
    """
    found = Found()
    some: list[Kept] = []
    for kept in _calls(folder, found, progress):
        some.append(kept)
        if len(some) == AT_ONCE:
            _together(database, some, found, write)
            some = []
    _together(database, some, found, write)
    if write and audio is not None:
        later = list(StateLog(audio).newest().values())
        database.run_now(lambda c: [recordings.put(c, one) for one in later])
    return found


def _calls(folder: Path, found: Found, progress: Progress) -> Iterator[Kept]:
    paths = journals_in(folder)
    known: set[str] = set()
    # A call's own journal bears its name: that of a copy counts only where there is no other.
    paths.sort(key=lambda path: not path.name.startswith("call_"))
    for count, path in enumerate(paths, 1):
        found.journals += 1
        try:
            made = read_whole(path)
        except UnreadableJournal as error:
            found.unreadable[path.name] = str(error)
        else:
            kept = made.kept()
            if kept is None or not made.ended:
                found.unended.append(path.name)
            elif kept.call.id in known:
                found.doubled.append(path.name)
            else:
                known.add(kept.call.id)
                found.calls += 1
                yield kept
        progress(count, len(paths))


def _together(database: Database, some: Sequence[Kept], found: Found, write: bool) -> None:
    def work(connection: Connection) -> list[tuple[str, list[str] | None]]:
        told: list[tuple[str, list[str] | None]] = []
        for kept in some:
            unlike = differences(connection, kept)
            told.append((kept.call.id, unlike))
            if write and (unlike is None or unlike):
                history.write(connection, kept.call, kept.lines, kept.responses, kept.tags)
                for one in kept.recordings:
                    recordings.put(connection, one)
        return told

    if not some:
        return
    for call_id, unlike in database.run_now(work):
        if unlike is None:
            found.missing.append(call_id)
        elif unlike:
            found.differing[call_id] = unlike
        else:
            continue
        found.written += write


def differences(connection: Connection, kept: Kept) -> list[str] | None:
    """Return in what the rows of a call are not what its journal says; None when there is no row."""
    row = history.one(connection, kept.call.id)
    if row is None:
        return None
    unlike = [
        name
        for name in CallRecord.__dataclass_fields__
        if _plain(getattr(row.call, name)) != _plain(getattr(kept.call, name))
    ]
    for name, there, here in (
        ("lines", history.lines_of(connection, kept.call.id), kept.lines),
        ("responses", history.responses_of(connection, kept.call.id), kept.responses),
    ):
        if _plain(there) != _plain(here):
            unlike.append(name)
    rows = recordings.of_files(connection, [one.file for one in kept.recordings])
    if any(one.newer_than(rows.get(one.file)) and one.state != _state(rows, one) for one in kept.recordings):
        unlike.append("recordings")
    return unlike


def _state(rows: Mapping[str, RecordingRecord], one: RecordingRecord) -> str:
    row = rows.get(one.file)
    return "" if row is None else row.state


def _plain(value: Any) -> Any:
    return _stored(json.loads(json.dumps(value, default=_fields)))


def _stored(value: Any) -> Any:
    """Return plain JSON with its text as a database keeps it."""
    if isinstance(value, dict):
        return {name: _stored(one) for name, one in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [_stored(one) for one in cast("list[Any]", value)]
    return history.storable(value)


def _fields(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    return {name: getattr(value, name) for name in value.__dataclass_fields__}
