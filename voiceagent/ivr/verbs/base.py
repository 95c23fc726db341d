"""What all families of verbs share: the port, the flow's place in its file, lines on their way."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from voiceagent.errors import ConfigError, RequestRefused
from voiceagent.ivr.caller_text import CallerText, claimed_texts, guarded, quoted, suspects
from voiceagent.ivr.options import FlowOptions
from voiceagent.ivr.ports import CallFacts, CallPort, Line, Tool
from voiceagent.ivr.resuming import RESUMPTIONS, SpokenOn
from voiceagent.ivr.sentences import verbatim
from voiceagent.ivr.speaking_on import speak_on
from voiceagent.realtime.requests import BargePolicy, Origin, Outcome, When

SPOKEN_LEAST = 20
"""Shorter words of the caller's ("thank you") may well stand in a flow's own sentence."""
SPOKEN_KEPT = 64

_OURS = str(Path(__file__).parents[1])


_written_at: ContextVar[str] = ContextVar("voiceagent_written_at", default="")


@contextmanager
def written_at(place: str) -> Generator[None]:
    """Say where the running step of a flow that is written as data stands: ``shop.toml:12``."""
    token = _written_at.set(place)
    try:
        yield
    finally:
        _written_at.reset(token)


class Verbs:
    """Base of the families; :class:`~voiceagent.ivr.verbs.Call` joins them."""

    def __init__(
        self, port: CallPort, *, no_input_s: float, transfer_timeout_s: float, options: FlowOptions
    ) -> None:
        self._port = port
        self._options = options
        self._no_input_s = no_input_s
        self._transfer_timeout_s = transfer_timeout_s
        self._named_step = ""
        """The step that the flow itself has named; verbs do not change it."""
        self._suspects = suspects(_claimed(port.facts))
        self._spoken: tuple[str, ...] = ()
        self._listening: tuple[str, asyncio.Task[Any] | None] | None = None
        """The verb that listens to the caller, and the task that it runs in."""

    @contextmanager
    def _listens(self, verb: str) -> Generator[None]:
        """Have what the caller does for one verb alone, and for the verbs that it calls by itself.

        Two that listen at once, in two tasks, would each get half of the answer: RequestRefused (``busy``).
        """
        before, task = self._listening, asyncio.current_task()
        if before is not None and before[1] is not task:
            raise RequestRefused(verb, f"cannot listen while {before[0]} does, in another task", code="busy")
        self._listening = (verb, task)
        try:
            yield
        finally:
            self._listening = before

    def _step(self, name: str) -> None:
        """A verb begins. A flow that is written as data names its steps by itself."""
        if not _written_at.get():
            self._port.step(name, place_in_flow())

    def _name_step(self, name: str) -> None:
        """The flow itself names its step."""
        self._named_step = name
        self._port.step(name, _written_at.get() or place_in_flow())

    def _guarded(self, text: str) -> str:
        """Return words for the model, with the caller's side's own as quotations only."""
        return guarded(text, (*self._suspects, *self._spoken))

    def _exactly(self, text: str) -> str:
        """Return instructions that have ``text`` spoken word for word."""
        return verbatim(self._guarded(text))

    def _heard(self, text: str) -> CallerText:
        """Return what the caller has said (or the model made of it) as the caller's, and look out for it."""
        if len(text) >= SPOKEN_LEAST:
            self._spoken = (*self._spoken, *suspects([text]))[-SPOKEN_KEPT:]
        return CallerText(text)

    async def _speak(self, line: Line, exact: str | None = None, *, resume: bool | None = None) -> Outcome:
        """Speak ``line``; what the caller cuts for nothing is spoken on. ``exact`` is its text, if known."""
        wanted = self._options.resume if resume is None else resume
        spoken = SpokenOn(line, exact, limit=RESUMPTIONS if wanted else 0)
        return await speak_on(self._port, spoken, self._options.words)

    def _line(
        self,
        instructions: str,
        metadata: Mapping[str, str] | None = None,
        interruptible: bool = True,
        replace: bool = False,
        tools: Sequence[Tool] = (),
        *,
        after_playback: bool = False,
        question: bool = False,
        origin: Origin = Origin.IVR,
    ) -> Line:
        names = [tool.name for tool in tools]
        if len(set(names)) != len(names):
            raise ConfigError("tools", f"two have the same name: {', '.join(sorted(names))}")
        instructions = self._guarded(instructions)
        if replace and self._options.standing:
            instructions = f"{self._options.standing} {instructions}"
        return Line(
            instructions=instructions,
            origin=origin,
            replace=replace,
            metadata={key: _as_data(value) for key, value in (metadata or {}).items()},
            interruptible=interruptible,
            when=When.AFTER_PLAYBACK if after_playback else When.IDLE,
            barge_policy=BargePolicy.DROP if interruptible else BargePolicy.REQUEUE,
            tools=tuple(tool.of_call(self) for tool in tools),
            step=self._named_step,
            question=question,
        )


def _as_data(value: str) -> str:
    return quoted(value) if isinstance(value, CallerText) else value


def _claimed(facts: CallFacts) -> Iterable[str]:
    """Yield what the caller's side says of itself."""
    yield facts.caller_name
    if facts.direction == "inbound":
        yield from (facts.caller, facts.called)
    for name, value in facts.headers:
        yield from (name, value)
    yield from claimed_texts(facts.claims)


def beside_flow(name: str | Path) -> Path:
    """Return the path of a file that stands beside the flow's own one, or where ``name`` says."""
    frame = sys._getframe(1)  # pyright: ignore[reportPrivateUsage]
    while frame is not None and frame.f_code.co_filename.startswith(_OURS):
        frame = frame.f_back
    beside = Path(name) if frame is None else Path(frame.f_code.co_filename).parent / name
    return beside if beside.exists() else Path(name)


def place_in_flow() -> str:
    """Return where the flow's own code is just now, as ``file.py:line``; empty where none is on the stack."""
    frame = sys._getframe(1)  # pyright: ignore[reportPrivateUsage]
    while frame is not None:
        file = frame.f_code.co_filename
        if not file.startswith(_OURS) or file.endswith("front_desk.py"):
            return f"{Path(file).name}:{frame.f_lineno}"
        frame = frame.f_back
    return ""
