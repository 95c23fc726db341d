"""Questions: by phrase, key, or digits; with attempts and repairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from voiceagent.ivr.answers import Choice, Digits, DigitString, Option, YesNo
from voiceagent.ivr.gather import Answer, AnswerKind, Interpreter, ask
from voiceagent.ivr.idle import stage
from voiceagent.ivr.options import FlowOptions
from voiceagent.ivr.ports import CallPort
from voiceagent.ivr.verbs.base import Verbs
from voiceagent.ivr.verbs.wording import repaired

TYPE_AHEAD_S = 5.0
"""What the caller did so shortly before a question may be its answer."""


class _Question(Interpreter, Protocol):
    def hint(self) -> str: ...

    def keys_line(self) -> str: ...


class AskingVerbs(Verbs):
    """``choose``, ``confirm``, ``collect``."""

    def __init__(
        self, port: CallPort, *, no_input_s: float, transfer_timeout_s: float, options: FlowOptions
    ) -> None:
        super().__init__(port, no_input_s=no_input_s, transfer_timeout_s=transfer_timeout_s, options=options)
        self._stray = ""
        """The terminator that may still come after a full string of digits."""

    async def choose(
        self,
        prompt: str,
        *,
        attempts: int = 3,
        no_input_s: float | None = None,
        no_match: str | None = None,
        no_input: str | Sequence[str] | None = None,
        interruptible: bool = True,
        metadata: Mapping[str, str] | None = None,
        **options: str | Option,
    ) -> str | None:
        """Ask, and return the name of the option that the caller said or pressed; None after all attempts.

        ``options`` map a name (underscores stand for spaces) to its key, or to :func:`option` with more
        phrases. ``no_match`` and ``no_input`` are spoken before the prompt is repeated; the last attempt
        names the keys. Left out, they are the language's own, or the flow's ``idle`` lines; several for
        ``no_input`` are spoken one after another.
        """
        question = Choice(options, self._options.words)
        answer = await self._ask(
            "choose", question, prompt, attempts, no_input_s, no_match, no_input, interruptible, metadata
        )
        return answer.value if answer is not None else None

    async def confirm(
        self,
        prompt: str,
        *,
        attempts: int = 2,
        no_input_s: float | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> bool | None:
        """Ask a yes-or-no question; None when neither came after all attempts."""
        answer = await self._ask(
            "confirm", YesNo(self._options.words), prompt, attempts, no_input_s, None, None, True, metadata
        )
        return answer.value == "yes" if answer is not None else None

    async def collect(
        self,
        prompt: str,
        *,
        digits: Digits,
        attempts: int = 3,
        no_input_s: float | None = None,
        no_match: str | None = None,
        no_input: str | Sequence[str] | None = None,
        confirm: bool = False,
        metadata: Mapping[str, str] | None = None,
    ) -> str | None:
        """Ask for digits, typed or spoken, and return them; None after all attempts.

        With ``confirm``, digits that were *spoken* are read back first (typed ones are certain).
        """
        for _ in range(attempts):
            answer = await self._ask(
                "collect",
                DigitString(digits, self._options.words),
                prompt,
                attempts,
                no_input_s,
                no_match,
                no_input,
                True,
                metadata,
            )
            if answer is None:
                return None
            if not confirm or answer.by == "digits":
                return answer.value
            read_back = self._options.words.read_back.format(value=" ".join(answer.value))
            if await self.confirm(f'Ask: "{read_back}"'):
                return answer.value
        return None

    async def _ask(
        self,
        verb: str,
        question: _Question,
        prompt: str,
        attempts: int,
        no_input_s: float | None,
        no_match: str | None,
        no_input: str | Sequence[str] | None,
        interruptible: bool,
        metadata: Mapping[str, str] | None,
    ) -> Answer | None:
        self._step(verb)
        self._port.forget_input(older_than_s=TYPE_AHEAD_S)
        await self._port.expect(question.hint())
        words, silences = self._options.words, 0
        unheard = no_input or self._options.idle or words.nothing_heard
        wait_s = no_input_s or self._options.idle_s or self._no_input_s
        guidance = prompt
        try:
            for attempt in range(1, attempts + 1):
                if isinstance(question, DigitString):
                    question.restart()
                line = self._line(guidance, metadata, interruptible, False, (), question=True)
                stray, self._stray = self._stray, ""
                answer = await ask(self._port, line, question, no_input_s=wait_s, stray=stray)
                if answer.kind is AnswerKind.MATCH:
                    if isinstance(question, DigitString):
                        self._stray = question.terminator_due(answer)
                    return answer
                excuse = no_match or words.sorry
                if answer.kind is AnswerKind.NO_INPUT:
                    silences += 1
                    excuse = stage(unheard, silences)
                keys = question.keys_line() if attempt == attempts - 1 else ""
                guidance = repaired(excuse, prompt, keys)
            return None
        finally:
            self._port.forget_input()
