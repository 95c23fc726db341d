"""What the provider answers to a verb for a call that it terminates."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CallReply:
    """What became of one verb. ``settled``: nothing was done, for the call is settled already."""

    status: int
    settled: bool = False
    attempts: int = 1
