"""Who did what: written to the audit log in order, beside the event loop, and told in the service's log.

An act does not wait for its line (an operator must be able to hang up while the database is away); a line
waits for the database, and nothing is lost but by ``kill -9``.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from typing import Any

from voiceagent.console.auth import Visitor
from voiceagent.console.views import plain
from voiceagent.store import Database, DatabaseDown
from voiceagent.store.audit import Deed, append

_log = logging.getLogger("voiceagent.console.audit")

AT_ONCE = 200
RETRY_S = 1.0


class AuditDesk:
    """Takes deeds; :meth:`run` is the task that writes them."""

    def __init__(self, database: Database | None) -> None:
        self._database = database
        self._waiting: deque[tuple[float, Deed]] = deque()
        self._news = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()

    def __len__(self) -> int:
        """How many lines wait for the database."""
        return len(self._waiting)

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
            self._waiting.append((time.time(), deed))
            self._empty.clear()
            self._news.set()

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
        """Write whatever comes, until cancelled."""
        assert self._database is not None
        failing = False
        while True:
            await self._news.wait()
            self._news.clear()
            while self._waiting:
                some = list(self._waiting)[:AT_ONCE]
                try:
                    await self._database.run(
                        lambda c, some=some: [append(c, [deed], at=at) for at, deed in some]
                    )
                except DatabaseDown as down:
                    if not failing:
                        _log.warning("audit lines wait for the database: %s", down)
                    failing = True
                    await asyncio.sleep(RETRY_S)
                    continue
                failing = False
                for _ in some:
                    self._waiting.popleft()
            self._empty.set()

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
