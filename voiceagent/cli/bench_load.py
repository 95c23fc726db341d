"""The benches of running calls: ``voiceagent bench calls|soak``."""

from __future__ import annotations

from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
AT_ONCE = 100
BESIDE_A_PEER = 25


def add_load_benches(bench: typer.Typer) -> None:
    """Add the commands to ``voiceagent bench``."""
    bench.command("calls")(bench_calls)
    bench.command("soak")(bench_soak)


def bench_calls(
    calls: Annotated[
        int | None,
        typer.Option(min=1, help="Calls at once.", show_default=f"{AT_ONCE}; {BESIDE_A_PEER} beside a peer"),
    ] = None,
    seconds: Annotated[float, typer.Option(help="Length of the measurement.")] = 20.0,
    inputs: Annotated[
        int,
        typer.Option(min=0, help="So many pairs of runs of whole calls, without `journal.inputs` and with."),
    ] = 0,
    whole: Annotated[
        bool,
        typer.Option("--whole", help="Whole calls: flow, call, journal with inputs, metrics, live events."),
    ] = False,
    against: Annotated[
        str | None,
        typer.Option(
            metavar="PEER", help="The same load through pipecat, openai-agents or a plain bridge too."
        ),
    ] = None,
    peer_python: Annotated[
        str | None,
        typer.Option(metavar="PATH", help="Python of the environment that has the peer (default: this one)."),
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Runs of each side, with --against.")] = 3,
    json: Json = False,
) -> None:
    """Audio of many calls against a scripted provider in a second process: CPU, pacing, delay, barge-in."""
    from voiceagent.cli.bench import report

    if against is not None:
        from voiceagent.bench.against_calls import run_against_calls, table

        at_once = calls or BESIDE_A_PEER
        report(
            f"calls --against {against}",
            lambda: run_against_calls(
                against, calls=at_once, seconds=seconds, repeats=repeats, whole=whole, python=peer_python
            ),
            as_json=json,
            show=table,
        )
        return
    at_once = calls or AT_ONCE
    if inputs:
        from voiceagent.bench.inputs import run_inputs_bench

        report("calls --inputs", lambda: run_inputs_bench(at_once, seconds, inputs), as_json=json)
        return
    if whole:
        from voiceagent.bench.everything import run_whole_calls_bench

        report("calls --whole", lambda: run_whole_calls_bench(at_once, seconds), as_json=json)
        return
    from voiceagent.bench.calls import run_calls_bench

    report("calls", lambda: run_calls_bench(at_once, seconds), as_json=json)


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

    report(
        "soak",
        lambda: run_soak_bench(calls=calls, rate=rate, settle=settle),
        as_json=json,
        hidden=("samples",),
    )
