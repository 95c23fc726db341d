"""PURE. The parent of several workers: events and times come in, what is to be done comes out.

A worker that dies is replaced, later each time it dies young. One that ends by itself with status 0 was
drained (``voiceagent drain``): it is replaced at once, so that a new version comes in without a lost call.
The first signal has all of them drain, the second end at once. One that cannot even start the first time
ends the whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from signal import SIGTERM
from typing import Literal

BACKOFF_S = 0.5
BACKOFF_MAX_S = 30.0
SETTLED_S = 60.0
"""A worker that lived so long did not die young."""


@dataclass(frozen=True, slots=True)
class Start:
    """Start worker ``index``."""

    index: int


@dataclass(frozen=True, slots=True)
class Signal:
    """Send a signal to worker ``index``."""

    index: int
    name: Literal["SIGTERM", "SIGHUP", "SIGKILL"]


@dataclass(frozen=True, slots=True)
class AllReady:
    """Every worker takes calls, for the first time."""


@dataclass(frozen=True, slots=True)
class Quit:
    """All are gone: end with ``status``."""

    status: int


Order = Start | Signal | AllReady | Quit


@dataclass(slots=True)
class _Worker:
    started_at: float = 0.0
    running: bool = False
    ready: bool = False
    """In this life."""
    ever_ready: bool = False
    died_young: int = 0
    restart_at: float | None = None
    heard_at: float = 0.0
    reload_due: bool = False
    """A reload was asked for during its start."""


class Workforce:
    """``count`` workers. ``now`` is in seconds on any clock."""

    def __init__(self, count: int, silent_s: float) -> None:
        """``silent_s``: a worker that was not heard of for so long hangs, and is killed."""
        self._workers = [_Worker() for _ in range(count)]
        self._silent_s = silent_s
        self._status = 0
        self._told_ready = False
        self.stopping = False

    @property
    def running(self) -> int:
        """Workers that live."""
        return sum(one.running for one in self._workers)

    @property
    def ready(self) -> int:
        """Workers that take calls, or did until they began to drain."""
        return sum(one.running and one.ready for one in self._workers)

    def begin(self, now: float) -> list[Order]:
        """Start them all."""
        return [self._start(index, now) for index in range(len(self._workers))]

    def heard(self, index: int, now: float, *, ready: bool = False) -> list[Order]:
        """A worker lives; ``ready``: it takes calls from now on."""
        worker = self._workers[index]
        worker.heard_at = now
        orders: list[Order] = []
        if ready:
            worker.ready = worker.ever_ready = True
            if worker.reload_due:
                worker.reload_due = False
                orders.append(Signal(index, "SIGHUP"))
            if not self._told_ready and all(one.ready for one in self._workers):
                self._told_ready = True
                orders.append(AllReady())
        return orders

    def ended(self, index: int, status: int, now: float) -> list[Order]:
        """A worker has ended; ``status`` below 0: by that signal."""
        worker = self._workers[index]
        worker.running = worker.ready = False
        if not self.stopping and not worker.ever_ready and status != 0:
            # A wrong setting, a taken port: it has said so itself, and would say it again and again.
            self._status = status if status > 0 else 1
            return self.stop()
        if self.stopping:
            # Our own signal ends one that is not far enough to heed it, or too far: nothing went wrong there.
            if status not in (0, -SIGTERM) and self._status == 0:
                self._status = 1
            return self._gone()
        if status == 0:
            worker.died_young = 0
            return [self._start(index, now)]
        worker.died_young = 0 if now - worker.started_at >= SETTLED_S else worker.died_young + 1
        wait_s = min(BACKOFF_S * 2 ** max(0, worker.died_young - 1), BACKOFF_MAX_S)
        worker.restart_at = now + wait_s
        return []

    def stop(self) -> list[Order]:
        """The first signal: all drain, none is replaced. The second one, likewise told on, ends them now."""
        self.stopping = True
        for one in self._workers:
            one.restart_at = None
        return [Signal(index, "SIGTERM") for index, one in enumerate(self._workers) if one.running] or (
            self._gone()
        )

    def reload(self) -> list[Order]:
        """All read their flows again. One that is being started would die of the signal: it gets it later."""
        for one in self._workers:
            one.reload_due = one.running and not one.ready
        return [Signal(index, "SIGHUP") for index, one in enumerate(self._workers) if one.ready]

    def wake_at(self) -> float | None:
        """When :meth:`wake` is to be called."""
        times = [one.restart_at for one in self._workers if one.restart_at is not None]
        times += [one.heard_at + self._silent_s for one in self._workers if one.running and one.ever_ready]
        return min(times, default=None)

    def wake(self, now: float) -> list[Order]:
        """Time has come for a restart, or for one that hangs."""
        orders: list[Order] = []
        for index, one in enumerate(self._workers):
            if one.restart_at is not None and now >= one.restart_at:
                orders.append(self._start(index, now))
            elif one.running and one.ever_ready and now >= one.heard_at + self._silent_s:
                one.heard_at = now
                orders.append(Signal(index, "SIGKILL"))
        return orders

    def _start(self, index: int, now: float) -> Start:
        worker = self._workers[index]
        worker.running, worker.ready, worker.restart_at = True, False, None
        worker.reload_due = False
        worker.started_at = worker.heard_at = now
        return Start(index)

    def _gone(self) -> list[Order]:
        return [] if self.running else [Quit(self._status)]
