"""PURE. The decisions of two lives of one call, compared in order."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import Any, Literal, cast

from voiceagent.records.journal import plain

Entry = Mapping[str, Any]
Kind = Literal["missing", "extra", "changed", "time"]

DEFAULT_TOLERANCE_S = 0.005
"""A replay of unchanged code sees the recorded clock: to the millisecond that clocks are read in."""
CONTEXT = 3
"""Decisions before the first difference that are shown with it."""
ALIGN_LIMIT = 4000
"""So many decisions after the first difference are aligned; what follows is only counted."""
_NO_PART = frozenset(
    {"v", "seq", "t", "at", "loop_t", "place", "media", "frame", "size", "crc", "about"}
    | {"started_at", "answered_at", "ended_at", "node", "provider"}
)
"""Fields that say when, where or of what something was written, or what a replay cannot know."""
_ABOUT = ("request_id", "response_id", "code", "step", "text", "progress")
_MS = ("_ms",)
_S = ("_s", "seconds", "longest_gap_s")


@dataclass(frozen=True, slots=True)
class Difference:
    """One place where the two lives differ: the entries of ``then`` and ``now``, None where there is none."""

    kind: Kind
    t: float
    """Seconds since the call began, in the recording."""
    then: Entry | None
    now: Entry | None
    line: int = 0
    """Line of the journal."""
    fields: tuple[str, ...] = ()
    """What differs within the entry."""


@dataclass(slots=True)
class Verdict:
    """What the comparison found."""

    compared: int = 0
    differences: list[Difference] = field(default_factory=list[Difference])
    before: list[Entry] = field(default_factory=list[Entry])
    """The last equal decisions before the first difference."""

    @property
    def same(self) -> bool:
        """True when nothing differs."""
        return not self.differences

    def counts(self) -> dict[str, int]:
        """Return how often each kind of difference was found."""
        counted: dict[str, int] = dict.fromkeys(("missing", "extra", "changed", "time"), 0)
        for one in self.differences:
            counted[one.kind] += 1
        return counted


def as_json(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """Return entries as they would be read from a file."""
    return [json.loads(json.dumps(one, default=plain)) for one in entries]


def compare(
    then: Sequence[Entry],
    now: Sequence[Entry],
    *,
    tolerance_s: float = DEFAULT_TOLERANCE_S,
    lines: Sequence[int] = (),
) -> Verdict:
    """Compare the decisions of the recording (``then``) with those of the replay, both as plain JSON."""
    verdict = Verdict(compared=max(len(then), len(now)))
    old, new = _Numbered(then), _Numbered(now)
    count = 0
    while count < min(len(then), len(now)) and not _between(old, new, count, count, tolerance_s):
        count += 1
    if count == len(then) == len(now):
        return verdict
    verdict.before = list(then[max(0, count - CONTEXT) : count])
    for kind, first, second in _aligned(old, new, count):
        if kind == "changed":
            verdict.differences += _between(old, new, first, second, tolerance_s)
        elif kind == "missing":
            verdict.differences.append(Difference("missing", _t(then[first]), then[first], None))
        else:
            verdict.differences.append(Difference("extra", _t(now[second]), None, now[second]))
    if lines:
        places = {id(entry): line for entry, line in zip(then, lines, strict=False)}
        verdict.differences = [
            Difference(one.kind, one.t, one.then, one.now, places.get(id(one.then), 0), one.fields)
            for one in verdict.differences
        ]
    return verdict


class _Numbered:
    """Entries whose sessions are counted from 1, in the order of their first word."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.entries = entries
        self._sessions: dict[Any, int] = {}
        self.keys = [self._key(entry) for entry in entries]

    def body(self, index: int) -> dict[str, Any]:
        """Return what is compared of an entry."""
        entry = self.entries[index]
        body = {name: value for name, value in entry.items() if name not in _NO_PART}
        if entry.get("type") == "link.sent":
            body["sent"] = _sent(entry)
        if "session" in body:
            body["session"] = self._sessions.setdefault(body["session"], len(self._sessions) + 1)
        return body

    def _key(self, entry: Entry) -> str:
        """Return what makes an entry that entry: its type, and whom it is about."""
        if "session" in entry:
            self._sessions.setdefault(entry["session"], len(self._sessions) + 1)
        body = cast("Mapping[str, Any]", entry.get("body") or entry)
        about = [entry.get("type"), entry.get("event"), entry.get("kind")]
        about += [body.get(name) for name in _ABOUT]
        request = body.get("request")
        if isinstance(request, Mapping):
            about.append(cast("Mapping[str, Any]", request).get("id"))
        return json.dumps(about)


def _sent(entry: Entry) -> Any:
    """Return what left in a frame: the whole of it where it was written down, else its size and checksum."""
    frame = entry.get("frame")
    if not isinstance(frame, str):
        return [entry.get("size"), entry.get("crc")]
    try:
        return json.loads(frame)
    except ValueError:
        return frame


def _aligned(old: _Numbered, new: _Numbered, start: int) -> list[tuple[str, int, int]]:
    """Pair what follows the first difference: (changed | missing | extra, index then, index now)."""
    first, second = old.keys[start : start + ALIGN_LIMIT], new.keys[start : start + ALIGN_LIMIT]
    pairs: list[tuple[str, int, int]] = []
    for tag, a, b, c, d in SequenceMatcher(None, first, second, autojunk=False).get_opcodes():
        if tag == "equal":
            pairs += [("changed", start + a + i, start + c + i) for i in range(b - a)]
            continue
        pairs += [("missing", start + i, 0) for i in range(a, b)]
        pairs += [("extra", 0, start + i) for i in range(c, d)]
    return pairs


def _between(old: _Numbered, new: _Numbered, first: int, second: int, tolerance_s: float) -> list[Difference]:
    """Return how two entries that stand for each other differ, if they do."""
    then, now = old.entries[first], new.entries[second]
    fields = _fields(old.body(first), new.body(second), tolerance_s)
    if fields:
        return [Difference("changed", _t(then), then, now, 0, tuple(fields))]
    if abs(_t(then) - _t(now)) > tolerance_s:
        return [Difference("time", _t(then), then, now, 0, ("t",))]
    return []


def _t(entry: Entry) -> float:
    return float(entry.get("t", 0.0))


def _fields(then: Any, now: Any, tolerance_s: float, name: str = "") -> list[str]:
    """Return the dotted names of what differs; times and lengths may by the tolerance."""
    if isinstance(then, Mapping) and isinstance(now, Mapping):
        one, other = cast("Mapping[str, Any]", then), cast("Mapping[str, Any]", now)
        found: list[str] = []
        for key in sorted({*one, *other}):
            if key in _NO_PART:
                continue
            found += _fields(one.get(key), other.get(key), tolerance_s, f"{name}.{key}" if name else key)
        return found
    if isinstance(then, list) and isinstance(now, list):
        some, others = cast("list[Any]", then), cast("list[Any]", now)
        if len(some) != len(others):
            return [name]
        return [each for a, b in zip(some, others, strict=True) for each in _fields(a, b, tolerance_s, name)]
    if then == now or _about(then, now, name, tolerance_s):
        return []
    return [name or "entry"]


def _about(then: Any, now: Any, name: str, tolerance_s: float) -> bool:
    numbers = all(isinstance(one, int | float) and not isinstance(one, bool) for one in (then, now))
    if not numbers:
        return False
    if name.endswith(_MS):
        return abs(then - now) <= tolerance_s * 1000
    if name.endswith(_S) or isinstance(then, float) or isinstance(now, float):
        return abs(then - now) <= tolerance_s
    return False
