"""PURE. The twelve invariants, checked from outside on the trace (event, effects, time).

The checker shares no state with the machine: it re-derives what matters from events and effects alone, so it
can watch a live sequencer, a test, or a journal. It assumes that the driver wakes the machine on time.

    I1   at most one default-conversation create of ours outstanding or active; none while one may be unseen
    I2   every request ends exactly once
    I3   no create leaves while the gate is closed, unless the request may
    I4   no frame leaves while the link is not up, nor after closing
    I5   no request is audible twice; a re-send has a cause
    I6   a cancel carries an id and goes out once; the probe alone has none, and needs a cause
    I7   nobody waits behind a less urgent request that went first
    I8   creates and cancels are answered, or given up, in bounded time
    I9   metadata stays within the API's limits
    I10  events of unknown or ended responses never free the slot
    I11  every event in every state yields known effects
    I12  caller speech and keys drop what is droppable, and never safety or operator requests
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from voiceagent.errors import RequestRefused
from voiceagent.realtime import sequencer_io as io
from voiceagent.realtime.requests import (
    RESERVED_KEYS,
    BargePolicy,
    InterruptedBy,
    Origin,
    OutcomeKind,
    Progress,
    ResponseRequest,
    When,
    check_metadata,
)
from voiceagent.realtime.sequencer_config import SequencerConfig

_RANK = {origin: rank for rank, origin in enumerate(Origin)}
_FRAMES = (io.SendCreate, io.SendCancel, io.SendBufferClear)
_EFFECTS = (
    *_FRAMES,
    io.StopPlayback,
    io.SwallowOutput,
    io.Progressed,
    io.Settled,
    io.InterruptDone,
    io.Notice,
)
_EPS = 1e-6

INVARIANTS: Mapping[str, str] = {
    "I1": "never two responses of ours at once",
    "I2": "every request ends exactly once",
    "I3": "nothing is sent over the caller's speech, or while a reply is due",
    "I4": "no frame while the link is not up, nor after closing",
    "I5": "nothing is said twice; whatever is sent again has a cause",
    "I6": "a cancel names its response and goes out once; a probe has a cause",
    "I7": "nobody waits behind a less urgent request",
    "I8": "every create and cancel is answered or given up in bounded time",
    "I9": "metadata stays within the API's limits",
    "I10": "only a response's own end frees the slot",
    "I11": "every event in every state is understood",
    "I12": "the caller's speech drops what is droppable, never safety or operator",
}
"""What each invariant says, in one line."""


class InvariantBroken(Exception):
    """One of the invariants does not hold; ``code`` is I1 to I12."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


class _Wish:
    """What the checker knows of one request."""

    __slots__ = (
        "audible",
        "cause",
        "eid",
        "ended",
        "needs",
        "request",
        "rid",
        "rids",
        "sent_at",
        "since",
        "tries",
    )

    def __init__(self, request: ResponseRequest, now: float) -> None:
        self.request = request
        self.since = now
        self.needs = set(request.needs)
        self.tries = 0
        self.eid = ""
        self.sent_at = 0.0
        self.rid: str | None = None
        self.rids: set[str] = set()
        self.cause = False
        self.audible = False
        self.ended = False

    @property
    def rank(self) -> int:
        return _RANK[self.request.origin]


class InvariantChecker:
    """Feed it every step; it raises :class:`InvariantBroken`, or collects when ``strict`` is False.

    ``tolerance_s`` is how exact the times are that it is told (a journal rounds them).
    """

    def __init__(self, config: SequencerConfig, *, strict: bool = True, tolerance_s: float = _EPS) -> None:
        self.config = config
        self.strict = strict
        self.broken: list[InvariantBroken] = []
        self.checked: Counter[str] = Counter()
        """How often each invariant was put to the test."""
        self._eps = tolerance_s
        self._unproven = False
        self.steps = 0
        self._wishes: dict[str, _Wish] = {}
        self._up = False
        self._closed = False
        self._auto_create = config.auto_create
        self._rtt = 0.0
        self._speaking_since: float | None = None
        self._awaiting_since: float | None = None
        self._turn_over_at = -1e9
        self._outstanding: _Wish | None = None
        self._alive: dict[str, _Wish | None] = {}
        self._over: set[str] = set()
        self._cancelled: dict[str, tuple[float, str]] = {}
        self._overdue = False
        self._probing = False
        self._acks: set[str] = set()
        self._taken_over = False

    # ── reporting ───────────────────────────────────────────────────────────────────────────────
    def _fail(self, code: str, message: str) -> None:
        broken = InvariantBroken(code, message)
        self.broken.append(broken)
        if self.strict:
            raise broken

    def _need(self, holds: bool, code: str, message: str) -> None:
        self.checked[code] += 1
        if not holds:
            self._fail(code, message)

    @property
    def _ack_s(self) -> float:
        return max(self.config.ack_s, self.config.ack_round_trips * self._rtt)

    # ── one step ────────────────────────────────────────────────────────────────────────────────
    def step(
        self, event: io.SequencerEvent | None, effects: Sequence[io.SequencerEffect], now: float
    ) -> None:
        """Check one ``handle`` (``event``) or ``wake`` (None)."""
        self.steps += 1
        foreign_end = self._ends_nothing_of_ours(event)
        barged = isinstance(event, io.SpeechStarted | io.DigitReceived)
        flushed = isinstance(event, io.InterruptAsked) and event.flush
        closed_before = self._closed
        self._overdue = False
        droppable = self._droppable() if barged and not self._taken_over else []
        if event is not None:
            self._take(event, now)
        for effect in effects:
            self._need(type(effect) in _EFFECTS, "I11", f"unknown effect {effect!r}")
            if isinstance(effect, _FRAMES):
                self._need(self._up and not closed_before, "I4", f"{effect} while the link is not up")
            match effect:
                case io.SendCreate():
                    self._need(
                        not (foreign_end and not effect.request.out_of_band), "I10", f"{event} freed the slot"
                    )
                    self._create(effect, now)
                case io.SendCancel():
                    self._cancel(effect, now)
                case io.SwallowOutput() | io.StopPlayback():
                    wish = self._alive.get(effect.response_id)
                    if wish is not None:
                        wish.cause = True
                case io.Progressed():
                    self._progress(effect)
                case io.Settled():
                    self._settled(effect, barged or flushed)
                case io.Notice():
                    self._notice(effect, now)
                case _:
                    pass
        for wish in droppable:
            self._need(wish.ended, "I12", f"{wish.request.id} waits on although the caller answered")
        self._bounded(now)

    def _droppable(self) -> list[_Wish]:
        """Return what waits unsent and does not survive the caller's speech."""
        return [
            wish
            for wish in self._wishes.values()
            if not (wish.ended or wish.tries)
            and wish.rank > _RANK[Origin.OPERATOR]
            and wish.request.barge_policy is BargePolicy.DROP
        ]

    def finish(self) -> None:
        """Call after the session closed: everything accepted must have ended."""
        left = [name for name, wish in self._wishes.items() if not wish.ended]
        self._need(not left, "I2", f"never ended: {left}")

    # ── events ──────────────────────────────────────────────────────────────────────────────────
    def _ends_nothing_of_ours(self, event: io.SequencerEvent | None) -> bool:
        """True if the event is about a response that cannot hold the slot while another one does."""
        match event:
            case io.ResponseDone(response_id=rid) if rid is not None and not self._probing:
                if event.metadata and event.metadata.get("va.req") in self._wishes:
                    return False
                out = self._outstanding
                if out is not None and not (self.config.metadata_echo and out.request.correlate):
                    return False
                return rid not in self._alive and bool(self._alive or out)
            case _:
                return False

    def _take(self, event: io.SequencerEvent, now: float) -> None:
        match event:
            case io.Submitted():
                if event.request.id not in self._wishes:
                    wish = _Wish(event.request, now)
                    wish.needs -= self._acks
                    self._wishes[event.request.id] = wish
            case io.LinkUp():
                self._up = not self._closed
            case io.LinkDown() | io.Closing():
                self._up = False
                self._closed = self._closed or isinstance(event, io.Closing) or event.terminal
                for wish in self._wishes.values():
                    wish.cause = wish.cause or wish.request.retry_on_lost
                self._outstanding = None
                self._unproven = False
                self._alive.clear()
                self._cancelled.clear()
                self._speaking_since = self._awaiting_since = None
                self._probing = False
            case io.RoundTripMeasured():
                self._rtt = max(self._rtt, event.seconds)
            case io.SessionMirrored():
                self._auto_create = event.auto_create
                if event.event_id is not None:
                    self._acknowledged(event.event_id)
                if not event.auto_create:
                    self._awaiting_since = None
                if not event.vad:
                    self._speaking_since = self._awaiting_since = None
            case io.SpeechStarted():
                self._speaking_since, self._awaiting_since = now, None
                for wish in self._alive.values():
                    if wish is not None:
                        wish.cause = True  # cut before it was heard, it may be said again
            case io.TakenOver():
                self._taken_over = event.on
                for wish in self._alive.values():
                    if wish is not None:
                        wish.cause = wish.cause or event.on
            case io.SpeechStopped():
                if self._speaking_since is not None:
                    self._speaking_since, self._turn_over_at = None, now
            case io.InputCommitted():
                self._speaking_since, self._turn_over_at = None, now
                if self._auto_create:
                    self._awaiting_since = now
            case io.TimeoutTriggered():
                self._speaking_since, self._awaiting_since = None, now
            case io.ItemAcked() | io.ItemRefused():
                self._acknowledged(event.item_id)
            case io.ResponseCreated() if not event.out_of_band:
                self._saw_response(event.response_id, event.metadata)
            case io.ResponseDone(out_of_band=True, response_id=str(rid)):
                self._cancelled.pop(rid, None)
                for wish in self._wishes.values():
                    if wish.rid == rid and event.status != "completed":
                        wish.cause = True
            case io.ResponseDone():
                out = self._outstanding
                fresh = event.response_id not in self._alive and event.response_id not in self._over
                if out is not None and fresh and not (self.config.metadata_echo and out.request.correlate):
                    self._outstanding = None  # matched by order of sending
                    out.cause = True
                if event.response_id not in self._over:
                    self._saw_response(event.response_id, event.metadata)
                self._end_response(event.response_id)
                self._unproven = False
            case io.ServerError():
                self._error(event)
            case _:
                pass

    def _acknowledged(self, item: str) -> None:
        self._acks.add(item)
        for wish in self._wishes.values():
            wish.needs.discard(item)

    def _saw_response(self, rid: str | None, metadata: object) -> None:
        """A response of the default conversation exists; it proves all others over."""
        if rid is None or rid in self._over or rid in self._alive:
            return
        for other in list(self._alive):
            self._end_response(other)
        wish: _Wish | None = None
        if isinstance(metadata, dict):
            wish = self._wishes.get(str(metadata.get("va.req")))  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
        self._alive[rid] = wish
        self._probing = self._unproven = False
        self._awaiting_since = None
        if wish is not None:
            wish.rids.add(rid)
            if self._outstanding is wish:
                self._outstanding = None

    def _end_response(self, rid: str | None) -> None:
        for name in [rid] if rid is not None else list(self._alive):
            wish = self._alive.pop(name, None)
            self._cancelled.pop(name, None)
            self._over.add(name)
            if wish is not None:
                wish.cause = True
        if rid is None and self._outstanding is not None:
            self._outstanding = None

    def _error(self, event: io.ServerError) -> None:
        out = self._outstanding
        text = event.message
        createlike = (
            "active response" in text
            or "response.create" in text
            or event.code == "conversation_already_has_active_response"
        )
        if out is not None and (event.event_id == out.eid or (event.event_id is None and createlike)):
            out.cause = True
            self._outstanding = None
        for wish in self._wishes.values():
            if wish.request.out_of_band and wish.eid == event.event_id:
                wish.cause = True
        for rid, (_, eid) in list(self._cancelled.items()):
            if event.event_id == eid or (
                event.event_id is None and event.code == "response_cancel_not_active"
            ):
                self._end_response(rid)

    # ── effects ─────────────────────────────────────────────────────────────────────────────────
    def _create(self, effect: io.SendCreate, now: float) -> None:
        request = effect.request
        wish = self._wishes.get(request.id)
        if wish is None:
            self._fail("I2", f"create for {request.id}, which nobody submitted")
            return
        self._need(not wish.ended, "I2", f"create for {request.id} after its end")
        self._need(not wish.audible, "I5", f"{request.id} is sent again although it was audible")
        self._need(wish.tries == 0 or wish.cause, "I5", f"{request.id} is sent again without a cause")
        self._need(
            effect.attempt == wish.tries + 1,
            "I5",
            f"{request.id}: attempt {effect.attempt} after {wish.tries}",
        )
        self.checked["I9"] += 1
        try:
            check_metadata(request.metadata, reserve=RESERVED_KEYS if request.correlate else 0)
        except RequestRefused as refused:
            self._fail("I9", str(refused))
        if not request.out_of_band:
            out = self._outstanding
            self._need(
                out is None, "I1", f"create {request.id} while {out and out.request.id} is outstanding"
            )
            self._need(not self._unproven, "I1", f"create {request.id} while one may be unseen")
            ours = [rid for rid, owner in self._alive.items() if owner is not None]
            self._need(not ours, "I1", f"create {request.id} while our {ours} is active")
            self._gate(wish, now)
            self._order(wish, now)
            self._outstanding = wish
        wish.tries += 1
        wish.eid, wish.sent_at, wish.cause = effect.event_id, now, False

    def _may_over_speech(self, wish: _Wish, now: float) -> bool:
        since = self._speaking_since
        if since is None or wish.request.over_speech or wish.request.origin is Origin.SAFETY:
            return True
        cap = (
            self.config.speech_cap_s
            if wish.request.origin is Origin.OPERATOR
            else self.config.speech_giveup_s
        )
        return now >= since + cap - self._eps

    def _gate(self, wish: _Wish, now: float) -> None:
        name = wish.request.id
        self._need(not self._taken_over, "I3", f"create {name} while a human speaks in the agent's place")
        self._need(self._may_over_speech(wish, now), "I3", f"create {name} while the caller speaks")
        since = self._awaiting_since
        self._need(
            since is None or now >= since + self.config.hold_min_s - self._eps,
            "I3",
            f"create {name} while an automatic reply is due",
        )
        self._need(
            not wish.needs or now >= wish.since + self.config.item_ack_s - self._eps,
            "I3",
            f"{name} lacks acks",
        )

    def _order(self, wish: _Wish, now: float) -> None:
        def rank(one: _Wish) -> int:
            aged = one.rank - int((now - one.since) / self.config.ageing_s + self._eps)
            return one.rank if one.rank <= 1 else max(1, aged)

        mine = rank(wish)
        for other in self._wishes.values():
            if other is wish or other.ended or other.tries or other.needs or other.request.out_of_band:
                continue
            if other.request.when is When.AFTER_PLAYBACK or not self._may_over_speech(other, now):
                continue
            if other.rank > 2 and now - self._turn_over_at <= self.config.turn_grace_s + self._eps:
                continue
            self._need(
                rank(other) >= mine, "I7", f"{wish.request.id} goes before more urgent {other.request.id}"
            )

    def _cancel(self, effect: io.SendCancel, now: float) -> None:
        rid = effect.response_id
        if rid is not None:
            self._need(rid not in self._cancelled, "I6", f"{rid} is cancelled twice")
            self._cancelled[rid] = (now, effect.event_id)
            wish = self._alive.get(rid)
            if wish is not None:
                wish.cause = True
            out = self._outstanding
            correlated = out is not None and self.config.metadata_echo and out.request.correlate
            if out is not None and not correlated and rid in self._alive and wish is None:
                out.cause = True  # an uncorrelated create whose response nobody wants any more
                self._outstanding = None
            return
        if not self.config.cancel_by_id:
            return
        self._need(self._overdue, "I6", "a cancel without id while nothing is overdue")
        self._probing, self._unproven = True, False
        for name in list(self._alive):
            self._end_response(name)

    def _progress(self, effect: io.Progressed) -> None:
        wish = self._wishes.get(effect.request_id)
        if wish is None:
            self._fail("I2", f"progress of unknown {effect.request_id}")
            return
        self._need(not wish.ended, "I2", f"{effect.request_id} goes on after its end: {effect.progress}")
        if effect.progress is Progress.STARTED and effect.response_id is not None:
            wish.rid = effect.response_id
            self._unproven = self._unproven and wish.request.out_of_band
            if not wish.request.out_of_band:
                if effect.response_id not in self._over:
                    self._alive[effect.response_id] = wish
                if self._outstanding is wish:
                    self._outstanding = None
        elif effect.progress is Progress.AUDIBLE:
            self._need(not wish.audible, "I5", f"{effect.request_id} is audible twice")
            wish.audible = True

    def _settled(self, effect: io.Settled, barged: bool) -> None:
        wish = self._wishes.get(effect.request_id)
        if wish is None:
            self._fail("I2", f"an end of unknown {effect.request_id}")
            return
        self._need(not wish.ended, "I2", f"{effect.request_id} ends twice")
        if barged and wish.rank <= 1 and wish.tries == 0:
            by_caller = (
                effect.outcome.kind is OutcomeKind.INTERRUPTED
                and effect.outcome.by is not InterruptedBy.NEWER
            )
            self._need(not by_caller, "I12", f"{wish.request.origin} request {effect.request_id} was flushed")
        wish.ended = True

    def _notice(self, effect: io.Notice, now: float) -> None:
        wish = self._wishes.get(effect.request_id or "")
        rid = effect.response_id
        if effect.code == "create_unanswered" and wish is not None:
            self._need(
                now >= wish.sent_at + self.config.ack_s - self._eps, "I6", "a create given up too early"
            )
            self._overdue = wish.cause = True
            self._unproven = self._unproven or not wish.request.out_of_band
            if self._outstanding is wish:
                self._outstanding = None
        elif effect.code == "superseded" and effect.details.get("reason") == "follow_ups_merged":
            heir = self._wishes.get(str(effect.details.get("by")))
            if wish is not None and heir is not None:
                heir.needs |= wish.needs
                heir.since = wish.since
        elif effect.code == "cancelled_at_start" and wish is not None:
            wish.cause = True
            if self._outstanding is wish:
                self._outstanding = None
        elif effect.code in ("cancel_unanswered", "response_lost", "done_missing", "response_stalled"):
            self._overdue = effect.code in ("cancel_unanswered", "response_stalled")
            self._unproven = False
            if rid is not None and effect.code != "response_stalled":
                self._end_response(rid)
        elif effect.code in ("slot_proven_free", "ghost_killed", "probe_unanswered"):
            self._probing = False

    # ── time ────────────────────────────────────────────────────────────────────────────────────
    def _bounded(self, now: float) -> None:
        out = self._outstanding
        if out is not None:
            late = now - out.sent_at - self._ack_s
            self._need(
                late <= self._eps, "I8", f"create {out.request.id} is unanswered for too long ({late:.3f} s)"
            )
        for rid, (at, _) in self._cancelled.items():
            late = now - at - self.config.cancel_ack_s
            self._need(late <= self._eps, "I8", f"cancel of {rid} is unanswered for too long ({late:.3f} s)")
