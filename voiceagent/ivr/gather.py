"""One question, one answer: prompt, speech and digits together, with the deadlines of an IVR.

The caller may answer while the prompt is still being spoken, or even before (who knows the menu types
ahead): an answer that comes before the prompt counts when it fits and costs no attempt when it does not.
The no-input clock starts when the prompt has been heard; it stops while the caller speaks, and begins anew
after anything else that the agent says meanwhile (an operator's words, say). A cough or a "mhm" over the
prompt is no answer: the rest of the prompt is spoken.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from voiceagent.ivr.languages import ENGLISH, Language
from voiceagent.ivr.ports import (
    CallerInput,
    CallerSaid,
    CallerSpoke,
    CallerStopped,
    CallPort,
    DigitPressed,
    Line,
)
from voiceagent.ivr.prompting import Prompt
from voiceagent.ivr.resuming import COUGH_S, WORDS_S, means_nothing
from voiceagent.realtime.requests import Outcome

SPEECH_LIMIT_S = 20.0
"""How long one turn of the caller may take until its text must be there."""


class AnswerKind(StrEnum):
    """How a question ended."""

    MATCH = "match"
    NO_MATCH = "no_match"
    INVALID = "invalid"
    """Understood, but not a value of the type that was asked for."""
    NO_INPUT = "no_input"


@dataclass(frozen=True, slots=True)
class Answer:
    """The end of one question; ``value`` is set for a match, ``by`` says speech or digits."""

    kind: AnswerKind
    value: str = ""
    by: str = ""
    heard: str = ""
    meaning: Any = None
    """The value, where the question has a type."""


NO_INPUT = Answer(AnswerKind.NO_INPUT)


class Interpreter(Protocol):
    """Gives meaning to what the caller does. Returns None while the answer is not complete."""

    digit_pause_s: float
    takes_anything: bool
    """Every turn of words is an answer, so that a listener's "mhm" over the prompt is none."""

    def said(self, text: str) -> Answer | None: ...

    def pressed(self, digit: str) -> Answer | None: ...

    def paused(self) -> Answer:
        """No further key came in time."""
        ...


async def ask(
    port: CallPort,
    line: Line,
    interpreter: Interpreter,
    *,
    no_input_s: float,
    stray: str = "",
    speech: bool = True,
    secret: bool = False,
    language: Language = ENGLISH,
    resume: bool = True,
) -> Answer:
    """Speak ``line`` and return what the caller answered. Raises CallEnded when the call is over.

    ``stray`` is a key that may still belong to the last answer (its terminator): once, it is no answer. A
    line that must not be interrupted is heard to its end, however early the answer comes. Without ``speech``
    only keys answer; with ``secret`` only keys that were pressed in secret, so that none of them is known to
    others. A prompt that was cut by a sound or a listener's word of ``language`` is spoken on, with
    ``resume``, and that was no answer.
    """
    prompt = Prompt(port, line, resume=resume)
    listening = _Listening(port, prompt, interpreter, no_input_s, stray, speech, secret, language)
    try:
        answer = await listening.answer()
        if not line.interruptible:
            await prompt.task
        return answer
    finally:
        await prompt.close()


class _Listening:
    """Listens for the answer to one prompt, while it is spoken and after."""

    def __init__(
        self,
        port: CallPort,
        prompt: Prompt,
        interpreter: Interpreter,
        no_input_s: float,
        stray: str,
        speech: bool,
        secret: bool,
        language: Language,
    ) -> None:
        self._port = port
        self._prompt = prompt
        self._interpreter = interpreter
        self._no_input_s = no_input_s
        self._stray = stray
        self._speech = speech
        self._secret = secret
        self._language = language
        self._now = asyncio.get_running_loop().time
        self._deadline: float | None = None
        self._keys = 0
        self._early_speech = True
        """The turn that is being spoken (or was) began before the prompt could be heard."""
        self._spoke_at: float | None = None
        self._wordless_at: float | None = None
        """A short sound has cut the prompt: when to believe that no words of it will come."""

    async def answer(self) -> Answer:
        """Return how the question ended."""
        prompt, now = self._prompt, self._now
        while True:
            if prompt.done:
                prompt.task.result()
                if not self._keys and prompt.goes_on():
                    self._deadline = self._wordless_at = None
                elif self._deadline is None:
                    self._deadline = now() + self._no_input_s
            due = [at for at in (self._deadline, self._wordless_at) if at is not None]
            item = await _next(self._port, prompt.task, max(0.0, min(due) - now()) if due else None)
            answer = self._time(now()) if item is None else self._take(item)
            if answer is not None:
                return answer

    def _time(self, now: float) -> Answer | None:
        """Nothing came in time, or the prompt has ended."""
        if self._wordless_at is not None and now >= self._wordless_at:
            self._wordless_at = None
            self._prompt.excuse()
            self._deadline = None
            return None
        if self._deadline is None or now < self._deadline:
            return None
        if self._keys:
            return self._interpreter.paused()
        since = self._port.silent_since()
        if since is not None and now >= since + self._no_input_s:
            return NO_INPUT
        self._deadline = (now if since is None else since) + self._no_input_s
        return None

    def _take(self, item: CallerInput) -> Answer | None:
        now = self._now()
        match item:
            case CallerSpoke():
                self._spoke_at, self._wordless_at = now, None
                self._prompt.excused = False
                if self._speech:
                    self._early_speech = not self._prompt.audible.is_set()
                    self._deadline = now + SPEECH_LIMIT_S
            case CallerStopped():
                short = self._spoke_at is not None and now - self._spoke_at <= COUGH_S
                self._wordless_at = now + WORDS_S if short and self._prompt.cut else None
            case CallerSaid(text):
                return self._said(text)
            case DigitPressed() if not self._secret or item.secret:
                return self._pressed(item.digit)
            case DigitPressed():
                pass
        return None

    def _said(self, text: str) -> Answer | None:
        prompt, self._wordless_at = self._prompt, None
        if not self._speech:
            prompt.excuse()
            return None
        answer = self._interpreter.said(text)
        meant = answer is not None and answer.kind is AnswerKind.MATCH
        nothing = means_nothing(text, self._language)
        if self._keys and (nothing or not meant):
            # Who types answers with keys; the words of a sound before them may come in between.
            self._deadline = self._now() + self._interpreter.digit_pause_s
            return None
        if nothing and (not meant or self._interpreter.takes_anything):
            if prompt.excuse():
                answer = None
        elif self._early_speech and not meant:
            prompt.excuse()
            answer = None
        if self._early_speech and not meant:
            answer = None
        self._deadline = self._now() + self._no_input_s if prompt.done and not prompt.excused else None
        return answer

    def _pressed(self, digit: str) -> Answer | None:
        answer = self._interpreter.pressed(digit)
        if answer is not None and answer.kind is not AnswerKind.MATCH:
            if digit == self._stray:
                self._stray = ""
                return None
            if not self._prompt.audible.is_set():
                return None
        self._keys += 1
        self._wordless_at = None
        if not self._prompt.done:
            self._port.drop_prompt()
        self._deadline = self._now() + self._interpreter.digit_pause_s
        return answer


async def _next(port: CallPort, prompt: asyncio.Task[Outcome], timeout_s: float | None) -> CallerInput | None:
    """Wait for an input, the deadline, or (while it runs) the prompt's end: the latter two give None."""
    if prompt.done():
        return await port.next_input(timeout_s)
    pending = asyncio.get_running_loop().create_task(port.next_input(timeout_s), name="ivr/input")
    try:
        await asyncio.wait({pending, prompt}, return_when=asyncio.FIRST_COMPLETED)
        return pending.result() if pending.done() else None
    finally:
        if not pending.done():
            pending.cancel()
            await asyncio.gather(pending, return_exceptions=True)
        elif not pending.cancelled():
            pending.exception()  # the call's end: whoever is cancelled meanwhile need not be told
