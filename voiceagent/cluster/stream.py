"""One task reads the fleet's stream of events for all readers of a node, its own events included.

While a node has no reader it reads nothing: of a fleet's events each costs every node that follows them.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Callable
from typing import Any, cast

from voiceagent.cluster.events import EventFeed
from voiceagent.cluster.ports import GAP, FleetEvent
from voiceagent.cluster.redis_line import LineDown, RedisLine, pairs, rows, text

BEGIN = "0-0"
PAGE = 500
LOAD_PAGE = 100
"""Of what is kept when the first reader comes: calls go on between two pages."""
AGAIN_S = 0.4
LINGER_S = 5.0
"""After the last reader: one that comes back meanwhile, as a browser does, costs nothing."""


class StreamReader:
    """Feeds ``feed`` from the stream ``key``, while it is wanted; its own tail is where it goes on.

    It always waits for an answer, so it is the first to know when there is none: ``trouble`` is told why.
    ``clock``: seconds, monotonic.
    """

    def __init__(
        self,
        line: RedisLine,
        key: str,
        feed: EventFeed,
        trouble: Callable[[str], None] = lambda why: None,
        *,
        clock: Callable[[], float] = time.monotonic,
        linger_s: float = LINGER_S,
    ) -> None:
        self._line = line
        self._key = key
        self._feed = feed
        self._trouble = trouble
        self._clock = clock
        self._linger_s = linger_s
        self._asked = 0
        self._used_at = 0.0
        self._doubt = False
        self._half_s = line.timeout_s / 2
        """So long a pause and so long a wait for the answer are within the line's limit."""

    def doubt(self) -> None:
        """The registry may have lost its memory: see whether the last event is still there."""
        self._doubt = True

    async def run(self) -> None:
        """Read for ever, while somebody wants it."""
        block_ms = max(1, round(self._half_s * 1000))
        while True:
            try:
                if not self._feed.wanted.is_set():
                    await self._pause()
                    continue
                if not self._feed.live:
                    await self._load()
                elif self._doubt:
                    await self._check()
                self._doubt = False
                how = ("COUNT", PAGE, "BLOCK", block_ms)
                got = await self._line.ask("XREAD", *how, "STREAMS", self._key, self._feed.ring.tail)
            except LineDown as down:
                self._doubt = True
                self._trouble(str(down))
                await asyncio.sleep(AGAIN_S * (0.5 + 0.5 * random.random()))
                continue
            for _, entries in rows(got):
                self._add(rows(entries))
                # So far behind, what follows may have been dropped before it was read.
                self._doubt = self._doubt or len(entries) >= PAGE
            if self._unused():
                self._feed.sleep()

    async def _pause(self) -> None:
        """Nobody reads. Wait for that a while, then see that Redis is still there. Raises LineDown."""
        try:
            async with asyncio.timeout(self._half_s):
                await self._feed.wanted.wait()
            return
        except TimeoutError:
            pass
        try:
            async with asyncio.timeout(self._half_s):
                await self._line.ask("PING")
        except TimeoutError:
            limit = f"{self._line.timeout_s:g} s"
            raise LineDown(f"Redis at {self._line.where} does not answer within {limit}", sent=True) from None

    async def _load(self) -> None:
        """Take in all that is kept, so that any node knows any cursor that is still good. Raises LineDown."""
        self._feed.ring.clear()
        while True:
            page = rows(
                await self._line.ask("XRANGE", self._key, f"({self._feed.ring.tail}", "+", "COUNT", LOAD_PAGE)
            )
            self._add(page)
            if len(page) < LOAD_PAGE:
                break
        self._feed.awake()

    def _unused(self) -> bool:
        now, feed = self._clock(), self._feed
        if feed.waiting or feed.asked != self._asked:
            self._asked, self._used_at = feed.asked, now
        return now - self._used_at >= self._linger_s and not feed.waiting

    async def _check(self) -> None:
        last = self._feed.ring.tail
        if last == BEGIN:
            return  # nothing has been read of which the end could be missing
        if await self._line.ask("XRANGE", self._key, last, last, "COUNT", 1):
            return
        newest = rows(await self._line.ask("XREVRANGE", self._key, "+", "-", "COUNT", 1))
        tail = text(newest[0][0]) if newest else BEGIN
        if tail != last:
            self._feed.add(FleetEvent(tail, "", GAP, "", {}))

    def _add(self, entries: list[Any]) -> None:
        for cursor, told in entries:
            found = {text(name): text(value) for name, value in pairs(told)}
            try:
                data = json.loads(found.get("d", "{}"))
            except ValueError:
                data = {}
            self._feed.add(
                FleetEvent(
                    text(cursor),
                    found.get("n", ""),
                    found.get("t", ""),
                    found.get("c", ""),
                    cast("dict[str, Any]", data) if isinstance(data, dict) else {},
                )
            )
