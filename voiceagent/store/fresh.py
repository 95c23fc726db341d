"""An empty database gets its tables at once, without Alembic, whose import takes most of a second.

A test holds what is made here to what the migrations make.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text

from voiceagent.store.tables import metadata

if TYPE_CHECKING:
    from sqlalchemy import Connection

_VERSION = (
    "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, "
    "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
)
_FULL_TEXT = {
    "sqlite": (
        "CREATE VIRTUAL TABLE call_text USING fts5"
        '(call_id UNINDEXED, body, tokenize = "unicode61 remove_diacritics 2")',
    ),
    "postgresql": (
        "CREATE TABLE call_text (call_id TEXT PRIMARY KEY, body TEXT NOT NULL, "
        "search TSVECTOR GENERATED ALWAYS AS (to_tsvector('simple', body)) STORED)",
        "CREATE INDEX ix_call_text_search ON call_text USING gin (search)",
    ),
}


def make_tables(connection: Connection, version: str) -> None:
    """Make every table, and note that they are of ``version``."""
    metadata.create_all(connection)
    for statement in (*_FULL_TEXT[connection.dialect.name], _VERSION):
        connection.execute(text(statement))
    connection.execute(
        text("INSERT INTO alembic_version (version_num) VALUES (:version)"), {"version": version}
    )
