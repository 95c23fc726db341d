"""The long bench of a whole service: ``voiceagent bench soak``."""

from __future__ import annotations

from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]


def add_load_benches(bench: typer.Typer) -> None:
    """Add the command to ``voiceagent bench``."""
    bench.command("soak")(bench_soak)


def bench_soak(
    calls: Annotated[int, typer.Option(min=1, help="Calls in all.")] = 8640,
    rate: Annotated[float, typer.Option(min=0.1, help="Calls per second.")] = 30.0,
    settle: Annotated[
        float, typer.Option(min=0.0, help="Seconds of silence before what is left is counted.")
    ] = 40.0,
    json: Json = False,
) -> None:
    """Thousands of short calls through a whole service: failures, memory per call, what is left behind."""
    from voiceagent.bench.soak import run_soak_bench
    from voiceagent.cli.bench import report

    report("soak", lambda: run_soak_bench(calls=calls, rate=rate, settle=settle), as_json=json)
