"""PURE. The interpreters behind ``choose``, ``confirm`` and ``collect``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from voiceagent.errors import ConfigError
from voiceagent.ivr import hints
from voiceagent.ivr.gather import Answer, AnswerKind
from voiceagent.ivr.languages import ENGLISH, Language
from voiceagent.ivr.matching import match_option, match_yes_no, spoken_digits

KEYS = "0123456789*#ABCD"


@dataclass(frozen=True, slots=True)
class Option:
    """One way to answer a ``choose``: its key, and the phrases that mean it."""

    key: str
    phrases: tuple[str, ...] = ()


def option(key: str, *phrases: str) -> Option:
    """Return an option with its key and further phrases: ``billing=option("1", "my bill", "invoice")``."""
    return Option(key, phrases)


class Choice:
    """Chooses between named options, by phrase or by key."""

    digit_pause_s = 2.0

    def __init__(self, options: Mapping[str, str | Option], language: Language = ENGLISH) -> None:
        if not options:
            raise ConfigError("choose", "needs at least one option")
        self._language = language
        self.options = {name: self._option(name, given) for name, given in options.items()}
        self._by_key: dict[str, str] = {}
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
        return Option(own.key, (name.replace("_", " "), *own.phrases))

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

    def paused(self) -> Answer:
        return Answer(AnswerKind.NO_INPUT)


class YesNo:
    """Yes or no, by word or by 1 and 2."""

    digit_pause_s = 2.0

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

    def paused(self) -> Answer:
        return Answer(AnswerKind.NO_INPUT)


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

    @property
    def longest(self) -> int:
        """The most digits taken."""
        return self.least if self.most is None else self.most


class DigitString:
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
            return Answer(AnswerKind.NO_MATCH, by="digits", heard=self._keys + digit)
        self._keys += digit
        return self._ended() if len(self._keys) == self.digits.longest else None

    def paused(self) -> Answer:
        return self._ended()

    def terminator_due(self, answer: Answer) -> str:
        """Return the ending key if people may still press it: a full string ends without."""
        full = answer.by == "digits" and len(answer.value) == self.digits.longest
        return self.digits.end if full else ""

    def _ended(self) -> Answer:
        if len(self._keys) >= self.digits.least:
            return Answer(AnswerKind.MATCH, self._keys, "digits", self._keys)
        return Answer(AnswerKind.NO_MATCH, by="digits", heard=self._keys)
