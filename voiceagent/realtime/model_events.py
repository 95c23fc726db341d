"""PURE. What a realtime model tells its listeners: facts about the conversation, in order.

Listeners are plain functions, called synchronously on the event loop's thread.
Times are milliseconds of audio.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any, Literal

from voiceagent.realtime.fact import fact
from voiceagent.realtime.requests import Outcome, Progress


@fact
class RealtimeModelConnectionStatusEvent:
    """The link to the provider came up or went away; ``disconnected`` is final."""

    status: Literal["connecting", "connected", "disconnected"]
    reason: str = ""


@fact
class RealtimeModelAudioEvent:
    """Agent audio to play, in the session's output format."""

    response_id: str
    item_id: str
    content_index: int
    data: bytes


@fact
class RealtimeModelAudioDoneEvent:
    """No more audio of this item will come."""

    response_id: str
    item_id: str


@fact
class RealtimeModelAudioInterruptedEvent:
    """Order: stop playing this response now.

    The playout answers with ``playback_ended(…, cut=True)`` before its listener returns; if nobody
    answers, what was heard so far is taken from earlier reports.
    ``item_id`` is the item that was last known to be playing, or the response's first audio item.
    """

    response_id: str
    item_id: str


@fact
class RealtimeModelTranscriptDeltaEvent:
    """A piece of what the agent says (or writes, when ``spoken`` is False)."""

    response_id: str
    item_id: str
    content_index: int
    delta: str
    spoken: bool = True


@fact
class RealtimeModelInputAudioTranscriptionCompletedEvent:
    """What the caller said in one turn, or ``failed`` with an empty transcript."""

    item_id: str
    transcript: str
    failed: bool = False
    code: str | None = None


@fact
class RealtimeModelInputSpeechStartedEvent:
    """The caller has begun to speak, ``audio_ms`` into the audio sent so far."""

    item_id: str | None
    audio_ms: int


@fact
class RealtimeModelInputSpeechStoppedEvent:
    """The caller has stopped speaking."""

    item_id: str | None
    audio_ms: int


@fact
class RealtimeModelInputCommittedEvent:
    """The caller's turn is an item of the conversation now."""

    item_id: str | None


@fact
class RealtimeModelInputTimeoutEvent:
    """The server's idle timeout fired: the caller has said nothing for a while."""

    item_id: str | None


@fact
class RealtimeModelToolCallEvent:
    """The model wants a tool; answer once with ``send_tool_output``. ``arguments`` is JSON text."""

    call_id: str
    name: str
    arguments: str
    response_id: str
    item_id: str
    taken_back: bool = False
    """Its response was cancelled, has failed, or was over already: nobody wants the tool any more."""


@fact
class RealtimeModelItemEvent:
    """An item entered the conversation, or was completed (``done``)."""

    item_id: str
    item: Mapping[str, Any]
    previous_item_id: str | None = None
    done: bool = False


@fact
class RealtimeModelItemTruncatedEvent:
    """The provider has forgotten what was not heard of this item."""

    item_id: str
    audio_end_ms: int


@fact
class RealtimeModelTurnStartedEvent:
    """A response has begun. ``request_id`` is ours when we asked for it."""

    response_id: str
    request_id: str | None = None
    metadata: Mapping[str, str] | None = None
    out_of_band: bool = False


@fact
class RealtimeModelTurnEndedEvent:
    """Generation of a response has ended; playing may go on.

    ``status``: completed, cancelled, failed or incomplete.
    """

    response_id: str
    status: str
    reason: str | None = None
    error_code: str | None = None
    text: str = ""
    audio_ms: int = 0
    request_id: str | None = None
    out_of_band: bool = False


@fact
class RealtimeModelResponseProgressEvent:
    """One of our requests has come further."""

    request_id: str
    progress: Progress
    response_id: str | None = None
    attempt: int = 1


@fact
class RealtimeModelResponseOutcomeEvent:
    """One of our requests has ended; told exactly once per request."""

    request_id: str
    outcome: Outcome


@fact
class RealtimeModelInterruptDoneEvent:
    """The voice has stopped after the interrupt ``token``; ``stopped`` names the response that was cut."""

    token: str
    stopped: str | None = None


@fact
class RealtimeModelSessionUpdatedEvent:
    """The provider's session as it stands now; ``event_id`` is our update that this answers, if any."""

    session: Mapping[str, Any]
    event_id: str | None = None


@fact
class RealtimeModelSessionUpdateRefusedEvent:
    """Our session update ``event_id`` was refused; nothing changed."""

    event_id: str
    code: str | None
    message: str


@fact
class RealtimeModelNoticeEvent:
    """Why something is as it is: a decision of the sequencer or the link, with its reason code."""

    code: str
    request_id: str | None = None
    response_id: str | None = None
    details: Mapping[str, str | int | float] = field(default_factory=dict[str, "str | int | float"])


@fact
class RealtimeModelErrorEvent:
    """The provider reported an error. Most are recoverable; a lost link is a connection status instead."""

    code: str | None
    message: str
    event_id: str | None = None
    param: str | None = None


@fact
class RealtimeModelDtmfEvent:
    """The provider heard a digit (hosted calls only): 0-9, ``*``, ``#``, A-D."""

    digit: str


@fact
class RealtimeModelPlaybackEvent:
    """The provider plays a response to the caller, or has stopped (hosted calls only, where it plays).

    ``heard_ms`` and ``cut`` are of the end: how much was played, and whether that was all.
    """

    response_id: str
    item_id: str
    playing: bool
    heard_ms: int = 0
    cut: bool = False


@fact
class RealtimeModelUsageEvent:
    """Tokens of one response, as ``response.done`` tells them."""

    response_id: str
    usage: Mapping[str, Any]


@fact
class RealtimeModelRawServerEvent:
    """A server event that nothing else here stands for. ``type`` is its wire name; unknown ones are data."""

    type: str
    data: Mapping[str, Any]


RealtimeModelEvent = (
    RealtimeModelConnectionStatusEvent
    | RealtimeModelAudioEvent
    | RealtimeModelAudioDoneEvent
    | RealtimeModelAudioInterruptedEvent
    | RealtimeModelTranscriptDeltaEvent
    | RealtimeModelInputAudioTranscriptionCompletedEvent
    | RealtimeModelInputSpeechStartedEvent
    | RealtimeModelInputSpeechStoppedEvent
    | RealtimeModelInputCommittedEvent
    | RealtimeModelInputTimeoutEvent
    | RealtimeModelToolCallEvent
    | RealtimeModelItemEvent
    | RealtimeModelItemTruncatedEvent
    | RealtimeModelTurnStartedEvent
    | RealtimeModelTurnEndedEvent
    | RealtimeModelResponseProgressEvent
    | RealtimeModelResponseOutcomeEvent
    | RealtimeModelInterruptDoneEvent
    | RealtimeModelSessionUpdatedEvent
    | RealtimeModelSessionUpdateRefusedEvent
    | RealtimeModelNoticeEvent
    | RealtimeModelErrorEvent
    | RealtimeModelDtmfEvent
    | RealtimeModelPlaybackEvent
    | RealtimeModelUsageEvent
    | RealtimeModelRawServerEvent
)

RealtimeModelListener = Callable[[RealtimeModelEvent], None]
