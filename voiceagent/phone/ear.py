"""What the phone hears: when the other side speaks, when it falls silent, and both sides on a time line."""

from __future__ import annotations

import asyncio

from voiceagent.media.levels import is_silent

FRAME = 160
"""Bytes of 20 ms of G.711."""
_GAP_S = 0.35
"""A pause shorter than this is still the same utterance."""


class Ear:
    """Follows the far end's voice, frame by frame. Times are loop seconds."""

    def __init__(self) -> None:
        self.first_audible: float | None = None
        self.last_audible: float | None = None
        self.speaking_since: float | None = None
        self._changed = asyncio.Event()

    def hear(self, frame: bytes, now: float, law: str) -> None:
        """Take one 20 ms frame."""
        if is_silent(frame, "alaw" if law == "PCMA" else "ulaw", -45.0):
            if self.speaking_since is not None and now - (self.last_audible or now) > _GAP_S:
                self.speaking_since = None
                self._changed.set()
            return
        self.last_audible = now
        if self.first_audible is None:
            self.first_audible = now
        if self.speaking_since is None:
            self.speaking_since = now
            self._changed.set()

    @property
    def speaking(self) -> bool:
        """True while the far end speaks."""
        return self.speaking_since is not None

    async def until_speaking(self, timeout_s: float) -> float:
        """Wait until the far end speaks; return since when. Raises TimeoutError."""
        async with asyncio.timeout(timeout_s):
            while self.speaking_since is None:
                await self._change()
            return self.speaking_since

    async def until_quiet(self, quiet_s: float, timeout_s: float) -> float:
        """Wait until the far end has been silent for ``quiet_s``; return the time of its last sound."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(timeout_s):
            while True:
                while self.speaking_since is not None:
                    await self._change()
                last = self.last_audible if self.last_audible is not None else loop.time() - quiet_s
                wait_s = last + quiet_s - loop.time()
                if wait_s <= 0:
                    return last
                await asyncio.sleep(wait_s)

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()


class Timeline:
    """Both sides of a call, side by side on one clock: caller left, agent right, as heard by the phone."""

    def __init__(self) -> None:
        self._sides = (bytearray(), bytearray())
        self._start: float | None = None

    def put(self, side: int, audio: bytes, at: float, silence: int) -> None:
        """Lay ``audio`` on ``side`` (0 caller, 1 agent) at loop time ``at``; gaps become silence."""
        if self._start is None:
            self._start = at
        track = self._sides[side]
        place = max(0, round((at - self._start) * 50)) * FRAME
        # Arrival jitters by some milliseconds: within two frames the stream simply goes on.
        if place > len(track) + 2 * FRAME:
            track.extend(bytes((silence,)) * (place - len(track)))
        track.extend(audio)

    def since(self, side: int, at: float) -> bytes:
        """Return what lies on ``side`` from loop time ``at`` on."""
        if self._start is None:
            return b""
        return bytes(self._sides[side][max(0, round((at - self._start) * 50)) * FRAME :])

    def stereo(self, silence: int) -> tuple[bytes, bytes]:
        """Return both sides in equal length."""
        length = max(len(side) for side in self._sides)
        left, right = (bytes(side) + bytes((silence,)) * (length - len(side)) for side in self._sides)
        return left, right
