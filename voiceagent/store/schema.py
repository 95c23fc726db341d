"""Bring a database up to date: by Alembic, whose import takes most of a second, so only when it is needed."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from voiceagent.errors import ConfigError
from voiceagent.store.fresh import make_tables

if TYPE_CHECKING:
    from sqlalchemy import Connection

HEAD = "0003"
"""The newest migration. A test holds it to what Alembic finds."""


def version_of(connection: Connection) -> str | None:
    """Return the database's version; None for an empty one."""
    from sqlalchemy import inspect, text

    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def upgrade(connection: Connection, to: str = "head") -> None:
    """Make or change the tables until they are of this version.

    Raises ConfigError when a newer voiceagent has been here: its tables are not ours to read.
    """
    found = version_of(connection)
    if found == HEAD and to == "head":
        return
    if found is None and to == "head":
        make_tables(connection, HEAD)
        return
    logging.getLogger("alembic").setLevel(logging.WARNING)
    from alembic import command
    from alembic.script import ScriptDirectory
    from alembic.util import CommandError

    config = alembic_config(connection)
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if found is not None and found not in known:
        raise ConfigError(
            "database.url",
            f"the database has version {found}, made by a newer voiceagent; this one knows {HEAD}",
        )
    try:
        command.upgrade(config, to)
    except CommandError as error:
        raise ConfigError("database.url", f"the tables cannot be brought up to date: {error}") from None


def alembic_config(connection: Connection | None = None) -> Any:
    """Return Alembic's configuration for our migrations on ``connection``."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "voiceagent.store:migrations")
    config.attributes["connection"] = connection
    return config
