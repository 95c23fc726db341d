"""PURE. A hint who has answered a call of ours: a person, or a machine that greets and beeps.

A person says a word or two and waits; a machine talks on, and then beeps. That is all there is to it, so this
is a hint and no truth: a receptionist who reads out a long greeting counts as a machine, a mailbox that says
only "hello" as a person.
"""

from __future__ import annotations

import math

from voiceagent.ivr.ports import Answering
from voiceagent.media import g711
from voiceagent.media.g711 import Law
from voiceagent.media.levels import g711_dbfs

FRAME = 160
FRAME_MS = 20
VOICE_DBFS = -42.0
"""A frame louder than this is taken for speech."""
BEGIN_FRAMES = 3
"""So many loud frames in a row begin the greeting."""
PERSON_MS = 2200
"""A greeting up to this long, followed by silence, is a person's."""
MACHINE_MS = 3200
"""A greeting that goes on for longer is a machine's."""
SILENCE_MS = 900
"""Silence that ends the greeting; pauses between its sentences are shorter."""
NOBODY_MS = 5000
"""Nothing heard for so long: unknown."""

BEEP_HZ = (350.0, 2500.0)
BEEP_MS = (120, 1500)
"""Shorter is a click or a syllable, longer a fax or a network tone."""
BEEP_DBFS = -35.0
STEADY_HZ = 30.0
STEADY_DB = 3.0
"""How much a beep may waver from frame to frame; two tones (DTMF, ringback) beat by more."""
PURE = 0.9
"""Part of a frame's energy that one sine must hold. Speech spreads its energy over harmonics."""
_NETWORK_HZ = (400.0, 460.0)
_NETWORK_MS = 220
"""425 and 440 Hz are the ringing, busy and congestion tones of many networks, at least this long."""


class AnsweringEar:
    """Listens from the answer on. Takes the callee's G.711 in whole frames of 20 ms."""

    def __init__(self, law: Law = "ulaw") -> None:
        self._law: Law = law
        self._ms = 0
        self._loud = 0
        self._began: int | None = None
        self._last_voice = 0
        self._greeting_ms = 0
        self._kind = "unknown"
        self._decided = False
        self._beep = _Beep()
        self._beep_at: int | None = None

    @property
    def hint(self) -> Answering:
        """What is known now."""
        if self._kind == "person":
            return Answering("person", self._greeting_ms, self._beep_at, self._decided)
        if self._kind == "machine":
            return Answering("machine", self._greeting_ms, self._beep_at, self._decided)
        return Answering("unknown", self._greeting_ms, self._beep_at, self._decided)

    def feed(self, audio: bytes) -> None:
        """Take one or more frames in."""
        for start in range(0, len(audio), FRAME):
            self._frame(audio[start : start + FRAME])

    def _frame(self, frame: bytes) -> None:
        level = g711_dbfs(frame, self._law)
        begun = self._ms
        self._ms += FRAME_MS
        hertz = _pure_tone(g711.linear(frame, self._law)) if level > BEEP_DBFS else None
        if self._beep.frame(hertz, level, begun):
            self._beep_at = self._ms - FRAME_MS
            self._decide("machine")
        if hertz is None:
            self._speech(level > VOICE_DBFS)
        if not self._decided and self._began is None and self._ms >= NOBODY_MS:
            self._decided = True

    def _speech(self, loud: bool) -> None:
        if loud:
            self._loud += 1
            if self._began is None and self._loud >= BEGIN_FRAMES:
                self._began = self._ms - BEGIN_FRAMES * FRAME_MS
            if self._began is not None and not self._decided:
                self._last_voice = self._ms
                self._greeting_ms = self._ms - self._began
                if self._greeting_ms >= MACHINE_MS:
                    self._decide("machine")
            return
        self._loud = 0
        if self._decided or self._began is None or self._ms - self._last_voice < SILENCE_MS:
            return
        self._decide("person" if self._greeting_ms <= PERSON_MS else "unknown")

    def _decide(self, kind: str) -> None:
        self._kind = kind
        self._decided = True


class _Beep:
    """Follows one steady tone; a beep is told when it has ended and was neither too short nor too long."""

    def __init__(self) -> None:
        self._hertz = 0.0
        self._level = 0.0
        self._frames = 0

    def frame(self, hertz: float | None, level: float, now: int) -> bool:
        """Take one frame's tone, or None; True when a beep has just ended."""
        if hertz is None or not BEEP_HZ[0] <= hertz <= BEEP_HZ[1]:
            return self._ended()
        if not self._frames:
            self._hertz, self._level, self._frames = hertz, level, 1
            return False
        steady = abs(hertz - self._hertz) <= STEADY_HZ and abs(level - self._level) <= STEADY_DB
        if not steady:
            ended = self._ended()
            self._hertz, self._level, self._frames = hertz, level, 1
            return ended
        self._frames += 1
        return False

    def _ended(self) -> bool:
        length, self._frames = self._frames * FRAME_MS, 0
        network = _NETWORK_HZ[0] <= self._hertz <= _NETWORK_HZ[1] and length >= _NETWORK_MS
        return BEEP_MS[0] <= length <= BEEP_MS[1] and not network


def _pure_tone(samples: list[int]) -> float | None:
    """Return the frequency in Hz when ``samples`` are one sine, else None.

    A sine obeys x[n] = c·x[n−1] − x[n−2] with c = 2·cos ω: c is fitted, then the energy at ω is measured.
    """
    before, now, after = samples[:-2], samples[1:-1], samples[2:]
    power = sum([x * x for x in now])
    if power == 0:
        return None
    c = sum([x * (y + z) for x, y, z in zip(now, after, before, strict=True)]) / power
    if abs(c) >= 2:
        return None
    one = two = 0.0
    for sample in samples:  # Goertzel, at the frequency that was fitted
        one, two = sample + c * one - two, one
    held = 2 * (one * one + two * two - c * one * two) / len(samples)
    if held < PURE * sum([x * x for x in samples]):
        return None
    return math.acos(c / 2) * 8000 / (2 * math.pi)
