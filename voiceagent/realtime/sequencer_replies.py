"""PURE. The life of one response: output, playback, stopping it, its end, and what that means.

A request is *completed* when it was heard to its end: at ``PlaybackEnded``, or at ``response.done``
where no audio came. A request is said again only if nothing of it was heard (invariant I5).
"""

from __future__ import annotations

from voiceagent.realtime.fault_table import worth_asking_again
from voiceagent.realtime.requests import InterruptedBy, Outcome, OutcomeKind, Progress
from voiceagent.realtime.sequencer_core import TAKEN_OVER, Effects, SequencerCore
from voiceagent.realtime.sequencer_io import (
    Notice,
    OutputStarted,
    PlaybackEnded,
    PlaybackStarted,
    SendBufferClear,
    SendCancel,
    StopPlayback,
    SwallowOutput,
)
from voiceagent.realtime.sequencer_state import Entry, Link, Owner, Phase, Reply, Stage, Turn


class ReplyRules(SequencerCore):
    """Rules 5, 10 and 13: how responses end and what their requests learn from it."""

    __slots__ = ()

    # ── stopping ────────────────────────────────────────────────────────────────────────────────
    def _cancel(self, reply: Reply, now: float, out: Effects) -> None:
        """Cancel the generation, by id, once."""
        if reply.phase >= Phase.CANCELLING:
            return
        if self._link is not Link.UP:
            self._finish(reply, "cancelled", now, out)  # no frame can leave; the link's loss ended it anyway
            return
        reply.phase = Phase.CANCELLING
        reply.cancel_eid = self._tokens()
        reply.deadline = now + self.config.cancel_ack_s
        self._arm(reply.deadline)
        out.append(SendCancel(reply.rid if self.config.cancel_by_id else None, reply.cancel_eid))

    def _swallow(self, reply: Reply, out: Effects) -> None:
        if not reply.unwanted:
            reply.unwanted = True
            if not self.config.owns_output_buffer:
                out.append(SwallowOutput(reply.rid))

    def _hush(self, reply: Reply, now: float, out: Effects) -> None:
        """Silence what of ``reply`` is heard or waits to be heard; its generation is another matter."""
        if self.config.owns_output_buffer:
            if self._link is not Link.UP:
                return
            if not reply.cleared and not reply.ended and (reply.sounding or reply.phase is not Phase.DONE):
                reply.cleared = True
                out.append(SendBufferClear(self._tokens()))
        else:
            if reply.phase is not Phase.DONE:
                self._swallow(reply, out)
            if reply.sounding and not reply.stopping:
                reply.stopping = True
                out.append(StopPlayback(reply.rid))
        if reply.sounding:
            if reply.audible:
                reply.play_by = now + self.config.stop_cap_s
                self._arm(reply.play_by)
            else:
                reply.ended = True  # it waited behind another one: nothing was heard, nothing will be
                reply.cut = True

    def _silence(self, reply: Reply, by: InterruptedBy, now: float, out: Effects) -> None:
        """Cut ``reply`` short on somebody's behalf: cancel what is generated, silence what is heard."""
        if reply.cut_by is None:
            reply.cut_by = by
        if reply.phase is not Phase.DONE:
            self._cancel(reply, now, out)
        self._hush(reply, now, out)
        self._conclude_if_over(reply, now, out)

    # ── output and playback ─────────────────────────────────────────────────────────────────────
    def _on_output(self, event: OutputStarted, now: float, out: Effects) -> None:
        reply = self._replies.get(event.response_id)
        if reply is None:
            if event.response_id in self._gone:
                return
            reply = self._meet(event.response_id, now, out)
        elif reply.orphan and self._link is Link.UP:
            self._readopt(reply, now, out)
        if reply.phase is Phase.ACTIVE and not reply.orphan:
            if event.audible:
                reply.beats += 1
            cfg = self.config
            reply.deadline = now + (cfg.stall_single_s if reply.beats == 1 else cfg.stall_s)
            self._arm(reply.deadline)
        if event.audible:
            reply.out = True
            if reply.unwanted and not reply.audible:
                reply.ended = reply.cut = True
            elif reply.owner is Owner.UNSEEN and not reply.audible:
                # Whoever asked for it: not over the caller's speech, nor over a human's.
                if self._taken_over:
                    reply.cut_by, reply.taken = InterruptedBy.OPERATOR, True
                    self._hush(reply, now, out)
                elif self._turn is Turn.SPEAKING:
                    reply.cut_by = InterruptedBy.CALLER
                    self._hush(reply, now, out)

    def _meet(self, rid: str, now: float, out: Effects) -> Reply:
        """Note a response that shows itself by output only. It takes the slot only while we listen for it."""
        listening = bool(self._unknown_until) and self._probe_eid is None and self._active is None
        reply = Reply(rid, Owner.FOREIGN if listening else Owner.UNSEEN, None, False, now)
        reply.deadline = now + self.config.stall_s
        self._arm(reply.deadline)
        self._replies[rid] = reply
        if listening:
            self._unknown_until = 0.0
            self._active = reply
            self._since = now
        out.append(Notice("response_without_created", None, rid, {"owner": reply.owner.value}))
        return reply

    def _readopt(self, reply: Reply, now: float, out: Effects) -> None:
        """A response that the lost link cut off is still alive."""
        reply.orphan = False
        reply.deadline = now + self.config.stall_s
        self._arm(reply.deadline)
        if self._active is None and not reply.oob:
            self._active = reply
            self._since = now
            self._unknown_until = 0.0
        out.append(Notice("response_survived_link", reply.entry.id if reply.entry else None, reply.rid))

    def _on_playback_started(self, event: PlaybackStarted, now: float, out: Effects) -> None:
        rid = event.response_id
        ghost = self._ghosts.pop(rid, None)
        if ghost is not None:
            self._revoke(ghost, now, out)
        reply = self._replies.get(rid)
        if reply is None:
            if rid in self._gone:
                return
            reply = Reply(rid, Owner.UNSEEN, None, False, now)
            reply.deadline = now + self.config.stall_s
            self._arm(reply.deadline)
            self._replies[rid] = reply
        if reply.audible or reply.ended:
            return
        reply.audible = True
        reply.audible_at = now
        entry = reply.entry
        if entry is not None and entry.stage is Stage.LIVE:
            self._step(entry, Progress.AUDIBLE, rid, out)
            if reply.phase is Phase.DONE and reply.status in ("completed", "incomplete"):
                self._step(entry, Progress.GENERATED, rid, out)
        if reply.unwanted or (reply.owner is Owner.OURS and entry is None and not reply.oob):
            self._hush(reply, now, out)
        elif reply.phase is Phase.DONE:
            reply.play_by = now + self._rest_of_playback(reply, now)
            self._arm(reply.play_by)

    def _on_playback_ended(self, event: PlaybackEnded, now: float, out: Effects) -> None:
        reply = self._replies.get(event.response_id)
        if reply is None or (reply.ended and reply.audible):
            return
        entry = reply.entry
        if not reply.audible and event.heard_ms > 0:
            reply.audible = True
            if entry is not None and entry.stage is Stage.LIVE:
                self._step(entry, Progress.AUDIBLE, reply.rid, out)
        reply.ended = True
        reply.cut = event.cut
        reply.heard_ms = event.heard_ms
        reply.heard_text = event.heard_text
        reply.play_by = 0.0
        if reply.phase is not Phase.DONE and not event.cut and self.config.owns_output_buffer:
            # The provider's buffer empties after response.done; if that was lost, do not wait long for it.
            reply.deadline = min(
                reply.deadline or now + self.config.cancel_ack_s, now + self.config.cancel_ack_s
            )
            self._arm(reply.deadline)
        self._conclude_if_over(reply, now, out)

    def _rest_of_playback(self, reply: Reply, now: float) -> float:
        """Return after how many seconds a missing end of playback is no longer believed in (rule 12)."""
        cfg = self.config
        if reply.stopping or reply.cleared:
            return cfg.stop_cap_s
        if reply.audio_ms is not None:
            rest = reply.audio_ms / 1000.0
        elif reply.text:
            rest = len(reply.text) / cfg.chars_per_s
        else:
            rest = cfg.drain_unknown_s
        if reply.audible:
            rest -= now - reply.audible_at
        else:
            before = [
                other.play_by - now
                for other in self._replies.values()
                if other is not reply and other.sounding
            ]
            rest += max(before, default=0.0)
        return min(max(rest, 0.0) + cfg.drain_margin_s, cfg.drain_max_s)

    def _playback_overdue(self, reply: Reply, now: float, out: Effects) -> None:
        if self._paused and not reply.stopping:
            reply.play_by = now + self.config.drain_unknown_s  # a held call plays nothing, and loses nothing
            self._arm(reply.play_by)
            return
        reply.play_by = 0.0
        reply.ended = True
        if reply.stopping or reply.cleared or reply.cut_by is not None:
            reply.cut = True
        elif reply.audible:
            reply.heard_ms = reply.audio_ms or int((now - reply.audible_at) * 1000.0)
            reply.heard_text = reply.text
        elif reply.beats:
            reply.status = "failed"  # audio came, but nobody ever began to play it: that is not "heard"
        reply.code = reply.code or "playback_end_missing"
        if not self.config.owns_output_buffer and not reply.stopping:
            reply.stopping = True
            out.append(StopPlayback(reply.rid))  # given up, so it must not be heard later either
        out.append(Notice("playback_end_missing", reply.entry.id if reply.entry else None, reply.rid))
        self._conclude_if_over(reply, now, out)

    # ── the end ─────────────────────────────────────────────────────────────────────────────────
    def _finish(self, reply: Reply, status: str, now: float, out: Effects) -> None:
        """The generation of ``reply`` is over: free the slot, then wait for playback or conclude."""
        if reply.phase is Phase.DONE:
            return
        reply.phase = Phase.DONE
        reply.status = status
        reply.deadline = 0.0
        if self._active is reply:
            self._active = None
        entry = reply.entry
        cfg = self.config
        good = status in ("completed", "incomplete")
        if (
            reply.unwanted
            and not reply.audible
            and (reply.audio_ms or (reply.audio_ms is None and reply.text))
        ):
            reply.ended = reply.cut = True  # there was something to hear, and we swallowed it
        if status == "cancelled" and reply.cut_by is None and not reply.stalled:
            reply.provider_cut = True
            reply.cut_by = (
                InterruptedBy.NEWER
                if reply.reason == "superseded"
                else InterruptedBy.CALLER
                if reply.reason == "turn_detected"
                else InterruptedBy.OPERATOR
            )
            if not (entry is not None and entry.protected and reply.audible):
                self._hush(reply, now, out)
        elif reply.stalled and not reply.audible:
            self._hush(reply, now, out)
        if good and not reply.out and not reply.ended and not reply.unwanted:
            # Audio that was counted will be heard; where the provider plays, text is the best sign of it.
            counted = reply.audio_ms is not None or not cfg.owns_output_buffer
            reply.out = bool(reply.audio_ms) if counted else bool(reply.text)
        if good and entry is not None and entry.stage is Stage.LIVE and (reply.audible or not reply.sounding):
            self._step(entry, Progress.GENERATED, reply.rid, out)
        if reply.sounding:
            reply.play_by = now + self._rest_of_playback(reply, now)
            self._arm(reply.play_by)
            return
        self._conclude(reply, now, out)

    def _conclude_if_over(self, reply: Reply, now: float, out: Effects) -> None:
        if reply.phase is Phase.DONE and not reply.sounding and reply.rid in self._replies:
            self._conclude(reply, now, out)

    def _conclude(self, reply: Reply, now: float, out: Effects) -> None:
        """Neither generation nor playback is left: give the request its outcome, or another try."""
        self._forget_reply(reply)
        entry = reply.entry
        if entry is not None and entry.stage is Stage.LIVE:
            self._judge(reply, entry, now, out)
        self._release(rid=reply.rid, out=out)

    def _judge(self, reply: Reply, entry: Entry, now: float, out: Effects) -> None:
        heard = reply.audible
        kind = OutcomeKind.INTERRUPTED
        if entry.withdrawn:
            kind = OutcomeKind.WITHDRAWN
        elif reply.status in ("completed", "incomplete") and not reply.cut:
            kind = OutcomeKind.COMPLETED
            if heard:
                self._step(entry, Progress.PLAYED, reply.rid, out)
        elif reply.status == "lost":
            if not heard and entry.request.retry_on_lost:
                self._again(reply, entry, now, out, "response_lost")
                return
            kind = OutcomeKind.LOST
        elif reply.status == "failed":
            entry.failures += 1
            transient = reply.hint is not None or worth_asking_again(reply.code)
            if not heard and transient and entry.failures <= self.config.failed_retries:
                wait = self.config.failed_retry_s if reply.hint is None else reply.hint
                self._again(
                    reply, entry, now, out, "response_failed", min(wait, self.config.failed_retry_max_s)
                )
                return
            kind = OutcomeKind.FAILED
            out.append(Notice("request_failed", entry.id, reply.rid, {"reason": reply.code or "failed"}))
        elif reply.stalled and reply.cut_by is None:
            if not heard:
                self._ghosts_keep(reply, entry)
                self._retry(entry, now, out, why="response_stalled", failed="stalled")
                return
            kind = OutcomeKind.FAILED
            reply.code = "stalled"
            out.append(Notice("request_failed", entry.id, reply.rid, {"reason": "stalled"}))
        elif not heard and self._said_again(reply, entry):
            self._ghosts_keep(reply, entry)
            self._unheard(entry, now, out, why=TAKEN_OVER if reply.taken else "cut_unheard")
            return
        cut_by = None
        if kind is OutcomeKind.INTERRUPTED:
            cut_by = reply.cut_by or (InterruptedBy.CALLER if self._turn else InterruptedBy.OPERATOR)
        self._settle(
            entry,
            Outcome(
                kind,
                response_id=reply.rid,
                heard_ms=reply.heard_ms,
                heard_text=reply.heard_text
                or (reply.text if kind is OutcomeKind.COMPLETED and heard else ""),
                text=reply.text,
                by=cut_by,
                code=reply.code,
                reason=reply.message or reply.reason or "",
                incomplete=reply.status == "incomplete",
                generated=reply.status == "completed",
            ),
            out,
        )

    def _said_again(self, reply: Reply, entry: Entry) -> bool:
        """Whether an unheard, cut response goes back to the queue."""
        if reply.asked:
            return False
        if reply.taken:
            return True
        superseded = reply.provider_cut and reply.cut_by is InterruptedBy.NEWER
        if reply.cut_by is not InterruptedBy.CALLER and not superseded:
            return False
        if entry.protected:
            again, entry.spared = not entry.spared, True
            return again
        return True

    def _again(
        self, reply: Reply, entry: Entry, now: float, out: Effects, why: str, wait_s: float = 0.0
    ) -> None:
        self._ghosts_keep(reply, entry)
        self._requeue(entry, now, out, why=why, wait_s=wait_s)

    def _ghosts_keep(self, reply: Reply, entry: Entry) -> None:
        """Remember whose response that was: should it be heard after all, the second one must not be."""
        entry.reply = None
        self._keep(self._ghosts, reply.rid, entry)

    def _revoke(self, entry: Entry, now: float, out: Effects) -> None:
        """A response taken for unheard is heard after all: its request must not be said again."""
        if entry.stage is Stage.ENDED:
            return
        reply = entry.reply
        if entry.stage is Stage.LIVE and reply is not None:
            if reply.audible:
                return
            self._silence(reply, InterruptedBy.CALLER, now, out)
        outcome = Outcome(OutcomeKind.INTERRUPTED, by=InterruptedBy.CALLER, code="heard_late")
        self._settle(entry, outcome, out)
