"""Questions: by phrase, key, digits, or in words; with attempts, repairs, types and secrets."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar, overload

from pydantic import SecretStr

from voiceagent.errors import ConfigError
from voiceagent.ivr.answers import Choice, Digits, Option, Question, YesNo, question_of
from voiceagent.ivr.gather import Answer, AnswerKind, ask
from voiceagent.ivr.options import FlowOptions
from voiceagent.ivr.ports import CallPort
from voiceagent.ivr.verbs.base import Verbs
from voiceagent.ivr.verbs.wording import Repairs, Stages, is_it_right, read_back, repaired, repairs, staged

TYPE_AHEAD_S = 5.0
"""What the caller did so shortly before a question may be its answer."""
MOST_ATTEMPTS = 20
"""Nobody is asked the same more often than this."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Asked:
    """How one question is asked."""

    verb: str
    prompt: str
    attempts: int = 3
    no_input_s: float | None = None
    repairs: Repairs = field(default_factory=Repairs)
    interruptible: bool = True
    metadata: Mapping[str, str] | None = None
    speech: bool = True
    secret: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.attempts <= MOST_ATTEMPTS:
            raise ConfigError(f"{self.verb} attempts", f"must be 1 to {MOST_ATTEMPTS}, not {self.attempts}")
        if self.no_input_s is not None and not self.no_input_s > 0:
            raise ConfigError(f"{self.verb} no_input_s", f"must be above 0, not {self.no_input_s}")


class AskingVerbs(Verbs):
    """``choose``, ``confirm``, ``collect``, ``private``."""

    def __init__(
        self, port: CallPort, *, no_input_s: float, transfer_timeout_s: float, options: FlowOptions
    ) -> None:
        super().__init__(port, no_input_s=no_input_s, transfer_timeout_s=transfer_timeout_s, options=options)
        self._private = 0
        """Private blocks that are open."""
        self._stray = ""
        """The terminator that may still come after a full string of digits."""

    async def choose(
        self,
        prompt: str,
        *,
        attempts: int = 3,
        no_input_s: float | None = None,
        no_match: Stages | None = None,
        no_input: Stages | None = None,
        interruptible: bool = True,
        metadata: Mapping[str, str] | None = None,
        **options: str | Option,
    ) -> str | None:
        """Ask, and return the name of the option that the caller said or pressed; None after all attempts.

        ``options`` map a name (underscores stand for spaces) to its key, or to :func:`option` with more
        phrases. ``no_match`` and ``no_input`` are spoken before the prompt is repeated: one line, or one for
        each time; left out, they are the flow's ``idle`` lines, or the language's own. The last attempt names
        the keys. Raises ConfigError for options that cannot work.
        """
        lines = self._repairs(no_input, no_match)
        asked = _Asked("choose", prompt, attempts, no_input_s, lines, interruptible, metadata)
        answer = await self._ask(Choice(options, self._options.words), asked)
        return answer.value if answer is not None else None

    async def confirm(
        self,
        prompt: str,
        *,
        attempts: int = 2,
        no_input_s: float | None = None,
        no_match: Stages | None = None,
        no_input: Stages | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> bool | None:
        """Ask a yes-or-no question; None when neither came after all attempts."""
        lines = self._repairs(no_input, no_match)
        answer = await self._ask(
            YesNo(self._options.words),
            _Asked("confirm", prompt, attempts, no_input_s, lines, metadata=metadata),
        )
        return answer.value == "yes" if answer is not None else None

    @overload
    async def collect(
        self,
        prompt: str,
        kind: Any = str,
        *,
        secret: Literal[True],
        digits: Digits,
        attempts: int = 3,
        no_input_s: float | None = None,
        no_match: Stages | None = None,
        no_input: Stages | None = None,
        invalid: Stages | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> SecretStr | None: ...

    @overload
    async def collect(
        self,
        prompt: str,
        kind: type[T] = str,
        *,
        digits: Digits | None = None,
        attempts: int = 3,
        no_input_s: float | None = None,
        no_match: Stages | None = None,
        no_input: Stages | None = None,
        invalid: Stages | None = None,
        confirm: bool | Literal["always"] = False,
        secret: Literal[False] = False,
        speech: bool = True,
        metadata: Mapping[str, str] | None = None,
    ) -> T | None: ...

    @overload
    async def collect(
        self,
        prompt: str,
        kind: Any = str,
        *,
        digits: Digits | None = None,
        attempts: int = 3,
        no_input_s: float | None = None,
        no_match: Stages | None = None,
        no_input: Stages | None = None,
        invalid: Stages | None = None,
        confirm: bool | Literal["always"] = False,
        secret: bool = False,
        speech: bool = True,
        metadata: Mapping[str, str] | None = None,
    ) -> Any: ...

    async def collect(
        self,
        prompt: str,
        kind: Any = str,
        *,
        digits: Digits | None = None,
        attempts: int = 3,
        no_input_s: float | None = None,
        no_match: Stages | None = None,
        no_input: Stages | None = None,
        invalid: Stages | None = None,
        confirm: bool | Literal["always"] = False,
        secret: bool = False,
        speech: bool = True,
        metadata: Mapping[str, str] | None = None,
    ) -> Any:
        """Ask for one value of type ``kind``, and return it; None after all attempts.

        ``digits`` says how many are typed or spoken; without it the caller answers in words (numbers and
        dates may still be typed). Pydantic validates and converts; what is understood but not valid is
        answered with ``invalid`` and asked again. ``confirm`` reads back what was *spoken* and asks whether
        it is right (typed digits are certain); ``"always"`` reads back typed digits as well.

        ``secret``: only keys answer, nobody hears the caller meanwhile, neither model nor transcriber nor
        recording, and journal, console and logs show no digit. The value is a SecretStr. RequestRefused
        where the provider hears the caller before us. Keys that were pressed before the question do not
        count, except within :meth:`private`.
        """
        question = question_of(kind, digits, self._options.words)
        if secret and (digits is None or confirm):
            fault = "needs digits=: only keys are taken" if digits is None else "cannot be read back"
            raise ConfigError("collect secret", fault)
        if self._private and confirm == "always":
            raise ConfigError("collect confirm", "would tell the model what is typed in private")
        if not speech and not question.keys_line():
            raise ConfigError("collect speech", "is off, and no keys can answer: give digits=")
        asked = _Asked(
            "collect",
            prompt,
            attempts,
            no_input_s,
            self._repairs(no_input, no_match, invalid),
            metadata=metadata,
            speech=speech and not secret,
            secret=secret,
        )

        async def is_right(answer: Answer) -> bool:
            if not confirm or (answer.by == "digits" and confirm != "always"):
                return True
            words = self._options.words
            by_digits = digits is not None and answer.value.isdecimal()
            spoken = read_back(answer.meaning, answer.value, by_digits=by_digits, language=words)
            return bool(await self.confirm(is_it_right(spoken, words)))

        answer = await self._ask(question, asked, is_right)
        if answer is None:
            return None
        if secret:
            return SecretStr(answer.value)
        free = type(answer.meaning) is str and not question.members and not answer.meaning.isdecimal()
        return self._heard(answer.meaning) if free else answer.meaning

    def _repairs(
        self, no_input: Stages | None, no_match: Stages | None, invalid: Stages | None = None
    ) -> Repairs:
        options = self._options
        return repairs(no_input, no_match, invalid, language=options.words, idle=options.idle)

    @contextmanager
    def private(self) -> Generator[None]:
        """Keep what the caller types, and all sound of the caller, from everybody but this flow, for a block.

        ``collect(secret=True)`` does so by itself; with the words before it in the block, too, callers may
        type ahead: ``with call.private(): await call.say("Now your PIN."); pin = await call.collect(…)``.
        """
        with self._port.secret():
            self._private += 1
            try:
                yield
            finally:
                self._private -= 1

    async def _ask(
        self,
        question: Question,
        asked: _Asked,
        is_right: Callable[[Answer], Awaitable[bool]] | None = None,
    ) -> Answer | None:
        with self._listens(asked.verb), self._port.secret() if asked.secret else nullcontext():
            self._port.forget_input(older_than_s=TYPE_AHEAD_S)
            try:
                return await self._attempts(question, asked, is_right)
            finally:
                self._port.forget_input()

    async def _attempts(
        self,
        question: Question,
        asked: _Asked,
        is_right: Callable[[Answer], Awaitable[bool]] | None,
    ) -> Answer | None:
        self._step(asked.verb)
        wait_s = asked.no_input_s or self._options.idle_s or self._no_input_s
        failures: dict[AnswerKind, int] = {}
        guidance = asked.prompt
        for attempt in range(1, asked.attempts + 1):
            await self._port.expect(question.hint() if asked.speech else None)
            question.restart()
            line = self._line(guidance, asked.metadata, asked.interruptible, False, (), question=True)
            stray, self._stray = self._stray, ""
            answer = await ask(
                self._port,
                line,
                question,
                no_input_s=wait_s,
                stray=stray,
                speech=asked.speech,
                secret=asked.secret,
                language=self._options.words,
                resume=self._options.resume,
            )
            keys = question.keys_line() if attempt == asked.attempts - 1 else ""
            if answer.kind is AnswerKind.MATCH:
                self._stray = question.terminator_due(answer)
                if self._stray:
                    self._port.spare_key(self._stray, question.digit_pause_s)
                if is_right is None or await is_right(answer):
                    return answer
                if attempt < asked.attempts:
                    self._step(asked.verb)
                guidance = repaired("", asked.prompt, keys)
                continue
            count = failures[answer.kind] = failures.get(answer.kind, 0) + 1
            excuse = self._guarded(_excuse(asked.repairs, answer.kind, count))
            guidance = repaired(excuse, asked.prompt, keys)
        return None


def _excuse(lines: Repairs, kind: AnswerKind, count: int) -> str:
    match kind:
        case AnswerKind.NO_INPUT:
            return staged(lines.no_input, count)
        case AnswerKind.INVALID:
            return staged(lines.invalid, count)
        case _:
            return staged(lines.no_match, count)
