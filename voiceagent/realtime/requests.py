"""PURE. The wish for speech, how it fares, and how it ends: the contract of every speaking verb.

A :class:`ResponseRequest` is accepted once and ends in exactly one :class:`Outcome`.
Limits of ``metadata`` are the Realtime API's: at most 16 string pairs, keys up to 64 and values up to
512 characters. Up to :data:`RESERVED_KEYS` pairs belong to the correlation keys we add ourselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from voiceagent.errors import RequestRefused

METADATA_PAIRS = 16
RESERVED_KEYS = 3
METADATA_KEY_CHARS = 64
METADATA_VALUE_CHARS = 512
REQUEST_KEY = "va.req"
"""Reserved metadata key: our request id, for correlation where the provider echoes metadata."""
TRY_KEY = "va.try"
"""Reserved metadata key: which attempt this create is, counted from 1."""


class Origin(StrEnum):
    """Who wants the speech. The order of definition is the order of priority, most urgent first."""

    SAFETY = "safety"
    OPERATOR = "operator"
    TURN = "turn"
    TOOL = "tool"
    IVR = "ivr"
    IDLE = "idle"


class When(StrEnum):
    """When a request may start: slot free; slot free and nothing audible; or at once (interrupts)."""

    IDLE = "idle"
    AFTER_PLAYBACK = "after_playback"
    NOW = "now"


class BargePolicy(StrEnum):
    """What becomes of a request when the caller speaks before it was heard to its end."""

    DROP = "drop"
    REQUEUE = "requeue"
    KEEP = "keep"


class OutcomeKind(StrEnum):
    """The nine ways a request can end."""

    COMPLETED = "completed"
    INTERRUPTED = "interrupted"
    SATISFIED = "satisfied"
    SUPERSEDED = "superseded"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    REJECTED = "rejected"
    FAILED = "failed"
    LOST = "lost"


class Progress(StrEnum):
    """How far a request has come; reported in this order, each at most once per attempt."""

    QUEUED = "queued"
    SENT = "sent"
    STARTED = "started"
    AUDIBLE = "audible"
    GENERATED = "generated"
    PLAYED = "played"


class InterruptedBy(StrEnum):
    """Who cut a response short."""

    CALLER = "caller"
    OPERATOR = "operator"
    NEWER = "newer"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The one end of a request.

    ``heard_ms`` counts what was really played to the caller; ``heard_text`` is the matching part of the
    transcript. ``code`` is the provider's or our own stable error code, ``reason`` a line for people.
    """

    kind: OutcomeKind
    response_id: str | None = None
    heard_ms: int = 0
    heard_text: str = ""
    text: str = ""
    by: InterruptedBy | None = None
    code: str | None = None
    reason: str = ""
    incomplete: bool = False
    generated: bool = False
    """The model had come to its end: ``text`` is all that it had to say, heard or not."""
    other: str | None = None
    """The request or response that satisfied or superseded this one."""

    @property
    def completed(self) -> bool:
        """True when the response was heard to its end."""
        return self.kind is OutcomeKind.COMPLETED

    @property
    def interrupted(self) -> bool:
        """True when the response was cut short."""
        return self.kind is OutcomeKind.INTERRUPTED


@dataclass(frozen=True, slots=True)
class ResponseRequest:
    """One wish for speech, as it enters the sequencer.

    ``instructions`` and ``metadata`` go out exactly as given here; ``None`` leaves the key out of the
    frame. ``extra`` holds further fields of the ``response`` object (``tools``, ``tool_choice``,
    ``input``, ``output_modalities``, ``max_output_tokens``). ``deadline_s`` is how long the request may wait
    to be *started*, counted from submission; None means for ever. ``correlate`` adds the reserved keys
    to metadata; a bare request of the seed contract must not carry them.
    """

    id: str
    origin: Origin = Origin.OPERATOR
    instructions: str | None = None
    metadata: Mapping[str, str] | None = None
    out_of_band: bool = False
    when: When = When.IDLE
    over_speech: bool = False
    interruptible: bool = True
    deadline_s: float | None = None
    coalesce: str | None = None
    needs: frozenset[str] = frozenset()
    """Item ids (or event ids of session updates) that the provider must acknowledge first."""
    barge_policy: BargePolicy = BargePolicy.KEEP
    max_attempts: int = 4
    retry_on_lost: bool = False
    follow_up_of: str | None = None
    """The response whose tool outputs this request answers; enables *satisfied* (rule 8)."""
    correlate: bool = True
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def __post_init__(self) -> None:
        check_metadata(self.metadata, reserve=RESERVED_KEYS if self.correlate else 0)
        _check_instructions(self.instructions)

    @property
    def bare(self) -> bool:
        """True when the frame must carry no ``response`` object at all."""
        return (
            self.instructions is None
            and self.metadata is None
            and not self.extra
            and not self.out_of_band
            and not self.correlate
        )


def _check_instructions(instructions: object) -> None:
    if instructions is not None and not isinstance(instructions, str):
        raise RequestRefused("instructions", f"must be a string, not {type(instructions).__name__}")


def check_metadata(metadata: object, *, reserve: int = 0) -> None:
    """Raise :class:`RequestRefused` naming the key unless ``metadata`` keeps the API's limits."""
    if metadata is None:
        return
    if not isinstance(metadata, Mapping):
        raise RequestRefused("metadata", f"must be a mapping of strings, not {type(metadata).__name__}")
    pairs: Mapping[Any, Any] = metadata  # pyright: ignore[reportUnknownVariableType]
    allowed = METADATA_PAIRS - reserve
    if len(pairs) > allowed:
        raise RequestRefused("metadata", f"has {len(pairs)} pairs, at most {allowed} are allowed")
    for key, value in pairs.items():
        if not isinstance(key, str):
            raise RequestRefused("metadata", f"key {key!r} is not a string")
        if not 1 <= len(key) <= METADATA_KEY_CHARS:
            raise RequestRefused(
                f"metadata.{key[:80]}", f"key must have 1 to {METADATA_KEY_CHARS} characters"
            )
        if not isinstance(value, str):
            raise RequestRefused(f"metadata.{key}", f"value must be a string, not {type(value).__name__}")
        if len(value) > METADATA_VALUE_CHARS:
            raise RequestRefused(
                f"metadata.{key}", f"value has {len(value)} characters, at most {METADATA_VALUE_CHARS}"
            )
