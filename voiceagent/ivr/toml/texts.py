"""PURE. Which keys of a step are texts that may hold names in braces, and which names a step sets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from voiceagent.ivr.toml.lines import Path
from voiceagent.ivr.toml.models import (
    AnyStep,
    Choose,
    Collect,
    Hangup,
    Note,
    Play,
    Queue,
    Record,
    Respond,
    Transfer,
    Work,
)


@dataclass(frozen=True, slots=True)
class TextUse:
    """One text with its key; ``hidden`` ones are neither spoken nor shown nor logged."""

    path: Path
    text: str
    hidden: bool = False


def texts_of(step: AnyStep) -> Iterator[TextUse]:
    """Yield the texts of a step that may hold names."""
    match step:
        case Respond():
            yield from _given(guide=step.guide, say=step.say)
            yield from _pairs("metadata", step.metadata)
        case Choose() | Collect():
            yield from _given(prompt=step.prompt)
            yield from _lines("no_input", step.no_input)
            yield from _lines("no_match", step.no_match)
            if isinstance(step, Collect):
                yield from _lines("invalid", step.invalid)
            yield from _pairs("metadata", step.metadata)
        case Work():
            yield from _given(url=step.url, working=step.working)
            in_query = step.url is not None and step.method in ("GET", "DELETE")
            yield from _pairs("arguments", step.arguments, hidden=not in_query)
        case Transfer():
            yield from _given(announce=step.announce, whisper=step.whisper)
        case Queue():
            yield from _given(whisper=step.whisper)
        case Note():
            yield from _given(text=step.text)
        case Record():
            yield from _given(announce=step.announce)
        case Hangup():
            yield from _given(say=step.say)
        case Play():
            return  # what a recording says is fixed


def into_of(step: AnyStep) -> str | None:
    """Return the name that a step sets."""
    return step.into if isinstance(step, Choose | Collect | Work) else None


def _given(**texts: str | None) -> Iterator[TextUse]:
    for key, text in texts.items():
        if text is not None:
            yield TextUse((key,), text)


def _lines(key: str, lines: str | list[str] | None) -> Iterator[TextUse]:
    if isinstance(lines, str):
        yield TextUse((key,), lines)
    for number, line in enumerate(lines if isinstance(lines, list) else ()):
        yield TextUse((key, number), line)


def _pairs(key: str, pairs: Mapping[str, object], *, hidden: bool = False) -> Iterator[TextUse]:
    for name, value in pairs.items():
        if isinstance(value, str):
            yield TextUse((key, name), value, hidden)
