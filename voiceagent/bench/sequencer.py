"""How fast the sequencer decides, and what it keeps of its promises under synthetic traffic.

Decisions are ``handle`` and ``wake`` calls. Their rate is measured by replaying what the machines of model
calls were fed (the same mix of requests, events and wake-ups), one core, no driver: events per second of
CPU-bound replay, the best of the rounds that fit into the time given.
"""

from __future__ import annotations

import time
from typing import Any

from voiceagent.bench.traffic import Recorded, SyntheticCall, Tally, simulate
from voiceagent.ids import counted_tokens
from voiceagent.realtime.sequencer import Sequencer
from voiceagent.realtime.sequencer_config import SequencerConfig

CALLS = 24
CALL_SECONDS = 300.0


def percentile(values: list[float], fraction: float) -> float:
    """Return the value below which ``fraction`` of ``values`` lie; 0.0 of nothing."""
    if not values:
        return 0.0
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * fraction))]


def replay(recordings: list[tuple[SequencerConfig, Recorded]]) -> tuple[int, float]:
    """Feed fresh machines what was recorded; return the number of decisions and the seconds they took."""
    decisions = 0
    clock = time.perf_counter
    spent = 0.0
    for config, recorded in recordings:
        machine = Sequencer(config, tokens=counted_tokens("ev"))
        handle, wake = machine.handle, machine.wake
        wake_at = machine.wake_at
        started = clock()
        for now, event in recorded:
            if event is None:
                wake(now)
            else:
                handle(event, now)
            wake_at()
        spent += clock() - started
        decisions += len(recorded)
    return decisions, spent


def measure_rate(seconds: float, seed: int) -> tuple[float, int]:
    """Return decisions per second (best round) and how many decisions were timed in all."""
    recordings: list[tuple[SequencerConfig, Recorded]] = []
    for number in range(4):
        call = SyntheticCall(seed * 1000 + 500 + number, 120.0, record=True)
        call.run()
        recordings.append((call.config, call.recorded or []))
    best, total = 0.0, 0
    deadline = time.perf_counter() + seconds
    while True:
        decisions, spent = replay(recordings)
        total += decisions
        best = max(best, decisions / spent)
        if time.perf_counter() >= deadline:
            return best, total


def _figures(tally: Tally) -> dict[str, Any]:
    waits = tally.request_to_speech_s
    return {
        "requests": tally.requests,
        "vanished": tally.vanished,
        "collisions": tally.collisions,
        "starts_over_speech": tally.starts_over_speech,
        "request_to_speech_s": {
            "p50": round(percentile(waits, 0.5), 3),
            "p95": round(percentile(waits, 0.95), 3),
        },
        "cancelled_before_audible": tally.cancelled_before_audible,
        "heard_twice": tally.heard_twice,
        "refusals": tally.refusals,
        "swallowed_creates": tally.swallowed,
        "caller_turns": tally.turns,
        "outcomes": dict(sorted(tally.outcomes.items())),
    }


def run_sequencer_bench(seconds: float = 3.0, seed: int = 1) -> dict[str, Any]:
    """Measure for about ``seconds``, then simulate 24 calls of 300 virtual seconds.

    Keys: ``decisions_per_second``, ``decisions_timed``, ``simulation`` (automatic replies on) and
    ``simulation_flow_owned`` (we answer turns). *vanished* are requests without an outcome, or completed and
    never heard; *collisions* moments with two responses of the conversation alive in the server; *refusals*
    creates that the server turned down; *starts_over_speech* responses of ours that became audible while the
    caller spoke (each is stopped as soon as the news of the speech arrives).
    """
    rate, timed = measure_rate(seconds, seed)
    return {
        "decisions_per_second": round(rate),
        "decisions_timed": timed,
        "calls": CALLS,
        "call_seconds": CALL_SECONDS,
        "seed": seed,
        "simulation": _figures(simulate(CALLS, CALL_SECONDS, seed)),
        "simulation_flow_owned": _figures(simulate(CALLS, CALL_SECONDS, seed, auto_create=False)),
    }
