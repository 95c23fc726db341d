"""PURE. How many calls may be placed: at once, to one destination at once, to one destination an hour."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass

HOUR_S = 3600.0
_MOST_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class DialLimits:
    """Zero means: none at all."""

    calls: int = 10
    """Calls of ours at once."""
    per_destination: int = 1
    """At once, to one number or URI."""
    per_hour: int = 6
    """Begun within an hour, to one number or URI."""


class DialCaps:
    """Counts the calls that we place. A destination is :attr:`voiceagent.call.targets.Target.key`."""

    def __init__(self, limits: DialLimits) -> None:
        self._limits = limits
        self._live: Counter[str] = Counter()
        self._begun: dict[str, deque[float]] = {}

    def enter(self, destination: str, now: float) -> tuple[str, float] | None:
        """Take a place, or return why not: a code, and after how many seconds it may be tried again.

        Codes: ``outbound_capacity``, ``destination_busy``, ``destination_calls``.
        """
        limits = self._limits
        if self._live.total() >= limits.calls:
            return "outbound_capacity", 10.0
        if self._live[destination] >= limits.per_destination:
            return "destination_busy", 30.0
        begun = self._begun.get(destination, deque[float]())
        while begun and begun[0] <= now - HOUR_S:
            begun.popleft()
        if len(begun) >= limits.per_hour:
            return "destination_calls", (begun[0] + HOUR_S - now) if begun else HOUR_S
        if destination not in self._begun and len(self._begun) >= _MOST_REMEMBERED:
            self._forget(now)
        self._begun[destination] = begun
        begun.append(now)
        self._live[destination] += 1
        return None

    def leave(self, destination: str) -> None:
        """Give the place back; the hour's count stays."""
        self._live[destination] -= 1
        if self._live[destination] <= 0:
            del self._live[destination]

    def _forget(self, now: float) -> None:
        old = [key for key, begun in self._begun.items() if not begun or begun[-1] <= now - HOUR_S]
        for key in old:
            del self._begun[key]
        if not old:  # nothing has grown old: the one that was used first goes
            del self._begun[next(iter(self._begun))]
