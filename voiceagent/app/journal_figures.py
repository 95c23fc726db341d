"""Figures that stand in a call's journal and nowhere else: a tap on it that feeds the metrics."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from voiceagent.observe.limits import LIMIT_OF
from voiceagent.observe.metrics import Metrics
from voiceagent.realtime.sequencer_io import PlaybackEnded, SpeechStarted

_log = logging.getLogger("voiceagent.figures")

_RECOVERIES = {
    "recovery.started": "started",
    "recovery.restored": "restored",
    "recovery.failed": "failed",
    "handover.done": "handover",
}
_STEPS = frozenset({"SpeechStarted", "PlaybackEnded"})


class JournalFigures:
    """Of one call. Feed it every entry of its ``kinds``, in order."""

    __slots__ = ("_direction", "_metrics", "_spoke")

    def __init__(self, metrics: Metrics, direction: str) -> None:
        self._metrics = metrics
        self._direction = direction
        self._spoke: float | None = None
        """Since when (``t``) the caller speaks over whatever the agent says."""

    def take(self, entry: Mapping[str, Any]) -> None:
        """Take one entry of a live call."""
        act = self._ON.get(entry["type"])
        if act is None:
            return
        try:
            act(self, entry)
        except Exception:  # a figure must not be able to end the call that it tells of
            _log.exception("the figures cannot take an entry of type %s", entry.get("type"))

    def _answered(self, entry: Mapping[str, Any]) -> None:
        self._metrics.call_answered(self._direction, float(entry["setup_s"]))

    def _step(self, entry: Mapping[str, Any]) -> None:
        if entry.get("event") not in _STEPS:
            return
        step = entry.get("body")
        if isinstance(step, SpeechStarted):
            self._spoke = entry["t"]
        elif isinstance(step, PlaybackEnded) and step.cut and self._spoke is not None:
            self._metrics.fell_silent(entry["t"] - self._spoke)
            self._spoke = None
        elif isinstance(step, PlaybackEnded):
            self._spoke = None

    def _ended(self, entry: Mapping[str, Any]) -> None:
        if entry.get("first_words_s") is not None:
            self._metrics.first_words(float(entry["first_words_s"]))
        limit = LIMIT_OF.get(str(entry.get("reason")))
        if limit is not None:
            self._metrics.limit_reached(limit)

    def _tool_ended(self, entry: Mapping[str, Any]) -> None:
        self._metrics.tool_ended(str(entry["tool"]), bool(entry["ok"]), float(entry["seconds"]))

    def _line_played(self, entry: Mapping[str, Any]) -> None:
        self._metrics.line_played(str(entry.get("line", entry["type"])))

    def _used(self, entry: Mapping[str, Any]) -> None:
        self._metrics.provider_tokens(entry["tokens"])

    def _recorded(self, entry: Mapping[str, Any]) -> None:
        self._metrics.recording_dropped(float(entry.get("dropped_s", 0.0)))
        if entry.get("reason") == "max_minutes":
            self._metrics.limit_reached("recording.max_minutes")

    def _refused(self, entry: Mapping[str, Any]) -> None:
        if entry.get("reason") == "full":
            self._metrics.limit_reached(f"queues.{entry['queue']}.max_waiting")

    def _recovery(self, entry: Mapping[str, Any]) -> None:
        self._metrics.provider_recovery(_RECOVERIES[entry["type"]])

    _ON: ClassVar[Mapping[str, Callable[[Any, Mapping[str, Any]], None]]] = {
        "sequencer": _step,
        "call.answered": _answered,
        "call.ended": _ended,
        "tool.ended": _tool_ended,
        "line.played": _line_played,
        "apology": _line_played,
        "provider.usage": _used,
        "recording.finished": _recorded,
        "queue.refused": _refused,
        **dict.fromkeys(_RECOVERIES, _recovery),
    }
    kinds: ClassVar[frozenset[str]] = frozenset(_ON)
    """Types of entries that :meth:`take` does something about."""
