"""PURE. When the caller's frames came: 50 a second in every call, so as numbers instead of objects."""

from __future__ import annotations

from array import array


class CallerMarks:
    """The arrivals of one leg since the last entry about them, by the loop's clock in seconds."""

    __slots__ = ("_others", "times")

    def __init__(self) -> None:
        self.times = array("d")
        self._others: dict[int, tuple[int, int]] = {}
        """Frames and turn of the arrivals that are not of one frame in no turn, by their place."""

    def add(self, now: float, frames: int, turn: int) -> None:
        """Note an arrival of so many frames; ``turn`` is 0 where nothing else may run in it."""
        if turn or frames != 1:
            self._others[len(self.times)] = (frames, turn)
        self.times.append(now)

    def gaps(self) -> list[float | list[float]]:
        """Return the ms from each arrival to the next, from 0 on: ``gap``, ``[gap, frames]`` or
        ``[gap, frames, turn]``."""
        told: list[float | list[float]] = []
        before = self.times[0]
        others = self._others
        for place, at in enumerate(self.times):
            us = round((at - before) * 1e6)  # 50 frames a second are too many for a call each
            gap = us / 1000 if us % 1000 else us // 1000
            before = at
            if place in others:
                frames, turn = others[place]
                told.append([gap, frames, turn] if turn else [gap, frames])
            else:
                told.append(gap)
        return told
