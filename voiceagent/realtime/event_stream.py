"""A bounded, async view of a session's events for code that prefers to iterate."""

from __future__ import annotations

import asyncio
from collections import deque

from voiceagent.realtime.model_events import RealtimeModelEvent


class EventStream:
    """Async iterator over events; ends with the session. ``dropped`` counts what a slow reader missed."""

    def __init__(self, limit: int) -> None:
        self._events: deque[RealtimeModelEvent] = deque()
        self._limit = limit
        self._ready = asyncio.Event()
        self._ended = False
        self.dropped = 0

    def put(self, event: RealtimeModelEvent) -> None:
        """Add an event, dropping the oldest when full."""
        if len(self._events) >= self._limit:
            self._events.popleft()
            self.dropped += 1
        self._events.append(event)
        self._ready.set()

    def end(self) -> None:
        """No more events will come; what is already here can still be read."""
        self._ended = True
        self._ready.set()

    def __aiter__(self) -> EventStream:
        return self

    async def __anext__(self) -> RealtimeModelEvent:
        while not self._events:
            if self._ended:
                raise StopAsyncIteration
            self._ready.clear()
            await self._ready.wait()
        return self._events.popleft()
