"""A word now and then while something takes long: only when nobody speaks, and never over the caller."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from voiceagent.errors import CallEnded, RequestRefused
from voiceagent.realtime.handles import ResponseHandle
from voiceagent.realtime.requests import Progress

AGAIN_AFTER_S = 10.0
"""From the end of one such word to the next, at least."""
UNHEARD_S = 1.0
"""… and after one that nobody heard, because somebody spoke first."""
MOST_S = 310.0
"""Nothing may take longer; what does not end all the same is not talked about for ever."""
LOOK_S = 0.1
"""How often it looks whether somebody speaks."""
STALE_S = 2.0
"""A word that could not begin within this is not said any more."""

Say = Callable[[str], ResponseHandle]
"""Puts the line into the sequencer. Raises CallEnded or RequestRefused."""


def _nobody_hears(_: str) -> ResponseHandle:
    raise CallEnded


def _never() -> bool:
    return False


class WorkingLine:
    """Says a line while a block lasts. ``quiet()`` tells that nobody speaks and nobody is on hold."""

    __slots__ = ("_free_at", "_quiet", "_run", "_say", "_speaking", "_withdraw")

    def __init__(
        self,
        say: Say,
        quiet: Callable[[], bool],
        withdraw: Callable[[str], None],
        run: Callable[[str, Coroutine[Any, Any, Any]], asyncio.Task[Any]],
    ) -> None:
        self._say = say
        self._quiet = quiet
        self._withdraw = withdraw
        self._run = run
        self._speaking = False
        self._free_at = 0.0
        """Loop time before which no further word is said, whoever is at work."""

    def close(self) -> None:
        """The call is over: nobody is told anything, and nobody is held."""
        self._say, self._quiet = _nobody_hears, _never

    @asynccontextmanager
    async def while_working(self, text: str, after_s: float) -> AsyncGenerator[None]:
        """Say ``text`` once the block has lasted ``after_s``, and again as long as it lasts."""
        if not text:
            yield
            return
        task = self._run("working line", self._bridge(text, after_s))
        try:
            yield
        finally:
            task.cancel()

    async def _bridge(self, text: str, after_s: float) -> None:
        now = asyncio.get_running_loop().time
        ends = now() + MOST_S
        await asyncio.sleep(after_s)
        while now() < ends:
            while self._speaking or now() < self._free_at or not self._quiet():  # noqa: ASYNC110
                await asyncio.sleep(LOOK_S)
            try:
                handle = self._say(text)
            except (CallEnded, RequestRefused):
                return  # nobody is there to be told
            self._speaking = True
            pause_s = AGAIN_AFTER_S
            try:
                if not (await handle.outcome()).heard_ms:
                    pause_s = UNHEARD_S
            except asyncio.CancelledError:
                # Words that are being heard are not torn off: what was worked on follows them.
                if handle.progress in (Progress.QUEUED, Progress.SENT):
                    self._withdraw(handle.id)
                raise
            finally:
                self._speaking = False
                self._free_at = now() + pause_s
