"""PURE. What a question expects to hear, in one plain line.

The line travels as ``audio.input.transcription.prompt``: a hosted transcriber takes it as a hint, the
embedded provider builds its grammar from it. Forms: ``Expect one of: billing; opening hours.``,
``Expect yes or no.``, ``Expect 6 digits.``, ``Expect 1 to 16 digits.``
"""

from __future__ import annotations

from collections.abc import Iterable

YES_NO = "Expect yes or no."


def phrases(expected: Iterable[str]) -> str:
    """Return the hint for a choice between whole phrases, doubles removed."""
    unique = dict.fromkeys(" ".join(phrase.replace(";", " ").split()) for phrase in expected)
    return f"Expect one of: {'; '.join(unique)}."


def digits(least: int, most: int) -> str:
    """Return the hint for ``least`` to ``most`` digits."""
    return f"Expect {most} digits." if least == most else f"Expect {least} to {most} digits."
