"""Live events of this node: numbered, kept for a while, fanned out to whoever watches."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from typing import Any

from voiceagent.console.ports import LiveEvent

_log = logging.getLogger("voiceagent.events")

KEPT = 2000
QUEUE = 1000
"""Events a slow watcher may be behind; past that it is told to look afresh."""


class EventHub:
    """Publishes without ever waiting; a slow watcher loses events, never slows a call.

    Ids rise by one, so that whoever misses some sees a jump and can look afresh.
    """

    def __init__(self) -> None:
        self._next = 1
        self._kept: deque[LiveEvent] = deque(maxlen=KEPT)
        self._watchers: set[asyncio.Queue[LiveEvent | None]] = set()
        self._followers: dict[str, Callable[[LiveEvent], None]] = {}
        self._closed = False
        self.listeners: list[Callable[[LiveEvent], None]] = []
        """Called with every event, at once; must not wait."""

    def follow(self, call_id: str, tell: Callable[[LiveEvent], None]) -> None:
        """Have ``tell`` called at once with every event of one call; it must neither wait nor raise."""
        self._followers[call_id] = tell

    def unfollow(self, call_id: str) -> None:
        """Tell the follower of this call no more; harmless when there is none."""
        self._followers.pop(call_id, None)

    def publish(
        self, kind: str, call_id: str, data: Mapping[str, Any] | Callable[[], Mapping[str, Any]]
    ) -> None:
        """Number an event and give it to all; after :meth:`close` nobody is told any more.

        ``data`` may be what makes them, once somebody reads the event: of most events, nobody does.
        """
        if self._closed:
            return
        event = LiveEvent(self._next, kind, call_id, data)
        self._next += 1
        self._kept.append(event)
        follower = self._followers.get(call_id)
        if follower is not None:
            follower(event)
        for watcher in self._watchers:
            if watcher.qsize() >= QUEUE:
                while not watcher.empty():
                    watcher.get_nowait()
            watcher.put_nowait(event)
        for listener in self.listeners:
            try:
                listener(event)
            except Exception:  # whoever tells others of a call must not be able to end it
                _log.exception("a listener cannot take an event of type %s", kind)

    def forget(self, calls: Collection[str]) -> None:
        """Keep no event of these calls any more for those who come back."""
        self._kept = deque((one for one in self._kept if one.call_id not in calls), maxlen=KEPT)

    async def watch(self, after: int | None = None) -> AsyncIterator[LiveEvent]:
        """Yield events from now on; with ``after``, first the kept ones since that id."""
        queue: asyncio.Queue[LiveEvent | None] = asyncio.Queue()
        if after is not None:
            for event in self._kept:
                if event.id > after:
                    queue.put_nowait(event)
        if self._closed:
            queue.put_nowait(None)
        self._watchers.add(queue)
        try:
            while True:
                event = await queue.get()
                if event is None:
                    return
                yield event
        finally:
            self._watchers.discard(queue)

    def close(self) -> None:
        """End all watchers, and whoever comes later at once."""
        self._closed = True
        for watcher in self._watchers:
            watcher.put_nowait(None)
