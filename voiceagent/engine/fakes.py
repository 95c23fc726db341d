"""Parts without models, for tests, benches and the loop-back mode: a detector, a recogniser, a voice."""

from __future__ import annotations

import asyncio
import math
from array import array
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from operator import mul

from .ports import Expectation, Hypothesis, Recogniser, Vad, Voice


class EnergyVad:
    """Voice is what is loud: probability 1 at ``speech_dbfs`` and above, 0 at ``noise_dbfs`` and below."""

    name = "energy-fixed"

    def __init__(self, noise_dbfs: float = -50.0, speech_dbfs: float = -35.0) -> None:
        self._noise = noise_dbfs
        self._speech = speech_dbfs

    def feed(self, pcm: bytes) -> float:
        """Return how loud these samples are, mapped to 0 to 1."""
        samples = array("h")
        samples.frombytes(pcm)
        if not samples:
            return 0.0
        level = 10 * math.log10(max(sum(map(mul, samples, samples)) / len(samples), 1e-3) / 32768**2)
        return min(max((level - self._noise) / (self._speech - self._noise), 0.0), 1.0)

    def reset(self) -> None:
        """Nothing is remembered."""


class CannedRecogniser:
    """Hears what its script says, turn by turn; the last line repeats. ``turns`` keeps what it was asked."""

    name = "canned"

    def __init__(self, script: Sequence[str] = ("",), *, gate: asyncio.Event | None = None) -> None:
        self.script = tuple(script) or ("",)
        self.turns: list[tuple[float, Expectation]] = []
        """Length in ms and expectation of every turn."""
        self._gate = gate

    async def transcribe(self, pcm: bytes, rate: int, expect: Expectation) -> Hypothesis:
        """Return the next line of the script (after ``gate`` opens)."""
        index = min(len(self.turns), len(self.script) - 1)
        self.turns.append((len(pcm) / 2 / rate * 1000, expect))
        if self._gate is not None:
            await self._gate.wait()
        return Hypothesis(self.script[index])

    async def warm_up(self) -> None:
        """Nothing to load."""

    async def close(self) -> None:
        """Nothing to end."""


class ToneVoice:
    """Speaks a steady tone: ``ms_per_character`` for each character of the text, in chunks of 100 ms."""

    name = "tone"

    def __init__(
        self,
        rate: int = 8000,
        *,
        hertz: float = 440.0,
        ms_per_character: float = 60.0,
        level: int = 8000,
        gate: Callable[[], AsyncIterator[None]] | None = None,
    ) -> None:
        self.rate = rate
        self.spoken: list[str] = []
        self._ms_per_character = ms_per_character
        self._gate = gate
        length = rate // 10
        cycles = round(hertz / 10)
        step = 2 * math.pi * cycles / length
        self._chunk = array("h", (round(level * math.sin(step * n)) for n in range(length))).tobytes()

    def length_ms(self, text: str) -> float:
        """Return how long ``text`` will sound."""
        return len(text) * self._ms_per_character

    async def speak(self, text: str) -> AsyncIterator[bytes]:
        """Yield the tone. With a ``gate``, its next item is awaited before each chunk."""
        self.spoken.append(text)
        left = round(self.length_ms(text) * self.rate / 1000) * 2
        gate = self._gate() if self._gate is not None else None
        while left > 0:
            if gate is not None:
                await anext(gate)
            chunk = self._chunk[:left]
            left -= len(chunk)
            yield chunk

    async def warm_up(self) -> None:
        """Nothing to load."""

    async def close(self) -> None:
        """Nothing to end."""


@dataclass(slots=True)
class FakeParts:
    """Parts for :func:`voiceagent.engine.run.start_engine` without any model."""

    vad_factory: Callable[[], Vad] = EnergyVad
    recogniser: Recogniser = field(default_factory=CannedRecogniser)
    voice: Voice = field(default_factory=ToneVoice)
