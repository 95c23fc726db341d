"""PURE. How long the caller heard nothing while it was our turn to speak.

Energy decides, not events: 20 ms of G.711 count as sound from −50 dBFS (RMS). The meter is told what is
queued for the caller and when that is dropped; it keeps the line's clock itself, so that a call costs no
timer.
"""

from __future__ import annotations

import math
from functools import lru_cache

from voiceagent.media.g711 import ALAW_TO_LINEAR, ULAW_TO_LINEAR

FRAME = 160
FRAME_S = 0.02
THRESHOLD_DB = -50.0
BLINK_S = 0.1
"""A turn that comes back within this time never left: one request ended, the next one was made."""
_STRIDE = 5
"""Every fifth sample tells the power of 20 ms well enough, at a fifth of the cost."""
_LEAST_SQUARE = (32768.0 * 10 ** (THRESHOLD_DB / 20)) ** 2
_SQUARES = {
    "audio/pcmu": tuple(sample * sample for sample in ULAW_TO_LINEAR),
    "audio/pcma": tuple(sample * sample for sample in ALAW_TO_LINEAR),
}
_MOST_SAMPLES = -(-FRAME // _STRIDE)
_QUIET = {
    name: bytes(code for code in range(256) if of[code] < _LEAST_SQUARE) for name, of in _SQUARES.items()
}
"""Codes of which any number is no sound."""
_LOUD = {
    name: bytes(code for code in range(256) if of[code] >= _LEAST_SQUARE * _MOST_SAMPLES)
    for name, of in _SQUARES.items()
}
"""Codes of which one is sound enough for a frame."""
_NO_LOUD = bytes(_MOST_SAMPLES)
_MARKS = {name: bytes(code in loud for code in range(256)) for name, loud in _LOUD.items()}
"""Turns loud codes into 1, all others into 0."""


def is_sound(audio: bytes, audio_format: str) -> bool:
    """Return whether ``audio`` (some 20 ms of G.711) is louder than −50 dBFS, RMS."""
    few = audio[::_STRIDE]
    count = len(few)
    # Nearly every frame has a loud sample, or none that is not quiet: nothing need be added up.
    if count <= _MOST_SAMPLES and len(few.translate(None, _LOUD[audio_format])) < count:
        return True
    if not few.strip(_QUIET[audio_format]):
        return False
    squares = _SQUARES[audio_format]
    return math.fsum([squares[code] for code in few]) >= _LEAST_SQUARE * count


@lru_cache(maxsize=8)  # the journal asks first, and right after it the meter; a piece may be a megabyte
def runs_of_sound(audio: bytes, audio_format: str) -> tuple[tuple[int, bool], ...]:
    """Return the 20 ms frames of ``audio`` as runs: (bytes, sound?)."""
    few = audio[::_STRIDE]
    # Nearly every piece of a voice, or of a pause, is all of one kind: that shows without looking at frames.
    if not len(audio) % FRAME and few and _NO_LOUD not in few.translate(_MARKS[audio_format]):
        return ((len(audio), True),)
    if few and not few.strip(_QUIET[audio_format]):
        return ((len(audio), False),)
    runs: list[tuple[int, bool]] = []
    size, before = 0, False
    for at in range(0, len(audio), FRAME):
        frame = audio[at : at + FRAME]
        sound = is_sound(frame, audio_format)
        if size and sound is not before:
            runs.append((size, before))
            size = 0
        size, before = size + len(frame), sound
    if size:
        runs.append((size, before))
    return tuple(runs)


ROUNDING_S = 0.0005
"""Moments so close are the same one, reckoned in two ways."""


class DeadAir:
    """The meter of one call. ``now`` is any monotonic clock, in seconds."""

    __slots__ = ("_left_at", "_ours", "_queue", "_queued_until", "_silent_from", "longest_s")

    def __init__(self) -> None:
        self.longest_s = 0.0
        """Longest silence so far, of those that have ended."""
        self._queue: list[tuple[float, float, bool]] = []
        """(begins, ends, sound?) of what is queued and has not begun."""
        self._queued_until = 0.0
        self._ours = False
        self._left_at = float("-inf")
        self._silent_from = 0.0
        """While it is our turn: when the last sound ended, or the turn began. May lie ahead."""

    def queue(self, now: float, seconds: float, sound: bool) -> None:
        """So much was handed to the line, which plays it when all before it is played."""
        if seconds <= 0:
            return
        begins = max(now, self._queued_until)
        self._queued_until = begins + seconds
        self._queue.append((begins, self._queued_until, sound))
        self._advance(now)

    def flushed(self, now: float) -> None:
        """What was queued and is not yet heard never will be."""
        self._advance(now)
        self._queue.clear()
        self._queued_until = min(self._queued_until, now)
        self._silent_from = min(self._silent_from, now)

    def our_turn(self, now: float, ours: bool) -> None:
        """From now on it is our turn to speak, or not."""
        if ours == self._ours:
            return
        self._advance(now)
        if ours:
            if now - self._left_at > BLINK_S + ROUNDING_S:
                self._silent_from = max(self._silent_from, now)
        else:
            self._left_at = now
            self.longest_s = max(self.longest_s, now - self._silent_from)
        self._ours = ours

    def so_far(self, now: float) -> float:
        """Return the longest silence, one that goes on included."""
        self._advance(now)
        return max(self.longest_s, now - self._silent_from if self._ours else 0.0)

    def lasting(self, now: float) -> float:
        """Return the silence that goes on; 0 while it is not our turn, or we are heard."""
        self._advance(now)
        return max(0.0, now - self._silent_from) if self._ours else 0.0

    def _advance(self, now: float) -> None:
        while self._queue and self._queue[0][0] <= now + ROUNDING_S:
            begins, ends, sound = self._queue.pop(0)
            if sound:
                if self._ours:
                    self.longest_s = max(self.longest_s, begins - self._silent_from)
                self._silent_from = max(self._silent_from, ends)
