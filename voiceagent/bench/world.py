"""A small world round the sequencer: a server with every vice, a caller, an ear, and a link that breaks.

Frames and events travel in order (as on a WebSocket) and arrive when somebody lets them. The world knows the
truth (what the server really runs, what the ear really hears) and compares it with the promises, beside the
:class:`~voiceagent.realtime.sequencer_invariants.InvariantChecker`, which sees events and effects only.
A broken promise raises ``InvariantBroken`` with the code of the invariant, or with one of these: ``R10`` an
interrupt is answered, ``R13`` completed means heard.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from typing import Any

from voiceagent.ids import counted_tokens
from voiceagent.realtime import sequencer_io as io
from voiceagent.realtime.requests import (
    BargePolicy,
    InterruptedBy,
    Origin,
    OutcomeKind,
    ResponseRequest,
    When,
)
from voiceagent.realtime.sequencer import Sequencer
from voiceagent.realtime.sequencer_config import SequencerConfig
from voiceagent.realtime.sequencer_core import spread
from voiceagent.realtime.sequencer_invariants import InvariantBroken, InvariantChecker

ACTIVE = "conversation_already_has_active_response"


def insist(holds: bool, code: str, message: str) -> None:
    """Raise unless a promise holds."""
    if not holds:
        raise InvariantBroken(code, message)


class Resp:
    """One response in the server."""

    __slots__ = ("audio", "meta", "oob", "request", "rid")

    def __init__(self, rid: str, request: ResponseRequest | None, attempt: int, oob: bool) -> None:
        self.rid = rid
        self.request = request
        self.oob = oob
        self.audio = False
        self.meta: dict[str, str] | None = None
        if request is not None and request.correlate:
            self.meta = {"va.req": request.id, "va.try": str(attempt)}


class World:
    """Sequencer, server, ear and caller on one virtual clock."""

    def __init__(
        self,
        *,
        machine: type[Sequencer] = Sequencer,
        checked: bool = True,
        uncorrelated: bool = False,
        start: float = 0.0,
        jitter: Callable[[str], float] = spread,
        **config: Any,
    ) -> None:
        self.config = SequencerConfig(**config)
        self.seq = machine(self.config, tokens=counted_tokens("ev"), jitter=jitter)
        self.checker = InvariantChecker(self.config) if checked else None
        self.uncorrelated = uncorrelated
        self.now = start
        self.link = False
        self.to_server: deque[io.SequencerEffect] = deque()
        self.to_client: deque[io.SequencerEvent] = deque()
        self.active: Resp | None = None
        self.oob: list[Resp] = []
        self.resps: dict[str, Resp] = {}
        self.auto_due = False
        self.auto_create = self.config.auto_create
        self.speaking = False
        self.knows_speaking = False
        self.playout: list[str] = []
        self.playing: str | None = None
        self.taken_over = False
        self.ended_gen: set[str] = set()
        self.swallowed: set[str] = set()
        self.sounded: set[str] = set()
        """Responses of which audio has reached the client."""
        self.ear_over: set[str] = set()
        """Responses that the ear has done with."""
        self.heard: dict[str, str] = {}
        self.settled: dict[str, str] = {}
        self.submitted: list[str] = []
        self.items: list[str] = []
        self.tokens: set[str] = set()
        self.count = 0
        self.faults: set[str] = set()
        self.rich_until = 0.0
        self.feed(io.LinkUp())
        self.link = True

    # ── the client side ─────────────────────────────────────────────────────────────────────────
    def feed(self, event: io.SequencerEvent) -> None:
        """Hand one event to the machine and perform its effects, as a driver would."""
        pending = [event]
        while pending:
            one = pending.pop(0)
            self.wake()
            if isinstance(one, io.SpeechStarted):
                self.knows_speaking = True
            elif isinstance(one, io.SpeechStopped | io.InputCommitted | io.LinkDown):
                self.knows_speaking = False
            effects = self.seq.handle(one, self.now)
            if self.checker is not None:
                self.checker.step(one, effects, self.now)
            pending.extend(self.perform(effects))
            if isinstance(one, io.OutputStarted):
                self.sounded.add(one.response_id)
            if isinstance(one, io.OutputStarted) and not self.config.owns_output_buffer:
                rid = one.response_id
                fresh = rid not in self.swallowed and rid not in self.playout and rid != self.playing
                if fresh and rid not in self.heard.values():
                    self.playout.append(rid)
            elif isinstance(one, io.ResponseDone) and one.response_id:
                self.ended_gen.add(one.response_id)

    def wake(self) -> None:
        for _ in range(100):
            at = self.seq.wake_at()
            if at is None or at > self.now:
                return
            effects = self.seq.wake(self.now)
            if self.checker is not None:
                self.checker.step(None, effects, self.now)
            for event in self.perform(effects):
                self.feed(event)
        raise InvariantBroken("I8", "wake_at does not move")

    def perform(self, effects: list[io.SequencerEffect]) -> list[io.SequencerEvent]:
        answers: list[io.SequencerEvent] = []
        for effect in effects:
            match effect:
                case io.SendCreate() | io.SendCancel() | io.SendBufferClear():
                    insist(self.link, "I4", f"{effect} without a link")
                    self.to_server.append(effect)
                case io.StopPlayback(response_id=rid):
                    if rid == self.playing:
                        self.playing = None
                        self.ear_over.add(rid)
                        answers.append(io.PlaybackEnded(rid, 100, cut=True))
                    elif rid in self.playout:
                        self.playout.remove(rid)
                        answers.append(io.PlaybackEnded(rid, 0, cut=True))
                    self.swallowed.add(rid)
                case io.SwallowOutput(response_id=rid):
                    self.swallowed.add(rid)
                case io.Settled():
                    insist(effect.request_id not in self.settled, "I2", f"{effect.request_id} ends twice")
                    self.settled[effect.request_id] = effect.outcome.kind.value
                    self.check_heard(effect)
                case io.InterruptDone():
                    self.tokens.discard(effect.token)
                case _:
                    pass
        return answers

    def check_heard(self, effect: io.Settled) -> None:
        """Rule 13: *completed* is said when the ear has heard the end, not when the generation is over."""
        outcome = effect.outcome
        if outcome.kind is not OutcomeKind.COMPLETED or outcome.code is not None:
            return
        rid = outcome.response_id or ""
        insist(
            rid not in self.sounded or rid in self.ear_over,
            "R13",
            f"{effect.request_id} is completed while {rid} is still to be heard",
        )

    def submit(self, request: ResponseRequest) -> None:
        """Ask for speech."""
        if request.id not in self.submitted:
            self.submitted.append(request.id)
        self.feed(io.Submitted(request))

    def interrupt(self, by: InterruptedBy, flush: bool) -> None:
        self.count += 1
        token = f"T{self.count}"
        self.tokens.add(token)
        self.feed(io.InterruptAsked(token, by, flush))

    def advance(self, seconds: float) -> None:
        end = self.now + seconds
        while (at := self.seq.wake_at()) is not None and at <= end:
            self.now = max(self.now, at)
            self.wake()
        self.now = end

    # ── the wire ────────────────────────────────────────────────────────────────────────────────
    def emit(self, event: io.SequencerEvent, *, may_lose: str = "") -> None:
        if not self.link:
            return
        if may_lose and may_lose in self.faults and self.now >= self.rich_until:
            self.faults.discard(may_lose)
            if may_lose == "lost_created":
                self.rich_until = self.now + 30.0  # two nameless voices at once are beyond anybody's wit
            return
        self.to_client.append(event)
        if "duplicate" in self.faults:
            self.faults.discard("duplicate")
            self.to_client.append(event)

    def deliver(self) -> bool:
        if not self.to_client or not self.link:
            return False
        self.feed(self.to_client.popleft())
        return True

    def serve(self) -> bool:
        """The server takes one frame."""
        if not self.to_server:
            return False
        frame = self.to_server.popleft()
        if isinstance(frame, io.SendCreate):
            self.serve_create(frame)
        elif isinstance(frame, io.SendCancel):
            self.serve_cancel(frame)
        elif isinstance(frame, io.SendBufferClear) and self.playing is not None:
            self.cut_by_provider()
        return True

    def serve_create(self, frame: io.SendCreate) -> None:
        if "swallow" in self.faults:
            self.faults.discard("swallow")
            return
        request = frame.request
        if "reject" in self.faults:
            self.faults.discard("reject")
            self.emit(io.ServerError("invalid_value", "no", frame.event_id))
            return
        if not request.out_of_band and self.active is not None:
            if self.config.overlap == "supersede":
                self.end(self.active, "cancelled", None)
            else:
                anonymous = "anonymous" in self.faults
                self.faults.discard("anonymous")
                named = "" if "unnamed" in self.faults else f" in progress: {self.active.rid}."
                self.faults.discard("unnamed")
                eid = None if anonymous else frame.event_id
                self.emit(io.ServerError(ACTIVE, f"Conversation already has an active response{named}", eid))
                return
        self.start(request, frame.attempt, request.out_of_band)

    def start(self, request: ResponseRequest | None, attempt: int, oob: bool) -> None:
        self.count += 1
        resp = Resp(f"resp_{self.count}", request, attempt, oob)
        self.resps[resp.rid] = resp
        if oob:
            self.oob.append(resp)
        else:
            self.active = resp
        meta = resp.meta if self.config.metadata_echo else None
        self.emit(io.ResponseCreated(resp.rid, meta, oob), may_lose="" if oob else "lost_created")

    def serve_cancel(self, frame: io.SendCancel) -> None:
        running = [*([self.active] if self.active else []), *self.oob]
        target = next((r for r in running if r.rid == frame.response_id), None)
        if frame.response_id is None:
            target = self.active
        if target is None:
            eid = None if "anonymous_cancel" in self.faults else frame.event_id
            self.faults.discard("anonymous_cancel")
            self.emit(io.ServerError("response_cancel_not_active", "no active response", eid))
        else:
            self.end(target, "cancelled", "client_cancelled")

    def end(self, resp: Resp, status: str, reason: str | None, **more: Any) -> None:
        if resp is self.active:
            self.active = None
        else:
            self.oob.remove(resp)
        meta = resp.meta if self.config.metadata_echo else None
        done = io.ResponseDone(
            resp.rid,
            status,
            reason,
            metadata=meta,
            out_of_band=resp.oob,
            text="x" if resp.audio else "",
            **more,
        )
        self.emit(done, may_lose="" if resp.oob else "lost_done")

    # ── what the server does by itself ──────────────────────────────────────────────────────────
    def audio(self) -> bool:
        resp = self.active
        if resp is None:
            return False
        resp.audio = True
        self.emit(io.OutputStarted(resp.rid))
        if self.config.owns_output_buffer and self.playing is None and resp.rid not in self.heard.values():
            self.listen(resp.rid)
            self.emit(io.PlaybackStarted(resp.rid), may_lose="lost_playback")
        return True

    def done(self, status: str = "completed") -> bool:
        if self.active is None:
            return False
        code = "rate_limit_exceeded" if status == "failed" else None
        self.end(self.active, status, None, error_code=code)
        return True

    def oob_done(self) -> bool:
        if not self.oob:
            return False
        self.end(self.oob[0], "completed", None)
        return True

    def auto_reply(self) -> bool:
        if not self.auto_due:
            return False
        self.auto_due = False
        if self.active is not None:
            self.emit(io.ServerError(ACTIVE, f"already has an active response: {self.active.rid}."))
        else:
            self.start(None, 0, False)
        return True

    # ── caller and ear ──────────────────────────────────────────────────────────────────────────
    def speak(self) -> bool:
        if self.speaking:
            return False
        self.speaking = True
        self.auto_due = False
        self.emit(io.SpeechStarted())
        if self.config.auto_interrupt:
            if self.active is not None:
                self.end(self.active, "cancelled", "turn_detected")
            if self.config.owns_output_buffer and self.playing is not None:
                self.cut_by_provider()
        return True

    def hush(self) -> bool:
        if not self.speaking:
            return False
        self.speaking = False
        self.emit(io.SpeechStopped(), may_lose="lost_stop")
        self.emit(io.InputCommitted())
        self.auto_due = self.auto_create
        return True

    def cut_by_provider(self) -> None:
        """The provider, which plays, falls silent."""
        rid, self.playing = self.playing, None
        if rid is not None:
            self.ear_over.add(rid)
            self.emit(io.PlaybackEnded(rid, 100, cut=True), may_lose="lost_playback")

    def listen(self, rid: str) -> None:
        """The ear begins to hear ``rid``: the moment of truth."""
        resp = self.resps.get(rid)
        self.playing = rid
        request = resp.request if resp is not None else None
        if request is None:
            return
        before = self.heard.get(request.id)
        # Where the provider plays, a frame that is seconds late can be heard before anybody may stop it;
        # without correlation, nobody can tell whose late response it is.
        told = self.config.owns_output_buffer or self.uncorrelated or before in (None, rid)
        insist(told, "I5", f"{request.id} is heard as {before} and as {rid}")
        self.heard[request.id] = rid

    def take_over(self, on: bool) -> None:
        """A human speaks in the agent's place, or hands back."""
        self.taken_over = on
        self.feed(io.TakenOver(on))

    def ear_start(self) -> bool:
        if self.config.owns_output_buffer or self.playing is not None or not self.playout:
            return False
        rid = self.playout.pop(0)
        self.listen(rid)
        resp = self.resps.get(rid)
        request = resp.request if resp is not None else None
        if request is not None and self.taken_over:
            insist(self.uncorrelated, "I3", f"{request.id} starts over a human")
        if request is not None and self.knows_speaking:
            free = request.over_speech or not request.interruptible or request.origin is Origin.SAFETY
            insist(free or self.uncorrelated, "I3", f"{request.id} starts over the caller")
        self.feed(io.PlaybackStarted(rid))
        return True

    def ear_end(self) -> bool:
        rid = self.playing
        if rid is None:
            return False
        if self.config.owns_output_buffer:
            resp = self.resps[rid]
            if resp is self.active or resp in self.oob:
                return False
            self.playing = None
            self.ear_over.add(rid)
            self.emit(io.PlaybackEnded(rid, 500), may_lose="lost_playback")
            return True
        if rid not in self.ended_gen and self.resps[rid] is self.active:
            return False
        self.playing = None
        self.ear_over.add(rid)
        if rid in self.ended_gen:
            self.feed(io.PlaybackEnded(rid, 500))
        return True

    # ── the link ────────────────────────────────────────────────────────────────────────────────
    def drop(self) -> bool:
        if not self.link:
            return False
        self.link = False
        self.to_server.clear()
        self.to_client.clear()
        self.feed(io.LinkDown("reset"))
        return True

    def reattach(self) -> bool:
        if self.link:
            return False
        self.link = True
        if not self.config.owns_output_buffer:
            self.active = None  # a new session: what ran is gone
            self.oob.clear()
        self.speaking = False
        self.feed(io.LinkUp(quiet=self.config.owns_output_buffer))
        return True

    # ── a healthy ending ────────────────────────────────────────────────────────────────────────
    def heal(self) -> None:
        """No more faults, a silent caller: everything accepted must end by itself. Then close."""
        self.faults.clear()
        self.reattach()
        self.hush()
        self.feed(io.Paused(False))
        self.take_over(False)
        for item in self.items:
            self.feed(io.ItemAcked(item))
        for _ in range(4000):
            moved = False
            while self.serve() or self.deliver():
                moved = True
            if not moved:
                acted = self.auto_reply() or self.ear_start()
                if not acted and self.active is not None:
                    acted = self.done()
                if not acted and self.oob:
                    acted = self.oob_done()
                if not acted:
                    acted = self.ear_end()
                if not acted and len(self.settled) == len(self.submitted):
                    break
                if not acted:
                    at = self.seq.wake_at()
                    self.advance(0.5 if at is None else max(at - self.now, 0.01))
        left = [name for name in self.submitted if name not in self.settled]
        insist(not left, "I2", f"stuck: {left}\n{self.seq.snapshot()}")
        self.advance(5.0)
        insist(not self.tokens, "R10", f"interrupts without an end: {self.tokens}")
        self.feed(io.Closing())
        self.submit(ResponseRequest("too-late", origin=Origin.SAFETY, instructions="Say it."))
        self.feed(io.SpeechStarted())
        self.feed(io.SpeechStopped())
        if self.checker is not None:
            self.checker.finish()

    # ── random life ─────────────────────────────────────────────────────────────────────────────
    def request(self, rng: random.Random) -> ResponseRequest:
        self.count += 1
        origin = rng.choice(list(Origin))
        oob = rng.random() < 0.06
        needs: frozenset[str] = frozenset()
        if rng.random() < 0.12:
            item = f"item{self.count}"
            self.items.append(item)
            needs = frozenset({item})
        return ResponseRequest(
            id=f"Q{self.count}",
            origin=origin,
            instructions=None if rng.random() < 0.3 else "Say it.",
            out_of_band=oob,
            when=rng.choices(list(When), [8, 2, 1])[0],
            over_speech=rng.random() < 0.08,
            interruptible=rng.random() < 0.85,
            deadline_s=rng.choice([None, 5.0, 20.0]),
            coalesce="k" if rng.random() < 0.1 else None,
            needs=needs,
            barge_policy=rng.choice(list(BargePolicy)),
            retry_on_lost=rng.random() < 0.3,
            follow_up_of="resp_0" if origin is Origin.TOOL and rng.random() < 0.5 else None,
            correlate=not self.uncorrelated,
            extra={"output_modalities": ["text"]} if oob else {},
        )

    def step(self, rng: random.Random) -> None:
        """Let one thing happen."""
        kind = rng.choices(KINDS, WEIGHTS)[0]
        if kind == "serve":
            self.serve()
        elif kind == "deliver":
            self.deliver()
        elif kind == "time":
            self.advance(rng.choice([0.005, 0.02, 0.02, 0.1, 0.1, 0.4, 2.5]))
        elif kind == "submit":
            self.submit(self.request(rng))
        elif kind == "speech":
            _ = self.speak() or self.hush()
        elif kind == "ear":
            _ = self.ear_end() or self.ear_start() if rng.random() < 0.5 else self.ear_start()
        elif kind == "done":
            self.done(rng.choices(["completed", "failed", "incomplete"], [16, 1, 1])[0])
        elif kind == "fault":
            self.faults.add(rng.choice(FAULTS))
        elif kind == "interrupt":
            self.interrupt(rng.choice(list(InterruptedBy)), rng.random() < 0.3)
        elif kind == "withdraw" and self.submitted:
            self.feed(io.Withdrawn(rng.choice(self.submitted[-5:])))
        elif kind == "ack" and self.items:
            item = self.items.pop()
            self.feed(io.ItemAcked(item) if rng.random() < 0.8 else io.ItemRefused(item, "bad"))
        elif kind == "link":
            _ = self.reattach() or (rng.random() < 0.2 and self.drop())
        elif kind == "noise":
            rid = f"resp_{rng.randrange(self.count + 3)}"
            foreign = rid not in self.resps
            if foreign:
                self.feed(io.ResponseDone("nobody" + rid, "completed"))
                self.feed(io.PlaybackEnded("nobody" + rid, 10))
                self.feed(io.ServerError("x", "odd", "nobody"))
        elif kind == "rare":
            rare: list[io.SequencerEvent] = [
                io.DigitReceived("5"),
                io.RoundTripMeasured(rng.choice([0.02, 0.05, 0.3])),
                io.Paused(True),
                io.Paused(False),
                io.SessionExpiring(150.0),
            ]
            self.feed(rng.choice(rare))
        elif kind == "human":
            # Seldom, or half of every life would pass without a word of ours.
            self.take_over(not self.taken_over and rng.random() < 0.15)
        elif kind in ("audio", "oob_done", "auto_reply"):
            getattr(self, kind)()


LIFE = {
    "serve": 20,
    "deliver": 30,
    "time": 14,
    "submit": 7,
    "speech": 3,
    "audio": 10,
    "ear": 12,
    "done": 8,
    "oob_done": 3,
    "auto_reply": 4,
    "fault": 1,
    "interrupt": 1,
    "withdraw": 1,
    "ack": 2,
    "link": 1,
    "noise": 1,
    "rare": 1,
    "human": 1,
}
KINDS = list(LIFE)
WEIGHTS = list(LIFE.values())
FAULTS = [
    "swallow",
    "reject",
    "anonymous",
    "unnamed",
    "anonymous_cancel",
    "lost_created",
    "lost_done",
    "lost_stop",
    "lost_playback",
    "duplicate",
]
