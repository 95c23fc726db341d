"""How long the parts take: each is wrapped in one of its own kind, with a clock in it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import contextmanager

from .ports import Brain, BrainTurn, CallTool, Expectation, Hypothesis, Recogniser, Say, Voice
from .speaking import closing


class StepTimes:
    """Steps under way, and whoever wants to know of those that ended."""

    def __init__(self) -> None:
        self.active = 0
        self.told: Callable[[str, float], None] = lambda step, seconds: None
        """Called with the step (listen, think, speak) and its seconds; not for one that failed."""

    @contextmanager
    def step(self, name: str) -> Generator[Callable[[], None]]:
        """Count a step as under way until the yielded function is called: then it has come to its point."""
        began, active = time.monotonic(), True

        def reached() -> None:
            nonlocal active
            if active:
                active = False
                self.active -= 1
                self.told(name, time.monotonic() - began)

        self.active += 1
        try:
            yield reached
        finally:
            if active:
                self.active -= 1


class TimedRecogniser:
    """Tells ``listen``: a whole turn to text. Fulfils :class:`~voiceagent.engine.ports.Recogniser`."""

    def __init__(self, inner: Recogniser, times: StepTimes) -> None:
        self.name = inner.name
        self._inner = inner
        self._times = times

    async def transcribe(self, pcm: bytes, rate: int, expect: Expectation) -> Hypothesis:
        with self._times.step("listen") as reached:
            heard = await self._inner.transcribe(pcm, rate, expect)
            reached()
            return heard

    async def warm_up(self) -> None:
        await self._inner.warm_up()

    async def close(self) -> None:
        await self._inner.close()


class TimedVoice:
    """Tells ``speak``: a sentence to its first sound. Fulfils :class:`~voiceagent.engine.ports.Voice`."""

    def __init__(self, inner: Voice, times: StepTimes) -> None:
        self.name = inner.name
        self.rate = inner.rate
        self._inner = inner
        self._times = times

    async def speak(self, text: str) -> AsyncIterator[bytes]:
        with self._times.step("speak") as reached:
            async with closing(self._inner.speak(text)) as chunks:
                async for chunk in chunks:
                    reached()
                    yield chunk

    async def warm_up(self) -> None:
        await self._inner.warm_up()

    async def close(self) -> None:
        await self._inner.close()


class TimedBrain:
    """Tells ``think``: from a turn to the first thought. Fulfils :class:`~voiceagent.engine.ports.Brain`."""

    def __init__(self, inner: Brain, times: StepTimes) -> None:
        self.name = inner.name
        self._inner = inner
        self._times = times

    async def think(self, turn: BrainTurn) -> AsyncIterator[Say | CallTool]:
        with self._times.step("think") as reached:
            async with closing(self._inner.think(turn)) as thoughts:
                async for thought in thoughts:
                    reached()
                    yield thought
