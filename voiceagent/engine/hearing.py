"""The caller's turns on their way to words: recognised one after the other, in the background."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from .ports import Expectation, Hypothesis, Recogniser
from .wire_audio import LINE_RATE

_log = logging.getLogger("voiceagent.engine")

Recognised = Callable[["SpokenTurn", Hypothesis | None], None]
"""Called with the hypothesis, or with None when the recogniser failed."""


@dataclass(frozen=True, slots=True)
class SpokenTurn:
    """One turn's 8 kHz PCM, and what was expected when it ended."""

    item_id: str
    pcm: bytes
    expect: Expectation

    @property
    def seconds(self) -> float:
        """Length of the audio."""
        return len(self.pcm) / 2 / LINE_RATE


class Hearing:
    """Recognises turns in order; :meth:`settled` waits until none is pending."""

    def __init__(self, recognised: Recognised) -> None:
        self._recognised = recognised
        self._turns: asyncio.Queue[SpokenTurn] = asyncio.Queue()
        self._open = 0
        self._quiet = asyncio.Event()
        self._quiet.set()

    def put(self, turn: SpokenTurn) -> None:
        """Take a turn."""
        self._open += 1
        self._quiet.clear()
        self._turns.put_nowait(turn)

    async def settled(self) -> None:
        """Wait until every turn so far has been recognised."""
        await self._quiet.wait()

    async def run(self, recogniser: Callable[[], Recogniser]) -> None:
        """Work until cancelled. A failing turn is told and does not stop the next."""
        while True:
            turn = await self._turns.get()
            hypothesis: Hypothesis | None = None
            try:
                hypothesis = await recogniser().transcribe(turn.pcm, LINE_RATE, turn.expect)
            except Exception:
                _log.exception("the recogniser failed on %s", turn.item_id)
            self._recognised(turn, hypothesis)
            self._open -= 1
            if self._open == 0:
                self._quiet.set()
