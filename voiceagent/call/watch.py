"""The driver of a call's vigil and its dead-air meter: facts in, orders carried out, one timer."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING

from voiceagent.call.dead_air import DeadAir, runs_of_sound
from voiceagent.call.ledger import LedgerEntry
from voiceagent.call.local_lines import PREFIX, LineName, line
from voiceagent.call.observer import CallObserver
from voiceagent.call.outcome import CallOutcome, OutcomeClass
from voiceagent.call.vigil import (
    Answered,
    Asked,
    Begun,
    Caller,
    Event,
    Finished,
    Flushed,
    Hold,
    ItemOpen,
    LinePlayed,
    LinkLost,
    NewSession,
    Notice,
    Order,
    PlayLine,
    Recover,
    StopLine,
    ToldToWait,
    Tool,
    Vigil,
    VigilConfig,
)
from voiceagent.realtime.fault_table import Remedy, remedy_of
from voiceagent.realtime.model_events import (
    RealtimeModelAudioEvent,
    RealtimeModelConnectionStatusEvent,
    RealtimeModelEvent,
    RealtimeModelInputAudioTranscriptionCompletedEvent,
    RealtimeModelInputSpeechStartedEvent,
    RealtimeModelInputSpeechStoppedEvent,
    RealtimeModelNoticeEvent,
    RealtimeModelResponseOutcomeEvent,
    RealtimeModelResponseProgressEvent,
    RealtimeModelToolCallEvent,
    RealtimeModelTurnEndedEvent,
    RealtimeModelTurnStartedEvent,
)
from voiceagent.realtime.requests import Origin, Progress

if TYPE_CHECKING:
    from voiceagent.call.call import Call

AWAITED = frozenset({Origin.TURN, Origin.IVR, Origin.TOOL})
"""Requests that the caller waits for. An operator's or an idle word surprises; nobody misses it."""
_HEARD = frozenset({Progress.AUDIBLE.value, Progress.GENERATED.value, Progress.PLAYED.value})
_OVER = frozenset({"response_lost", "done_missing", "response_stalled", "cancel_unanswered"})
"""Notices of the sequencer that a response is no longer believed in."""
_WORDS = "the caller's words"
"""Stands for the transcript of the caller's turn among what is due: flows wait for it."""
_OUR_OWN = frozenset(
    {
        RealtimeModelNoticeEvent,
        RealtimeModelResponseProgressEvent,
        RealtimeModelResponseOutcomeEvent,
    }
)
_TELLING = frozenset(
    {
        RealtimeModelTurnStartedEvent,
        RealtimeModelTurnEndedEvent,
        RealtimeModelInputSpeechStartedEvent,
        RealtimeModelInputSpeechStoppedEvent,
        RealtimeModelInputAudioTranscriptionCompletedEvent,
        RealtimeModelToolCallEvent,
        RealtimeModelResponseOutcomeEvent,
        RealtimeModelConnectionStatusEvent,
        RealtimeModelNoticeEvent,
    }
)
"""Events that say more than that the provider lives."""


class Watch:
    """Watches one call. Synchronous, on the loop's thread, like everything it hears."""

    def __init__(
        self,
        call: Call,
        observer: CallObserver,
        config: VigilConfig,
        *,
        transcribes: bool,
        prompts_dir: str | None = None,
    ) -> None:
        self._call = call
        self._prompts_dir = prompts_dir
        self._observer = observer
        self._transcribes = transcribes
        self._loop = asyncio.get_running_loop()
        self._vigil = Vigil(config)
        self._meter = DeadAir()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._on = False
        self._held = False
        self._speaking = False
        self._owed = False
        """The caller was just answered and has not heard anybody yet."""
        self._words_due = False
        """The transcript of the caller's turn has been asked for, and has not come."""
        self._open: set[str] = set()
        """Requests that are neither audible nor over."""
        self._items: set[str] = set()
        """Items of the agent's that the line is in the middle of."""
        self._lines = 0

    @property
    def longest_gap_s(self) -> float:
        """Longest silence while it was our turn."""
        return self._meter.so_far(self._loop.time())

    @property
    def silence_s(self) -> float:
        """How long the caller has been hearing nothing while it is our turn."""
        return self._meter.lasting(self._loop.time())

    @property
    def our_turn(self) -> bool:
        """True while the caller has reason to wait for our voice, or hears it."""
        return (
            self._on
            and not self._speaking
            and not self._held
            and bool(self._owed or self._open or self._items or self._vigil.waiting)
        )

    @property
    def caller_speaks(self) -> bool:
        """True from the caller's beginning to speak to the end of that."""
        return self._speaking

    @property
    def line_playing(self) -> bool:
        """True while a line that bridges silence is heard, or about to be."""
        return self._vigil.line_playing(self._loop.time())

    # ── life ────────────────────────────────────────────────────────────────────────────────────
    def start(self) -> None:
        """The call is answered: from now on silence counts."""
        self._on = self._owed = True
        self.new_session()

    def new_session(self) -> None:
        """A session is attached, the first one or another."""
        self._feed(NewSession())

    def close(self) -> None:
        """The call is over; the meter keeps its figure."""
        self._meter.our_turn(self._loop.time(), False)
        self._on = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # ── the session speaks ──────────────────────────────────────────────────────────────────────
    def hear(self, event: RealtimeModelEvent, now: float) -> None:
        """Take one event of the session, before anybody acts on it."""
        if not self._on:
            return
        if isinstance(event, RealtimeModelAudioEvent):
            self._audio(event.response_id, event.data, now)
            return
        kind = type(event)
        if kind in _TELLING:
            self._told(event)
        if kind not in _OUR_OWN:
            self._vigil.alive(now)
            if self._vigil.nearer:
                self._rearm()

    def _told(self, event: RealtimeModelEvent) -> None:
        match event:
            case RealtimeModelTurnStartedEvent() if not event.out_of_band:
                self._feed(Begun(event.response_id))
            case RealtimeModelTurnEndedEvent():
                self._feed(Finished(event.response_id))
                if event.status == "failed" and remedy_of(event.error_code) is Remedy.SPEAK:
                    self._feed(ToldToWait())
            case RealtimeModelInputSpeechStartedEvent():
                self._speaking = True
                self._words_came()
                self._feed(Caller(True))
            case RealtimeModelInputSpeechStoppedEvent():
                self._speaking = False
                self._feed(Caller(False))
                if self._transcribes:
                    self._words_due = True
                    self._feed(Asked(_WORDS))
            case RealtimeModelInputAudioTranscriptionCompletedEvent():
                self._words_came()
            case RealtimeModelToolCallEvent():
                self._feed(Tool(True))
            case RealtimeModelResponseOutcomeEvent():
                if event.outcome.response_id is not None:
                    self._feed(Finished(event.outcome.response_id))
            case RealtimeModelConnectionStatusEvent(status="connected"):
                self._feed(NewSession())
            case RealtimeModelNoticeEvent(code="link_lost"):
                self._feed(LinkLost())
            case RealtimeModelNoticeEvent():
                if event.response_id is not None and event.code in _OVER:
                    self._feed(Finished(event.response_id))
            case _:
                pass

    def _audio(self, response_id: str, audio: bytes, now: float) -> None:
        if self._owed:
            self._owed = False
            self._judge_turn()
        if self._words_due:  # whoever answers has heard
            self._words_came()
        runs = runs_of_sound(audio, self._call.leg.audio_format)
        quiet = runs[-1][0] if runs and not runs[-1][1] else 0
        orders = self._vigil.audio(response_id, len(audio) / 8, quiet / 8, now)
        if orders:
            self._do(orders)
        if self._vigil.nearer:
            self._rearm()
        for size, sound in runs:
            self._meter.queue(now, size / 8000, sound)

    def _words_came(self) -> None:
        if self._words_due:
            self._words_due = False
            self._feed(Answered(_WORDS))

    def request_changed(self, entry: LedgerEntry) -> None:
        """A request has come further, or ended."""
        request = entry.request
        if not self._on or request.origin not in AWAITED or request.out_of_band:
            return
        if entry.outcome is not None or entry.state in _HEARD:
            self._open.discard(request.id)
            self._feed(Answered(request.id))
        else:
            self._open.add(request.id)
            if entry.state == Progress.SENT:
                self._feed(Asked(request.id))
            else:
                self._judge_turn()

    def working(self, on: bool) -> None:
        """Something that the caller waits for is at work outside, or has come back."""
        self._feed(Tool(on))

    def tool_ended(self) -> None:
        """A tool function has returned."""
        self._feed(Tool(False))

    # ── the line speaks ─────────────────────────────────────────────────────────────────────────
    def playback_started(self, item_id: str) -> None:
        """The line is in the middle of this item of the agent's."""
        self._items.add(item_id)
        self._feed(ItemOpen(True))

    def playback_ended(self, item_id: str) -> None:
        """The line is done with it."""
        self._items.discard(item_id)
        self._feed(ItemOpen(bool(self._items)))

    def flushed(self) -> None:
        """The line was silenced."""
        self._items.clear()
        self._meter.flushed(self._loop.time())
        self._feed(Flushed())
        self._feed(ItemOpen(False))

    def line(self, name: LineName) -> bytes:
        """Return a recorded line in the language of the call's flow."""
        call = self._call
        return line(name, call.leg.audio_format, call.flow.options.words.tag, self._prompts_dir)

    def play_line(self, audio: bytes, response_id: str) -> None:
        """Play a recorded line whole; its id must say that it is local."""
        leg = self._call.leg
        leg.play(audio, response_id=response_id, item_id=response_id)
        leg.play_end(response_id=response_id)
        self.played(audio)

    def played(self, audio: bytes) -> None:
        """Sound of our own was handed to the line: no answer, but no dead air either."""
        now = self._loop.time()
        for size, sound in runs_of_sound(audio, self._call.leg.audio_format):
            self._meter.queue(now, size / 8000, sound)

    def held(self, on: bool) -> None:
        """The call is on hold, or back."""
        self._held = on
        self._feed(Hold(on))

    # ── doing ───────────────────────────────────────────────────────────────────────────────────
    def _feed(self, event: Event, now: float | None = None) -> None:
        if not self._on:
            return
        if now is None:
            now = self._loop.time()
        orders = self._vigil.handle(event, now)
        if orders:
            self._do(orders)
        self._meter.our_turn(now, self.our_turn)
        if self._vigil.nearer:
            self._rearm()

    def _judge_turn(self) -> None:
        self._meter.our_turn(self._loop.time(), self.our_turn)

    def _wake(self) -> None:
        self._timer = None
        if self._on:
            self._do(self._vigil.wake(self._loop.time()))
            self._rearm()

    def _rearm(self) -> None:
        """Set the timer, if it would be too late; one that fires early is harmless, and stays."""
        due = self._vigil.wake_at() if self._on else None
        if due is None or (self._timer is not None and self._timer_at <= due):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = due
        self._timer = self._loop.call_at(due, self._wake)

    def _do(self, orders: list[Order]) -> None:
        call = self._call
        for order in orders:
            match order:
                case PlayLine():
                    self._play_line(order)
                case StopLine():
                    call.stop_leg()
                case Notice():
                    self._notice(order.code, order.details)
                case Recover():
                    self._notice(f"provider_{order.reason}", order.details)
                    detail = "one session after another was given up" if order.final else ""
                    outcome = CallOutcome(OutcomeClass.PROVIDER, order.reason, detail)
                    call.ending.provider_failed(outcome, final=order.final)
                    if order.reason == "silent_audio":
                        call.stop_leg()  # the silence that still waits to be played helps nobody

    def _notice(self, code: str, details: Mapping[str, float]) -> None:
        self._call.journal.write("notice", code=code, **details)
        self._observer.noticed(self._call, RealtimeModelNoticeEvent(code, details=details))

    def _play_line(self, order: PlayLine) -> None:
        if self._call.holding.in_queue:
            return  # music is heard: nobody waits in silence
        self._lines += 1
        audio = self.line(order.name)
        self._call.journal.write("line.played", line=order.name)
        self.play_line(audio, f"{PREFIX}{order.name}-{self._lines}")
        self._feed(LinePlayed(len(audio) / 8000))
