"""Who did what: written to the audit log in order, beside the event loop, and told in the service's log.

An act does not wait for its line (an operator must be able to hang up while the database is away); a line
waits for the database, in memory and in a file (:mod:`voiceagent.console.audit_spill`), and none is lost.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from typing import Any

from voiceagent.console.audit_spill import AuditSpill, write_missing
from voiceagent.console.auth import Visitor
from voiceagent.console.views import plain
from voiceagent.store import Database, DatabaseDown
from voiceagent.store.audit import Deed, append
from voiceagent.store.database import Work

_log = logging.getLogger("voiceagent.console.audit")

AT_ONCE = 200
MOST = 5000
"""Lines that wait in memory; further ones wait in the file only."""
RETRY_S = 1.0


class AuditDesk:
    """Takes deeds; :meth:`run` is the task that writes them."""

    def __init__(self, database: Database | None, spill: AuditSpill | None = None) -> None:
        """``spill``: where lines are kept that the database does not have yet; None: in memory only."""
        self._database = database
        self._spill = spill
        self._from_file = spill is not None
        """What is in the file is to be written first: new lines go behind it."""
        self._beyond = 0
        """Lines that are in the file only."""
        self._waiting: deque[tuple[float, Deed]] = deque()
        self._news = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()

    def __len__(self) -> int:
        """How many lines wait for the database."""
        return len(self._waiting) + self._beyond

    def note(
        self,
        visitor: Visitor,
        peer: str,
        action: str,
        target: str = "",
        *,
        result: str = "done",
        **detail: Any,
    ) -> None:
        """Keep that ``visitor`` did ``action`` to ``target``. Does not wait."""
        deed = self.deed(visitor, peer, action, target, result=result, **detail)
        words = " ".join(f"{key}={value}" for key, value in detail.items())
        _log.info("%s %s by %s from %s: %s %s", action, target, visitor.name, peer, result, words)
        if self._database is not None:
            self._queue(round(time.time(), 6), deed)
            self._empty.clear()
            self._news.set()

    def _queue(self, at: float, deed: Deed) -> None:
        kept = self._spill is not None and self._spill.add(at, deed)
        if kept and (self._from_file or len(self._waiting) >= MOST):
            self._from_file = True
            self._beyond += 1
        else:
            self._waiting.append((at, deed))

    @staticmethod
    def deed(
        visitor: Visitor, peer: str, action: str, target: str = "", *, result: str = "done", **detail: Any
    ) -> Deed:
        """Return the line as it is going to be written."""
        principal = visitor.principal
        return Deed(
            actor="nobody" if principal is None else principal.name,
            role=visitor.role.value,
            via={"cookie": "page", "bearer": "api"}.get(visitor.via, visitor.via),
            action=action,
            target=target,
            result=result,
            peer=peer,
            detail=plain(detail),
        )

    async def run(self) -> None:
        """Write what was left, and whatever comes, until cancelled."""
        while True:
            while self._waiting:
                some = list(self._waiting)[:AT_ONCE]
                await self._write(lambda c, some=some: [append(c, [deed], at=at) for at, deed in some])
                for _ in some:
                    self._waiting.popleft()
            if self._spill is not None and self._from_file:
                await self._catch_up(self._spill)
                continue
            if self._spill is not None:
                self._spill.clear()
            self._empty.set()
            await self._news.wait()
            self._news.clear()

    async def _catch_up(self, spill: AuditSpill) -> None:
        """Write what is in the file and not in the database; new lines wait behind it."""
        done, seen = 0, -1
        while seen != self._beyond:  # lines came while others were written
            seen = self._beyond
            lines = (await asyncio.to_thread(spill.lines))[done:]
            for start in range(0, len(lines), AT_ONCE):
                some = lines[start : start + AT_ONCE]
                await self._write(lambda c, some=some: write_missing(c, some))
            done += len(lines)
        self._beyond, self._from_file = 0, False

    async def _write(self, work: Work[object]) -> None:
        assert self._database is not None
        failing = False
        while True:
            try:
                await self._database.run(work)
            except DatabaseDown as down:
                if not failing:
                    _log.warning("audit lines wait for the database: %s", down)
                failing = True
                await asyncio.sleep(RETRY_S)
            else:
                return

    async def flush(self, limit_s: float) -> bool:
        """Wait until all is written; False when the limit came first, and the log has what is missing."""
        try:
            async with asyncio.timeout(limit_s):
                await self._empty.wait()
        except TimeoutError:
            for _, deed in self._waiting:
                _log.error("audit line not written: %s", deed)
            return False
        return True
