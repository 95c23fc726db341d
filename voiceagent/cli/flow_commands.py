"""``voiceagent flow …``: the commands about flows and their help; what they do is imported when needed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

flow = typer.Typer(help="Check, draw and simulate flows without a call.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="TOML settings file (default: voiceagent.toml, if there)."),
]
Overrides = Annotated[list[str] | None, typer.Option("--set", help="Any setting: --set default_flow=desk.")]


@flow.command("route")
def flow_route(
    number: Annotated[str, typer.Argument(help="The called number, or user.")],
    caller: Annotated[str, typer.Option(help="Who calls; empty: somebody who does not say.")] = "",
    trunk: Annotated[str, typer.Option(help="Trunk over which the call comes.")] = "default",
    kind: Annotated[str, typer.Option(help="direct, hosted, or browser.")] = "direct",
    header: Annotated[
        list[str] | None, typer.Option(help="Header of the INVITE: 'X-Campaign: spring'; may be repeated.")
    ] = None,
    at: Annotated[
        str, typer.Option(help="When: 2026-12-24T18:00, on the clocks of the routes; default: now.")
    ] = "",
    call_id: Annotated[str, typer.Option(help="SIP Call-ID: deals callers without a number.")] = "",
    flows: Annotated[
        list[Path] | None, typer.Option("--flow", "-f", help="File with flows; may be repeated.")
    ] = None,
    config: ConfigFile = None,
    overrides: Overrides = None,
    json: Json = False,
) -> None:
    """Say which flow would answer a call, which routes pass it over, and why. No call is placed.

    Exit status 1 when nobody would answer.
    """
    from voiceagent.cli.flow_route import Asked, run_route

    over = "" if kind in ("hosted", "browser") else trunk
    asked = Asked(number, caller, over, kind, header or (), at, call_id)
    run_route(asked, [str(path) for path in flows or ()], config, overrides or [], as_json=json)


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
    config: ConfigFile = None,
    overrides: Overrides = None,
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


@flow.command("scenario")
def flow_scenario(
    journal: Annotated[Path, typer.Argument(help="A call's journal (JSONL).")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="File for the scenario, instead of standard output.")
    ] = None,
    name: Annotated[str, typer.Option(help="What reports call it; default: the journal's name.")] = "",
    json: Json = False,
) -> None:
    """Turn the journal of a real call into a scenario: what the caller did, and what was heard.

    Secrets are not in a journal: a comment shows where one was typed. Numbers of callers are; look the file
    over before it goes into a repository. Example:

        voiceagent flow scenario journals/call_1.jsonl --out scenarios/call_1.toml
    """
    from voiceagent.cli.flow_scenario import run_scenario

    run_scenario(journal, out, name, as_json=json)


@flow.command("check")
def flow_check(
    files: Annotated[list[Path], typer.Argument(help="Files with flows: Python or TOML.", metavar="FILE…")],
    scenario: Annotated[
        list[Path] | None,
        typer.Option(
            "--scenario",
            "-s",
            help="Play this scenario, or a folder of them, and add what it shows; may be repeated.",
        ),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings count as errors.")] = False,
    config: ConfigFile = None,
    overrides: Overrides = None,
    json: Json = False,
) -> None:
    """Find mistakes in flows before a caller does: file, line, what is wrong, what to do.

    Exit status 0: nothing found; 1: errors (with --strict, warnings, too); 2: a file cannot be read. Example:

        voiceagent flow check shop.py desk.toml --set 'call.transfer_targets=["sip:desk@example.com"]'
    """
    from voiceagent.cli.flow_check import run_check

    run_check(files, scenario or [], config=config, overrides=overrides or [], strict=strict, as_json=json)


@flow.command("schema")
def flow_schema(json: Json = False) -> None:
    """Print the JSON Schema of flows in TOML, for editors that complete and check while one types.

    The same with and without --json.
    """
    from voiceagent.cli.run import show_json
    from voiceagent.ivr.toml.schema import flow_schema

    show_json(flow_schema())


@flow.command("graph")
def flow_graph(
    file: Annotated[Path, typer.Argument(help="The file with the flow: Python or TOML.")],
    style: Annotated[
        str, typer.Option("--format", help="mermaid, dot (for graphviz: dot -Tsvg), or json.")
    ] = "mermaid",
    scenario: Annotated[
        list[Path] | None,
        typer.Option("--scenario", "-s", help="Evidence: play this scenario, or a folder; may be repeated."),
    ] = None,
    journal: Annotated[
        list[Path] | None,
        typer.Option("--journal", help="Evidence: the journal of a call, or a folder; may be repeated."),
    ] = None,
    json: Json = False,
) -> None:
    """Draw a flow: its steps, what may follow what, and which ways calls have taken.

    With evidence, what no call has seen is dashed. Example:

        voiceagent flow graph shop.py --scenario scenarios --format dot | dot -Tsvg > shop.svg
    """
    from voiceagent.cli.flow_graph import run_graph

    run_graph(file, scenario or [], journal or [], style=style, as_json=json)
