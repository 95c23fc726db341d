"""One question, one answer: prompt, speech and digits together, with the deadlines of an IVR.

The caller may answer while the prompt is still being spoken, or even before (who knows the menu types
ahead): an answer that comes before the prompt counts when it fits and costs no attempt when it does not.
The no-input clock starts when the prompt has been heard; it stops while the caller speaks, and begins anew
after anything else that the agent says meanwhile (an operator's words, say).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from voiceagent.ivr.ports import (
    CallerInput,
    CallerSaid,
    CallerSpoke,
    CallerStopped,
    CallPort,
    DigitPressed,
    Line,
)
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
) -> Answer:
    """Speak ``line`` and return what the caller answered. Raises CallEnded when the call is over.

    ``stray`` is a key that may still belong to the last answer (its terminator): once, it is no answer. A
    line that must not be interrupted is heard to its end, however early the answer comes. Without ``speech``
    only keys answer; with ``secret`` only keys that were pressed in secret, so that none of them is known to
    others.
    """
    audible = asyncio.Event()
    prompt = asyncio.get_running_loop().create_task(port.speak(line, audible.set), name="ivr/prompt")
    try:
        answer = await _listen(port, prompt, audible, interpreter, no_input_s, stray, speech, secret)
        if not line.interruptible:
            await prompt
        return answer
    finally:
        if prompt.done():
            if not prompt.cancelled():
                prompt.exception()  # the call's end, which is told another way: nobody needs to be warned
        else:
            prompt.cancel()
            await asyncio.gather(prompt, return_exceptions=True)


async def _listen(
    port: CallPort,
    prompt: asyncio.Task[Outcome],
    audible: asyncio.Event,
    interpreter: Interpreter,
    no_input_s: float,
    stray: str,
    speech: bool,
    secret: bool,
) -> Answer:
    now = asyncio.get_running_loop().time
    deadline: float | None = None
    keys = 0
    early_speech = True
    """The turn that is being spoken (or was) began before the prompt could be heard."""
    while True:
        if prompt.done():
            prompt.result()
            if deadline is None:
                deadline = now() + no_input_s
        item = await _next(port, prompt, None if deadline is None else max(0.0, deadline - now()))
        answer: Answer | None = None
        match item:
            case None:
                if deadline is not None and now() >= deadline:
                    if keys:
                        return interpreter.paused()
                    since = port.silent_since()
                    if since is not None and now() >= since + no_input_s:
                        return NO_INPUT
                    deadline = (now() if since is None else since) + no_input_s
            case CallerSpoke() | CallerStopped() | CallerSaid() if not speech:
                pass
            case DigitPressed() if secret and not item.secret:
                pass
            case CallerSpoke():
                early_speech = not audible.is_set()
                deadline = now() + SPEECH_LIMIT_S
            case CallerStopped():
                pass
            case CallerSaid(text):
                answer = interpreter.said(text)
                if early_speech and answer is not None and answer.kind is not AnswerKind.MATCH:
                    answer = None
                deadline = now() + no_input_s if prompt.done() else None
            case DigitPressed(digit=digit):
                answer = interpreter.pressed(digit)
                if answer is not None and answer.kind is not AnswerKind.MATCH:
                    if digit == stray:
                        stray = ""
                        continue
                    if not audible.is_set():
                        continue
                keys += 1
                if not prompt.done():
                    port.drop_prompt()
                deadline = now() + interpreter.digit_pause_s
        if answer is not None:
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
