"""PURE. Counters of one call's media, and a histogram of lateness for the wheel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class PortFigures:
    """What one call's port has seen so far. Counts are packets unless the name says otherwise."""

    received: int = 0
    sent: int = 0
    lost: int = 0
    late: int = 0
    duplicates: int = 0
    reordered: int = 0
    foreign: int = 0
    resyncs: int = 0
    refused: int = 0
    """Sends that the system refused (ICMP, full buffer)."""
    skipped: int = 0
    """Frames that were not sent because the wheel was late."""
    details: Mapping[str, float] = field(default_factory=dict[str, float])


class Histogram:
    """Milliseconds in steps of 0.1 up to 100; a value beyond counts in the last step, ``max_ms`` is exact."""

    __slots__ = ("_steps", "count", "max_ms", "sum_ms")

    def __init__(self) -> None:
        self._steps = [0] * 1001
        self.count = 0
        self.max_ms = 0.0
        self.sum_ms = 0.0

    def add(self, ms: float) -> None:
        """Count one value; below zero counts as zero."""
        self._steps[0 if ms <= 0 else int(ms * 10) if ms < 100 else 1000] += 1
        self.count += 1
        self.sum_ms += max(0.0, ms)
        if ms > self.max_ms:
            self.max_ms = ms

    def percentile(self, percent: float) -> float:
        """The step (upper edge, ms) that ``percent`` % of the values do not pass; 0 without values."""
        if not self.count:
            return 0.0
        wanted = self.count * percent / 100
        seen = 0
        for step, number in enumerate(self._steps):
            seen += number
            if seen >= wanted:
                return min(self.max_ms, (step + 1) / 10)
        return self.max_ms

    def below(self, ms: float) -> int:
        """How many values were below ``ms``, which is a whole step and at most 100."""
        return sum(self._steps[: round(ms * 10)])

    def clear(self) -> None:
        """Forget all values."""
        self._steps = [0] * 1001
        self.count = 0
        self.max_ms = 0.0
        self.sum_ms = 0.0
