"""What is kept of a call that has ended: the shape that its journal is read into, and that history keeps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

RESPONSES_KEPT = 200
"""Requests kept of one call: when there are more, the oldest that have ended live on in its journal only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRecord:
    """A call that has ended, as it is kept. Times are Unix seconds."""

    id: str
    node: str
    direction: str
    kind: str
    caller: str
    called: str
    flow: str
    trunk: str
    provider: str
    started_at: float
    answered_at: float | None
    ended_at: float | None
    duration_s: float
    outcome: str
    """Kind of its ending."""
    reason: str
    fault: str
    barge_ins: int = 0
    first_words_ms: float | None = None
    journal: str = ""
    """Path of its journal, below the journals' folder."""
    recording: str = ""
    """Path of its recording, below the recordings' folder; empty without one."""
    figures: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class LineRecord:
    """One line of the transcript."""

    at: float
    speaker: str
    text: str
    full_text: str
    cut: bool


@dataclass(frozen=True, slots=True)
class ResponseRecord:
    """One request for a response."""

    id: str
    origin: str
    instructions: str | None
    metadata: Mapping[str, str]
    submitted_at: float
    state: str
    reason: str
    outcome: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class TagRecord:
    """A word that somebody put on a call."""

    tag: str
    at: float
    by: str
