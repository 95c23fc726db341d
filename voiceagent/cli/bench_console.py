"""The bench of the operator console: ``voiceagent bench console``."""

from __future__ import annotations

from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]


def add_console_bench(bench: typer.Typer) -> None:
    """Add the command to ``voiceagent bench``."""
    bench.command("console")(bench_console)


def bench_console(
    calls: Annotated[int, typer.Option(min=1, help="Live calls.")] = 100,
    readers: Annotated[int, typer.Option(min=1, help="Readers and listeners who do not read.")] = 200,
    seconds: Annotated[float, typer.Option(min=0.5, help="Length of the longest window.")] = 20.0,
    browser: Annotated[bool, typer.Option(help="Look at the page with Chromium, if there is one.")] = True,
    json: Json = False,
) -> None:
    """Trigger to create, event to reader and page, stalled readers and listeners, the page's weight."""
    from voiceagent.bench.console import run_console_bench
    from voiceagent.cli.bench import report

    report(
        "console",
        lambda: run_console_bench(calls=calls, readers=readers, seconds=seconds, browser=browser),
        as_json=json,
    )
