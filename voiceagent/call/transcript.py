"""Who said what, and for the agent: what of it was heard."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(slots=True)
class Utterance:
    """One line of a transcript. ``at`` is seconds since the call began."""

    key: str
    at: float
    speaker: str
    """caller, agent, operator, system; note: what the agent was told and nobody heard."""
    text: str
    full_text: str = ""
    cut: bool = False
    growing: bool = False
    """It is still being spoken."""
    changed_at: float = 0.0
    """When it was last changed, in seconds since the call began."""


class Transcript:
    """The lines of a call in order; an agent's line grows while spoken and is cut where hearing stopped."""

    __slots__ = ("_by_key", "_changed", "lines")

    def __init__(self, changed: Callable[[Utterance], None]) -> None:
        self.lines: list[Utterance] = []
        self._by_key: dict[str, Utterance] = {}
        self._changed = changed

    def said(self, key: str, at: float, speaker: str, text: str) -> None:
        """Add one whole utterance."""
        self._put(key, at, speaker, text)

    def grows(self, key: str, at: float, delta: str) -> None:
        """Add ``delta`` to the agent's utterance ``key``."""
        line = self._by_key.get(key)
        if line is None or not line.growing:
            text = delta if line is None else line.full_text + delta
            self._put(key, at, "agent", text, growing=True)
            return
        line.text = line.full_text = line.full_text + delta
        line.changed_at = at
        self._changed(line)

    def heard(self, key: str, at: float, heard_text: str, full_text: str, *, cut: bool) -> None:
        """Fix the agent's utterance ``key`` to what was heard of it."""
        if not full_text and not heard_text and key not in self._by_key:
            return
        self._put(
            key, at, "agent", heard_text if cut else full_text or heard_text, full_text=full_text, cut=cut
        )

    @property
    def last_words(self) -> str:
        """The newest line that was spoken, as "speaker: text"."""
        spoken = next((line for line in reversed(self.lines) if line.speaker != "note"), None)
        return "" if spoken is None else f"{spoken.speaker}: {spoken.text}"

    def _put(
        self,
        key: str,
        at: float,
        speaker: str,
        text: str,
        *,
        full_text: str = "",
        cut: bool = False,
        growing: bool = False,
    ) -> None:
        line = self._by_key.get(key)
        if line is None:
            line = Utterance(key, round(at, 3), speaker, text)
            self._by_key[key] = line
            self.lines.append(line)
        line.text = text
        line.full_text = full_text or text
        line.cut = cut
        line.growing = growing
        line.changed_at = at
        self._changed(line)
