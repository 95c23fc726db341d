"""PURE. One side of a live call as frames for listeners: 20 ms of µ-law, each with its place in time.

A frame is one byte naming the track, four bytes (big-endian) with the place of its first sample since the
call began, at 8 kHz, and 160 bytes of µ-law. Places go on from frame to frame; where nothing came there is a
gap in them, and never two frames for one place.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from voiceagent.media.g711 import ULAW_SILENCE, Law, alaw_to_ulaw
from voiceagent.media.playout import FRAME

CALLER, AGENT = 0, 1
RATE = 8000
SLACK = 480
"""Samples by which frames may come late or early without a gap: the jitter of timers."""
FRAME_SIZE = 5 + FRAME
_HEAD = struct.Struct("!BI")
_SILENCE = bytes((ULAW_SILENCE,)) * FRAME


class LiveTrack:
    """``began`` is the time of place 0, in seconds on the clock of every ``now``."""

    __slots__ = ("_began", "_next", "_number")

    def __init__(self, number: int, began: float) -> None:
        self._number = number
        self._began = began
        self._next = 0

    def frames(self, audio: bytes, law: Law, now: float, *, muted: bool = False) -> Iterator[bytes]:
        """Yield the frames of ``audio``, which has come until ``now``; ``muted``: silence in its place.

        What is left of the last 20 ms is dropped: legs bring whole frames.
        """
        begin = round((now - self._began) * RATE) - len(audio)
        if begin > self._next + SLACK:
            self._next = begin
        if law == "alaw" and not muted:
            audio = alaw_to_ulaw(audio)
        for at in range(0, len(audio) - FRAME + 1, FRAME):
            place, self._next = self._next, self._next + FRAME
            body = _SILENCE if muted else audio[at : at + FRAME]
            yield _HEAD.pack(self._number, place & 0xFFFFFFFF) + body


def split(frame: bytes) -> tuple[int, int, bytes]:
    """Return track, place and audio of a frame; ValueError for what is none."""
    if len(frame) != FRAME_SIZE:
        raise ValueError(f"a frame has {FRAME_SIZE} bytes, not {len(frame)}")
    track, place = _HEAD.unpack_from(frame)
    return track, place, frame[_HEAD.size :]
