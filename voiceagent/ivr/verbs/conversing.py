"""Letting the model talk with the caller by itself, for a while."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from voiceagent.errors import ConfigError
from voiceagent.ivr import hints
from voiceagent.ivr.conversation import (
    DONE_TOOL,
    Conversation,
    Goal,
    Limits,
    Talk,
    Until,
    phrases_of,
)
from voiceagent.ivr.idle import IdleWatch
from voiceagent.ivr.ports import Line, Tool
from voiceagent.ivr.verbs.asking import TYPE_AHEAD_S
from voiceagent.ivr.verbs.base import Verbs
from voiceagent.realtime.requests import Origin

MOST_TURNS = 1000
LONGEST_S = 7200.0


class ConversingVerbs(Verbs):
    """``converse``."""

    async def converse(
        self,
        prompt: str | None = None,
        *,
        until: Until = None,
        tools: Sequence[Tool] = (),
        turns: int = 20,
        seconds: float = 300.0,
        idle: Sequence[str] | None = None,
        idle_s: float | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> Conversation:
        """Have the model answer each turn of the caller, until something ends it; return what, and the turns.

        ``prompt`` opens the conversation. ``until`` is a phrase of the caller's, or several; a function,
        async or not, that is given each turn's text; or a :func:`~voiceagent.ivr.goal` in plain words, which
        the model calls a tool for. It ends as well after ``turns`` turns, ``seconds``, the ``idle`` lines
        (one after each silence of ``idle_s``; left out, the flow's own), or a key, which is in ``digit``.
        The model may call ``tools`` meanwhile, and no others; a tool may not ask the caller by itself, since
        the conversation listens (RequestRefused, ``busy``).
        """
        if not 1 <= turns <= MOST_TURNS:
            raise ConfigError("converse turns", f"must be 1 to {MOST_TURNS}, not {turns}")
        if not 0 < seconds <= LONGEST_S:
            raise ConfigError("converse seconds", f"must be above 0, at most {LONGEST_S:g}, not {seconds}")
        if idle_s is not None and not idle_s > 0:
            raise ConfigError("converse idle_s", f"must be above 0, not {idle_s}")
        phrases = phrases_of(until)
        if until in ("", [], ()) or not all(one.strip() for one in phrases):
            raise ConfigError("converse until", "needs a phrase")
        if isinstance(until, Goal) and not until.text.strip():
            raise ConfigError("converse until", "needs a goal in words")
        if any(one.name == DONE_TOOL for one in tools):
            raise ConfigError("converse tools", f"{DONE_TOOL} is our own")
        self._step("converse")

        def reply(allowed: Sequence[Tool]) -> Line:
            return self._line("", metadata, tools=allowed, origin=Origin.TURN)

        def idle_line(text: str) -> Line:
            return self._line(self._exactly(text), metadata, origin=Origin.IDLE)

        lines = idle if idle is not None else self._options.idle or self._options.words.idle
        silence_s = idle_s or self._options.idle_s or self._no_input_s
        with self._listens("converse"):
            self._port.forget_input(older_than_s=TYPE_AHEAD_S)
            await self._port.expect(hints.anything(phrases, self._options.words) if phrases else None)
            talk = Talk(
                self._port,
                opening=None if prompt is None else self._line(prompt, metadata, tools=tools),
                reply=reply,
                idle_line=idle_line,
                until=Goal(self._guarded(until.text)) if isinstance(until, Goal) else until,
                tools=tools,
                limits=Limits(turns, seconds),
                idle=IdleWatch(lines, silence_s),
                language=self._options.words,
                resume=self._options.resume,
            )
            talked = await talk.run()
        for said in (*(turn.said for turn in talked.turns), talked.summary):
            self._heard(said)
        return talked
