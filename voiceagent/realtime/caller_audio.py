"""PURE. The caller's last words as audio, kept until they have become text: a new session must hear them."""

from __future__ import annotations

from collections import deque

KEPT_SILENCE_MS = 200
"""Audio that reached the provider just before it ended a turn may belong to the next one."""
SLACK_MS = 1000
"""So much more than the limit may lie there: frames are thrown away many at once, not one by one."""


class CallerAudio:
    """A ring of the caller's audio, ``limit_ms`` at most. ``per_ms`` is bytes per millisecond.

    What is kept is exact to the byte, however the audio was cut into frames.
    """

    def __init__(self, per_ms: int, limit_ms: int) -> None:
        self._per_ms = per_ms
        self._limit = limit_ms * per_ms
        self._most = (limit_ms + SLACK_MS) * per_ms
        self._frames: deque[bytes] = deque()
        # Positions in the caller's whole audio, in bytes: where the first frame begins, where what is still
        # needed begins, and where the last frame ends.
        self._first = 0
        self._needed = 0
        self._end = 0
        self._marks: dict[str, int] = {}

    @property
    def ms(self) -> int:
        """How much is kept."""
        return self._size // self._per_ms

    @property
    def _size(self) -> int:
        return min(self._end - self._needed, self._limit)

    def add(self, audio: bytes) -> None:
        """Keep ``audio``; the oldest goes past the limit."""
        self._frames.append(audio)
        self._end += len(audio)
        if self._end - self._first > self._most:
            self._drop_until(self._end - self._limit)

    def committed(self, item_id: str) -> None:
        """The provider made a turn of what it has got so far."""
        self._marks[item_id] = self._end - KEPT_SILENCE_MS * self._per_ms

    def understood(self, item_id: str) -> None:
        """The turn is known as text (or as unintelligible): its audio is not needed any more."""
        mark = self._marks.pop(item_id, None)
        if mark is not None:
            self._drop_until(mark)

    def answered(self) -> None:
        """All committed turns were answered (where nobody transcribes)."""
        for item_id in list(self._marks):
            self.understood(item_id)

    def forget_turns(self) -> None:
        """The provider that knew these turns is gone."""
        self._marks.clear()

    def last(self, ms: int) -> bytes:
        """Return the newest ``ms`` at most."""
        wanted = min(ms * self._per_ms, self._size)
        parts: list[bytes] = []
        have = 0
        for frame in reversed(self._frames):
            if have >= wanted:
                break
            parts.append(frame)
            have += len(frame)
        return b"".join(reversed(parts))[have - wanted :]

    def _drop_until(self, mark: int) -> None:
        self._needed = max(self._needed, mark)
        frames = self._frames
        while frames and self._first + len(frames[0]) <= self._needed:
            self._first += len(frames.popleft())
