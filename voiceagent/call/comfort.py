"""A soft sound while the caller waits for a provider that went away: the line must not seem dead."""

from __future__ import annotations

import array
import asyncio
import math
import sys
from collections.abc import Callable, Coroutine
from functools import cache
from typing import Any

from voiceagent.call.leg import G711
from voiceagent.media import g711

COMFORT = "local-comfort"
"""How response and item ids of the sound begin in the leg's playback reports."""
PERIOD_MS = 1600
PULSE_MS = 240
PULSE_HZ = 440
PULSE_DBFS = -28.0
NOISE_DBFS = -38.0
"""Loud enough to be told from a dead line (−50 dBFS), too soft to be taken for a signal."""
CHUNK_MS = 100
LEAD_CHUNKS = 2
"""So much is queued at most: the voice that comes back waits no longer behind it."""


@cache
def comfort_sound(audio_format: G711) -> bytes:
    """Return one period: low noise, and a soft tone that swells and fades."""
    noise = 32767 * 10 ** (NOISE_DBFS / 20) * math.sqrt(3)
    tone = 32767 * 10 ** (PULSE_DBFS / 20) * math.sqrt(2)
    pulse, state, samples = PULSE_MS * 8, 1, array.array("h")
    for index in range(PERIOD_MS * 8):
        state = (state * 1103515245 + 12345) & 0x7FFFFFFF
        value = noise * (state / 0x3FFFFFFF - 1)
        if index < pulse:
            value += (
                tone * math.sin(math.pi * index / pulse) * math.sin(2 * math.pi * PULSE_HZ * index / 8000)
            )
        samples.append(round(value))
    if sys.byteorder == "big":
        samples.byteswap()
    return g711.encode(samples.tobytes(), "alaw" if audio_format == "audio/pcma" else "ulaw")


def _never() -> bool:
    return False


class Comfort:
    """Plays the sound whenever ``silent()`` has been true for ``after_s``, through ``play(audio, id)``."""

    __slots__ = ("_after_s", "_play", "_run", "_silent", "_sound", "_task")

    def __init__(
        self,
        audio_format: G711,
        *,
        silent: Callable[[], bool],
        play: Callable[[bytes, str], None],
        run: Callable[[str, Coroutine[Any, Any, Any]], asyncio.Task[Any]],
        after_s: float,
    ) -> None:
        self._sound = comfort_sound(audio_format)
        self._silent = silent
        self._play = play
        self._run = run
        self._after_s = after_s
        self._task: asyncio.Task[Any] | None = None

    @property
    def on(self) -> bool:
        """True while it plays or waits for its moment."""
        return self._task is not None

    def start(self) -> None:
        """From now on the caller is not left in silence."""
        if self._task is None:
            self._task = self._run("comfort", self._keep())

    def stop(self) -> None:
        """Somebody speaks again, or nobody has to."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def close(self) -> None:
        """The call is over: nobody is asked any more, and nobody is held."""
        self.stop()
        self._silent = _never

    async def _keep(self) -> None:
        loop = asyncio.get_running_loop()
        sound = self._sound
        size = CHUNK_MS * 8
        count, offset, until = 0, 0, 0.0
        silent_since: float | None = None
        while True:
            now = loop.time()
            if not self._silent():
                silent_since, until = None, 0.0
            elif silent_since is None:
                silent_since = now
            if silent_since is not None and now - silent_since >= self._after_s:
                until = max(until, now)
                while until < now + LEAD_CHUNKS * CHUNK_MS / 1000:
                    # A new id each time: the line plays nothing more under one that was ever cut.
                    count += 1
                    self._play(sound[offset : offset + size], f"{COMFORT}-{count}")
                    offset = (offset + size) % len(sound)
                    until += CHUNK_MS / 1000
            await asyncio.sleep(CHUNK_MS / 1000)
