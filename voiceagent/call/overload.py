"""PURE. Is this node too busy for one more call? The lateness of its event loop says so, with hysteresis.

A loop that lags hurts the calls that are up: their frames leave late. So new calls are turned away first, and
taken again only after a while of calm, lest the node flap between the two.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OverloadConfig:
    """When to turn new calls away, in seconds."""

    lag_s: float = 0.100
    """A sample of the loop's lateness above this is late; 0 turns the guard off.

    Phones hide packets that come up to about 60 to 100 ms late; beyond that the calls that are up suffer.
    A host that is merely busy stays below most of the time: with twelve runnable processes on two cores an
    idle node was 4 ms late in one sample of ten and 23 ms in one of a hundred; one that warmed its recogniser
    up beside them was late by more than 20 ms for a whole second, without any call to protect.
    """
    after_s: float = 1.0
    """How long every sample must have been late …"""
    samples: int = 5
    """… and how many of them: one long pause, as an import makes, is no overload."""
    calm_s: float = 10.0
    """How long every sample must be below half of ``lag_s`` before calls are taken again."""


class Overload:
    """Feed it samples; ask ``shedding``."""

    def __init__(self, config: OverloadConfig) -> None:
        self.config = config
        self.shedding = False
        self._late_since: float | None = None
        self._late = 0
        self._calm_since: float | None = None

    def lagged(self, lag_s: float, now: float) -> bool:
        """Take one sample of the loop's lateness; True when ``shedding`` has changed."""
        config = self.config
        if config.lag_s <= 0:
            return False
        if self.shedding:
            return self._calming(lag_s, now)
        if lag_s <= config.lag_s:
            self._late_since, self._late = None, 0
            return False
        if self._late_since is None:
            self._late_since = now - lag_s
        self._late += 1
        if self._late < config.samples or now - self._late_since < config.after_s:
            return False
        self.shedding = True
        self._calm_since = None
        return True

    def _calming(self, lag_s: float, now: float) -> bool:
        if lag_s > self.config.lag_s / 2:
            self._calm_since = None
            return False
        if self._calm_since is None:
            self._calm_since = now
        if now - self._calm_since < self.config.calm_s:
            return False
        self.shedding = False
        self._late_since, self._late = None, 0
        return True


def spread(mean_s: int, dice: Callable[[int], int]) -> int:
    """Return a Retry-After between half of ``mean_s`` and one and a half, so that not all come back at once.

    ``dice(n)`` gives a number below ``n``.
    """
    low = max(1, mean_s // 2)
    return low + dice(max(1, mean_s + 1))
