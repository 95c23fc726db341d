"""PURE. The caller's turn: speech, silence, commit, the automatic reply, and keys pressed."""

from __future__ import annotations

from voiceagent.realtime.requests import InterruptedBy, Outcome, OutcomeKind
from voiceagent.realtime.sequencer_core import NEVER, Effects
from voiceagent.realtime.sequencer_io import (
    DigitReceived,
    InputCommitted,
    Notice,
    SessionMirrored,
    SpeechStarted,
    SpeechStopped,
    TimeoutTriggered,
)
from voiceagent.realtime.sequencer_state import Owner, Phase, Reply, Turn
from voiceagent.realtime.sequencer_wishes import WishRules


class CallerRules(WishRules):
    """Rules 6 and 7."""

    __slots__ = ()

    def _on_speech_started(self, event: SpeechStarted, now: float, out: Effects) -> None:
        self._turn = Turn.SPEAKING
        self._speaking_since = now
        self._committed_at = -NEVER
        self._hold_until = 0.0
        self._grace_until = 0.0
        self._arm(now + self.config.speech_cap_s)
        self._drop_waiting(out, "caller_speaking")
        if self._replies:
            for reply in list(self._replies.values()):
                self._barge_in(reply, now, out)

    def _drop_waiting(self, out: Effects, code: str) -> None:
        if self._taken_over:
            return  # the caller answers a human
        for entry in [entry for entry in self._queue if entry.droppable]:
            self._drop_for_caller(entry, out, code)

    def _barge_in(self, reply: Reply, now: float, out: Effects) -> None:
        """The caller speaks over ``reply``: stop what is heard; cancel, unless the server does so itself."""
        entry = reply.entry
        generating = reply.phase is not Phase.DONE
        if reply.rid not in self._replies or (entry is not None and entry.protected) or reply.unwanted:
            return
        if (reply.oob or reply.owner is Owner.UNSEEN) and not reply.sounding:
            return
        if reply.cut_by is None:
            reply.cut_by = InterruptedBy.CALLER
            out.append(Notice("barge_in", entry.id if entry else None, reply.rid))
        server_does_it = self._auto_interrupt and not reply.oob
        if generating and reply.phase is Phase.ACTIVE and not reply.orphan:
            if server_does_it:
                reply.phase = Phase.EXPECTING
                reply.deadline = now + self.config.cancel_ack_s
                self._arm(reply.deadline)
            else:
                self._cancel(reply, now, out)
        if self.config.owns_output_buffer and server_does_it:
            if reply.sounding:
                reply.play_by = now + self.config.stop_cap_s
                self._arm(reply.play_by)
        else:
            self._hush(reply, now, out)
            self._conclude_if_over(reply, now, out)

    def _on_speech_stopped(self, event: SpeechStopped, now: float, out: Effects) -> None:
        if self._turn is not Turn.SPEAKING:
            return
        self._turn_ended_at = self._number
        hold = self._gaps.hold_s if self._auto_create else self.config.turn_grace_s
        self._turn = Turn.STOPPED if hold else Turn.NONE
        self._hold_until = now + hold
        self._arm(self._hold_until)

    def _on_committed(self, event: InputCommitted, now: float, out: Effects) -> None:
        if self._turn is Turn.AWAITING_AUTO:
            return
        self._turn_ended_at = self._number
        if self._auto_create:
            self._await_auto(now)
            return
        self._turn = Turn.NONE
        if self.config.turn_grace_s:
            self._grace_until = now + self.config.turn_grace_s
            self._arm(self._grace_until)

    def _on_timeout_triggered(self, event: TimeoutTriggered, now: float, out: Effects) -> None:
        self._await_auto(now)

    def _await_auto(self, now: float) -> None:
        self._turn = Turn.AWAITING_AUTO
        self._committed_at = now
        self._hold_until = now + self._gaps.hold_s
        self._arm(self._hold_until)

    def _on_mirrored(self, event: SessionMirrored, now: float, out: Effects) -> None:
        self._auto_create = event.auto_create
        self._auto_interrupt = event.auto_interrupt
        if not event.vad:
            self._turn = Turn.NONE
            self._grace_until = 0.0
        elif not event.auto_create and self._turn is Turn.AWAITING_AUTO:
            self._turn = Turn.NONE
        if event.event_id is not None:
            self._acked(event.event_id, out)

    def _on_digit(self, event: DigitReceived, now: float, out: Effects) -> None:
        """A key answers a prompt: prompts that may be dropped are over, heard or not."""
        out.append(Notice("digit", None, None, {"digit": event.digit}))
        self._drop_waiting(out, "digit")
        sending = self._sending
        if sending is not None and sending.droppable and not sending.protected:
            outcome = Outcome(OutcomeKind.INTERRUPTED, by=InterruptedBy.CALLER, code="digit")
            self._settle(sending, outcome, out)
        for reply in list(self._replies.values()):
            entry = reply.entry
            if entry is not None and entry.droppable and not entry.protected:
                reply.asked = True
                self._silence(reply, InterruptedBy.CALLER, now, out)

    def _expire_turn(self, now: float, out: Effects) -> None:
        if self._turn in (Turn.STOPPED, Turn.AWAITING_AUTO) and now >= self._hold_until:
            if self._turn is Turn.AWAITING_AUTO:
                out.append(
                    Notice("auto_reply_missing", None, None, {"held_s": round(now - self._committed_at, 3)})
                )
            self._turn = Turn.NONE
        elif self._turn is Turn.SPEAKING and now >= self._speaking_since + self.config.speech_giveup_s:
            out.append(Notice("speech_end_missing"))
            self._turn = Turn.NONE
