"""What a caller's side says about the caller. Data: it authorises nothing and instructs nobody."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

Attestation = Literal["A", "B", "C", "none"]
"""How far the originating carrier vouches for the number (RFC 8588 §4), as its header says, not verified."""


@dataclass(frozen=True, slots=True)
class Person:
    """A URI with the name that goes with it; ``user`` is its user part or telephone number."""

    uri: str
    user: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class Diverted:
    """One diversion on the way to us: who passed the call on, and why."""

    by: Person
    reason: str = ""
    """RFC 5806 §4: unknown, user-busy, no-answer, unavailable, unconditional, deflection …"""
    counter: int = 1


@dataclass(frozen=True, slots=True)
class CallerClaims:
    """Who the caller is said to be. ``trusted``: the trunk's settings let its identity headers count."""

    trusted: bool = False
    asserted: tuple[Person, ...] = ()
    """P-Asserted-Identity (RFC 3325)."""
    remote_party: Person | None = None
    """Remote-Party-ID, its older form."""
    privacy: tuple[str, ...] = ()
    """Privacy (RFC 3323): ``id``, ``user``, ``header`` … Anything here: do not tell others who calls."""
    diversions: tuple[Diverted, ...] = ()
    """Diversion (RFC 5806), else the retargeted entries of History-Info (RFC 7044); the newest first."""
    attestation: Attestation = "none"
    """The weakest of the Identity headers (RFC 8224)."""
    user_to_user: str = ""
    """User-to-User (RFC 7433), as sent."""


class FirstValues(Mapping[str, str]):
    """Headers as a mapping: names compare without case, the first line of a name counts."""

    __slots__ = ("_found",)

    def __init__(self, lines: Iterable[tuple[str, str]]) -> None:
        self._found: dict[str, tuple[str, str]] = {}
        for name, value in lines:
            self._found.setdefault(name.lower(), (name, value))

    def __getitem__(self, name: str) -> str:
        return self._found[name.lower()][1]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._found

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self._found.values())

    def __len__(self) -> int:
        return len(self._found)
