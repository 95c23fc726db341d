"""``voiceagent flow …``: the commands about flows and their help; what they do is imported when needed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

flow = typer.Typer(help="Check, draw and simulate flows without a call.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]


@flow.command("simulate")
def flow_simulate(
    file: Annotated[Path, typer.Argument(help="The file with the flow: Python or TOML.")],
    scenario: Annotated[
        list[Path],
        typer.Option("--scenario", "-s", help="A scenario (TOML), or a folder of them; may be repeated."),
    ],
    junit: Annotated[Path | None, typer.Option(help="Also write the results as JUnit XML.")] = None,
    journal: Annotated[
        Path | None, typer.Option(help="Folder for the calls' journals, as real calls write them.")
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option("--config", "-c", help="TOML settings file (default: voiceagent.toml, if there)."),
    ] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", help="Any setting: --set call.no_input_s=4")
    ] = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show the transcript also of what went well.")
    ] = False,
    json: Json = False,
) -> None:
    """Play scenarios against a flow: virtual clock, no network, the real call handler.

    Exit status 0: all as expected; 1: something is not; 2: a file cannot be used. Example:

        voiceagent flow simulate shop.py --scenario scenarios --junit results.xml
    """
    from voiceagent.cli.flow_simulate import run_simulate

    run_simulate(
        file,
        scenario,
        junit=junit,
        journals=journal,
        config=config,
        overrides=overrides or [],
        verbose=verbose,
        as_json=json,
    )
