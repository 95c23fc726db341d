"""PURE. Where a call is in its life."""

from __future__ import annotations

from enum import StrEnum


class CallState(StrEnum):
    """Where a call is in its life."""

    OFFERED = "offered"
    DIALLING = "dialling"
    RINGING = "ringing"
    TALKING = "talking"
    CLOSING = "closing"
    ENDED = "ended"


UNANSWERED = (CallState.OFFERED, CallState.DIALLING, CallState.RINGING)
"""Nobody talks with the caller yet."""
