"""PURE. What a question expects to hear, in one plain line.

The line travels as ``audio.input.transcription.prompt``: a hosted transcriber takes it as a hint, the
embedded provider builds its grammar from it. Forms: ``Expect one of: billing; opening hours.``,
``Expect yes or no.``, ``Expect 6 digits.``, ``Expect 1 to 16 digits.``,
``Expect anything, such as: that is all; goodbye.`` In other languages the line is in that
language, since a transcriber follows the language of its hint.
"""

from __future__ import annotations

from collections.abc import Iterable

from voiceagent.ivr.caller_text import CallerText, quoted
from voiceagent.ivr.languages import ENGLISH, Language


def yes_or_no(language: Language = ENGLISH) -> str:
    """Return the hint for a yes-or-no question."""
    return language.expect_yes_no


def phrases(expected: Iterable[str], language: Language = ENGLISH) -> str:
    """Return the hint for a choice between whole phrases, doubles removed."""
    return language.expect_one_of.format(phrases=_listed(expected))


def anything(expected: Iterable[str], language: Language = ENGLISH) -> str:
    """Return the hint for free speech in which these phrases matter."""
    return language.expect_anything.format(phrases=_listed(expected))


def digits(least: int, most: int, language: Language = ENGLISH) -> str:
    """Return the hint for ``least`` to ``most`` digits."""
    if least == most:
        return language.expect_digits.format(count=most)
    return language.expect_digits_range.format(least=least, most=most)


def _listed(phrases: Iterable[str]) -> str:
    return "; ".join(dict.fromkeys(" ".join(_bare(phrase).replace(";", " ").split()) for phrase in phrases))


def _bare(phrase: str) -> str:
    """Return a phrase without what nobody can say; the caller's text is cut as a quotation is."""
    ours = phrase.isprintable() and not isinstance(phrase, CallerText)
    return phrase if ours else quoted(phrase)[1:-1]
