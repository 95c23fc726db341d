"""The benches of the SIP edge: ``voiceagent bench setup|parse|programs|fuzz``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
Seed = Annotated[int, typer.Option(help="Seed of everything that happens.")]


def add_sip_benches(bench: typer.Typer) -> None:
    """Add the commands to ``voiceagent bench``."""
    bench.command("setup")(bench_setup)
    bench.command("parse")(bench_parse)
    bench.command("programs")(bench_programs)
    bench.command("fuzz")(bench_fuzz)


def bench_setup(
    rate: Annotated[float, typer.Option(help="Calls per second.")] = 300.0,
    calls: Annotated[int, typer.Option(help="Calls in all.")] = 3000,
    loss: Annotated[
        float, typer.Option(help="Share of datagrams lost on purpose, each way (0.1 = 10 %).")
    ] = 0.0,
    transport: Annotated[str, typer.Option(help="udp or tcp.")] = "udp",
    settle: Annotated[bool, typer.Option(help="Wait 40 s more and count what is left.")] = False,
    json: Json = False,
) -> None:
    """INVITE, 200, ACK, BYE at a given rate from a second process."""
    from voiceagent.bench.setup import run_setup_bench
    from voiceagent.cli.bench import report

    kind = "tcp" if transport == "tcp" else "udp"
    report(
        "setup",
        lambda: run_setup_bench(rate=rate, calls=calls, loss=loss, transport=kind, settle=settle),
        as_json=json,
    )


def bench_parse(
    seconds: Annotated[float, typer.Option(help="How long to measure.")] = 4.0, json: Json = False
) -> None:
    """Reading and writing an INVITE of everyday size, beside a reference loop."""
    from voiceagent.bench.parse import run_parse_bench
    from voiceagent.cli.bench import report

    report("parse", lambda: run_parse_bench(seconds), as_json=json)


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
