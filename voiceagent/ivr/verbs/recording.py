"""The call as a file: recorded, paused, ended."""

from __future__ import annotations

from voiceagent.ivr.ports import Recording
from voiceagent.ivr.verbs.base import Verbs


class RecordingVerbs(Verbs):
    """``record``, ``pause_recording``, ``resume_recording``, ``stop_recording``."""

    async def record(self, name: str | None = None, *, announce: str | None = None) -> Recording | None:
        """Record from now on, both sides, until ``stop_recording`` or the call's end.

        ``name`` becomes part of the file's name. ``announce`` is said word for word first, and must be heard
        to its end: else nothing is recorded and the result is None. A disk that fails does not disturb the
        call; the journal tells. Raises RequestRefused for a bad or used name, while a recording runs, and on
        calls whose audio does not pass through us (``not_supported``).
        """
        self._step("record")
        self._port.recorder.check(name)
        if announce:
            spoken = await self._port.speak(self._line(self._exactly(announce), None, False, False, ()))
            if not spoken.completed:
                return None
        return self._port.recorder.start(name)

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
