"""The benches of flows: ``voiceagent bench flows|simulate|replay``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]


def add_flow_benches(bench: typer.Typer) -> None:
    """Add the commands to ``voiceagent bench``."""
    bench.command("flows")(bench_flows)
    bench.command("simulate")(bench_simulate)
    bench.command("replay")(bench_replay)


def bench_flows(
    runs: Annotated[int, typer.Option(min=1, help="How often everything is done.")] = 10,
    steps: Annotated[int, typer.Option(min=2, help="Steps of the flows that are checked.")] = 200,
    json: Json = False,
) -> None:
    """Check, reload, route, simulate and replay: seconds of each, as median, least and most."""
    from voiceagent.bench.flows import run_flows_bench
    from voiceagent.cli.bench import report

    report("flows", lambda: run_flows_bench(runs=runs, steps=steps), as_json=json)


def bench_replay(
    calls: Annotated[int, typer.Option(min=1, help="Calls that are recorded.")] = 50,
    at_once: Annotated[int, typer.Option(min=1, help="So many of them at once.")] = 4,
    seed: Annotated[int, typer.Option(help="Seed of what the callers do.")] = 1,
    keep: Annotated[Path | None, typer.Option(help="Folder in which the journals are left.")] = None,
    json: Json = False,
) -> None:
    """Record calls of many kinds over loopback, replay them, and count those that are decided otherwise."""
    from voiceagent.bench.replay import run_replay_bench
    from voiceagent.cli.bench import report

    report("replay", lambda: run_replay_bench(calls, at_once=at_once, seed=seed, keep=keep), as_json=json)


def bench_simulate(
    runs: Annotated[int, typer.Option(min=1, help="How often, the first time aside.")] = 20,
    json: Json = False,
) -> None:
    """Simulate a call of two minutes with the front desk: seconds, the first time told apart."""
    from voiceagent.bench.simulate import run_simulate_bench
    from voiceagent.cli.bench import report

    report("simulate", lambda: run_simulate_bench(runs), as_json=json)
