"""The live stream: server-sent events, one bounded queue per reader.

The stream's format is the HTML standard's (§9.2 Server-sent events). Ids are ``<epoch>-<n>``: ``n`` is the
directory's number and the epoch is this process, so that an id of an earlier process is never mistaken for
one of ours. A reader who cannot be resumed without a gap (new, from another process, too old, too slow) first
gets ``snapshot`` with the list of calls; whatever follows builds on it.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, nullcontext
from typing import Any, cast

from starlette.background import BackgroundTask
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from voiceagent.console.ports import Directory, LiveEvent
from voiceagent.console.views import call_data, plain

RETRY_MS = 1000
"""What we ask browsers to wait before they come back."""
_EVENT_ID = re.compile(r"([0-9a-z]{1,32})-([0-9]{1,18})", re.ASCII)


def encode(event: str, data: object, *, event_id: str | None = None) -> bytes:
    """Return one event in wire form. JSON in ASCII has no line breaks, so one ``data`` line holds it."""
    lines = [f"id: {event_id}"] if event_id is not None else []
    lines += [f"event: {event.encode('unicode_escape').decode('ascii')}", f"data: {json.dumps(data)}"]
    return ("\n".join(lines) + "\n\n").encode("ascii")


class Streams:
    """All live streams of the console: counts them and ends them together."""

    def __init__(
        self, directory: Directory, *, epoch: str, queue: int, heartbeat_s: float, most: int
    ) -> None:
        self.directory = directory
        self.epoch = epoch
        self.queue = queue
        self.heartbeat_s = heartbeat_s
        self.most = most
        self.dropped = 0
        """Events thrown away because their reader was too slow."""
        self._open: set[Stream] = set()
        self.closed = False

    def __len__(self) -> int:
        return len(self._open)

    @property
    def full(self) -> bool:
        """Whether one more stream would be too many."""
        return len(self._open) >= self.most

    def close(self) -> None:
        """End every stream cleanly and take no new ones."""
        self.closed = True
        for stream in list(self._open):
            stream.end("closing")

    def open(self, last_event_id: str | None, welcome: Callable[[], bool]) -> Stream:
        """Return a new stream. ``welcome`` is asked at every heartbeat whether it may go on."""
        return Stream(self, self._after(last_event_id), welcome, self._open)

    def _after(self, last_event_id: str | None) -> int | None:
        found = _EVENT_ID.fullmatch(last_event_id or "")
        return int(found[2]) if found and found[1] == self.epoch else None


class Stream:
    """One reader. :meth:`chunks` gives wire-ready bytes until the stream ends."""

    def __init__(
        self, streams: Streams, after: int | None, welcome: Callable[[], bool], registry: set[Stream]
    ) -> None:
        self._streams = streams
        self._after = after
        self._welcome = welcome
        self._registry = registry
        self._waiting: deque[LiveEvent] = deque()
        self._wake = asyncio.Event()
        self._snapshot: str | None = None if after is not None else "start"
        self._last = after
        self._lost = 0
        self._ended: str | None = None

    def end(self, reason: str) -> None:
        """Let the stream say goodbye and stop."""
        self._ended = self._ended or reason
        self._wake.set()

    async def pump(self) -> None:
        """Move events from the directory into the queue; never waits for the reader."""
        events = self._streams.directory.events(after=self._after)
        async with aclosing(cast("Any", events)) if hasattr(events, "aclose") else nullcontext():
            async for event in events:
                self._take(event)
        self.end("closing")

    def _take(self, event: LiveEvent) -> None:
        if self._snapshot is None and self._last is not None and event.id != self._last + 1:
            self._snapshot = "gap"
        self._last = event.id
        self._waiting.append(event)
        if self._snapshot is None and len(self._waiting) > self._streams.queue:
            self._snapshot = "behind"
        if self._snapshot is not None:
            # The snapshot is taken when it can be written, later than now, and so holds all of this.
            if self._snapshot == "behind":
                self._lost += len(self._waiting)
                self._streams.dropped += len(self._waiting)
            self._waiting.clear()
        self._wake.set()

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the stream: retry hint, snapshot where needed, events, heartbeat comments, goodbye."""
        self._registry.add(self)
        try:
            yield f"retry: {RETRY_MS}\n\n".encode()
            while self._ended is None:
                if self._snapshot is not None:
                    yield self._take_snapshot()
                elif self._waiting:
                    event = self._waiting.popleft()
                    yield self._encode(event)
                else:
                    self._wake.clear()
                    try:
                        async with asyncio.timeout(self._streams.heartbeat_s):
                            await self._wake.wait()
                    except TimeoutError:
                        if not self._welcome():
                            self.end("signed_out")
                        else:
                            yield b": still here\n\n"
            while self._waiting and self._snapshot is None:
                yield self._encode(self._waiting.popleft())
            yield encode("bye", {"reason": self._ended})
        finally:
            self._registry.discard(self)

    def _take_snapshot(self) -> bytes:
        """What the directory holds now; taken in one step, so everything still queued is part of it."""
        reason, lost = self._snapshot, self._lost
        self._snapshot, self._lost = None, 0
        self._waiting.clear()
        data = {
            "reason": reason,
            "dropped": lost,
            "calls": [call_data(view) for view in self._streams.directory.calls()],
        }
        number = None if self._last is None else f"{self._streams.epoch}-{self._last}"
        return encode("snapshot", data, event_id=number)

    def _encode(self, event: LiveEvent) -> bytes:
        data = {"call_id": event.call_id, "data": plain(event.data)}
        return encode(event.type, data, event_id=f"{self._streams.epoch}-{event.id}")


class EventStreamResponse(Response):
    """Sends one :class:`Stream` until its end, the reader's departure, or the server's closing."""

    media_type = "text/event-stream"

    def __init__(self, stream: Stream) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._stream = stream
        self.background: BackgroundTask | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        stream = self._stream

        async def watch() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            raise _Gone

        async def write() -> None:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            async with aclosing(cast("Any", stream.chunks())) as chunks:
                async for chunk in chunks:
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            raise _Gone

        try:
            async with asyncio.TaskGroup() as group:
                # The pump starts first: it must be subscribed before the snapshot is taken.
                group.create_task(stream.pump(), name="console/live-pump")
                group.create_task(watch(), name="console/live-watch")
                group.create_task(write(), name="console/live-write")
        except* (_Gone, OSError):
            pass


class _Gone(Exception):
    """The stream is over; ends the group."""
