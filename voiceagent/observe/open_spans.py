"""PURE. Spans under way, and how they become finished ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from voiceagent.observe.redact import hide_secret_values
from voiceagent.observe.trace_spans import Kind, Span, SpanEvent, Value, span_id_of

MOST_EVENTS = 128
"""Events of one span; the later ones are left out."""
TEXT_CHARS = 4096


@dataclass(slots=True)
class OpenSpan:
    """A span under way."""

    span_id: str
    parent_id: str
    name: str
    since: float
    kind: Kind = "internal"
    until: float = 0.0
    attributes: dict[str, Value] = field(default_factory=dict[str, Value])
    events: list[SpanEvent] = field(default_factory=list[SpanEvent])
    error: str = ""

    def put(self, name: str, value: object) -> None:
        """Set an attribute, unless there is no value."""
        if isinstance(value, str | int | float) and value != "":
            self.attributes[name] = value


@dataclass(slots=True)
class TurnSpan(OpenSpan):
    number: int = 0
    busy: int = 0
    """Responses and tools of it under way."""
    answered: bool = False


@dataclass(slots=True)
class ResponseSpan(OpenSpan):
    turn: TurnSpan | None = None
    attempts: int = 0
    created: float | None = None
    audible: bool = False
    settled: bool = False


@dataclass(slots=True)
class ToolSpan(OpenSpan):
    tool: str = ""
    turn: TurnSpan | None = None


class SpanBook:
    """Begins and ends the spans of one trace. ``t`` is in seconds since the call began."""

    def __init__(self, trace_id: str, out: Callable[[Span], None], *, text: bool) -> None:
        """``text``: what is said goes in, too."""
        self.trace_id = trace_id
        self._out = out
        self._text = text
        self.base = 0.0
        """Unix time of the call's begin: all else is counted from it by the clock that does not jump."""
        self._count = 0

    def at(self, t: float) -> float:
        """Return the Unix time of a moment of the call."""
        return self.base + t

    def new_id(self) -> str:
        """Return the id of one more span."""
        self._count += 1
        return span_id_of(self.trace_id, self._count)

    def opened(self, name: str, parent: str, t: float, kind: Kind) -> OpenSpan:
        """Begin a span."""
        return OpenSpan(self.new_id(), parent, name, self.at(t), kind)

    def event(self, span: OpenSpan, name: str, t: float, told: Mapping[str, Value] | None = None) -> None:
        """Note a moment."""
        if len(span.events) < MOST_EVENTS:
            span.events.append(SpanEvent(name, self.at(t), dict(told or {})))

    def put_text(self, span: OpenSpan, name: str, value: object) -> None:
        """Set what somebody said, or who somebody is, where that is wanted."""
        if self._text and isinstance(value, str) and value:
            span.put(name, hide_secret_values(value[:TEXT_CHARS]))

    def close(self, span: OpenSpan, t: float | None = None) -> None:
        """Hand a span out; it ends at ``t``, or when it last had something to tell."""
        if t is not None:
            span.until = max(span.until, self.at(t))
        self._out(
            Span(
                span.name,
                self.trace_id,
                span.span_id,
                span.parent_id,
                span.since,
                max(span.since, span.until),
                span.kind,
                dict(span.attributes),
                tuple(span.events),
                span.error,
            )
        )
