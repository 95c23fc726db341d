"""A realtime model that outlives its link: the session above it notices nothing but a pause.

It stands between one :class:`~voiceagent.realtime.session.RealtimeSession` and one link after another. When
a link is lost, nothing is told upwards but the notice ``link_lost``:

* requests of which nothing was heard wait, and go to the new link once, under an id of their own
  (``req_x~2``); to the asker they are the same request with the same one outcome. What was sent over two
  links in vain ends ``lost``;
* a response that was heard is not said again. What has arrived of it plays out; then it ends ``completed``
  if it was whole (or if its tools go on), else ``lost`` with what was heard of it. Only when no more than its
  first second had arrived, it is asked for again from its beginning;
* tools keep running. Their outputs go to whichever link is there, and a call is never made twice;
* what the caller says meanwhile is kept and sent to the new link.

Who opens the new link, when, and how often is decided elsewhere (:meth:`SurvivingModel.restore`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from voiceagent.errors import ProviderError
from voiceagent.realtime.afterwords import Sounding, barely_begun, cut_off, sounding_items
from voiceagent.realtime.caller_audio import CallerAudio
from voiceagent.realtime.config import BYTES_PER_MS, RealtimeSessionConfig, merged
from voiceagent.realtime.conversation import Conversation
from voiceagent.realtime.history import History, Restored, heard_words
from voiceagent.realtime.link import Listeners
from voiceagent.realtime.link_notes import LinkNotes
from voiceagent.realtime.model import RealtimeModel
from voiceagent.realtime.model_events import (
    RealtimeModelAudioEvent,
    RealtimeModelAudioInterruptedEvent,
    RealtimeModelConnectionStatusEvent,
    RealtimeModelEvent,
    RealtimeModelInputSpeechStartedEvent,
    RealtimeModelInterruptDoneEvent,
    RealtimeModelListener,
    RealtimeModelNoticeEvent,
    RealtimeModelResponseOutcomeEvent,
    RealtimeModelResponseProgressEvent,
    RealtimeModelTranscriptDeltaEvent,
)
from voiceagent.realtime.model_inputs import (
    RealtimeModelSendAudio,
    RealtimeModelSendDigit,
    RealtimeModelSendEvent,
    RealtimeModelSendInterrupt,
    RealtimeModelSendItemDelete,
    RealtimeModelSendPaused,
    RealtimeModelSendRawMessage,
    RealtimeModelSendResponseCreate,
    RealtimeModelSendSessionUpdate,
    RealtimeModelSendTakenOver,
    RealtimeModelSendToolOutput,
    RealtimeModelSendUserInput,
    RealtimeModelSendWithdraw,
)
from voiceagent.realtime.requests import (
    InterruptedBy,
    Origin,
    Outcome,
    OutcomeKind,
    Progress,
    ResponseRequest,
    When,
)
from voiceagent.realtime.websocket import OpenAIRealtimeWebSocketModel
from voiceagent.realtime.wire_frames import item_delete_frame, message_item
from voiceagent.realtime.wishes import Wish, Wishes

AUDIO_CHUNK_MS = 200
"""Kept caller audio is sent to a new link in appends of this length."""
HANDOVER_AUDIO_MS = 500
"""On a planned hand-over between turns, only the newest audio is sent again: a word may just begin."""
_AS_IT_IS = (RealtimeModelAudioEvent, RealtimeModelTranscriptDeltaEvent)
"""What is nearly all that is heard of a link, and nothing here looks at."""


class SurvivingModel(RealtimeModel):
    """Goes on with another link where one was lost. ``lost(reason)`` is called once per lost link."""

    def __init__(
        self,
        first: OpenAIRealtimeWebSocketModel,
        config: RealtimeSessionConfig,
        *,
        lost: Callable[[str], None],
        caller_audio_ms: int = 10_000,
    ) -> None:
        self.config_layout = first.config_layout
        self.history = History()
        self.up = True
        self._lost: Callable[[str], None] | None = lost
        self._loop = asyncio.get_running_loop()
        self._listeners = Listeners()
        self._emit = self._listeners.emit
        self.caller_audio = CallerAudio(config.input_audio_format, caller_audio_ms)
        self._wishes = Wishes()
        self._notes = LinkNotes(
            self._wishes, self.history, self.caller_audio, transcribed=config.transcription is not None
        )
        self._fallen: dict[str, Outcome] = {}
        """Requests that the lost link ended, until it is clear what becomes of them."""
        self._sounding: dict[str, Sounding] = {}
        self._late_outputs: list[RealtimeModelSendToolOutput] = []
        """Outputs whose follow-up must not be spoken before the words of the lost link were heard."""
        self._changes: dict[str, Any] = {}
        """All that was changed of the session since it was opened."""
        self._paused = False
        self._taken_over = False
        self._closed = False
        self._minted = 0
        self._inner = first
        self._append: Callable[[bytes], None] = first.link.outbound.send_audio
        self._remove = self._listen_to(first)

    # ── the port ────────────────────────────────────────────────────────────────────────────────
    async def connect(self, config: RealtimeSessionConfig) -> None:
        """Never called: the first model is connected already."""
        raise ProviderError("the model is connected already", code="already_connected")

    async def close(self, reason: str = "closed") -> None:
        """End the conversation."""
        self._closed = True
        await self._inner.close(reason)
        # Nobody is held any more: whoever listens has the session, and the session has this.
        self._remove()
        self._remove = self._listeners.close
        self._listeners.close()
        self._lost = None

    def add_listener(self, listener: RealtimeModelListener) -> Callable[[], None]:
        """Call ``listener`` with every event from now on, whatever link it comes from."""
        return self._listeners.add(listener)

    @property
    def inner(self) -> OpenAIRealtimeWebSocketModel:
        """The model behind the present link (or the one that was lost)."""
        return self._inner

    @property
    def audio_ms(self) -> float:
        """See :class:`~voiceagent.realtime.model.RealtimeModel`."""
        return self._inner.audio_ms

    @property
    def idle(self) -> bool:
        """True when nothing is asked for, said, or worked on."""
        conversation = self._inner.link.conversation
        busy = any(each.status is None for each in conversation.responses.values())
        return self.up and not (busy or self._wishes or self._sounding or conversation.open_calls())

    @property
    def speech_due(self) -> bool:
        """True while a request has not ended."""
        return bool(self._wishes)

    def snapshot(self) -> Mapping[str, Any]:
        """Return the state as plain values."""
        return {
            **self._inner.snapshot(),
            "surviving": {
                "up": self.up,
                "waiting": [wish.request.id for wish in self._waiting()],
                "sounding": list(self._sounding),
                "past": len(self.history),
                "caller_audio_ms": self.caller_audio.ms,
            },
        }

    # ── sending ─────────────────────────────────────────────────────────────────────────────────
    def send_audio(self, audio: bytes, *, commit: bool = False) -> None:
        """Send caller audio, and keep it until it is understood."""
        self.caller_audio.add(audio)
        if self.up:
            if commit:
                self._inner.send_audio(audio, commit=True)
            else:
                self._append(audio)

    def send(self, event: RealtimeModelSendEvent) -> None:
        """Send one event, or keep what matters of it until there is a link again."""
        match event:
            case RealtimeModelSendAudio():
                self.send_audio(event.audio, commit=event.commit)
            case RealtimeModelSendResponseCreate():
                request = event.request or ResponseRequest(
                    id=self._new_id(),
                    instructions=event.instructions,
                    metadata=event.metadata,
                    correlate=False,
                )
                if request.when is When.NOW:
                    self._stop_sounding(InterruptedBy.NEWER)
                if self._sounding and not request.out_of_band:
                    self._wish(request, wait=True)
                else:
                    self._wish(request)
                    self._forward(replace(event, request=request, instructions=None, metadata=None))
            case RealtimeModelSendUserInput():
                self._user_input(event)
            case RealtimeModelSendToolOutput():
                self._tool_output(event)
            case RealtimeModelSendWithdraw():
                self._withdraw(event.request_id)
            case RealtimeModelSendInterrupt():
                self._interrupt(event)
            case RealtimeModelSendDigit():
                self._digit(event)
            case RealtimeModelSendPaused():
                self._paused = event.on
                self._forward(event)
            case RealtimeModelSendTakenOver():
                self._taken_over = event.on
                if event.on:
                    self._stop_sounding(InterruptedBy.OPERATOR)
                self._forward(event)
            case RealtimeModelSendItemDelete():
                self.history.forget(event.item_id)
                self._forward(event)
            case RealtimeModelSendSessionUpdate():
                event_id = event.event_id or self._new_id()
                self._changes = merged(self._changes, event.session)
                self._notes.unanswered[event_id] = event.session
                self._forward(replace(event, event_id=event_id))
            case RealtimeModelSendRawMessage():
                self._forward(event)

    def _forward(self, event: RealtimeModelSendEvent) -> None:
        if self.up:
            self._inner.send(event)

    def _new_id(self) -> str:
        self._minted += 1
        return f"own_{self._minted}"

    def _wish(self, request: ResponseRequest, *, wait: bool = False) -> None:
        self._wishes.add(request, self._loop.time(), asked=self.up and not wait)

    def _user_input(self, event: RealtimeModelSendUserInput) -> None:
        self.history.typed(event.text, event.role)
        request = event.request
        if request is None and event.respond:
            request = ResponseRequest(id=self._new_id(), origin=Origin.TURN, coalesce="message")
        later = bool(self._sounding)
        if request is not None:
            self._wish(request, wait=later)
        self._forward(replace(event, request=None if later else request, respond=event.respond and not later))

    def _tool_output(self, event: RealtimeModelSendToolOutput) -> None:
        self.history.answered(event.call_id, event.output)
        request = event.request
        if self.up:
            if request is not None:
                self._wish(request)
            if self._sounding:
                self._late_outputs.append(event)
            else:
                self._inner.send(event)
            return
        if request is None and event.start_response:
            request = ResponseRequest(id=self._new_id(), origin=Origin.TOOL, deadline_s=60.0)
        conversation = self._inner.link.conversation
        home = conversation.tool_answered(event.call_id, event.call_id, request)
        if home is not None:
            self._follow_up(conversation, home)
        elif request is not None:
            self._wish(request)

    def _follow_up(self, conversation: Conversation, home: str) -> None:
        """Keep a follow-up with the response whose calls it answers until the last output is there."""
        response = conversation.response(home)
        if response.follow_up is not None:
            self._wishes.drop(response.follow_up.id)
        due = conversation.due_follow_up(home)
        if due is not None:
            self._wish(due)

    def _withdraw(self, request_id: str) -> None:
        for index, event in enumerate(self._late_outputs):
            if event.request is not None and event.request.id == request_id:
                self._late_outputs[index] = replace(event, request=None, start_response=False)
                self._settle(request_id, Outcome(OutcomeKind.WITHDRAWN, reason="withdrawn without a link"))
                return
        wish = self._wishes.asked(request_id)
        if self.up and wish is not None:
            self._inner.send(RealtimeModelSendWithdraw(wish.alias))
            return
        sounding = next((one for one in self._sounding.values() if one.request_id == request_id), None)
        if sounding is not None:
            self._stop(sounding, None)
        elif (
            not self.up and self._inner.link.conversation.withdraw_follow_up(request_id)
        ) or request_id in self._wishes:
            self._settle(request_id, Outcome(OutcomeKind.WITHDRAWN, reason="withdrawn without a link"))
        else:
            self._forward(RealtimeModelSendWithdraw(request_id))

    def _interrupt(self, event: RealtimeModelSendInterrupt) -> None:
        stopped = self._stop_sounding(event.by)
        if event.flush:
            for wish in self._waiting():
                if wish.request.origin not in (Origin.SAFETY, Origin.OPERATOR):
                    self._settle(
                        wish.request.id, Outcome(OutcomeKind.INTERRUPTED, by=event.by, code="flushed")
                    )
        if self.up:
            self._inner.send(event)
            return
        if event.token:
            self._emit(RealtimeModelInterruptDoneEvent(event.token, stopped))

    def _digit(self, event: RealtimeModelSendDigit) -> None:
        for sounding in list(self._sounding.values()):
            wish = self._wishes.get(sounding.request_id)
            if wish is not None and wish.droppable:
                self._stop(sounding, InterruptedBy.CALLER)
        self._drop_waiting("digit")
        self._forward(event)

    def _waiting(self) -> list[Wish]:
        """Return what no link has been asked for yet, or not again, in the order of asking."""
        return self._wishes.unasked({one.request_id for one in self._sounding.values()})

    def _drop_waiting(self, code: str) -> None:
        if self._taken_over:
            return
        for wish in self._waiting():
            if wish.droppable:
                outcome = Outcome(OutcomeKind.INTERRUPTED, by=InterruptedBy.CALLER, code=code)
                self._settle(wish.request.id, outcome)

    # ── hearing ─────────────────────────────────────────────────────────────────────────────────
    def _listen_to(self, inner: OpenAIRealtimeWebSocketModel) -> Callable[[], None]:
        def hear(event: RealtimeModelEvent) -> None:
            if inner is self._inner:
                (self._emit if type(event) in _AS_IT_IS else self._hear)(event)

        return inner.add_listener(hear)

    def _hear(self, event: RealtimeModelEvent) -> None:
        match event:
            case RealtimeModelResponseOutcomeEvent():
                self._outcome(event)
            case RealtimeModelConnectionStatusEvent():
                if event.status == "disconnected":
                    self._disconnected(event)
            case RealtimeModelInputSpeechStartedEvent():
                if self._sounding:
                    self._drop_waiting("caller_speaking")
                self._stop_sounding(InterruptedBy.CALLER)
                self._emit(event)
            case _:
                self._emit(self._notes.take(event))

    def _outcome(self, event: RealtimeModelResponseOutcomeEvent) -> None:
        request_id = self._wishes.id_of(event.request_id)
        by_link = event.outcome.kind is OutcomeKind.LOST and self._inner.link.closed is not None
        if by_link and not self._closed and request_id in self._wishes:
            self._fallen[request_id] = event.outcome
            return
        self._settle(request_id, event.outcome)

    def _settle(self, request_id: str, outcome: Outcome) -> None:
        self._wishes.drop(request_id)
        self._emit(RealtimeModelResponseOutcomeEvent(request_id, outcome))

    # ── a link is lost ──────────────────────────────────────────────────────────────────────────
    def abandon(self, reason: str) -> None:
        """Give up the present link, whose socket may still stand, as if it were lost."""
        if self.up:
            self._inner.link.close(reason)

    def give_up(self, reason: str) -> None:
        """There will be no other link: everything ends."""
        if self._closed:
            return
        self._closed = True
        self.up = False
        for sounding in list(self._sounding.values()):
            self._conclude(sounding)
        self._emit(RealtimeModelConnectionStatusEvent("disconnected", reason))

    def _disconnected(self, event: RealtimeModelConnectionStatusEvent) -> None:
        if self._closed:
            self._emit(event)
            return
        self.up = False
        conversation = self._inner.link.conversation
        fallen, self._fallen = self._fallen, {}
        self._wishes.link_lost()
        late, self._late_outputs = self._late_outputs, []
        for each in late:
            self._tool_output(each)
        of_request = {
            outcome.response_id: key for key, outcome in fallen.items() if outcome.response_id is not None
        }
        self._keep_sounding(conversation, of_request)
        self.history.fold(conversation, sounding_items(self._sounding.values(), conversation))
        self.caller_audio.forget_turns()
        self._emit(RealtimeModelNoticeEvent("link_lost", details={"reason": event.reason}))
        for request_id, outcome in fallen.items():
            self._fell(request_id, outcome, conversation)
        for response in list(conversation.responses.values()):
            if response.status is None:
                # The playout must know that nothing more will come, or it waits for the rest of a frame.
                self._emit(cut_off(conversation, response.id))
            if response.calls:
                response.status = response.status or "incomplete"
                self._follow_up(conversation, response.id)
        if self._lost is not None:
            self._lost(event.reason)

    def _keep_sounding(self, conversation: Conversation, of_request: Mapping[str, str]) -> None:
        for response in conversation.responses.values():
            unheard = any(item.heard_ms is None for item in conversation.audio_items(response.id))
            if unheard and not response.ended and response.id not in self._inner.link.swallowed:
                request_id = of_request.get(response.id)
                wish = self._wishes.get(request_id)
                interruptible = wish is None or wish.request.interruptible
                scrap = wish is not None and not wish.worn_out and barely_begun(conversation, response.id)
                self._sounding[response.id] = Sounding(
                    response.id, None if scrap else request_id, conversation, interruptible, scrap=scrap
                )

    def _fell(self, request_id: str, outcome: Outcome, conversation: Conversation) -> None:
        """Decide what becomes of a request that the lost link has ended."""
        response_id = outcome.response_id
        sounding = self._sounding.get(response_id or "")
        if sounding is not None and sounding.request_id == request_id:
            return
        if response_id is None or response_id not in conversation.responses or sounding is not None:
            heard = False
        else:
            response = conversation.responses[response_id]
            heard = bool(conversation.heard_of(response_id)[0] or response.calls)
        if heard:
            assert response_id is not None
            self._conclude(Sounding(response_id, request_id, conversation))
            return
        wish = self._wishes.get(request_id)
        if wish is not None and wish.worn_out:
            self._settle(request_id, replace(outcome, code="link_lost_again"))

    def _conclude(self, sounding: Sounding) -> None:
        """Say how a response of a lost link has ended, now that nothing more of it will be heard."""
        self._sounding.pop(sounding.response_id, None)
        sounding.conversation.response(sounding.response_id).ended = True
        if sounding.cut:
            self._recut(sounding)
        if sounding.request_id is not None:
            self._settle(sounding.request_id, sounding.outcome())
        self._ask_again()

    def _recut(self, sounding: Sounding) -> None:
        """The caller heard less than was told to the new link: correct its memory, too."""
        for item in sounding.items:
            if not item.cut:
                continue
            text = heard_words(item, False)
            link = self._inner.link
            known = self.history.recut(item.id, text)
            if known and self.up and link.conversation is not sounding.conversation:
                link.write(item_delete_frame(item.id, link.outbound.expect("other", "recut")))
                if text:
                    new_id = f"{item.id}~"[-32:]
                    link.outbound.put_item(message_item(text, "assistant", new_id), new_id)

    # ── the ear ─────────────────────────────────────────────────────────────────────────────────
    def playback_started(self, response_id: str, item_id: str) -> None:
        """The playout sends the first sample of this item."""
        sounding = self._sounding.get(response_id)
        if sounding is None:
            if self.up:
                self._inner.playback_started(response_id, item_id)
        elif sounding.request_id is not None:
            self._emit(RealtimeModelResponseProgressEvent(sounding.request_id, Progress.AUDIBLE, response_id))

    def playback_ended(self, response_id: str, item_id: str, heard_ms: int, *, cut: bool) -> None:
        """The playout will play no more of this item."""
        sounding = self._sounding.get(response_id)
        if sounding is None:
            if self.up:
                self._inner.playback_ended(response_id, item_id, heard_ms, cut=cut)
            return
        if sounding.heard(item_id, heard_ms, cut=cut):
            self._conclude(sounding)

    def _stop_sounding(self, by: InterruptedBy) -> str | None:
        stopped: str | None = None
        for sounding in list(self._sounding.values()):
            if sounding.interruptible or by is not InterruptedBy.CALLER:
                self._stop(sounding, by)
                stopped = stopped or sounding.response_id
        return stopped

    def _stop(self, sounding: Sounding, by: InterruptedBy | None) -> None:
        sounding.cut_by = by
        self._emit(RealtimeModelAudioInterruptedEvent(sounding.response_id, sounding.playing.id))
        if self._sounding.get(sounding.response_id) is sounding:
            self._conclude(sounding)  # nobody answered

    # ── a new link ──────────────────────────────────────────────────────────────────────────────
    def restore(self, model: OpenAIRealtimeWebSocketModel, *, planned: bool = False) -> Restored:
        """Go on over ``model``, which is connected and configured.

        ``planned``: the present link still stands and is left to its owner; call it only when :attr:`idle`.
        Raises :class:`~voiceagent.errors.ProviderError` when the new link is lost already.
        """
        link = model.link
        if link.closed is not None:
            raise ProviderError(f"the new link was lost: {link.closed}", code="link_lost")
        past = self._inner.link.conversation
        if planned:
            self.history.fold(past)
        self._remove()
        self._inner = model
        self._append = link.outbound.send_audio
        self._remove = self._listen_to(model)
        self.config_layout = model.config_layout
        self.up = True
        link.conversation.take_over_calls(past)
        self._settings_again(model)
        items = list(self.history.items())
        for item in items:
            link.outbound.put_item(item, item["id"])
        audio = self.caller_audio.last(HANDOVER_AUDIO_MS if planned else self.caller_audio.ms)
        per_ms = BYTES_PER_MS[link.conversation.mirror.input_format]
        for start in range(0, len(audio), AUDIO_CHUNK_MS * per_ms):
            link.outbound.keep_audio(audio[start : start + AUDIO_CHUNK_MS * per_ms])
        waiting = [wish.request.id for wish in self._waiting()]
        for response in link.conversation.responses.values():
            if response.follow_up is not None:
                self._wish(response.follow_up)
        self._ask_again()
        return Restored(len(items), len(audio) // per_ms, waiting)

    def _settings_again(self, model: OpenAIRealtimeWebSocketModel) -> None:
        unanswered = list(self._notes.unanswered.items())
        if self._changes:
            model.send(RealtimeModelSendSessionUpdate(self._changes, self._new_id()))
        for event_id, session in unanswered:  # somebody may wait for these answers
            model.send(RealtimeModelSendSessionUpdate(session, event_id))
        if self._paused:
            model.send(RealtimeModelSendPaused(True))
        if self._taken_over:
            model.send(RealtimeModelSendTakenOver(True))

    def _ask_again(self) -> None:
        """Submit what waits, in the order of asking, once the words of the lost link have been heard."""
        if self._sounding or not self.up:
            return
        outputs, self._late_outputs = self._late_outputs, []
        for event in outputs:
            self._inner.send(event)
        for wish in self._waiting():
            request = self._wishes.ask_again(wish, self._loop.time())
            if request is None:
                late = Outcome(OutcomeKind.EXPIRED, code="deadline", reason="no link in time")
                self._settle(wish.id, late)
                continue
            self._emit(RealtimeModelNoticeEvent("reissued", wish.id, details={"as": request.id}))
            self._inner.send(RealtimeModelSendResponseCreate(request=request))
