"""PURE. Stretches of time in a list that cannot grow for ever: the oldest ones become coarser."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

MOST = 1000


@dataclass(slots=True)
class Span:
    """One stretch, in seconds since the call began. An open one goes on, at least to ``until``."""

    since: float
    until: float
    name: str = ""
    """Of the response, or empty where several were merged."""
    cut: bool = False
    open: bool = True

    def end(self, now: float) -> float:
        """Return its end as far as it is known at ``now``."""
        return max(self.until, now) if self.open else max(self.until, self.since)


class Spans:
    """Stretches in the order in which they began.

    Above ``most``, those of the older half that lie closest together are merged, so that what remains still
    shows where the long silences were. That happens once for many additions: each costs O(1) on average.
    """

    __slots__ = ("_all", "_most")

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._all: list[Span] = []

    def begin(self, t: float, name: str = "") -> Span:
        """Open a stretch."""
        span = Span(t, t, name)
        self._all.append(span)
        if len(self._all) > self._most:
            half = len(self._all) // 2
            self._all[:half] = _merged(self._all[:half])
        return span

    def __iter__(self) -> Iterator[Span]:
        return iter(self._all)


def _merged(spans: list[Span]) -> list[Span]:
    """Return about half as many: neighbours are joined where the gap between them is a small one."""
    gaps = [after.since - before.until for before, after in pairwise(spans)]
    small = median(gaps)
    kept = [spans[0]]
    for span, gap in zip(spans[1:], gaps, strict=True):
        last = kept[-1]
        if gap > small or last.open or span.open:
            kept.append(span)
        else:
            until, cut = max(last.until, span.until), last.cut or span.cut
            kept[-1] = Span(last.since, until, "", cut, open=False)
    return kept
