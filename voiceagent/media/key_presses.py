"""PURE. One press, told once: a phone that reports it both by RFC 4733 and by INFO has not pressed twice."""

from __future__ import annotations

from typing import Literal

Way = Literal["rtp", "info"]

WINDOW_S = 1.0
"""So much later the second report of one press may come."""
_REMEMBERED = 32


class KeyPresses:
    """Pairs the reports of both ways; a phone that uses one way only is never held up."""

    __slots__ = ("_single",)

    def __init__(self) -> None:
        self._single: list[tuple[float, Way, str]] = []
        """Presses that were reported one way only so far."""

    def fresh(self, digit: str, way: Way, now: float) -> bool:
        """Take one report; False when the other way has told this press already."""
        self._single = [one for one in self._single if now - one[0] <= WINDOW_S][-_REMEMBERED:]
        for index, (_, other, told) in enumerate(self._single):
            if told == digit and other != way:
                del self._single[index]
                return False
        self._single.append((now, way, digit))
        return True
