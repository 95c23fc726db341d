"""The live stream: server-sent events from one subscription, one bounded queue per reader.

The stream's format is the HTML standard's (§9.2 Server-sent events). Ids are ``<epoch>-<n>``: ``n`` is the
directory's number and the epoch is this process, so that an id of an earlier process is never mistaken for
one of ours. In a fleet they are ``f.<cursor>``, and good on every node. A reader who cannot be resumed
without a gap (new, from another process, too old, too slow) first gets ``snapshot`` with the list of calls;
whatever follows builds on it.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, nullcontext
from typing import Any, NamedTuple, cast

from voiceagent.console.ports import Directory, LiveEvent
from voiceagent.console.snapshots import Snapshots
from voiceagent.console.views import plain
from voiceagent.tasks import TaskNest

KEPT = 1000
"""Newest events kept for readers who come back."""
WRITES_PER_S = 400
LOOK_S = 1.0
"""A stream that always has something to send is asked so often whether it may go on."""
RETRY_MS = 1000
"""What we ask browsers to wait before they come back."""
_EVENT_ID = re.compile(r"([0-9a-z]{1,32})-([0-9]{1,18})", re.ASCII)
_FLEET_ID = re.compile(r"f\.([0-9A-Za-z-]{1,64})", re.ASCII)
GAP = "gap"


def encode(event: str, data: object, *, event_id: str | None = None) -> bytes:
    """Return one event in wire form. JSON in ASCII has no line breaks, so one ``data`` line holds it."""
    return _wire(event.encode("unicode_escape").decode("ascii"), json.dumps(data), event_id)


def _wire(event: str, data: str, event_id: str | None) -> bytes:
    lines = [f"id: {event_id}"] if event_id is not None else []
    return ("\n".join([*lines, f"event: {event}", f"data: {data}"]) + "\n\n").encode("ascii")


class _Kept(NamedTuple):
    """An event that can be given out again."""

    number: int
    cursor: str
    wire: bytes


class _Batch(NamedTuple):
    """Some events in wire form, the same bytes for every reader."""

    events: int
    wire: bytes


class Streams:
    """All live streams of the console: one subscription, encoded once, given out to every reader.

    The first event after a pause goes out at once, those of the next ``tick_s`` together after it: a hundred
    readers of a busy node must not take the event loop from the calls.
    """

    def __init__(
        self,
        directory: Directory,
        *,
        epoch: str,
        queue: int,
        heartbeat_s: float,
        most: int,
        tick_s: float,
    ) -> None:
        self.directory = directory
        self.epoch = epoch
        self.queue = queue
        self.heartbeat_s = heartbeat_s
        self.most = most
        self.tick_s = tick_s
        self.dropped = 0
        """Events thrown away because their reader was too slow."""
        self.closed = False
        self.refused = 0
        """Streams that were too many."""
        self.last: int | None = None
        """The number of the newest event that we saw."""
        self._snapshots = Snapshots(directory)
        self._newest_id: str | None = None
        """Its id as readers have it."""
        self._ring: deque[_Kept] = deque(maxlen=KEPT)
        self._base = ""
        """The cursor after which the ring begins; empty where that is not known."""
        self._fresh: list[bytes] = []
        self._tick: asyncio.TimerHandle | None = None
        self._open: set[Stream] = set()
        self._nest = TaskNest("console/live")
        self._pump: asyncio.Task[None] | None = None
        self._begun = asyncio.Event()

    def __len__(self) -> int:
        return len(self._open)

    @property
    def full(self) -> bool:
        """Whether one more stream would be too many."""
        return len(self._open) >= self.most

    def open(self, last_event_id: str | None, welcome: Callable[[], bool]) -> Stream:
        """Return a new stream. ``welcome`` is asked whether it may go on: at every heartbeat, every second
        in which something is sent, and before anything is sent after a reader stood still.
        """
        return Stream(self, self._place_of(last_event_id or ""), welcome)

    def _place_of(self, event_id: str) -> int | str | None:
        """Return the number or the cursor that an id of a reader stands for; None when it is none of ours."""
        fleet = _FLEET_ID.fullmatch(event_id)
        if fleet:
            return fleet[1]
        own = _EVENT_ID.fullmatch(event_id)
        return int(own[2]) if own and own[1] == self.epoch else None

    def close(self) -> None:
        """End every stream cleanly and take no new ones."""
        self.closed = True
        self.flush()
        for stream in list(self._open):
            stream.end("closing")
        # Not left to the readers: one whose connection broke in the middle of a write leaves late.
        self._stop_listening()

    def forget(self) -> None:
        """Give out nothing again of what has been: every reader begins anew."""
        self._start_over("")

    async def join(self, stream: Stream) -> None:
        """Let ``stream`` take part, from where it left off if all since then is still kept."""
        if self.closed:
            stream.end("closing")
            return
        self._open.add(stream)
        if self._pump is None:
            self._snapshots.forget()
            begun = self._begun = asyncio.Event()
            self._pump = self._nest.start("pump", self._run(self._beginning(stream.after), begun))
        # Once it has begun, it misses nothing: nothing may happen between that and the snapshot.
        await self._begun.wait()
        self.flush()
        stream.begin(self._since(stream.after))

    def _beginning(self, after: int | str | None) -> int | str | None:
        """Return from where to follow, for a first reader who knows all up to ``after``."""
        if self.last is not None and (isinstance(after, int) or self._since(after) is not None):
            return self.last
        self.last = self._newest_id = None
        self._ring.clear()
        self._base = after if isinstance(after, str) else ""
        return after if isinstance(after, str) else None

    def leave(self, stream: Stream) -> None:
        """Forget ``stream``; without readers nothing is listened to."""
        self._open.discard(stream)
        if not self._open:
            self._stop_listening()

    def _stop_listening(self) -> None:
        pump, self._pump = self._pump, None
        if pump is not None:
            pump.cancel()
            self._begun.set()  # cancelled before its first step, it would not say so itself

    def flush(self) -> None:
        """Give out what has gathered."""
        if self._tick is not None:
            self._tick.cancel()
            self._tick = None
        if not self._fresh:
            return
        batch = _Batch(len(self._fresh), b"".join(self._fresh))
        self._fresh.clear()
        for stream in self._open:
            stream.take(batch)

    def snapshot(self) -> tuple[str | None, str, bytes]:
        """Return an event's id, every call after it in JSON, and all events since in wire form.

        Taken in one step with what was given out before: nothing is missing between that and what follows.
        """
        self.flush()
        shared = self._snapshots.remembered()
        if shared is not None:
            missed = [] if shared.number == self.last else self._since(shared.number)
            if missed is not None:
                return shared.event_id, shared.calls, b"".join(missed)
        made = self._snapshots.make(self.last, self._newest_id)
        return made.event_id, made.calls, b""

    def _since(self, after: int | str | None) -> list[bytes] | None:
        """Return the events after ``after``; None when they are not all there."""
        if isinstance(after, str):
            for place, kept in enumerate(reversed(self._ring)):
                if kept.cursor == after:
                    return [one.wire for one in self._ring][len(self._ring) - place :]
            whole = after == self._base and len(self._ring) < KEPT
            return [one.wire for one in self._ring] if whole else None
        if after is None or self.last is None:
            return None
        missing = [one.wire for one in self._ring if one.number > after]
        return missing if len(missing) == self.last - after else None

    async def _run(self, after: int | str | None, begun: asyncio.Event) -> None:
        try:
            try:
                events = await self.directory.follow(after)
            finally:
                begun.set()
            async with aclosing(cast("Any", events)) if hasattr(events, "aclose") else nullcontext():
                async for event in events:
                    self._take(event)
        finally:
            if self._pump is asyncio.current_task():
                # Not cancelled by the last reader's leaving: the directory has ended, or failed.
                self._pump = None
                self.flush()
                for stream in list(self._open):
                    stream.end("closing")

    def _take(self, event: LiveEvent) -> None:
        gap = event.type == GAP
        if gap or (self.last is not None and event.id != self.last + 1):
            self._start_over(event.cursor if gap else "")
        self.last = event.id
        self._newest_id = f"f.{event.cursor}" if event.cursor else f"{self.epoch}-{event.id}"
        if gap:
            return
        data = {"call_id": event.call_id, "data": plain(event.data)}
        if event.node:
            data["node"] = plain(event.node)
        wire = encode(event.type, data, event_id=self._newest_id)
        self._ring.append(_Kept(event.id, event.cursor, wire))
        self._fresh.append(wire)
        if self._tick is None:
            self.flush()
            if self.tick_s > 0:
                self._tick = asyncio.get_running_loop().call_later(self.pause_s(), self._ticked)

    def _start_over(self, base: str) -> None:
        self._fresh.clear()
        self._ring.clear()
        self._snapshots.forget()
        self._base = base
        for stream in self._open:
            stream.start_over("gap")

    def _ticked(self) -> None:
        self._tick = None
        if self._fresh:
            self.flush()
            self._tick = asyncio.get_running_loop().call_later(self.pause_s(), self._ticked)

    def pause_s(self) -> float:
        """Return the seconds between two rounds: all readers together cost at most 400 writes a second.

        Whoever does not read costs none, and must not make the others wait.
        """
        return max(self.tick_s, sum(not stream.stuck for stream in self._open) / WRITES_PER_S)


class Stream:
    """One reader. :meth:`chunks` gives wire-ready bytes until the stream ends."""

    def __init__(self, streams: Streams, after: int | str | None, welcome: Callable[[], bool]) -> None:
        self.after = after
        self._streams = streams
        self._welcome = welcome
        self._waiting: list[_Batch] = []
        self._held = 0
        """Events in ``_waiting`` that the queue is to hold."""
        self._wake = asyncio.Event()
        self._snapshot: str | None = "start"
        self._lost = 0
        self._ended: str | None = None

    @property
    def stuck(self) -> bool:
        """What was given out before the newest still waits: he does not read, or not fast enough."""
        return self._snapshot == "behind" or len(self._waiting) > 1

    def begin(self, missed: list[bytes] | None) -> None:
        """Start with what was missed, or, when that is None, with a snapshot."""
        if missed is None:
            self._snapshot = "start" if self.after is None else "gap"
            return
        self._snapshot = None
        if missed:
            # A reader who comes back may get more at once than the queue would hold: it is all kept anyway.
            self._waiting.append(_Batch(0, b"".join(missed)))

    def take(self, batch: _Batch) -> None:
        """Queue events; never waits for the reader."""
        self._wake.set()
        if self._snapshot is None:
            self._waiting.append(batch)
            self._held += batch.events
            if self._held > self._streams.queue:
                self.start_over("behind")
        elif self._snapshot == "behind":
            # The snapshot is taken when it can be written, later than now, and so holds this as well.
            self._count_lost(batch.events)

    def start_over(self, reason: str) -> None:
        """Throw away what waits and send a snapshot instead."""
        self._snapshot = reason
        self._count_lost(self._held)
        self._waiting.clear()
        self._held = 0
        self._wake.set()

    def end(self, reason: str) -> None:
        """Let the stream say goodbye and stop."""
        self._ended = self._ended or reason
        self._wake.set()

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the stream: retry hint, snapshot where needed, events, heartbeat comments, goodbye."""
        loop = asyncio.get_running_loop()
        looked = loop.time()
        try:
            await self._streams.join(self)  # he may be gone before it has begun
            yield f"retry: {RETRY_MS}\n\n".encode()
            while self._ended is None:
                if loop.time() - looked >= min(LOOK_S, self._streams.heartbeat_s):
                    looked = loop.time()
                    if not self._welcome():
                        self._shut_out()
                        break
                if self._snapshot is not None:
                    yield self._take_snapshot()
                elif self._waiting:
                    yield self._take_waiting()
                else:
                    self._wake.clear()
                    try:
                        async with asyncio.timeout(self._streams.heartbeat_s):
                            await self._wake.wait()
                    except TimeoutError:
                        looked = loop.time()
                        if not self._welcome():
                            self._shut_out()
                        else:
                            yield b": still here\n\n"
            yield self._take_waiting() + encode("bye", {"reason": self._ended})
        finally:
            self._streams.leave(self)

    def _shut_out(self) -> None:
        """Whoever may not see calls any more gets nothing of what waits."""
        self._waiting.clear()
        self.end("signed_out")

    def _take_waiting(self) -> bytes:
        wire = b"".join(batch.wire for batch in self._waiting)
        self._waiting.clear()
        self._held = 0
        return wire

    def _take_snapshot(self) -> bytes:
        """What the directory holds, and what has happened since that was looked up."""
        event_id, calls, since = self._streams.snapshot()
        fleet = plain(self._streams.directory.standing())
        facts = json.dumps(
            {"reason": self._snapshot, "dropped": self._lost, **({"cluster": fleet} if fleet else {})}
        )
        self._snapshot, self._lost = None, 0
        return _wire("snapshot", f'{facts[:-1]}, "calls": {calls}}}', event_id) + since

    def _count_lost(self, count: int) -> None:
        self._lost += count
        self._streams.dropped += count
