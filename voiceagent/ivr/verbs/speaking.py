"""Verbs that make the model speak, and those that only tell it something."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from voiceagent.ivr.ports import Tool
from voiceagent.ivr.verbs.base import Verbs
from voiceagent.ivr.verbs.wording import verbatim
from voiceagent.realtime.requests import Outcome


class SpeakingVerbs(Verbs):
    """``respond``, ``say``, ``note``."""

    async def respond(
        self,
        guidance: str,
        *,
        metadata: Mapping[str, str] | None = None,
        interruptible: bool = True,
        replace: bool = False,
        tools: Sequence[Tool] = (),
        after_playback: bool = False,
        resume: bool | None = None,
    ) -> Outcome:
        """Have the model speak as ``guidance`` says, and return when that was heard, cut, or failed.

        The guidance is added to the flow's standing prompt; ``replace`` puts it in the prompt's place for
        this one response. ``tools`` may be called by the model meanwhile; their results are spoken, too.

        A line that the caller cuts with a cough or a "mhm" is spoken on from there, unless ``resume`` is
        False; the outcome tells of all its parts.
        """
        self._step("respond")
        line = self._line(guidance, metadata, interruptible, replace, tools, after_playback=after_playback)
        return await self._speak(line, resume=resume)

    async def say(
        self,
        text: str,
        *,
        metadata: Mapping[str, str] | None = None,
        interruptible: bool = True,
        resume: bool | None = None,
    ) -> Outcome:
        """Have the model say ``text`` word for word; ``resume`` as with :meth:`respond`."""
        self._step("say")
        words = self._guarded(text)
        line = self._line(verbatim(words), metadata, interruptible, False, ())
        return await self._speak(line, words, resume=resume)

    async def note(self, text: str) -> None:
        """Add context for the model; nothing is spoken."""
        await self._port.note(self._guarded(text))
