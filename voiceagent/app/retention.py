"""What has been kept long enough goes: at the start and once a day, and the audit log has one line of it.

Which things those are is decided by :func:`due`, from a listing and the time alone. Words, journals and
recordings are looked for where they are (files, rows), so what the database does not know of goes, too.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from voiceagent.app.audio_files import files_of, remove_audio
from voiceagent.records.objects import ObjectStore, StoreError
from voiceagent.records.reading import journals_in
from voiceagent.records.states import RecordingRecord, StateLog, newest_of
from voiceagent.records.stub import is_stub, replace_journal
from voiceagent.records.sweep import call_of
from voiceagent.store import Database, DatabaseDown, erasing, recordings
from voiceagent.store.audit import PURGE, Deed, append

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from voiceagent.app.service import Service
    from voiceagent.settings.retention import RetentionSettings

_log = logging.getLogger("voiceagent.retention")

Kind = Literal["recordings", "transcripts", "journals", "calls"]
DAY_S = 86_400.0
JUMP_S = 3600.0
"""A clock that is so far ahead of the time that has passed is not believed for as long."""
JOURNAL = ".jsonl"


@dataclass(frozen=True, slots=True)
class Item:
    """Something that is kept: a recording (its file), a journal (its file's name), a call (its id)."""

    kind: Kind
    name: str
    at: float
    """When it was: Unix time."""


def due(items: Iterable[Item], days: Mapping[str, int], now: float) -> dict[Kind, list[str]]:
    """PURE. Return the names of what has been kept for longer than its ``days``; of 0 days nothing is."""
    found: dict[Kind, list[str]] = {}
    for item in items:
        if days[item.kind] and item.at < now - days[item.kind] * DAY_S:
            found.setdefault(item.kind, []).append(item.name)
    return found


@dataclass(slots=True)
class Purged:
    """What went, or would."""

    at: float
    counts: dict[str, int] = field(default_factory=dict[str, int])
    before: dict[str, float] = field(default_factory=dict[str, float])
    """For each kind: what is older than this."""
    failed: list[str] = field(default_factory=list[str])
    """What could not be removed; it is tried again the next time."""
    audit: Mapping[str, Any] | None = None

    @property
    def detail(self) -> Mapping[str, Any]:
        """As the audit log tells it."""
        told: dict[str, Any] = {
            kind: {"count": count, "before": self.before.get(kind, self.before.get("calls"))}
            for kind, count in self.counts.items()
            if count
        }
        if self.audit is not None:
            told["audit"] = {**self.audit, "before": self.before["audit"]}
        return told | ({"failed": self.failed[:20]} if self.failed else {})


@dataclass(frozen=True, slots=True)
class Shelves:
    """Where everything is kept."""

    journals: Path
    recordings: Path
    database: Database
    store: ObjectStore | None = None
    live: Callable[[], frozenset[str]] = frozenset
    """Calls that go on: nothing of them is touched."""


def days_of(settings: RetentionSettings) -> dict[str, int]:
    """Return the days of each kind."""
    return {name.removesuffix("_days"): int(value) for name, value in settings.model_dump().items()}


# ── listing ──────────────────────────────────────────────────────────────────────────────────────
def list_recordings(shelves: Shelves, rows: Sequence[RecordingRecord]) -> dict[str, RecordingRecord]:
    """Return every recording that is here or in the store, by its file. Waits for the disk.

    The database may tell of others, too: what lies in another node's folder is that node's to remove.
    """
    ours = list(StateLog(shelves.recordings).read())
    here = {one.file for one in ours}
    known = newest_of([*rows, *ours])
    found = {
        file: one
        for file, one in known.items()
        if one.state not in ("live", "erased")
        and (file in here or "://" in one.location or files_of(shelves.recordings, one))
    }
    for entry in _entries(shelves.recordings):
        stem, suffix = os.path.splitext(entry.name)
        file = f"{stem}.wav"
        if suffix in (".wav", ".opus") and file not in known:
            call_id, name = call_of(file)
            found[file] = RecordingRecord(
                file=file,
                call_id=call_id,
                name=name,
                started_at=entry.stat().st_mtime,
                location=entry.name,
                state="finished",
            )
    return found


def list_journals(shelves: Shelves) -> list[Item]:
    """Return every journal, and whether it still has words. Waits for the disk."""
    found: list[Item] = []
    for path in journals_in(shelves.journals):
        if path.is_file() and not path.is_symlink():
            at = path.stat().st_mtime
            found += [Item("journals", path.name, at), Item("transcripts", path.name, at)]
    return found


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return [entry for entry in found if entry.is_file(follow_symlinks=False)]
    except OSError:
        return []


# ── doing ────────────────────────────────────────────────────────────────────────────────────────
def purge(shelves: Shelves, days: Mapping[str, int], *, now: float, dry_run: bool = False) -> Purged:
    """Remove what is due, and tell it in the audit log. Waits for disk, store and database.

    Raises DatabaseDown; what was removed by then is found removed the next time.
    """
    done = Purged(round(now, 3), before={kind: round(now - n * DAY_S, 3) for kind, n in days.items() if n})
    rows = shelves.database.run_waiting(lambda c: recordings.in_state(c, *_AUDIBLE, limit=1_000_000))
    audio = list_recordings(shelves, rows)
    live = shelves.live()
    items = [Item("recordings", one.file, one.started_at + one.seconds) for one in audio.values()]
    items += list_journals(shelves)
    old = shelves.database.run_waiting(lambda c: _old_calls(c, done.before))
    found = due(items, days, now)
    calls = [one for one in old["calls"] if one not in live]
    gone = set(calls)
    doomed = [
        audio[file]
        for file in audio
        if (file in set(found.get("recordings", ())) or audio[file].call_id in gone)
        and audio[file].call_id not in live
    ]
    journals = {name for name in found.get("journals", ()) if _call(name) not in live}
    journals |= {f"{one}{JOURNAL}" for one in calls if (shelves.journals / f"{one}{JOURNAL}").is_file()}
    wordy = [
        name
        for name in found.get("transcripts", ())
        if name not in journals and _call(name) not in live and not _quiet_stub(shelves.journals / name)
    ]
    words = sorted(({_call(name) for name in wordy} | set(old["transcripts"])) - gone - live)
    done.counts = {
        "recordings": len(doomed),
        "transcripts": len(words),
        "journals": len(journals),
        "calls": len(calls),
    }
    if dry_run:
        return done
    away = False
    for record in doomed:
        stored = "://" in record.location
        if stored and away:  # it has just not answered: asking for each might take hours
            done.failed.append(record.file)
            done.counts["recordings"] -= 1
        else:
            away = not _remove_recording(shelves, record, done) and stored
    # What a row is gone of is looked for no more: a call stays whole until its recordings are gone.
    stay = {audio[file].call_id for file in done.failed}
    calls = [one for one in calls if one not in stay]
    journals -= {f"{one}{JOURNAL}" for one in stay} - set(found.get("journals", ()))
    done.counts |= {"calls": len(calls), "journals": len(journals)}
    for name in wordy:
        _try(done, name, lambda name=name: _stub(shelves.journals / name, now))
    for name in sorted(journals):
        _try(done, name, (shelves.journals / name).unlink)

    def work(connection: Connection) -> None:
        erasing.overwrite_deleted(connection)
        erasing.remove_words(connection, words)
        erasing.remove_calls(connection, calls)
        if days.get("audit"):
            done.audit = erasing.cut_audit(connection, done.before["audit"])
            done.counts["audit"] = 0 if done.audit is None else done.audit["count"]
        if done.detail:
            append(connection, [Deed("retention", "system", "service", PURGE, detail=done.detail)], at=now)
        if words or calls:
            erasing.forget_words(connection)

    shelves.database.run_waiting(work)
    return done


_AUDIBLE: tuple[recordings.State, ...] = ("finished", "encoded", "stored", "failed")


def _old_calls(connection: Connection, before: Mapping[str, float]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {"calls": [], "transcripts": []}
    if "calls" in before:
        found["calls"] = [call_id for call_id, _ in erasing.calls_before(connection, before["calls"])]
    if "transcripts" in before:
        found["transcripts"] = list(erasing.wordy_before(connection, before["transcripts"]))
    return found


def _call(journal: str) -> str:
    return journal.removesuffix(JOURNAL)


def _quiet_stub(path: Path) -> bool:
    try:
        return is_stub(path)
    except OSError:
        return True


def _stub(path: Path, now: float) -> None:
    replace_journal(path, why="retention", at=now, numbers=True)


def _remove_recording(shelves: Shelves, record: RecordingRecord, done: Purged) -> bool:
    def remove() -> None:
        remove_audio(shelves.recordings, record, shelves.store)
        erased = replace(
            record, state="erased", location="", bytes=0, sha256="", changed_at=round(done.at, 3), error=""
        )
        StateLog(shelves.recordings).append(erased)
        shelves.database.run_waiting(lambda c: recordings.put(c, erased))

    removed = _try(done, record.file, remove)
    if not removed:
        done.counts["recordings"] -= 1
    return removed


def _try(done: Purged, name: str, work: Callable[[], object]) -> bool:
    try:
        work()
    except FileNotFoundError:
        return True
    except (OSError, StoreError) as error:
        _log.warning("%s cannot be removed: %s", name, error)
        done.failed.append(name)
        return False
    return True


async def keep_house(
    shelves: Shelves,
    days: Mapping[str, int],
    *,
    held: Callable[[], Any],
    wall: Callable[[], float] = time.time,
    pause: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> None:
    """Purge now, and once a day, until cancelled. ``held`` gives a context in which no recording changes.

    A clock that jumps ahead makes everything old: it has an hour to be put right.
    """
    if not any(days.values()):
        return
    while True:
        try:
            async with held():
                done = await asyncio.to_thread(purge, shelves, days, now=wall())
        except DatabaseDown as down:
            _log.warning("what has been kept long enough stays for now: %s", down)
            await pause(3600.0)
            continue
        except Exception:
            _log.exception("what has been kept long enough stays for now")
            await pause(3600.0)
            continue
        if done.detail:
            _log.info("kept long enough, removed: %s", {kind: n for kind, n in done.counts.items() if n})
        due_at = wall() + DAY_S
        await pause(DAY_S)
        if wall() > due_at + JUMP_S:
            _log.warning("the clock has jumped by %.0f s: nothing is removed for an hour", wall() - due_at)
            await pause(JUMP_S)


def shelves_of(service: Service) -> Shelves:
    """Return where a running service keeps everything."""
    settings, directory = service.settings, service.directory
    return Shelves(
        Path(settings.journal_dir),
        Path(settings.recordings_dir),
        service.database,
        service.aftercare.plan.store,
        lambda: frozenset(call.id for call in directory.live),
    )


def retention_of(service: Service) -> Coroutine[Any, Any, None]:
    """Return the work of the task that purges, for a service."""
    return keep_house(shelves_of(service), days_of(service.settings.retention), held=service.aftercare.held)
