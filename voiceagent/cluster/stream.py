"""One task reads the fleet's stream of events for all readers of a node, its own events included."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable
from typing import Any, cast

from voiceagent.cluster.events import EventFeed
from voiceagent.cluster.ports import GAP, FleetEvent
from voiceagent.cluster.redis_line import LineDown, RedisLine, pairs, rows, text

BEGIN = "0-0"
PAGE = 500
AGAIN_S = 0.4


class StreamReader:
    """Feeds ``feed`` from the stream ``key``; the feed's own tail is where it goes on.

    It always waits for an answer, so it is the first to know when there is none: ``trouble`` is told why.
    """

    def __init__(
        self, line: RedisLine, key: str, feed: EventFeed, trouble: Callable[[str], None] = lambda why: None
    ) -> None:
        self._line = line
        self._key = key
        self._feed = feed
        self._trouble = trouble
        self._doubt = False
        self._block_ms = max(1, round(line.timeout_s * 500))

    async def load(self) -> None:
        """Take in all that is kept, so that any node knows any cursor that is still good. Raises LineDown."""
        while True:
            page = rows(
                await self._line.ask("XRANGE", self._key, f"({self._feed.ring.tail}", "+", "COUNT", PAGE)
            )
            self._add(page)
            if len(page) < PAGE:
                return

    def doubt(self) -> None:
        """The registry may have lost its memory: see whether the last event is still there."""
        self._doubt = True

    async def run(self) -> None:
        """Read for ever."""
        while True:
            try:
                if self._doubt:
                    await self._check()
                    self._doubt = False
                how = ("COUNT", PAGE, "BLOCK", self._block_ms)
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

    async def _check(self) -> None:
        last = self._feed.ring.tail
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
