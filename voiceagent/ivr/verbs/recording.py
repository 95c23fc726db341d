"""The call as a file: recorded, paused, ended."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from voiceagent.ivr.ports import Recording
from voiceagent.ivr.verbs.base import Verbs


class RecordingVerbs(Verbs):
    """``record``, ``pause_recording``, ``resume_recording``, ``stop_recording``."""

    async def record(self, name: str | None = None, *, announce: str | None = None) -> Recording | None:
        """Record from now on, both sides, until ``stop_recording`` or the call's end.

        ``name`` becomes part of the file's name. ``announce`` is said word for word first (default:
        ``recording.announce``; ``""``: nothing), and must be heard to its end: else nothing is recorded and
        the result is None. The journal has it as ``recording.announced``. A disk that fails does not disturb
        the call; the journal tells. Raises RequestRefused for a bad or used name, while a recording runs, and
        on calls whose audio does not pass through us (``not_supported``).
        """
        self._step("record")
        recorder = self._port.recorder
        recorder.check(name)
        told = recorder.announcement if announce is None else announce
        if told and not await self._announced(
            told, is_file=announce is None and told.lower().endswith(".wav")
        ):
            return None
        return recorder.start(name)

    async def _announced(self, told: str, *, is_file: bool) -> bool:
        """Announce, and keep how much of it was heard: the evidence that the caller knew."""
        if is_file:
            heard_ms, whole_ms, by = await self._port.play(Path(told), text="", interruptible=False)
            heard: dict[str, Any] = {"file": Path(told).name, "heard_ms": heard_ms, "whole_ms": whole_ms}
            complete = by is None
        else:
            spoken = await self._port.speak(self._line(self._exactly(told), None, False, False, ()))
            heard = {"text": told, "heard_ms": spoken.heard_ms, "response_id": spoken.response_id}
            complete = spoken.completed
        self._port.note_fact("recording.announced", complete=complete, **heard)
        return complete

    async def pause_recording(self) -> None:
        """Keep what follows out of the recording: silence stands in its place."""
        self._step("pause_recording")
        self._port.recorder.gate("flow", True)

    async def resume_recording(self) -> None:
        """Record on after ``pause_recording``."""
        self._step("resume_recording")
        self._port.recorder.gate("flow", False)

    async def stop_recording(self) -> Recording | None:
        """End the recording and return it; None where nothing was recorded."""
        self._step("stop_recording")
        return self._port.recorder.stop()
