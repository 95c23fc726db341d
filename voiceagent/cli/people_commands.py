"""``voiceagent user|key|audit …``: help and arguments."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from voiceagent.cli.people import Place

user = typer.Typer(help="Who may sign in to the console. Works on the database itself.", no_args_is_help=True)
key = typer.Typer(help="Keys for programs. Works on the database itself.", no_args_is_help=True)
audit = typer.Typer(help="The log of who did what.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="TOML settings file (default: voiceagent.toml, if there)."),
]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", help="Any setting: --set database.url=sqlite:///voiceagent.db.")
]
Name = Annotated[str, typer.Argument(help="The user's name.")]
RoleName = Literal["viewer", "operator", "supervisor", "admin"]
Role = Annotated[
    RoleName,
    typer.Option(
        help="viewer: look; operator: act; supervisor: listen, manage, audit; admin: users and keys."
    ),
]


def _place(config: Path | None, overrides: list[str] | None, as_json: bool) -> Place:
    from voiceagent.cli.people import Place

    return Place(config, overrides or [], as_json)


@user.command("add")
def user_add(
    name: Name,
    role: Role = "operator",
    config: ConfigFile = None,
    overrides: Overrides = None,
    json: Json = False,
) -> None:
    """Make a user. Asks for the password; programs set VOICEAGENT_PASSWORD, or send it as a line."""
    from voiceagent.cli.people import add_user

    add_user(_place(config, overrides, json), name, role)


@user.command("list")
def user_list(config: ConfigFile = None, overrides: Overrides = None, json: Json = False) -> None:
    """List everybody who may sign in."""
    from voiceagent.cli.people import list_users

    list_users(_place(config, overrides, json))


@user.command("role")
def user_role(
    name: Name,
    role: Annotated[RoleName, typer.Argument(help="viewer, operator, supervisor or admin.")],
    config: ConfigFile = None,
    overrides: Overrides = None,
    json: Json = False,
) -> None:
    """Give a user another role."""
    from voiceagent.cli.people import change_user

    change_user(_place(config, overrides, json), name, role=role)


@user.command("password")
def user_password(
    name: Name, config: ConfigFile = None, overrides: Overrides = None, json: Json = False
) -> None:
    """Set a new password; who forgot the old one asks somebody at the machine."""
    from voiceagent.cli.people import change_user

    change_user(_place(config, overrides, json), name, password=True)


@user.command("disable")
def user_disable(
    name: Name, config: ConfigFile = None, overrides: Overrides = None, json: Json = False
) -> None:
    """Shut a user out; what the user did stays in the audit log."""
    from voiceagent.cli.people import change_user

    change_user(_place(config, overrides, json), name, disabled=True)


@user.command("enable")
def user_enable(
    name: Name, config: ConfigFile = None, overrides: Overrides = None, json: Json = False
) -> None:
    """Let a user in again."""
    from voiceagent.cli.people import change_user

    change_user(_place(config, overrides, json), name, disabled=False)


@key.command("add")
def key_add(
    name: Annotated[str, typer.Argument(help="What it is for: dialler, dashboard.")],
    role: Role = "operator",
    days: Annotated[float | None, typer.Option(help="Good for so many days; default: until revoked.")] = None,
    config: ConfigFile = None,
    overrides: Overrides = None,
    json: Json = False,
) -> None:
    """Make a key and print it, this once:

    TOKEN=$(voiceagent key add dashboard --role viewer)
    """
    from voiceagent.cli.people import add_key

    add_key(_place(config, overrides, json), name, role, days)


@key.command("list")
def key_list(config: ConfigFile = None, overrides: Overrides = None, json: Json = False) -> None:
    """List the keys, without the keys themselves."""
    from voiceagent.cli.people import list_keys

    list_keys(_place(config, overrides, json))


@key.command("revoke")
def key_revoke(
    key_id: Annotated[str, typer.Argument(metavar="KEY_ID", help="key_…, as `key list` tells it.")],
    config: ConfigFile = None,
    overrides: Overrides = None,
    json: Json = False,
) -> None:
    """End a key."""
    from voiceagent.cli.people import revoke_key

    revoke_key(_place(config, overrides, json), key_id)


@audit.command("verify")
def audit_verify(config: ConfigFile = None, overrides: Overrides = None, json: Json = False) -> None:
    """Check that no line was changed or removed; exit status 1 where one was."""
    from voiceagent.cli.people import verify_audit

    verify_audit(_place(config, overrides, json))


@audit.command("export")
def audit_export(config: ConfigFile = None, overrides: Overrides = None, json: Json = True) -> None:
    """Print the whole log, oldest line first: one JSON object a line, hashes included, always."""
    from voiceagent.cli.people import export_audit

    export_audit(_place(config, overrides, json))
