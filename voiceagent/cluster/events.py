"""The newest events in their one order, for any number of readers. A reader is a place in the ring, no more.

So nobody has to unsubscribe, a slow reader costs nothing, and a cursor is good as long as its event is kept.
"""

from __future__ import annotations

import asyncio
from collections import deque

from voiceagent.cluster.ports import GAP, FleetEvent

KEPT = 5000
"""Events that can be asked for again."""


class EventRing:
    """PURE. Places count from 0 and never come again; ``start ≤ place ≤ end`` are kept."""

    def __init__(self, size: int = KEPT, *, begin: str) -> None:
        self._size = size
        self._events: deque[FleetEvent] = deque()
        self._after = {begin: 0}
        self.start = 0
        self.tail = begin
        """Cursor of the newest event; before the first one, ``begin``."""

    @property
    def end(self) -> int:
        """The place of the next event."""
        return self.start + len(self._events)

    def add(self, event: FleetEvent) -> None:
        """Take in the next event."""
        if len(self._events) >= self._size:
            self._after.pop(self._events.popleft().cursor, None)
            self.start += 1
        self._events.append(event)
        self._after[event.cursor] = self.end
        self.tail = event.cursor

    def at(self, place: int) -> FleetEvent | None:
        """Return the event of a place; None: it is not kept any more, or has not come yet."""
        index = place - self.start
        return self._events[index] if 0 <= index < len(self._events) else None

    def after(self, cursor: str) -> int | None:
        """Return the place that follows a cursor, None when it is unknown."""
        return self._after.get(cursor)


class EventFeed:
    """The ring, and the bell that wakes its readers."""

    def __init__(self, size: int = KEPT, *, begin: str) -> None:
        self.ring = EventRing(size, begin=begin)
        self.closed = False
        self._bell = asyncio.Event()

    def add(self, event: FleetEvent) -> None:
        """Hand an event to all readers."""
        self.ring.add(event)
        self._ring_bell()

    def close(self) -> None:
        """End all readers, after what they have not read yet."""
        self.closed = True
        self._ring_bell()

    def _ring_bell(self) -> None:
        bell, self._bell = self._bell, asyncio.Event()
        bell.set()

    async def news(self) -> None:
        """Wait until anything changes."""
        await self._bell.wait()

    def subscribe(self, after: str | None = None) -> FeedReader:
        """Return a reader from now on, or from what follows a cursor."""
        return FeedReader(self, self.ring.end if after is None else self.ring.after(after))


class FeedReader:
    """One reader; fulfils ``Subscription``."""

    def __init__(self, feed: EventFeed, place: int | None) -> None:
        self._feed = feed
        self._place = -1 if place is None else place

    def __aiter__(self) -> FeedReader:
        return self

    async def __anext__(self) -> FleetEvent:
        ring = self._feed.ring
        while True:
            if self._place < ring.start:
                self._place = ring.end
                return FleetEvent(ring.tail, "", GAP, "", {})
            event = ring.at(self._place)
            if event is not None:
                self._place += 1
                return event
            if self._feed.closed:
                raise StopAsyncIteration
            await self._feed.news()
