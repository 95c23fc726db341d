"""What flows cost: checked, read again, routed to, simulated, replayed. Seconds of wall clock, and of CPU."""

from __future__ import annotations

import asyncio
import itertools
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from voiceagent.app.flow_books import book_of_flows
from voiceagent.app.reload import FlowDesk
from voiceagent.bench.flow_files import long_call, python_flow, toml_flow
from voiceagent.bench.stats import cpu_seconds
from voiceagent.errors import ConfigError
from voiceagent.ivr.check.files import check_file
from voiceagent.ivr.front_desk import front_desk
from voiceagent.ivr.routing import Arrival
from voiceagent.observe.logs import configure_logs
from voiceagent.observe.metrics import Metrics
from voiceagent.replay.replay import replay_journal
from voiceagent.settings import bare_settings
from voiceagent.simulate.engine import simulate
from voiceagent.simulate.scenario_file import parse_scenario

GOALS = {"check_command_s": 1.0, "simulate_s": 0.2, "replay_s": 2.0}
"""At most, as medians: ``flow check`` of 200 steps, a call of two minutes, the replay of one of five."""
FIVE_MINUTES = 15
"""Rounds of :func:`~voiceagent.bench.flow_files.long_call` that take five minutes."""
ROUTES = 50
DECISIONS = 1000


def run_flows_bench(*, runs: int, steps: int = 200, rounds: int = FIVE_MINUTES) -> dict[str, Any]:
    """Measure everything ``runs`` times, the first time aside (but for commands, each of which is a first).

    Raises ConfigError when what is measured does not do what it should.
    """
    configure_logs(level="error")
    with TemporaryDirectory(prefix="voiceagent-flows-") as name:
        folder = Path(name)
        written = {"python": folder / "long.py", "toml": folder / "long.toml"}
        written["python"].write_text(python_flow(steps), encoding="utf-8")
        written["toml"].write_text(toml_flow(steps), encoding="utf-8")
        return {
            "machine": machine(),
            "goals": GOALS,
            "steps": steps,
            "check_s": {kind: spread(partial(_check, path), runs) for kind, path in written.items()},
            "check_command_s": {
                kind: spread(partial(_command, folder, "flow", "check", path.name), runs, first=True)
                for kind, path in written.items()
            },
            "help_command_s": spread(partial(_command, folder, "--help"), runs, first=True),
            "reload_s": _reload(list(written.values()), runs),
            "routing": _routing(runs),
            "simulate": _simulate(runs),
            "replay": _replay(folder, rounds, runs),
        }


def machine() -> dict[str, Any]:
    """Return what the figures were measured on; the load is that of the minute before."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 2),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown"
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "unknown")


def spread(work: Callable[[], object], runs: int, *, first: bool = False) -> dict[str, float]:
    """Return median, least and most seconds of ``work()`` by the wall clock, and the median of its CPU time.

    ``first``: its first time counts as well.
    """
    if not first:
        work()
    return _told([_timed(work) for _ in range(runs)])


def _timed(work: Callable[[], object]) -> tuple[float, float]:
    began, cpu = time.perf_counter(), _cpu_s()
    work()
    return time.perf_counter() - began, _cpu_s() - cpu


def _cpu_s() -> float:
    """Return the CPU time of this process and of those that it has waited for: other work adds nothing."""
    waited_for = resource.getrusage(resource.RUSAGE_CHILDREN)
    return cpu_seconds() + waited_for.ru_utime + waited_for.ru_stime


def _told(taken: Sequence[tuple[float, float]]) -> dict[str, float]:
    walls, cpus = [one[0] for one in taken], [one[1] for one in taken]
    told = {
        "median": statistics.median(walls),
        "least": min(walls),
        "most": max(walls),
        "cpu": statistics.median(cpus),
    }
    return {name: float(f"{value:.3g}") for name, value in told.items()}


# ── what is measured ────────────────────────────────────────────────────────────────────────────
def _check(path: Path) -> None:
    found = check_file(path).findings
    if found:
        raise ConfigError("flows", f"a flow that should be sound is not: {found[0]}")


def _command(folder: Path, *arguments: str) -> None:
    command = [sys.executable, "-m", "voiceagent", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ConfigError("bench", f"{' '.join(command)} failed: {done.stdout}{done.stderr}".strip())


def _reload(paths: Sequence[Path], runs: int) -> dict[str, float]:
    """Both flows read, checked and put in place, as ``SIGHUP`` does."""
    settings = bare_settings({"flows": [str(one) for one in paths]})

    async def measured() -> list[tuple[float, float]]:
        desk = FlowDesk(settings, Metrics())
        taken: list[tuple[float, float]] = []
        for _ in range(runs + 1):
            began, cpu = time.perf_counter(), _cpu_s()
            await desk.reload("bench")
            taken.append((time.perf_counter() - began, _cpu_s() - cpu))
        return taken[1:]

    return _told(asyncio.run(measured()))


def _routing(runs: int) -> dict[str, Any]:
    """Decide where calls go over fifty routes of every kind; a call that none is for passes them all."""
    kinds: tuple[dict[str, Any], ...] = (
        {"number": "+4420794600{n:02}*"},
        {"trunk": "carrier-{n}"},
        {"caller": "+4930{n:02}*", "days": "mon-fri", "hours": "09:00-17:30", "timezone": "Europe/Berlin"},
        {"header": {"name": "X-Campaign", "matches": "spring-{n}-.*"}},
        {"number": "8{n:02}?", "percent": 50},
    )
    routes = [
        {"flow": front_desk.name, **_numbered(kind, n)}
        for n, kind in zip(range(ROUTES), itertools.cycle(kinds), strict=False)
    ]
    trunks = [{"name": f"carrier-{n}", "addresses": [f"192.0.2.{n + 1}"]} for n in range(ROUTES)]
    router = book_of_flows(bare_settings({"routes": routes, "trunks": trunks})).router
    noon = datetime(2026, 3, 2, 12, tzinfo=UTC)
    arrivals = [
        Arrival(str(number), noon, f"+4420{number}", headers=(("X-Campaign", f"autumn-{number}"),))
        for number in range(DECISIONS)
    ]

    def decide() -> None:
        for one in arrivals:
            router.decide(one)

    walls = spread(decide, runs)
    return {
        "routes": ROUTES,
        "us_per_decision": {name: round(wall / DECISIONS * 1e6, 1) for name, wall in walls.items()},
    }


def _numbered(value: Any, n: int) -> Any:
    if isinstance(value, dict):
        return {key: _numbered(one, n) for key, one in value.items()}  # pyright: ignore[reportUnknownVariableType]
    return value.format(n=n) if isinstance(value, str) else value


def _simulate(runs: int) -> dict[str, Any]:
    text = (files("voiceagent.bench") / "two_minutes.toml").read_text(encoding="utf-8")
    scenario = parse_scenario(text)
    result = simulate(front_desk, scenario, text=text)
    if not result.ok:
        raise ConfigError("bench", f"the simulated call went otherwise: {result.failures[0]}")
    walls = spread(lambda: simulate(front_desk, scenario, text=text), runs)
    return {"call_s": round(result.duration_s, 1), "s": walls}


def _replay(folder: Path, rounds: int, runs: int) -> dict[str, Any]:
    scenario, text = long_call(rounds)
    result = simulate(front_desk, scenario, text=text, inputs=True)
    if not result.ok:
        raise ConfigError("bench", f"the simulated call went otherwise: {result.failures[0]}")
    journal = folder / "call.jsonl"
    result.write_journal(journal)
    report = replay_journal(journal)
    if not report.same:
        raise ConfigError("bench", f"the replay decides otherwise: {report.verdict.differences[0]}")
    return {
        "call_s": round(result.duration_s, 1),
        "decisions": report.verdict.compared,
        "s": spread(lambda: replay_journal(journal), runs),
    }
