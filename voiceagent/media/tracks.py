"""PURE. The two sides of a call on one time line, for a stereo recording.

Audio is G.711 at 8 kHz; ``now`` is in seconds on any monotonic clock. What is put in belongs to the time just
before ``now``. Time is kept true: where nothing came there is silence, and both sides leave as pieces of the
same length. The jitter of frames (up to ``SLACK``) moves nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

RATE = 8000
SLACK = 480
"""Samples by which a frame may come late or early without silence being put in or left out."""
AHEAD = 2400
"""Samples by which a side may run ahead of the time; what comes then is left out."""
PATIENCE = 1600
"""Samples that are waited for before a side that brings nothing is taken to be silent."""
PIECE = 30 * RATE
"""Most samples of one piece."""

Piece = tuple[bytes, bytes]
"""Caller and agent, equally long."""


class Tracks:
    """``silence`` is the code of silence in the line's law; ``began`` is the time of the first sample."""

    def __init__(self, silence: int, began: float) -> None:
        self._silence = bytes((silence,))
        self._began = began
        self._caller = bytearray()
        self._agent = bytearray()
        self._taken = 0
        self.left_out = 0
        """Samples that came faster than time goes."""

    @property
    def seconds(self) -> float:
        """Length of what has been taken."""
        return self._taken / RATE

    def caller(self, audio: bytes, now: float) -> None:
        """The caller was heard."""
        self._put(self._caller, audio, now)

    def agent(self, audio: bytes, now: float) -> None:
        """The agent was heard by the caller."""
        self._put(self._agent, audio, now)

    def take(self, now: float) -> Iterator[Piece]:
        """Yield what is settled by ``now``."""
        yield from self._pieces(self._due(now) - PATIENCE)

    def finish(self, now: float) -> Iterator[Piece]:
        """Yield the rest; the recording is exactly as long as it took."""
        yield from self._pieces(self._due(now))

    def _due(self, now: float) -> int:
        return round((now - self._began) * RATE) - self._taken

    def _put(self, track: bytearray, audio: bytes, now: float) -> None:
        behind = self._due(now) - len(track) - len(audio)
        if behind > SLACK:
            track += self._silence * behind
        elif behind < -AHEAD or (behind < -SLACK and audio.count(self._silence) == len(audio)):
            self.left_out += len(audio)
            return
        track += audio

    def _pieces(self, wanted: int) -> Iterator[Piece]:
        while wanted > 0:
            size = min(wanted, PIECE)
            wanted -= size
            self._taken += size
            yield self._cut(self._caller, size), self._cut(self._agent, size)

    def _cut(self, track: bytearray, size: int) -> bytes:
        part = bytes(track[:size])
        del track[:size]
        return part + self._silence * (size - len(part))
