"""What a session sends: events get their ids, pass the fault script, and leave in order."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from .faults import FaultPlan

MOST_WAITING = 64 * 1024 * 1024
"""Characters waiting for a client that does not read, before its session is cut."""
REORDER_WAIT_S = 0.05


BARE = frozenset({"input_audio_buffer.dtmf_event_received"})
"""Events that the contract gives no ``event_id``."""


class EventSink(Protocol):
    """Where a session's events go: an :class:`Outbox`, or several."""

    def new_id(self, prefix: str) -> str:
        """Return a fresh id such as ``item_…``."""
        ...

    def emit(self, kind: str, **fields: Any) -> None:
        """Send one server event."""
        ...

    def close(self, code: int, reason: str) -> None:
        """Close the connection once everything before it has left."""
        ...


class Socket(Protocol):
    """The sending half of a connection."""

    async def send(self, message: str, /) -> None:
        """Send one text frame."""
        ...

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close with a handshake."""
        ...


@dataclass(frozen=True, slots=True)
class _Frame:
    text: str
    delay_s: float = 0.0


@dataclass(frozen=True, slots=True)
class _Close:
    code: int
    reason: str


ABORT = 1006
"""Not a code that can be sent: the TCP connection is aborted instead."""


class Outbox:
    """One session's outgoing events; :meth:`run` is its only writer."""

    def __init__(self, tokens: Callable[[], str], plan: FaultPlan, expire: Callable[[], None]) -> None:
        self._tokens = tokens
        self._plan = plan
        self._expire = expire
        self._queue: deque[_Frame | _Close] = deque()
        self._waiting = 0
        self._held: list[str] = []
        self._wake = asyncio.Event()
        self._closed = False

    def new_id(self, prefix: str) -> str:
        """Return a fresh id such as ``item_…``."""
        return f"{prefix}_{self._tokens()}"

    def emit(self, kind: str, **fields: Any) -> None:
        """Send one server event; nothing leaves after a close."""
        if self._closed:
            return
        head = {"type": kind} if kind in BARE else {"type": kind, "event_id": self.new_id("event")}
        text = json.dumps({**head, **fields}, separators=(",", ":"))
        fault = self._plan.outgoing(kind)
        if fault.after_next:
            self._held.append(text)
            self._wake.set()
        elif fault.copies:
            held, self._held = self._held, []
            for copy in [text] * fault.copies + held:
                self._put(_Frame(copy, fault.delay_s))
        if self._waiting > MOST_WAITING:
            self.close(1008, "The client does not read.")
        if fault.close is not None:
            self.close(fault.close, "cut by the fault script")
        elif fault.expire:
            self._expire()

    def _put(self, entry: _Frame | _Close) -> None:
        if isinstance(entry, _Frame):
            self._waiting += len(entry.text)
        self._queue.append(entry)
        self._wake.set()

    def close(self, code: int, reason: str) -> None:
        """Close the connection once everything before it has left."""
        if self._closed:
            return
        self._closed = True
        for text in self._held:
            self._put(_Frame(text))
        self._put(_Close(code, reason))

    def stop(self) -> None:
        """The connection is gone: nothing leaves any more. ``expire`` may lead back here."""
        self._closed = True
        self._expire = _never

    async def run(self, socket: Socket, abort: Callable[[], None]) -> None:
        """Write until a close was sent."""
        while True:
            while not self._queue:
                self._wake.clear()
                await self._wait()
            entry = self._queue.popleft()
            if isinstance(entry, _Close):
                if entry.code == ABORT:
                    abort()
                else:
                    await socket.close(entry.code, entry.reason)
                return
            if entry.delay_s:
                await asyncio.sleep(entry.delay_s)
            self._waiting -= len(entry.text)
            await socket.send(entry.text)

    async def _wait(self) -> None:
        """Wait for an entry; an event held back for its successor leaves alone when none comes."""
        if not self._held:
            await self._wake.wait()
            return
        try:
            async with asyncio.timeout(REORDER_WAIT_S):
                await self._wake.wait()
        except TimeoutError:
            held, self._held = self._held, []
            for text in held:
                self._put(_Frame(text))


def _never() -> None:
    """Nothing expires any more."""
