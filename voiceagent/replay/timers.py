"""PURE. When a timer of a replay is the same as a recorded one."""

from __future__ import annotations

TIMER_S = 0.002
"""By how much a timer's due time may differ from the recorded one's."""


def is_timer(due: float, then_due: float) -> bool:
    """Return whether a timer that is due now is the one that was due then (both loop's clock)."""
    return abs(due - then_due) <= TIMER_S
