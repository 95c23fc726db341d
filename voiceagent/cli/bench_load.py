"""The benches of running calls and the report: ``voiceagent bench calls|kernel|soak|report``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
AT_ONCE = 100
BESIDE_A_PEER = 25


def add_load_benches(bench: typer.Typer) -> None:
    """Add the commands to ``voiceagent bench``."""
    bench.command("calls")(bench_calls)
    bench.command("kernel")(bench_kernel)
    bench.command("soak")(bench_soak)
    bench.command("report")(bench_report)


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
        from voiceagent.bench.against_calls import run_against_calls
        from voiceagent.bench.against_table import table

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


def bench_kernel(
    bursts: Annotated[int, typer.Option(min=1, help="Bursts of each kind of system call.")] = 200,
    json: Json = False,
) -> None:
    """The system calls of a running call alone: what it costs here before any program has done anything."""
    from voiceagent.bench.kernel import run_kernel_bench
    from voiceagent.cli.bench import report

    report("kernel", lambda: run_kernel_bench(bursts), as_json=json)


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


class Size(StrEnum):
    """How much of everything: a few minutes, less than twelve, about half an hour."""

    QUICK = "quick"
    USUAL = "usual"
    LONG = "long"


def bench_report(
    folder: Annotated[
        Path, typer.Option(help="Where report.md, report.json and the plots are written.")
    ] = Path("docs/benchmarks"),
    size: Annotated[
        Size, typer.Option(help="quick: 2 minutes, once each; usual: under 12; long: about 25.")
    ] = Size.USUAL,
    peer_python: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PEER=PATH", help="Python that has a peer, as pipecat=.peer/bin/python; may be repeated."
        ),
    ] = None,
    note: Annotated[str, typer.Option(help="A line that stands at the top of the report.")] = "",
    again: Annotated[
        bool, typer.Option("--again", help="Measure nothing: write the page and plots of report.json anew.")
    ] = False,
    json: Json = False,
) -> None:
    """Run the set of benches, the machine quiet, and write the report: targets, tables, plots, methods."""
    from voiceagent.bench.report_files import read_report, write_report
    from voiceagent.bench.suite import pythons_of, run_suite
    from voiceagent.cli.run import fail_with, show_json
    from voiceagent.errors import VoiceAgentError

    try:
        if again:
            report = read_report(folder)
        else:
            report = run_suite(size.value, pythons=pythons_of(peer_python or []), note=note)
        written = write_report(folder, report)
    except VoiceAgentError as error:
        fail_with(error, as_json=json)
    if json:
        show_json(report)
        return
    for path in written:
        print(path)
