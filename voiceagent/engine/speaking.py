"""Performs one response: asks the brain, speaks sentence by sentence, ahead of real time."""

from __future__ import annotations

import asyncio
import json
from array import array
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar, cast

from .brain_text import sentences
from .faults import Fate
from .ports import Brain, BrainTurn, Say, Voice
from .protocol_usage import OUTPUT_MS_PER_TOKEN, text_tokens
from .resample import Resampler
from .responses import ResponseRun
from .wire_audio import WIRE_RATES, encode, wire_ms

FIRST_CHUNK_MS = 100
"""The first delta leaves as soon as this much audio is there."""
T = TypeVar("T")


class OutOfRoom(Exception):
    """``max_output_tokens`` is reached."""


class Doomed(Exception):
    """The fault script ends or stalls the response here."""


@dataclass(slots=True)
class Performance:
    """One response being performed. ``sounded`` is told the ms of each delta, for the echo guard.

    ``sever`` cuts the control sockets where the call does not depend on them; the response goes on.
    """

    run: ResponseRun
    fate: Fate
    pace: float
    chunk_ms: int
    sounded: Callable[[float], None]
    sever: Callable[[int], None] | None = None
    _began: float | None = field(default=None, init=False)
    _waiting: bytearray = field(default_factory=bytearray, init=False)

    async def play(self, brain: Brain, turn: BrainTurn, voice: Voice) -> None:
        """Send everything the brain wants. Raises :class:`OutOfRoom` or :class:`Doomed`."""
        self._check_fate()
        async with closing(brain.think(turn)) as thoughts:
            async for thought in thoughts:
                if isinstance(thought, Say):
                    for sentence in sentences(thought.text):
                        await self._say(sentence, voice)
                else:
                    self.run.call(thought.name, json.dumps(dict(thought.arguments), ensure_ascii=False))

    async def _say(self, sentence: str, voice: Voice) -> None:
        if text_tokens(sentence) * OUTPUT_MS_PER_TOKEN > self.run.room():
            raise OutOfRoom
        self.run.transcript(sentence)
        if not self.run.order.spoken:
            return
        form = self.run.order.wire_format
        rate = Resampler(voice.rate, WIRE_RATES[form])
        async with closing(voice.speak(sentence)) as chunks:
            async for pcm in chunks:
                await self._deliver(encode(rate.feed(self._level(pcm)), form))
        await self._deliver(encode(rate.flush(), form))
        await self._deliver(b"", last=True)

    async def _deliver(self, wire: bytes, *, last: bool = False) -> None:
        """Send whole deltas as they fill up; the rest with ``last``."""
        form = self.run.order.wire_format
        waiting = self._waiting
        waiting += wire
        while waiting:
            size_ms = FIRST_CHUNK_MS if self._began is None else self.chunk_ms
            size = round(size_ms * WIRE_RATES[form] / 1000) * (2 if form == "audio/pcm" else 1)
            if len(waiting) < size and not last:
                return
            delta = bytes(waiting[:size])
            del waiting[:size]
            await self._send(delta, wire_ms(len(delta), form))

    async def _send(self, delta: bytes, ms: float) -> None:
        now = asyncio.get_running_loop().time()
        if self._began is None:
            self._began = now
        if self.pace:
            due = self._began + self.run.sent_ms / 1000 / self.pace
            if due > now:
                await asyncio.sleep(due - now)
        if ms > self.run.room():
            raise OutOfRoom
        self.run.audio(delta, ms)
        self.sounded(ms)
        self._check_fate()

    def _check_fate(self) -> None:
        fate = self.fate
        if self.sever is not None and fate.cut_close is not None and self.run.sent_ms >= fate.after_ms:
            self.fate = replace(fate, cut_close=None)
            self.sever(fate.cut_close)
            return
        ends = fate.fail_code is not None or fate.stall or fate.cut_close is not None
        if ends and self.run.sent_ms >= fate.after_ms:
            raise Doomed

    def _level(self, pcm: bytes) -> bytes:
        if self.fate.gain == 1.0:
            return pcm
        samples = array("h")
        samples.frombytes(pcm)
        return array("h", (round(sample * self.fate.gain) for sample in samples)).tobytes()


@asynccontextmanager
async def closing(stream: AsyncIterator[T]) -> AsyncGenerator[AsyncIterator[T]]:
    """Close an asynchronous iterator (if it can be closed) when its reader leaves early."""
    try:
        yield stream
    finally:
        close = cast("Callable[[], Awaitable[Any]] | None", getattr(stream, "aclose", None))
        if close is not None:
            await close()
