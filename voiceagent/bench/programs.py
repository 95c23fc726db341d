"""``voiceagent bench programs``: random programs of well-formed events against the SIP endpoint.

Panics find little in a state machine; promises do. Each program is a seed: up to forty things happen to one
endpoint, then every call is hung up and time passes. :mod:`voiceagent.bench.sip_promises` watches throughout.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from typing import Any

from voiceagent.bench.sip_promises import PROMISES
from voiceagent.bench.sip_world import SipWorld
from voiceagent.errors import VoiceAgentError

MOST_STEPS = 40


class ProgramBroken(VoiceAgentError):
    """A program that breaks a promise, with what is needed to run it again."""

    code = "sip_program_broken"

    def __init__(self, seed: int, broken: BaseException, trace: list[str]) -> None:
        super().__init__(f"program {seed}: {broken!r} after {' · '.join(trace)}")
        self.seed = seed
        self.broken = broken


def run_program(seed: int) -> SipWorld:
    """Run one program to its end; ProgramBroken names the promise."""
    world = SipWorld(seed)
    steps = random.Random(seed).randint(5, MOST_STEPS)
    try:
        for _ in range(steps):
            world.step()
        world.finish()
    except Exception as error:
        raise ProgramBroken(seed, error, world.trace) from error
    return world


def run_programs(programs: int, seed: int = 1) -> dict[str, Any]:
    """Run that many programs; raises ProgramBroken at the first one that breaks a promise."""
    began = time.perf_counter()
    steps = requests = 0
    ends: Counter[str] = Counter()
    for number in range(programs):
        world = run_program(seed * 10_000_000 + number)
        steps += len(world.trace)
        requests += len(world.watcher.requests)
        ends.update(world.watcher.ended.values())
    spent = time.perf_counter() - began
    return {
        "programs": programs,
        "steps": steps,
        "legs": sum(ends.values()),
        "ended_by": dict(sorted(ends.items())),
        "requests_sent": requests,
        "promises": len(PROMISES),
        "broken": 0,
        "seed": seed,
        "seconds": round(spent, 1),
    }


def run_programs_bench(programs: int = 20_000, seed: int = 1) -> dict[str, Any]:
    """Run the programs, then plant each defect of :mod:`voiceagent.bench.sip_planted` and see who notices."""
    from voiceagent.bench.sip_planted import DEFECTS, catch

    figures = run_programs(programs, seed)
    caught = {defect.name: catch(defect) for defect in DEFECTS}
    return {
        **figures,
        "planted": len(DEFECTS),
        "escaped": sum(found.promise not in PROMISES for found in caught.values()),
        "defects": {
            name: f"{PROMISES.get(found.promise, 'escaped')}: program {found.programs}"
            for name, found in caught.items()
        },
    }
