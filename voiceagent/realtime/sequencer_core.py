"""PURE. The sequencer's memory, its gate, and the sending of creates: what all its parts stand on."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from typing import TypeVar

from voiceagent.ids import Tokens
from voiceagent.realtime.requests import BargePolicy, InterruptedBy, Outcome, OutcomeKind, Progress, When
from voiceagent.realtime.sequencer_config import SequencerConfig
from voiceagent.realtime.sequencer_io import (
    InterruptDone,
    Notice,
    Progressed,
    SendCreate,
    SequencerEffect,
    Settled,
)
from voiceagent.realtime.sequencer_queue import GapEstimator, OrderKey, order_key
from voiceagent.realtime.sequencer_state import (
    OPERATOR,
    SAFETY,
    TURN,
    Entry,
    Link,
    Reply,
    Stage,
    Turn,
    Waiter,
)

Effects = list[SequencerEffect]
ValueT = TypeVar("ValueT")
NEVER = float("inf")
TAKEN_OVER = "taken_over"
"""Why nothing is said while a human speaks in the agent's place."""


def spread(event_id: str) -> float:
    """Return 0 ≤ x < 1 derived from an event id: jitter that a replay reproduces."""
    return zlib.crc32(event_id.encode()) / 4294967296.0


class SequencerCore:
    """State and the verbs every rule uses: settle, requeue, may it go, send."""

    __slots__ = (
        "_acks",
        "_active",
        "_auto_create",
        "_auto_interrupt",
        "_committed_at",
        "_due",
        "_entries",
        "_expires_at",
        "_expiry_stage",
        "_gaps",
        "_ghosts",
        "_gone",
        "_grace_until",
        "_hold_until",
        "_jitter",
        "_ledger",
        "_link",
        "_now",
        "_number",
        "_oob",
        "_paused",
        "_probe_eid",
        "_queue",
        "_replies",
        "_rtt",
        "_sending",
        "_seq",
        "_since",
        "_speaking_since",
        "_taken_over",
        "_tokens",
        "_turn",
        "_turn_ended_at",
        "_unknown_until",
        "_waiters",
        "config",
    )

    def __init__(
        self,
        config: SequencerConfig | None = None,
        *,
        tokens: Tokens,
        jitter: Callable[[str], float] = spread,
    ) -> None:
        self.config = config if config is not None else SequencerConfig()
        cfg = self.config
        self._tokens = tokens
        self._jitter = jitter
        self._now = 0.0
        self._due = NEVER
        self._seq = 0
        self._number = 0
        self._link = Link.ATTACHING
        self._paused = False
        self._taken_over = False
        self._expires_at = 0.0
        self._expiry_stage = 0
        self._rtt = 0.0
        # requests
        self._entries: dict[str, Entry] = {}
        self._queue: list[Entry] = []
        self._ledger: dict[str, Outcome] = {}
        self._acks: dict[str, bool] = {}
        # the slot: a create under way, a response alive, or not known
        self._sending: Entry | None = None
        self._active: Reply | None = None
        self._unknown_until = 0.0
        self._probe_eid: str | None = None
        self._since = 0.0
        self._oob: dict[str, Entry] = {}
        # responses
        self._replies: dict[str, Reply] = {}
        self._gone: dict[str, None] = {}
        self._ghosts: dict[str, Entry] = {}
        self._waiters: list[Waiter] = []
        # the caller's turn
        self._auto_create = cfg.auto_create
        self._auto_interrupt = cfg.auto_interrupt
        self._turn = Turn.NONE
        self._speaking_since = 0.0
        self._hold_until = 0.0
        self._committed_at = -NEVER
        self._turn_ended_at = 0
        self._grace_until = 0.0
        self._gaps = GapEstimator(cfg.hold_factor, cfg.hold_min_s, cfg.hold_max_s)

    # ── small tools ─────────────────────────────────────────────────────────────────────────────
    def _arm(self, at: float) -> None:
        """Lower the next wake-up; a wake-up that proves needless only costs a look round."""
        if at < self._due:
            self._due = at

    def _keep(self, memory: dict[str, ValueT], key: str, value: ValueT) -> None:
        """Remember ``key`` in a bounded memory, forgetting the oldest."""
        memory[key] = value
        if len(memory) > self.config.ledger_size:
            del memory[next(iter(memory))]

    def _step(self, entry: Entry, progress: Progress, rid: str | None, out: Effects) -> None:
        entry.progress = progress
        out.append(Progressed(entry.id, progress, rid, entry.attempt))

    # ── endings ─────────────────────────────────────────────────────────────────────────────────
    def _settle(self, entry: Entry, outcome: Outcome, out: Effects) -> None:
        """End a request. The only place where that happens, and it happens once."""
        if entry.stage is Stage.ENDED:
            return
        if entry.stage is Stage.QUEUED:
            self._queue.remove(entry)
        entry.stage = Stage.ENDED
        entry.reply = None  # which leads back to it
        del self._entries[entry.id]
        self._keep(self._ledger, entry.id, outcome)
        out.append(Settled(entry.id, outcome))

    def _drop_for_caller(self, entry: Entry, out: Effects, code: str) -> None:
        outcome = Outcome(
            OutcomeKind.INTERRUPTED, by=InterruptedBy.CALLER, code=code, reason="the caller spoke first"
        )
        self._settle(entry, outcome, out)

    def _requeue(self, entry: Entry, now: float, out: Effects, *, why: str, wait_s: float = 0.0) -> None:
        """Take a request back into the queue, where its number makes it first of its class."""
        if entry.stage is Stage.ENDED:
            return
        entry.stage = Stage.QUEUED
        entry.reply = None
        entry.presumed = False
        entry.not_before = now + wait_s
        if wait_s:
            self._arm(entry.not_before)
        self._queue.append(entry)
        out.append(Notice("requeued", entry.id, None, {"reason": why, "attempt": entry.attempt}))
        entry.progress = Progress.QUEUED
        out.append(Progressed(entry.id, Progress.QUEUED, None, entry.attempt + 1))

    def _retry(
        self, entry: Entry, now: float, out: Effects, *, why: str, failed: str, at_once: bool = False
    ) -> bool:
        """Requeue after a create that did not succeed, or end it ``failed`` when its attempts are used up."""
        entry.refusals += 1
        if entry.stage is Stage.ENDED:
            return False
        if entry.refusals >= entry.request.max_attempts:
            reason = f"given up after {entry.refusals} attempts"
            self._settle(entry, Outcome(OutcomeKind.FAILED, code=failed, reason=reason), out)
            out.append(Notice("request_failed", entry.id, None, {"reason": failed, "attempt": entry.attempt}))
            return False
        backoff = 0.0 if at_once else self.config.backoff_s * 2.0 ** (entry.refusals - 1)
        self._requeue(entry, now, out, why=why, wait_s=backoff * (1.0 + self._jitter(entry.eid) / 2.0))
        return True

    def _unheard(self, entry: Entry, now: float, out: Effects, *, why: str) -> None:
        """Caller speech, or a human's, took a response of which nothing was heard: drop it, or say it later.

        What gave way to a human is never dropped.
        """
        if why == TAKEN_OVER:
            self._requeue(entry, now, out, why=why)
            out.append(Notice("held", entry.id, None, {"reason": why}))
            return
        if entry.droppable and not entry.protected:
            self._drop_for_caller(entry, out, why)
            return
        if entry.request.barge_policy is BargePolicy.REQUEUE:
            self._seq += 1
            entry.seq = self._seq
        self._requeue(entry, now, out, why=why)

    def _forget_reply(self, reply: Reply) -> None:
        self._replies.pop(reply.rid, None)
        self._keep(self._gone, reply.rid, None)
        if self._active is reply:
            self._active = None

    def _release(self, *, rid: str | None = None, eid: str | None = None, out: Effects) -> None:
        """Tell those who wait for silence that this response (or create) is over."""
        if not self._waiters:
            return
        for waiter in list(self._waiters):
            if rid is not None:
                waiter.rids.discard(rid)
            if eid is not None and waiter.eid == eid:
                waiter.eid = None
            if not waiter.rids and waiter.eid is None:
                self._waiters.remove(waiter)
                out.append(InterruptDone(waiter.token, waiter.stopped))

    # ── may it go ───────────────────────────────────────────────────────────────────────────────
    def _speech_blocks(self, entry: Entry, now: float) -> bool:
        """True while the caller speaks and ``entry`` may not be heard over it (rules 1 and 6)."""
        if self._turn is not Turn.SPEAKING or entry.request.over_speech or entry.rank == SAFETY:
            return False
        since = self._speaking_since
        if now < since + self.config.speech_cap_s:
            return True
        return entry.rank > OPERATOR and now < since + self.config.speech_giveup_s

    def _oob_running(self) -> int:
        return len(self._oob) + sum(1 for reply in self._replies.values() if reply.oob and not reply.status)

    def _sounding(self) -> bool:
        return any(reply.sounding for reply in self._replies.values())

    def _held(self, entry: Entry, now: float) -> str | None:
        """Return why ``entry`` may not be sent now, or None: the gate of rule 1."""
        if self._link is not Link.UP:
            return f"link_{self._link.value}"
        if entry.needs:
            return "needs_ack"
        if self._taken_over and not entry.mute:
            return TAKEN_OVER
        if entry.not_before > now:
            return "backoff"
        if entry.request.out_of_band:
            if self._oob_running() >= self.config.oob_limit:
                return "out_of_band_limit"
            return "caller_speaking" if not entry.mute and self._speech_blocks(entry, now) else None
        if self._paused and entry.rank != SAFETY:
            return "on_hold"
        if self._sending is not None:
            return "create_in_flight"
        if self._active is not None:
            return "response_active"
        if self._unknown_until:
            return "slot_unknown"
        turn = self._turn
        if turn is not Turn.NONE:
            if turn is Turn.SPEAKING:
                if self._speech_blocks(entry, now):
                    return "caller_speaking"
            elif turn is Turn.AWAITING_AUTO:
                return "awaiting_auto_reply"
            elif self._auto_create or (entry.rank > TURN and not entry.request.over_speech):
                return "turn_ending"
        if self._grace_until > now and entry.rank > TURN and entry.number <= self._turn_ended_at:
            return "turn_reply_first"
        if entry.request.when is When.AFTER_PLAYBACK and self._sounding():
            return "playback"
        return None

    def _pump(self, now: float, out: Effects) -> None:
        """Send whatever may go, most urgent first."""
        queue = self._queue
        while queue:
            best: Entry | None = None
            if len(queue) == 1:
                if self._held(queue[0], now) is None:
                    best = queue[0]
            else:
                best_key: OrderKey | None = None
                ageing = self.config.ageing_s
                for entry in queue:
                    if self._held(entry, now) is None:
                        key = order_key(entry, now, ageing)
                        if best_key is None or key < best_key:
                            best, best_key = entry, key
            if best is None:
                return
            self._send(best, now, out)

    def _send(self, entry: Entry, now: float, out: Effects) -> None:
        self._queue.remove(entry)
        cfg = self.config
        entry.stage = Stage.SENDING
        entry.presumed = False
        entry.satisfied_by = None
        entry.attempt += 1
        entry.eid = self._tokens()
        entry.ack_at = now + max(cfg.ack_s, cfg.ack_round_trips * self._rtt)
        self._arm(entry.ack_at)
        if entry.request.out_of_band:
            self._oob[entry.eid] = entry
        else:
            self._sending = entry
            self._since = now
        out.append(SendCreate(entry.request, entry.eid, entry.attempt))
        self._step(entry, Progress.SENT, None, out)

    # ── next deadline ───────────────────────────────────────────────────────────────────────────
    def _rearm(self, now: float) -> None:
        """Compute the next wake-up exactly."""
        due = NEVER
        for at in self._deadlines():
            if now < at < due:
                due = at
        self._due = due

    def _deadlines(self) -> Iterable[float]:
        sending = self._sending
        if sending is not None:
            yield sending.ack_at
            if sending.deadline is not None:
                yield sending.deadline
        for entry in self._oob.values():
            yield entry.ack_at
            if entry.deadline is not None:
                yield entry.deadline
        yield self._unknown_until
        for reply in self._replies.values():
            yield reply.deadline
            yield reply.play_by
        for waiter in self._waiters:
            yield waiter.deadline
        if self._turn is Turn.SPEAKING:
            yield self._speaking_since + self.config.speech_cap_s
            yield self._speaking_since + self.config.speech_giveup_s
        elif self._turn is not Turn.NONE:
            yield self._hold_until
        yield self._grace_until
        if self._expires_at:
            yield self._expires_at - self.config.expiry_notice_s
            yield self._expires_at - self.config.expiry_last_call_s
        for entry in self._queue:
            yield entry.not_before
            if entry.needs:
                yield entry.needs_until
            if entry.deadline is not None:
                yield entry.deadline
