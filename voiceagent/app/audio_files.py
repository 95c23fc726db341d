"""The audio of a recording, wherever it is: found and removed."""

from __future__ import annotations

from pathlib import Path

from voiceagent.records.objects import ObjectStore, StoreError, name_of
from voiceagent.records.states import RecordingRecord
from voiceagent.records.sweep import opus_name, parts_of


def files_of(folder: Path, record: RecordingRecord) -> list[Path]:
    """Return every local file of a recording that is there."""
    paths = [folder / record.file, folder / opus_name(record.file)]
    whole = [path for path in paths if path.parent == folder and (path.is_file() or path.is_symlink())]
    return [*whole, *parts_of(folder, record.file)]


def remove_audio(folder: Path, record: RecordingRecord, store: ObjectStore | None) -> list[str]:
    """Remove a recording's files and its object; returns where they were. Raises OSError, StoreError."""
    gone: list[str] = []
    if "://" in record.location:
        name = None if store is None else name_of(record.location, store)
        if store is None or name is None:
            raise StoreError(f"{record.location} is not in the store of this node")
        if store.delete(name):
            gone.append(record.location)
    for path in files_of(folder, record):
        path.unlink(missing_ok=True)
        gone.append(path.name)
    return gone
