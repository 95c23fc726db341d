"""Recordings: one line for each, from its first sample to its erasure. Work for :meth:`Database.run`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import Row, insert, select, update

from voiceagent.store.tables import recordings

if TYPE_CHECKING:
    from sqlalchemy import Connection

State = Literal["live", "failed", "finished", "encoded", "stored", "erased"]
"""``live``: being written. ``failed``: ended by the disk; what was written plays. ``finished``: a whole WAV
file. ``encoded``: Opus took its place. ``stored``: in the object store. ``erased``: the audio is gone."""

ORDER: tuple[State, ...] = ("live", "failed", "finished", "encoded", "stored", "erased")
"""A recording goes through its states in this order only, whatever order the news of them comes in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingRecord:
    """One recording, as it is known now. Times are Unix seconds."""

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


def put(connection: Connection, record: RecordingRecord) -> bool:
    """Keep what is known of a recording, unless more is known already. Returns whether it was kept."""
    known = connection.execute(select(recordings.c.state).where(recordings.c.file == record.file)).scalar()
    if known is None:
        connection.execute(insert(recordings).values(**asdict(record)))
        return True
    if ORDER.index(known) > ORDER.index(record.state):
        return False
    values = asdict(record)
    del values["file"]
    connection.execute(update(recordings).where(recordings.c.file == record.file).values(**values))
    return True


def get(connection: Connection, file: str) -> RecordingRecord | None:
    """Return one; None when it is not known."""
    row = connection.execute(select(recordings).where(recordings.c.file == file)).first()
    return None if row is None else _record(row)


def of_call(connection: Connection, call_id: str) -> Sequence[RecordingRecord]:
    """Return a call's recordings, the first one first."""
    wanted = select(recordings).where(recordings.c.call_id == call_id)
    rows = connection.execute(wanted.order_by(recordings.c.started_at, recordings.c.file))
    return [_record(row) for row in rows]


def in_state(connection: Connection, *states: State, limit: int = 1000) -> Sequence[RecordingRecord]:
    """Return recordings that are in one of these states, the oldest first."""
    wanted = select(recordings).where(recordings.c.state.in_(states)).order_by(recordings.c.started_at)
    return [_record(row) for row in connection.execute(wanted.limit(limit))]


def _record(row: Row[Any]) -> RecordingRecord:
    return RecordingRecord(**row._mapping)  # pyright: ignore[reportPrivateUsage]
