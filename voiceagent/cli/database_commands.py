"""``voiceagent db …``: help and arguments."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

db = typer.Typer(
    help="The database: an index of what the journals say. Works on the database itself.",
    no_args_is_help=True,
)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="TOML settings file (default: voiceagent.toml, if there)."),
]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", help="Any setting: --set database.url=sqlite:///voiceagent.db.")
]


@db.command("upgrade")
def db_upgrade(config: ConfigFile = None, overrides: Overrides = None, json: Json = False) -> None:
    """Make or change the tables until they are of this version; a service does so when it starts."""
    from voiceagent.cli.database import upgrade_database

    upgrade_database(config, overrides or [], as_json=json)


@db.command("rebuild")
def db_rebuild(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be written.")] = False,
    config: ConfigFile = None,
    overrides: Overrides = None,
    json: Json = False,
) -> None:
    """Write history anew from the journals in journal_dir.

    Rows of calls are replaced by what their journals say; users, keys, presets, the audit log and outgoing
    webhooks stay as they are, and so do tags and the rows of calls whose journal is not there. May run beside
    a service: calls that have not ended are left alone. Exit status 1 when a journal could not be read.
    """
    from voiceagent.cli.database import look_at_journals

    look_at_journals(config, overrides or [], write=not dry_run, checking=False, as_json=json)


@db.command("check")
def db_check(config: ConfigFile = None, overrides: Overrides = None, json: Json = False) -> None:
    """Compare the journals with the database: what is missing, differs or is there twice.

    Exit status 1 when they do not agree.
    """
    from voiceagent.cli.database import look_at_journals

    look_at_journals(config, overrides or [], write=False, checking=True, as_json=json)
