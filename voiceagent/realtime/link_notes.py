"""PURE. What a model that outlives its link notes of what the link says, by the ids that the asker knows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, ClassVar, TypeVar

from voiceagent.realtime.caller_audio import CallerAudio
from voiceagent.realtime.history import History
from voiceagent.realtime.model_events import (
    RealtimeModelEvent,
    RealtimeModelInputAudioTranscriptionCompletedEvent,
    RealtimeModelInputCommittedEvent,
    RealtimeModelNoticeEvent,
    RealtimeModelResponseProgressEvent,
    RealtimeModelSessionUpdatedEvent,
    RealtimeModelSessionUpdateRefusedEvent,
    RealtimeModelToolCallEvent,
    RealtimeModelTurnEndedEvent,
    RealtimeModelTurnStartedEvent,
)
from voiceagent.realtime.requests import Progress
from voiceagent.realtime.wishes import Wishes

OfRequest = TypeVar(
    "OfRequest",
    RealtimeModelNoticeEvent,
    RealtimeModelResponseProgressEvent,
    RealtimeModelTurnEndedEvent,
    RealtimeModelTurnStartedEvent,
)


class LinkNotes:
    """Notes it where a new link will be told from: open requests, history, the caller's audio.

    ``transcribed``: the caller's turns become text; where they do not, an answer shows they were understood.
    """

    def __init__(
        self, wishes: Wishes, history: History, caller_audio: CallerAudio, *, transcribed: bool
    ) -> None:
        self._wishes = wishes
        self._history = history
        self._caller_audio = caller_audio
        self._transcribed = transcribed
        self.unanswered: dict[str, Mapping[str, Any]] = {}
        """Changes of the session that the provider has not answered, by event id, in the order of sending."""

    def take(self, event: RealtimeModelEvent) -> RealtimeModelEvent:
        """Note one event and return it as the asker is told it: mostly as it is."""
        note = self._NOTED.get(type(event))
        return event if note is None else note(self, event)

    def _of_request(self, event: OfRequest) -> OfRequest:
        request_id = event.request_id and self._wishes.id_of(event.request_id)
        return event if request_id == event.request_id else replace(event, request_id=request_id)

    def _progress(self, event: RealtimeModelResponseProgressEvent) -> RealtimeModelResponseProgressEvent:
        event = self._of_request(event)
        if event.progress is Progress.SENT and event.attempt == 1:
            wish = self._wishes.get(event.request_id)
            if wish is not None:
                wish.links += 1
        return event

    def _started(self, event: RealtimeModelTurnStartedEvent) -> RealtimeModelTurnStartedEvent:
        if not self._transcribed:
            self._caller_audio.answered()
        return self._of_request(event)

    def _tool_call(self, event: RealtimeModelToolCallEvent) -> RealtimeModelToolCallEvent:
        self._history.called(event.item_id, event.call_id, event.name, event.arguments)
        return event

    def _committed(self, event: RealtimeModelInputCommittedEvent) -> RealtimeModelInputCommittedEvent:
        self._caller_audio.committed(event.item_id or "")
        return event

    def _understood(
        self, event: RealtimeModelInputAudioTranscriptionCompletedEvent
    ) -> RealtimeModelInputAudioTranscriptionCompletedEvent:
        self._caller_audio.understood(event.item_id)
        return event

    def _answered(
        self, event: RealtimeModelSessionUpdatedEvent | RealtimeModelSessionUpdateRefusedEvent
    ) -> RealtimeModelEvent:
        self.unanswered.pop(event.event_id or "", None)
        return event

    _NOTED: ClassVar[Mapping[type, Callable[[Any, Any], RealtimeModelEvent]]] = {
        RealtimeModelResponseProgressEvent: _progress,
        RealtimeModelTurnStartedEvent: _started,
        RealtimeModelTurnEndedEvent: _of_request,
        RealtimeModelNoticeEvent: _of_request,
        RealtimeModelToolCallEvent: _tool_call,
        RealtimeModelInputCommittedEvent: _committed,
        RealtimeModelInputAudioTranscriptionCompletedEvent: _understood,
        RealtimeModelSessionUpdatedEvent: _answered,
        RealtimeModelSessionUpdateRefusedEvent: _answered,
    }
