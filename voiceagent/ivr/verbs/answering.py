"""Who has answered a call that we placed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from voiceagent.ivr.ports import Answering
from voiceagent.ivr.verbs.base import Verbs


class AnsweringVerbs(Verbs):
    """``answering``, ``answered_by``, ``until_beep``."""

    @property
    def answering(self) -> Answering:
        """Who has answered, as far as is known: a hint. Inbound calls know nothing."""
        return self._port.answering()

    async def answered_by(self, timeout_s: float = 6.0) -> Answering:
        """Wait until the greeting says whether a person or a machine has answered, or for ``timeout_s``."""
        return await self._listen(timeout_s, lambda hint: hint.decided)

    async def until_beep(self, timeout_s: float = 30.0) -> Answering:
        """Wait for a beep that comes after now, or for ``timeout_s``."""
        last = self.answering.beep_at_ms
        return await self._listen(timeout_s, lambda hint: hint.beep_at_ms != last)

    async def _listen(self, timeout_s: float, enough: Callable[[Answering], bool]) -> Answering:
        end = asyncio.get_running_loop().time() + timeout_s
        while not enough(self.answering):
            left = end - asyncio.get_running_loop().time()
            if left <= 0 or not await self._port.answering_changed(left):
                break
        return self.answering
