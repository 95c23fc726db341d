"""What else a call hears of the world in a replay: results of others' work, and who has answered."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import is_dataclass
from typing import Any

from pydantic import BaseModel

from voiceagent.call.greeting import Greeting
from voiceagent.call.leg import G711
from voiceagent.ivr.ports import Answering
from voiceagent.replay.errors_back import error_back
from voiceagent.replay.script import ReplayScript
from voiceagent.replay.trace import rebuild


class ReplayOutside:
    """Answers from the recording; nothing of others is run. A :class:`voiceagent.call.outside.Outside`."""

    def __init__(self, script: ReplayScript) -> None:
        self._script = script
        script.takers["outside"] = lambda entry: script.answer(("outside", entry["key"]), entry)

    async def __call__(self, key: str, work: Callable[[], Awaitable[Any]]) -> Any:
        entry = await self._script.answered(("outside", key))
        if "error" in entry:
            raise error_back(entry["error"])
        return _value(entry)


def _value(entry: Mapping[str, Any]) -> Any:
    """Return a recorded result; as what it was, where its class is one that the flow has loaded."""
    value = entry.get("value")
    module, _, name = str(entry.get("as", "")).partition(":")
    kind = getattr(sys.modules.get(module), name, None) if module else None
    if isinstance(kind, type):
        if issubclass(kind, BaseModel):
            return kind.model_validate(value)
        if is_dataclass(kind):
            return rebuild(kind, value)
    return value


class ReplayGreeting(Greeting):
    """Who has answered, as it was known then: the callee's voice is not in the journal."""

    def __init__(self, audio_format: G711, script: ReplayScript) -> None:
        super().__init__(audio_format)
        self._script = script
        self._known: Answering | None = None
        script.takers["answering"] = self._told

    def hear(self, audio: bytes) -> None:
        """Silence says nothing."""

    def hint(self) -> Answering:
        if self._known is None:
            now = asyncio.get_running_loop().time()
            first = self._script.pull_ahead(lambda one: one.kind == "answering", 0.5, now)
            self._known = Answering() if first is None else rebuild(Answering, first.entry["hint"])
        return self._known

    def _told(self, entry: Mapping[str, Any]) -> bool:
        before, self._known = self._known or Answering(), rebuild(Answering, entry["hint"])
        if (before.decided, before.beep_at_ms) != (self._known.decided, self._known.beep_at_ms):
            self.news()
        return True
