"""Waiting in line for a person."""

from __future__ import annotations

from voiceagent.errors import RequestRefused
from voiceagent.ivr.ports import Line, QueueOutcome
from voiceagent.ivr.verbs.base import Verbs


class QueueingVerbs(Verbs):
    """``queue``."""

    async def queue(
        self,
        name: str,
        *,
        announce: bool = True,
        timeout_s: float | None = None,
        whisper: str | None = None,
        leave: str = "*",
    ) -> QueueOutcome:
        """Let the caller wait in the queue ``name`` of the settings, with music, until somebody answers.

        Then the call goes on with that person, and this does not return. It returns when the queue is full or
        closed, when ``timeout_s`` (at most the queue's ``wait_limit_s``) has passed, or when the caller
        presses ``leave``. ``announce``: the caller is told the position now and then. ``whisper`` is said
        word for word to whoever answers. Raises RequestRefused for a queue that does not exist.
        """
        if len(leave) != 1 or leave not in "0123456789*#":
            raise RequestRefused("leave", "must be one key: 0-9, *, #")
        if timeout_s is not None and timeout_s <= 0:
            raise RequestRefused("timeout_s", "must be more than 0")
        self._step("queue")
        words = self._options.words.queue_position

        def position(place: int) -> Line:
            return self._line(self._exactly(words.format(position=place)), None, False)

        with self._listens("queue"):
            return await self._port.queue(
                name,
                position if announce else None,
                timeout_s=timeout_s,
                whisper=self._line(self._exactly(whisper), None, False) if whisper else None,
                leave=leave,
            )
