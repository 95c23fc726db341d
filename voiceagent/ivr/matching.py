"""PURE. From words to meaning: which option was meant, which digits were said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from voiceagent.ivr.languages import ENGLISH, Language


def words(text: str, language: Language = ENGLISH) -> list[str]:
    """Split ``text`` into words as they are compared: lower case, without accents."""
    return language.words(text)


def match_option(text: str, options: Mapping[str, Sequence[str]], language: Language = ENGLISH) -> str | None:
    """Return the option whose longest phrase stands in ``text`` as whole words.

    None when nothing fits or when two options fit equally well: a wrong branch is worse than a question.
    """
    heard = language.words(text)
    best: dict[str, int] = {}
    for name, phrases in options.items():
        for phrase in phrases:
            wanted = language.words(phrase)
            if wanted and _contains(heard, wanted):
                best[name] = max(best.get(name, 0), len(wanted))
    if not best:
        return None
    longest = max(best.values())
    winners = [name for name, length in best.items() if length == longest]
    return winners[0] if len(winners) == 1 else None


def match_yes_no(text: str, language: Language = ENGLISH) -> bool | None:
    """Return True for yes, False for no, None when it is neither or both."""
    meant = language.meant(text)
    return None if meant is None else meant == "yes"


def spoken_digits(text: str, language: Language = ENGLISH) -> str:
    """Return the digits said in ``text`` ("four double one" → "411"); empty when a word is no digit."""
    return language.digits(text)


def _contains(heard: Sequence[str], wanted: Sequence[str]) -> bool:
    span = len(wanted)
    return any(list(heard[start : start + span]) == list(wanted) for start in range(len(heard) - span + 1))
