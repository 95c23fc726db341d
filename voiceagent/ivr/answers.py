"""PURE. The interpreters behind ``choose``, ``confirm`` and ``collect``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from voiceagent.errors import ConfigError
from voiceagent.ivr import hints
from voiceagent.ivr.gather import Answer, AnswerKind
from voiceagent.ivr.kinds import Kind
from voiceagent.ivr.languages import ENGLISH, Language
from voiceagent.ivr.matching import match_option, match_yes_no, spoken_digits, words

KEYS = "0123456789*#ABCD"
ENDING_KEYS = "*#ABCD"


@dataclass(frozen=True, slots=True)
class Option:
    """One way to answer a ``choose``: its key, and the phrases that mean it."""

    key: str
    phrases: tuple[str, ...] = ()


def option(key: str, *phrases: str) -> Option:
    """Return an option with its key and further phrases: ``billing=option("1", "my bill", "invoice")``."""
    return Option(key, phrases)


class Question:
    """Gives meaning to what the caller does; fulfils :class:`~voiceagent.ivr.gather.Interpreter`."""

    digit_pause_s = 2.0
    takes_anything = False

    def hint(self) -> str | None:
        """Return the line for the recogniser; None where anything may be said, or nothing."""
        return None

    def keys_line(self) -> str:
        """Return how to answer by keys, for the last attempt; empty where keys are no answer."""
        return ""

    def restart(self) -> None:
        """Forget the keys so far, for the next attempt."""

    def terminator_due(self, answer: Answer) -> str:
        """Return the key that people may still press after ``answer``."""
        return ""

    def said(self, text: str) -> Answer | None:
        """Return what one turn of the caller means, or None: nothing yet."""
        raise NotImplementedError

    def pressed(self, digit: str) -> Answer | None:
        """Return what a key means, or None: more may follow."""
        raise NotImplementedError

    def paused(self) -> Answer:
        """No further key came in time."""
        return Answer(AnswerKind.NO_INPUT)


class Choice(Question):
    """Chooses between named options, by phrase or by key."""

    def __init__(self, options: Mapping[str, str | Option], language: Language = ENGLISH) -> None:
        if not options:
            raise ConfigError("choose", "needs at least one option")
        self._language = language
        self.options = {name: self._option(name, given) for name, given in options.items()}
        self._by_key: dict[str, str] = {}
        self._refuse_same_phrases()
        for name, one in self.options.items():
            if not one.key:
                continue
            if len(one.key) != 1 or one.key not in KEYS:
                raise ConfigError(f"choose option {name}", f"key must be one of {KEYS}, not {one.key!r}")
            if one.key in self._by_key:
                raise ConfigError(
                    f"choose option {name}", f"key {one.key} is taken by {self._by_key[one.key]}"
                )
            self._by_key[one.key] = name

    @staticmethod
    def _option(name: str, given: str | Option) -> Option:
        own = given if isinstance(given, Option) else Option(given)
        if not own.key and not own.phrases:
            raise ConfigError(f"choose option {name}", "is empty: give it a key, phrases, or both")
        if any(not words(phrase) for phrase in own.phrases):
            raise ConfigError(f"choose option {name}", "has an empty phrase")
        return Option(own.key, (name.replace("_", " "), *own.phrases))

    def _refuse_same_phrases(self) -> None:
        owner: dict[str, str] = {}
        for name, one in self.options.items():
            for phrase in one.phrases:
                other = owner.setdefault(" ".join(words(phrase, self._language)), name)
                if other != name:
                    raise ConfigError(f"choose option {name}", f"phrase {phrase!r} also means {other}")

    @property
    def phrases(self) -> Mapping[str, Sequence[str]]:
        """All phrases by option name."""
        return {name: one.phrases for name, one in self.options.items()}

    def hint(self) -> str:
        """Return the line for the recogniser."""
        phrases = (phrase for one in self.options.values() for phrase in one.phrases)
        return hints.phrases(phrases, self._language)

    def keys_line(self) -> str:
        """Return the options by key, for the last attempt: "Press 1 for hours, 2 for an order."."""
        keyed = ((one.key, name.replace("_", " ")) for name, one in self.options.items() if one.key)
        return self._language.keys_line(keyed)

    def said(self, text: str) -> Answer | None:
        name = match_option(text, self.phrases, self._language)
        if name is None:
            return Answer(AnswerKind.NO_MATCH, by="speech", heard=text)
        return Answer(AnswerKind.MATCH, name, "speech", text)

    def pressed(self, digit: str) -> Answer | None:
        name = self._by_key.get(digit)
        if name is None:
            return Answer(AnswerKind.NO_MATCH, by="digits", heard=digit)
        return Answer(AnswerKind.MATCH, name, "digits", digit)


class YesNo(Question):
    """Yes or no, by word or by 1 and 2."""

    def __init__(self, language: Language = ENGLISH) -> None:
        self._language = language

    def hint(self) -> str:
        """Return the line for the recogniser."""
        return hints.yes_or_no(self._language)

    def keys_line(self) -> str:
        """Return the keys in words."""
        return self._language.press_yes_no

    def said(self, text: str) -> Answer | None:
        meant = match_yes_no(text, self._language)
        if meant is None:
            return Answer(AnswerKind.NO_MATCH, by="speech", heard=text)
        return Answer(AnswerKind.MATCH, "yes" if meant else "no", "speech", text)

    def pressed(self, digit: str) -> Answer | None:
        if digit not in "12":
            return Answer(AnswerKind.NO_MATCH, by="digits", heard=digit)
        return Answer(AnswerKind.MATCH, "yes" if digit == "1" else "no", "digits", digit)


@dataclass(frozen=True, slots=True)
class Digits:
    """A string of digits: ``Digits(6)`` is exactly six, ``Digits(1, 12)`` one to twelve.

    ``end`` finishes early (and is not part of the value); ``pause_s`` is the longest gap between two keys.
    """

    least: int
    most: int | None = None
    end: str = "#"
    pause_s: float = 4.0

    def __post_init__(self) -> None:
        if not 1 <= self.least <= self.longest <= 32:
            raise ConfigError(
                "collect digits", f"needs 1 ≤ least ≤ most ≤ 32, not {self.least} and {self.longest}"
            )
        if self.end and (len(self.end) != 1 or self.end not in ENDING_KEYS):
            raise ConfigError("collect digits", f"end must be one of {ENDING_KEYS}, not {self.end!r}")
        if not 0.2 <= self.pause_s <= 60:
            raise ConfigError("collect digits", f"pause_s must be 0.2 to 60, not {self.pause_s}")

    @property
    def longest(self) -> int:
        """The most digits taken."""
        return self.least if self.most is None else self.most


class DigitString(Question):
    """Collects :class:`Digits` from keys (one by one) or from one spoken turn."""

    def __init__(self, digits: Digits, language: Language = ENGLISH) -> None:
        self._language = language
        self.digits = digits
        self.digit_pause_s = digits.pause_s
        self._keys = ""

    def hint(self) -> str:
        """Return the line for the recogniser."""
        return hints.digits(self.digits.least, self.digits.longest, self._language)

    def keys_line(self) -> str:
        """Return how to type it."""
        return self._language.digits_line(self.digits.end)

    def restart(self) -> None:
        """Forget the keys so far, for the next attempt."""
        self._keys = ""

    def said(self, text: str) -> Answer | None:
        value = spoken_digits(text, self._language)
        if self.digits.least <= len(value) <= self.digits.longest:
            return Answer(AnswerKind.MATCH, value, "speech", text)
        return Answer(AnswerKind.NO_MATCH, by="speech", heard=text)

    def pressed(self, digit: str) -> Answer | None:
        if self.digits.end and digit == self.digits.end:
            return self._ended()
        if not digit.isdigit():
            keys, self._keys = self._keys, ""
            return Answer(AnswerKind.NO_MATCH, by="digits", heard=keys + digit)
        self._keys += digit
        return self._ended() if len(self._keys) == self.digits.longest else None

    def paused(self) -> Answer:
        return self._ended()

    def terminator_due(self, answer: Answer) -> str:
        """Return the ending key if people may still press it: a full string ends without."""
        full = answer.by == "digits" and len(answer.value) == self.digits.longest
        return self.digits.end if full else ""

    def _ended(self) -> Answer:
        keys, self._keys = self._keys, ""
        if len(keys) >= self.digits.least:
            return Answer(AnswerKind.MATCH, keys, "digits", keys)
        return Answer(AnswerKind.NO_MATCH, by="digits", heard=keys)


class Words(Question):
    """Whatever the caller says in one turn; keys only where ``keys`` gives them a meaning."""

    def __init__(
        self, hint: str | None = None, keys: Digits | None = None, language: Language = ENGLISH
    ) -> None:
        self.takes_anything = True
        self._hint = hint
        self._keys = None if keys is None else DigitString(keys, language)
        if keys is not None:
            self.digit_pause_s = keys.pause_s

    def hint(self) -> str | None:
        return self._hint

    def keys_line(self) -> str:
        return "" if self._keys is None else self._keys.keys_line()

    def restart(self) -> None:
        if self._keys is not None:
            self._keys.restart()

    def said(self, text: str) -> Answer | None:
        if not text.strip():
            return Answer(AnswerKind.NO_MATCH, by="speech", heard=text)
        return Answer(AnswerKind.MATCH, text.strip(), "speech", text)

    def pressed(self, digit: str) -> Answer | None:
        if self._keys is None:
            return Answer(AnswerKind.NO_MATCH, by="digits", heard=digit)
        return self._keys.pressed(digit)

    def paused(self) -> Answer:
        return Answer(AnswerKind.NO_INPUT) if self._keys is None else self._keys.paused()


class Typed(Question):
    """Another question whose answer must be of a :class:`~voiceagent.ivr.kinds.Kind`."""

    def __init__(self, inner: Question, kind: Kind) -> None:
        self._inner = inner
        self._kind = kind
        self.members = bool(kind.phrases)
        """The values are the flow's own words, whatever the caller says."""
        self.digit_pause_s = inner.digit_pause_s
        self.takes_anything = inner.takes_anything and kind.is_text

    def hint(self) -> str | None:
        return self._inner.hint()

    def keys_line(self) -> str:
        return self._inner.keys_line()

    def restart(self) -> None:
        self._inner.restart()

    def terminator_due(self, answer: Answer) -> str:
        return self._inner.terminator_due(answer)

    def said(self, text: str) -> Answer | None:
        answer = self._inner.said(text)
        if answer is not None and answer.kind is AnswerKind.NO_MATCH and self._kind.in_words:
            # Digits were asked for, but "12 May 2026" is a date as well.
            valid, meaning = self._kind.read(text)
            if valid:
                return Answer(AnswerKind.MATCH, text.strip(), "speech", text, meaning)
        return self._judged(answer)

    def pressed(self, digit: str) -> Answer | None:
        return self._judged(self._inner.pressed(digit))

    def paused(self) -> Answer:
        answer = self._judged(self._inner.paused())
        assert answer is not None
        return answer

    def _judged(self, answer: Answer | None) -> Answer | None:
        if answer is None or answer.kind is not AnswerKind.MATCH:
            return answer
        valid, meaning = self._kind.read(answer.value)
        return replace(answer, meaning=meaning) if valid else replace(answer, kind=AnswerKind.INVALID)


def question_of(kind: Any, digits: Digits | None, language: Language = ENGLISH) -> Typed:
    """Return the question behind ``collect``. Raises ConfigError for a type that one answer cannot have."""
    asked = Kind(kind, language)
    if digits is not None:
        return Typed(DigitString(digits, language), asked)
    keys = asked.keys
    return Typed(Words(asked.hint(), None if keys is None else Digits(*keys), language), asked)
