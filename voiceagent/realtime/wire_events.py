"""PURE. Server events of the Realtime wire (generally available version) as small types.

Only the events that someone acts on have a type; every other one is an :class:`UnknownEvent`, which is
data and no error. ``raw`` is the decoded JSON object, for those who need more. Names are the wire's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from voiceagent.realtime.fact import fact
from voiceagent.realtime.model_events import (
    RealtimeModelAudioDoneEvent,
    RealtimeModelAudioEvent,
    RealtimeModelDtmfEvent,
    RealtimeModelInputAudioTranscriptionCompletedEvent,
    RealtimeModelInputTimeoutEvent,
    RealtimeModelItemEvent,
    RealtimeModelItemTruncatedEvent,
    RealtimeModelRawServerEvent,
    RealtimeModelTranscriptDeltaEvent,
)

Raw = Mapping[str, Any]

# What has nothing to add to an event of the model is that event: it goes to the listeners as it is.
AudioDelta = RealtimeModelAudioEvent
"""``response.output_audio.delta``, decoded."""
AudioDone = RealtimeModelAudioDoneEvent
"""``response.output_audio.done``."""
TextDelta = RealtimeModelTranscriptDeltaEvent
"""``response.output_audio_transcript.delta`` (``spoken``) and ``response.output_text.delta``."""
ItemEvent = RealtimeModelItemEvent
"""``conversation.item.added``, ``.created`` (older servers) and ``.done`` (``done`` is True)."""
ItemTruncated = RealtimeModelItemTruncatedEvent
"""``conversation.item.truncated``."""
TranscriptionCompleted = RealtimeModelInputAudioTranscriptionCompletedEvent
"""``conversation.item.input_audio_transcription.completed``, or ``.failed`` (``failed`` is True)."""
InputTimeout = RealtimeModelInputTimeoutEvent
"""``input_audio_buffer.timeout_triggered``."""
DtmfReceived = RealtimeModelDtmfEvent
"""``input_audio_buffer.dtmf_event_received`` (hosted calls): one digit."""
UnknownEvent = RealtimeModelRawServerEvent
"""An event without a type of its own here."""


@fact
class BadFrame:
    """A frame that is no event: no JSON, no object, no type, bad audio, or too large."""

    code: str
    """``not_json``, ``not_object``, ``no_type``, ``malformed``, ``bad_audio`` or ``too_large``."""
    message: str
    type: str | None = None
    size: int = 0


@fact
class ErrorEvent:
    """``error``. ``event_id`` names the frame of ours that is at fault, where the server knows it."""

    code: str | None
    message: str
    kind: str | None = None
    event_id: str | None = None
    param: str | None = None
    raw: Raw = field(default_factory=dict[str, Any], repr=False)


@fact
class SessionEvent:
    """``session.created`` and ``session.updated`` (``updated`` is True)."""

    session: Raw
    updated: bool
    raw: Raw = field(default_factory=dict[str, Any], repr=False)


@fact
class ItemDeleted:
    """``conversation.item.deleted``."""

    item_id: str
    raw: Raw = field(default_factory=dict[str, Any], repr=False)


@fact
class InputSpeech:
    """``input_audio_buffer.speech_started`` and ``.speech_stopped``; ``audio_ms`` into the audio sent."""

    item_id: str | None
    audio_ms: int
    started: bool
    raw: Raw = field(default_factory=dict[str, Any], repr=False)


@fact
class InputCommittedEvent:
    """``input_audio_buffer.committed``."""

    item_id: str | None
    previous_item_id: str | None
    raw: Raw = field(default_factory=dict[str, Any], repr=False)


@fact
class OutputBuffer:
    """``output_audio_buffer.started``, ``.stopped``, ``.cleared``: what the provider's playout does."""

    state: str
    """``started``, ``stopped`` or ``cleared``."""
    response_id: str
    raw: Raw = field(default_factory=dict[str, Any], repr=False)


@fact
class ResponseCreatedEvent:
    """``response.created``."""

    response_id: str
    metadata: Mapping[str, str] | None
    out_of_band: bool
    raw: Raw = field(default_factory=dict[str, Any], repr=False)


@fact
class ResponseDoneEvent:
    """``response.done``: generation has ended, whatever the ``status``."""

    response_id: str | None
    status: str
    reason: str | None
    error_code: str | None
    error_message: str
    retry_after_s: float | None
    metadata: Mapping[str, str] | None
    out_of_band: bool
    output: tuple[Raw, ...]
    usage: Raw | None
    raw: Raw = field(default_factory=dict[str, Any], repr=False)


@fact
class OutputItem:
    """``response.output_item.added`` and ``.done`` (``done`` is True)."""

    response_id: str
    item_id: str
    item: Raw
    done: bool
    raw: Raw = field(default_factory=dict[str, Any], repr=False)


@fact
class TextDone:
    """``response.output_audio_transcript.done`` (``spoken``) and ``response.output_text.done``."""

    response_id: str
    item_id: str
    content_index: int
    text: str
    spoken: bool
    raw: Raw = field(default_factory=dict[str, Any], repr=False)


ServerEvent = (
    BadFrame
    | UnknownEvent
    | ErrorEvent
    | SessionEvent
    | ItemEvent
    | ItemTruncated
    | ItemDeleted
    | TranscriptionCompleted
    | InputSpeech
    | InputCommittedEvent
    | InputTimeout
    | DtmfReceived
    | OutputBuffer
    | ResponseCreatedEvent
    | ResponseDoneEvent
    | OutputItem
    | AudioDelta
    | AudioDone
    | TextDelta
    | TextDone
)
