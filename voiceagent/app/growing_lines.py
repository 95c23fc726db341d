"""Lines of transcripts that grow word by word: told together, ten times a second at most."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context

from voiceagent.call.call import Call
from voiceagent.call.transcript import Utterance

GROWN_S = 0.1
"""So long a word may wait for others."""


class GrowingLines:
    """The lines of all calls that have grown and are not told yet. One timer serves them all."""

    def __init__(self, tell: Callable[[Call, Utterance], None]) -> None:
        self._tell = tell
        self._grown: dict[tuple[str, str], tuple[Call, Utterance]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def grew(self, call: Call, line: Utterance) -> None:
        """Tell soon how it stands then."""
        self._grown[call.id, line.key] = (call, line)
        if self._timer is None:
            # It tells of other calls, too: not in the context of this one.
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(GROWN_S, self._tell_all, context=Context())

    def overtaken(self, call: Call, line: Utterance) -> None:
        """The line is told otherwise, now: before it, what waits of its call, so that none changes place."""
        self._grown.pop((call.id, line.key), None)
        if self._grown:
            self.flush(call)

    def flush(self, call: Call) -> None:
        """Tell what waits of a call at once."""
        for key in [key for key in self._grown if key[0] == call.id]:
            self._tell(*self._grown.pop(key))

    def _tell_all(self) -> None:
        self._timer = None
        grown, self._grown = self._grown, {}
        for call, line in grown.values():
            self._tell(call, line)
