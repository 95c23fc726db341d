"""What else a call hears of the world in a replay: results of others' work, and who has answered."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from voiceagent.call.greeting import Greeting
from voiceagent.call.leg import G711
from voiceagent.call.outside import as_kind
from voiceagent.ivr.ports import Answering
from voiceagent.media.g711 import Law
from voiceagent.records.recording import RecordingFailed, RecordingFinished, RecordingNews, RecordingSink
from voiceagent.replay.errors_back import error_back
from voiceagent.replay.recording import Recording
from voiceagent.replay.script import ReplayScript
from voiceagent.replay.trace import rebuild

_SOUND = "sound:"


class ReplayOutside:
    """Answers from the recording; nothing of others is run. A :class:`voiceagent.call.outside.Outside`."""

    def __init__(self, script: ReplayScript, recording: Recording) -> None:
        self._script = script
        told = any(str(one.entry.get("key", "")).startswith(_SOUND) for one in recording.inputs)
        played = any(one.entry.get("type") == "sound.played" for one in recording.decisions)
        self._reads_sounds = played and not told
        """Older journals do not tell when a file was read."""
        script.takers["outside"] = lambda entry: script.answer(("outside", entry["key"]), entry)

    async def __call__(self, key: str, work: Callable[[], Awaitable[Any]], *, kind: Any = None) -> Any:
        if self._reads_sounds and key.startswith(_SOUND):
            return await work()
        entry = await self._script.answered(("outside", key))
        if "error" in entry:
            raise error_back(entry["error"])
        if "unwritten" in entry:
            raise LookupError(f"the result of {key} is not in the journal ({entry['unwritten']})")
        return as_kind(entry.get("value"), kind or _class(entry))


def _class(entry: Mapping[str, Any]) -> Any:
    """Return the class of a recorded result, where it is one that the flow has loaded."""
    module, _, name = str(entry.get("as", "")).partition(":")
    kind = getattr(sys.modules.get(module), name, None) if module else None
    return kind if isinstance(kind, type) else None


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
        known = self._known
        if known is None:
            now = asyncio.get_running_loop().time()
            first = self._script.pull_ahead(lambda one: one.kind == "answering", 0.5, now)
            known = self._known = Answering() if first is None else _hint(first.entry)
        return known

    def _told(self, entry: Mapping[str, Any]) -> bool:
        before, known = self._known or Answering(), _hint(entry)
        self._known = known
        if (before.decided, before.beep_at_ms) != (known.decided, known.beep_at_ms):
            self.news()
        return True


def _hint(entry: Mapping[str, Any]) -> Answering:
    return rebuild(Answering, entry["hint"])


class ReplayRecordings:
    """Keeps nothing, and tells of each file what was told. A ``voiceagent.records.recording.Recordings``."""

    def __init__(self, script: ReplayScript) -> None:
        self._told: dict[str, Callable[[RecordingNews], None]] = {}
        script.takers["recording"] = self._news

    def start(self, file: str, law: Law, told: Callable[[RecordingNews], None]) -> RecordingSink:
        self._told[file] = told
        return _Nowhere()

    def _news(self, entry: Mapping[str, Any]) -> bool:
        told = self._told.pop(entry["file"], None)
        if told is not None:
            kind = RecordingFailed if entry["news"] == "failed" else RecordingFinished
            told(rebuild(kind, entry["facts"]))
        return told is not None


class _Nowhere:
    def write(self, caller: bytes, agent: bytes) -> None:
        """Nobody listens."""

    def finish(self) -> None:
        """The recording knows when the file was complete."""
