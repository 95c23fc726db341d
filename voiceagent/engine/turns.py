"""When does the caller speak? Voice probabilities in, turn edges out. PURE.

Clock: milliseconds of appended audio, as the wire counts them (``audio_start_ms``, ``audio_end_ms``).
A frame is voiced at ``threshold`` and above, and unvoiced below ``threshold - 0.15``; between both nothing
changes. While the agent is being heard, its own voice may leak back into the line: then a turn needs 150 ms
of voice and a higher threshold.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

ONSET_MS = 60.0
GUARD_ONSET_MS = 150.0
GUARD_RISE = 0.2
GUARD_CEILING = 0.9
HYSTERESIS = 0.15
PAUSE_MS = 250.0
"""Silence after which a turn may be over; the recogniser wants about as much line after the words."""
EAGERNESS_MS: Mapping[str, int] = {"high": 350, "medium": 600, "auto": 600, "low": 1000}
"""Silence that ends a turn under ``semantic_vad``, which is emulated: no model judges the words."""


@dataclass(frozen=True, slots=True)
class TurnRules:
    """Settings of the turn detector, times in ms of audio."""

    threshold: float = 0.5
    prefix_padding_ms: int = 300
    silence_duration_ms: int = 500
    idle_timeout_ms: int | None = None
    tell_pauses: bool = False
    """Report each :class:`SpeechPaused`, so that recognition can begin before the turn is over."""

    @classmethod
    def from_wire(cls, turn_detection: Mapping[str, Any], *, tell_pauses: bool = False) -> TurnRules:
        """Read a ``turn_detection`` object with its defaults filled in."""
        if turn_detection["type"] == "semantic_vad":
            silence_ms = EAGERNESS_MS[turn_detection["eagerness"]]
            return cls(silence_duration_ms=silence_ms, tell_pauses=tell_pauses)
        return cls(
            tell_pauses=tell_pauses,
            threshold=float(turn_detection["threshold"]),
            prefix_padding_ms=turn_detection["prefix_padding_ms"],
            silence_duration_ms=turn_detection["silence_duration_ms"],
            idle_timeout_ms=turn_detection["idle_timeout_ms"],
        )


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """The caller speaks; ``audio_start_ms`` includes the prefix padding."""

    audio_start_ms: int


@dataclass(frozen=True, slots=True)
class SpeechPaused:
    """The caller has been silent for 250 ms: the turn may be over. Never sent on the wire."""

    audio_ms: int


@dataclass(frozen=True, slots=True)
class SpeechStopped:
    """The caller's turn ended; ``audio_end_ms`` includes the silence that ended it."""

    audio_end_ms: int


@dataclass(frozen=True, slots=True)
class IdleTimeout:
    """Nobody spoke from ``audio_start_ms`` (the agent's last sound) to ``audio_end_ms``."""

    audio_start_ms: int
    audio_end_ms: int


TurnEvent = SpeechStarted | SpeechPaused | SpeechStopped | IdleTimeout


class TurnDetector:
    """Finds the edges of the caller's turns."""

    def __init__(self, rules: TurnRules) -> None:
        self.rules = rules
        self.now_ms = 0.0
        self.speaking = False
        self._floor_ms = 0.0
        self._voice_from: float | None = None
        self._voiced_ms = 0.0
        self._silent_ms = 0.0
        self._idle_from: float | None = None

    def feed(self, probability: float, ms: float, *, agent_heard: bool = False) -> list[TurnEvent]:
        """Take one frame of ``ms`` milliseconds. ``agent_heard``: the agent's voice is being played."""
        began = self.now_ms
        self.now_ms = began + ms
        if self.speaking:
            return self._in_speech(probability, ms)
        return self._in_silence(probability, ms, began, agent_heard)

    def _in_speech(self, probability: float, ms: float) -> list[TurnEvent]:
        before = self._silent_ms
        if probability >= self.rules.threshold:
            self._silent_ms = 0.0
        elif self._silent_ms > 0.0 or probability < self.rules.threshold - HYSTERESIS:
            self._silent_ms += ms
        if self._silent_ms < self.rules.silence_duration_ms or self._silent_ms == 0.0:
            paused = self.rules.tell_pauses and before < PAUSE_MS <= self._silent_ms
            return [SpeechPaused(round(self.now_ms))] if paused else []
        self._end_turn()
        return [SpeechStopped(round(self.now_ms))]

    def _in_silence(self, probability: float, ms: float, began: float, agent_heard: bool) -> list[TurnEvent]:
        threshold, onset = self.rules.threshold, ONSET_MS
        if agent_heard:
            threshold = max(threshold, min(threshold + GUARD_RISE, GUARD_CEILING))
            onset = GUARD_ONSET_MS
            if self._idle_from is not None:
                self._idle_from = self.now_ms
        if probability >= threshold:
            if self._voice_from is None:
                self._voice_from = began
                self._voiced_ms = 0.0
            self._voiced_ms += ms
            if self._voiced_ms >= onset:
                return [self._start_turn()]
        elif probability < threshold - HYSTERESIS:
            self._voice_from = None
            self._voiced_ms = 0.0
        return self._idle()

    def _start_turn(self) -> SpeechStarted:
        assert self._voice_from is not None
        self.speaking = True
        self._silent_ms = 0.0
        self._idle_from = None
        return SpeechStarted(round(max(self._floor_ms, self._voice_from - self.rules.prefix_padding_ms)))

    def _end_turn(self) -> None:
        self.speaking = False
        self._voice_from = None
        self._voiced_ms = 0.0
        self._silent_ms = 0.0
        self._floor_ms = self.now_ms

    def _idle(self) -> list[TurnEvent]:
        limit = self.rules.idle_timeout_ms
        if limit is None or self._idle_from is None or self._voice_from is not None:
            return []
        if self.now_ms - self._idle_from < limit:
            return []
        start, self._idle_from = self._idle_from, None
        self._floor_ms = self.now_ms
        return [IdleTimeout(round(start), round(self.now_ms))]

    def arm_idle(self) -> None:
        """A response has ended: from its last sound on, silence counts towards ``idle_timeout_ms``."""
        if not self.speaking:
            self._idle_from = self.now_ms

    def disarm_idle(self) -> None:
        """A response began, or a turn was given by hand: silence does not count."""
        self._idle_from = None

    def abandon(self) -> None:
        """The buffer was committed or cleared by hand: forget the turn in progress."""
        self._end_turn()

    def change(self, rules: TurnRules) -> None:
        """Use other rules from the next frame on; audio time goes on."""
        self.rules = rules
