"""The newest events in their one order, for any number of readers. A reader is a place in the ring, no more.

So nobody has to unsubscribe, a slow reader costs nothing, and a cursor is good as long as its event is kept.
Where events come from afar the feed sleeps while nobody reads: then the ring is empty.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Collection

from voiceagent.cluster.ports import GAP, FleetEvent

KEPT = 5000
"""Events that can be asked for again."""


class EventRing:
    """PURE. Places count from 0 and never come again; ``start ≤ place ≤ end`` are kept."""

    def __init__(self, size: int = KEPT, *, begin: str) -> None:
        self._size = size
        self._begin = begin
        self._events: deque[FleetEvent] = deque()
        self._after = {begin: 0}
        self._dropped_ms = -1
        """Of the newest event that had to make room."""
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
            gone = self._events.popleft().cursor
            self._after.pop(gone, None)
            self._dropped_ms = _ms(gone)
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

    def since(self, ms: int) -> int | None:
        """Return the place of the first event of that time or later; None: such a one is no longer kept.

        Of cursors that begin with the time, ms, as those of a stream in Redis do.
        """
        place = self.end
        for event in reversed(self._events):
            if _ms(event.cursor) < ms:
                return place
            place -= 1
        return None if self._dropped_ms >= ms else place

    def forget(self, calls: Collection[str]) -> int:
        """Empty the events of these calls; return how many. Their cursors stay known."""
        emptied = 0
        for place, event in enumerate(self._events):
            if event.type and event.call_id in calls:
                self._events[place] = FleetEvent(event.cursor, event.node, "", "", {})
                emptied += 1
        return emptied

    def clear(self) -> None:
        """Forget all of them: no place so far is good any more, but cursors may become known again."""
        self.start = self.end + 1
        self._events.clear()
        self._after.clear()
        self._dropped_ms = -1
        self.tail = self._begin

    def complete(self) -> None:
        """All that is kept has been added. Is there something, more may have followed ``begin`` before it."""
        if not self._events:
            self._after[self._begin] = self.start


def _ms(cursor: str) -> int:
    ms, _, _ = cursor.partition("-")
    return int(ms) if ms.isdecimal() else 0


class EventFeed:
    """The ring, and the bell that wakes its readers."""

    def __init__(self, size: int = KEPT, *, begin: str, now_ms: Callable[[], int] | None = None) -> None:
        """``now_ms`` returns a time that no event of the future is before; with it the feed begins asleep,
        until whoever fills it says :meth:`awake`.
        """
        self.ring = EventRing(size, begin=begin)
        self.closed = False
        self.live = now_ms is None
        """The ring has all that is kept, and what comes is added at once."""
        self.wanted = asyncio.Event()
        """Set while there are readers, or were a moment ago."""
        self.asked = 0
        """Rises whenever somebody wants an event."""
        self.waiting = 0
        """Readers that wait for one now."""
        self.now_ms: Callable[[], int] = now_ms or (lambda: 0)
        self._bell = asyncio.Event()

    def add(self, event: FleetEvent) -> None:
        """Hand an event to all readers."""
        self.ring.add(event)
        self._ring_bell()

    def awake(self) -> None:
        """All that is kept has been added."""
        self.ring.complete()
        self.live = True
        self._ring_bell()

    def sleep(self) -> None:
        """Nobody reads: what comes now is not added any more."""
        self.live = False
        self.wanted.clear()
        self.ring.clear()

    def want(self) -> None:
        """Somebody reads, or is about to."""
        self.asked += 1
        self.wanted.set()

    def close(self) -> None:
        """End all readers, after what they have not read yet."""
        self.closed = True
        self._ring_bell()

    def _ring_bell(self) -> None:
        bell, self._bell = self._bell, asyncio.Event()
        bell.set()

    async def news(self) -> None:
        """Wait until anything changes."""
        self.waiting += 1
        try:
            await self._bell.wait()
        finally:
            self.waiting -= 1

    def subscribe(self, after: str | None = None) -> FeedReader:
        """Return a reader from now on, or from what follows a cursor."""
        self.want()
        return FeedReader(self, after)


class FeedReader:
    """One reader; fulfils ``Subscription``.

    Its place is found anew, by the last cursor or the time it began, when the feed has slept.
    """

    def __init__(self, feed: EventFeed, after: str | None) -> None:
        self._feed = feed
        self._place = -1
        self._after = after
        self._since = 0
        if after is not None:
            return
        if feed.live:
            self._place, self._after = feed.ring.end, feed.ring.tail
        else:
            self._since = feed.now_ms()

    def __aiter__(self) -> FeedReader:
        return self

    async def __anext__(self) -> FleetEvent:
        feed, ring = self._feed, self._feed.ring
        feed.want()
        while True:
            if feed.live:
                event = self._next(ring)
                if event is not None:
                    self._after = event.cursor
                    return event
            if feed.closed:
                raise StopAsyncIteration
            await feed.news()

    def _next(self, ring: EventRing) -> FleetEvent | None:
        if self._place < ring.start:
            place = ring.since(self._since) if self._after is None else ring.after(self._after)
            if place is None or place < ring.start:
                self._place = ring.end
                return FleetEvent(ring.tail, "", GAP, "", {})
            self._place = place
        while (event := ring.at(self._place)) is not None:
            self._place += 1
            if event.type:  # else it was forgotten
                return event
        return None
