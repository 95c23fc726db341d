"""PURE. What a language is to a flow: the lines that verbs add, and the words they understand."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Literal

Phrase = tuple[str, ...]
"""Words as :func:`words_of` gives them, in order."""

_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
_PART = re.compile(r"[^\W_]+")


def words_of(text: str, *, keep_apostrophes: bool = False) -> list[str]:
    """Return the words of ``text``: lower case, without accents ("Zwölf" → "zwolf", "ß" → "ss").

    An apostrophe ends a word ("l'option" → "l", "option") unless ``keep_apostrophes`` ("it's").
    """
    plain = unicodedata.normalize("NFKD", text.replace("’", "'").casefold())
    bare = "".join(char for char in plain if not unicodedata.combining(char))
    return (_WORD if keep_apostrophes else _PART).findall(bare)


def phrases(*texts: str, keep_apostrophes: bool = False) -> frozenset[Phrase]:
    """Return each text as a phrase."""
    return frozenset(tuple(words_of(text, keep_apostrophes=keep_apostrophes)) for text in texts)


def numbers(by_value: Mapping[int, str]) -> dict[Phrase, str]:
    """Return number words ("zero oh") by value as phrases with their digits; ``|`` parts the wordings."""
    return {
        tuple(words_of(wording)): str(value)
        for value, wordings in by_value.items()
        for wording in wordings.split("|")
    }


def in_order(*wordings: str, start: int = 0) -> dict[int, str]:
    """Number the wordings from ``start`` on."""
    return dict(enumerate(wordings, start))


@dataclass(frozen=True, slots=True, kw_only=True)
class Language:
    """One language. Lines are spoken word for word; ``{…}`` in them are filled in."""

    tag: str
    """ISO 639-1."""
    name: str
    """In English, as the model is told."""
    keeps_apostrophes: bool = False

    # ── lines ───────────────────────────────────────────────────────────────────────────────────
    sorry: str
    """Before a question is repeated: not understood."""
    nothing_heard: str
    """Before a question is repeated: nothing was heard."""
    impossible: str
    """Before a question is repeated: understood, but no valid answer."""
    queue_position: str
    """To a caller who waits for a person; ``{position}`` is a number from 1."""
    broken: str
    """To a caller whose flow has failed."""
    closing: str
    """To a caller whose call has to end because the service does."""
    idle: tuple[str, ...]
    """When the caller is silent in a conversation, in stages."""
    press: str
    """``{keys}``: several of ``press_one``, joined by commas."""
    press_one: str
    """``{key}`` and ``{name}``."""
    press_yes_no: str
    type_digits: str
    type_digits_until: str
    """``{end}``: the key that ends them, as it is called."""
    keys: Mapping[str, str]
    """How ``#`` and ``*`` are called."""
    read_back: str
    """``{value}``: what was understood; asks whether that is right."""

    date: str = "{day} {month} {year}"
    """A date as it is read back."""
    months: tuple[str, ...]

    # ── what the recogniser is told to expect ───────────────────────────────────────────────────
    expect_yes_no: str
    expect_one_of: str
    """``{phrases}``."""
    expect_digits: str
    """``{count}``."""
    expect_digits_range: str
    """``{least}`` and ``{most}``."""
    expect_anything: str
    """``{phrases}``, and whatever else."""

    # ── words ───────────────────────────────────────────────────────────────────────────────────
    yes: frozenset[Phrase]
    no: frozenset[Phrase]
    """A longer phrase counts before the words in it: "not right" is no."""
    numbers: Mapping[Phrase, str]
    repeats: Mapping[str, int]
    """ "double" and the like."""
    fillers: frozenset[str]
    """Words among digits that mean nothing."""
    signs: Mapping[str, str]
    """What signs are called when an address or a code is spelled."""
    back_channel: frozenset[Phrase]
    """What a listener says without wanting the floor."""

    def words(self, text: str) -> list[str]:
        """Return the words of ``text``, to be compared with the tables."""
        return words_of(text, keep_apostrophes=self.keeps_apostrophes)

    def keys_line(self, names: Iterable[tuple[str, str]]) -> str:
        """Return (key, name) pairs as one line: "Press 1 for hours, 2 for an order."; empty for none."""
        parts = [self.press_one.format(key=key, name=name) for key, name in names]
        return self.press.format(keys=", ".join(parts)) if parts else ""

    def digits_line(self, end: str) -> str:
        """Return how to type digits; ``end`` is the key that ends them, or empty."""
        called = self.keys.get(end, end)
        return self.type_digits_until.format(end=called) if end else self.type_digits

    def date_in_words(self, value: date) -> str:
        """Return a date as it is spoken."""
        return self.date.format(day=value.day, month=self.months[value.month - 1], year=value.year)

    def spelled(self, text: str) -> str:
        """Return ``text`` (lower case) with the names of signs replaced by them: "ann at example dot com"."""
        names = "|".join(re.escape(name) for name in sorted(self.signs, key=len, reverse=True))
        return re.sub(rf"\s+({names})(?=\s)\s*", lambda hit: self.signs[hit[1]], text)

    def meant(self, text: str) -> Literal["yes", "no"] | None:
        """Return yes or no, or None when ``text`` is neither or both."""
        answers: dict[Phrase, Literal["yes", "no"]] = {}
        for phrase in self.yes:
            answers[phrase] = "yes"
        for phrase in self.no:
            answers[phrase] = "no"
        found: set[Literal["yes", "no"]] = {
            answers[phrase] for phrase in _parted(self.words(text), answers) if phrase in answers
        }
        return found.pop() if len(found) == 1 else None

    def digits(self, text: str) -> str:
        """Return the digits said in ``text`` ("four double one" → "411"); empty when a word is no digit."""
        digits: list[str] = []
        repeat = 1
        for phrase in _parted(self.words(text), self.numbers):
            if phrase in self.numbers:
                digit = self.numbers[phrase]
            elif phrase[0] in self.repeats:
                repeat = self.repeats[phrase[0]]
                continue
            elif phrase[0].isdigit():
                digit = "".join(str(unicodedata.digit(char)) for char in phrase[0])
            elif phrase[0] in self.fillers:
                continue
            else:
                return ""
            digits.append(digit * repeat)
            repeat = 1
        return "".join(digits)

    def is_back_channel(self, text: str) -> bool:
        """Return whether ``text`` is at most a listener's "mhm", "okay", "I see"."""
        said = _parted(self.words(text), self.back_channel)
        return len(said) <= BACK_CHANNEL_LIMIT and all(phrase in self.back_channel for phrase in said)


BACK_CHANNEL_LIMIT = 3
"""So many listener's words in a row; whoever says more wants something."""


def _parted(words: list[str], known: Mapping[Phrase, object] | frozenset[Phrase]) -> list[Phrase]:
    """Part ``words`` into known phrases, the longest first; a word of no phrase stands alone."""
    longest = max(map(len, known), default=1)
    parts: list[Phrase] = []
    at = 0
    while at < len(words):
        span = next(
            (
                size
                for size in range(min(longest, len(words) - at), 1, -1)
                if tuple(words[at : at + size]) in known
            ),
            1,
        )
        parts.append(tuple(words[at : at + span]))
        at += span
    return parts
