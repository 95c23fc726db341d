"""PURE. The queues of a node: who waits in which, whose turn it is, and whom to try for the first in line.

First come, first served. Only the first in line is offered to anybody, to one target after the other in their
order, and never to one that is just being tried for somebody else (whatever queue that is in). When all have
refused, the next round begins ``retry_s`` later.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class QueueConfig:
    """One queue; times in seconds."""

    targets: tuple[str, ...]
    """URIs to whom callers are offered, in this order."""
    max_waiting: int = 20
    retry_s: float = 10.0
    """From the end of a round in which nobody could be had to the next."""
    ring_s: float = 20.0
    """How long a target may ring."""
    announce_every_s: float = 45.0
    wait_limit_s: float = 900.0


@dataclass(frozen=True, slots=True)
class QueueView:
    """A queue as one of its callers sees it."""

    position: int
    """From 1; 0: not in it (any more)."""
    waiting: int
    target: str | None = None
    """Whom to try for this caller now."""
    attempt: int = 0
    """Counts the tries for this caller."""
    refused: str = ""
    """Why the caller is not in it: full, closed."""


@dataclass(slots=True)
class _Waiting:
    ticket: str
    queue: str
    target: str | None = None
    tried: set[str] = field(default_factory=set[str])
    again_at: float = 0.0
    attempt: int = 0


class QueueBook:
    """All queues of one node. Callers are known by their tickets; ``now`` is in seconds on any clock."""

    def __init__(self, configs: Mapping[str, QueueConfig]) -> None:
        self._configs = configs
        self._lines: dict[str, list[_Waiting]] = {name: [] for name in configs}
        self._waiting: dict[str, _Waiting] = {}
        self._refused: dict[str, str] = {}
        self.closed = False

    def config(self, queue: str) -> QueueConfig | None:
        """Return the queue's configuration; None where there is none of that name."""
        return self._configs.get(queue)

    def waiting(self, queue: str) -> int:
        """Return how many wait in it."""
        return len(self._lines.get(queue, ()))

    def enter(self, queue: str, ticket: str, now: float) -> None:
        """Somebody wants to wait in ``queue``, which exists; the view says whether that was granted."""
        if self.closed:
            self._refused[ticket] = "closed"
        elif self.waiting(queue) >= self._configs[queue].max_waiting:
            self._refused[ticket] = "full"
        elif ticket not in self._waiting:
            one = self._waiting[ticket] = _Waiting(ticket, queue)
            self._lines.setdefault(queue, []).append(one)
            self._settle(now)

    def leave(self, ticket: str, now: float) -> None:
        """Somebody waits no more, for whatever reason; unknown tickets are ignored."""
        self._refused.pop(ticket, None)
        one = self._waiting.pop(ticket, None)
        if one is not None:
            self._lines[one.queue].remove(one)
            self._settle(now)

    def tried(self, ticket: str, now: float) -> None:
        """The target that was named for this caller could not be had."""
        one = self._waiting.get(ticket)
        if one is not None and one.target is not None:
            one.tried.add(one.target)
            one.target = None
            self._settle(now)

    def close(self, now: float) -> None:
        """Nobody may wait any more. Whoever is being tried for may still get through."""
        self.closed = True
        self._settle(now)

    def open(self, now: float) -> None:
        """They may wait again after all."""
        self.closed = False
        self._settle(now)

    def view(self, ticket: str) -> QueueView:
        """Return how it stands for this caller."""
        one = self._waiting.get(ticket)
        if one is None:
            return QueueView(0, 0, refused=self._refused.get(ticket, "closed"))
        line = self._lines[one.queue]
        refused = "closed" if self.closed else ""
        return QueueView(line.index(one) + 1, len(line), one.target, one.attempt, refused)

    def wake_at(self) -> float | None:
        """When to be woken: the next round of some queue begins; None: never."""
        if self.closed:
            return None
        times = [line[0].again_at for line in self._lines.values() if line and line[0].again_at]
        return min(times, default=None)

    def wake(self, now: float) -> None:
        """Time has come."""
        self._settle(now)

    def _settle(self, now: float) -> None:
        """Name a target for every first in line that may have one now."""
        if self.closed:
            return
        busy = {one.target for one in self._waiting.values() if one.target is not None}
        for name, line in self._lines.items():
            if not line or line[0].target is not None or line[0].again_at > now:
                continue
            target = self._next_target(line[0], self._configs[name].targets, busy, now)
            if target is not None:
                busy.add(target)

    def _next_target(self, one: _Waiting, targets: Sequence[str], busy: set[str], now: float) -> str | None:
        left = [target for target in targets if target not in one.tried]
        if not left:
            one.tried.clear()
            one.again_at = now + self._configs[one.queue].retry_s
            return None
        one.again_at = 0.0
        one.target = next((target for target in left if target not in busy), None)
        one.attempt += one.target is not None
        return one.target
