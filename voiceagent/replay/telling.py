"""PURE. What an account of a call is made of: lines with their time, and how times and texts are written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from voiceagent.ivr.verbs.wording import verbatim

Kind = Literal[
    "call", "step", "agent", "caller", "wait", "cut", "slow", "gap",
    "tool", "operator", "hold", "transfer", "trouble", "note", "end",
]  # fmt: skip
TEXT_CHARS = 72
_VERBATIM = verbatim("").partition('"')[0]
"""What stands before a text that is to be said as it is."""


@dataclass(frozen=True, slots=True)
class Told:
    """One line of the account: seconds since the call began, and what happened."""

    t: float
    text: str
    kind: Kind = "note"
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """The same as data, where it is more than words."""
    more: tuple[str, ...] = ()
    """Further lines, such as the frames of a traceback."""

    def plain(self) -> dict[str, Any]:
        """Return the line as JSON values."""
        told: dict[str, Any] = {"t": self.t, "time": clock(self.t), "kind": self.kind, "text": self.text}
        if self.facts:
            told["facts"] = dict(self.facts)
        if self.more:
            told["more"] = list(self.more)
        return told


def clock(t: float) -> str:
    """Return seconds as ``m:ss.mmm``."""
    minutes, rest = divmod(round(max(t, 0.0) * 1000), 60_000)
    return f"{minutes}:{rest // 1000:02d}.{rest % 1000:03d}"


def seconds(value: float) -> str:
    """Return a duration in words: ``40 ms``, ``1.25 s``."""
    return f"{round(value * 1000)} ms" if value < 0.1 else f"{value:.2f} s"


def quote(text: str) -> str:
    """Return the last paragraph of a text, shortened: the standing prompt comes before it."""
    last = " ".join(text.strip().rpartition("\n\n")[2].split())
    if last.startswith(_VERBATIM):
        return f"word for word {quote(last.removeprefix(_VERBATIM).strip(chr(34)))}"
    if len(last) > TEXT_CHARS:
        last = last[: TEXT_CHARS - 1].rstrip() + "…"
    return f"“{last}”" if last else "nothing"


def count(number: int, what: str, many: str = "") -> str:
    """Return ``1 turn`` or ``3 turns``."""
    return f"{number} {what if number == 1 else many or f'{what}s'}"
