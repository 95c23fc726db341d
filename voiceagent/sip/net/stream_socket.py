"""One stream connection on asyncio: feeds the pure :class:`~.stream.Stream` and obeys it."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, cast

from voiceagent.sip.address import Address
from voiceagent.sip.limits import StreamLimits
from voiceagent.sip.net.framing import Whole
from voiceagent.sip.net.stream import Close, Stream, StreamEffect, Write
from voiceagent.sip.net.tls import identities_of

if TYPE_CHECKING:
    from voiceagent.sip.net.streams import Streams

_BATCH = 16
"""Messages taken per turn of the loop, so that a pipeline cannot starve the calls."""
_LAST_WORDS_S = 2.0
"""How long a peer may take to read what we said last, before the connection is dropped."""


class Connection(asyncio.Protocol):
    """``address`` is the peer's, with the number of this flow."""

    def __init__(
        self,
        pool: Streams,
        limits: StreamLimits,
        address: Address,
        listener: int,
        *,
        accepted: bool,
        name: str = "",
    ) -> None:
        self._pool = pool
        self._limits = limits
        self.address = address
        self.listener = listener
        self.accepted = accepted
        self.name = name
        """The domain that the peer must prove; empty: its address."""
        self.made = False
        self.closed = False
        self.refused = ""
        """Why the connection may not be used although it stands."""
        loop = asyncio.get_running_loop()
        self._loop = loop
        self.over: asyncio.Future[None] = loop.create_future()
        self._transport: asyncio.Transport | None = None
        self._stream = Stream(limits, loop.time(), accepted=accepted, spread=pool.spread())
        self._todo: deque[StreamEffect] = deque()
        self._paused = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = 0.0
        self._why = ""

    # asyncio.Protocol.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self.made = True
        self._stream = Stream(
            self._limits, self._loop.time(), accepted=self.accepted, spread=self._pool.spread()
        )
        self.refused = self._pool.established(self, identities_of(transport.get_extra_info("peercert")))
        if self.refused:
            self.abort("refused")
        else:
            self._arm()

    def data_received(self, data: bytes) -> None:
        self._todo.extend(self._stream.receive(data, self._loop.time()))
        if not self._paused:
            self._work()
        self._arm()

    def eof_received(self) -> bool:
        self._why = self._why or "by_peer"
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        self._todo.clear()
        if self._timer is not None:
            self._timer.cancel()
        self._pool.lost(self, self._why or ("broken" if exc is not None else "by_peer"))
        if not self.over.done():
            self.over.set_result(None)

    # For the pool.

    def write(self, data: bytes) -> None:
        """Send a message; a peer that does not read what came before is closed."""
        self._put(data)
        self._stream.sent(self._loop.time())

    def finish(self, why: str) -> None:
        """Close when what was said is sent, at the latest after two seconds."""
        transport = self._transport
        if transport is None or self.closed:
            return
        self._why = self._why or why
        self._todo.clear()
        transport.close()
        self._loop.call_later(_LAST_WORDS_S, self._drop)

    def abort(self, why: str) -> None:
        """Close at once."""
        self._why = self._why or why
        self._todo.clear()
        self._drop()

    def _drop(self) -> None:
        if self._transport is not None and not self.closed:
            self._transport.abort()

    # Inner workings.

    def _put(self, data: bytes) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if transport.get_write_buffer_size() + len(data) > self._limits.write_buffer:
            self.abort("slow_reader")
        else:
            transport.write(data)

    def _work(self) -> None:
        transport = self._transport
        for _ in range(_BATCH):
            if not self._todo:
                break
            self._perform(self._todo.popleft())
        if transport is None or self.closed or transport.is_closing():
            return
        if self._todo:
            if not self._paused:
                self._paused = True
                transport.pause_reading()
            self._loop.call_soon(self._work)
        elif self._paused:
            self._paused = False
            self._stream.unread(self._loop.time())
            transport.resume_reading()
            self._arm()

    def _perform(self, effect: StreamEffect) -> None:
        if isinstance(effect, Whole):
            self._pool.owner.stream_message(effect.data, self.address)
        elif isinstance(effect, Write):
            self._put(effect.data)
        elif isinstance(effect, Close):
            if effect.why == "idle" and self._pool.owner.stream_in_use(self.address.flow):
                self._stream.stay(self._loop.time())
            else:
                self.abort(effect.why)
        else:
            self._pool.owner.stream_broken(effect, self.address)
            self.finish(effect.why)

    def _arm(self) -> None:
        due = self._stream.wake_at()
        if due is None or self.closed:
            return
        if self._timer is not None:
            if self._timer_due <= due:
                return  # an early wake is harmless, and cheaper than setting the timer anew
            self._timer.cancel()
        self._timer_due = due
        self._timer = self._loop.call_at(due, self._wake)

    def _wake(self) -> None:
        self._timer = None
        if self.closed:
            return
        if self._paused:
            self._stream.unread(self._loop.time())
        for effect in self._stream.wake(self._loop.time()):
            self._perform(effect)
        self._arm()
