"""What a call does about each event of its realtime session."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from voiceagent.call.bridge import AudioBridge
from voiceagent.call.flow_port import FlowPort
from voiceagent.call.inputs import clock_of
from voiceagent.call.observer import CallObserver
from voiceagent.call.outcome import CallOutcome, OutcomeClass
from voiceagent.call.speech import CallSpeech
from voiceagent.call.tool_runs import ID_CHARS, NAME_CHARS
from voiceagent.ivr.arguments import ARGUMENTS_BYTES
from voiceagent.ivr.ports import CallerSaid, CallerSpoke, CallerStopped
from voiceagent.realtime.fault_table import Remedy, remedy_of
from voiceagent.realtime.model_events import (
    RealtimeModelAudioDoneEvent,
    RealtimeModelAudioEvent,
    RealtimeModelAudioInterruptedEvent,
    RealtimeModelConnectionStatusEvent,
    RealtimeModelDtmfEvent,
    RealtimeModelErrorEvent,
    RealtimeModelEvent,
    RealtimeModelInputAudioTranscriptionCompletedEvent,
    RealtimeModelInputSpeechStartedEvent,
    RealtimeModelInputSpeechStoppedEvent,
    RealtimeModelNoticeEvent,
    RealtimeModelResponseOutcomeEvent,
    RealtimeModelResponseProgressEvent,
    RealtimeModelToolCallEvent,
    RealtimeModelTranscriptDeltaEvent,
    RealtimeModelTurnEndedEvent,
    RealtimeModelTurnStartedEvent,
    RealtimeModelUsageEvent,
)
from voiceagent.realtime.requests import InterruptedBy
from voiceagent.realtime.usage import tokens_of

if TYPE_CHECKING:
    from voiceagent.call.call import Call


DEAF_AFTER = 2
"""So many creates in a row whose cancel was not answered either: that provider hears nothing any more."""

_OF_OUR_OWN = frozenset(
    {
        RealtimeModelNoticeEvent,
        RealtimeModelResponseProgressEvent,
        RealtimeModelResponseOutcomeEvent,
    }
)
"""What the sequencer may say while the provider is silent: no sign of life."""


class ModelEar:
    """Listens to one session on behalf of one call; synchronous, in the order of the wire."""

    __slots__ = ("_bridge", "_call", "_observer", "_port", "_request_of", "_speech", "_time", "_unanswered")

    def __init__(
        self, call: Call, bridge: AudioBridge, speech: CallSpeech, port: FlowPort, observer: CallObserver
    ) -> None:
        self._call = call
        self._bridge = bridge
        self._speech = speech
        self._port = port
        self._observer = observer
        self._request_of: dict[str, str] = {}
        self._unanswered = 0
        self._time = clock_of(call.journal)

    def hear(self, event: RealtimeModelEvent) -> None:
        """Take one event."""
        kind = type(event)
        now = self._time()
        self._call.watch.hear(event, now)
        if self._unanswered and kind not in _OF_OUR_OWN:
            self._unanswered = 0
        act = self._ON.get(kind)
        if act is not None:
            act(self, event, now)

    # ── the agent's voice ───────────────────────────────────────────────────────────────────────
    def _audio(self, event: RealtimeModelAudioEvent, now: float) -> None:
        if self._call.recovery is not None:
            self._call.recovery.agent_speaks()
        self._bridge.agent_audio(event)

    def _words(self, event: RealtimeModelTranscriptDeltaEvent, now: float) -> None:
        call = self._call
        call.transcript.grows(event.response_id, now - call.began, event.delta)

    def _audio_over(
        self, event: RealtimeModelAudioDoneEvent | RealtimeModelTurnEndedEvent, now: float
    ) -> None:
        self._bridge.leg.play_end(response_id=event.response_id)

    def _cut(self, event: RealtimeModelAudioInterruptedEvent, now: float) -> None:
        self._bridge.silence(event.response_id, event.item_id)

    # ── the caller ──────────────────────────────────────────────────────────────────────────────
    def _caller_speaks(self, event: RealtimeModelInputSpeechStartedEvent, now: float) -> None:
        call = self._call
        if call.take_over.words.started(event.item_id, event.audio_ms):
            call.journal.write("operator.speech_started", audio_ms=event.audio_ms)
            return
        call.sounds.caller_acts()
        call.set_floor("caller")
        call.journal.write("caller.speech_started", audio_ms=event.audio_ms)
        self._port.caller_did(CallerSpoke())

    def _caller_stops(self, event: RealtimeModelInputSpeechStoppedEvent, now: float) -> None:
        call = self._call
        if call.take_over.words.stopped(event.item_id):
            call.journal.write("operator.speech_stopped", audio_ms=event.audio_ms)
            return
        call.caller_silent()
        call.journal.write("caller.speech_stopped", audio_ms=event.audio_ms)
        self._port.caller_did(CallerStopped())

    def _caller_said(self, event: RealtimeModelInputAudioTranscriptionCompletedEvent, now: float) -> None:
        call = self._call
        if call.take_over.words.said(event.item_id, event.transcript):
            return
        call.journal.write("caller.said", text=event.transcript, failed=event.failed)
        if event.transcript:
            call.transcript.said(event.item_id, call.seconds, "caller", event.transcript)
        self._port.caller_did(CallerSaid(event.transcript))

    def _digit(self, event: RealtimeModelDtmfEvent, now: float) -> None:
        self._call.ear.leg_digit(event.digit)

    # ── responses ───────────────────────────────────────────────────────────────────────────────
    def _turn_started(self, event: RealtimeModelTurnStartedEvent, now: float) -> None:
        if event.request_id is not None:
            self._request_of[event.response_id] = event.request_id

    def _tool_called(self, event: RealtimeModelToolCallEvent, now: float) -> None:
        called = {"tool": event.name[:NAME_CHARS], "arguments": event.arguments[:ARGUMENTS_BYTES]}
        about = {"response_id": event.response_id, "tool_call_id": event.call_id[:ID_CHARS]}
        self._call.journal.write("tool.called", **called, about=about)
        self._speech.tool_called(event, self._request_of.get(event.response_id))

    def _progressed(self, event: RealtimeModelResponseProgressEvent, now: float) -> None:
        self._call.ledger.progressed(event.request_id, event.progress, now)

    def _ended(self, event: RealtimeModelResponseOutcomeEvent, now: float) -> None:
        by_caller = event.outcome.interrupted and event.outcome.by is InterruptedBy.CALLER
        if by_caller and not self._call.leg_gone:
            self._call.barge_ins += 1

    def _used(self, event: RealtimeModelUsageEvent, now: float) -> None:
        tokens = tokens_of(event.usage)
        if tokens:
            self._call.journal.write("provider.usage", response_id=event.response_id, tokens=tokens)

    # ── troubles ────────────────────────────────────────────────────────────────────────────────
    def _noticed(self, event: RealtimeModelNoticeEvent, now: float) -> None:
        call = self._call
        if event.request_id is not None:
            why = event.details.get("reason") if event.code == "held" else None
            call.ledger.noticed(event.request_id, str(why or event.code))
        self._observer.noticed(call, event)
        if event.code == "link_lost":
            call.take_over.words.forget_places()
        if event.code == "probe_unanswered":
            self._probe_unanswered()

    def _probe_unanswered(self) -> None:
        # The socket of a frozen provider stays open for long; the caller must not wait for its timeout.
        self._unanswered += 1
        if self._unanswered == DEAF_AFTER:
            self._call.ending.recover("the provider answers nothing any more")

    def _failed(self, event: RealtimeModelErrorEvent, now: float) -> None:
        call = self._call
        call.journal.write("provider.error", code=event.code, message=event.message)
        remedy = remedy_of(event.code)
        if event.code is not None and remedy is Remedy.FATAL:
            call.ending.provider_failed(CallOutcome(OutcomeClass.PROVIDER, event.code, event.message))
        elif event.code is not None and remedy is Remedy.HEDGE:
            call.ending.recover(event.code)

    def _link_changed(self, event: RealtimeModelConnectionStatusEvent, now: float) -> None:
        if event.status == "disconnected":
            self._call.ending.provider_lost(event.reason)

    _ON: ClassVar[Mapping[type, Callable[[Any, Any, float], None]]] = {
        RealtimeModelAudioEvent: _audio,
        RealtimeModelTranscriptDeltaEvent: _words,
        RealtimeModelAudioDoneEvent: _audio_over,
        RealtimeModelTurnEndedEvent: _audio_over,
        RealtimeModelAudioInterruptedEvent: _cut,
        RealtimeModelInputSpeechStartedEvent: _caller_speaks,
        RealtimeModelInputSpeechStoppedEvent: _caller_stops,
        RealtimeModelInputAudioTranscriptionCompletedEvent: _caller_said,
        RealtimeModelDtmfEvent: _digit,
        RealtimeModelTurnStartedEvent: _turn_started,
        RealtimeModelToolCallEvent: _tool_called,
        RealtimeModelResponseProgressEvent: _progressed,
        RealtimeModelResponseOutcomeEvent: _ended,
        RealtimeModelUsageEvent: _used,
        RealtimeModelNoticeEvent: _noticed,
        RealtimeModelErrorEvent: _failed,
        RealtimeModelConnectionStatusEvent: _link_changed,
    }
