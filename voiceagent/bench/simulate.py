"""How long a call of two minutes with the built-in front desk takes when it is simulated."""

from __future__ import annotations

import statistics
import time
from importlib.resources import files
from typing import Any

GOAL_S = 0.2


def run_simulate_bench(runs: int) -> dict[str, Any]:
    """Simulate the same call again and again; the first time, which fills caches, is told apart."""
    from voiceagent.ivr.front_desk import front_desk
    from voiceagent.simulate.engine import simulate
    from voiceagent.simulate.scenario_file import parse_scenario

    text = (files("voiceagent.bench") / "two_minutes.toml").read_text(encoding="utf-8")
    scenario = parse_scenario(text)
    walls: list[float] = []
    cpus: list[float] = []
    result = None
    for _ in range(runs + 1):
        wall, cpu = time.perf_counter(), time.process_time()
        result = simulate(front_desk, scenario, text=text)
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    assert result is not None
    return {
        "call_s": round(result.duration_s, 1),
        "as_expected": result.ok,
        "first_s": round(walls[0], 3),
        "median_s": round(statistics.median(walls[1:]), 3),
        "median_cpu_s": round(statistics.median(cpus[1:]), 3),
        "goal_s": GOAL_S,
    }
