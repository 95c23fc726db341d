"""One 20 ms wheel for all calls of a process: reads their sockets, sends each call's frame in its slot.

A tick comes every 5 ms while there are ports, none while there are none. Every tick first empties the RTP
sockets (one ``epoll`` set of our own, polled without waiting: the event loop is never woken for a packet),
then serves the ports whose slot it is. Four slots make a revolution of 20 ms, so that the packets of many
calls are spread and not sent in one burst. Finer ticks cost more than they give: at 2 ms, a tenth of the
processor of 100 calls, for 1 to 2 ms less delay. A late tick serves each port at most once and moves it on by
whole frames: late frames are skipped, never bunched.

Ticks come from a ``timerfd`` where the system has one: it does not drift and is finer than the loop's
millisecond timers; elsewhere from ``loop.call_at``.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import logging
import os
import select
import selectors
import sys
import time
from collections.abc import Callable
from functools import cache
from typing import Literal, Protocol

from voiceagent.log_context import nowhere
from voiceagent.media.figures import Histogram

FRAME_MS = 20
_MAX_EVENTS = 8192
_ROUNDS = 50
_READ_BUDGET_S = 0.008
"""After a stall up to a second of packets is read at once, but frames do not wait longer than this for it."""
_log = logging.getLogger("voiceagent.media")


class WheelPort(Protocol):
    """What the wheel drives. ``due`` and ``turning`` belong to the wheel."""

    __slots__ = ()

    due: int
    turning: bool

    def fileno(self) -> int: ...

    def readable(self, now: float) -> None:
        """Read what the socket has."""
        ...

    def frame(self, now: float, skipped: int) -> int:
        """Serve the slot, after ``skipped`` unserved ones. Return by how many ticks to shift the next."""
        ...


_Interval = ctypes.c_long * 4
"""``struct itimerspec``: the period and the first time, each in seconds and nanoseconds."""


@cache
def _libc() -> ctypes.CDLL:
    """Return the C library, opened once: it refers to itself, and a wheel may start with every call."""
    return ctypes.CDLL(None, use_errno=True)


class _TimerFd:
    """A periodic ``timerfd`` (Linux) as a readable file of the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, period_s: float, tick: Callable[[], None]) -> None:
        libc = _libc()
        self._fd: int = libc.timerfd_create(1, os.O_NONBLOCK | os.O_CLOEXEC)  # 1: CLOCK_MONOTONIC
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        nanoseconds = int(period_s * 1e9)
        spec = _Interval(0, nanoseconds, 0, nanoseconds)
        if libc.timerfd_settime(self._fd, 0, spec, None) != 0:
            os.close(self._fd)
            raise OSError(ctypes.get_errno(), "timerfd_settime")
        self._loop = loop
        self._tick = tick
        loop.add_reader(self._fd, self._fire)

    def _fire(self) -> None:
        try:
            os.read(self._fd, 8)
        except BlockingIOError:
            return
        self._tick()

    def close(self) -> None:
        self._loop.remove_reader(self._fd)
        os.close(self._fd)


class _LoopTimer:
    """The same by ``call_at``, on an absolute grid."""

    def __init__(self, loop: asyncio.AbstractEventLoop, period_s: float, tick: Callable[[], None]) -> None:
        self._loop = loop
        self._period = period_s
        self._tick = tick
        self._next = loop.time() + period_s
        self._handle = loop.call_at(self._next, self._fire)

    def _fire(self) -> None:
        now = self._loop.time()
        self._next += self._period * max(1, int((now - self._next) / self._period) + 1)
        self._handle = self._loop.call_at(self._next, self._fire)
        self._tick()

    def close(self) -> None:
        self._handle.cancel()


class _SelectorSet:
    """The part of ``select.epoll`` that we use, where there is none."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()

    def register(self, fd: int, _events: int) -> None:
        self._selector.register(fd, selectors.EVENT_READ)

    def unregister(self, fd: int) -> None:
        self._selector.unregister(fd)

    def poll(self, _timeout: float, _limit: int = -1) -> list[tuple[int, int]]:
        return [(key.fd, events) for key, events in self._selector.select(0)]

    def close(self) -> None:
        self._selector.close()


class MediaWheel:
    """The wheel of one event loop. Ports attach themselves; the owner closes it at the end."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop | None = None,
        *,
        tick_ms: int = 5,
        timer: Literal["auto", "timerfd", "loop", "none"] = "auto",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``tick_ms`` is 1, 2, 4, 5 or 10: a whole part of the 20 ms frame.

        With ``timer`` "none" the owner calls :meth:`tick` (simulated time); then no running loop is needed.

        ``clock`` gives seconds. It is not ``loop.time``, because uvloop rounds that to milliseconds and
        holds it still within one turn of the loop: too coarse to place a tick by.
        """
        if tick_ms < 1 or FRAME_MS % tick_ms or tick_ms == FRAME_MS:
            raise ValueError(f"tick_ms must be a part of {FRAME_MS}, not {tick_ms}")
        self._loop = loop if loop is not None or timer == "none" else asyncio.get_running_loop()
        self.slots = FRAME_MS // tick_ms
        self.lateness = Histogram()
        """How late the ticks came, in ms."""
        self.ticks = 0
        self.errors = 0
        """Exceptions out of ports; each is logged, none stops the wheel."""
        self._tick_s = tick_ms / 1000
        self._kind = timer
        self.clock = clock
        self._timer: _TimerFd | _LoopTimer | None = None
        self._started = 0.0
        self._tick_no = 0
        self._turn = 0
        # A tick works off up to 3 revolutions, and places ports up to 2 revolutions ahead of itself. With
        # fewer buckets than both together, a port would come into one still to be worked off, and be lost.
        self._stall = 3 * self.slots
        self._size = self._stall + 2 * self.slots
        self._buckets: list[list[WheelPort]] = [[] for _ in range(self._size)]
        self._ports: dict[int, WheelPort] = {}
        self._watched: dict[int, Callable[[float], None]] = {}
        self._poller = select.epoll() if sys.platform == "linux" else _SelectorSet()

    def __len__(self) -> int:
        return len(self._ports)

    @property
    def timer(self) -> str:
        """``timerfd``, ``loop``, or ``off`` while no port is attached."""
        if self._timer is None:
            return "off"
        return "timerfd" if isinstance(self._timer, _TimerFd) else "loop"

    def attach(self, port: WheelPort) -> None:
        """Drive ``port`` from now on: its first slot is within the next 20 ms."""
        fd = port.fileno()
        if not self._ports:
            nowhere().run(self._start)
        self._ports[fd] = port
        self._poller.register(fd, 1)  # EPOLLIN
        # 3 shares no factor with any number of slots: calls set up at once spread out.
        self._turn = (self._turn + 3) % self.slots
        port.turning = True
        self._place(port, self._tick_no + 1 + self._turn)

    def detach(self, port: WheelPort) -> None:
        """Drive ``port`` no more; harmless when it is not attached. Call it before the socket is closed."""
        fd = port.fileno()
        if self._ports.pop(fd, None) is None:
            return
        port.turning = False
        with contextlib.suppress(
            OSError, KeyError
        ):  # a descriptor closed too early is out of the set already
            self._poller.unregister(fd)
        if not self._ports:
            self._stop()

    def watch(self, fd: int, readable: Callable[[float], None]) -> None:
        """Call ``readable`` with the time when ``fd`` has something to read, while the wheel turns.

        For the sockets beside a port's own (RTCP); whoever watches has a port attached.
        """
        self._watched[fd] = readable
        self._poller.register(fd, 1)

    def unwatch(self, fd: int) -> None:
        """Watch ``fd`` no more; harmless when it is not watched. Call it before the socket is closed."""
        if self._watched.pop(fd, None) is not None:
            with contextlib.suppress(OSError, KeyError):
                self._poller.unregister(fd)

    def hasten(self, port: WheelPort) -> int:
        """Serve ``port`` at the next tick, not in its slot; return by how many ticks that is earlier."""
        due = self._tick_no + 1
        earlier = port.due - due
        if earlier <= 0 or not port.turning:
            return 0
        self._place(port, due)
        return earlier

    def close(self) -> None:
        """Stop; the ports are let go, their sockets stay their owners'."""
        for port in list(self._ports.values()):
            self.detach(port)
        for fd in list(self._watched):
            self.unwatch(fd)
        self._stop()
        self._poller.close()

    def _start(self) -> None:
        self._started = self.clock()
        self._tick_no = 0
        self._buckets = [[] for _ in range(self._size)]
        if self._loop is None:
            return
        if self._kind != "loop":
            try:
                self._timer = _TimerFd(self._loop, self._tick_s, self.tick)
                return
            except (OSError, AttributeError, NotImplementedError):
                if self._kind == "timerfd":
                    raise
        self._timer = _LoopTimer(self._loop, self._tick_s, self.tick)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.close()
            self._timer = None

    def _place(self, port: WheelPort, due: int) -> None:
        port.due = due
        self._buckets[due % self._size].append(port)

    def tick(self) -> None:
        """Do what is due; called by the timer."""
        now = self.clock()
        passed = (now - self._started) / self._tick_s
        tick = int(passed + 0.05)  # a timer may come a hair early
        last = self._tick_no
        if tick <= last:
            return
        self._tick_no = tick
        self.ticks += 1
        # How long the oldest slot that this tick serves has waited.
        self.lateness.add((passed - last - 1) * self._tick_s * 1000)
        ports = self._ports
        # A port reads one packet a round. The second round finds nothing when all is well; it is for what has
        # piled up on the way. As many more make up for a stall of ours.
        for _ in range(2 + min(_ROUNDS, -(-(tick - last - 1) // self.slots))):
            found = self._poller.poll(0, _MAX_EVENTS)
            if not found or self.clock() - now > _READ_BUDGET_S:
                break
            for fd, _ in found:
                port = ports.get(fd)
                readable = port.readable if port is not None else self._watched.get(fd)
                if readable is not None:
                    try:
                        readable(now)
                    except Exception:
                        self._failed()
        if tick - last >= self._stall:
            # Stalled for longer than a port may wait: whoever has a slot behind us is served once.
            for bucket in self._buckets:
                bucket.clear()
            for port in list(ports.values()):
                if port.due <= tick:
                    self._serve(port, tick, now)
                else:
                    self._place(port, port.due)
            return
        for due in range(last + 1, tick + 1):
            bucket = self._buckets[due % self._size]
            if bucket:
                self._buckets[due % self._size] = []
                for port in bucket:
                    # Entries of ports that moved or left stay behind; ``due`` tells.
                    if port.due != due or not port.turning:
                        continue
                    if due != tick:
                        self._serve(port, tick, now)
                        continue
                    try:
                        shift = port.frame(now, 0)
                    except Exception:
                        self._failed()
                        shift = 0
                    if port.turning:
                        following = due + self.slots + shift
                        port.due = following
                        self._buckets[following % self._size].append(port)

    def _serve(self, port: WheelPort, tick: int, now: float) -> None:
        slots = self.slots
        skipped = (tick - port.due) // slots
        try:
            shift = port.frame(now, skipped)
        except Exception:
            self._failed()
            shift = 0
        if port.turning:
            due = port.due + slots * (skipped + 1) + shift
            if due <= tick:
                due += slots * ((tick - due) // slots + 1)
            port.due = due
            self._buckets[due % self._size].append(port)

    def _failed(self) -> None:
        self.errors += 1
        _log.exception("a media port failed")
