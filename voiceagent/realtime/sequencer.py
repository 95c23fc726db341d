"""PURE. The response sequencer: who may speak next, and what became of every wish to speak.

One per realtime session. Nobody else sends ``response.create`` or ``response.cancel``. It promises that
two responses of the conversation never overlap, that nobody talks over the caller, that a request is
never heard twice, and that every request ends in exactly one outcome.

States
    link      attaching | up | down | closed
    slot      free | sending (create under way) | active (ours, vad, foreign) | cancelling | unknown.
              ``sending`` and ``active`` may both hold for a moment: the server's automatic reply won the race
              and our create is about to be refused.
    turn      none | speaking | stopped (not yet committed) | awaiting_auto (the server is about to answer)
    playback  per response: not begun | audible | ended; *draining* when the generation is over first
    request   queued → sent → started → audible → generated → played, then one outcome

Rules
     1  The gate (:meth:`SequencerCore._held`): link up, slot free, caller silent, no automatic reply due,
        needed items acknowledged, nothing audible where ``after_playback``. Order: class, ``now`` first, age.
     2  Every create has our event id and, if the request allows, request id and attempt in its metadata.
     3  A created response that nobody wants any more, or that meets the caller's speech, is cancelled by id
        at once and its output swallowed; unheard requests are said later unless their policy is *drop*.
     4  A refusal because of an active response puts the request back to the front of its class, with a
        growing pause; other errors that name our frame end it ``rejected``.
     5  ``response.done`` frees the slot of its own id only. Failed with a passing cause: once more.
     6  Speech closes the gate, drops droppable requests and stops what may be interrupted. A committed turn
        holds the gate while an automatic reply is due (learned from measured gaps).
     7  Where we answer turns ourselves, what was asked before the turn's end lets the turn's reply go first.
     8  Tool outputs: one follow-up when all are acknowledged; a reply that starts after the last
        acknowledgement *satisfies* it.
     9  Same coalescing key: the newest waiting one wins. Plain follow-ups merge. Same id: nothing new.
    10  An interrupt cancels by id, silences playback, and is done when both have ended (or after 2 s).
    11  ``now`` interrupts its equals and lessers first, then waits at the head of its class.
    12  Every wait is bounded: create unanswered → probe (a cancel without id: "not active" proves the slot
        free); cancel unanswered → probe; active without a sign of life → cancel; playback end missing → cap.
        A deadline lives on the object it belongs to, so a late timer can never hit another epoch's object.
    13  ``completed`` means heard: after the end of playback, or at done where there was no audio.
    14  A lost link loses what was being sent (or retries it where allowed), keeps the queue, never replays
        frames, and listens for 1.5 s after a re-attach before it sends.
    15  At most 32 wait: the least urgent, newest one is rejected (``overloaded``).
    16  While a human speaks in the agent's place nothing is sent that could be heard, and nothing is dropped
        because the caller speaks or presses a key: it is not meant for the agent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from voiceagent.realtime.requests import Outcome
from voiceagent.realtime.sequencer_caller import CallerRules
from voiceagent.realtime.sequencer_core import NEVER, Effects
from voiceagent.realtime.sequencer_io import (
    Closing,
    DigitReceived,
    InputCommitted,
    InterruptAsked,
    ItemAcked,
    ItemRefused,
    LinkDown,
    LinkUp,
    OutputStarted,
    Paused,
    PlaybackEnded,
    PlaybackStarted,
    ResponseCreated,
    ResponseDone,
    RoundTripMeasured,
    SequencerEffect,
    SequencerEvent,
    ServerError,
    SessionExpiring,
    SessionMirrored,
    SpeechStarted,
    SpeechStopped,
    Submitted,
    TakenOver,
    TimeoutTriggered,
    Withdrawn,
)
from voiceagent.realtime.sequencer_queue import order_key
from voiceagent.realtime.sequencer_state import (
    Entry,
    Link,
    Phase,
    QueuedView,
    SequencerView,
    SlotView,
    Stage,
)


class Sequencer(CallerRules):
    """The machine: feed events with the time, perform the effects in order, wake it at ``wake_at()``.

    ``tokens`` mints the event ids of our frames. ``jitter`` maps an event id to 0 ≤ x < 1 and spreads
    retries; the default is a checksum, so a replay behaves the same.
    """

    __slots__ = ()
    _rules: ClassVar[Mapping[type, Callable[[Any, Any, float, Effects], None]]]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls._rules = rules_of(cls)

    def handle(self, event: SequencerEvent, now: float) -> list[SequencerEffect]:
        """Take one event; return what must be done, in order. Never raises on any order of events."""
        out: Effects = []
        if now > self._now:
            self._now = now
        if now >= self._due:
            self._expire(now, out)
        if self._link is Link.CLOSED:
            self._after_end(event, out)
            return out
        self._rules[type(event)](self, event, now, out)
        if self._queue and self._link is Link.UP:
            self._pump(now, out)
        return out

    def wake_at(self) -> float | None:
        """Return when :meth:`wake` is due, or None. May be earlier than strictly needed, never later."""
        return None if self._due == NEVER else self._due

    def wake(self, now: float) -> list[SequencerEffect]:
        """Do what has become due. Calling early is harmless."""
        out: Effects = []
        if now > self._now:
            self._now = now
        self._expire(now, out)
        if self._queue and self._link is Link.UP:
            self._pump(now, out)
        return out

    def _expire(self, now: float, out: Effects) -> None:
        """Do all that is due; then find the next deadline."""
        sending = self._sending
        if sending is not None and now >= sending.ack_at:
            self._create_unanswered(sending, now, out)
        if self._oob:
            for entry in [entry for entry in self._oob.values() if now >= entry.ack_at]:
                self._create_unanswered(entry, now, out)
        if self._unknown_until and now >= self._unknown_until:
            self._unknown_over(out)
        for reply in list(self._replies.values()):
            if reply.deadline and now >= reply.deadline:
                self._generation_overdue(reply, now, out)
            if reply.play_by and now >= reply.play_by:
                self._playback_overdue(reply, now, out)
        self._expire_waiters(now, out)
        self._expire_turn(now, out)
        self._expire_session(now, out)
        self._expire_requests(now, out)
        self._rearm(now)

    # ── looking in ──────────────────────────────────────────────────────────────────────────────
    def knows(self, request_id: str) -> bool:
        """True if this id was accepted before (rule 9: submitting it again changes nothing)."""
        return request_id in self._entries or request_id in self._ledger

    def outcome_of(self, request_id: str) -> Outcome | None:
        """Return how a request ended, as long as it is remembered (the last 256)."""
        return self._ledger.get(request_id)

    def snapshot(self, now: float | None = None) -> SequencerView:
        """Return a frozen view of everything, for the console; ``now`` defaults to the last time seen."""
        at = self._now if now is None else now
        order = sorted(self._queue, key=lambda entry: order_key(entry, at, self.config.ageing_s))
        live = [entry for entry in self._entries.values() if entry.stage is not Stage.QUEUED]
        playing = tuple(reply.rid for reply in self._replies.values() if reply.sounding)
        playback = "idle"
        if playing:
            generating = any(r.sounding and r.phase is not Phase.DONE for r in self._replies.values())
            playback = "playing" if generating else "draining"
        return SequencerView(
            link=self._link.value,
            slot=self._slot_view(),
            turn=self._turn.name.lower(),
            playback=playback,
            playing=playing,
            requests=tuple(
                [self._view(entry, at) for entry in live] + [self._view(entry, at) for entry in order]
            ),
            out_of_band=self._oob_running(),
            auto_create=self._auto_create,
            auto_interrupt=self._auto_interrupt,
            round_trip_s=self._rtt,
            hold_s=self._gaps.hold_s,
            paused=self._paused,
            taken_over=self._taken_over,
        )

    def _view(self, entry: Entry, now: float) -> QueuedView:
        why = (self._held(entry, now) or "ready") if entry.stage is Stage.QUEUED else ""
        return QueuedView(
            request_id=entry.id,
            origin=entry.request.origin.value,
            state=entry.progress.value,
            why=why,
            attempt=entry.attempt,
            waited_s=now - entry.submitted_at,
            response_id=entry.reply.rid if entry.reply is not None else None,
        )

    def _slot_view(self) -> SlotView:
        reply = self._active
        if reply is not None:
            state = "cancelling" if reply.phase is Phase.CANCELLING else "active"
            request_id = reply.entry.id if reply.entry is not None else None
            return SlotView(state, self._since, request_id, reply.rid, reply.owner.value)
        if self._sending is not None:
            return SlotView("sending", self._since, self._sending.id)
        return SlotView("unknown" if self._unknown_until else "free", self._since)


_RULES: dict[type, str] = {
    Submitted: "_on_submitted",
    Withdrawn: "_on_withdrawn",
    InterruptAsked: "_on_interrupt",
    LinkUp: "_on_link_up",
    LinkDown: "_on_link_down",
    Closing: "_on_closing",
    RoundTripMeasured: "_on_round_trip",
    SessionExpiring: "_on_expiring",
    Paused: "_on_paused",
    TakenOver: "_on_taken_over",
    DigitReceived: "_on_digit",
    SessionMirrored: "_on_mirrored",
    ResponseCreated: "_on_created",
    ResponseDone: "_on_done",
    ServerError: "_on_error",
    OutputStarted: "_on_output",
    SpeechStarted: "_on_speech_started",
    SpeechStopped: "_on_speech_stopped",
    InputCommitted: "_on_committed",
    TimeoutTriggered: "_on_timeout_triggered",
    ItemAcked: "_on_item_acked",
    ItemRefused: "_on_item_refused",
    PlaybackStarted: "_on_playback_started",
    PlaybackEnded: "_on_playback_ended",
}


def rules_of(cls: type) -> dict[type, Callable[[Any, Any, float, Effects], None]]:
    """Return which method of ``cls`` takes which event."""
    return {kind: getattr(cls, name) for kind, name in _RULES.items()}


Sequencer._rules = rules_of(Sequencer)  # pyright: ignore[reportPrivateUsage]
