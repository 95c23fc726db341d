"""``voiceagent bench calls --against pipecat``: the same phones and provider before two frameworks, in turns.

Each run has a fresh process under test and a fresh load process. Ours is ``voiceagent bench calls`` itself;
the peer is a module of :mod:`voiceagent.bench.peers`, run by the Python that has it (``--peer-python``),
which sees of this package its source only. Runs alternate, the order changing, so that both meet the same
machine.
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import voiceagent
from voiceagent.bench.against_table import compared
from voiceagent.bench.calls import WARM_UP_S, LoadProcess, machine_reasons
from voiceagent.bench.load_provider import PERIOD_S
from voiceagent.bench.stats import tell
from voiceagent.bench.usage import Used, others_core_percent, used_now
from voiceagent.errors import ConfigError
from voiceagent.loops import run_loop

PEERS = {"pipecat": "pipecat", "openai-agents": "agents", "plain": "websockets"}
"""Name of each peer, and the package that its process imports."""
MODULES = {
    "pipecat": "voiceagent.bench.peers.pipecat_calls",
    "openai-agents": "voiceagent.bench.peers.agents_calls",
    "plain": "voiceagent.bench.peers.plain_calls",
}
WORK_SHARE = 0.8
"""A side that did less than this of the work that the script asks for has no figures to compare."""
FRAMES_A_TURN = 150
"""Of two answers of 200 frames one is cut in the middle."""
Run = dict[str, Any]


def run_against_calls(
    peer: str,
    *,
    calls: int = 25,
    seconds: float = 10.0,
    repeats: int = 3,
    whole: bool = False,
    python: str | None = None,
    warm_up_s: float = WARM_UP_S,
    say: Callable[[str], None] = tell,
) -> dict[str, Any]:
    """Run both in turns, ``repeats`` times each, and return medians, least and most, and the ratio.

    Raises :class:`~voiceagent.errors.ConfigError` for an unknown peer and for one that ``python`` (this
    process's own by default) cannot import.
    """
    python = require_peer(peer, python)
    both: dict[str, Callable[[], Run]] = {
        "voiceagent": lambda: our_run(calls, seconds, whole=whole),
        peer: lambda: run_loop(lambda: measure_peer(peer, python, calls, seconds, warm_up_s)),
    }
    runs: dict[str, list[Run]] = {side: [] for side in both}
    for number in range(repeats):
        for side in list(both) if number % 2 == 0 else list(reversed(both)):
            run = both[side]()
            runs[side].append(run)
            verdict = "; ".join(run["invalid_because"]) or "valid"
            cpu = run["cpu_ms_per_call_second"]
            say(f"{side}, run {number + 1} of {repeats}: {cpu:.2f} ms of CPU per call and second ({verdict})")
    return compared(peer, runs, calls=calls, seconds=seconds, whole=whole)


def require_peer(peer: str, python: str | None) -> str:
    """Return the Python that runs ``peer``. Raises :class:`~voiceagent.errors.ConfigError`."""
    if peer not in PEERS:
        raise ConfigError("--against", f"knows {', '.join(PEERS)}, not {peer}")
    python = python or sys.executable
    try:
        found = subprocess.run(
            [python, "-c", f"import importlib.util as u; print(bool(u.find_spec('{PEERS[peer]}')))"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    except OSError as error:
        raise ConfigError("--peer-python", f"cannot run {python}: {error.strerror}") from None
    if found.stdout.strip() != "True":
        raise ConfigError(
            f"--against {peer}",
            f"is not installed for {python}; install it there with pip install 'voiceagent[bench]', "
            "or name another Python with --peer-python",
        )
    return python


def our_run(calls: int, seconds: float, *, whole: bool) -> Run:
    """Run our side in a process of its own."""
    command = [sys.executable, "-m", "voiceagent", "bench", "calls", "--json"]
    command += ["--calls", str(calls), "--seconds", str(seconds), *(["--whole"] if whole else [])]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"bench calls ended with code {done.returncode}")
    figures: Run = json.loads(done.stdout)
    figures["version"] = voiceagent.__version__
    figures["python"] = platform.python_version()
    return figures


@contextmanager
def _source_path() -> Generator[dict[str, str]]:
    """Yield an environment in which another Python finds this package's source, and nothing beside it."""
    with tempfile.TemporaryDirectory(prefix="voiceagent-peer-") as folder:
        (Path(folder) / "voiceagent").symlink_to(Path(voiceagent.__file__).parent)
        yield {**os.environ, "PYTHONPATH": folder, "PYTHONDONTWRITEBYTECODE": "1"}


async def measure_peer(peer: str, python: str, calls: int, seconds: float, warm_up_s: float) -> Run:
    """Run the peer's side."""
    load = await LoadProcess.start()
    with _source_path() as env:
        under_test = await LoadProcess.start(MODULES[peer], python=python, env=env)
        try:
            prepared = await load.order(calls=calls)
            opened = await under_test.order(ws=prepared["ws"], phones=prepared["phones"])
            await load.order(ports=opened["ports"])
            await asyncio.sleep(warm_up_s)
            await load.order(measure=True)
            start, own = Used(**await under_test.order(used=True)), used_now()
            await asyncio.sleep(seconds)
            end, own_end = Used(**await under_test.order(used=True)), used_now()
            seen = await load.order(report=True)
        finally:
            await under_test.stop()
            await load.stop()
    ours_too = 100 * (own_end.cpu_s - own.cpu_s) / (own_end.at - own.at)
    others = max(0.0, others_core_percent(start, end, seen["load_core_percent"]) - ours_too)
    return peer_figures(calls, Used(**opened["before"]), start, end, seen, others) | {
        "version": opened["peer"].removeprefix(peer).strip(),
        "python": opened["python"],
        "loop": opened["loop"],
    }


def peer_figures(
    calls: int, before: Used, start: Used, end: Used, seen: Mapping[str, Any], others: float
) -> Run:
    """Return the figures of one run of a peer under the names of ours; what is not measured is None."""
    window = end.at - start.at
    core = 100 * (end.cpu_s - start.cpu_s) / window
    reasons = [*machine_reasons(others, seen), *undone(calls, seen)]
    return {
        "calls": calls,
        "seconds": round(window, 2),
        "core_percent": round(core, 2),
        "core_percent_per_call": round(core / calls, 4),
        "cpu_ms_per_call_second": round(10 * core / calls, 3),
        "pacing_ms": seen["pacing_ms"],
        "uplink_ms": seen["uplink_ms"] if seen["uplink_ms"]["p50"] else None,
        "downlink_ms": seen["downlink_ms"],
        "barge_in_stop_ms": seen["barge_in_stop_ms"],
        "truncate_ms": seen["truncate_ms"],
        "memory_kb_per_call": round((end.resident_kb - before.resident_kb) / max(1, calls - 1), 1),
        "base_memory_mb": round(before.resident_kb / 1024, 1),
        "others_core_percent": round(others, 1),
        "load": dict(seen),
        "valid": not reasons,
        "invalid_because": reasons,
    }


def undone(calls: int, seen: Mapping[str, Any]) -> list[str]:
    """Return which part of the script was not carried out: calls that do nothing are cheap."""
    reasons: list[str] = []
    if seen["sessions"] != calls:
        reasons.append(f"{seen['sessions']} of {calls} sessions were alive at the end")
    talk_s = calls * seen["seconds"]
    if seen["appended_s"] < WORK_SHARE * talk_s:
        reasons.append(
            f"{seen['appended_s']:.0f} of {talk_s:.0f} s of the callers' audio reached the provider"
        )
    due = calls * int(seen["seconds"] / PERIOD_S)
    if seen["answers"] < WORK_SHARE * due:
        reasons.append(f"{seen['answers']} answers were given, {due} were due")
    frames = int(calls * seen["seconds"] / PERIOD_S * FRAMES_A_TURN)
    heard = seen["packets_loud"] or seen["packets_received"]
    if heard < WORK_SHARE * frames:
        reasons.append(f"the phones heard {heard} packets of the agent, {frames} were due")
    return reasons
