"""PURE. Frames from a microphone far away, between a network that jitters and slots of 20 ms.

Sound waits for ``LEAD`` frames before it begins, so that a late frame finds something still to play; what has
piled up is thrown away again, the oldest first, so that nobody talks with a growing delay.
"""

from __future__ import annotations

LEAD = 3
"""Frames that wait before the first is played, and after each gap."""
MOST = 15
"""Frames that wait at most: 300 ms."""
WINDOW = 50
"""Over so many slots it is looked how many frames were never needed; half of them are thrown away."""


class Microphone:
    """One microphone: :meth:`put` what comes, :meth:`take` one frame for each slot."""

    __slots__ = ("_least", "_playing", "_slots", "_waiting", "dropped", "starved")

    def __init__(self) -> None:
        self._waiting: list[bytes] = []
        self._playing = False
        self._least = MOST
        self._slots = 0
        self.dropped = 0
        """Frames that were thrown away because they came too late to be played."""
        self.starved = 0
        """Slots in a row for which nothing was there."""

    def put(self, frame: bytes) -> None:
        """A frame (20 ms) has come."""
        self._waiting.append(frame)
        if len(self._waiting) > MOST:
            self._drop(len(self._waiting) - LEAD)

    def take(self) -> bytes | None:
        """Return the frame for this slot, or None where there is none."""
        waiting = self._waiting
        if not self._playing and len(waiting) >= LEAD:
            self._playing, self._least, self._slots = True, MOST, 0
        if not (self._playing and waiting):
            self._playing = False
            self.starved += 1
            return None
        self.starved = 0
        frame = waiting.pop(0)
        self._least = min(self._least, len(waiting))
        self._slots += 1
        if self._slots >= WINDOW:
            if self._least > LEAD:
                self._drop((self._least - LEAD + 1) // 2)
            self._least, self._slots = MOST, 0
        return frame

    def _drop(self, count: int) -> None:
        del self._waiting[:count]
        self.dropped += count
