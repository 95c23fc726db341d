"""PURE. What a route may ask of a call. All that the caller's side says is data: compared, never executed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol

from voiceagent.ivr.routing.patterns import Pattern, normal_number
from voiceagent.ivr.routing.times import Times

PARTS = 10_000
"""Callers are dealt into so many equal parts; a hundred of them are one percent."""
NOBODY = frozenset({"", "anonymous", "unavailable"})
"""Callers who do not say who they are (RFC 3323, 3GPP TS 24.229)."""
SHOWN_CHARS = 64

Kind = Literal["direct", "hosted", "browser"]


@dataclass(frozen=True, slots=True)
class Arrival:
    """What is known of a call when its flow is picked."""

    called: str
    at: datetime
    """With a zone; without one it is taken for the wall clock of each route's own zone."""
    caller: str = ""
    """A claim of the caller's side."""
    trunk: str = ""
    kind: Kind = "direct"
    headers: Sequence[tuple[str, str]] = ()
    """Those that the trunk is trusted with."""
    protocol_call_id: str = ""
    number: str = field(init=False, compare=False)
    """The called number as it is compared."""
    caller_number: str = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "number", normal_number(self.called))
        object.__setattr__(self, "caller_number", normal_number(self.caller))


class Condition(Protocol):
    """One thing that must hold. Those that mean the same are equal."""

    def holds(self, arrival: Arrival) -> bool: ...

    def against(self, arrival: Arrival) -> tuple[str, str]:
        """Return the field that does not hold, and why."""
        ...

    def covers(self, other: Condition) -> bool:
        """Tell whether this surely holds wherever ``other`` does."""
        ...


@dataclass(frozen=True, slots=True)
class Number:
    """The called number, or the caller's, falls under one of the patterns."""

    field: Literal["number", "caller"]
    patterns: tuple[Pattern, ...]

    def holds(self, arrival: Arrival) -> bool:
        number = arrival.number if self.field == "number" else arrival.caller_number
        for one in self.patterns:  # noqa: SIM110 - a generator costs more than the match, for every route
            if one.matches(number):
                return True
        return False

    def against(self, arrival: Arrival) -> tuple[str, str]:
        wanted = " or ".join(one.text for one in self.patterns)
        return self.field, f"{shown(self._of(arrival))} is not {wanted}"

    def covers(self, other: Condition) -> bool:
        return (
            isinstance(other, Number)
            and other.field == self.field
            and all(any(mine.covers(one) for mine in self.patterns) for one in other.patterns)
        )

    def _of(self, arrival: Arrival) -> str:
        return arrival.number if self.field == "number" else arrival.caller_number


@dataclass(frozen=True, slots=True)
class Trunk:
    """The call came over one of these trunks."""

    names: tuple[str, ...]

    def holds(self, arrival: Arrival) -> bool:
        return arrival.trunk in self.names

    def against(self, arrival: Arrival) -> tuple[str, str]:
        return "trunk", f"it came over {arrival.trunk or 'none'}, not {' or '.join(self.names)}"

    def covers(self, other: Condition) -> bool:
        return isinstance(other, Trunk) and set(other.names) <= set(self.names)


@dataclass(frozen=True, slots=True)
class OfKind:
    """The call is terminated by us (direct, browser), or by the provider (hosted)."""

    kind: Kind

    def holds(self, arrival: Arrival) -> bool:
        return arrival.kind == self.kind

    def against(self, arrival: Arrival) -> tuple[str, str]:
        return "kind", f"it is {arrival.kind}, not {self.kind}"

    def covers(self, other: Condition) -> bool:
        return self == other


@dataclass(frozen=True, slots=True)
class Header:
    """A header of this name has the value, or one that falls under the pattern."""

    name: str
    equals: str | None = None
    pattern: Pattern | None = None

    def holds(self, arrival: Arrival) -> bool:
        return any(self._fits(value) for value in self._values(arrival))

    def against(self, arrival: Arrival) -> tuple[str, str]:
        values = self._values(arrival)
        if not values:
            return "header", f"there is no {self.name}"
        wanted = repr(self.equals) if self.pattern is None else self.pattern.text
        return "header", f"{self.name} is {shown(values[0])!r}, not {wanted}"

    def covers(self, other: Condition) -> bool:
        return self == other

    def _values(self, arrival: Arrival) -> list[str]:
        wanted = self.name.lower()
        return [value.strip() for name, value in arrival.headers if name.lower() == wanted]

    def _fits(self, value: str) -> bool:
        return value == self.equals if self.pattern is None else self.pattern.matches(value)


@dataclass(frozen=True, slots=True)
class Open:
    """The call comes within the times of the route."""

    times: Times

    def holds(self, arrival: Arrival) -> bool:
        return self.times.open(arrival.at)

    def against(self, arrival: Arrival) -> tuple[str, str]:
        return self.times.against(arrival.at)

    def covers(self, other: Condition) -> bool:
        return self == other


@dataclass(frozen=True, slots=True)
class Share:
    """The caller is among so many of a hundred: always the same for one caller, number and salt."""

    percent: int
    salt: str

    def holds(self, arrival: Arrival) -> bool:
        return part_of(self.salt, arrival) < self.percent * PARTS // 100

    def against(self, arrival: Arrival) -> tuple[str, str]:
        return "percent", f"this caller is among the other {100 - self.percent}"

    def covers(self, other: Condition) -> bool:
        return isinstance(other, Share) and other.salt == self.salt and other.percent <= self.percent


def part_of(salt: str, arrival: Arrival) -> int:
    """Return the part, below :data:`PARTS`, that a caller of this number is dealt into.

    Who does not say who calls is dealt by the Call-ID: anew with every call.
    """
    caller = arrival.caller_number
    who = f"call {arrival.protocol_call_id}" if caller in NOBODY else f"caller {caller}"
    text = f"{len(salt)} {salt} {arrival.number} {who}".encode("utf-8", "backslashreplace")
    return int.from_bytes(hashlib.sha256(text).digest()[:8]) % PARTS


def shown(text: str) -> str:
    """Return what the caller's side said, fit to stand in a line of ours."""
    clean = "".join(char if char.isprintable() else "?" for char in text[:SHOWN_CHARS])
    return clean + ("…" if len(text) > SHOWN_CHARS else "") or "nothing"
