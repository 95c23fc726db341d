"""``voiceagent records …``: what is kept of calls; help and arguments."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from voiceagent.cli.calls_commands import Token, Url

records = typer.Typer(help="What is kept of calls, and for how long.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="TOML settings file (default: voiceagent.toml, if there)."),
]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", help="Any setting: --set retention.recordings_days=7.")
]


@records.command()
def purge(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be removed.")] = False,
    config: ConfigFile = None,
    overrides: Overrides = None,
    json: Json = False,
) -> None:
    """Remove what has been kept for longer than retention.… says; a running service does it once a day.

    Exit status 1 when something could not be removed.
    """
    from voiceagent.cli.records import run_purge

    run_purge(config, overrides or [], dry_run=dry_run, as_json=json)


def erase(
    caller: Annotated[
        str, typer.Option(help="The person's number: who called us, or whom we called. +442079460958")
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be erased.")] = False,
    url: Url = None,
    token: Token = None,
    config: ConfigFile = None,
    overrides: Overrides = None,
    json: Json = False,
) -> None:
    """Erase all that is kept of a person's calls, and print the proof, which the audit log keeps.

    A running service is asked to do it (with an admin's key), as it has calls in memory; without one, files
    and database are worked on directly. Exit status 1 when something is left, or the person is on the line.
    """
    from voiceagent.cli.erase import run_erase

    run_erase(config, overrides or [], url, token, caller, dry_run=dry_run, as_json=json)
