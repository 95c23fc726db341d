"""``voiceagent bench sequencer --against openai-agents``: two sequencers, one traffic, one table."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from typing import Any

from voiceagent.bench.against_clients import Client, Ours, Peer, require_peer
from voiceagent.bench.against_world import RUN_OFF_S, Asked, JumpingLoop, Script, Server, Truth
from voiceagent.errors import ConfigError

CALLS = 24
CALL_SECONDS = 300.0
Make = Callable[[Server, str], Client]

MEANINGS = {
    "requests": "responses asked for by name: prompts of the flow and lines of an operator",
    "vanished": "never heard, and nothing told that names it: no outcome, no error, no cancelled response",
    "never_heard": "never heard for whatever reason, told or not",
    "tool_results_unanswered": "tool results in the conversation after which no response ever began",
    "collisions": "creates refused because a response was running",
    "turns_unanswered": "caller turns whose automatic reply was refused: a create had taken its place",
    "overlaps": "responses that began while another one ran (the server allows none)",
    "starts_over_speech": "responses asked for by the client that became audible while the caller spoke",
    "request_to_speech_s": "from asking to the first sound at the ear; of the requests that were ever heard",
    "silent": "the same, for requests made while the caller was not speaking",
    "undisturbed": "… and the answer to the caller's last turn was neither due nor being generated",
    "free": "… and nothing else was being generated or heard",
    "same_conditions": "requests that met a free line in both runs; what was never heard is infinitely late",
}


async def one_call(make: Make, seed: str, seconds: float) -> Truth:
    """Live one call with one client."""
    loop = asyncio.get_running_loop()
    server = Server(seed)
    client = make(server, seed)
    await client.open()
    start = loop.time() + 1.0
    script = Script.draw(seed, seconds)
    for turn, (at, length) in enumerate(script.speech):
        loop.call_at(start + at, server.speech, length, turn)
    for number, (at, kind) in enumerate(script.wishes):
        loop.call_at(start + at, _ask, server, client, f"q{number}", kind)
    await asyncio.sleep(1.0 + seconds + RUN_OFF_S)
    truth = server.close()
    await client.close()
    return truth


def _ask(server: Server, client: Client, name: str, kind: str) -> None:
    server.wish(name)
    client.ask(name, kind)


def live(make: Make, calls: int, seconds: float, seed: int) -> tuple[Truth, float]:
    """Live all calls of one client; return the truth and the wall time."""
    total = Truth()
    began = time.perf_counter()
    for number in range(calls):
        with asyncio.Runner(loop_factory=JumpingLoop) as runner:
            total.add(runner.run(one_call(make, f"{seed}/{number}", seconds)))
    return total, time.perf_counter() - began


def percentile(values: list[float], fraction: float) -> float:
    """Return the value below which ``fraction`` of ``values`` lie; 0.0 of nothing."""
    ordered = sorted(values)
    return round(ordered[min(len(ordered) - 1, int(len(ordered) * fraction))], 3) if ordered else 0.0


def figures(truth: Truth, wall_s: float) -> dict[str, Any]:
    """Return the row of one client; see :data:`MEANINGS`."""
    unheard = [asked for asked in truth.asked if asked.heard_at is None]

    def waits(which: Callable[[Any], bool]) -> list[float]:
        return [one.heard_at - one.at for one in truth.asked if one.heard_at is not None and which(one)]

    kinds: dict[str, Callable[[Any], bool]] = {
        "request_to_speech_s": lambda _: True,
        "silent": lambda asked: asked.silent,
        "undisturbed": lambda asked: asked.undisturbed,
        "free": lambda asked: asked.free,
    }
    times = {name: waits(which) for name, which in kinds.items()}
    return {
        "requests": len(truth.asked),
        "vanished": sum(not asked.signs for asked in unheard),
        "never_heard": len(unheard),
        "tool_results": truth.tool_outputs,
        "tool_results_unanswered": truth.tool_outputs_unanswered,
        "creates": truth.creates,
        "collisions": truth.collisions,
        "overlaps": truth.overlaps,
        "turns": truth.turns,
        "turns_unanswered": truth.turns_unanswered,
        "swallowed_creates": truth.swallowed,
        "starts_over_speech": truth.starts_over_speech,
        **{f"{name}_p{at}": percentile(times[name], at / 100) for name in kinds for at in (50, 95)},
        "frames_not_understood": truth.bad_frames,
        "wall_s": round(wall_s, 1),
    }


def run_against(
    peer: str, *, calls: int = CALLS, seconds: float = CALL_SECONDS, seed: int = 1
) -> dict[str, Any]:
    """Run both clients over the same calls. Raises :class:`~voiceagent.errors.ConfigError`."""
    if peer != "openai-agents":
        raise ConfigError("--against", f"knows openai-agents, not {peer}")
    version = require_peer()
    ours, our_wall_s = live(Ours, calls, seconds, seed)
    theirs, their_wall_s = live(Peer, calls, seconds, seed)
    return {
        "calls": calls,
        "call_seconds": seconds,
        "seed": seed,
        "voiceagent": figures(ours, our_wall_s),
        f"openai-agents {version}": figures(theirs, their_wall_s),
        "same_conditions": same_conditions(ours, theirs),
        "meaning": MEANINGS,
    }


def same_conditions(ours: Truth, theirs: Truth) -> dict[str, Any]:
    """Compare the requests that met a silent caller and a free line in both runs.

    What was never heard counts as infinitely late.
    """
    pairs = [
        (one, other) for one, other in zip(ours.asked, theirs.asked, strict=True) if one.free and other.free
    ]

    def waits(asked: list[Asked]) -> list[float]:
        return [math.inf if one.heard_at is None else one.heard_at - one.at for one in asked]

    mine, its = waits([one for one, _ in pairs]), waits([other for _, other in pairs])
    return {
        "requests": len(pairs),
        "voiceagent_p50": percentile(mine, 0.5),
        "voiceagent_p95": percentile(mine, 0.95),
        "voiceagent_never_heard": sum(math.isinf(one) for one in mine),
        "peer_p50": percentile(its, 0.5),
        "peer_p95": percentile(its, 0.95),
        "peer_never_heard": sum(math.isinf(one) for one in its),
    }
