"""What is done to recordings after their calls: mended, encoded as Opus, moved to the object store.

One recording is encoded at a time and one is stored at a time, however many wait. Each step is done in an
order that a killed process may end anywhere: the new file is whole and proven, the state is on disk, and only
then the old one goes. What was not done is found again at the next start (:mod:`voiceagent.records.sweep`).
"""

from __future__ import annotations

import asyncio
import itertools
import os
import time
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import structlog

from voiceagent.errors import ConfigError, VoiceAgentError
from voiceagent.records.objects import ObjectStore, StoreError, open_store, verify
from voiceagent.records.opus import BITRATE, Encoded, encode_apart
from voiceagent.records.states import RecordingRecord, StateLog
from voiceagent.records.sweep import PART, opus_name, sweep, taken, wav_files
from voiceagent.store import Database, DatabaseDown, recordings

if TYPE_CHECKING:
    from voiceagent.app.archive import Archive
    from voiceagent.observe.metrics import Metrics
    from voiceagent.settings import Settings

_log = structlog.get_logger("voiceagent.recordings")

DATABASE_S = (1.0, 2.0, 5.0, 10.0, 30.0)
"""Waits for a database that is away at the start; it knows when the recordings that were left began."""
WAITING_MOST = 10_000
"""Recordings that wait in memory; further ones are looked for in the folder when these are done."""
RETRY_S = (5.0, 30.0, 120.0, 600.0, 1800.0)
"""Waits after a store has failed: once, twice, …"""
ENCODE_TRIES = 3
"""So often one recording is tried; then it stays a WAV file until the next start."""
AT_ONCE = 200
"""So many of those that were found are taken before the event loop has its turn."""
SHORTEST_S = 0.1
"""What is shorter stays a WAV file."""


@dataclass(frozen=True, slots=True)
class AftercarePlan:
    """What is wanted."""

    opus: bool = False
    bitrate: int = BITRATE
    store: ObjectStore | None = None
    keep_local: bool = False
    """Whether the file stays in the folder after it has been stored."""


def next_step(
    record: RecordingRecord, plan: AftercarePlan, *, given_up: bool = False
) -> Literal["encode", "store", None]:
    """PURE. Return what is to be done to a recording now. ``given_up``: it cannot be encoded."""
    if record.state not in ("finished", "encoded"):
        return None
    if plan.opus and record.state == "finished" and record.seconds >= SHORTEST_S and not given_up:
        return "encode"
    return "store" if plan.store is not None else None


class Aftercare:
    """The care for the recordings of one folder. :meth:`run` is the task that gives it."""

    def __init__(
        self,
        folder: Path,
        plan: AftercarePlan,
        keep: Callable[[RecordingRecord], None],
        *,
        encode: Callable[[Path, Path, int], Awaitable[Encoded]] = encode_apart,
        wall: Callable[[], float] = time.time,
        pause: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        """``keep`` takes every state that a recording comes into, for the database."""
        self.folder = folder
        self.plan = plan
        self.log = StateLog(folder)
        self._keep = keep
        self._encode = encode
        self._wall = wall
        self._pause = pause
        self._live: set[str] = set()
        """Files that this process records."""
        self._encoding: deque[RecordingRecord] = deque()
        self._storing: deque[RecordingRecord] = deque()
        self._news = asyncio.Event()
        self._parts = itertools.count()
        self._more = False
        """Some found no place here."""
        self._given_up: dict[str, int] = {}
        """How often files could not be encoded."""
        self._changing = asyncio.Lock()
        self._uploading = asyncio.Lock()
        self.erased: set[str] = set()
        """Files that are gone: whatever is still on its way to them is not done."""

    def __len__(self) -> int:
        return len(self._encoding) + len(self._storing)

    def take(self, record: RecordingRecord) -> None:
        """Hear of a recording that has begun or ended. Does not wait."""
        if record.state == "live":
            self._live.add(record.file)
            return
        self._live.discard(record.file)
        if len(self) >= WAITING_MOST:
            self._more = True
            return
        step = next_step(record, self.plan, given_up=self._given_up.get(record.file, 0) >= ENCODE_TRIES)
        if step is not None:
            (self._encoding if step == "encode" else self._storing).append(record)
            self._news.set()

    async def take_up(self, known: Mapping[str, RecordingRecord]) -> int:
        """Mend and tidy what earlier processes left; returns how many recordings still need something."""
        try:
            found = await asyncio.to_thread(self._look_through, known)
        except Exception as error:  # what comes is cared for all the same
            _log.warning("earlier recordings cannot be looked through", error=str(error))
            return 0
        for count, record in enumerate(found, 1):
            if record != known.get(record.file):
                self._keep(record)
            self.take(record)
            if not count % AT_ONCE:
                await asyncio.sleep(0)
        return len(self)

    def _look_through(self, known: Mapping[str, RecordingRecord]) -> list[RecordingRecord]:
        found = sweep(
            self.folder,
            known,
            now=self._wall(),
            keep_local=self.plan.keep_local,
            ours=self._live.__contains__,
        )
        return [one for one in found if one != known.get(one.file) or next_step(one, self.plan) is not None]

    def left(self) -> list[str]:
        """Return the files that :meth:`take_up` will look at, and of which it may have news."""
        found = set(wav_files(self.folder))
        with suppress(OSError):
            found.update(self.log.newest())
        return sorted(found)

    async def run(self) -> None:
        """Do whatever there is to do, until cancelled."""
        async with asyncio.TaskGroup() as both:
            both.create_task(self._each(self._encoding, self._encode_one), name="recordings: encode")
            both.create_task(self._each(self._storing, self._store_one), name="recordings: store")

    @asynccontextmanager
    async def held(self) -> AsyncGenerator[None, None]:
        """Keep every recording as it is for a while: an erasure finds nothing half done."""
        async with self._changing, self._uploading:
            yield

    async def _each(
        self,
        queue: deque[RecordingRecord],
        work: Callable[[RecordingRecord], Awaitable[RecordingRecord | None]],
    ) -> None:
        failures = 0
        while True:
            if not queue:
                if self._more and not len(self):
                    self._more = False
                    with suppress(OSError):
                        await self.take_up(await asyncio.to_thread(self.log.newest))
                    continue
                self._news.clear()
                await self._news.wait()
                continue
            record = queue[0]
            try:
                done = None if record.file in self.erased else await work(record)
            except (VoiceAgentError, OSError) as error:
                queue.rotate(-1)
                failures += 1
                if failures == 1:
                    _log.warning("a recording waits", file=record.file, error=str(error))
                await self._pause(RETRY_S[min(failures, len(RETRY_S)) - 1])
                continue
            except Exception:  # one recording must not keep the others from their care
                _log.exception("a recording is left as it is", file=record.file)
                done = None
            failures = 0
            with suppress(ValueError):
                queue.remove(record)
            if done is not None:
                self.take(done)

    async def _encode_one(self, record: RecordingRecord) -> RecordingRecord | None:
        wav, opus = self.folder / record.file, self.folder / opus_name(record.file)
        # A process that was killed may have left an encoder behind, which writes on in its own file.
        part = opus.with_name(f"{opus.name}.{os.getpid()}-{next(self._parts)}{PART}")
        with ExitStack() as stack:
            if not await asyncio.to_thread(stack.enter_context, taken(wav)):
                return None  # gone, or in the care of another process
            try:
                result = await self._encode(wav, part, self.plan.bitrate)
            except (VoiceAgentError, OSError, ValueError) as error:
                part.unlink(missing_ok=True)
                self._given_up[record.file] = tries = self._given_up.get(record.file, 0) + 1
                if tries < ENCODE_TRIES:
                    raise
                _log.error("a recording stays a WAV file", file=record.file, error=str(error))
                return record
            encoded = replace(
                record,
                state="encoded",
                format="opus",
                location=opus.name,
                seconds=result.seconds,
                bytes=result.bytes,
                sha256=result.sha256,
                changed_at=round(self._wall(), 3),
            )
            async with self._changing:
                if record.file in self.erased or not wav.is_file():  # it was removed meanwhile
                    part.unlink(missing_ok=True)
                    return None
                await asyncio.to_thread(self._swap, part, opus, encoded, wav)
                self._keep(encoded)
        return encoded

    async def _store_one(self, record: RecordingRecord) -> RecordingRecord | None:
        store = self.plan.store
        path = self.folder / record.location
        if store is None or not path.is_file():
            return None
        async with self._uploading:
            if record.file in self.erased:
                return None
            await asyncio.to_thread(_put, store, path, record.sha256)
            stored = replace(
                record,
                state="stored",
                location=f"{store.url.rstrip('/')}/{path.name}",
                changed_at=round(self._wall(), 3),
            )
            await asyncio.to_thread(self._let_go, stored, path)
            self._keep(stored)
        return stored

    def _swap(self, part: Path, opus: Path, encoded: RecordingRecord, wav: Path) -> None:
        part.replace(opus)
        self.log.append(encoded)
        wav.unlink(missing_ok=True)

    def _let_go(self, stored: RecordingRecord, path: Path) -> None:
        self.log.append(stored)
        if not self.plan.keep_local:
            path.unlink(missing_ok=True)


def open_aftercare(settings: Settings, archive: Archive, metrics: Metrics) -> Aftercare:
    """Return the care for the recordings of a node. Raises ConfigError where the store cannot be used."""
    recording = settings.recording
    try:
        store = open_store(recording.store, recording.store_options) if recording.store else None
    except StoreError as error:
        raise ConfigError("recording.store", str(error)) from None
    if recording.format == "auto" and not recording.as_opus:
        _log.info("recordings stay WAV files", opus="needs the extra codecs")
    plan = AftercarePlan(recording.as_opus, recording.bitrate, store, recording.keep_local)

    def keep(record: RecordingRecord) -> None:
        archive.keep_state(record)
        if record.state in ("encoded", "stored"):
            metrics.recording(record.state)

    aftercare = Aftercare(Path(settings.recordings_dir), plan, keep)
    archive.recorded = aftercare.take
    metrics.watch("recordings_waiting", lambda: len(aftercare))
    return aftercare


async def look_after(aftercare: Aftercare, database: Database) -> None:
    """Take up what earlier runs left, then care for what comes."""
    await aftercare.take_up(await known_of(aftercare, database))
    await aftercare.run()


async def known_of(aftercare: Aftercare, database: Database) -> dict[str, RecordingRecord]:
    """Return what the database tells of the recordings that are, or were, in the folder."""
    files = await asyncio.to_thread(aftercare.left)
    for wait_s in (*DATABASE_S, None):
        try:
            return await database.run(lambda c: recordings.of_files(c, files))
        except DatabaseDown:
            if wait_s is not None:  # without it, file names and times have to do
                await asyncio.sleep(wait_s)
    return {}


def _put(store: ObjectStore, path: Path, sha256: str) -> None:
    store.put(path.name, path)
    verify(store, path.name, path, sha256)


__all__ = ["Aftercare", "AftercarePlan", "look_after", "next_step", "open_aftercare"]
