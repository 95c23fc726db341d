"""The benches of the SIP edge: ``voiceagent bench programs|fuzz``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
Seed = Annotated[int, typer.Option(help="Seed of everything that happens.")]


def add_sip_benches(bench: typer.Typer) -> None:
    """Add the commands to ``voiceagent bench``."""
    bench.command("programs")(bench_programs)
    bench.command("fuzz")(bench_fuzz)


def bench_programs(
    programs: Annotated[int, typer.Option(help="Programs of up to 40 events.")] = 20_000,
    seed: Seed = 1,
    json: Json = False,
) -> None:
    """Random programs of well-formed SIP events: promises kept, and planted defects noticed."""
    from voiceagent.bench.programs import run_programs_bench
    from voiceagent.cli.bench import report

    report("programs", lambda: run_programs_bench(programs, seed), as_json=json)


def bench_fuzz(
    messages: Annotated[
        int, typer.Option(help="Damaged messages into the endpoint, and a quarter as many SDPs.")
    ] = (1_000_000),
    sockets: Annotated[int, typer.Option(help="Damaged datagrams to a whole service; 0 leaves it out.")] = (
        100_000
    ),
    corpora: Annotated[
        Path | None, typer.Option(help="Folder with rfc4475/*.dat and rfc5118/*, damaged as well.")
    ] = None,
    seed: Seed = 1,
    json: Json = False,
) -> None:
    """Damaged SIP and SDP: exceptions, time per message, memory, and a call that must not notice."""
    from voiceagent.bench.fuzz_main import run_fuzz_bench
    from voiceagent.cli.bench import report

    report(
        "fuzz",
        lambda: run_fuzz_bench(messages, sockets=sockets, corpora=corpora, seed=seed),
        as_json=json,
    )
