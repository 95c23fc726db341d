"""How fast the sequencer decides, and what it keeps of its promises under synthetic traffic.

Decisions are ``handle`` and ``wake`` calls. Their rate is measured by replaying what the machines of model
calls were fed (the same mix of requests, events and wake-ups), one core, no driver: events per second of
CPU-bound replay, the best of the rounds that fit into the time given.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from voiceagent.bench.interleavings import FAULTS, KINDS, SOURCES, Walked, live_randomly, walk_exhaustively
from voiceagent.bench.planted import BUGS, PROMISES, catch
from voiceagent.bench.stats import percentile
from voiceagent.bench.traffic import Recorded, SyntheticCall, Tally, simulate
from voiceagent.ids import counted_tokens
from voiceagent.realtime.sequencer import Sequencer
from voiceagent.realtime.sequencer_config import SequencerConfig

CALLS = 24
CALL_SECONDS = 300.0


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


def choose_bench(
    *,
    seconds: float = 3.0,
    seed: int = 1,
    exhaustive: int | None = None,
    interleavings: int | None = None,
    sockets: int | None = None,
    planted: bool = False,
    against: str | None = None,
) -> Callable[[], Mapping[str, Any]]:
    """Return the run that the options ask for; without any, decisions per second and the simulation."""
    if against is not None:
        from voiceagent.bench.against_peer import run_against

        return lambda: run_against(against, seed=seed)
    if exhaustive is not None:
        return lambda: run_exhaustive_bench(exhaustive)
    if interleavings is not None:
        return lambda: run_interleavings_bench(interleavings, seed)
    if sockets is not None:
        from voiceagent.bench.traffic_sockets import run_sockets_bench

        return lambda: run_sockets_bench(sockets, seed)
    if planted:
        return run_planted_bench
    return lambda: run_sequencer_bench(seconds=seconds, seed=seed)


def run_exhaustive_bench(depth: int, *, say: Callable[[str], None] | None = None) -> dict[str, Any]:
    """Walk every order of the ten sources: each kind of session to ``depth``, with faults two levels less.

    *states* are the different situations met; an order that leads to one met before is *merged* with it.
    Raises :class:`~voiceagent.bench.interleavings.OrderBroken` with the shortest order that breaks a promise.
    """
    runs = [(kind, "none", depth) for kind in KINDS]
    runs += [(kind, fault, max(1, depth - 2)) for kind in KINDS for fault in FAULTS if fault != "none"]
    walks: dict[str, Any] = {}
    states = orders = 0
    for kind, fault, deep in runs:
        walked = walk_exhaustively(deep, kind, fault)
        walks[kind if fault == "none" else f"{kind}, {fault}"] = _line_of(walked)
        states += walked.states
        orders += walked.orders
        if say is not None:
            say(f"{kind}, {fault}: {_line_of(walked)}")
    return {
        "depth": depth,
        "sources": len(SOURCES),
        "states": states,
        "orders": orders,
        "broken": 0,
        "walks": walks,
    }


def _line_of(walked: Walked) -> str:
    return (
        f"depth {walked.depth}: {walked.states:,} states, {walked.orders:,} orders lived, "
        f"{walked.merged:,} merged, {walked.healed:,} healed, {walked.seconds:.0f} s"
    )


def run_interleavings_bench(lives: int, seed: int) -> dict[str, Any]:
    """Live ``lives`` random orders of events. Raises with the seed of the first one that breaks a promise."""
    lived = live_randomly(lives, seed)
    return {
        "interleavings": lived.lives,
        "steps": lived.steps,
        "requests": lived.requests,
        "lived_to_the_end": lived.healed,
        "broken": 0,
        "seed": seed,
        "seconds": round(lived.seconds, 1),
    }


def run_planted_bench() -> dict[str, Any]:
    """Plant each defect by itself and say which property caught it, in how many lives."""
    rows: dict[str, str] = {}
    escaped = 0
    for bug in BUGS:
        caught = catch(bug)
        escaped += caught.property not in PROMISES
        promise = PROMISES.get(caught.property, "escaped")
        rows[bug.__name__] = f"{caught.property or '-':<4} {promise} (planted: {caught.defect.lower()})"
    return {"planted": len(BUGS), "caught": len(BUGS) - escaped, "escaped": escaped, "defects": rows}
