"""PURE. The timers of the SIP core: one heap for all of them, and the values of RFC 3261 Table 4.

Setting, cancelling and expiring cost O(log n) at worst; nothing ever walks over the live transactions.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass

_COMPACT_FLOOR = 512


@dataclass(frozen=True, slots=True)
class TimerValues:
    """T1, T2 and T4 in seconds, and what RFC 3261 Table 4 and RFC 6026 §8.7 derive from them."""

    t1: float = 0.5
    """Round trip estimate; first retransmission interval (A, E, G)."""
    t2: float = 4.0
    """Longest retransmission interval for non-INVITE requests and INVITE responses."""
    t4: float = 5.0
    """Longest time that a message stays in the network (I, K)."""

    @property
    def give_up(self) -> float:
        """64·T1: timers B, F, H, J, L and M, and the wait for the ACK to a 2xx."""
        return 64 * self.t1

    @property
    def timer_d(self) -> float:
        """Time in which a client INVITE transaction re-sends its ACK over UDP: at least 32 s."""
        return max(32.0, 64 * self.t1)


class Timer:
    """One deadline. ``action`` is None once it was cancelled or has run."""

    __slots__ = ("action", "when")

    def __init__(self, when: float, action: Callable[[], None] | None) -> None:
        self.when = when
        self.action = action


class TimerHeap:
    """Deadlines in order; cancelled ones stay in place, are skipped, and swept when they are the majority."""

    __slots__ = ("_cancelled", "_heap", "_sequence")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Timer]] = []
        self._sequence = 0
        self._cancelled = 0

    def __len__(self) -> int:
        """Return the number of live timers."""
        return len(self._heap) - self._cancelled

    def at(self, when: float, action: Callable[[], None]) -> Timer:
        """Run ``action`` at ``when``. Timers of the same moment run in the order they were set."""
        timer = Timer(when, action)
        self._sequence += 1
        heapq.heappush(self._heap, (when, self._sequence, timer))
        return timer

    def cancel(self, timer: Timer | None) -> None:
        """Forget ``timer``; harmless for None and for one that has run."""
        if timer is None or timer.action is None:
            return
        timer.action = None
        self._cancelled += 1
        if self._cancelled > _COMPACT_FLOOR and self._cancelled * 2 > len(self._heap):
            self._heap = [entry for entry in self._heap if entry[2].action is not None]
            heapq.heapify(self._heap)
            self._cancelled = 0

    def next_at(self) -> float | None:
        """Return the earliest live deadline."""
        heap = self._heap
        while heap:
            if heap[0][2].action is not None:
                return heap[0][0]
            heapq.heappop(heap)
            self._cancelled -= 1
        return None

    def run_due(self, now: float) -> None:
        """Run everything due at ``now``, also what these actions set for ``now`` or earlier."""
        while True:
            due = self.next_at()
            if due is None or due > now:
                return
            timer = heapq.heappop(self._heap)[2]
            action = timer.action
            timer.action = None
            if action is not None:
                action()
