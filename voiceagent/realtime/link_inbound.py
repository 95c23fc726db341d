"""Inward: decoded server events to the conversation, the sequencer and the listeners, in this order."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar
from weakref import proxy

from voiceagent.realtime.model_events import (
    RealtimeModelErrorEvent,
    RealtimeModelInputCommittedEvent,
    RealtimeModelInputSpeechStartedEvent,
    RealtimeModelInputSpeechStoppedEvent,
    RealtimeModelPlaybackEvent,
    RealtimeModelSessionUpdatedEvent,
    RealtimeModelSessionUpdateRefusedEvent,
    RealtimeModelToolCallEvent,
    RealtimeModelTurnEndedEvent,
    RealtimeModelTurnStartedEvent,
    RealtimeModelUsageEvent,
)
from voiceagent.realtime.requests import REQUEST_KEY
from voiceagent.realtime.sequencer_io import (
    DigitReceived,
    InputCommitted,
    ItemAcked,
    ItemRefused,
    OutputStarted,
    PlaybackEnded,
    PlaybackStarted,
    ResponseCreated,
    ResponseDone,
    ServerError,
    SessionExpiring,
    SessionMirrored,
    SpeechStarted,
    SpeechStopped,
    Submitted,
    TimeoutTriggered,
)
from voiceagent.realtime.transcript import whole_words
from voiceagent.realtime.wire import decode
from voiceagent.realtime.wire_events import (
    AudioDelta,
    AudioDone,
    BadFrame,
    DtmfReceived,
    ErrorEvent,
    InputCommittedEvent,
    InputSpeech,
    InputTimeout,
    ItemDeleted,
    ItemEvent,
    ItemTruncated,
    OutputBuffer,
    OutputItem,
    Raw,
    ResponseCreatedEvent,
    ResponseDoneEvent,
    SessionEvent,
    TextDelta,
    TextDone,
    TranscriptionCompleted,
    UnknownEvent,
)

if TYPE_CHECKING:
    from voiceagent.realtime.link import RealtimeLink

_log = logging.getLogger("voiceagent.realtime.link")
SIGN_OF_LIFE_S = 1.0
"""How often a response that produces output is reported alive to the sequencer."""
TYPICAL_CHARS_PER_S = 15
"""Estimates the heard text where the provider plays and no audio comes by."""
_UNKNOWN_KINDS = 64


class Inbound:
    """Takes frames of the provider: a :class:`~voiceagent.realtime.frames.FrameListener`."""

    def __init__(self, link: RealtimeLink) -> None:
        self._link: RealtimeLink = proxy(link)  # it owns this: the two are freed together, at once
        self._time = link.now
        self._max_bytes = link.max_frame_bytes
        self.socket = 0
        """Number of the socket that frames come from, where a tap counts them."""
        self.bad_frames = 0
        self.unknown: dict[str, int] = {}
        """Events without a type of their own here, counted by name."""
        self._alive_id: str | None = None
        self._alive_at = 0.0
        self._odd: dict[str, bytes] = {}
        self._buffer_started: dict[str, float] = {}
        # What each frame needs, at hand: none of it is ever replaced.
        self._tap = link.tap
        self._conversation = link.conversation
        self._swallowed = link.swallowed

    def frame_received(self, data: bytes | str) -> None:
        """Take one frame of the provider; whatever it does to us, the reader goes on."""
        try:
            if self._link.closed is not None:
                return
        except ReferenceError:
            return  # let go while its socket was still being closed
        try:
            event = decode(data, max_bytes=self._max_bytes)
            tap = self._tap
            if tap is not None:
                if isinstance(event, AudioDelta):
                    tap.audio(self.socket, event, self._conversation.mirror.output_format)
                elif isinstance(event, TextDelta) and event.spoken:
                    tap.words(self.socket, event, data)
                else:
                    tap.frame(self.socket, data)
            self._WAYS[type(event)](self, event)
        except Exception:
            _log.exception("a frame of the provider could not be taken")
            self._link.notice("frame_failed")

    def transport_closed(self, code: int | None, reason: str) -> None:
        """The socket is gone, perhaps later than the link."""
        try:
            tell = self._link.transport_closed
        except ReferenceError:
            return
        tell(code, reason)

    # ── audio and text ──────────────────────────────────────────────────────────────────────────
    def _audio_delta(self, event: AudioDelta) -> None:
        link = self._link
        response_id = event.response_id
        data = event.data
        if self._odd or len(data) & 1:
            data = self._whole_samples(event)
        first = self._conversation.audio_received(response_id, event.item_id, event.content_index, len(data))
        if response_id in self._swallowed:
            return
        if response_id != self._alive_id or self._time() - self._alive_at >= SIGN_OF_LIFE_S:
            self._sign_of_life(response_id, audible=True)
        if first and not link.playout and not link.profile.owns_output_buffer:
            link.feed(PlaybackStarted(response_id))
        if response_id in self._swallowed:
            return  # the sequencer has just disowned it
        if data is not event.data:
            event = AudioDelta(response_id, event.item_id, event.content_index, data)
        link.emit(event)

    def _whole_samples(self, event: AudioDelta) -> bytes:
        """Keep 16-bit samples whole when a server splits one over two deltas."""
        if self._link.conversation.mirror.output_format != "audio/pcm":
            return event.data
        data = self._odd.pop(event.item_id, b"") + event.data
        if len(data) & 1:
            self._odd[event.item_id] = data[-1:]
            data = data[:-1]
        return data

    def _sign_of_life(self, response_id: str, *, audible: bool) -> None:
        now = self._time()
        if response_id != self._alive_id or now - self._alive_at >= SIGN_OF_LIFE_S:
            self._alive_id = response_id
            self._alive_at = now
            self._link.feed(OutputStarted(response_id, audible=audible))

    def _audio_done(self, event: AudioDone) -> None:
        item = self._link.conversation.output_item(event.response_id, event.item_id)
        item.complete = True
        self._odd.pop(event.item_id, None)
        if event.response_id not in self._link.swallowed:
            self._link.emit(event)

    def _text_delta(self, event: TextDelta) -> None:
        self._conversation.text_received(
            event.response_id, event.item_id, event.content_index, event.delta, spoken=event.spoken
        )
        if not event.spoken:
            self._sign_of_life(event.response_id, audible=False)
        self._link.emit(event)

    def _text_done(self, event: TextDone) -> None:
        self._link.conversation.text_done(
            event.response_id, event.item_id, event.content_index, event.text, spoken=event.spoken
        )

    # ── responses ───────────────────────────────────────────────────────────────────────────────
    def _response_created(self, event: ResponseCreatedEvent) -> None:
        link = self._link
        response = link.conversation.response(event.response_id)
        response.out_of_band = event.out_of_band
        if REQUEST_KEY in (event.metadata or {}) or not link.conversation.mirror.auto_create:
            link.created_after(event.metadata)
        link.outbound.appends.response_began(event.response_id)
        link.feed(ResponseCreated(event.response_id, event.metadata, event.out_of_band))
        request_id = response.request_id or (event.metadata or {}).get(REQUEST_KEY)
        link.emit(
            RealtimeModelTurnStartedEvent(event.response_id, request_id, event.metadata, event.out_of_band)
        )

    def _response_done(self, event: ResponseDoneEvent) -> None:
        link = self._link
        conversation = link.conversation
        response_id = event.response_id
        if response_id is None:
            self._feed_done(event, "", None)
            return
        link.outbound.appends.response_ended(response_id)
        failed = event.status in ("cancelled", "failed")
        for item in event.output:
            self._output(response_id, item, done=True, failed=failed)
        response = conversation.response_done(response_id, event.status)
        audio_ms = conversation.audio_ms_of(response_id)
        text = conversation.text_of(response_id)
        # Where the provider plays, deltas may be missing or in another format: they measure nothing.
        counted = None if link.profile.owns_output_buffer else audio_ms
        self._feed_done(event, text, counted)
        if not link.profile.owns_output_buffer and conversation.audio_items(response_id):
            if not link.playout:
                for item in conversation.audio_items(response_id):
                    conversation.heard(item.id, item.audio_ms, cut=False)
            if conversation.all_heard(response_id):
                link.ear_ended(response_id, cut=False)
        link.emit(
            RealtimeModelTurnEndedEvent(
                response_id,
                event.status,
                event.reason,
                event.error_code,
                text,
                audio_ms,
                response.request_id,
                event.out_of_band or response.out_of_band,
            )
        )
        if event.usage is not None:
            link.emit(RealtimeModelUsageEvent(response_id, event.usage))
        due = conversation.due_follow_up(response_id)
        if due is not None:
            link.feed(Submitted(due))

    def _feed_done(self, event: ResponseDoneEvent, text: str, audio_ms: int | None) -> None:
        self._link.feed(
            ResponseDone(
                event.response_id,
                event.status,
                event.reason,
                event.error_code,
                event.error_message,
                event.retry_after_s,
                event.metadata,
                event.out_of_band,
                text,
                audio_ms,
            )
        )

    def _output_item(self, event: OutputItem) -> None:
        self._output(event.response_id, event.item, done=event.done)

    def _output(self, response_id: str, item: Raw, *, done: bool, failed: bool = False) -> None:
        link = self._link
        item_id = item.get("id")
        if not isinstance(item_id, str):
            return
        link.conversation.output_item(response_id, item_id)
        link.conversation.item_seen(item_id, item)
        if item.get("type") != "function_call" or not done or item.get("status") == "incomplete":
            return
        call_id, name, arguments = item.get("call_id"), item.get("name"), item.get("arguments")
        if not isinstance(call_id, str) or not isinstance(name, str):
            link.notice("malformed_tool_call", response_id=response_id, details={"item_id": item_id})
            return
        if link.conversation.tool_called(response_id, call_id, name):
            # Whatever else stands there is no object, and the tool's reader says so.
            text = arguments if isinstance(arguments, str) else "{}" if arguments is None else "null"
            over = link.conversation.response(response_id).status is not None
            taken_back = failed or over or response_id in link.swallowed
            link.emit(RealtimeModelToolCallEvent(call_id, name, text, response_id, item_id, taken_back))

    # ── the provider's own playout ──────────────────────────────────────────────────────────────
    def _output_buffer(self, event: OutputBuffer) -> None:
        link = self._link
        response_id = event.response_id
        if not link.profile.owns_output_buffer:
            self._unknown_event(UnknownEvent(f"output_audio_buffer.{event.state}", event.raw))
            return
        if event.state == "started":
            self._buffer_started[response_id] = link.now()
            if len(self._buffer_started) > _UNKNOWN_KINDS:
                del self._buffer_started[next(iter(self._buffer_started))]
            link.feed(PlaybackStarted(response_id))
            link.emit(RealtimeModelPlaybackEvent(response_id, self._first_item(response_id), True))
            return
        response = link.conversation.response(response_id)
        if response.ended:
            return
        response.ended = True
        started = self._buffer_started.pop(response_id, None)
        heard_ms = 0 if started is None else round((link.now() - started) * 1000)
        text = link.conversation.text_of(response_id)
        cut = event.state == "cleared"
        if cut:
            truncated = self._truncated_ms(response_id)
            heard_ms = heard_ms if truncated is None else truncated
            audio_ms = link.conversation.audio_ms_of(response_id)
            believable = audio_ms >= heard_ms > 0
            chars = len(text) * heard_ms // audio_ms if believable else heard_ms * TYPICAL_CHARS_PER_S // 1000
            text = whole_words(text, chars)
        link.feed(PlaybackEnded(response_id, heard_ms, text, cut))
        link.emit(
            RealtimeModelPlaybackEvent(response_id, self._first_item(response_id), False, heard_ms, cut)
        )

    def playing_stopped(self, at: float) -> None:
        """The call ended at ``at`` (loop time), and with it whatever the provider still played."""
        for response_id, started in list(self._buffer_started.items()):
            self._buffer_started[response_id] = started + self._link.now() - at
            self._output_buffer(OutputBuffer("cleared", response_id, {}))

    def _first_item(self, response_id: str) -> str:
        items = self._link.conversation.response(response_id).items
        return items[0] if items else ""

    def _truncated_ms(self, response_id: str) -> int | None:
        conversation = self._link.conversation
        found = [
            item.truncated_ms
            for item_id in conversation.response(response_id).items
            if (item := conversation.items.get(item_id)) is not None and item.truncated_ms is not None
        ]
        return sum(found) if found else None

    # ── items ───────────────────────────────────────────────────────────────────────────────────
    def _item(self, event: ItemEvent) -> None:
        link = self._link
        link.conversation.item_seen(event.item_id, event.item, event.previous_item_id)
        ours = event.item_id
        call_id = event.item.get("call_id")
        if event.item.get("type") == "function_call_output" and isinstance(call_id, str):
            ours = link.outbound.call_items.get(call_id, ours)
        sent_at = link.outbound.items.pop(ours, None)
        if sent_at is not None:
            self._answered("item", ours)
            link.round_trip(link.now() - sent_at)
            link.feed(ItemAcked(ours))
        link.emit(event)

    def _answered(self, kind: str, about: str) -> None:
        expected = self._link.outbound.expected
        for event_id, each in expected.items():
            if each.kind == kind and each.about == about:
                del expected[event_id]
                return

    def _item_truncated(self, event: ItemTruncated) -> None:
        self._answered("truncate", event.item_id)
        self._link.conversation.item(event.item_id).truncated_ms = event.audio_end_ms
        self._link.emit(event)

    def _item_deleted(self, event: ItemDeleted) -> None:
        self._link.conversation.item_deleted(event.item_id)
        self._link.emit(UnknownEvent("conversation.item.deleted", event.raw))

    # ── the caller ──────────────────────────────────────────────────────────────────────────────
    def _speech(self, event: InputSpeech) -> None:
        link = self._link
        if event.started:
            link.outbound.appends.turn_began()
            link.feed(SpeechStarted(event.item_id))
            link.emit(RealtimeModelInputSpeechStartedEvent(event.item_id, event.audio_ms))
        else:
            link.outbound.appends.turn_ended()
            link.feed(SpeechStopped(event.item_id))
            link.emit(RealtimeModelInputSpeechStoppedEvent(event.item_id, event.audio_ms))

    def _committed(self, event: InputCommittedEvent) -> None:
        if event.item_id is not None:
            item = self._link.conversation.item_seen(event.item_id, {}, event.previous_item_id)
            item.role = item.role or "user"
        self._link.feed(InputCommitted(event.item_id))
        self._link.emit(RealtimeModelInputCommittedEvent(event.item_id))

    def _timeout(self, event: InputTimeout) -> None:
        self._link.feed(TimeoutTriggered())
        self._link.emit(event)

    def _transcription(self, event: TranscriptionCompleted) -> None:
        self._link.conversation.caller_said(event.item_id, event.transcript)
        self._link.emit(event)

    def _dtmf(self, event: DtmfReceived) -> None:
        if self._link.digits_end_prompts:
            self._link.feed(DigitReceived(event.digit))
        self._link.emit(event)

    # ── the session, errors, and the rest ───────────────────────────────────────────────────────
    def _session(self, event: SessionEvent) -> None:
        link = self._link
        mirror = link.conversation.mirror
        mirror.take(event.session)
        event_id: str | None = None
        if event.updated:
            oldest = link.outbound.oldest_update()
            if oldest is not None:
                event_id, expected = oldest
                del link.outbound.expected[event_id]
                link.round_trip(link.now() - expected.sent_at)
        auto = link.profile.auto_create_switch
        link.feed(
            SessionMirrored(
                mirror.auto_create if auto else mirror.vad,
                mirror.auto_interrupt if auto else mirror.vad,
                event_id,
                mirror.vad,
            )
        )
        if event_id is not None:
            link.feed(ItemAcked(event_id))
        elif mirror.expires_at is not None and not event.updated:
            link.feed(SessionExpiring(mirror.expires_at - link.wall()))
        if link.setup is not None:
            link.setup(event)
        link.emit(RealtimeModelSessionUpdatedEvent(event.session, event_id))

    def _error(self, event: ErrorEvent) -> None:
        link = self._link
        expected = link.outbound.expected.pop(event.event_id, None) if event.event_id is not None else None
        event_id = event.event_id
        if expected is None and event_id is None and (event.param or "").startswith("session"):
            oldest = link.outbound.oldest_update()
            if oldest is not None:
                event_id, expected = oldest
                del link.outbound.expected[event_id]
        if link.setup is not None:
            link.setup(event)
        if expected is None:
            link.feed(ServerError(event.code, event.message, event.event_id, event.param))
        elif expected.kind in ("update", "item"):
            link.outbound.items.pop(expected.about, None)
            link.feed(ItemRefused(expected.about, event.code, event.message))
            if expected.kind == "update" and event_id is not None:
                link.emit(RealtimeModelSessionUpdateRefusedEvent(event_id, event.code, event.message))
        link.emit(RealtimeModelErrorEvent(event.code, event.message, event.event_id, event.param))

    def _bad_frame(self, event: BadFrame) -> None:
        self.bad_frames += 1
        if event.code == "too_large":
            self._link.fail("frame_too_large", event.message)
            return
        details = {"code": event.code, "message": event.message, "type": event.type or ""}
        self._link.notice("bad_frame", details=details)

    def _unknown_event(self, event: UnknownEvent) -> None:
        seen = self.unknown.get(event.type, 0)
        if seen or len(self.unknown) < _UNKNOWN_KINDS:
            self.unknown[event.type] = seen + 1
        self._link.emit(event)

    _WAYS: ClassVar[Mapping[type, Callable[[Any, Any], None]]] = {
        BadFrame: _bad_frame,
        UnknownEvent: _unknown_event,
        ErrorEvent: _error,
        SessionEvent: _session,
        ItemEvent: _item,
        ItemTruncated: _item_truncated,
        ItemDeleted: _item_deleted,
        TranscriptionCompleted: _transcription,
        InputSpeech: _speech,
        InputCommittedEvent: _committed,
        InputTimeout: _timeout,
        DtmfReceived: _dtmf,
        OutputBuffer: _output_buffer,
        ResponseCreatedEvent: _response_created,
        ResponseDoneEvent: _response_done,
        OutputItem: _output_item,
        AudioDelta: _audio_delta,
        AudioDone: _audio_done,
        TextDelta: _text_delta,
        TextDone: _text_done,
    }
