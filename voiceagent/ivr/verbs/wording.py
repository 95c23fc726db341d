"""PURE. The sentences that verbs put around what a flow wants said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import Enum
from typing import Any

from voiceagent.errors import ConfigError
from voiceagent.ivr.caller_text import quoted
from voiceagent.ivr.languages import ENGLISH, Language
from voiceagent.ivr.sentences import verbatim

__all__ = ["Repairs", "Stages", "is_it_right", "read_back", "repaired", "repairs", "staged", "verbatim"]

Stages = str | Sequence[str]
"""One line for every time, or one for each time; the last one stays."""


@dataclass(frozen=True, slots=True)
class Repairs:
    """What is said before a question is asked again."""

    no_input: Stages = ENGLISH.nothing_heard
    no_match: Stages = ENGLISH.sorry
    invalid: Stages = ENGLISH.impossible


def repairs(
    no_input: Stages | None = None,
    no_match: Stages | None = None,
    invalid: Stages | None = None,
    *,
    language: Language = ENGLISH,
    idle: Sequence[str] = (),
) -> Repairs:
    """Return the lines of a question: those that were given, the flow's ``idle`` ones, and ours for the rest.

    Where nothing says what an impossible value is to be answered with, ``no_match`` does.
    """
    return Repairs(
        no_input=_checked("no_input", (idle or language.nothing_heard) if no_input is None else no_input),
        no_match=_checked("no_match", language.sorry if no_match is None else no_match),
        invalid=_checked("invalid", invalid or no_match or language.impossible),
    )


def _checked(name: str, lines: Stages) -> Stages:
    if not lines or (not isinstance(lines, str) and not all(lines)):
        raise ConfigError(name, "needs a line, or one for each time")
    return lines


def staged(lines: Stages, time: int) -> str:
    """Return the line for the ``time``-th time, counted from 1."""
    return lines if isinstance(lines, str) else lines[min(time, len(lines)) - 1]


def read_back(value: Any, text: str, *, by_digits: bool, language: Language = ENGLISH) -> str:
    """Return what was understood as it is spoken to the caller: digits one by one, a date in words.

    Never more than a short line of plain words, whatever the caller said.
    """
    if isinstance(value, date):
        return language.date_in_words(value)
    if isinstance(value, Enum):
        value = value.value if isinstance(value.value, str) else value.name.replace("_", " ").lower()
    spoken = text if by_digits else str.__str__(value) if isinstance(value, str) else str(value)
    if spoken.isdecimal():
        return " ".join(spoken)
    return quoted(spoken)[1:-1]


def is_it_right(spoken: str, language: Language = ENGLISH) -> str:
    """Return the question whether something was understood."""
    return f'Ask: "{language.read_back.format(value=spoken)}"'


def _within(text: str) -> str:
    """Return ``text`` fit to stand in double quotes."""
    return f"{text}".replace('"', "'")


def repaired(excuse: str, prompt: str, keys: str) -> str:
    """Return the prompt of a further attempt: excuse, question and, on the last one, the keys."""
    parts = [f'Say "{_within(excuse)}"'] if excuse else []
    parts.append(prompt)
    if keys:
        parts.append(f'Say "{_within(keys)}"')
    return " Then: ".join(parts)
