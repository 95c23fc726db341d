"""Synthetic telephone traffic in virtual time: a model server, a caller and an ear round one sequencer.

The server keeps the documented rules: one active response in the default conversation, others refused with
``conversation_already_has_active_response``; automatic replies after committed turns and
automatic interrupts. Frames and events take 15 to 90 ms each way, in order. Creates are swallowed with a
given probability.
"""

from __future__ import annotations

import heapq
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from voiceagent.ids import counted_tokens
from voiceagent.realtime import sequencer_io as io
from voiceagent.realtime.requests import (
    REQUEST_KEY,
    TRY_KEY,
    BargePolicy,
    Origin,
    OutcomeKind,
    ResponseRequest,
)
from voiceagent.realtime.sequencer import Sequencer
from voiceagent.realtime.sequencer_config import SequencerConfig

LATENCY_S = (0.015, 0.090)
FIRST_AUDIO_S = (0.18, 0.45)
"""From create to the first audio, within the server."""
GENERATION_RATIO = 0.35
"""Generation runs faster than speech."""
RUN_OFF_S = 120.0
"""Silent time after the last wish, in which everything still waiting must end."""

Recorded = list[tuple[float, "io.SequencerEvent | None"]]
"""What one machine was fed, for replay; None is a wake-up."""


@dataclass(slots=True)
class Tally:
    """What happened, in the truth of the model world."""

    requests: int = 0
    vanished: int = 0
    collisions: int = 0
    refusals: int = 0
    swallowed: int = 0
    starts_over_speech: int = 0
    cancelled_before_audible: int = 0
    heard_twice: int = 0
    turns: int = 0
    outcomes: dict[str, int] = field(default_factory=dict[str, int])
    request_to_speech_s: list[float] = field(default_factory=list[float])
    free_to_send_s: list[float] = field(default_factory=list[float])

    def add(self, other: Tally) -> None:
        """Take in the figures of another call."""
        self.requests += other.requests
        self.vanished += other.vanished
        self.collisions += other.collisions
        self.refusals += other.refusals
        self.swallowed += other.swallowed
        self.starts_over_speech += other.starts_over_speech
        self.cancelled_before_audible += other.cancelled_before_audible
        self.heard_twice += other.heard_twice
        self.turns += other.turns
        for kind, count in other.outcomes.items():
            self.outcomes[kind] = self.outcomes.get(kind, 0) + count
        self.request_to_speech_s += other.request_to_speech_s
        self.free_to_send_s += other.free_to_send_s


@dataclass(slots=True)
class _Response:
    rid: str
    request_id: str | None
    metadata: dict[str, str] | None
    speech_s: float
    tool: bool = False
    alive: bool = True


class SyntheticCall:
    """One call of ``seconds`` virtual seconds."""

    def __init__(
        self,
        seed: int,
        seconds: float = 300.0,
        *,
        swallow: float = 0.002,
        auto_create: bool = True,
        record: bool = False,
    ) -> None:
        self._rng = random.Random(seed)
        self._seconds = seconds
        self._swallow = swallow
        self._auto_create = auto_create
        self.config = SequencerConfig(auto_create=auto_create, auto_interrupt=True)
        self.machine = Sequencer(self.config, tokens=counted_tokens("ev"))
        self.tally = Tally()
        self.recorded: Recorded | None = [] if record else None
        self._now = 0.0
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._order = 0
        self._up_at = 0.0
        self._down_at = 0.0
        self._count = 0
        # server
        self._active: _Response | None = None
        self._responses: dict[str, _Response] = {}
        # caller and ear
        self._speaking = False
        self._playout: deque[str] = deque()
        self._audible: str | None = None
        self._audible_since = 0.0
        self._generated: set[str] = set()
        self._swallowed: set[str] = set()
        self._heard: dict[str, str] = {}
        # requests
        self._submitted: dict[str, float] = {}
        self._ended: dict[str, OutcomeKind] = {}

    # ── agenda ──────────────────────────────────────────────────────────────────────────────────
    def _at(self, when: float, what: Callable[[], None]) -> None:
        self._order += 1
        heapq.heappush(self._agenda, (when, self._order, what))

    def _in(self, delay: float, what: Callable[[], None]) -> None:
        self._at(self._now + delay, what)

    def run(self) -> Tally:
        """Live the call, let everything end, and return the truth."""
        self._feed(io.LinkUp())
        self._in(self._rng.uniform(2.0, 6.0), self._speak)
        self._in(0.5, self._prompt)
        self._in(self._rng.uniform(5.0, 25.0), self._operator)
        end = self._seconds + RUN_OFF_S
        machine = self.machine
        while True:
            at = machine.wake_at()
            due = self._agenda[0][0] if self._agenda else end + 1.0
            if at is not None and at <= due:
                if at > end:
                    break
                self._now = max(self._now, at)
                if self.recorded is not None:
                    self.recorded.append((self._now, None))
                self._perform(machine.wake(self._now))
                continue
            if due > end:
                break
            self._now, _, what = heapq.heappop(self._agenda)
            what()
        return self._truth()

    def _truth(self) -> Tally:
        tally = self.tally
        tally.requests = len(self._submitted)
        for request_id in self._submitted:
            kind = self._ended.get(request_id)
            unheard = kind is OutcomeKind.COMPLETED and request_id not in self._heard
            if kind is None or unheard:
                tally.vanished += 1
            name = "none" if kind is None else kind.value
            tally.outcomes[name] = tally.outcomes.get(name, 0) + 1
        return tally

    # ── client ──────────────────────────────────────────────────────────────────────────────────
    def _feed(self, event: io.SequencerEvent) -> None:
        if self.recorded is not None:
            self.recorded.append((self._now, event))
        self._perform(self.machine.handle(event, self._now))

    def _perform(self, effects: list[io.SequencerEffect]) -> None:
        for effect in effects:
            match effect:
                case io.SendCreate():
                    self._to_server(lambda effect=effect: self._serve_create(effect))
                case io.SendCancel():
                    self._to_server(lambda effect=effect: self._serve_cancel(effect))
                case io.StopPlayback():
                    self._stop(effect.response_id)
                case io.SwallowOutput():
                    self._swallowed.add(effect.response_id)
                case io.Settled():
                    self._ended[effect.request_id] = effect.outcome.kind
                case io.Notice(code="cancelled_at_start"):
                    self.tally.cancelled_before_audible += 1
                case _:
                    pass

    def _wish(self, origin: Origin, instructions: str | None, **more: object) -> None:
        if self._now > self._seconds:
            return
        self._count += 1
        request = ResponseRequest(
            id=f"q{self._count}",
            origin=origin,
            instructions=instructions,
            **more,  # pyright: ignore[reportArgumentType]
        )
        self._submitted[request.id] = self._now
        self._feed(io.Submitted(request))

    def _prompt(self) -> None:
        self._wish(Origin.IVR, "Ask the caller for the order number.", barge_policy=BargePolicy.KEEP)
        self._in(self._rng.uniform(6.0, 14.0), self._prompt)

    def _operator(self) -> None:
        self._wish(Origin.OPERATOR, "Tell the caller that a colleague will ring back.")
        self._in(self._rng.uniform(10.0, 30.0), self._operator)

    def _tool_finished(self, rid: str) -> None:
        item = f"out_{rid}"
        self._to_server(lambda: self._to_client(io.ItemAcked(item)))
        self._wish(Origin.TOOL, None, follow_up_of=rid, needs=frozenset({item}))

    # ── wire ────────────────────────────────────────────────────────────────────────────────────
    def _to_server(self, what: Callable[[], None]) -> None:
        self._up_at = max(self._up_at, self._now + self._rng.uniform(*LATENCY_S))
        self._at(self._up_at, what)

    def _to_client(self, event: io.SequencerEvent) -> None:
        self._down_at = max(self._down_at, self._now + self._rng.uniform(*LATENCY_S))
        self._at(self._down_at, lambda: self._arrive(event))

    def _arrive(self, event: io.SequencerEvent) -> None:
        self._feed(event)
        match event:
            case io.OutputStarted(response_id=rid):
                response = self._responses[rid]
                if rid not in self._swallowed and rid not in self._playout and rid != self._audible:
                    if self._heard.get(response.request_id or "") != rid:
                        self._playout.append(rid)
                    self._play()
            case io.ResponseDone(response_id=str(rid), status=status):
                self._generated.add(rid)
                self._ear_check(rid)
                response = self._responses[rid]
                if response.tool and status == "completed":
                    self._in(self._rng.uniform(0.3, 1.5), lambda: self._tool_finished(rid))
            case _:
                pass

    # ── server ──────────────────────────────────────────────────────────────────────────────────
    def _serve_create(self, frame: io.SendCreate) -> None:
        if self._rng.random() < self._swallow:
            self.tally.swallowed += 1
            return
        if self._active is not None:
            self.tally.refusals += 1
            text = f"Conversation already has an active response in progress: {self._active.rid}. Wait."
            self._to_client(io.ServerError("conversation_already_has_active_response", text, frame.event_id))
            return
        metadata = {REQUEST_KEY: frame.request.id, TRY_KEY: str(frame.attempt)}
        self._begin(frame.request.id, metadata, tool=False)

    def _begin(self, request_id: str | None, metadata: dict[str, str] | None, *, tool: bool) -> None:
        if self._active is not None:
            self.tally.collisions += 1
        self._count += 1
        response = _Response(f"resp_{self._count}", request_id, metadata, self._rng.uniform(0.8, 4.0), tool)
        self._responses[response.rid] = response
        self._active = response
        self._to_client(io.ResponseCreated(response.rid, metadata))
        first = self._rng.uniform(*FIRST_AUDIO_S)
        if not tool:
            self._in(first, lambda: self._emit_audio(response))
            self._in(first + 0.2, lambda: self._emit_audio(response))
        spoken = 0.0 if tool else response.speech_s * GENERATION_RATIO
        self._in(first + max(spoken, 0.3), lambda: self._finish(response, "completed", None))

    def _emit_audio(self, response: _Response) -> None:
        if response.alive:
            self._to_client(io.OutputStarted(response.rid))

    def _finish(self, response: _Response, status: str, reason: str | None) -> None:
        if not response.alive:
            return
        response.alive = False
        if self._active is response:
            self._active = None
        text = "" if response.tool else "words"
        audio = 0 if response.tool else int(response.speech_s * 1000)
        self._to_client(
            io.ResponseDone(
                response.rid, status, reason, metadata=response.metadata, text=text, audio_ms=audio
            )
        )

    def _serve_cancel(self, frame: io.SendCancel) -> None:
        active = self._active
        if active is None or frame.response_id not in (None, active.rid):
            self._to_client(
                io.ServerError("response_cancel_not_active", "no active response", frame.event_id)
            )
        else:
            self._finish(active, "cancelled", "client_cancelled")

    def _auto_reply(self) -> None:
        if self._speaking:
            return
        if self._active is None:
            self._begin(None, None, tool=self._rng.random() < 0.3)
        else:
            text = f"Conversation already has an active response in progress: {self._active.rid}."
            self._to_client(io.ServerError("conversation_already_has_active_response", text))

    # ── caller and ear ──────────────────────────────────────────────────────────────────────────
    def _speak(self) -> None:
        if self._now > self._seconds:
            return
        self._speaking = True
        self.tally.turns += 1
        self._to_client(io.SpeechStarted())
        if self._active is not None:
            self._finish(self._active, "cancelled", "turn_detected")
        self._in(self._rng.uniform(0.7, 3.0), self._fall_silent)

    def _fall_silent(self) -> None:
        self._speaking = False
        self._to_client(io.SpeechStopped())
        self._to_client(io.InputCommitted())
        if self._auto_create:
            self._in(self._rng.uniform(0.04, 0.25), self._auto_reply)
        self._in(self._rng.uniform(5.0, 12.0), self._speak)

    def _play(self) -> None:
        if self._audible is not None or not self._playout:
            return
        rid = self._playout.popleft()
        response = self._responses[rid]
        self._audible = rid
        self._audible_since = self._now
        request_id = response.request_id
        if request_id is not None:
            if self._speaking:
                self.tally.starts_over_speech += 1
            if self._heard.setdefault(request_id, rid) != rid:
                self.tally.heard_twice += 1
            elif request_id in self._submitted:
                self.tally.request_to_speech_s.append(self._now - self._submitted[request_id])
        self._feed(io.PlaybackStarted(rid))
        self._in(response.speech_s, lambda: self._ear_check(rid))

    def _ear_check(self, rid: str) -> None:
        """Playback of a whole response ends when its audio is spent and no more can come."""
        if self._audible != rid or rid not in self._generated:
            return
        speech_s = self._responses[rid].speech_s
        if self._now + 1e-9 < self._audible_since + speech_s:
            return
        self._audible = None
        self._feed(io.PlaybackEnded(rid, int(speech_s * 1000), "words"))
        self._play()

    def _stop(self, rid: str) -> None:
        self._swallowed.add(rid)
        if rid == self._audible:
            self._audible = None
            heard_ms = int((self._now - self._audible_since) * 1000)
            self._in(0.0, lambda: self._stopped(rid, heard_ms))
        elif rid in self._playout:
            self._playout.remove(rid)
            self._in(0.0, lambda: self._stopped(rid, 0))

    def _stopped(self, rid: str, heard_ms: int) -> None:
        self._feed(io.PlaybackEnded(rid, heard_ms, "", cut=True))
        self._play()


def simulate(calls: int, seconds: float, seed: int, *, auto_create: bool = True) -> Tally:
    """Run ``calls`` independent calls one after the other and add up their truths."""
    total = Tally()
    for number in range(calls):
        total.add(SyntheticCall(seed * 1000 + number, seconds, auto_create=auto_create).run())
    return total
