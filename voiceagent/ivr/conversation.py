"""A conversation within a flow: the model answers each turn of the caller until something ends it.

The reply to a turn is asked for when the caller stops speaking, not when the words are known as text: the
sequencer sees to it that nothing goes out before the turn is committed. Words that end the conversation take
back a reply that nobody has heard yet; one that is being heard is heard to its end. A reply that was cut by a
cough or a listener's word is spoken on (:mod:`voiceagent.ivr.resuming`).
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from voiceagent.ivr.caller_text import CallerText
from voiceagent.ivr.idle import IdleWatch
from voiceagent.ivr.languages import Language
from voiceagent.ivr.matching import match_option
from voiceagent.ivr.ports import (
    CallerInput,
    CallerSaid,
    CallerSpoke,
    CallerStopped,
    CallPort,
    DigitPressed,
    Line,
    Tool,
)
from voiceagent.ivr.resuming import RESUMED, RESUMPTIONS, SpokenOn, means_nothing
from voiceagent.ivr.tool_run import ToolRun
from voiceagent.ivr.tools import tool
from voiceagent.realtime.requests import Outcome

DONE_TOOL = "conversation_done"
"""The tool with which the model says that the goal is reached."""
SUMMARY_CHARS = 500
LOOK_S = 0.25
"""How often it looks whether somebody is still heard before an idle line."""
ANSWERING = "an answer to what the caller had said before."
"""What a reply is about that has no words of the flow's."""
HEARD_OUT_S = 30.0
"""How long what is being heard may go on when the conversation is over."""

Reason = Literal["said", "until", "tool", "turns", "time", "silence", "digit"]
Predicate = Callable[[str], bool | Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class Goal:
    """What has to be the case for a conversation to be done, in plain words for the model."""

    text: str


def goal(text: str) -> Goal:
    """Return the goal of a conversation: ``until=goal("the caller has named a day and a time")``."""
    return Goal(text)


Until = str | Sequence[str] | Predicate | Goal | None


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of the caller, and how the model's reply to it ended (None: there was none)."""

    said: CallerText
    reply: Outcome | None = None


@dataclass(frozen=True, slots=True)
class Conversation:
    """How a conversation has ended.

    ``reason``: ``said`` (a phrase of ``until``), ``until`` (its function said so), ``tool`` (the model said
    that the goal is reached), ``turns``, ``time``, ``silence``, ``digit`` (a key was pressed).
    """

    reason: Reason
    turns: tuple[Turn, ...] = ()
    digit: str = ""
    summary: CallerText = field(default_factory=CallerText)
    """What the model gave as the result, when it said that the goal is reached: as little to be trusted as
    the caller's own words."""
    tools: tuple[ToolRun, ...] = ()
    """What became of the tools that the model has called, in the order in which they began."""

    @property
    def last(self) -> CallerText:
        """What the caller said last."""
        return next((turn.said for turn in reversed(self.turns) if turn.said), CallerText())


@dataclass(slots=True)
class _Turn:
    said: str | None = None
    reply: Outcome | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """When a conversation is over anyway."""

    turns: int = 20
    seconds: float = 300.0


class Talk:
    """One conversation, while it goes on."""

    def __init__(
        self,
        port: CallPort,
        *,
        opening: Line | None,
        reply: Callable[[Sequence[Tool]], Line],
        idle_line: Callable[[str], Line],
        until: Until,
        tools: Sequence[Tool],
        limits: Limits,
        idle: IdleWatch,
        language: Language,
        resume: bool = True,
    ) -> None:
        """``reply`` makes the line that answers a turn, ``idle_line`` that of one idle stage."""
        self._port = port
        self._reply = reply
        self._idle_line = idle_line
        self._limits = limits
        self._idle = idle
        self._language = language
        self._goal = until if isinstance(until, Goal) else None
        self._predicate = until if callable(until) else None
        self._phrases = phrases_of(until)
        self._summary: str | None = None
        self._runs: dict[str, ToolRun] = {}
        self._tools = [*tools, self._done_tool(self._goal)] if self._goal is not None else list(tools)
        self._opening = None if opening is None else replace(opening, tools=tuple(self._tools))
        self._now = asyncio.get_running_loop().time
        self._ends_at = self._now() + limits.seconds
        self._turns: list[_Turn] = []
        self._caller_speaks = False
        self._quiet_at = self._now()
        """When a line of ours or the caller was last known to be heard."""
        self._silent_since: float | None = None
        """Since when the agent was silent when it was last looked at."""
        self._line: asyncio.Task[Outcome] | None = None
        """What is being said, or about to be."""
        self._answers: _Turn | None = None
        """The turn that it answers."""
        self._audible = False
        self._resumptions = RESUMPTIONS if resume else 0
        self._spoken: SpokenOn | None = None
        """The line that is being said, and its parts so far."""
        self._cut: tuple[SpokenOn, _Turn | None] | None = None
        """The line that the caller has cut last, and the turn it answers: it may have been for nothing."""

    async def run(self) -> Conversation:
        """Talk until something ends it."""
        try:
            if self._opening is not None:
                self._say(self._opening, None)
            while True:
                reason = self._over()
                if reason is not None:
                    return await self._end(reason)
                item = await self._next()
                match item:
                    case None:
                        await self._nobody_came()
                    case CallerSpoke():
                        self._caller_speaks = True
                        self._idle.caller_heard()
                    case CallerStopped():
                        await self._turn_ended()
                    case CallerSaid(text):
                        ended = await self._understood(text)
                        if ended is not None:
                            return await self._end(ended)
                    case DigitPressed():
                        return await self._end("digit", item.digit)
        finally:
            await self._drop()

    # ── what happens ────────────────────────────────────────────────────────────────────────────
    async def _turn_ended(self) -> None:
        self._caller_speaks = False
        self._idle.caller_heard()
        if len(self._turns) >= self._limits.turns:
            return
        turn = _Turn()
        self._turns.append(turn)
        await self._drop()
        self._say(self._reply(self._tools), turn)

    async def _understood(self, text: str) -> Reason | None:
        """Take the text of the oldest turn that has none yet."""
        turn = next((one for one in self._turns if one.said is None), None)
        if turn is None:
            turn = _Turn()
            self._turns.append(turn)
        turn.said = text
        cut, self._cut = self._cut, None
        nothing = means_nothing(text, self._language) if cut is not None else not text.strip()
        if nothing:
            if self._answers is turn and not self._audible:
                await self._drop()  # a cough is not answered
                self._turns.remove(turn)
                if cut is not None:
                    self._speak_on(*cut)
            return None
        if self._phrases and match_option(text, {"": self._phrases}, self._language) is not None:
            return "said"
        if self._predicate is not None:
            found = self._predicate(CallerText(text))
            if await found if inspect.isawaitable(found) else found:
                return "until"
        return None

    async def _nobody_came(self) -> None:
        """The line was said, or it is time for something."""
        if self._line is not None and self._line.done():
            self._settle(self._line.result())
            return
        self._judge_silence()
        line = self._idle.due(self._now())
        if line is not None:
            self._say(self._idle_line(line), None)

    def _settle(self, outcome: Outcome) -> None:
        """What was being said has ended."""
        spoken, turn = self._spoken, self._answers
        self._line = self._answers = None
        assert spoken is not None
        spoken.heard(outcome)
        self._cut = (spoken, turn) if spoken.cut else None
        if turn is not None:
            turn.reply = spoken.outcome()

    def _speak_on(self, spoken: SpokenOn, turn: _Turn | None) -> None:
        rest = spoken.rest()
        if rest is None:
            return
        self._port.note_fact(RESUMED, **spoken.facts())
        self._say(rest, turn, spoken)

    def _over(self) -> Reason | None:
        if self._summary is not None and self._line is None:
            return "tool"
        if self._idle.over:
            return "silence"
        if self._now() >= self._ends_at:
            return "time"
        if len(self._turns) >= self._limits.turns and self._line is None and not self._caller_speaks:
            return "turns"
        return None

    # ── waiting ─────────────────────────────────────────────────────────────────────────────────
    def _judge_silence(self) -> None:
        since = self._port.silent_since()
        if self._caller_speaks or self._line is not None or since is None:
            self._idle.agent_heard()
            self._quiet_at = self._now()
            return
        if since != self._silent_since:
            self._idle.agent_heard()  # somebody else has spoken meanwhile: the silence begins anew
            self._silent_since = since
        self._idle.silent(max(since, self._quiet_at))

    async def _next(self) -> CallerInput | None:
        """Wait for an input; None when the line is over, or it is time to look."""
        self._judge_silence()
        until = self._idle.wake_at()
        if until is None:
            # Whoever else speaks (an operator's words, say) does not tell when it is over.
            until = self._now() + LOOK_S if self._line is None and not self._caller_speaks else self._ends_at
        wait_s = max(0.0, min(until, self._ends_at) - self._now())
        if self._line is None:
            return await self._port.next_input(wait_s)
        pending = asyncio.get_running_loop().create_task(self._port.next_input(wait_s), name="ivr/input")
        try:
            await asyncio.wait({pending, self._line}, return_when=asyncio.FIRST_COMPLETED)
            return pending.result() if pending.done() else None
        finally:
            if not pending.done():
                pending.cancel()
                await asyncio.gather(pending, return_exceptions=True)
            elif not pending.cancelled():
                pending.exception()  # the call's end: whoever is cancelled meanwhile need not be told

    # ── speaking ────────────────────────────────────────────────────────────────────────────────
    def _say(self, line: Line, turn: _Turn | None, spoken: SpokenOn | None = None) -> None:
        about = line if line.instructions else replace(line, instructions=ANSWERING)
        self._spoken = spoken or SpokenOn(about, limit=self._resumptions)
        self._audible = False
        self._answers = turn
        self._line = asyncio.get_running_loop().create_task(
            self._port.speak(replace(line, ran=self._ran), self._heard), name="ivr/conversation"
        )

    def _heard(self) -> None:
        self._audible = True

    def _ran(self, run: ToolRun) -> None:
        if run.name != DONE_TOOL:
            self._runs[run.tool_call_id] = run

    async def _drop(self) -> None:
        """Take back what is being said; harmless when nothing is."""
        line = self._line
        if line is None:
            return
        if not line.done():
            line.cancel()
        await asyncio.gather(line, return_exceptions=True)
        if not line.cancelled() and line.exception() is None:
            self._settle(line.result())
        self._line = self._answers = None

    async def _end(self, reason: Reason, digit: str = "") -> Conversation:
        if self._line is not None and self._audible and reason != "digit":
            await asyncio.wait({self._line}, timeout=HEARD_OUT_S)
        await self._drop()
        turns = tuple(Turn(CallerText(one.said or ""), one.reply) for one in self._turns)
        self._port.note_fact("conversation.ended", reason=reason, turns=len(turns))
        summary = CallerText(self._summary or "")
        return Conversation(reason, turns, digit, summary, tuple(self._runs.values()))

    def _done_tool(self, wanted: Goal) -> Tool:
        async def done(summary: str = "") -> str:
            self._summary = summary[:SUMMARY_CHARS]
            return "noted"

        made = tool(name=DONE_TOOL)(done)
        about = (
            f"Call this as soon as {wanted.text.rstrip('.')}, and not before. "
            "The summary is what came of the conversation, in one short sentence."
        )
        return replace(made, description=about, silent=True)


def phrases_of(until: Until) -> tuple[str, ...]:
    """Return the phrases of the caller that end a conversation."""
    if isinstance(until, str):
        return (until,)
    if until is None or isinstance(until, Goal) or callable(until):
        return ()
    return tuple(until)
