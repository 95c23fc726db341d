"""PURE. A finished span, and ids that follow from the call's: of one journal, they are always the same."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Value = str | int | float | bool
Kind = Literal["internal", "server", "client"]


@dataclass(frozen=True, slots=True)
class SpanEvent:
    """A moment within a span. ``at`` is Unix time in seconds, as all times here."""

    name: str
    at: float
    attributes: Mapping[str, Value] = field(default_factory=dict[str, Value])


@dataclass(frozen=True, slots=True)
class Span:
    """One finished span."""

    name: str
    trace_id: str
    """32 hexadecimal digits."""
    span_id: str
    """16 hexadecimal digits."""
    parent_id: str
    """Empty for the call's own span."""
    since: float
    until: float
    kind: Kind = "internal"
    attributes: Mapping[str, Value] = field(default_factory=dict[str, Value])
    events: Sequence[SpanEvent] = ()
    error: str = ""
    """Why it is to be shown as failed; empty where it is not."""


def trace_id_of(call_id: str) -> str:
    """Return the id of a call's trace. It follows from the call's id, which is random."""
    return hashlib.sha256(f"voiceagent call {call_id}".encode()).hexdigest()[:32]


def span_id_of(trace_id: str, number: int) -> str:
    """Return the id of the span that was begun as the call's ``number``-th."""
    return hashlib.sha256(f"{trace_id} {number}".encode()).hexdigest()[:16]


def sampled(trace_id: str, ratio: float) -> bool:
    """Return whether a trace is among the share ``ratio`` (0 to 1); as TraceIdRatioBased decides it."""
    return int(trace_id[16:], 16) < round(ratio * 2**64)
