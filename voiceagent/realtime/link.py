"""The one driver of the sequencer: feeds it, performs its effects in order, keeps its timer.

Between two effects nothing awaits, so nothing can come in between. Whatever a listener does in response
(submit, report playback, interrupt) is queued and handled right after. Truncations leave after the effects of
the step that caused them: on the wire, a cancel comes before the truncation that belongs to it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, ClassVar

from voiceagent.ids import Tokens, random_token
from voiceagent.realtime.conversation import Conversation
from voiceagent.realtime.frames import FrameTransport
from voiceagent.realtime.link_inbound import Inbound
from voiceagent.realtime.link_outbound import Outbound
from voiceagent.realtime.model_events import (
    RealtimeModelAudioInterruptedEvent,
    RealtimeModelConnectionStatusEvent,
    RealtimeModelErrorEvent,
    RealtimeModelEvent,
    RealtimeModelInterruptDoneEvent,
    RealtimeModelListener,
    RealtimeModelNoticeEvent,
    RealtimeModelResponseOutcomeEvent,
    RealtimeModelResponseProgressEvent,
)
from voiceagent.realtime.model_inputs import RealtimeModelSendEvent
from voiceagent.realtime.providers import ProviderProfile
from voiceagent.realtime.requests import REQUEST_KEY, TRY_KEY, Progress
from voiceagent.realtime.sequencer import Sequencer
from voiceagent.realtime.sequencer_config import SequencerConfig
from voiceagent.realtime.sequencer_io import (
    Closing,
    InterruptDone,
    LinkDown,
    LinkUp,
    Notice,
    PlaybackEnded,
    PlaybackStarted,
    Progressed,
    RoundTripMeasured,
    SendBufferClear,
    SendCancel,
    SendCreate,
    SequencerEffect,
    SequencerEvent,
    Settled,
    StopPlayback,
    SwallowOutput,
)
from voiceagent.realtime.session_mirror import SessionMirror
from voiceagent.realtime.tap import LinkTap, TappedTransport
from voiceagent.realtime.wire import MAX_FRAME_BYTES
from voiceagent.realtime.wire_events import ErrorEvent, SessionEvent
from voiceagent.realtime.wire_frames import cancel_frame, create_frame, output_clear_frame, truncate_frame

Trace = Callable[[SequencerEvent | SequencerEffect | SequencerConfig, float], None]
"""Sees the sequencer's settings first, then every event that enters and every effect that leaves it, with
the loop's time."""

_log = logging.getLogger("voiceagent.realtime.link")
_REMEMBERED = 256
HELD_FRAMES = 64
"""Frames (items, session updates) that wait for a socket that is being opened again; more are dropped."""


def _nobody(event: RealtimeModelEvent) -> None:
    """Hears nothing."""


class Listeners:
    """Who hears the model's events."""

    __slots__ = ("_listeners",)

    def __init__(self) -> None:
        self._listeners: tuple[RealtimeModelListener, ...] = ()

    def add(self, listener: RealtimeModelListener) -> Callable[[], None]:
        """Call ``listener`` with every event from now on; the result takes it away again."""
        self._listeners = (*self._listeners, listener)

        def remove() -> None:
            nonlocal listener
            self._listeners = tuple(each for each in self._listeners if each is not listener)
            listener = _nobody  # who keeps this function, keeps nothing alive by it

        return remove

    def close(self) -> None:
        """Nobody hears any more, and nobody is held."""
        self._listeners = ()

    def emit(self, event: RealtimeModelEvent) -> None:
        """Tell all listeners. One that fails is logged and does not harm the others."""
        for listener in self._listeners:
            try:
                listener(event)
            except Exception:
                _log.exception("a listener failed on %s", type(event).__name__)


class RealtimeLink:
    """One link to a provider over a :class:`~voiceagent.realtime.frames.FrameTransport`.

    ``playout`` says that somebody plays the audio and reports what was heard; without it, generated counts
    as heard. A first :meth:`playback_started` turns it on.
    """

    __slots__ = (
        "__weakref__",
        "_afterwards",
        "_creates",
        "_draining",
        "_held",
        "_inbox",
        "_loop",
        "_stopping",
        "_timer",
        "_timer_at",
        "_trace",
        "_transport",
        "closed",
        "conversation",
        "digits_end_prompts",
        "emit",
        "inbound",
        "listeners",
        "max_frame_bytes",
        "now",
        "outbound",
        "playout",
        "profile",
        "recover",
        "sequencer",
        "setup",
        "swallowed",
        "tap",
        "tokens",
        "up",
        "wall",
    )

    def __init__(
        self,
        *,
        profile: ProviderProfile,
        sequencer: SequencerConfig | None = None,
        mirror: SessionMirror | None = None,
        listeners: Listeners | None = None,
        playout: bool = False,
        tokens: Tokens = random_token,
        trace: Trace | None = None,
        max_frame_bytes: int = MAX_FRAME_BYTES,
        wall: Callable[[], float] = time.time,
        tap: LinkTap | None = None,
    ) -> None:
        self.profile = profile
        self.tap = tap
        self.tokens = tokens
        self.wall = wall
        self.playout = playout and not profile.owns_output_buffer
        self.conversation = Conversation(mirror)
        self.sequencer = Sequencer(sequencer or sequencer_config(profile), tokens=tokens)
        self.swallowed: dict[str, None] = {}
        self.max_frame_bytes = max_frame_bytes
        self.up = False
        self.closed: str | None = None
        self.setup: Callable[[SessionEvent | ErrorEvent | str], None] | None = None
        """Hears session and error events, and the reason of a loss, until the link is up."""
        self.recover: Callable[[int | None, str], bool] | None = None
        """Asked when the socket is lost (close code, reason): True says that another one will be opened."""
        self.digits_end_prompts = True
        """Whether a digit that the provider heard ends droppable prompts by itself."""
        self._held: deque[bytes] | None = None
        self._loop = asyncio.get_running_loop()
        self.now = self._loop.time
        self._trace = trace
        if trace is not None:
            trace(self.sequencer.config, self.now())
        self._transport: FrameTransport | None = None
        self.listeners = listeners or Listeners()
        self.emit = self.listeners.emit
        self._inbox: list[SequencerEvent] = []
        self._afterwards: list[bytes] = []
        self._draining = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._creates: dict[tuple[str, str], float] = {}
        """When each unanswered create left, by request and attempt."""
        self._stopping: str | None = None
        self.inbound = Inbound(self)
        self.outbound = Outbound(self)

    # ── life ────────────────────────────────────────────────────────────────────────────────────
    def attach(self, transport: FrameTransport) -> None:
        """Start listening on an open socket."""
        self._transport = transport
        if isinstance(transport, TappedTransport):
            self.inbound.socket = transport.socket
        transport.listen(self.inbound)

    def configured(self) -> None:
        """The provider's session is as we want it: requests may go out.

        After a loss, what was said meanwhile goes out first, and the sequencer listens before it speaks.
        """
        self.setup = None
        self.up = True
        self.outbound.configured()
        held, self._held = self._held, None
        for data in held or ():
            self.write(data)
        self.feed(LinkUp(quiet=held is not None))
        self.emit(RealtimeModelConnectionStatusEvent("connected"))

    def close(self, reason: str = "closed") -> None:
        """End the link from our side: every open request ends ``lost``, no frame leaves any more."""
        if self.closed is not None:
            return
        self._end(Closing(reason), reason)
        if self._transport is not None:
            self._transport.close(1000, reason[:100])

    async def wait_closed(self) -> None:
        """Wait until the socket is gone."""
        if self._transport is not None:
            await self._transport.wait_closed()

    def transport_closed(self, code: int | None, reason: str) -> None:
        """The socket is gone: without a way back, every request ends ``lost``."""
        if self.closed is not None:
            return
        text = reason or (f"the provider closed the socket ({code})" if code else "the socket was lost")
        if self.setup is not None:
            self.setup(text)
        if self._held is not None:
            return  # the attempt to come back has failed; whoever makes it decides
        if self.up and self.recover is not None and self.recover(code, text):
            self.up = False
            self._held = deque(maxlen=HELD_FRAMES)
            self.feed(LinkDown(text))
            self.emit(RealtimeModelConnectionStatusEvent("connecting", text))
            return
        self._end(LinkDown(text, terminal=True), text)

    def lose(self, reason: str) -> None:
        """Give up a link that did not come back: every open request ends ``lost``."""
        if self.closed is None:
            self._end(LinkDown(reason, terminal=True), reason)

    def fail(self, code: str, message: str, *, close_code: int = 1009) -> None:
        """Give the link up because of what the provider sent."""
        self.emit(RealtimeModelErrorEvent(code, message))
        if self.closed is None:
            self._end(LinkDown(message, terminal=True), message)
        if self._transport is not None:
            self._transport.close(close_code, code)

    def _end(self, event: SequencerEvent, reason: str) -> None:
        # First of all closed: whatever the last step brings about, no frame leaves any more.
        self.closed = reason
        self.up = False
        self.feed(event)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.emit(RealtimeModelConnectionStatusEvent("disconnected", reason))

    # ── driving ─────────────────────────────────────────────────────────────────────────────────
    def feed(self, event: SequencerEvent) -> None:
        """Hand an event to the sequencer and perform what follows; inside a step, right after that step."""
        self._inbox.append(event)
        if not self._draining:
            self._drain()

    def _drain(self, due: bool = False) -> None:
        self._draining = True
        try:
            if due:
                now = self.now()
                self._do(self.sequencer.wake(now), now)
            while self._inbox:
                event = self._inbox.pop(0)
                now = self.now()
                if self._trace is not None:
                    self._trace(event, now)
                effects = self.sequencer.handle(event, now)
                if effects:
                    self._do(effects, now)
        finally:
            self._draining = False
        while self._afterwards:
            self.write(self._afterwards.pop(0))
        self._rearm()

    def _do(self, effects: list[SequencerEffect], now: float) -> None:
        for effect in effects:
            if self._trace is not None:
                self._trace(effect, now)
            try:
                self._PERFORM[type(effect)](self, effect)
            except Exception:
                # One failing order must not take the following ones with it.
                _log.exception("could not perform %s", type(effect).__name__)

    def _rearm(self) -> None:
        due = None if self.closed is not None else self.sequencer.wake_at()
        if self._timer is not None:
            # A timer that fires early is harmless, so one that is set earlier may stay.
            if due is not None and self._timer_at <= due:
                return
            self._timer.cancel()
            self._timer = None
        if due is not None:
            self._timer_at = due
            self._timer = self._loop.call_at(due, self._wake)

    def _wake(self) -> None:
        self._timer = None
        if self.closed is None:
            self._drain(due=True)

    # ── sending ─────────────────────────────────────────────────────────────────────────────────
    def send(self, event: RealtimeModelSendEvent) -> None:
        """Send one of the ``RealtimeModelSend…`` events."""
        self.outbound.send(event)

    def send_audio(self, audio: bytes, *, commit: bool = False) -> None:
        """Send caller audio."""
        self.outbound.send_audio(audio, commit=commit)

    def write(self, data: bytes) -> None:
        """Send a control frame, unless the link is closed; it waits while a new socket is being opened."""
        if self._held is not None:
            if len(self._held) == HELD_FRAMES:
                self.notice("frame_dropped")
            self._held.append(data)
        elif self.closed is None and self._transport is not None:
            self._transport.send(data)

    def write_audio(self, data: bytes, *, keep: bool = False) -> None:
        """Send a frame of the audio lane, unless the link is not up."""
        if self.up and self._transport is not None:
            self._transport.send_audio(data, keep=keep)

    # ── effects ─────────────────────────────────────────────────────────────────────────────────
    def _send_create(self, effect: SendCreate) -> None:
        self._creates[effect.request.id, str(effect.attempt)] = self.now()
        self._creates = dict(list(self._creates.items())[-8:])
        self.write(create_frame(effect.request, effect.event_id, effect.attempt))

    def _send_cancel(self, effect: SendCancel) -> None:
        self.write(cancel_frame(effect.response_id, effect.event_id))

    def _send_buffer_clear(self, effect: SendBufferClear) -> None:
        self.write(output_clear_frame(effect.event_id))

    def _swallow(self, effect: SwallowOutput) -> None:
        self.swallow(effect.response_id)

    def swallow(self, response_id: str) -> None:
        """Let nothing more of this response be played."""
        self.swallowed[response_id] = None
        if len(self.swallowed) > _REMEMBERED:
            del self.swallowed[next(iter(self.swallowed))]

    def _progressed(self, effect: Progressed) -> None:
        if effect.response_id is not None and effect.progress is Progress.STARTED:
            self.conversation.response(effect.response_id).request_id = effect.request_id
        self.emit(
            RealtimeModelResponseProgressEvent(
                effect.request_id, effect.progress, effect.response_id, effect.attempt
            )
        )

    def _settled(self, effect: Settled) -> None:
        self.emit(RealtimeModelResponseOutcomeEvent(effect.request_id, effect.outcome))

    def _interrupt_done(self, effect: InterruptDone) -> None:
        self.emit(RealtimeModelInterruptDoneEvent(effect.token, effect.stopped))

    def _notice(self, effect: Notice) -> None:
        self.notice(effect.code, effect.request_id, effect.response_id, effect.details)

    def notice(
        self,
        code: str,
        request_id: str | None = None,
        response_id: str | None = None,
        details: Mapping[str, str | int | float] | None = None,
    ) -> None:
        """Tell why something is as it is."""
        self.emit(RealtimeModelNoticeEvent(code, request_id, response_id, details or {}))

    def round_trip(self, seconds: float) -> None:
        """Note how long an answer took."""
        if seconds >= 0:
            self.feed(RoundTripMeasured(seconds))

    # ── the ear ─────────────────────────────────────────────────────────────────────────────────
    def playback_started(self, response_id: str, item_id: str) -> None:
        """Our playout sends the first sample of this item."""
        if self.profile.owns_output_buffer or self.closed is not None:
            return
        self.playout = True
        self.feed(PlaybackStarted(response_id))

    def playback_ended(self, response_id: str, item_id: str, heard_ms: int, *, cut: bool) -> None:
        """Our playout will play no more of this item."""
        if self.profile.owns_output_buffer or self.closed is not None:
            return
        self.conversation.heard(item_id, heard_ms, cut=cut)
        if self._stopping == response_id:
            return  # the answer to our own order: concluded there
        if cut:
            self._forget_unheard(response_id)
            self.ear_ended(response_id, cut=True)
        elif self.conversation.all_heard(response_id):
            self.ear_ended(response_id, cut=False)

    def _stop_playback(self, effect: StopPlayback) -> None:
        response_id = effect.response_id
        self.swallow(response_id)
        items = self.conversation.audio_items(response_id)
        playing = next((item for item in items if item.heard_ms is None), items[0] if items else None)
        self._stopping = response_id
        try:
            self.emit(RealtimeModelAudioInterruptedEvent(response_id, playing.id if playing else ""))
        finally:
            self._stopping = None
        if self.profile.owns_output_buffer:
            return
        for item in items:
            if item.heard_ms is None:
                self.conversation.heard(item.id, 0, cut=True)
        self._forget_unheard(response_id)
        self.ear_ended(response_id, cut=True)

    def _forget_unheard(self, response_id: str) -> None:
        """Truncate every item of the response that was cut, at what was heard of it."""
        if self.profile.truncate != "client" or not self.playout:
            return
        for item in self.conversation.audio_items(response_id):
            if item.cut and item.heard_ms is not None:
                cut = self.conversation.truncation(item.id, item.heard_ms)
                if cut is not None:
                    event_id = self.outbound.expect("truncate", cut.item_id)
                    self._afterwards.append(
                        truncate_frame(cut.item_id, cut.content_index, cut.audio_end_ms, event_id)
                    )
        if not self._draining:
            while self._afterwards:
                self.write(self._afterwards.pop(0))

    def ear_ended(self, response_id: str, *, cut: bool) -> None:
        """Conclude what was heard of a response, once."""
        response = self.conversation.response(response_id)
        if response.ended:
            return
        response.ended = True
        heard_ms, text = self.conversation.heard_of(response_id)
        self.feed(PlaybackEnded(response_id, heard_ms, text, cut))

    def created_after(self, metadata: Mapping[str, str] | None) -> None:
        """``response.created`` has come: measure the round trip, if it is certain which create it answers.

        A create that was lost on the way must not lend its time to the next one: too long a round trip would
        make every later loss take longer to notice.
        """
        name = (metadata or {}).get(REQUEST_KEY)
        if name is not None and metadata is not None:
            sent_at = self._creates.get((name, metadata.get(TRY_KEY, "1")))
        else:
            sent_at = next(iter(self._creates.values())) if len(self._creates) == 1 else None
        self._creates.clear()
        if sent_at is not None:
            self.round_trip(self.now() - sent_at)

    # ── for people ──────────────────────────────────────────────────────────────────────────────
    def snapshot(self) -> dict[str, Any]:
        """Return the state as plain values."""
        transport = self._transport
        return {
            "provider": self.profile.name,
            "up": self.up,
            "closed": self.closed,
            "playout": self.playout,
            "sequencer": asdict(self.sequencer.snapshot(self.now())),
            "conversation": self.conversation.snapshot(),
            "buffered": transport.buffered if transport is not None else 0,
            "dropped": transport.dropped if transport is not None else 0,
            "bad_frames": self.inbound.bad_frames,
            "unknown_events": dict(self.inbound.unknown),
        }

    _PERFORM: ClassVar[Mapping[type, Callable[[Any, Any], None]]] = {
        SendCreate: _send_create,
        SendCancel: _send_cancel,
        SendBufferClear: _send_buffer_clear,
        StopPlayback: _stop_playback,
        SwallowOutput: _swallow,
        Progressed: _progressed,
        Settled: _settled,
        InterruptDone: _interrupt_done,
        Notice: _notice,
    }


def sequencer_config(profile: ProviderProfile) -> SequencerConfig:
    """Return the sequencer's settings for a provider."""
    return SequencerConfig(
        overlap=profile.overlap,
        metadata_echo=profile.metadata_echo,
        cancel_by_id=profile.cancel_by_id,
        owns_output_buffer=profile.owns_output_buffer,
    )
