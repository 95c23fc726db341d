"""PURE. Cuts what one person says into utterances, by loudness: what is said between two pauses.

Frames are 20 ms of G.711. An utterance has a little of the sound before it, so that no first syllable is
lost, and ends where the pause began.
"""

from __future__ import annotations

from voiceagent.media.g711 import Law
from voiceagent.media.levels import g711_dbfs

LEAST_DBFS = -48.0
"""Softer than that is nobody, however quiet the room."""
ABOVE_NOISE_DB = 9.0
RISE_DB = 0.05
"""By so much the noise is thought to rise with each frame: 2.5 dB in a second."""
BEFORE = 10
"""Frames kept from before the first loud one: 200 ms."""
BEGIN = 3
AMONG = 5
"""So many loud frames among the last so many begin an utterance."""
PAUSE = 30
"""Soft frames with which it ends: 600 ms."""
LONGEST = 750
"""Frames of one utterance at most: 15 s."""


class Utterances:
    """Feed it every frame; it gives back whole utterances."""

    __slots__ = ("_before", "_law", "_loud", "_noise", "_said", "_soft")

    def __init__(self, law: Law) -> None:
        self._law: Law = law
        self._before: list[bytes] = []
        self._loud: list[bool] = []
        self._noise = LEAST_DBFS
        self._said: list[bytes] = []
        self._soft = 0

    @property
    def speaking(self) -> bool:
        """True within an utterance."""
        return bool(self._said)

    def feed(self, frame: bytes) -> bytes | None:
        """Take 20 ms; return an utterance that has ended with it."""
        level = g711_dbfs(frame, self._law)
        loud = level > max(LEAST_DBFS, self._noise + ABOVE_NOISE_DB)
        self._noise = min(level, self._noise + RISE_DB) if not self._said else self._noise
        if not self._said:
            self._before = [*self._before, frame][-BEFORE:]
            self._loud = [*self._loud, loud][-AMONG:]
            if sum(self._loud) >= BEGIN:
                self._said, self._soft = list(self._before), 0
            return None
        self._said.append(frame)
        self._soft = 0 if loud else self._soft + 1
        return self.flush() if self._soft >= PAUSE or len(self._said) >= LONGEST else None

    def flush(self) -> bytes | None:
        """Return what was begun, without the pause at its end; None where nothing was."""
        said, self._said = self._said, []
        self._before.clear()
        self._loud.clear()
        if not said:
            return None
        return b"".join(said[: len(said) - max(0, self._soft - BEFORE)])
