"""What the callee says first, kept until a flow asks who has answered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from voiceagent.call.answering import AnsweringEar
from voiceagent.call.leg import G711
from voiceagent.ivr.ports import Answering

KEPT = 8000 * 30
"""Bytes of the callee's audio kept for a flow that has not asked yet; what is older is forgotten."""


class Greeting:
    """The callee's audio from the answer on. Nothing is computed for flows that do not ask."""

    def __init__(self, audio_format: G711, tell: Callable[[Answering], None] | None = None) -> None:
        """``tell`` is given every hint that a flow could have seen."""
        self._tell = tell
        self._law = audio_format
        self._kept = bytearray()
        self._ear: AnsweringEar | None = None
        self._hint = Answering()
        self._waiting: set[asyncio.Future[None]] = set()

    def hear(self, audio: bytes) -> None:
        """Take whole frames of the callee's."""
        if self._ear is None:
            if len(self._kept) < KEPT:
                self._kept += audio
            return
        self._ear.feed(audio)
        self._look(self._ear)

    def hint(self) -> Answering:
        """Return what is known; the first question begins the listening, with what was kept."""
        if self._ear is None:
            self._ear = AnsweringEar("alaw" if self._law == "audio/pcma" else "ulaw")
            self._ear.feed(bytes(self._kept))
            self._kept.clear()
            self._hint = self._ear.hint
            if self._tell is not None:
                self._tell(self._hint)
        return self._hint

    async def changed(self, timeout_s: float) -> bool:
        """Wait until :meth:`hint` says something else; False when it does not in time."""
        news: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(news)
        try:
            async with asyncio.timeout(timeout_s):
                await news
        except TimeoutError:
            return False
        finally:
            self._waiting.discard(news)
        return True

    def _look(self, ear: AnsweringEar) -> None:
        before, self._hint = self._hint, ear.hint
        if self._tell is not None and before != self._hint:
            self._tell(self._hint)
        if (before.decided, before.beep_at_ms) != (self._hint.decided, self._hint.beep_at_ms):
            self.news()

    def news(self) -> None:
        """Wake who waits for another hint."""
        for news in self._waiting:
            if not news.done():
                news.set_result(None)
