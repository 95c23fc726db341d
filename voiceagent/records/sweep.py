"""What a folder of recordings still needs: after a start, nobody but the files themselves can tell.

A process may have been killed while it recorded, or anywhere within the care for a recording.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from voiceagent.errors import MediaError
from voiceagent.records.opus import sha256_of
from voiceagent.records.repair import repair_wav
from voiceagent.records.states import RecordingRecord, StateLog, lock

PART = ".part"
"""Ends the name of a file that is not whole yet."""
INTERRUPTED = "the process ended before the recording did"


def opus_name(file: str) -> str:
    """PURE. Return the name that the Opus file of a recording has."""
    return file.removesuffix(".wav") + ".opus"


def parts_of(folder: Path, file: str) -> list[Path]:
    """Return what was begun of a recording's Opus file, by whichever process, and is not whole."""
    before = f"{opus_name(file)}."
    with suppress(OSError), os.scandir(folder) as found:
        return [folder / one.name for one in found if one.name.startswith(before) and one.name.endswith(PART)]
    return []


def call_of(file: str) -> tuple[str, str]:
    """PURE. Return the call's id and the recording's name that a file's name tells."""
    stem = file.removesuffix(".wav")
    call_id, dash, name = stem.partition("-")
    return call_id, name if dash else call_id


@contextmanager
def taken(path: Path) -> Generator[bool, None, None]:
    """Have a file for this process alone; False where another records or cares for it, or it is not there."""
    try:
        fd = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except OSError:
        yield False
        return
    try:
        yield stat.S_ISREG(os.fstat(fd).st_mode) and lock(fd)
    finally:
        os.close(fd)


def wav_files(folder: Path) -> list[str]:
    """Return the names of all WAV files of a folder."""
    with suppress(OSError):
        return sorted(entry.name for entry in os.scandir(folder) if entry.name.endswith(".wav"))
    return []


def sweep(
    folder: Path,
    known: Mapping[str, RecordingRecord],
    *,
    now: float,
    keep_local: bool,
    ours: Callable[[str], bool] = lambda file: False,
) -> list[RecordingRecord]:
    """Mend, tidy, and return every recording whose file is here, as it is now.

    ``known`` has what journals and database tell of them, by file; ``recordings.jsonl`` goes before it, and
    what ``known`` lacks of it is returned, too.
    Recordings that are still being written are left alone, and so is what ``ours`` says of this process.
    """
    log = StateLog(folder)
    told = known
    known = {**told, **{file: one for file, one in log.newest().items() if one.newer_than(told.get(file))}}
    found: list[RecordingRecord] = []
    for file in wav_files(folder):
        with taken(folder / file) as free:
            if free and not ours(file):
                found.extend(_wav(folder, file, known.get(file), log, now=now, keep_local=keep_local))
    looked_at = {one.file for one in found}
    for file, record in known.items():
        if record.state == "encoded":
            if file not in looked_at and (folder / record.location).is_file():
                found.append(record)
            continue
        if record.state == "erased" or (record.state == "stored" and not keep_local):
            (folder / opus_name(file)).unlink(missing_ok=True)
        # Of a call that is not kept any more, nobody needs to know that its recording is gone.
        worth = record.state == "stored" or (record.state == "erased" and file in told)
        if worth and record != told.get(file):
            found.append(record)
    return found


def _wav(
    folder: Path,
    file: str,
    record: RecordingRecord | None,
    log: StateLog,
    *,
    now: float,
    keep_local: bool,
) -> Iterator[RecordingRecord]:
    path = folder / file
    for part in parts_of(folder, file):
        part.unlink(missing_ok=True)
    if record is not None and record.state == "encoded":
        opus = folder / record.location
        if opus.is_file() and opus.stat().st_size == record.bytes:
            path.unlink()  # it had taken the WAV file's place, and the process ended before it was gone
            yield record
            return
        record = None
    elif record is not None and record.state == "stored":
        if not keep_local:
            path.unlink()
        return
    elif record is not None and record.state == "erased":
        path.unlink()
        return
    if record is not None and record.state == "finished" and record.bytes == path.stat().st_size:
        yield record
        return
    try:
        seconds = repair_wav(path)
    except (MediaError, OSError):
        return  # none of ours
    call_id, name = call_of(file)
    about = path.stat()
    begun = record or RecordingRecord(
        file=file, call_id=call_id, name=name, started_at=round(about.st_mtime - seconds, 3)
    )
    mended = replace(
        begun,
        state="finished",
        format="wav",
        location=file,
        seconds=round(seconds, 3),
        bytes=about.st_size,
        sha256=sha256_of(path),
        changed_at=round(now, 3),
        error=begun.error or (INTERRUPTED if record is not None and record.state == "live" else ""),
    )
    log.append(mended)
    yield mended
