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
"""So many events are kept for watchers who come back. After as many without a watcher, none are even made."""
QUEUE = 1000
"""Events a slow watcher may be behind; past that it is told to look afresh."""

Tell = Callable[[LiveEvent], None]
Data = Mapping[str, Any] | Callable[[], Mapping[str, Any]]


class EventHub:
    """Publishes without ever waiting; a slow watcher loses events, never slows a call.

    Ids rise by one, so that whoever misses some sees a jump and can look afresh.
    """

    def __init__(self) -> None:
        self._next = 1
        self._kept: deque[LiveEvent] = deque(maxlen=KEPT)
        self._watchers: set[asyncio.Queue[LiveEvent | None]] = set()
        self._followers: dict[str, Tell] = {}
        self._listeners: dict[str, tuple[Tell, ...]] = {}
        """By type of event; under the empty one, those of all types."""
        self._unwatched = KEPT
        """Events since anybody watched; at first nobody has, so that nobody can come back."""
        self._closed = False

    def listen(self, tell: Tell, kinds: Collection[str] = ("",)) -> None:
        """Have ``tell`` called at once with every event, or every one of these types; it must not wait."""
        for kind in kinds:
            self._listeners[kind] = (*self._listeners.get(kind, ()), tell)

    def follow(self, call_id: str, tell: Tell) -> None:
        """Have ``tell`` called at once with every event of one call; it must neither wait nor raise."""
        self._followers[call_id] = tell

    def unfollow(self, call_id: str) -> None:
        """Tell the follower of this call no more; harmless when there is none."""
        self._followers.pop(call_id, None)

    def wanted(self, kind: str, call_id: str) -> bool:
        """Return whether anybody takes such an event, now or when they come back."""
        return bool(
            self._watchers
            or self._unwatched < KEPT
            or "" in self._listeners
            or kind in self._listeners
            or call_id in self._followers
        )

    def publish(self, kind: str, call_id: str, data: Data) -> None:
        """Number an event and give it to all; after :meth:`close` nobody is told any more.

        ``data`` may be what makes them: called at once, if the event is wanted.
        """
        if self._closed:
            return
        number = self._next
        self._next += 1
        if not self._watchers:
            self._unwatched += 1
            if self._unwatched >= KEPT:
                self._kept.clear()  # whoever has seen one before these cannot go on from it
        if not self.wanted(kind, call_id):
            return
        event = LiveEvent(number, kind, call_id, data() if callable(data) else data)
        if self._unwatched < KEPT:
            self._kept.append(event)
        follower = self._followers.get(call_id)
        if follower is not None:
            follower(event)
        for watcher in self._watchers:
            if watcher.qsize() >= QUEUE:
                while not watcher.empty():
                    watcher.get_nowait()
            watcher.put_nowait(event)
        for listener in (*self._listeners.get("", ()), *self._listeners.get(kind, ())):
            try:
                listener(event)
            except Exception:  # whoever tells others of a call must not be able to end it
                _log.exception("a listener cannot take an event of type %s", kind)

    def forget(self, calls: Collection[str]) -> None:
        """Keep no event of these calls any more for those who come back."""
        self._kept = deque((one for one in self._kept if one.call_id not in calls), maxlen=KEPT)

    async def watch(self, after: int | None = None) -> AsyncIterator[LiveEvent]:
        """Yield events from now on; with ``after``, first those since that id, or a ``gap``."""
        queue: asyncio.Queue[LiveEvent | None] = asyncio.Queue()
        if after is not None:
            missed = [event for event in self._kept if event.id > after]
            if len(missed) < self._next - 1 - after:
                missed = [LiveEvent(self._next - 1, "gap", "", {})]
            for event in missed:
                queue.put_nowait(event)
        if self._closed:
            queue.put_nowait(None)
        self._watchers.add(queue)
        self._unwatched = 0
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
