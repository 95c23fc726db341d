"""What a world amounts to: two worlds with the same fingerprint have the same futures.

Names (``Q3``, ``resp_7``, ``ev12``) are replaced by the order in which they are met, times by their distance
from now, running numbers by their rank. What is remembered of requests and responses that nothing alive
refers to any more is left out: fresh names never repeat, so nothing can ask for it again.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any, cast

from voiceagent.bench.world import World
from voiceagent.realtime.sequencer_state import Entry

START = 10_000.0
"""Where the clock of a fingerprinted world begins, so that times cannot be taken for durations."""
_TIME_FROM = START / 2
_NAME = re.compile(r"\b(?:Q|T|ev|resp_|item)\d+\b")
_SEQUENCER_MEMORY = ("_ledger", "_acks", "_gone", "_ghosts")
_SEQUENCER_LEFT_OUT = frozenset(
    {*_SEQUENCER_MEMORY, "_tokens", "_jitter", "config", "_seq", "_number", "_turn_ended_at", "_now"}
)
_WORLD_MEMORY = ("resps", "ended_gen", "swallowed", "sounded", "ear_over", "heard")
_WORLD_LEFT_OUT = frozenset(
    {*_WORLD_MEMORY, "config", "seq", "checker", "now", "count", "settled", "submitted"}
)
_CHECKER_MEMORY = ("_over", "_acks")
_CHECKER_LEFT_OUT = frozenset({*_CHECKER_MEMORY, "config", "strict", "broken", "steps", "checked", "_wishes"})
_RANKED = frozenset({"seq", "number"})
_slots: dict[type, tuple[str, ...]] = {}


def fingerprint(world: World) -> int:
    """Return the hash of everything that can make a difference to the world's future."""
    return hash(_Walk(world).everything())


def _names_of(kind: type[Any]) -> tuple[str, ...]:
    """Return the attributes of a class, in a fixed order."""
    known = _slots.get(kind)
    if known is None:
        if is_dataclass(kind):
            known = tuple(field.name for field in fields(kind))
        else:
            line: tuple[type[Any], ...] = kind.__mro__
            known = tuple(dict.fromkeys(name for each in line for name in getattr(each, "__slots__", ())))
        _slots[kind] = known
    return known


class _Walk:
    """One walk through a world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._now = world.now
        self._names: dict[str, int] = {}
        self._met: dict[int, int] = {}
        sequencer: Any = world.seq
        entries: Iterable[Entry] = sequencer._entries.values()
        numbers = sorted({*(e.seq for e in entries), *(e.number for e in entries)})
        self._rank = {number: rank for rank, number in enumerate(numbers)}
        self._before_turn_end = sum(number <= sequencer._turn_ended_at for number in numbers)

    def everything(self) -> tuple[Any, ...]:
        """First what is alive, which names the names; then what is remembered about those."""
        world, sequencer, checker = self._world, self._world.seq, self._world.checker
        alive = (
            self._object(sequencer, _SEQUENCER_LEFT_OUT),
            self._before_turn_end,
            self._attributes(vars(world), _WORLD_LEFT_OUT),
            tuple(self._value(name) for name in world.submitted if name not in world.settled),
        )
        memory: list[Any] = [self._memory(getattr(sequencer, name)) for name in _SEQUENCER_MEMORY]
        memory += [self._memory(getattr(world, name)) for name in _WORLD_MEMORY]
        if checker is not None:
            memory.append(self._attributes(vars(checker), _CHECKER_LEFT_OUT))
            memory.append(self._memory(vars(checker)["_wishes"]))
            memory += [self._memory(vars(checker)[name]) for name in _CHECKER_MEMORY]
        return (alive, tuple(memory))

    def _attributes(self, values: Mapping[str, Any], left_out: frozenset[str]) -> tuple[Any, ...]:
        return tuple(self._value(value) for name, value in values.items() if name not in left_out)

    def _object(self, value: object, left_out: frozenset[str] = frozenset()) -> Any:
        known = self._met.get(id(value))
        if known is not None:
            return ("met", known)
        self._met[id(value)] = len(self._met)
        kind = cast(type[Any], type(value))
        parts: list[Any] = [kind.__name__]
        for name in _names_of(kind):
            if name in left_out:
                continue
            one = getattr(value, name)
            parts.append(self._rank.get(one, -1) if name in _RANKED else self._value(one))
        return tuple(parts)

    def _memory(self, kept: Any) -> tuple[Any, ...]:
        """Return what is remembered of the names that were met."""
        names = self._names
        known = sorted((names[key], key) for key in kept if key in names)
        if isinstance(kept, dict):
            return tuple((number, self._value(kept[key])) for number, key in known)
        return tuple(number for number, _ in known)

    def _value(self, value: Any) -> Any:
        kind = cast(type[Any], type(value))
        if kind is str:
            return self._text(value)
        if kind is float:
            # In odd numbers: Python gives -1 and -2 the same hash.
            return ("at", 2 * round(1e6 * (value - self._now)) + 1) if _TIME_FROM < value < 1e9 else value
        if kind is bool or kind is int or value is None or isinstance(value, Enum):
            return value
        if kind is dict:
            return tuple((self._value(key), self._value(one)) for key, one in value.items())
        if kind in (list, tuple, deque):
            return tuple(self._value(one) for one in value)
        if kind in (set, frozenset):
            return tuple(self._value(one) for one in sorted(value, key=str))
        return self._object(cast(object, value))

    def _text(self, text: str) -> Any:
        if not text or not text[-1].isdigit():
            # Only messages hold names before their end, and they are rare.
            return (
                _NAME.sub(lambda match: f"#{self._number(match.group())}", text) if "resp_" in text else text
            )
        return self._number(text) if _NAME.fullmatch(text) else text

    def _number(self, name: str) -> int:
        return self._names.setdefault(name, len(self._names))
