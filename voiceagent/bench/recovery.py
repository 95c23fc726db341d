"""``voiceagent bench recovery``: calls whose provider dies again and again, and what the callers notice.

Many calls at once, each with a flow that takes turn after turn (every third one through a tool with an
effect), real sockets to a provider that dies at random points of the wire and may stay away for up to 2 s.
The legs are ours, without SIP: they play on the clock, 20 ms by 20 ms, and never stop.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from voiceagent.bench.recovery_provider import CallTruth, MortalProvider
from voiceagent.bench.stats import percentile
from voiceagent.call.call import Call
from voiceagent.call.comfort import COMFORT
from voiceagent.call.config import CallConfig
from voiceagent.call.ledger import LedgerEntry
from voiceagent.call.leg import (
    G711,
    Heard,
    Leg,
    LegCapabilities,
    LegEnd,
    LegInfo,
    LegListener,
    LegTap,
    MediaFigures,
    Progress,
    TransferResult,
)
from voiceagent.call.transcript import Utterance
from voiceagent.ids import random_token
from voiceagent.ivr.flow import Flow, flow
from voiceagent.ivr.tools import tool
from voiceagent.ivr.verbs import Call as FlowCall
from voiceagent.loops import run_loop
from voiceagent.media.playout import Playout, Started
from voiceagent.realtime.config import RealtimeSessionConfig
from voiceagent.realtime.model_events import RealtimeModelNoticeEvent
from voiceagent.realtime.providers import ProviderProfile
from voiceagent.realtime.session import RealtimeSession
from voiceagent.realtime.websocket import OpenAIRealtimeWebSocketModel
from voiceagent.records.journal import Journal

FRAME_S = 0.02
SILENCE = b"\xff" * 160
LAST_TURNS = 2
"""Turns that every call takes after the last kill."""


@dataclass
class Figures:
    """What the legs and journals have seen, in seconds."""

    comfort: list[float] = field(default_factory=list[float])
    """From the later of death and last sound to the first comfort."""
    resumed: list[float] = field(default_factory=list[float])
    """From the moment that the provider can be reached again to the new session, history and all."""
    gaps: list[float] = field(default_factory=list[float])
    calls: Counter[str] = field(default_factory=Counter[str])
    responses: Counter[str] = field(default_factory=Counter[str])
    failures: Counter[str] = field(default_factory=Counter[str])


class ClockedLeg:
    """A leg without a network. Fulfils :class:`voiceagent.call.leg.Leg`."""

    def __init__(self, number: int, truth: CallTruth, figures: Figures) -> None:
        self.info = LegInfo(f"leg-{number}", "direct", "bench", "bench", protocol_call_id=f"bench-{number}")
        self.capabilities = LegCapabilities(can_transfer=False)
        self.audio_format: G711 = "audio/pcmu"
        self._truth = truth
        self._figures = figures
        self._playout = Playout()
        self._listener: LegListener | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._next = 0.0
        self._last_frame = 0.0
        self._comforted: float | None = None
        self._sent = 0

    def listen(self, listener: LegListener) -> None:
        self._listener = listener

    async def prepare(self) -> None:
        return

    async def answer(self) -> None:
        self._next = self._loop.time()
        self._tick()

    async def reject(self, status: int, reason: str, *, retry_after_s: int | None = None) -> None:
        await self.hang_up(reason)

    async def hang_up(self, reason: str = "") -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.leg_ended(LegEnd.WE_HUNG_UP, None, reason)

    async def transfer(
        self, target: str, *, timeout_s: float, progress: Progress | None = None
    ) -> TransferResult:
        return TransferResult(False, 603, "nobody is there")

    async def transfer_to(
        self, other: Leg, *, timeout_s: float, progress: Progress | None = None
    ) -> TransferResult:
        return TransferResult(False, 603, "nobody is there")

    async def hold(self, on: bool) -> bool:
        return False

    async def send_digits(self, digits: str) -> None:
        return

    def play(self, audio: bytes, *, response_id: str, item_id: str) -> None:
        self._playout.write(audio, response_id, item_id)

    def play_end(self, *, response_id: str) -> None:
        self._playout.end(response_id)

    def stop_playing(self) -> Sequence[Heard]:
        return [Heard(one.response_id, one.item_id, one.heard_ms, one.cut) for one in self._playout.flush()]

    def play_music(self, on: bool) -> None:
        return

    def speak_live(self, voice: object) -> None:
        return

    def tap(self, tap: LegTap | None) -> None:
        return

    def figures(self) -> MediaFigures:
        return MediaFigures(sent=self._sent)

    def _tick(self) -> None:
        listener = self._listener
        if listener is None:
            return
        self._next += FRAME_S
        self._timer = self._loop.call_at(self._next, self._tick)
        now = self._loop.time()
        frame = self._playout.take()
        facts, self._playout.facts = self._playout.facts, []
        for fact in facts:
            if isinstance(fact, Started):
                if fact.response_id.startswith(COMFORT):
                    self._comfort_began(now)
                listener.leg_playback_started(fact.response_id, fact.item_id)
            else:
                listener.leg_playback_ended(Heard(fact.response_id, fact.item_id, fact.heard_ms, fact.cut))
        if frame is not None:
            self._sent += 1
            self._last_frame = now
        listener.leg_audio(SILENCE)

    def _comfort_began(self, now: float) -> None:
        killed = self._truth.killed_at
        if killed is not None and self._comforted != killed:
            self._comforted = killed
            self._figures.comfort.append(now - max(killed, self._last_frame))


class Nobody:
    """An observer that looks away."""

    def call_changed(self, call: Call) -> None:
        return

    def response_changed(self, call: Call, entry: LedgerEntry) -> None:
        return

    def utterance_changed(self, call: Call, line: Utterance) -> None:
        return

    def noticed(self, call: Call, notice: RealtimeModelNoticeEvent) -> None:
        return

    def digit_pressed(self, call: Call, digit: str) -> None:
        return

    def tool_ended(self, call: Call, name: str, ok: bool, seconds: float) -> None:
        return

    def happened(self, call: Call, kind: str, facts: Mapping[str, Any]) -> None:
        return

    def call_ended(self, call: Call) -> None:
        return


def run_recovery_bench(*, kills: int = 500, calls: int = 20, seed: int = 1) -> dict[str, Any]:
    """Kill sessions until ``kills`` is reached and return the figures; see the module."""
    return run_loop(lambda: measure_recovery(kills, calls, seed))


async def measure_recovery(kills: int, calls: int, seed: int) -> dict[str, Any]:
    """Run the bench on the running loop; see :func:`run_recovery_bench`."""
    provider, figures = MortalProvider(calls, kills, seed), Figures()
    url = await provider.start()
    began = asyncio.get_running_loop().time()
    limit_s = 60 + 8.0 * kills / calls
    unfinished = 0
    try:
        tasks = [
            asyncio.create_task(_one_call(number, provider, figures, url), name=f"bench call {number}")
            for number in range(calls)
        ]
        _, late = await asyncio.wait(tasks, timeout=limit_s)
        unfinished = len(late)
        for task in late:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for task in tasks:
            error = None if task.cancelled() else task.exception()
            if error is not None:
                figures.failures[f"{type(error).__name__}: {error}"[:120]] += 1
    finally:
        await provider.close()
    seconds = asyncio.get_running_loop().time() - began
    return _report(provider, figures, calls, seconds, unfinished)


def _flow(provider: MortalProvider, truth: CallTruth) -> Flow:
    @tool
    async def place_order(turn: int) -> dict[str, int]:
        """Place the order of this turn."""
        await asyncio.sleep(0.05)
        truth.executed[turn] += 1
        return {"turn": turn}

    @flow("bench", numbers=["*"], instructions="Answer turn after turn.")
    async def bench(call: FlowCall) -> None:
        turn, left = 0, LAST_TURNS
        while left:
            turn += 1
            left -= provider.tally.kills >= provider.kills
            outcome = await call.respond(f"Turn {turn}.", tools=[place_order] if turn % 3 == 0 else ())
            if outcome.completed and outcome.text:
                truth.completed.append(outcome.text)

    return bench


async def _one_call(number: int, provider: MortalProvider, figures: Figures, url: str) -> None:
    truth = provider.truths[number]
    profile = ProviderProfile(name="bench", url=url, auth="none", session_minutes=None)
    loop = asyncio.get_running_loop()

    async def open_session(_flow: Flow, audio_format: G711, journal: Journal) -> RealtimeSession:
        model = OpenAIRealtimeWebSocketModel(provider=profile, model=f"call-{number}")
        config = RealtimeSessionConfig(
            instructions="Answer turn after turn.",
            input_audio_format=audio_format,
            output_audio_format=audio_format,
            playout=True,
        )
        session = RealtimeSession(model=model, config=config)
        await session.open()
        return session

    def look(entry: Mapping[str, Any]) -> None:
        if entry["type"] == "recovery.restored" and truth.killed_at is not None:
            figures.resumed.append(loop.time() - max(truth.killed_at, truth.back_at))
        elif entry["type"] == "response.ended":
            figures.responses[entry["outcome"].kind.value] += 1
        elif entry["type"] in ("recovery.failed", "task.failed", "flow.failed"):
            figures.failures[f"{entry['type']} {entry.get('code', entry.get('error', ''))}"] += 1

    journal = Journal(None, None, monotonic=loop.time)
    journal.tap(look)
    call = Call(
        f"bench-{number}",
        ClockedLeg(number, truth, figures),
        _flow(provider, truth),
        open_session=open_session,
        config=CallConfig(connect_timeout_s=10.0),
        journal=journal,
        observer=Nobody(),
        tokens=random_token,
        transcription=None,
    )
    outcome = await call.run()
    figures.calls[f"{outcome.kind.value}: {outcome.reason}"] += 1
    figures.gaps.append(call.watch.longest_gap_s)


def _report(
    provider: MortalProvider, figures: Figures, calls: int, seconds: float, unfinished: int
) -> dict[str, Any]:
    tally = provider.tally
    executed = [times for truth in provider.truths for times in truth.executed.values()]
    return {
        "calls": calls,
        "seconds": round(seconds, 1),
        "kills": tally.kills,
        "kill_points": len(tally.points),
        "sessions": tally.sessions,
        "connections_refused": tally.refused,
        "turns_completed": sum(len(truth.completed) for truth in provider.truths),
        "turns_to_restore": tally.expected,
        "turns_restored_percent": round(100 * tally.restored / tally.expected, 3) if tally.expected else None,
        "turns_missing": tally.missing[:5],
        "tool_effects": sum(executed),
        "tool_effects_twice": sum(times > 1 for times in executed),
        "comfort_delay_s": _spread(figures.comfort),
        "resumed_s": _spread(figures.resumed),
        "longest_gap_s": _spread(figures.gaps),
        "call_outcomes": dict(figures.calls),
        "response_outcomes": dict(figures.responses),
        "failures": dict(figures.failures),
        "calls_unfinished": unfinished,
    }


def _spread(values: list[float]) -> dict[str, float | int]:
    return {
        "count": len(values),
        "p50": round(percentile(values, 0.5), 3),
        "p99": round(percentile(values, 0.99), 3),
        "max": round(max(values, default=0.0), 3),
    }
