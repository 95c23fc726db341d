"""PURE. From words to meaning: which option was meant, which digits were said."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

_WORD = re.compile(r"[a-z0-9']+")

_DIGIT_WORDS = {
    "zero": "0",
    "oh": "0",
    "o": "0",
    "nought": "0",
    "one": "1",
    "two": "2",
    "to": "2",
    "too": "2",
    "three": "3",
    "four": "4",
    "for": "4",
    "five": "5",
    "six": "6",
    "seven": "7",
    "eight": "8",
    "nine": "9",
}
_REPEATS = {"double": 2, "triple": 3}
_FILLERS = frozenset(
    {"it's", "its", "it", "is", "the", "number", "my", "and", "um", "uh", "please", "then", "hash"}
)
_YES = frozenset({"yes", "yeah", "yep", "yup", "sure", "correct", "right", "okay", "ok", "exactly", "indeed"})
_NO = frozenset({"no", "nope", "nah", "wrong", "incorrect", "not"})


def words(text: str) -> list[str]:
    """Split ``text`` into lower-case words."""
    return _WORD.findall(text.lower().replace("’", "'"))


def match_option(text: str, options: Mapping[str, Sequence[str]]) -> str | None:
    """Return the option whose longest phrase stands in ``text`` as whole words.

    None when nothing fits or when two options fit equally well: a wrong branch is worse than a question.
    """
    heard = words(text)
    best: dict[str, int] = {}
    for name, phrases in options.items():
        for phrase in phrases:
            wanted = words(phrase)
            if wanted and _contains(heard, wanted):
                best[name] = max(best.get(name, 0), len(wanted))
    if not best:
        return None
    longest = max(best.values())
    winners = [name for name, length in best.items() if length == longest]
    return winners[0] if len(winners) == 1 else None


def match_yes_no(text: str) -> bool | None:
    """Return True for yes, False for no, None when it is neither or both."""
    heard = set(words(text))
    yes, no = bool(heard & _YES), bool(heard & _NO)
    if yes == no:
        return None
    return yes


def spoken_digits(text: str) -> str:
    """Return the digits said in ``text`` ("four double one" → "411"); empty when a word is no digit."""
    digits: list[str] = []
    repeat = 1
    for word in words(text):
        if word in _REPEATS:
            repeat = _REPEATS[word]
            continue
        if word.isdigit():
            digit = word
        elif word in _DIGIT_WORDS:
            digit = _DIGIT_WORDS[word]
        elif word in _FILLERS:
            continue
        else:
            return ""
        digits.append(digit * repeat)
        repeat = 1
    return "".join(digits)


def _contains(heard: Sequence[str], wanted: Sequence[str]) -> bool:
    span = len(wanted)
    return any(list(heard[start : start + span]) == list(wanted) for start in range(len(heard) - span + 1))
