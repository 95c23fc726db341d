"""From a journal's lines back to the sequencer's events and effects.

The journal writes dataclasses as objects without their None fields; types and defaults stand in the classes.
"""

from __future__ import annotations

import dataclasses
import json
import stat
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Any, cast

from voiceagent.errors import VoiceAgentError
from voiceagent.realtime import sequencer_io as io
from voiceagent.realtime.sequencer_config import SequencerConfig


class JournalError(VoiceAgentError):
    """A journal that cannot be read."""

    code = "journal"


@dataclass(frozen=True, slots=True)
class Line:
    """One entry with its line number, counted from 1."""

    number: int
    entry: Mapping[str, Any]


@dataclass(slots=True)
class Step:
    """One decision of one sequencer: an event (None for a wake-up) and the effects that followed from it."""

    line: int
    session: str
    now: float
    event: io.SequencerEvent | SequencerConfig | None
    effects: list[io.SequencerEffect]


_EVENTS: Mapping[str, type[Any]] = {
    kind.__name__: kind for kind in (*typing.get_args(io.SequencerEvent), SequencerConfig)
}
_EFFECTS: Mapping[str, type[Any]] = {kind.__name__: kind for kind in typing.get_args(io.SequencerEffect)}


def read_lines(path: Path) -> Iterator[Line]:
    """Yield a journal's entries. A torn last line (a killed process) ends it; elsewhere it is an error.

    Only regular files are read: a device or a named pipe may never end.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode) and not path.is_dir():
            raise JournalError(f"cannot read {path}: is no regular file")
        with path.open("rb") as file:
            torn, why = 0, ""
            for number, line in enumerate(file, 1):
                if torn:
                    raise JournalError(f"{path}, line {torn}: {why}")
                try:
                    entry: object = json.loads(line.decode())
                except ValueError as error:  # the last line may end within a character
                    torn, why = (
                        number,
                        "not UTF-8" if isinstance(error, UnicodeDecodeError) else "not a JSON object",
                    )
                    continue
                except RecursionError:
                    raise JournalError(f"{path}, line {number}: is nested too deeply") from None
                if not isinstance(entry, dict):
                    raise JournalError(f"{path}, line {number}: not a JSON object")
                yield Line(number, cast("Mapping[str, Any]", entry))
    except OSError as error:
        raise JournalError(f"cannot read {path}: {error.strerror}") from None


def steps(lines: Iterator[Line]) -> Iterator[Step]:
    """Yield the decisions in order. Effects without an event before them at their time are a wake-up's."""
    pending: dict[str, Step] = {}
    for line in lines:
        entry = line.entry
        if entry.get("type") != "sequencer":
            continue
        name = str(entry.get("event"))
        session = str(entry.get("session", ""))
        now = float(entry.get("loop_t", entry.get("t", 0.0)))
        body = cast("Mapping[str, Any]", entry.get("body") or {})
        before = pending.get(session)
        if name in _EFFECTS:
            effect = _rebuilt(line, _EFFECTS[name], body)
            if before is not None and abs(before.now - now) < 1e-9:
                before.effects.append(effect)
                continue
            made = Step(line.number, session, now, None, [effect])
        elif name in _EVENTS:
            made = Step(line.number, session, now, _rebuilt(line, _EVENTS[name], body), [])
        else:
            raise JournalError(
                f"line {line.number}: a step of the sequencer that this version does not know: {name}"
            )
        if before is not None:
            yield before
        pending[session] = made
    yield from pending.values()


def _rebuilt(line: Line, kind: type[Any], body: Mapping[str, Any]) -> Any:
    try:
        return rebuild(kind, body)
    except VoiceAgentError:
        raise
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise JournalError(f"line {line.number}: not a {kind.__name__}: {error}") from None


@cache
def _types_of(kind: type[Any]) -> Mapping[str, Any]:
    return typing.get_type_hints(kind)


def rebuild(kind: Any, value: Any) -> Any:
    """Return ``value`` (plain JSON) as an instance of the annotated type ``kind``.

    Raises TypeError or ValueError when it cannot be one. Fields of newer versions are left out.
    """
    origin = typing.get_origin(kind)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        types = _types_of(kind)
        known = {field.name for field in dataclasses.fields(kind) if field.init}
        given = {name: rebuild(types[name], one) for name, one in dict(value).items() if name in known}
        for field in dataclasses.fields(kind):
            required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
            if required and field.name not in given:
                given[field.name] = None  # None is not written
        return kind(**given)
    if origin is UnionType or origin is typing.Union:
        return value if value is None else rebuild(_plainest(kind, value), value)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(value)
    if origin is frozenset:
        return frozenset(value)
    return value


def _plainest(kind: Any, value: Any) -> Any:
    """Return the alternative of a union that a JSON value can stand for."""
    choices = [choice for choice in typing.get_args(kind) if choice is not type(None)]
    if isinstance(value, dict):
        choices = [one for one in choices if dataclasses.is_dataclass(one)] or [dict]
    return choices[0]


def tuples(value: Any) -> Any:
    """Return plain JSON with its lists as tuples, as frozen values hold them."""
    if isinstance(value, Mapping):
        return {key: tuples(one) for key, one in cast("Mapping[str, Any]", value).items()}
    return tuple(tuples(one) for one in cast("list[Any]", value)) if isinstance(value, list) else value
