"""PURE. The asking side: requests, withdrawals, interrupts, acknowledged needs, and the link itself."""

from __future__ import annotations

from dataclasses import replace

from voiceagent.realtime.requests import InterruptedBy, Outcome, OutcomeKind, Progress, When
from voiceagent.realtime.sequencer_core import NEVER, TAKEN_OVER, Effects
from voiceagent.realtime.sequencer_io import (
    Closing,
    InterruptAsked,
    InterruptDone,
    ItemAcked,
    ItemRefused,
    LinkDown,
    LinkUp,
    Notice,
    Paused,
    Progressed,
    RoundTripMeasured,
    SequencerEvent,
    SessionExpiring,
    Settled,
    Submitted,
    TakenOver,
    Withdrawn,
)
from voiceagent.realtime.sequencer_queue import overload_victim
from voiceagent.realtime.sequencer_slot import SlotRules
from voiceagent.realtime.sequencer_state import OPERATOR, Entry, Link, Phase, Reply, Stage, Turn, Waiter


class WishRules(SlotRules):
    """Rules 8 to 11, 14 and 15."""

    __slots__ = ()

    # ── requests ────────────────────────────────────────────────────────────────────────────────
    def _on_submitted(self, event: Submitted, now: float, out: Effects) -> None:
        request = event.request
        if request.id in self._entries or request.id in self._ledger:
            out.append(Notice("duplicate_request", request.id))
            return
        self._seq += 1
        entry = Entry(request, self._seq, now)
        entry.number = self._number = self._seq
        self._entries[entry.id] = entry
        queue = self._queue
        if queue:
            self._coalesce(entry, out)
        queue.append(entry)
        out.append(Progressed(entry.id, Progress.QUEUED))
        if entry.deadline is not None:
            self._arm(entry.deadline)
        if entry.needs and not self._needs_left(entry, now, out):
            return
        if len(queue) > self.config.queue_limit:
            victim = overload_victim(queue, entry)
            reason = f"{self.config.queue_limit} requests wait already"
            self._settle(victim, Outcome(OutcomeKind.REJECTED, code="overloaded", reason=reason), out)
            if victim is entry:
                return
        if request.when is When.NOW:
            entry.now = True
            self._make_way(entry, now, out)
        why = self._held(entry, now)
        if why is not None:
            out.append(Notice("held", entry.id, self._active.rid if self._active else None, {"reason": why}))

    def _coalesce(self, entry: Entry, out: Effects) -> None:
        """Rule 9: the newest of a key wins; plain follow-ups become one that needs what both needed."""
        key = entry.request.coalesce
        for older in list(self._queue):
            if key is not None and older.request.coalesce == key:
                out.append(Notice("superseded", older.id, None, {"reason": "coalesce_key", "by": entry.id}))
            elif entry.follow_up and older.follow_up and older.request.extra == entry.request.extra:
                if older.needs:
                    entry.needs = (entry.needs or set()) | older.needs
                entry.acked = entry.acked or older.acked
                entry.seq = older.seq
                entry.submitted_at = older.submitted_at
                out.append(
                    Notice("superseded", older.id, None, {"reason": "follow_ups_merged", "by": entry.id})
                )
            else:
                continue
            self._settle(older, Outcome(OutcomeKind.SUPERSEDED, other=entry.id), out)

    def _needs_left(self, entry: Entry, now: float, out: Effects) -> bool:
        """Strike off what was acknowledged before; False if the request ended because of a refusal."""
        for item in sorted(entry.needs or ()):
            known = self._acks.get(item)
            if known is not None and not self._need_answered(entry, item, known, "item_refused", "", out):
                return False
        if entry.needs and self._link is Link.UP:
            entry.needs_until = now + self.config.item_ack_s
            self._arm(entry.needs_until)
        return True

    def _need_answered(
        self, entry: Entry, item: str, good: bool, code: str, message: str, out: Effects
    ) -> bool:
        """Note one acknowledgement or refusal; False if it ended the request."""
        needs = entry.needs
        if needs is None or item not in needs:
            return True
        needs.discard(item)
        entry.acked = entry.acked or good
        if not needs:
            entry.needs = None
        if good:
            return True
        out.append(Notice("need_refused", entry.id, None, {"item": item, "reason": code}))
        if entry.follow_up and (entry.acked or needs):
            return True
        self._settle(
            entry, Outcome(OutcomeKind.REJECTED, code=code, reason=message or f"{item} was refused"), out
        )
        return False

    def _on_item_acked(self, event: ItemAcked, now: float, out: Effects) -> None:
        self._acked(event.item_id, out)

    def _acked(self, item: str, out: Effects) -> None:
        self._keep(self._acks, item, True)
        for entry in self._queue:
            if entry.needs:
                self._need_answered(entry, item, True, "", "", out)

    def _on_item_refused(self, event: ItemRefused, now: float, out: Effects) -> None:
        self._keep(self._acks, event.item_id, False)
        for entry in list(self._queue):
            if entry.needs:
                code = event.code or "item_refused"
                self._need_answered(entry, event.item_id, False, code, event.message, out)

    def _on_withdrawn(self, event: Withdrawn, now: float, out: Effects) -> None:
        entry = self._entries.get(event.request_id)
        if entry is None:
            return
        reply = entry.reply
        # What was heard and is being cut already ends as cut, however long the provider takes to confirm it.
        entry.withdrawn = reply is None or not reply.audible or reply.cut_by is None
        if entry.stage is not Stage.LIVE or reply is None or not reply.audible:
            rid = reply.rid if reply is not None else None
            self._settle(entry, Outcome(OutcomeKind.WITHDRAWN, response_id=rid), out)
        if reply is not None:
            self._silence(reply, InterruptedBy.OPERATOR, now, out)

    def _expire_requests(self, now: float, out: Effects) -> None:
        sending = self._sending
        if sending is not None and sending.deadline is not None and now >= sending.deadline:
            self._expired(sending, out)
        if self._oob:
            for entry in list(self._oob.values()):
                if entry.deadline is not None and now >= entry.deadline:
                    self._expired(entry, out)
        for entry in list(self._queue):
            if entry.deadline is not None and now >= entry.deadline:
                self._expired(entry, out)
            elif entry.needs and entry.needs_until and now >= entry.needs_until:
                out.append(
                    Notice("need_unacknowledged", entry.id, None, {"items": " ".join(sorted(entry.needs))})
                )
                entry.needs = None
                entry.acked = True

    def _expired(self, entry: Entry, out: Effects) -> None:
        reason = f"not started within {entry.request.deadline_s:g} s"
        self._settle(entry, Outcome(OutcomeKind.EXPIRED, code="deadline", reason=reason), out)

    # ── interrupts ──────────────────────────────────────────────────────────────────────────────
    def _on_interrupt(self, event: InterruptAsked, now: float, out: Effects) -> None:
        if event.flush:
            for entry in [entry for entry in self._queue if entry.rank > OPERATOR]:
                self._settle(entry, Outcome(OutcomeKind.INTERRUPTED, by=event.by, code="flushed"), out)
        caller = event.by is InterruptedBy.CALLER
        targets = [r for r in self._replies.values() if self._stoppable(r) and not (caller and _protected(r))]
        waiter = Waiter(event.token, now + self.config.stop_cap_s)
        sending = self._sending
        if sending is not None and not (caller and sending.protected):
            waiter.eid = sending.eid
            self._settle(sending, Outcome(OutcomeKind.INTERRUPTED, by=event.by, code="before_start"), out)
        if not targets and waiter.eid is None:
            out.append(InterruptDone(event.token))
            return
        self._arm(waiter.deadline)
        self._waiters.append(waiter)
        for reply in targets:
            waiter.rids.add(reply.rid)
            if waiter.stopped is None:
                waiter.stopped = reply.rid
        for reply in targets:
            reply.asked = True
            self._silence(reply, event.by, now, out)

    def _stoppable(self, reply: Reply) -> bool:
        """True if ``reply`` is heard or may come to be heard."""
        if reply.sounding:
            return True
        quiet = reply.oob and (reply.entry is None or reply.entry.mute)
        return reply.phase is not Phase.DONE and not quiet

    def _make_way(self, entry: Entry, now: float, out: Effects) -> None:
        """Rule 11: ``now`` interrupts equals and lessers, whoever asked for them."""
        sending = self._sending
        if sending is not None:
            if sending.rank >= entry.rank:
                outcome = Outcome(OutcomeKind.INTERRUPTED, by=InterruptedBy.NEWER, other=entry.id)
                self._settle(sending, outcome, out)
            else:
                out.append(Notice("outranked", entry.id, None, {"by": sending.id}))
        for reply in list(self._replies.values()):
            if not self._stoppable(reply):
                continue
            if reply.entry is not None and reply.entry.rank < entry.rank:
                out.append(Notice("outranked", entry.id, reply.rid, {"by": reply.entry.id}))
                continue
            reply.asked = True
            self._silence(reply, InterruptedBy.NEWER, now, out)

    def _expire_waiters(self, now: float, out: Effects) -> None:
        for waiter in list(self._waiters):
            if now >= waiter.deadline:
                self._waiters.remove(waiter)
                out.append(Notice("interrupt_unconfirmed", None, waiter.stopped))
                out.append(InterruptDone(waiter.token, waiter.stopped))

    # ── the link ────────────────────────────────────────────────────────────────────────────────
    def _on_round_trip(self, event: RoundTripMeasured, now: float, out: Effects) -> None:
        self._rtt = event.seconds if not self._rtt else self._rtt + (event.seconds - self._rtt) * 0.125

    def _on_link_up(self, event: LinkUp, now: float, out: Effects) -> None:
        if self._link is Link.UP:
            return
        self._link = Link.UP
        if event.quiet:
            self._unknown_until = now + self.config.quiet_s
            self._since = now
            self._arm(self._unknown_until)
        for reply in list(self._replies.values()):
            if reply.orphan:
                reply.deadline = now + self.config.quiet_s
                self._arm(reply.deadline)
                if not event.quiet:
                    self._finish(reply, "lost", now, out)
        for entry in self._queue:
            if entry.needs:
                entry.needs_until = now + self.config.item_ack_s
                self._arm(entry.needs_until)

    def _on_link_down(self, event: LinkDown, now: float, out: Effects) -> None:
        if event.terminal:
            self._end(event.reason, out)
            return
        if self._link is Link.DOWN:
            return
        self._link = Link.DOWN
        out.append(Notice("link_lost", None, None, {"reason": event.reason, "waiting": len(self._queue)}))
        for entry in [*self._oob.values(), *(() if self._sending is None else (self._sending,))]:
            if entry.request.retry_on_lost:
                self._requeue(entry, now, out, why="link_lost")
            else:
                self._settle(entry, Outcome(OutcomeKind.LOST, code="link_lost", reason=event.reason), out)
            self._release(eid=entry.eid, out=out)
        self._sending = None
        self._oob.clear()
        self._active = None
        self._probe_eid = None
        self._unknown_until = 0.0
        self._turn = Turn.NONE
        self._grace_until = 0.0
        for reply in list(self._replies.values()):
            if reply.phase is not Phase.DONE:
                if reply.phase is not Phase.ACTIVE or reply.unwanted:
                    self._finish(reply, "cancelled", now, out)
                else:
                    reply.orphan = True
                    reply.deadline = now + self.config.orphan_s
                    self._arm(reply.deadline)

    def _on_closing(self, event: Closing, now: float, out: Effects) -> None:
        self._end(event.reason, out)

    def _end(self, reason: str, out: Effects) -> None:
        """No frame leaves any more; everything that has not ended is lost."""
        self._link = Link.CLOSED
        for entry in list(self._entries.values()):
            reply = entry.reply
            lost = Outcome(OutcomeKind.LOST, code="link_closed", reason=reason)
            if reply is not None:
                lost = replace(
                    lost, response_id=reply.rid, heard_ms=reply.heard_ms, heard_text=reply.heard_text
                )
            self._settle(entry, lost, out)
        out.extend(InterruptDone(waiter.token, waiter.stopped) for waiter in self._waiters)
        self._waiters.clear()
        self._sending = None
        self._active = None
        self._oob.clear()
        self._replies.clear()
        self._ghosts.clear()
        self._unknown_until = 0.0
        self._probe_eid = None
        self._turn = Turn.NONE
        self._grace_until = 0.0
        self._expires_at = 0.0
        self._due = NEVER
        out.append(Notice("closed", None, None, {"reason": reason}))

    def _after_end(self, event: SequencerEvent, out: Effects) -> None:
        if isinstance(event, Submitted):
            request_id = event.request.id
            if request_id in self._ledger:
                out.append(Notice("duplicate_request", request_id))
                return
            outcome = Outcome(OutcomeKind.LOST, code="link_closed", reason="the session is over")
            self._keep(self._ledger, request_id, outcome)
            out.append(Settled(request_id, outcome))
        elif isinstance(event, InterruptAsked):
            out.append(InterruptDone(event.token))

    def _on_paused(self, event: Paused, now: float, out: Effects) -> None:
        self._paused = event.on
        out.append(Notice("on_hold" if event.on else "off_hold"))

    def _on_taken_over(self, event: TakenOver, now: float, out: Effects) -> None:
        """Rule 16. What is being sent is cancelled when it shows itself."""
        if event.on == self._taken_over:
            return
        self._taken_over = event.on
        out.append(Notice("taken_over" if event.on else "handed_back"))
        if not event.on:
            return
        for entry in self._queue:
            if not entry.mute:
                out.append(Notice("held", entry.id, None, {"reason": TAKEN_OVER}))
        for reply in [one for one in self._replies.values() if self._stoppable(one)]:
            reply.taken = True
            self._silence(reply, InterruptedBy.OPERATOR, now, out)

    def _on_expiring(self, event: SessionExpiring, now: float, out: Effects) -> None:
        self._expires_at = now + event.in_s
        self._expiry_stage = 0
        self._expire_session(now, out)
        self._arm(self._expires_at - self.config.expiry_notice_s)
        self._arm(self._expires_at - self.config.expiry_last_call_s)

    def _expire_session(self, now: float, out: Effects) -> None:
        """Say when the session nears its end: the call speaks a safety line and refers or hangs up."""
        if not self._expires_at:
            return
        left = self._expires_at - now
        if self._expiry_stage < 1 and left <= self.config.expiry_notice_s:
            self._expiry_stage = 1
            out.append(Notice("session_expiring", None, None, {"left_s": round(left, 3)}))
        if self._expiry_stage < 2 and left <= self.config.expiry_last_call_s:
            self._expiry_stage = 2
            out.append(Notice("session_last_call", None, None, {"left_s": round(left, 3)}))


def _protected(reply: Reply) -> bool:
    return reply.entry is not None and reply.entry.protected
