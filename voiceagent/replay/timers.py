"""PURE. When a timer of a replay is the same as a recorded one."""

from __future__ import annotations

TIMER_S = 0.06
"""By how much a timer's due time may differ from the recorded one's: its clock was a slower one …"""
TIMER_EARLY_S = 0.005
"""… and so much later than it fired then it may be due."""


def is_timer(due: float, then_due: float, then_fired: float) -> bool:
    """Return whether a timer that is due now is the one that was due, and fired, then (all loop's clock)."""
    return abs(due - then_due) <= TIMER_S and due <= then_fired + TIMER_EARLY_S
