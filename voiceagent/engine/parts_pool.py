"""The parts that all sessions share: built once, warmed up in the background, detectors used again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from voiceagent.errors import VoiceAgentError
from voiceagent.tasks import TaskNest

from .config import EngineConfig
from .fakes import CannedRecogniser, FakeParts, ToneVoice
from .ports import Brain, Recogniser, Vad, Voice
from .step_times import StepTimes, TimedBrain, TimedRecogniser, TimedVoice

_log = logging.getLogger("voiceagent.engine")
SPARE_VADS = 32
"""Detectors kept for the next sessions; each may hold some 10 MB."""


class Parts(Protocol):
    """What the engine is made of; ``voiceagent.engine.parts.EngineParts`` is one."""

    @property
    def vad_factory(self) -> Callable[[], Vad]:
        """Makes a detector; may be slow, so it is called on a thread."""
        ...

    @property
    def recogniser(self) -> Recogniser:
        """Speech to text."""
        ...

    @property
    def voice(self) -> Voice:
        """Text to speech."""
        ...


@dataclass(frozen=True, slots=True)
class ReadyParts:
    """All parts, loaded."""

    vad_factory: Callable[[], Vad]
    recogniser: Recogniser
    voice: Voice
    brain: Brain


class PartsPool:
    """Owns the parts of one engine."""

    def __init__(self, config: EngineConfig, brain: Brain, parts: Parts | None = None) -> None:
        self._config = config
        self._brain = brain
        self._given = parts
        self.times = StepTimes()
        self._nest = TaskNest("engine-parts")
        self._spare: list[Vad] = []
        self._warming: asyncio.Task[ReadyParts] | None = None

    @property
    def speculates(self) -> bool:
        """Recognition may begin before a turn is surely over; a script's lines would be used up by that."""
        scripted = self._given is not None and isinstance(self._given.recogniser, CannedRecogniser)
        canned = bool(self._config.hear) or self._config.recogniser == "canned" or scripted
        return self._config.speculate and not canned

    def start(self) -> None:
        """Build and warm up in the background."""
        self._warming = self._nest.start("warm-up", self._build())
        self._warming.add_done_callback(_observe)

    async def ready(self) -> ReadyParts:
        """Wait for the warm parts; raises what went wrong."""
        if self._warming is None:
            raise VoiceAgentError("the engine's parts were never started")
        if self._warming.done():
            return self._warming.result()
        return await asyncio.shield(self._warming)

    async def _build(self) -> ReadyParts:
        parts = self._given if self._given is not None else await asyncio.to_thread(load_parts, self._config)
        recogniser = CannedRecogniser(self._config.hear) if self._config.hear else parts.recogniser
        await asyncio.gather(recogniser.warm_up(), parts.voice.warm_up())
        return ReadyParts(
            parts.vad_factory,
            TimedRecogniser(recogniser, self.times),
            TimedVoice(parts.voice, self.times),
            TimedBrain(self._brain, self.times),
        )

    async def take_vad(self) -> Vad:
        """Return a fresh detector."""
        parts = await self.ready()
        if self._spare:
            return self._spare.pop()
        return await asyncio.to_thread(parts.vad_factory)

    def give_back(self, vad: Vad) -> None:
        """Take a detector back for the next session."""
        if len(self._spare) < SPARE_VADS:
            vad.reset()
            self._spare.append(vad)

    async def close(self) -> None:
        """End the warm-up and the parts' workers."""
        warming = self._warming
        await self._nest.close()
        self._spare.clear()
        if warming is not None and not warming.cancelled() and warming.exception() is None:
            parts = warming.result()
            await asyncio.gather(parts.recogniser.close(), parts.voice.close())


def _observe(task: asyncio.Task[ReadyParts]) -> None:
    """Mark a failure as seen: it is logged by the nest, and told to each response that needs the parts."""
    if not task.cancelled():
        task.exception()


def load_parts(config: EngineConfig) -> Parts:
    """Build the parts by name, cold; the fakes need no installed package.

    Takes some 0.3 s of imports, so call it on a thread. Raises ConfigError naming the setting and the remedy.
    """
    from .parts import build_parts

    silent = config.voice == "tone"
    deaf = bool(config.hear) or config.recogniser == "canned"
    if silent and deaf and config.vad == "energy":
        return FakeParts()
    built = build_parts(
        voice="auto" if silent else config.voice,
        recogniser="auto" if deaf else config.recogniser,
        vad=config.vad,
        language=config.language,
    )
    return FakeParts(
        built.vad_factory,
        CannedRecogniser() if deaf else built.recogniser,
        ToneVoice() if silent else built.voice,
    )
