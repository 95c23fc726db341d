"""The caller's turns on their way to words: recognised one after the other, in the background."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from voiceagent.tasks import TaskNest

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


@dataclass(frozen=True, slots=True)
class _Guess:
    """Recognition begun at a pause, in the hope that the turn is over."""

    turn: SpokenTurn
    task: asyncio.Task[Hypothesis | None]


class Hearing:
    """Recognises turns in order; :meth:`settled` waits until none is pending."""

    def __init__(
        self, recogniser: Callable[[], Awaitable[Recogniser]], recognised: Recognised, nest: TaskNest
    ) -> None:
        self._recogniser = recogniser
        self._recognised = recognised
        self._nest = nest
        self._turns: asyncio.Queue[tuple[SpokenTurn, _Guess | None]] = asyncio.Queue()
        self._guess: _Guess | None = None
        self._working = False
        self._open = 0
        self._quiet = asyncio.Event()
        self._quiet.set()

    def guess(self, turn: SpokenTurn) -> None:
        """The turn may be over: begin to recognise it. A later guess or another turn replaces this one."""
        self._drop_guess()
        task = self._nest.start(f"guess-{turn.item_id}", self._transcribe(turn))
        self._guess = _Guess(turn, task)

    def put(self, turn: SpokenTurn) -> None:
        """Take a turn that is over. A guess at the same turn with the same expectation is its result."""
        guess = self._guess
        if guess is not None and (guess.turn.item_id, guess.turn.expect) == (turn.item_id, turn.expect):
            self._guess = None
        else:
            guess = None
            self._drop_guess()
        self._open += 1
        self._quiet.clear()
        self._turns.put_nowait((turn, guess))
        if not self._working:
            self._working = True
            self._nest.start("hearing", self._run())

    def _drop_guess(self) -> None:
        if self._guess is not None:
            self._guess.task.cancel()
            self._guess = None

    async def settled(self) -> None:
        """Wait until every turn so far has been recognised."""
        await self._quiet.wait()

    async def _run(self) -> None:
        """Work until cancelled. A failing turn is told and does not stop the next."""
        while True:
            turn, guess = await self._turns.get()
            hypothesis = await (guess.task if guess is not None else self._transcribe(turn))
            self._recognised(turn, hypothesis)
            self._open -= 1
            if self._open == 0:
                self._quiet.set()

    async def _transcribe(self, turn: SpokenTurn) -> Hypothesis | None:
        try:
            recogniser = await self._recogniser()
            return await recogniser.transcribe(turn.pcm, LINE_RATE, turn.expect)
        except Exception:
            _log.exception("the recogniser failed on %s", turn.item_id)
            return None
