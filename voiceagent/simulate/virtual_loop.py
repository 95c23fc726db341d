"""An asyncio loop whose clock jumps: sleeps and timeouts take no wall time, and their order is exact.

Use it as :func:`asyncio.run`: ``result = virtual_run(coroutine)``.

When nothing is ready, the clock moves to the next timer at once. When there is no timer either, nobody
could ever wake the loop: :class:`VirtualDeadlock` is raised and names the waiting tasks, so what
hangs fails at once. Work in threads (``run_in_executor``, ``to_thread``) is waited for in real time while the
clock stands still. Real sockets do not fit: their traffic takes wall time that this clock does not see.
"""

from __future__ import annotations

import asyncio
import math
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from voiceagent.simulate.inner_selector import InnerSelector

T = TypeVar("T")

START = 1000.0
"""Where the clock starts, in seconds: not 0, so that a forgotten ``now`` does not look right by chance."""


THREAD_POLL_S = 5.0
"""How long, in real time, one look at the threads at work takes while none of them is done."""


class VirtualDeadlock(AssertionError):
    """Every task waits and no timer is armed."""


class _JumpingSelector(InnerSelector):
    """Polls the real selector and, instead of sleeping, moves the loop's clock."""

    loop: VirtualTimeLoop | None = None

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        loop = self.loop
        assert loop is not None
        ready = self._inner.select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if loop.threads_at_work:
            return self._inner.select(THREAD_POLL_S)
        if timeout is None:
            waiting = sorted(task.get_name() for task in asyncio.all_tasks(loop) if not task.done())
            raise VirtualDeadlock(f"nothing can happen any more; waiting: {', '.join(waiting) or 'no task'}")
        loop.advance(timeout)
        return []


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """A selector loop with a clock of its own, in seconds from :data:`START`."""

    def __init__(self) -> None:
        self._virtual_now = START
        self.threads_at_work = 0
        selector = _JumpingSelector(selectors.DefaultSelector())
        super().__init__(selector)
        selector.loop = self

    @property
    def _clock_resolution(self) -> float:
        # asyncio fires timers that are due within this. None may fire before the clock has come to it: who
        # then looks at the clock, and waits for the rest, would do so for ever.
        return math.ulp(self._virtual_now)

    @_clock_resolution.setter
    def _clock_resolution(self, seconds: float) -> None:
        """The base class sets the real clock's."""

    def time(self) -> float:
        return self._virtual_now

    def advance(self, seconds: float) -> None:
        """Move the clock forward."""
        self._virtual_now += seconds

    def run_in_executor(self, executor: Any, func: Callable[..., T], *args: Any) -> asyncio.Future[T]:
        self.threads_at_work += 1
        future = super().run_in_executor(executor, func, *args)
        future.add_done_callback(self._thread_done)
        return future

    def _thread_done(self, _future: asyncio.Future[Any]) -> None:
        self.threads_at_work -= 1

    async def shutdown_default_executor(self, *args: Any, **kwargs: Any) -> None:
        self.threads_at_work += 1
        try:
            await super().shutdown_default_executor(*args, **kwargs)
        finally:
            self.threads_at_work -= 1


class VirtualTimePolicy(asyncio.DefaultEventLoopPolicy):
    """Hands out virtual loops; for pytest-asyncio's ``event_loop_policy`` fixture."""

    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        return VirtualTimeLoop()


def virtual_run(work: Coroutine[Any, Any, T]) -> T:
    """Run ``work`` to its end on a fresh virtual loop, as :func:`asyncio.run` would."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(work)
