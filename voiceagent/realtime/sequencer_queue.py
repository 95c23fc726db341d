"""PURE. The order in which waiting requests go: class, then ``now`` first, then age of the request.

Classes are safety, operator, turn, tool, ivr, idle. A request rises by one class per ``ageing_s`` of
waiting, but never above operator, so nothing starves and nothing overtakes a safety line.
A request that comes back (refused, cut unheard) keeps its number and is therefore first of its class.
"""

from __future__ import annotations

from voiceagent.realtime.sequencer_state import OPERATOR, Entry

OrderKey = tuple[int, bool, int]
_LEARNT_FROM = 100
_ENOUGH = 8
"""Measured gaps from which an estimate is worth more than the ceiling."""


def effective_rank(rank: int, waited_s: float, ageing_s: float) -> int:
    """Return the class after ``waited_s`` seconds of waiting."""
    if rank <= OPERATOR or waited_s < ageing_s:
        return rank
    return max(OPERATOR, rank - int(waited_s / ageing_s))


def order_key(entry: Entry, now: float, ageing_s: float) -> OrderKey:
    """Return the sort key of a waiting request: the smallest goes first."""
    return (effective_rank(entry.rank, now - entry.submitted_at, ageing_s), not entry.now, entry.seq)


def overload_victim(queue: list[Entry], newcomer: Entry) -> Entry:
    """Return who must go when the queue is full: the least urgent class, its newest member."""
    victim = newcomer
    for entry in queue:
        if (entry.rank, entry.seq) > (victim.rank, victim.seq):
            victim = entry
    return victim


class GapEstimator:
    """How long the provider takes from a committed turn to its automatic reply."""

    __slots__ = ("_factor", "_gaps", "_max", "_min", "hold_s")

    def __init__(self, factor: float, low: float, high: float) -> None:
        self._gaps: list[float] = []
        self._factor = factor
        self._min = low
        self._max = high
        self.hold_s = high
        """How long to wait for the reply, in seconds; the ceiling until enough gaps were measured.

        Waiting too long costs only where no reply comes at all; waiting too short costs a refused create.
        """

    def add(self, gap_s: float) -> None:
        """Learn one measured gap; the hold is the 99th percentile of the last hundred times the factor."""
        self._gaps.append(gap_s)
        del self._gaps[:-_LEARNT_FROM]
        if len(self._gaps) < _ENOUGH:
            return
        ordered = sorted(self._gaps)
        p99 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
        self.hold_s = min(self._max, max(self._min, p99 * self._factor))
