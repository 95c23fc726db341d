"""Run by Alembic for every command; the connection comes from :func:`voiceagent.store.schema.upgrade`."""

from __future__ import annotations

from alembic import context

from voiceagent.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # SQLite cannot alter a column: Alembic makes the table anew.
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
