"""A connection without a socket: whole frames in both directions, in order, each after a fixed time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Protocol

from voiceagent.flags import Flag
from voiceagent.realtime.frames import FrameListener

LATENCY_S = 0.01
"""How long a frame is under way."""


class Server(Protocol):
    """The other end."""

    def connected(self, link: MemoryLink) -> None:
        """A client listens."""
        ...

    def take(self, frame: bytes) -> None:
        """A frame of the client has arrived."""
        ...

    def gone(self, link: MemoryLink) -> None:
        """The client has closed the connection."""
        ...


class _Lane:
    """Frames under way in one direction; one timer for all of them."""

    def __init__(self, deliver: Callable[[bytes], None]) -> None:
        self._deliver = deliver
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[tuple[float, bytes]] = deque()

    def put(self, frame: bytes) -> None:
        due = self._loop.time() + LATENCY_S
        self._waiting.append((due, frame))
        if len(self._waiting) == 1:
            self._loop.call_at(due, self._arrive)

    def _arrive(self) -> None:
        waiting = self._waiting
        now = self._loop.time()
        while waiting and waiting[0][0] <= now:
            _, frame = waiting[0]
            self._deliver(frame)
            waiting.popleft()  # only now: what is sent meanwhile must not arm a second timer
        if waiting:
            self._loop.call_at(waiting[0][0], self._arrive)


class MemoryLink:
    """Our end; fulfils :class:`voiceagent.realtime.frames.FrameTransport`."""

    buffered = 0
    dropped = 0

    def __init__(self, server: Server) -> None:
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._listener: FrameListener | None = None
        self._down = _Lane(self._received)
        self._up = _Lane(self._sent)
        self._closed = False
        self._told = False
        self._gone = Flag()

    def listen(self, listener: FrameListener) -> None:
        self._listener = listener
        self._server.connected(self)

    def deliver(self, frame: bytes) -> None:
        """The server sends a frame."""
        self._down.put(frame)

    def lose(self, code: int, reason: str) -> None:
        """The connection is lost from now on."""
        self._loop.call_soon(self._tell, code, reason)

    def send(self, data: bytes) -> None:
        if not self._closed:
            self._up.put(data)

    def send_audio(self, data: bytes, *, keep: bool = False) -> None:
        """Audio of the caller has no meaning here: what is said comes as words."""

    def close(self, code: int = 1000, reason: str = "") -> None:
        if not self._closed:
            self._closed = True
            self._server.gone(self)
            self._loop.call_soon(self._tell, code, reason)

    async def wait_closed(self) -> None:
        await self._gone.wait()

    def _received(self, frame: bytes) -> None:
        if self._listener is not None and not self._closed:
            self._listener.frame_received(frame)

    def _sent(self, frame: bytes) -> None:
        if not self._told:
            self._server.take(frame)

    def _tell(self, code: int, reason: str) -> None:
        self._closed = True
        if not self._told:
            self._told = True
            self._gone.set()
            if self._listener is not None:
                self._listener.transport_closed(code, reason)
