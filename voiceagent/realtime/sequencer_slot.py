"""PURE. The one place for a response: created, refused, unanswered, probed, done.

Matching (rule 2): by the reserved metadata where it is echoed; else by order of sending, unless an
automatic reply is expected. What matches nothing belongs to the server (``vad``) or to others (``foreign``).
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping

from voiceagent.realtime.requests import REQUEST_KEY, TRY_KEY, Outcome, OutcomeKind, Progress
from voiceagent.realtime.sequencer_core import NEVER, TAKEN_OVER, Effects
from voiceagent.realtime.sequencer_io import Notice, ResponseCreated, ResponseDone, SendCancel, ServerError
from voiceagent.realtime.sequencer_replies import ReplyRules
from voiceagent.realtime.sequencer_state import Entry, Link, Owner, Phase, Reply, Stage, Turn

ACTIVE_CODE = "conversation_already_has_active_response"
NOT_ACTIVE_CODE = "response_cancel_not_active"
_ACTIVE_TEXT = "already has an active response"
_RUNNING_ID = re.compile(r"\bresp_[A-Za-z0-9_-]+")


class SlotRules(ReplyRules):
    """Rules 2 to 5 and 12."""

    __slots__ = ()

    # ── whose response is it ────────────────────────────────────────────────────────────────────
    def _auto_expected(self) -> bool:
        return self._turn is Turn.AWAITING_AUTO or (self._auto_create and self._turn is Turn.STOPPED)

    def _auto_late(self, now: float) -> bool:
        """True if the reply to a committed turn may still come although we no longer wait for it."""
        return self._auto_create and now <= self._committed_at + self.config.hold_max_s

    def _match(self, metadata: Mapping[str, str] | None, oob: bool) -> tuple[Entry | None, bool]:
        """Return the request a response belongs to, and whether it is one that we no longer wait for."""
        name = metadata.get(REQUEST_KEY) if metadata else None
        if name is not None and metadata is not None:
            attempt = metadata.get(TRY_KEY)
            waiting = self._oob.values() if oob else () if self._sending is None else (self._sending,)
            for entry in waiting:
                if entry.id == name and attempt in (None, str(entry.attempt)):
                    return entry, False
            entry = self._entries.get(name)
            if entry is None:
                return None, name in self._ledger
            if entry.stage is Stage.QUEUED and entry.presumed and attempt == str(entry.attempt):
                return entry, False
            return None, True
        if oob:
            for entry in self._oob.values():
                if not (self.config.metadata_echo and entry.request.correlate):
                    return entry, False
            return None, False
        entry = self._sending
        if entry is None or (self.config.metadata_echo and entry.request.correlate) or self._auto_expected():
            return None, False
        if self.config.metadata_echo and metadata and dict(metadata) != dict(entry.request.metadata or {}):
            return None, False
        return entry, False

    def _claim(self, entry: Entry, now: float) -> None:
        """Take ``entry`` off the place where it waited for ``response.created``."""
        if self._sending is entry:
            self._sending = None
        elif entry.stage is Stage.QUEUED:
            self._queue.remove(entry)
            entry.stage = Stage.SENDING
        else:
            self._oob.pop(entry.eid, None)
        self._since = now

    # ── response.created ────────────────────────────────────────────────────────────────────────
    def _on_created(self, event: ResponseCreated, now: float, out: Effects) -> None:
        rid = event.response_id
        known = self._replies.get(rid)
        if rid in self._gone or (known is not None and known.owner is not Owner.UNSEEN):
            if known is not None and known.orphan and self._link is Link.UP:
                self._readopt(known, now, out)
            return
        entry, stale = self._match(event.metadata, event.out_of_band)
        reply = self._appear(rid, entry, stale, event.out_of_band, known, now, out)
        if stale and event.metadata is not None:
            missed = self._entries.get(event.metadata.get(REQUEST_KEY, ""))
            if missed is not None and reply.audible:
                self._revoke(missed, now, out)
            elif missed is not None:
                self._keep(self._ghosts, rid, missed)

    def _appear(
        self,
        rid: str,
        entry: Entry | None,
        stale: bool,
        oob: bool,
        known: Reply | None,
        now: float,
        out: Effects,
    ) -> Reply:
        """A response exists. Give it an owner and, in the conversation, the slot; cancel it if unwanted."""
        reply = known if known is not None else Reply(rid, Owner.FOREIGN, None, oob, now)
        reply.oob = oob
        if reply.phase is Phase.ACTIVE:
            reply.deadline = now + self.config.stall_s
            self._arm(reply.deadline)
        self._replies[rid] = reply
        if entry is not None:
            self._claim(entry, now)
            reply.owner = Owner.OURS
        elif stale:
            reply.owner = Owner.OURS
        elif not oob and (self._auto_expected() or self._auto_late(now)):
            reply.owner = Owner.VAD
            if self._committed_at > -NEVER:
                self._gaps.add(now - self._committed_at)
                self._committed_at = -NEVER
        else:
            reply.owner = Owner.FOREIGN
        if not oob:
            old, self._active = self._active, reply
            if old is not None and old is not reply:
                self._displaced(old, now, out)
            self._since = now
            self._unknown_until = 0.0
            if self._turn is Turn.AWAITING_AUTO:
                self._turn = Turn.NONE
        if stale:
            self._unwanted(reply, None, now, out, "stale_create")
        elif entry is None:
            if not oob:
                out.append(Notice("response_not_ours", None, rid, {"owner": reply.owner.value}))
                self._answered(reply, now, out)
                if self._taken_over:
                    self._unwanted(reply, None, now, out, TAKEN_OVER)
                elif self._turn is Turn.SPEAKING and not self._auto_create:
                    self._unwanted(reply, None, now, out, "caller_speaking")
        elif entry.stage is Stage.ENDED:
            for waiter in self._waiters:
                if waiter.eid == entry.eid:
                    waiter.eid = None
                    waiter.rids.add(rid)
                    waiter.stopped = rid
            self._unwanted(reply, None, now, out, "no_longer_wanted")
        elif self._taken_over and not entry.mute and not reply.audible:
            self._unwanted(reply, entry, now, out, TAKEN_OVER)
        elif not entry.mute and not reply.audible and self._speech_blocks(entry, now):
            self._unwanted(reply, entry, now, out, "caller_speaking")
        else:
            entry.stage = Stage.LIVE
            entry.reply = reply
            reply.entry = entry
            self._step(entry, Progress.STARTED, rid, out)
            if reply.audible:
                self._step(entry, Progress.AUDIBLE, rid, out)
            if not oob and entry.request.instructions is None:
                self._answered(reply, now, out)
        return reply

    def _unwanted(self, reply: Reply, entry: Entry | None, now: float, out: Effects, why: str) -> None:
        """Rule 3: cancel by id at once, swallow its output, and say the request later if it may be."""
        out.append(Notice("cancelled_at_start", entry.id if entry else None, reply.rid, {"reason": why}))
        self._cancel(reply, now, out)
        self._swallow(reply, out)
        if reply.sounding:
            self._hush(reply, now, out)
        if entry is not None:
            self._ghosts_keep(reply, entry)
            self._unheard(entry, now, out, why=why)

    def _answered(self, reply: Reply, now: float, out: Effects) -> None:
        """Rule 8: a response that starts after the last acknowledged tool output answers the follow-ups.

        A line of ours with its own instructions does not: it says what it was told, not what the tool found.
        """
        sending = self._sending
        if sending is not None and sending.request.follow_up_of is not None and sending.follow_up:
            sending.satisfied_by = reply.rid
        if not self._queue:
            return
        for entry in [e for e in self._queue if e.follow_up and not e.needs]:
            outcome = Outcome(OutcomeKind.SATISFIED, response_id=reply.rid, other=reply.rid)
            self._settle(entry, outcome, out)

    def _displaced(self, old: Reply, now: float, out: Effects) -> None:
        """Another response holds the conversation, so the old one is over, even if nobody said so."""
        out.append(Notice("done_missing", old.entry.id if old.entry else None, old.rid))
        if old.phase >= Phase.EXPECTING:
            self._finish(old, "cancelled", now, out)
        elif self.config.overlap == "supersede":
            old.reason = "superseded"
            self._finish(old, "cancelled", now, out)
        else:
            self._finish(old, "completed", now, out)

    # ── error ───────────────────────────────────────────────────────────────────────────────────
    def _on_error(self, event: ServerError, now: float, out: Effects) -> None:
        eid = event.event_id
        sending = self._sending
        overlap = event.code == ACTIVE_CODE or _ACTIVE_TEXT in event.message
        if eid is not None:
            if sending is not None and eid == sending.eid:
                self._create_refused(sending, event, overlap, now, out)
            elif eid in self._oob:
                self._create_refused(self._oob[eid], event, overlap, now, out)
            elif eid == self._probe_eid:
                self._probe_answered(now, out)
            else:
                self._cancel_refused(event, now, out)
            return
        if event.code == NOT_ACTIVE_CODE:
            if self._probe_eid is not None:
                self._probe_answered(now, out)
            else:
                self._cancel_refused(event, now, out)
        elif sending is not None and overlap:
            self._create_refused(sending, event, True, now, out)
            if sending.stage is Stage.QUEUED:
                sending.presumed = True
        elif sending is not None and "response.create" in event.message:
            self._create_refused(sending, event, False, now, out)
        else:
            details: dict[str, str | int | float] = {
                "error": event.code or "",
                "message": event.message[:200],
            }
            out.append(Notice("error_not_ours", None, None, details))

    def _create_refused(
        self, entry: Entry, event: ServerError, overlap: bool, now: float, out: Effects
    ) -> None:
        """Rule 4: an overlap goes back to the front of its class, anything else is final."""
        if self._sending is entry:
            self._sending = None
        else:
            self._oob.pop(entry.eid, None)
        self._release(eid=entry.eid, out=out)
        if overlap:
            running = _RUNNING_ID.search(event.message)
            if running is not None:
                self._running_elsewhere(running.group(), now, out)
            why = {"reason": "response_active", "running": running.group() if running else ""}
            out.append(Notice("create_refused", entry.id, None, {**why, "attempt": entry.attempt}))
            if entry.satisfied_by is not None and entry.stage is not Stage.ENDED:
                outcome = Outcome(
                    OutcomeKind.SATISFIED, response_id=entry.satisfied_by, other=entry.satisfied_by
                )
                self._settle(entry, outcome, out)
            else:
                self._retry(entry, now, out, why="create_refused", failed="conflict")
            return
        if entry.stage is Stage.ENDED:
            return
        out.append(Notice("create_refused", entry.id, None, {"reason": event.code or "error"}))
        if event.code == "unknown_parameter" and not entry.stripped and self._strip(entry, event.param):
            self._requeue(entry, now, out, why="unknown_parameter")
            return
        outcome = Outcome(OutcomeKind.REJECTED, code=event.code or "error", reason=event.message)
        self._settle(entry, outcome, out)

    def _strip(self, entry: Entry, param: str | None) -> bool:
        """Leave out the field that this provider does not know; True if there was one."""
        field = (param or "").removeprefix("response.").split(".")[0].split("[")[0]
        request = entry.request
        if field in request.extra:
            extra = {key: value for key, value in request.extra.items() if key != field}
            entry.request = dataclasses.replace(request, extra=extra)
        elif field == "metadata" and (request.metadata or request.correlate):
            entry.request = dataclasses.replace(request, metadata=None, correlate=False)
        else:
            return False
        entry.stripped = True
        return True

    def _running_elsewhere(self, rid: str, now: float, out: Effects) -> None:
        """A refusal names the response that runs: wait for its end."""
        if self._active is not None or (rid in self._replies and self._replies[rid].phase is Phase.DONE):
            return
        self._gone.pop(rid, None)
        reply = self._replies.get(rid)
        if reply is None:
            reply = Reply(rid, Owner.FOREIGN, None, False, now)
            self._replies[rid] = reply
        elif reply.oob:
            return
        reply.orphan = False
        if reply.owner is Owner.UNSEEN:
            reply.owner = Owner.FOREIGN
        reply.deadline = now + self.config.stall_s
        self._arm(reply.deadline)
        self._active = reply
        self._since = now
        self._unknown_until = 0.0

    def _cancel_refused(self, event: ServerError, now: float, out: Effects) -> None:
        """Nothing to cancel, it says: ``done`` is under way, or lost. Wait a moment, do not freeze."""
        for reply in self._replies.values():
            if reply.phase is Phase.CANCELLING and event.event_id in (None, reply.cancel_eid):
                reply.not_active = True
                reply.deadline = min(reply.deadline, now + self.config.not_active_grace_s)
                self._arm(reply.deadline)
                return
        out.append(
            Notice("error_not_ours", None, None, {"error": event.code or "", "message": event.message[:200]})
        )

    # ── response.done ───────────────────────────────────────────────────────────────────────────
    def _on_done(self, event: ResponseDone, now: float, out: Effects) -> None:
        rid = event.response_id
        reply = self._replies.get(rid) if rid is not None else self._nameless(event, now, out)
        if reply is None or reply.owner is Owner.UNSEEN:
            if rid is None or rid in self._gone:
                return
            reply = self._late_created(rid, event, reply, now, out)
            if reply is None:
                return
        if reply.phase is Phase.DONE:
            return
        reply.orphan = False
        reply.reason = event.reason
        reply.text = event.text
        reply.audio_ms = event.audio_ms
        reply.hint = event.retry_after_s
        if event.status in ("failed", "incomplete"):
            reply.code = event.error_code or event.reason
            reply.message = event.error_message
        self._finish(reply, event.status, now, out)

    def _nameless(self, event: ResponseDone, now: float, out: Effects) -> Reply | None:
        """``response.done`` without an id: it can only be the active one, or the one being sent."""
        if event.out_of_band:
            return None
        if self._active is not None:
            return self._active
        if self._sending is not None:
            rid = f"unnamed:{self._sending.eid}"
            return self._appear(rid, self._sending, False, False, self._over(rid, now), now, out)
        if self._unknown_until and self._probe_eid is not None:
            self._ghost_killed(None, out)
        return None

    def _over(self, rid: str, now: float) -> Reply:
        """Return a record of a response that is generated already: no cancel may follow its end."""
        reply = Reply(rid, Owner.OURS, None, False, now)
        reply.phase = Phase.CANCELLING
        return reply

    def _late_created(
        self, rid: str, event: ResponseDone, known: Reply | None, now: float, out: Effects
    ) -> Reply | None:
        """The end of a response whose ``created`` was never seen."""
        entry, stale = self._match(event.metadata, event.out_of_band)
        if entry is not None:
            over = known if known is not None else self._over(rid, now)
            over.phase = Phase.CANCELLING
            return self._appear(rid, entry, False, event.out_of_band, over, now, out)
        if event.out_of_band:
            return None
        if stale and known is not None and event.metadata is not None:
            self._belated(known, event.metadata.get(REQUEST_KEY, ""), now, out)
        if self._unknown_until and self._probe_eid is not None and (stale or known is None):
            self._ghost_killed(rid, out)
        if known is None:
            self._keep(self._gone, rid, None)
        return known

    def _belated(self, reply: Reply, name: str, now: float, out: Effects) -> None:
        """Output without ``created`` turns out to be an earlier try of ours: adopt it, or keep it unheard."""
        reply.owner = Owner.OURS
        entry = self._entries.get(name)
        if entry is None or not (reply.sounding or reply.audible):
            return
        if entry.stage is Stage.QUEUED:
            self._claim(entry, now)
            entry.stage = Stage.LIVE
            entry.reply = reply
            reply.entry = entry
            self._step(entry, Progress.STARTED, reply.rid, out)
            if reply.audible:
                self._step(entry, Progress.AUDIBLE, reply.rid, out)
        elif reply.audible:
            self._revoke(entry, now, out)
        else:
            self._hush(reply, now, out)

    # ── silence of the provider (rule 12) ───────────────────────────────────────────────────────
    def _create_unanswered(self, entry: Entry, now: float, out: Effects) -> None:
        """Neither created nor refused in time: the slot is unknown; ask by probing."""
        ended = entry.stage is Stage.ENDED
        out.append(Notice("create_unanswered", entry.id, None, {"attempt": entry.attempt}))
        if entry.request.out_of_band:
            self._oob.pop(entry.eid, None)
            if not ended and self.config.metadata_echo and entry.request.correlate:
                self._retry(entry, now, out, why="create_unanswered", failed="create_unanswered")
            else:
                self._settle(entry, Outcome(OutcomeKind.LOST, code="create_unanswered"), out)
            return
        unseen = [r for r in self._replies.values() if r.owner is Owner.UNSEEN and r.since >= self._since]
        if self._active is None and len(unseen) == 1 and unseen[0].phase is not Phase.DONE:
            self._appear(unseen[0].rid, entry, False, False, unseen[0], now, out)
            return
        self._sending = None
        self._release(eid=entry.eid, out=out)
        if self._active is None:
            self._probe(now, out)
        if entry.satisfied_by is not None and not ended:
            outcome = Outcome(OutcomeKind.SATISFIED, response_id=entry.satisfied_by, other=entry.satisfied_by)
            self._settle(entry, outcome, out)
        else:
            probing = self._probe_eid is not None
            self._retry(entry, now, out, why="create_unanswered", failed="no_answer", at_once=probing)

    def _probe(self, now: float, out: Effects) -> None:
        """Cancel without a name: "not active" proves the slot free, a done proves that a ghost was killed."""
        self._probe_eid = self._tokens()
        self._unknown_until = now + self.config.probe_s
        self._since = now
        self._arm(self._unknown_until)
        out.append(SendCancel(None, self._probe_eid))
        out.append(Notice("probed"))

    def _probe_answered(self, now: float, out: Effects) -> None:
        self._probe_eid = None
        if self._unknown_until:
            self._unknown_until = 0.0
            self._since = now
            out.append(Notice("slot_proven_free"))

    def _ghost_killed(self, rid: str | None, out: Effects) -> None:
        self._probe_eid = None
        self._unknown_until = 0.0
        out.append(Notice("ghost_killed", None, rid))

    def _unknown_over(self, out: Effects) -> None:
        self._unknown_until = 0.0
        out.append(Notice("probe_unanswered" if self._probe_eid is not None else "quiet_over"))
        self._probe_eid = None

    def _generation_overdue(self, reply: Reply, now: float, out: Effects) -> None:
        """Nothing more was heard of the generation: cancel it, then probe, then give it up."""
        reply.deadline = 0.0
        entry = reply.entry
        request_id = entry.id if entry else None
        if reply.orphan:
            out.append(Notice("response_lost", request_id, reply.rid))
            self._finish(reply, "lost", now, out)
        elif reply.owner is Owner.UNSEEN:
            out.append(Notice("response_lost", None, reply.rid))
            self._finish(reply, "lost", now, out)
        elif reply.phase < Phase.CANCELLING:
            if reply.phase is Phase.ACTIVE and not reply.ended:
                reply.stalled = True
            out.append(Notice("response_stalled", request_id, reply.rid))
            if reply.ended and not reply.cut:
                # Playback ended by itself, only response.done is missing: it was heard to its end.
                self._finish(reply, "completed", now, out)
                if self._active is None and not reply.oob and not self._unknown_until:
                    self._probe(now, out)
            else:
                self._cancel(reply, now, out)
        else:
            out.append(Notice("cancel_unanswered", request_id, reply.rid))
            was_active = self._active is reply
            proven = reply.not_active
            self._finish(reply, "cancelled", now, out)
            if was_active and not proven and self._active is None:
                self._probe(now, out)
