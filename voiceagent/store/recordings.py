"""Recordings: one line for each, from its first sample to its erasure. Work for :meth:`Database.run`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from sqlalchemy import Row, insert, select, update

from voiceagent.records.states import ORDER, RecordingRecord, State
from voiceagent.store.tables import recordings

if TYPE_CHECKING:
    from sqlalchemy import Connection


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


def of_files(connection: Connection, files: Sequence[str]) -> dict[str, RecordingRecord]:
    """Return what is known of files, by file."""
    found: dict[str, RecordingRecord] = {}
    for at in range(0, len(files), 500):
        wanted = select(recordings).where(recordings.c.file.in_(files[at : at + 500]))
        found |= {row.file: _record(row) for row in connection.execute(wanted)}
    return found


def in_state(connection: Connection, *states: State, limit: int = 1000) -> Sequence[RecordingRecord]:
    """Return recordings that are in one of these states, the oldest first."""
    wanted = select(recordings).where(recordings.c.state.in_(states)).order_by(recordings.c.started_at)
    return [_record(row) for row in connection.execute(wanted.limit(limit))]


def _record(row: Row[Any]) -> RecordingRecord:
    return RecordingRecord(**row._mapping)  # pyright: ignore[reportPrivateUsage]


__all__ = ["ORDER", "RecordingRecord", "State", "get", "in_state", "of_call", "of_files", "put"]
