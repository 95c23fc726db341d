"""What earlier runs of this node left: journals without an end, and ends that the database does not know.

The folder of journals belongs to one process at a time (a lock), so a journal without an end, found at a
start, is that of a call whose process died: it gets its end, once. A mark in the folder says until when all
is known to be in the database; only journals that were written to since are looked at.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import structlog

from voiceagent.app.archive import Archive
from voiceagent.app.endings import NODE_LOST, FoundInJournal
from voiceagent.errors import ConfigError
from voiceagent.notify.message import Message
from voiceagent.records.closing import read_and_close
from voiceagent.records.derive import Kept
from voiceagent.records.lock import FolderBusy, FolderLock
from voiceagent.records.reading import SUFFIX, UnreadableJournal, has_end, journals_in
from voiceagent.records.rows import CallRecord
from voiceagent.records.states import write_whole
from voiceagent.store import Database, DatabaseDown, history

_log = structlog.get_logger("voiceagent.archive")

MARK = ".taken_in"
MARGIN_S = 60.0
"""Journals written to so long before the mark are looked at all the same: clocks of file systems differ."""
MARK_EVERY_S = 60.0
AT_ONCE = 200
RETRY_S = 2.0
MOST_WAITING = 1000
"""Calls that may wait in the archive before more are read."""


class Intake:
    """The folder of journals of one node, and what of it the database still lacks."""

    def __init__(
        self,
        folder: Path,
        database: Database,
        archive: Archive,
        *,
        announce: Callable[[CallRecord], Message | None],
        oldest_live: Callable[[], float | None] = lambda: None,
        holder: str = "",
        clock: Callable[[], float] = time.time,
    ) -> None:
        """``oldest_live`` returns when the oldest running call began; ``holder`` is told to other nodes."""
        self.folder = folder
        self._database = database
        self._archive = archive
        self._announce = announce
        self._oldest_live = oldest_live
        self._holder = holder
        self._clock = clock
        self._lock: FolderLock | None = None
        self._left: deque[Path] = deque()
        self._looked = False
        """All that earlier runs left is in the archive."""
        archive.left_out = self._left_out

    # ── start and stop ──────────────────────────────────────────────────────────────────────────
    def open(self) -> None:
        """Take the folder, and note which journals are to be looked at. Blocks for a look at the folder.

        Raises ConfigError naming ``journal_dir``: another node has it, or it cannot be used.
        """
        try:
            self._lock = FolderLock(self.folder, self._holder)
            self._left.extend(journals_in(self.folder, since=self._mark().get("at", 0.0) - MARGIN_S))
        except FolderBusy as busy:
            words = f"belongs to {busy.holder or 'another process'}: each node needs its own"
            raise ConfigError("journal_dir", f"{str(self.folder)!r} {words}") from None
        except OSError as error:
            raise ConfigError("journal_dir", f"cannot use {str(self.folder)!r}: {error.strerror}") from None

    @property
    def knows_database(self) -> bool:
        """An earlier run has used this database: that it is away now is no mistake in the settings."""
        return self._mark().get("database") == _digest(self._database.url)

    def close(self) -> None:
        """Give the folder back. Harmless when repeated."""
        if self._lock is not None:
            self.mark()
            self._lock.release()
            self._lock = None

    # ── work ────────────────────────────────────────────────────────────────────────────────────
    async def run(self) -> None:
        """Take in what was left, then keep the mark, until cancelled."""
        while True:
            self._looked = await self.take_in()
            await asyncio.to_thread(self.mark)
            await asyncio.sleep(MARK_EVERY_S)

    async def take_in(self) -> bool:
        """Look at every journal that is to be looked at; return whether nothing is left to do."""
        of, taken, again = len(self._left), 0, list[Path]()
        while self._left:
            some = [self._left[at] for at in range(min(AT_ONCE, len(self._left)))]
            unended = await asyncio.to_thread(_without_end, some)
            rows = await self._known([path.name.removesuffix(SUFFIX) for path in some])
            for path in some:
                if path in unended or rows.get(path.name.removesuffix(SUFFIX), NODE_LOST) == NODE_LOST:
                    found = await self._take(path)
                    taken += bool(found)
                    if found is None:
                        again.append(path)
                self._left.popleft()
            if of > AT_ONCE:
                _log.info("journals looked at", left=len(self._left), of=of)
        if taken:
            _log.warning("calls taken in from their journals", calls=taken)
        self._left.extend(again)
        return not again

    async def _known(self, ids: Sequence[str]) -> dict[str, str]:
        told = False
        while True:
            try:
                return await self._database.run(lambda c: history.reasons_of(c, ids))
            except DatabaseDown as down:
                if not told:
                    _log.warning("journals wait for the database", error=str(down))
                told = True
                await asyncio.sleep(RETRY_S)

    async def _take(self, path: Path) -> bool | None:
        """Return whether a call was taken in; None where its journal may be ended another time."""
        while len(self._archive) > MOST_WAITING:  # noqa: ASYNC110 - the archive tells nobody how long it is
            await asyncio.sleep(0.1)
        try:
            made = await asyncio.to_thread(read_and_close, path)
        except UnreadableJournal as error:
            _log.error("a journal cannot be read", error=str(error))
            return False
        except OSError as error:
            _log.error("a journal cannot be ended", journal=path.name, error=error.strerror)
            return None
        kept = None if made is None else made.kept()
        if kept is None:
            return False
        self._keep(kept)
        return True

    def _keep(self, kept: Kept) -> None:
        try:
            message = self._announce(kept.call)
        except Exception:  # the record is worth more than its telling
            _log.exception("the end of a call cannot be told", call_id=kept.call.id)
            message = None
        entry = (kept.call, list(kept.lines), list(kept.responses))
        self._archive.keep_found(entry, message, FoundInJournal(kept, self._clock()))

    def _left_out(self, record: CallRecord) -> None:
        """The archive had no place for a call: its journal is read again when there is one."""
        if record.journal:
            self._left.append(self.folder / record.journal)

    # ── the mark ────────────────────────────────────────────────────────────────────────────────
    def mark(self) -> None:
        """Note until when everything is in the database, and that it was."""
        if not self._looked:
            return
        at = min(self._clock(), self._oldest_live() or float("inf"))
        if len(self._archive) or self._left:
            at = float(self._mark().get("at", 0.0))
        body = {"at": round(at, 3), "database": _digest(self._database.url)}
        try:
            write_whole(self.folder / MARK, json.dumps(body).encode())
        except OSError as error:
            _log.warning("no mark is kept", error=error.strerror)

    def _mark(self) -> dict[str, Any]:
        try:
            found: Any = json.loads((self.folder / MARK).read_bytes())
            return {"at": float(found["at"]), "database": str(found["database"])}
        except (OSError, ValueError, KeyError, TypeError):
            return {}


def _without_end(paths: Sequence[Path]) -> set[Path]:
    def look() -> Iterator[Path]:
        for path in paths:
            try:
                if not has_end(path):
                    yield path
            except OSError:
                yield path  # told when it is read

    return set(look())


def _digest(url: str) -> str:
    return hashlib.sha256(url.encode()).hexdigest()[:16]
