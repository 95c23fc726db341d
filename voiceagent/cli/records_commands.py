"""``voiceagent records …``: what is kept of calls; help and arguments."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

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
