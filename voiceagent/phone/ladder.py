"""A call as a ladder: who told whom what, and when. Drawn line by line, readable in any terminal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

COLUMNS = ("phone", "voiceagent", "model")
WIDTH = 30


@dataclass(frozen=True, slots=True)
class Rung:
    """One line. ``source`` and ``target`` index :data:`COLUMNS`; equal ones make a note at that column."""

    at: float
    source: int
    target: int
    label: str


class Ladder:
    """Collects rungs and draws each as it comes."""

    def __init__(self, show: Callable[[str], None] | None = None, columns: Sequence[str] = COLUMNS) -> None:
        self.columns = columns
        self.lines: list[str] = []
        self._show = show
        self._start: float | None = None
        self._add(self._head())

    def begin(self, now: float) -> None:
        """Count times from ``now``."""
        self._start = now

    def tell(self, now: float, source: int, target: int, label: str) -> None:
        """Draw an arrow, or a note when both ends are one column."""
        if self._start is None:
            self._start = now
        self._add(self._draw(Rung(now - self._start, source, target, label)))

    def text(self) -> str:
        """Return the whole ladder."""
        return "\n".join(self.lines) + "\n"

    def _add(self, line: str) -> None:
        self.lines.append(line)
        if self._show is not None:
            self._show(line)

    def _head(self) -> str:
        line = [" "] * (10 + WIDTH * len(self.columns))
        for index, name in enumerate(self.columns):
            start = self._place(index) - len(name) // 2
            line[start : start + len(name)] = name
        return "".join(line).rstrip()

    @staticmethod
    def _place(column: int) -> int:
        return 13 + column * WIDTH

    def _draw(self, rung: Rung) -> str:
        line = list(f"{rung.at:8.3f}".ljust(14 + WIDTH * len(self.columns)))
        for index in range(len(self.columns)):
            line[self._place(index)] = "│"
        label = rung.label
        if rung.source == rung.target:
            start = self._place(rung.source) + 2
            text = label if rung.source == len(self.columns) - 1 else _fit(label, 2 * WIDTH - 4)
            line[start : start + len(text)] = text
            return "".join(line).rstrip()
        left, right = sorted((self._place(rung.source), self._place(rung.target)))
        room = right - left - 1
        text = _fit(label, room - 4)
        arrow = text.center(room - 2, "─")
        line[left + 1 : right] = f"─{arrow}▶" if rung.source < rung.target else f"◀{arrow}─"
        return "".join(line).rstrip()


def _fit(text: str, room: int) -> str:
    return text if len(text) <= room else text[: room - 1] + "…"
